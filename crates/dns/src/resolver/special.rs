//! Names that are never asked of anybody: RFC 6761, RFC 6303, RFC 7686, RFC 8375, RFC 6762 §22.

use std::sync::{Arc, LazyLock};

use super::judge::Link;
use crate::cache::RrSet;
use crate::wire::{Name, Rcode, Type};

/// TTL of what is said about them, in seconds.
const TTL: u32 = 10_800;
/// The SOA's data: nobody maintains these zones (RFC 6303 §3).
const SOA: &str = "localhost. nobody.invalid. 1 3600 1200 604800 10800";

static ZONES: LazyLock<Vec<Name>> = LazyLock::new(|| {
    let plain = [
        "localhost.",
        "invalid.",
        "onion.",
        "test.",
        "local.",
        "home.arpa.",
        "resolver.arpa.",
        "127.in-addr.arpa.",
        "0.in-addr.arpa.",
        "10.in-addr.arpa.",
        "168.192.in-addr.arpa.",
        "254.169.in-addr.arpa.",
        "2.0.192.in-addr.arpa.",
        "100.51.198.in-addr.arpa.",
        "113.0.203.in-addr.arpa.",
        "255.255.255.255.in-addr.arpa.",
        "d.f.ip6.arpa.",
        "8.e.f.ip6.arpa.",
        "9.e.f.ip6.arpa.",
        "a.e.f.ip6.arpa.",
        "b.e.f.ip6.arpa.",
        "8.b.d.0.1.0.0.2.ip6.arpa.",
    ];
    let zeros = "0.".repeat(31);
    let listed = plain.iter().map(ToString::to_string);
    let private = (16..32).map(|octet| format!("{octet}.172.in-addr.arpa."));
    let shared = (64..128).map(|octet| format!("{octet}.100.in-addr.arpa."));
    let alone = [format!("0.{zeros}ip6.arpa."), format!("1.{zeros}ip6.arpa.")];
    listed.chain(private).chain(shared).chain(alone).filter_map(|text| text.parse().ok()).collect()
});

/// What is said about a special name.
#[derive(Debug)]
pub(super) struct Special {
    pub(super) rcode: Rcode,
    pub(super) answer: Vec<Link>,
    pub(super) authority: Vec<Link>,
    /// The zone it belongs to.
    pub(super) zone: Name,
}

/// The special zone a name belongs to.
pub(super) fn zone_of(name: &Name) -> Option<&'static Name> {
    ZONES.iter().find(|zone| name.is_within(zone))
}

/// The answer about a name in a special zone.
pub(super) fn answer(name: &Name, kind: Type, zone: &Name) -> Special {
    let localhost = zone.to_string() == "localhost.";
    let rdata: Option<Vec<u8>> = match kind {
        Type::A if localhost => Some(vec![127, 0, 0, 1]),
        Type::AAAA if localhost => Some([&[0; 15][..], &[1]].concat()),
        Type::PTR if is_loopback_reverse(name) => Some(b"\x09localhost\0".to_vec()),
        Type::SOA if name == zone => Some(soa()),
        Type::NS if name == zone => Some(b"\x09localhost\0".to_vec()),
        _ => None,
    };
    let exists = localhost || name == zone || is_loopback_reverse(name);
    let link = |owner: &Name, kind, rdata: &[u8]| Link {
        set: Arc::new(RrSet::of_one(owner, kind, rdata)),
        ttl: TTL,
    };
    let answer: Vec<Link> = rdata.map(|rdata| link(name, kind, &rdata)).into_iter().collect();
    let authority = if answer.is_empty() { vec![link(zone, Type::SOA, &soa())] } else { Vec::new() };
    let rcode = if exists { Rcode::NOERROR } else { Rcode::NXDOMAIN };
    Special { rcode, answer, authority, zone: zone.clone() }
}

fn is_loopback_reverse(name: &Name) -> bool {
    static NAMES: LazyLock<[Option<Name>; 2]> = LazyLock::new(|| {
        ["1.0.0.127.in-addr.arpa.".to_owned(), format!("1.{}ip6.arpa.", "0.".repeat(31))]
            .map(|text| text.parse().ok())
    });
    NAMES.iter().flatten().any(|loopback| loopback == name)
}

fn soa() -> Vec<u8> {
    let words: Vec<_> = SOA
        .split(' ')
        .map(|word| crate::wire::rdata::Word { text: word.as_bytes(), quoted: false })
        .collect();
    let mut out = Vec::new();
    // The text above is right, which a test sees.
    let _ = crate::wire::rdata::parse(Type::SOA, &words, &Name::root(), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_names_are_answered_here_and_others_are_not() {
        let asked = |text: &str, kind| {
            let name: Name = text.parse().unwrap();
            let said = answer(&name, kind, zone_of(&name)?);
            let data = said.answer.first().map(|link| link.set.data().next().unwrap().to_vec());
            Some((said.rcode, data, said.authority.len()))
        };
        assert_eq!(asked("localhost.", Type::A), Some((Rcode::NOERROR, Some(vec![127, 0, 0, 1]), 0)));
        assert_eq!(asked("a.LOCALHOST.", Type::MX), Some((Rcode::NOERROR, None, 1)));
        assert_eq!(asked("x.invalid.", Type::A), Some((Rcode::NXDOMAIN, None, 1)));
        assert_eq!(asked("4.3.2.10.in-addr.arpa.", Type::PTR), Some((Rcode::NXDOMAIN, None, 1)));
        assert_eq!(asked("1.31.172.in-addr.arpa.", Type::PTR), Some((Rcode::NXDOMAIN, None, 1)));
        assert!(asked("1.0.0.127.in-addr.arpa.", Type::PTR).unwrap().1.is_some());
        assert_eq!(asked("1.32.172.in-addr.arpa.", Type::PTR), None);
        assert_eq!(asked("example.com.", Type::A), None);
        assert!(soa().len() > 30);
    }
}
