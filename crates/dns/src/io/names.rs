//! Addresses for the rest of the program, in process: [`Resolve`] over the zones served here and the
//! resolver, as a client of this server would get them, without a message.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use doorway_base::{Reader, Verdict, Writer};
use doorway_net::World;
use doorway_net::ground::BoxFuture;
use doorway_net::resolve::{Exchanger, Resolve, ResolveError};

use super::recursion::Recursion;
use crate::authority::counters::Counters;
use crate::authority::{Authority, Carrier, Published};
use crate::resolver::Answer;
use crate::wire::message::MESSAGE_OCTETS_MAX;
use crate::wire::{Class, Message, Name, Question, Rcode, Record, Type};

/// Finds addresses by the resolver, or by the zones alone where there is none. Clones are the same.
#[derive(Debug, Clone)]
pub struct Names {
    world: World,
    recursion: Option<Recursion>,
    zones: Arc<Mutex<(Authority, Vec<u8>)>>,
}

impl Names {
    pub(super) fn new(world: &World, recursion: Option<Recursion>, published: &Published) -> Self {
        let zones = Authority::new(published.clone(), Arc::new(Counters::default()), 1232);
        let zones = Arc::new(Mutex::new((zones, vec![0; MESSAGE_OCTETS_MAX])));
        Self { world: world.clone(), recursion, zones }
    }

    /// The answer to one question: code, records, and why it failed if it did.
    pub async fn ask(&self, name: &Name, kind: Type) -> (Rcode, Vec<Record>, String) {
        let question = Question { name: name.clone(), kind, class: Class::IN };
        let Some(recursion) = &self.recursion else { return self.served(question) };
        match recursion.resolve(question, false, false).await {
            Some(Answer { rcode, answers, extended_error, .. }) => {
                let why = extended_error.into_iter().map(|(_, text)| text).find(|text| !text.is_empty());
                (rcode, answers, why.unwrap_or_else(|| rcode.to_string()))
            }
            None => (Rcode::SERVFAIL, Vec::new(), "too many questions are under way".to_owned()),
        }
    }

    fn served(&self, question: Question) -> (Rcode, Vec<Record>, String) {
        let query = Message { questions: vec![question], ..Message::default() }.to_octets();
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        let (authority, room) = &mut *zones;
        authority.take_up();
        let mut reply = Writer::new(room);
        let answered = query
            .is_some_and(|query| authority.respond(&query, Carrier::Stream, &mut reply) == Verdict::Reply);
        match Message::read(reply.written()) {
            Ok(message) if answered => {
                let why = format!("the zones served here say {}", message.rcode());
                (message.rcode(), message.answers, why)
            }
            _ => (Rcode::SERVFAIL, Vec::new(), "the name fits no message".to_owned()),
        }
    }
}

impl Resolve for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            if let Ok(address) = name.parse() {
                return Ok(vec![address]);
            }
            let name: Name = name.parse().map_err(|_| ResolveError::NoSuchName)?;
            let v4 = self.ask(&name, Type::A).await;
            let v6 = self.ask(&name, Type::AAAA).await;
            let mut addresses: Vec<IpAddr> = v4.1.iter().chain(&v6.1).filter_map(address).collect();
            // What cannot be reached is tried last (RFC 6724 §6, rule 1), and of the rest IPv6 first.
            addresses.sort_by_key(|address| {
                let reached = self.world.reaches((*address, 53).into());
                (!reached, address.is_ipv4())
            });
            match (v4.0, v6.0) {
                _ if !addresses.is_empty() => Ok(addresses),
                (Rcode::NXDOMAIN, _) | (_, Rcode::NXDOMAIN) => Err(ResolveError::NoSuchName),
                (Rcode::NOERROR, Rcode::NOERROR) => Err(ResolveError::NoAddress),
                (Rcode::NOERROR, _) => Err(ResolveError::Unavailable(v6.2)),
                _ => Err(ResolveError::Unavailable(v4.2)),
            }
        })
    }

    fn exchangers<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<Exchanger>, ResolveError>> {
        Box::pin(async move {
            let name: Name = domain.parse().map_err(|_| ResolveError::NoSuchName)?;
            let (rcode, records, why) = self.ask(&name, Type::MX).await;
            exchangers(rcode, &records, why)
        })
    }
}

/// What an answer to a question for MX records says.
///
/// # Errors
/// As [`Resolve::exchangers`] has them.
pub fn exchangers(rcode: Rcode, records: &[Record], why: String) -> Result<Vec<Exchanger>, ResolveError> {
    match rcode {
        Rcode::NOERROR => {}
        Rcode::NXDOMAIN => return Err(ResolveError::NoSuchName),
        _ => return Err(ResolveError::Unavailable(why)),
    }
    let exchangers: Vec<Exchanger> = records.iter().filter_map(exchanger).collect();
    if exchangers.is_empty() { Err(ResolveError::NoAddress) } else { Ok(exchangers) }
}

fn exchanger(record: &Record) -> Option<Exchanger> {
    if record.kind != Type::MX {
        return None;
    }
    let (preference, host) = record.rdata.as_slice().split_first_chunk::<2>()?;
    let host = Name::read(&mut Reader::new(host)).ok()?.to_string();
    Some(Exchanger {
        preference: u16::from_be_bytes(*preference),
        host: host.strip_suffix('.').unwrap_or(&host).to_owned(),
    })
}

fn address(record: &Record) -> Option<IpAddr> {
    match (record.kind, record.rdata.as_slice()) {
        (Type::A, octets) => Some(IpAddr::V4(Ipv4Addr::from(*octets.first_chunk::<4>()?))),
        (Type::AAAA, octets) => Some(IpAddr::V6(Ipv6Addr::from(*octets.first_chunk::<16>()?))),
        _ => None,
    }
}
