//! Names of hosts that have a lease of an address: what is put into zones for them, and what goes when
//! the lease ends. RFC 4701 (DHCID), RFC 4703 (whose name it is).
//!
//! A name belongs to the client whose DHCID record stands there. One with no such record belongs to
//! whoever wrote the zone, and no lease takes it. Not here: leases themselves, which another part keeps,
//! and how an update reaches its zone (`io/lease_names.rs`).

use core::net::{IpAddr, Ipv4Addr};

use aws_lc_rs::digest::{SHA256, digest};

use crate::update::Update;
use crate::wire::{Class, LABEL_OCTETS_MAX, Name, Record, Type};

/// The longest TTL of a name from a lease, in seconds.
pub const TTL_SECONDS_MAX: u32 = 300;
/// The type of DHCID records.
const DHCID: Type = Type(49);
/// SHA-256: RFC 4701 §3.4.
const DIGEST: u8 = 1;

/// An address that a host has for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What the host calls itself, as it said it; it may be anything, or nothing.
    pub host: Option<String>,
    /// The address.
    pub address: IpAddr,
    /// What tells the client from others: its hardware type and address, its client identifier, or its DUID.
    pub client: Vec<u8>,
    /// Which of the three that is: 0, 1 or 2 (RFC 4701 §3.3).
    pub client_kind: u16,
    /// How long the lease is, in seconds.
    pub seconds: u32,
}

/// What is to become of the name of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "as many begin as end")]
pub enum LeaseChange {
    /// The host is to have a name.
    Bound {
        /// The zone that it is to be in.
        apex: Name,
        /// The domain that it is to be right below: the zone itself, or one within it.
        domain: Name,
        /// Its lease.
        lease: Lease,
        /// The name that the lease had, which goes when it is another.
        before: Option<Name>,
    },
    /// The lease has ended.
    Ended {
        /// The zone that its name is in.
        apex: Name,
        /// The name.
        name: Name,
        /// The lease.
        lease: Lease,
    },
}

impl LeaseChange {
    /// The zone of the name.
    #[must_use]
    pub const fn apex(&self) -> &Name {
        match self {
            Self::Bound { apex, .. } | Self::Ended { apex, .. } => apex,
        }
    }

    /// The lease.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        match self {
            Self::Bound { lease, .. } | Self::Ended { lease, .. } => lease,
        }
    }
}

impl Lease {
    /// The label that the host's own name becomes: its letters and digits, lower case, everything else a
    /// hyphen, without the domain. `None` when nothing is left of it.
    #[must_use]
    pub fn host_label(&self) -> Option<String> {
        let first = self.host.as_deref()?.split('.').next()?;
        let mut label = String::new();
        for character in first.chars() {
            match character {
                'a'..='z' | 'A'..='Z' | '0'..='9' => label.push(character.to_ascii_lowercase()),
                _ if label.ends_with('-') => {}
                _ => label.push('-'),
            }
            if label.len() == LABEL_OCTETS_MAX {
                break;
            }
        }
        let label = label.trim_matches('-');
        (!label.is_empty()).then(|| label.to_owned())
    }

    /// The label of a host that has no name of its own: `ip-10-0-0-7`.
    #[must_use]
    pub fn address_label(&self) -> String {
        match self.address {
            IpAddr::V4(address) => format!("ip-{address}").replace('.', "-"),
            IpAddr::V6(address) => {
                let groups = address.segments().map(|group| format!("{group:x}"));
                format!("ip-{}", groups.join("-"))
            }
        }
    }

