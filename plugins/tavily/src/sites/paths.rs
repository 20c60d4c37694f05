//! Paths of pages and of sites, compared as servers may read them: escapes, dots, parameters and case are in the way.
//!
//! What is to be kept must be below a site's path beyond doubt; what is to be left out is so at the least suspicion.

use percent_encoding::percent_decode_str;
use url::Url;

/// How often a path may be escaped anew until nobody is believed to mean it.
const ROUNDS: usize = 8;

/// The path of a site, as it is compared; none is all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Prefix(Vec<String>);

impl Prefix {
    /// Of an entry: what stands after its host.
    pub(super) fn read(path: &str) -> Option<Self> {
        // The path in the form that URLs have it, without query.
        let url = Url::parse(&format!("https://h/{path}")).ok()?;
        Some(Self(pieces(&decoded(url.path())).map(str::to_owned).collect()))
    }

    /// Whether a path is surely below this one.
    pub(super) fn holds(&self, path: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let plain = decoded(path);
        // A slash or a dot that is escaped may lead elsewhere, and so may what is still escaped.
        let leads_elsewhere = readings(path).is_none_or(|readings| readings.iter().any(|reading| is_devious(reading)))
            || plain.matches('/').count() != path.matches('/').count();
        !leads_elsewhere && starts_with(pieces(&plain), &self.0, |piece, wanted| piece == wanted)
    }

    /// Whether a path may be read as one below this.
    pub(super) fn may_hold(&self, path: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let wanted: Vec<String> = self.0.iter().map(|piece| bare(piece)).collect();
        // Nobody knows what is escaped so often.
        let Some(readings) = readings(path) else { return true };
        readings.iter().any(|reading| {
            let slashes = reading.replace('\\', "/");
            let pieces: Vec<&str> = pieces(&slashes).collect();
            let same = |piece: &str, wanted: &String| bare(piece) == *wanted;
            starts_with(pieces.iter().copied(), &wanted, same)
                || starts_with(resolved(&pieces).into_iter(), &wanted, same)
        })
    }
}

fn starts_with<'a>(
    mut pieces: impl Iterator<Item = &'a str>,
    wanted: &[String],
    same: impl Fn(&str, &String) -> bool,
) -> bool {
    wanted.iter().all(|wanted| pieces.next().is_some_and(|piece| same(piece, wanted)))
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// A path as it is, unescaped once, twice, and so on; `None` if there is no end to it.
fn readings(path: &str) -> Option<Vec<String>> {
    let mut readings = vec![path.to_owned()];
    for _ in 0..ROUNDS {
        let last = readings.last()?;
        let next = decoded(last);
        if next == *last {
            return Some(readings);
        }
        readings.push(next);
    }
    None
}

fn is_devious(reading: &str) -> bool {
    reading.contains('\\') || reading.split('/').any(|piece| matches!(without_parameters(piece), "." | ".."))
}

fn pieces(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|piece| !piece.is_empty())
}

/// The pieces without `.` and `..`, and what they take back.
fn resolved<'a>(pieces: &[&'a str]) -> Vec<&'a str> {
    let mut left = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match without_parameters(piece) {
            "" | "." => {}
            ".." => drop(left.pop()),
            _ => left.push(*piece),
        }
    }
    left
}

/// A piece as careless servers read it: in any case, without parameters, or dots and blanks at its end.
fn bare(piece: &str) -> String {
    without_parameters(piece).trim_end_matches(['.', ' ']).to_lowercase()
}

fn without_parameters(piece: &str) -> &str {
    piece.split([';', '\0']).next().unwrap_or(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_left_out_is_so_in_every_spelling() {
        let admin = Prefix::read("admin").unwrap();
        for path in [
            "/admin",
            "/admin/x",
            "//admin/x",
            "/%61dmin/x",
            "/%2561dmin/x",
            "/%25252561dmin",
            "/x/..%2fadmin",
            "/x%2f..%2fadmin",
            "/x/..%5cadmin",
            "/admin%2fx",
            "/admin%5cx",
            "/admin;x",
            "/admin;x/y",
            "/;a=b/admin",
            "/x/..;/admin",
            "/admin%00",
            "/admin./x",
            "/admin%20/x",
            "/ADMIN",
            "/Admin/..%2fx",
            "/%252525252525252525252561dmin",
        ] {
            assert!(admin.may_hold(path), "{path}");
        }
        for path in ["/", "/administration", "/x/admin", "/x%2fadmin", "/%61/dmin", "/adm", ""] {
            assert!(!admin.may_hold(path), "{path}");
        }
        let two = Prefix::read("/a/b/").unwrap();
        assert!(two.may_hold("/a//b/c") && two.may_hold("/A/x/..%2fb") && !two.may_hold("/a/c"));
    }

    #[test]
    fn what_is_to_be_kept_is_below_beyond_doubt() {
        let docs = Prefix::read("docs").unwrap();
        for path in ["/docs", "/docs/", "/docs/a%20b", "/%64ocs/x", "/docs/v1.2/..x"] {
            assert!(docs.holds(path), "{path}");
        }
        for path in [
            "/docsx",
            "/Docs",
            "/docs%2fx",
            "/docs/..%2fadmin",
            "/docs/%252e%252e/admin",
            "/docs/..;/admin",
            "/docs/..%5cadmin",
            "/docs/%252525252525252525252561",
            "/x/docs",
        ] {
            assert!(!docs.holds(path), "{path}");
        }
        for (entry, path) in
            [("café", "/caf%C3%A9/x"), ("caf%C3%A9", "/caf%c3%a9"), ("a%20b", "/a%20b/c"), ("x?y=z", "/x")]
        {
            assert!(Prefix::read(entry).unwrap().holds(path) && Prefix::read(entry).unwrap().may_hold(path), "{entry}");
        }
        assert!(Prefix::read("").unwrap().holds("/docs/..%2fadmin"), "a whole site is held whatever the path");
    }
}
