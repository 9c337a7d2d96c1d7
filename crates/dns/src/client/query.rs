//! The message of a lookup: RFC 1035 §4.1, RFC 6891, RFC 7873, RFC 8945.

use doorway_base::{Random, UnixTime};

use super::words::{Cookie, Lookup};
use crate::wire::tsig::Chain;
use crate::wire::{Class, Edns, EdnsOption, Flags, Message, Question, Record, Type, edns};

/// A message to be sent, and what its answer is checked against.
#[derive(Debug, Clone)]
pub struct Query {
    /// The message.
    pub octets: Vec<u8>,
    /// Its ID.
    pub id: u16,
    /// The cookie in it, or none.
    pub cookie: Vec<u8>,
    /// What checks the signatures of the answer.
    pub chain: Option<Chain>,
}

impl Query {
    /// The message of `lookup` with a random ID, signed when there is a key; `None` when options are too
    /// many for a message.
    #[must_use]
    pub fn new(lookup: &Lookup, random: &mut Random, now: UnixTime) -> Option<Self> {
        let id = random.next_u64() as u16;
        let cookie = match &lookup.cookie {
            _ if lookup.edns.is_none() => Vec::new(),
            Cookie::Off => Vec::new(),
            Cookie::Random => random.next_u64().to_be_bytes().to_vec(),
            Cookie::Given(octets) => octets.clone(),
        };
        Self::with_cookie(lookup, id, cookie, now)
    }

    /// The same with a cookie that a server gave: RFC 7873 §5.3.
    #[must_use]
    pub fn with_cookie(lookup: &Lookup, id: u16, cookie: Vec<u8>, now: UnixTime) -> Option<Self> {
        let mut flags = u16::from(lookup.opcode & 15) << 11;
        for (on, flag) in [
            (lookup.authoritative, Flags::AA),
            (lookup.recursion, Flags::RD),
            (lookup.authentic, Flags::AD),
            (lookup.checking_disabled, Flags::CD),
            (lookup.reserved, 0x40),
        ] {
            flags |= if on { flag } else { 0 };
        }
        let question = Question { name: lookup.name.clone(), kind: lookup.kind, class: lookup.class };
        let mut message =
            Message { id, flags: Flags(flags), questions: vec![question], ..Message::default() };
        if lookup.kind == Type::IXFR {
            message.authorities.push(known_version(lookup));
        }
        message.edns = lookup.edns.map(|version| Edns {
            udp_octets_max: lookup.udp_octets,
            rcode_high: 0,
            version,
            flags: lookup.edns_flags | if lookup.dnssec { edns::DO } else { 0 },
            options: options(lookup, &cookie),
        });
        let mut octets = message.to_octets()?;
        let chain = lookup.key.as_ref().map(|key| Chain::request(key, &mut octets, now));
        Some(Self { octets, id, cookie, chain })
    }
}

// RFC 1995 §3: a SOA of which only the serial counts.
fn known_version(lookup: &Lookup) -> Record {
    let mut rdata = vec![0; 2];
    rdata.extend(lookup.serial.to_be_bytes());
    rdata.resize(22, 0);
    Record { name: lookup.name.clone(), kind: Type::SOA, class: Class::IN, ttl: 0, rdata }
}

fn options(lookup: &Lookup, cookie: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut add = |option: EdnsOption<'_>| option.write(&mut octets);
    if lookup.server_id {
        add(EdnsOption::NameServerId(&[]));
    }
    if let Some(subnet) = &lookup.subnet {
        add(EdnsOption::ClientSubnet(*subnet));
    }
    if let Some((client, server)) = cookie.split_first_chunk::<8>() {
        add(EdnsOption::Cookie { client: *client, server });
    }
    if lookup.expire {
        add(EdnsOption::Expire(None));
    }
    if lookup.keepalive {
        add(EdnsOption::Keepalive(None));
    }
    for (code, value) in &lookup.options {
        add(EdnsOption::Unknown { code: *code, value });
    }
    octets
}
