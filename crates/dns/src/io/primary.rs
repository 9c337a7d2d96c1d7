//! What is asked of the zones that move: transfers, updates, NOTIFY, and queries that are signed.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use doorway_base::{UnixTime, Verdict, Writer};
use doorway_store::Batch;

use super::transfers::{ChangeError, Inner, Transfers, lock};
use crate::authority::Carrier;
use crate::transfer::grant::allows;
use crate::transfer::notify::Notice;
use crate::transfer::outgoing::{Outgoing, Request};
use crate::update::Update;
use crate::wire::answer::without_records;
use crate::wire::tsig::{self, Chain, Opened};
use crate::wire::{Flags, Header, Message, Name, Opcode, Rcode, Type};

/// Transfers towards others at once, of all zones.
pub const SENDING_MAX: u64 = 100;
/// Octets of an answer over UDP at most.
const DATAGRAM_OCTETS_MAX: usize = 1232;

/// What is sent back.
#[derive(Debug)]
pub enum Reply {
    /// Nothing.
    Silence,
    /// One message.
    One(Vec<u8>),
    /// A transfer, message by message; over a stream only.
    Many(Box<Sending>),
}

/// A transfer on its way out. Dropping it gives its place to another.
#[derive(Debug)]
pub struct Sending {
    outgoing: Outgoing,
    chain: Option<Chain>,
    place: Place,
}