    /// The TTL of its records: a third of the lease, [`TTL_SECONDS_MAX`] at most.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        (self.seconds / 3).min(TTL_SECONDS_MAX)
    }

    /// The name that leads back from the address to the name.
    #[must_use]
    pub fn reverse_name(&self) -> Name {
        reverse_name(self.address)
    }

    fn record(&self, name: &Name, kind: Type, rdata: Vec<u8>) -> Record {
        Record { name: name.clone(), kind, class: Class::IN, ttl: self.ttl(), rdata }
    }

    fn address_record(&self, name: &Name) -> Record {
        match self.address {
            IpAddr::V4(address) => self.record(name, Type::A, address.octets().to_vec()),
            IpAddr::V6(address) => self.record(name, Type::AAAA, address.octets().to_vec()),
        }
    }

    // RFC 4701 §3.5: the digest is over the identifier and the name, so that it tells nobody else either.
    fn dhcid(&self, name: &Name) -> Record {
        let subject = [&self.client, name.lowered().as_octets()].concat();
        let mut rdata = self.client_kind.to_be_bytes().to_vec();
        rdata.push(DIGEST);
        rdata.extend_from_slice(digest(&SHA256, &subject).as_ref());
        self.record(name, DHCID, rdata)
    }

    /// The updates that give `name` in the zone `apex` to the host, to be tried in this order: the first
    /// takes a free name, the second one that the host has already (RFC 4703 §5.3). When neither is
    /// accepted, the name is another's.
    #[must_use]
    pub fn bind(&self, apex: &Name, name: &Name) -> [Update; 2] {
        let (address, dhcid) = (self.address_record(name), self.dhcid(name));
        let free = Update {
            apex: apex.clone(),
            prerequisites: vec![nothing_at(name)],
            updates: vec![address.clone(), dhcid.clone()],
        };
        let again = Update {
            apex: apex.clone(),
            prerequisites: vec![Record { ttl: 0, ..dhcid.clone() }],
            updates: vec![whole_set(name, address.kind), address, dhcid],
        };
        [free, again]
    }

    /// The update that takes the address from `name`, if it is the host's (RFC 4703 §5.5).
    #[must_use]
    pub fn unbind(&self, apex: &Name, name: &Name) -> Update {
        let gone = |record: Record| Record { ttl: 0, class: Class::NONE, ..record };
        Update {
            apex: apex.clone(),
            prerequisites: vec![Record { ttl: 0, ..self.dhcid(name) }],
            updates: vec![gone(self.address_record(name))],
        }
    }

    /// The update that takes the mark of the host from `name` too, when no address is left there.
    #[must_use]
    pub fn release(&self, apex: &Name, name: &Name) -> Update {
        let none = |kind| Record { class: Class::NONE, ..whole_set(name, kind) };
        Update {
            apex: apex.clone(),
            prerequisites: vec![Record { ttl: 0, ..self.dhcid(name) }, none(Type::A), none(Type::AAAA)],
            updates: vec![Record { ttl: 0, class: Class::NONE, ..self.dhcid(name) }],
        }
    }

    /// The update that gives the address its name in the reverse zone `apex`.
    #[must_use]
    pub fn point(&self, apex: &Name, name: &Name) -> Update {
        let reverse = self.reverse_name();
        let pointer = self.record(&reverse, Type::PTR, name.as_octets().to_vec());
        let updates = vec![whole_set(&reverse, Type::PTR), pointer];
        Update { apex: apex.clone(), prerequisites: Vec::new(), updates }
    }

    /// The update that takes that name away again.
    #[must_use]
    pub fn unpoint(&self, apex: &Name) -> Update {
        let updates = vec![whole_set(&self.reverse_name(), Type::PTR)];
        Update { apex: apex.clone(), prerequisites: Vec::new(), updates }
    }
}

// As a prerequisite: the name is not in use. As an update: every record of it goes.
fn nothing_at(name: &Name) -> Record {
    Record { class: Class::NONE, ..whole_set(name, Type::ANY) }
}

fn whole_set(name: &Name, kind: Type) -> Record {
    Record { name: name.clone(), kind, class: Class::ANY, ttl: 0, rdata: Vec::new() }
}

/// The zones that hold the names of the addresses of a network: one for each 8, 16 or 24 bits that it covers,
/// so at most 128, and one of 24 bits for a smaller network.
#[must_use]
pub fn reverse_zones(network: Ipv4Addr, prefix: u8) -> Vec<Name> {
    let octets = usize::from(prefix).div_ceil(8).clamp(1, 3);
    let zone_bits = octets as u32 * 8;
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    let first = network.to_bits() & mask;
    let count = 1 << zone_bits.saturating_sub(u32::from(prefix));
    let zone = |number: u32| {
        let address = Ipv4Addr::from_bits(first.wrapping_add(number << (32 - zone_bits)));
        let mut name = reverse_name(address.into());
        for _ in octets..4 {
            name = name.parent()?;
        }
        Some(name)
    };
    (0..count).filter_map(zone).collect()
}

