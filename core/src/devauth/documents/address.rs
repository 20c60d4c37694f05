//! Addresses that are not the public internet's: the IANA special-purpose registries (RFC 6890) and what else leads
//! inside.
//!
//! Owns the table and nothing else: no name is resolved here, nothing is connected to. It has a sibling in the
//! Tavily plugin, which keeps names and addresses from third parties; that crate must not be imported from here, nor
//! this one from there, and one of the two may become stricter without the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that no document is fetched from: network, prefix length, what it is.
const V4: [(Ipv4Addr, u32, &str); 20] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // Not in the registries, but Azure's own services answer there.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "cloud metadata"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "AS112"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "AMT"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(192, 175, 48, 0), 24, "AS112"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// All of IPv6 that is global unicast.
const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks within it that are something else.
const V6: [(Ipv6Addr, u32, &str); 6] = [
    // Teredo, benchmarking, ORCHID and others.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignments"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, "AS112"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
    // Formerly the 6bone.
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, "reserved"),
];

/// Blocks that hold an IPv4 address in their last 32 bits, which is where a connection goes in the end: IPv4-mapped,
/// and the well-known prefix of NAT64 (RFC 6052), through which networks without IPv4 reach public addresses.
const CARRIERS: [(Ipv6Addr, u32); 2] =
    [(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96)];

/// What keeps an address from being one of the public internet; `None` for a public one.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |network: Ipv4Addr, length: u32| (u32::from(address) ^ u32::from(network)) >> (32 - length) == 0;
    V4.iter().find(|(network, length, _)| within(*network, *length)).map(|(_, _, name)| *name)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    let within = |network: Ipv6Addr, length: u32| (bits ^ u128::from(network)) >> (128 - length) == 0;
    if CARRIERS.iter().any(|(network, length)| within(*network, *length)) {
        // The cast keeps the last 32 bits.
        #[allow(clippy::cast_possible_truncation, reason = "the upper bits are the carrier's")]
        return special_v4(Ipv4Addr::from(bits as u32));
    }
    if !within(GLOBAL.0, GLOBAL.1) {
        return Some(match address {
            _ if address.is_loopback() => "loopback",
            _ if address.is_unspecified() => "unspecified",
            _ if address.is_multicast() => "multicast",
            _ if address.is_unique_local() => "private",
            _ if address.is_unicast_link_local() => "link-local",
            _ => "reserved",
        });
    }
    V6.iter().find(|(network, length, _)| within(*network, *length)).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_lead_inside_are_told_from_public_ones() {
        let cases = [
            ("0.0.0.0", Some("this network")),
            ("0.255.255.255", Some("this network")),
            ("1.0.0.0", None),
            ("9.255.255.255", None),
            ("10.0.0.0", Some("private")),
            ("10.255.255.255", Some("private")),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.0", Some("shared by a carrier")),
            ("100.100.100.200", Some("shared by a carrier")),
            ("100.127.255.255", Some("shared by a carrier")),
            ("100.128.0.0", None),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.254", Some("loopback")),
            ("168.63.129.15", None),
            ("168.63.129.16", Some("cloud metadata")),
            ("169.253.255.255", None),
            ("169.254.169.254", Some("link-local")),
            ("169.254.170.2", Some("link-local")),
            ("172.15.255.255", None),
            ("172.16.0.0", Some("private")),
            ("172.31.255.255", Some("private")),
            ("172.32.0.0", None),
            ("192.0.0.192", Some("protocol assignments")),
            ("192.0.1.0", None),
            ("192.0.2.1", Some("documentation")),
            ("192.31.196.1", Some("AS112")),
            ("192.52.193.1", Some("AMT")),
            ("192.88.99.1", Some("6to4 relay")),
            ("192.167.255.255", None),
            ("192.168.0.1", Some("private")),
            ("192.169.0.0", None),
            ("192.175.48.1", Some("AS112")),
            ("198.17.255.255", None),
            ("198.18.0.0", Some("benchmarking")),
            ("198.19.255.255", Some("benchmarking")),
            ("198.20.0.0", None),
            ("198.51.100.1", Some("documentation")),
            ("203.0.113.1", Some("documentation")),
            ("223.255.255.255", None),
            ("224.0.0.1", Some("multicast")),
            ("239.255.255.255", Some("multicast")),
            ("240.0.0.0", Some("reserved")),
            ("255.255.255.254", Some("reserved")),
            ("255.255.255.255", Some("broadcast")),
            ("8.8.8.8", None),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::2", Some("reserved")),
            ("::7f00:1", Some("reserved")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("::ffff:169.254.169.254", Some("link-local")),
            ("::ffff:10.0.0.1", Some("private")),
            ("::ffff:8.8.8.8", None),
            ("::ffff:0:127.0.0.1", Some("reserved")),
            ("64:ff9b::127.0.0.1", Some("loopback")),
            ("64:ff9b::a9fe:a9fe", Some("link-local")),
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b:1::8.8.8.8", Some("reserved")),
            ("100::1", Some("reserved")),
            ("2001::1", Some("protocol assignments")),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Some("protocol assignments")),
            ("2001:2::1", Some("protocol assignments")),
            ("2001:20::1", Some("protocol assignments")),
            ("2001:1ff:ffff::1", Some("protocol assignments")),
            ("2001:200::1", None),
            ("2001:db7:ffff::1", None),
            ("2001:db8::1", Some("documentation")),
            ("2001:db9::1", None),
            ("2002:7f00:1::", Some("6to4")),
            ("2002:808:808::1", Some("6to4")),
            ("2003::1", None),
            ("2606:4700:4700::1111", None),
            ("2620:4f:8000::1", Some("AS112")),
            ("3ffe::1", Some("reserved")),
            ("3fff:fff::1", Some("documentation")),
            ("3fff:1000::1", None),
            ("4000::1", Some("reserved")),
            ("5f00::1", Some("reserved")),
            ("fc00::1", Some("private")),
            ("fd00:ec2::254", Some("private")),
            ("fe80::1", Some("link-local")),
            ("fec0::1", Some("reserved")),
            ("ff02::1", Some("multicast")),
        ];
        for (address, expected) in cases {
            assert_eq!(special(address.parse().unwrap()), expected, "{address}");
        }
    }

    proptest! {
        #[test]
        fn an_address_inside_another_is_judged_as_itself(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            let [a, b, c, d] = inner.octets();
            let nat64 = Ipv6Addr::from([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]);
            let expected = special(inner.into());
            prop_assert_eq!(special(inner.to_ipv6_mapped().into()), expected);
            prop_assert_eq!(special(nat64.into()), expected);
            prop_assert!(special(Ipv6Addr::from([0x20, 2, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).into()).is_some());
        }

        #[test]
        fn what_the_standard_library_calls_inner_is_never_public(bits: u32, wide: u128) {
            let (four, six) = (Ipv4Addr::from(bits), Ipv6Addr::from(wide));
            let inner = four.is_loopback() || four.is_private() || four.is_link_local() || four.is_multicast()
                || four.is_documentation() || four.is_broadcast() || four.is_unspecified();
            prop_assert!(!inner || special(four.into()).is_some());
            let inner = six.is_loopback() || six.is_multicast() || six.is_unique_local()
                || six.is_unicast_link_local() || six.is_unspecified();
            prop_assert!(!inner || special(six.into()).is_some());
        }
    }
}