// One of the places that SENDING_MAX bounds.
#[derive(Debug)]
struct Place(Arc<AtomicU64>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Sending {
    /// The next message, ready to be sent; `None` after the last. An error ends the connection.
    ///
    /// # Errors
    /// A record that fits no message.
    pub fn next_message(&mut self, now: UnixTime) -> Result<Option<Vec<u8>>, crate::Error> {
        debug_assert!(self.place.0.load(Relaxed) > 0, "a transfer has its place while it lasts");
        let reserve = self.chain.as_ref().map_or(0, |chain| chain.key().record_octets());
        let message = self.outgoing.next_message(reserve);
        let mut message =
            message.map_err(|too_long| crate::Error::TooLong { record: too_long.0.to_string() })?;
        if let (Some(message), Some(chain)) = (&mut message, &mut self.chain) {
            chain.sign(message, now);
        }
        Ok(message)
    }
}

impl Transfers {
    /// Answers a message that [`takes`](crate::transfer::takes) is true of. UPDATE waits until the store has the change.
    pub async fn answer(&self, message: &[u8], remote: SocketAddr, carrier: Carrier) -> Reply {
        let inner = &*self.0;
        let now = inner.world.wall();
        let (bare, mut chain) = match tsig::open(message, &inner.keys, now) {
            Ok(Opened::Plain) => (message.to_vec(), None),
            Ok(Opened::Signed { message, chain }) => (message, Some(chain)),
            Ok(Opened::Refused(refusal)) => {
                inner.count(&inner.tally.bad_signatures);
                tracing::debug!(%remote, key = %refusal.key(), error = %refusal.error(), "a wrong signature");
                return Reply::One(refusal.answer(message, now));
            }
            Err(_) => return one(without_records(message, Rcode::FORMERR)),
        };
        let reply = inner.reply(&bare, remote, carrier, chain.as_ref().map(|chain| chain.key().name())).await;
        match reply {
            Reply::One(mut answer) => {
                if let Some(chain) = &mut chain {
                    fit(&mut answer, carrier, chain.key().record_octets());
                    // The clock has gone on while the store wrote.
                    chain.sign(&mut answer, inner.world.wall());
                }
                one(answer)
            }
            Reply::Many(mut sending) => {
                sending.chain = chain;
                Reply::Many(sending)
            }
            Reply::Silence => Reply::Silence,
        }
    }
}

fn one(answer: Vec<u8>) -> Reply {
    if answer.is_empty() { Reply::Silence } else { Reply::One(answer) }
}

// Cuts an answer over UDP that its signature would make too long: the question with TC.
fn fit(answer: &mut Vec<u8>, carrier: Carrier, signature_octets: usize) {
    if carrier == Carrier::Datagram && answer.len() + signature_octets > DATAGRAM_OCTETS_MAX {
        let rcode = Flags(u16::from_be_bytes([answer[2], answer[3]])).rcode();
        let (high, low) = (answer[2], answer[3]);
        *answer = without_records(answer, rcode);
        answer[2] = high | (Flags::TC >> 8) as u8;
        answer[3] = low;
    }
}

impl Inner {
    async fn reply(&self, message: &[u8], remote: SocketAddr, carrier: Carrier, key: Option<&Name>) -> Reply {
        let mut reader = doorway_base::Reader::new(message);
        let Ok(header) = Header::read(&mut reader) else { return Reply::Silence };
        match header.flags.opcode() {
            _ if header.flags.has(Flags::QR) => Reply::Silence,
            Opcode::NOTIFY => one(without_records(message, self.notified(message, remote, key))),
            Opcode::UPDATE => one(without_records(message, self.updated(message, remote, key).await)),
            Opcode::QUERY => match Request::read(message) {
                Ok(Some(request)) => self.transfer(request, remote, carrier, key).await,
                Ok(None) => self.query(message, carrier),
                Err(_) => one(without_records(message, Rcode::FORMERR)),
            },
            _ => one(without_records(message, Rcode::NOTIMP)),
        }
    }

    fn query(&self, message: &[u8], carrier: Carrier) -> Reply {
        let mut held = lock(&self.authority);
        let (authority, room) = &mut *held;
        authority.take_up();
        let mut writer = Writer::new(room);
        match authority.respond(message, carrier, &mut writer) {
            Verdict::Reply => Reply::One(writer.written().to_vec()),
            _ => Reply::Silence,
        }
    }

    // RFC 1996 §3.10 and §4: taken from the servers that the zone comes from, or under their key.
    fn notified(&self, message: &[u8], remote: SocketAddr, key: Option<&Name>) -> Rcode {
        let notice = match Message::read(message).and_then(|message| Notice::read(&message)) {
            Ok(Some(notice)) => notice,
            Ok(None) | Err(_) => return Rcode::FORMERR,
        };
        let Some(moving) = self.zones.get(&notice.apex) else { return Rcode::NOTAUTH };
        let from = moving.settings.from();
        let known = from.iter().any(|primary| {
            let same_key = primary.key.as_ref().is_some_and(|own| key == Some(own.name()));
            same_key || primary.address.ip().to_canonical() == remote.ip().to_canonical()
        });
        if !known {
            return Rcode::REFUSED;
        }
        self.count(&self.tally.notified);
        tracing::debug!(zone = %notice.apex, %remote, serial = ?notice.serial, "notified");
        moving.bell.notify_one();
        Rcode::NOERROR
    }

    async fn updated(&self, message: &[u8], remote: SocketAddr, key: Option<&Name>) -> Rcode {
        let update = match Update::read(message) {
            Ok(Some(update)) => update,
            Ok(None) | Err(_) => return Rcode::FORMERR,
        };
        let Some(moving) = self.zones.get(&update.apex) else { return Rcode::NOTAUTH };
        let grants: Vec<_> =
            moving.settings.update.iter().filter(|grant| grant.is_for(remote.ip(), key)).collect();
        let outcome = if grants.is_empty() || self.journal.is_none() {
            Err(ChangeError::Refused(Rcode::REFUSED))
        } else {
            let may = |name: &Name, kind: Type| grants.iter().any(|grant| grant.covers(name, kind));
            self.change_all(&[&update], Batch::new(), may).await
        };
        match outcome {
            Ok(serials) => {
                self.count(&self.tally.updates);
                tracing::debug!(zone = %update.apex, %remote, ?serials, "updated");
                Rcode::NOERROR
            }
            Err(error) => {
                self.count(&self.tally.updates_refused);
                tracing::info!(zone = %update.apex, %remote, %error, "an update is refused");
                match error {
                    ChangeError::NotOurs => Rcode::NOTAUTH,
                    ChangeError::Refused(rcode) => rcode,
                    ChangeError::Unfit(_) => Rcode::REFUSED,
                    ChangeError::Held | ChangeError::Journal(_) => Rcode::SERVFAIL,
                }
            }
        }
    }

    async fn transfer(
        &self,
        request: Request,
        remote: SocketAddr,
        carrier: Carrier,
        key: Option<&Name>,
    ) -> Reply {
        let refused = |rcode| {
            self.count(&self.tally.refused);
            tracing::info!(zone = %request.question.name, %remote, %rcode, "a transfer is refused");
            Reply::One(request.refusal(rcode))
        };
        let Some(moving) = self.zones.get(&request.question.name) else {
            // A zone that is served but that nobody was allowed to transfer.
            let here = self.published.current().named(&request.question.name).is_some();
            return refused(if here { Rcode::REFUSED } else { Rcode::NOTAUTH });
        };
        if !allows(&moving.settings.xfr, remote.ip(), key) {
            return refused(Rcode::REFUSED);
        }
        let state = moving.state.lock().await;
        let zones = self.published.current();
        let Some(zone) = zones.named(&request.question.name).filter(|zone| !zone.is_unavailable()) else {
            return refused(Rcode::SERVFAIL);
        };
        let outgoing = Outgoing::new(request.clone(), Arc::clone(zone), &state.history);
        drop(state);
        match (carrier, request.question.kind) {
            // RFC 5936 §4.2: there is no AXFR over UDP.
            (Carrier::Datagram, Type::AXFR) => refused(Rcode::FORMERR),
            (Carrier::Datagram, _) => {
                self.count(&self.tally.sent);
                let signature = key.and_then(|name| self.keys.iter().find(|key| key.name() == name));
                let octets_max = match &request.edns {
                    None => crate::authority::PLAIN_UDP_OCTETS_MAX,
                    Some(edns) => usize::from(edns.udp_octets_max)
                        .clamp(crate::authority::PLAIN_UDP_OCTETS_MAX, DATAGRAM_OCTETS_MAX),
                };
                Reply::One(outgoing.datagram(octets_max, signature.map_or(0, |key| key.record_octets())))
            }
            (Carrier::Stream, _) => {
                let place = Place(Arc::clone(&self.sending));
                if place.0.fetch_add(1, Relaxed) >= SENDING_MAX {
                    return refused(Rcode::REFUSED);
                }
                self.count(&self.tally.sent);
                let what = if outgoing.is_whole() { "whole" } else { "by its changes" };
                tracing::info!(zone = %request.question.name, %remote, serial = zone.serial(), "zone sent {what}");
                Reply::Many(Box::new(Sending { outgoing, chain: None, place }))
            }
        }
    }
}