/// The name below `in-addr.arpa` or `ip6.arpa` that leads back from `address`: RFC 1035 §3.5, RFC 3596 §2.5.
#[must_use]
pub fn reverse_name(address: IpAddr) -> Name {
    let labels: Vec<String> = match address {
        IpAddr::V4(address) => address.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev();
            nibbles.flat_map(|octet| [octet & 15, octet >> 4]).map(|nibble| format!("{nibble:x}")).collect()
        }
    };
    let zone: &[&str] = if address.is_ipv4() { &["in-addr", "arpa"] } else { &["ip6", "arpa"] };
    let labels = labels.iter().map(|label| label.as_bytes()).chain(zone.iter().map(|label| label.as_bytes()));
    Name::from_labels(labels).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(host: &str, address: &str) -> Lease {
        let host = (!host.is_empty()).then(|| host.to_owned());
        Lease {
            host,
            address: address.parse().unwrap(),
            client: vec![1, 2, 3],
            client_kind: 1,
            seconds: 3600,
        }
    }

    #[test]
    fn a_host_name_becomes_a_label_or_the_address_does() {
        for (host, label) in [
            ("Laptop", Some("laptop")),
            ("Ann's iPhone (2)", Some("ann-s-iphone-2")),
            ("pc.lan.example.org", Some("pc")),
            ("_x__y_", Some("x-y")),
            ("日本", None),
            ("---", None),
            ("", None),
        ] {
            assert_eq!(lease(host, "10.0.0.7").host_label().as_deref(), label, "{host}");
        }
        let long = lease(&"x".repeat(300), "10.0.0.7").host_label().unwrap();
        assert_eq!(long.len(), LABEL_OCTETS_MAX);
        assert_eq!(lease("", "10.0.0.7").address_label(), "ip-10-0-0-7");
        assert_eq!(lease("", "2001:db8::7").address_label(), "ip-2001-db8-0-0-0-0-0-7");
    }

    #[test]
    fn an_address_has_its_name_in_reverse() {
        assert_eq!(lease("", "10.0.0.7").reverse_name().to_string(), "7.0.0.10.in-addr.arpa.");
        let six = lease("", "2001:db8::1").reverse_name().to_string();
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa."), "{six}");
    }

    #[test]
    fn a_network_has_its_zones_in_reverse() {
        for (network, prefix, count, first, last) in [
            ("10.77.0.0", 16, 1, "77.10.in-addr.arpa.", "77.10.in-addr.arpa."),
            ("192.168.4.9", 22, 4, "4.168.192.in-addr.arpa.", "7.168.192.in-addr.arpa."),
            ("192.0.2.128", 25, 1, "2.0.192.in-addr.arpa.", "2.0.192.in-addr.arpa."),
            ("10.0.0.0", 8, 1, "10.in-addr.arpa.", "10.in-addr.arpa."),
            ("172.16.0.0", 12, 16, "16.172.in-addr.arpa.", "31.172.in-addr.arpa."),
        ] {
            let zones = reverse_zones(network.parse().unwrap(), prefix);
            let text = |name: Option<&Name>| name.map(Name::to_string).unwrap_or_default();
            assert_eq!(
                (zones.len(), text(zones.first()), text(zones.last())),
                (count, first.into(), last.into())
            );
        }
    }

    #[test]
    fn the_mark_of_a_client_is_the_one_of_the_standard() {
        // RFC 4701 §3.6.1: a DUID and chi6.example.com.
        let client = vec![0, 1, 0, 6, 0x41, 0x2d, 0xf1, 0x66, 1, 2, 3, 4, 5, 6];
        let lease = Lease { client, client_kind: 2, ..lease("", "2001:db8::1234:5678") };
        let dhcid = lease.dhcid(&"chi6.example.com".parse().unwrap());
        let text = crate::wire::rdata::base64(&dhcid.rdata).to_string();
        assert_eq!(text, "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=");
    }

    #[test]
    fn a_short_lease_has_a_short_ttl() {
        assert_eq!(lease("", "10.0.0.7").ttl(), 300);
        assert_eq!(Lease { seconds: 60, ..lease("", "10.0.0.7") }.ttl(), 20);
    }
}
