//! Addresses that callers hand out to be fetched: which may leave.
//!
//! The fetch happens elsewhere, so the danger is not that it reaches this network, but that names and addresses
//! of internal systems, or credentials inside a URL, go to a third party.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest URL that is passed on.
pub(crate) const MAX_LENGTH: usize = 4096;

/// Names under which only internal systems live (RFC 6761, RFC 6762, RFC 8375, RFC 9476, ICANN's `internal`,
/// habit).
const INTERNAL: [&str; 27] = [
    "local",
    "localhost",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "mail",
    "svc",
    "default",
    "consul",
    "intra",
    "localnet",
    "workgroup",
    "domain",
    "dhcp",
    "wpad",
    "fritz.box",
    "i2p",
    "alt",
    "invalid",
    "home.arpa",
    "in-addr.arpa",
    "ip6.arpa",
    "onion",
];

/// Public names that stand for a private address: of cloud metadata, and of services that answer with the address in the
/// name, or with the caller's own machine.
const STANDING_FOR: [&str; 15] = [
    "metadata.goog",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "nip.io",
    "sslip.io",
    "xip.io",
    "localtest.me",
    "lvh.me",
    "vcap.me",
    "lacolhost.com",
    "local.gd",
    "localho.st",
    "xip.name",
    "traefik.me",
    "1u.ms",
];

/// The URL as it may be passed on, in its normal form, so that nobody further on reads it differently; or why
/// it may not.
pub(crate) fn outward(text: &str) -> Result<Url, &'static str> {
    let text = text.trim();
    if text.len() > MAX_LENGTH {
        return Err("the URL is longer than 4096 bytes; shorten it");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the URL holds a blank or a control character; percent-encode it");
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "this is no absolute URL; write it with https://",
        _ => "this is not a URL; write it as \"https://example.com/page\"",
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https pages can be read; give such a URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password in a URL would go to a third party; remove it");
    }
    match url.host() {
        Some(host) => public(&host).map(|()| url),
        None => Err("the URL names no host"),
    }
}

/// The same for a site, of which `example.com` without a scheme is enough.
pub(crate) fn outward_site(text: &str) -> Result<Url, &'static str> {
    let text = text.trim();
    if text.contains("://") { outward(text) } else { outward(&format!("https://{text}")) }
}

/// Whether others may be told of a host.
pub(crate) fn public<S: AsRef<str>>(host: &Host<S>) -> Result<(), &'static str> {
    match host {
        Host::Ipv4(ip) if is_internal_v4(*ip) => Err(NOT_PUBLIC),
        Host::Ipv6(ip) if is_internal_v6(*ip) => Err(NOT_PUBLIC),
        Host::Domain(name) if is_internal_name(name.as_ref()) => {
            Err("the host is an internal name; only public pages can be read")
        }
        _ => Ok(()),
    }
}

const NOT_PUBLIC: &str = "the address is private, local or reserved; only public pages can be read";

fn is_internal_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    // Labels are never empty; what resolvers make of those that are, nobody knows.
    if name.split('.').any(str::is_empty) {
        return true;
    }
    let under = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || INTERNAL.iter().chain(&STANDING_FOR).any(|suffix| under(suffix))
}

fn is_internal_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    // The address within a cloud at which its machines are served.
    ip == Ipv4Addr::new(168, 63, 129, 16)
        || matches!(
            (a, b, c),
            (0 | 10 | 127 | 224..=255, _, _)
                | (100, 64..=127, _)
                | (169, 254, _)
                | (172, 16..=31, _)
                | (192, 168, _)
                | (192, 0, 0 | 2)
                | (192, 88, 99)
                | (198, 18 | 19, _)
                | (198, 51, 100)
                | (203, 0, 113)
        )
}

