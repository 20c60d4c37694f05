//! From where an address can be reached, and what to say to clients that come from elsewhere.

use url::Url;

use super::clients::Access;

/// From where an address can be reached, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// From this machine alone.
    Machine,
    /// From a network of one's own.
    Network,
    /// From anywhere, but not encrypted.
    Plain,
    /// From anywhere.
    Anywhere,
}

impl Reach {
    pub(super) fn of(address: &str) -> Self {
        let Ok(url) = Url::parse(address) else { return Self::Plain };
        let private = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_private() || ip.is_link_local(),
            Some(url::Host::Ipv6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
            Some(url::Host::Domain(name)) => {
                !name.contains('.')
                    || [".local", ".internal", ".lan", ".home.arpa"].iter().any(|end| name.ends_with(end))
            }
            None => false,
        };
        match url.scheme() {
            _ if crate::config::is_loopback(&url) => Self::Machine,
            _ if private => Self::Network,
            "https" => Self::Anywhere,
            _ => Self::Plain,
        }
    }
}

/// Why a client whose vendor connects from its own cloud does not reach this address; nothing if it may.
pub(super) fn out_of_reach(address: &str, access: &Access, client: &str, vendor: &str) -> Option<String> {
    let why = match Reach::of(address) {
        Reach::Anywhere => return None,
        Reach::Machine => "is for this machine alone",
        Reach::Network => "is for your own network alone",
        Reach::Plain => "is not encrypted",
    };
    let open = match access {
        Access::Provider { .. } => "",
        Access::Development { .. } => {
            " With the development sign-in that also takes `allow_public = true` in `[auth.dev]`, and whoever finds the \
             address can sign in."
        }
        Access::Open => {
            " Without a sign-in that also takes `allow_public = true` in `[auth.dev]`, and whoever finds the address \
             can call."
        }
    };
    Some(format!(
        "{client} connects from {vendor}’s cloud, and `{address}` {why}. Put the server behind an https address that the \
         internet reaches, a proxy’s or a tunnel’s, and set `server.public_url` to it.{open}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_from_where_it_is_reached() {
        use Reach::{Anywhere, Machine, Network, Plain};
        let cases = [
            ("http://localhost:10000/mcp", Machine),
            ("https://127.0.0.1/mcp", Machine),
            ("http://[::1]:1/mcp", Machine),
            ("http://app.localhost/mcp", Machine),
            ("https://192.168.1.2/mcp", Network),
            ("http://10.0.0.1/mcp", Network),
            ("https://[fd00::1]/mcp", Network),
            ("https://tools.internal/mcp", Network),
            ("https://tools/mcp", Network),
            ("http://mcp.example.com/mcp", Plain),
            ("http://203.0.113.1/mcp", Plain),
            ("https://mcp.example.com/mcp", Anywhere),
            ("https://203.0.113.1/mcp", Anywhere),
            ("nothing", Plain),
        ];
        for (address, expected) in cases {
            assert_eq!(Reach::of(address), expected, "{address}");
            let told = out_of_reach(address, &Access::Open, "It", "Somebody");
            assert_eq!(told.is_none(), expected == Anywhere, "{address}: {told:?}");
        }
    }
}
