//! A query as it is sent, and whether a message is the answer to it: RFC 5452 §9, RFC 6891, RFC 7873.

use core::net::SocketAddr;

use doorway_base::{Instant, Random};

use super::event::Transport;
use crate::wire::{Class, Flags, HEADER_OCTETS, Name, Type};

/// The option that carries cookies.
const COOKIE: u16 = 10;
/// Messages that are not the answer, after which a query over UDP is given up for TCP.
pub(super) const MISMATCHES_MAX: u8 = 2;

/// A query under way.
#[derive(Debug)]
pub(super) struct Sent {
    /// The job it is for.
    pub(super) job: u64,
    /// The server.
    pub(super) to: SocketAddr,
    /// What carries it.
    pub(super) transport: Transport,
    /// The name as it was sent, letter case and all.
    pub(super) name: Name,
    /// QTYPE.
    pub(super) kind: Type,
    /// The id.
    pub(super) id: u16,
    /// The flags: RD or none.
    pub(super) flags: u16,
    /// Whether it has an OPT record.
    pub(super) edns: bool,
    /// The client cookie in it.
    pub(super) cookie: Option<[u8; 8]>,
    /// Whether the letter case is random and must come back.
    pub(super) random_case: bool,
    /// Messages that came and were not the answer.
    pub(super) mismatches: u8,
    /// Of those, the ones that differed in letter case alone.
    pub(super) case_mismatches: u8,
    /// The server refused the cookie of the one before.
    pub(super) cookie_refused: bool,
    /// When it was sent.
    pub(super) at: Instant,
    /// When it is given up.
    pub(super) until: Instant,
    /// Whether the name was cut short (RFC 9156).
    pub(super) minimised: bool,
}

/// What goes into the OPT record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opt<'a> {
    /// Our UDP payload size.
    pub(super) octets: u16,
    /// DO.
    pub(super) dnssec: bool,
    /// Our cookie, and the server's.
    pub(super) cookie: Option<([u8; 8], &'a [u8])>,
}

/// The octets of a query.
pub(super) fn octets(id: u16, flags: u16, name: &Name, kind: Type, opt: Option<Opt<'_>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_OCTETS + name.as_octets().len() + 4 + 11 + 44);
    let additionals = u16::from(opt.is_some());
    for field in [id, flags, 1, 0, 0, additionals] {
        out.extend(field.to_be_bytes());
    }
    out.extend_from_slice(name.as_octets());
    out.extend(kind.0.to_be_bytes());
    out.extend(Class::IN.0.to_be_bytes());
    if let Some(opt) = opt {
        out.push(0);
        out.extend(Type::OPT.0.to_be_bytes());
        out.extend(opt.octets.to_be_bytes());
        out.extend([0, 0, if opt.dnssec { 0x80 } else { 0 }, 0]);
        match opt.cookie {
            None => out.extend([0, 0]),
            Some((ours, theirs)) => {
                let length = 8 + theirs.len() as u16;
                out.extend((length + 4).to_be_bytes());
                out.extend(COOKIE.to_be_bytes());
                out.extend(length.to_be_bytes());
                out.extend(ours);
                out.extend_from_slice(theirs);
            }
        }
    }
    out
}

/// The name with random letter case.
pub(super) fn with_random_case(name: &Name, random: &mut Random) -> Name {
    let mut octets = [0; crate::wire::NAME_OCTETS_MAX];
    let length = name.as_octets().len();
    let octets = &mut octets[..length];
    octets.copy_from_slice(name.as_octets());
    let mut bits = 0;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index % 64 == 0 {
            bits = random.next_u64();
        }
        // Length octets are below 64 and so never letters.
        if octet.is_ascii_alphabetic() && bits >> (index % 64) & 1 == 1 {
            *octet ^= 0x20;
        }
    }
    Name::from_wire(octets).unwrap_or_else(|_| name.clone())
}

/// The message with the name in its question in lower case.
pub(super) fn with_plain_case(message: &[u8]) -> Vec<u8> {
    let mut plain = message.to_vec();
    let mut at = HEADER_OCTETS;
    while let Some(&length @ 1..=63) = plain.get(at) {
        let end = (at + 1 + usize::from(length)).min(plain.len());
        plain[at + 1..end].make_ascii_lowercase();
        at = end;
    }
    plain
}

/// How a message stands to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// It is the answer.
    Answer,
    /// It would be, but for the letter case of the name.
    OtherCase,
    /// It is not.
    No,
}

/// Compares id, QR, and the question octet for octet.
pub(super) fn compare(sent: &Sent, octets: &[u8]) -> Match {
    let Some((head, rest)) = octets.split_first_chunk::<HEADER_OCTETS>() else { return Match::No };
    let flags = Flags(u16::from_be_bytes([head[2], head[3]]));
    if head[..2] != sent.id.to_be_bytes() || !flags.has(Flags::QR) || flags.opcode().0 != 0 {
        return Match::No;
    }
    if head[4..6] == [0, 0] {
        // Servers that do not understand a query may leave the question out (RFC 6891 §7).
        return if matches!(flags.rcode().0, 1 | 4 | 5) { Match::Answer } else { Match::No };
    }
    let name = sent.name.as_octets();
    let Some((theirs, tail)) = rest.split_at_checked(name.len()) else { return Match::No };
    let [a, b] = sent.kind.0.to_be_bytes();
    let [c, d] = Class::IN.0.to_be_bytes();
    if head[4..6] != [0, 1] || !tail.starts_with(&[a, b, c, d]) || !theirs.eq_ignore_ascii_case(name) {
        return Match::No;
    }
    if sent.random_case && theirs != name { Match::OtherCase } else { Match::Answer }
}