fn is_internal_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_internal_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // Unspecified, loopback, IPv4-compatible, IPv4-mapped, IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            embedded(high, low)
        }
        // NAT64 (RFC 6052), and its local-use prefix (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] => true,
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => embedded(high, low),
        // ISATAP (RFC 5214): the address of a host behind a tunnel.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] if embedded(high, low) => true,
        // Discard-only, Teredo and other special use, documentation.
        [0x100, 0, 0, 0, ..]
        | [0x2001, 0..=0x1ff, ..]
        | [0x2001, 0xdb8, ..]
        | [0x3fff, 0..=0xfff, ..]
        | [0x5f00, ..] => true,
        // Unique local, link-local, site-local, multicast.
        [first, ..] => {
            first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0 || first >= 0xff00
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_leave_does_not() {
        let cases = [
            "ftp://example.com/x",
            "file:///etc/passwd",
            "gopher://example.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "example.com/page",
            "//example.com/page",
            "",
            "http://",
            "https://user@example.com/",
            "https://user:pw@example.com/",
            "https://:pw@example.com/",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://0/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://169.254.43518/",
            "http://100.64.0.1/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::10.0.0.1]/",
            "http://[2002:7f00:1::]/",
            "http://[fd00:ec2::254]/",
            "http://[fc00::1]/",
            "http://[fe80::1]/",
            "http://[fec0::1]/",
            "http://[ff02::1]/",
            "http://[2001:db8::1]/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            "http://%31%32%37.0.0.1/",
            "http:\\\\127.0.0.1\\",
            "http:127.0.0.1",
            "http://127.0.0.1./",
            "http://localhost/",
            "http://LOCALHOST:8080/",
            "http://localhost./",
            "http://app.localhost/",
            "http://intranet/",
            "http://printer.local/",
            "http://metadata.google.internal/",
            "http://METADATA.google.INTERNAL./",
            "http://router.lan/",
            "http://nas.home.arpa/",
            "http://wiki.corp/",
            "http://nas.in-addr.arpa/",
            "http://api.default.svc/",
            "http://api.default.svc.cluster.local/",
            "http://metadata.goog/",
            "http://127.0.0.1.nip.io/",
            "http://10-0-0-1.sslip.io/",
            "http://localtest.me/",
            "http://0:80/",
            "http://127.0.0.1:8080/",
            "http://[::1]:8443/",
            "http://0300.0250.0.1/",
            "http://0xc0a80001/",
            "http://192.168.257/",
            "http://①②⑦.⓪.⓪.①/",
            "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
            "http://loc%61lhost/",
            "http://%6c%6f%63%61%6c%68%6f%73%74/",
            "http://localhost%2e/",
            "http://example.com@127.0.0.1/",
            "http://127.0.0.1#@example.com/",
            "http://127.0.0.1\\@example.com/",
            "http://127.0.0.1%23.example.com/",
            "http://[::ffff:0:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[64:ff9b:1::a00:1]/",
            "http://[2002:a00:1::]/",
            "http://[2001:0:7f00:1::]/",
            "http://[2606:4700::5efe:a00:1]/",
            "http://[fe80::1%25eth0]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[5f00::1]/",
            "HTTP://LocalHost:80/",
            "http://168.63.129.16/metadata",
            "http://[::ffff:168.63.129.16]/",
            "http://2822734096/",
            "https://kubernetes.default/api",
            "http://10.0.0.1.xip.name/",
            "http://traefik.me/",
            "http://10-0-0-1.traefik.me/",
            "http://localho.st/",
            "http://make-10.0.0.1-rr.1u.ms/",
            "http://db.service.consul/",
            "http://wiki.intra/",
            "http://nas.localnet/",
            "http://pc.workgroup/",
            "http://a.domain/",
            "http://a.dhcp/",
            "http://a.wpad/",
            "http://fritz.box/",
            "http://nas.fritz.box/",
            "http://1.0.0.127.ip6.arpa/",
            "http://a.i2p/",
            "http://a.alt/",
            "http://a.invalid/",
            "http://a..example/",
            "http://.example.com/",
            "http://example.com../",
            "https://exa mple.com/",
            "https://example.com/a\nb",
            "https://example.com/\u{0}",
        ];
        for case in cases {
            assert!(outward(case).is_err(), "{case:?} was let out as {:?}", outward(case));
        }
        assert!(outward(&format!("https://example.com/{}", "a".repeat(4096))).is_err());
    }

    #[test]
    fn a_site_needs_no_scheme_and_is_held_to_the_same() {
        for (given, expected) in [
            ("example.com", "https://example.com/"),
            ("example.com/docs", "https://example.com/docs"),
            ("http://example.com", "http://example.com/"),
            (" docs.example.com:8443 ", "https://docs.example.com:8443/"),
        ] {
            assert_eq!(outward_site(given).map(String::from).as_deref(), Ok(expected), "{given}");
        }
        for given in
            ["localhost", "localhost:8080", "127.1", "10.0.0.1/x", "[::1]", "wiki", "a.local", "javascript:alert(1)"]
        {
            assert!(outward_site(given).is_err(), "{given}: {:?}", outward_site(given));
        }
        for given in ["mailto:x@example.com", "user@example.com", "", "https://", "file:///etc/passwd"] {
            assert!(outward_site(given).is_err(), "{given}: {:?}", outward_site(given));
        }
    }

    #[test]
    fn public_pages_may_be_read() {
        let cases = [
            ("https://example.com", "https://example.com/"),
            (" https://example.com/a?b=c#d ", "https://example.com/a?b=c#d"),
            ("http://8.8.8.8/", "http://8.8.8.8/"),
            ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
            ("https://EXAMPLE.com:8443/x", "https://example.com:8443/x"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://local.example.com/", "https://local.example.com/"),
            ("https://notlocal/..", ""),
            ("https://mylocal.example/", "https://mylocal.example/"),
            ("https://172.32.0.1/", "https://172.32.0.1/"),
            ("https://example.com/@user:pw", "https://example.com/@user:pw"),
        ];
        for (given, expected) in cases {
            let found = outward(given).map(String::from).unwrap_or_default();
            assert_eq!(found, expected, "{given:?}");
        }
    }
}
