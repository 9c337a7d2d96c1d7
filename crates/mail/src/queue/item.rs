//! What is queued, and the rows it is kept in.
//!
//! | row | what it holds |
//! | --- | --- |
//! | `mail.queue.fresh/ID N` | an item that was never tried; due since it came |
//! | `mail.queue.later/ID N` | an item that was tried, or that somebody holds |
//! | `mail.queue.due/TIME ID N` | nothing: says when a later item is due; held ones have none |
//!
//! ID is the message's name, N the number of the recipient, TIME seconds since 1970. A message that goes
//! out at the first try, as most do, costs one row for each recipient and never an index. Names rise with
//! time, so fresh rows come in the order in which they are due.

use std::sync::Arc;

use bytes::Bytes;
use doorway_base::{Malformed, Reader, UnixTime};
use doorway_store::Key;

use crate::address::Address;
use crate::envelope::{BodyType, Envelope, Notify, Recipient, Return};
use crate::id::MessageId;
use crate::mime::structure::Demands;

pub(crate) const FRESH: &str = "mail.queue.fresh/";
pub(crate) const LATER: &str = "mail.queue.later/";
pub(crate) const DUE: &str = "mail.queue.due/";

/// Longest text of a reply that is kept, in octets.
pub const REPLY_OCTETS_MAX: usize = 1000;

/// A message for other servers, as it is handed to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// Its name.
    pub id: MessageId,
    /// When it came.
    pub at: UnixTime,
    /// Who sends it, and the recipients that are not here.
    pub envelope: Envelope,
    /// Octets at the start of the stored body that are not sent: the Return-Path line of local copies.
    pub skip: u32,
    /// Octets that are sent.
    pub octets: u64,
    /// What the content asks of the way.
    pub demands: Demands,
}

/// What the items of one message have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared {
    /// When the message came.
    pub at: UnixTime,
    /// The reverse-path.
    pub from: Option<Address>,
    /// BODY=
    pub body: BodyType,
    /// SMTPUTF8
    pub smtputf8: bool,
    /// RET=
    pub ret: Option<Return>,
    /// ENVID=
    pub envid: Option<String>,
    /// As in [`QueueEntry::skip`].
    pub skip: u32,
    /// As in [`QueueEntry::octets`].
    pub octets: u64,
    /// As in [`QueueEntry::demands`].
    pub demands: Demands,
}

/// Why the last try did not deliver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Last {
    /// When that was.
    pub at: UnixTime,
    /// The host that answered, or that did not; empty when none was found.
    pub host: String,
    /// Its reply, or what happened instead.
    pub text: String,
}

/// Whether an item waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    /// It goes its way.
    #[default]
    No,
    /// Until it is released.
    Yes,
}

/// One recipient of a queued message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The message's name.
    pub id: MessageId,
    /// The recipient's number, from 0 on.
    pub number: u32,
    /// What its message's items share.
    pub shared: Arc<Shared>,
    /// To whom.
    pub recipient: Recipient,
    /// How often it was tried.
    pub tries: u32,
    /// When it is due; when it came, for one that was never tried.
    pub due: UnixTime,
    /// Whether the sender was told that it takes long.
    pub delay_told: bool,
    /// Whether it waits for a person.
    pub held: Held,
    /// What the last try came to.
    pub last: Option<Last>,
}

impl QueueEntry {
    /// Its items, as they are before the first try.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        let envelope = &self.envelope;
        let shared = Arc::new(Shared {
            at: self.at,
            from: envelope.from.clone(),
            body: envelope.body,
            smtputf8: envelope.smtputf8,
            ret: envelope.ret,
            envid: envelope.envid.clone(),
            skip: self.skip,
            octets: self.octets,
            demands: self.demands,
        });
        let numbered = (0_u32..).zip(&envelope.recipients);
        let item = |(number, recipient): (u32, &Recipient)| Item {
            id: self.id,
            number,
            shared: Arc::clone(&shared),
            recipient: recipient.clone(),
            tries: 0,
            due: self.at,
            delay_told: false,
            held: Held::No,
            last: None,
        };
        numbered.map(item).collect()
    }
}

impl Item {
    /// Whether it has the one row of an item that was never tried.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.tries == 0 && self.held == Held::No && self.last.is_none()
    }

    /// The row it is kept in.
    #[must_use]
    pub fn key(&self) -> Key {
        item_key(if self.is_fresh() { FRESH } else { LATER }, self.id, self.number)
    }

    /// The row that says when it is due; `None` for fresh and held ones.
    #[must_use]
    pub fn due_key(&self) -> Option<Key> {
        (!self.is_fresh() && self.held == Held::No).then(|| due_key(self.due, self.id, self.number))
    }

    /// The row's value.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let shared = &self.shared;
        let mut row = Vec::with_capacity(160);
        let flags = u16::from(shared.smtputf8)
            | u16::from(shared.demands.eight_bit_header) << 1
            | u16::from(shared.demands.eight_bit_body) << 2
            | u16::from(shared.demands.long_line) << 3
            | u16::from(self.recipient.notify.success) << 4
            | u16::from(self.recipient.notify.failure) << 5
            | u16::from(self.recipient.notify.delay) << 6
            | u16::from(self.delay_told) << 7
            | u16::from(self.held == Held::Yes) << 8
            | u16::from(shared.from.is_some()) << 9
            | u16::from(shared.envid.is_some()) << 10
            | u16::from(self.recipient.orcpt.is_some()) << 11
            | u16::from(self.last.is_some()) << 12;
        row.push(1);
        row.extend_from_slice(&flags.to_be_bytes());
        row.push(shared.body as u8);
        row.push(match shared.ret {
            None => 0,
            Some(Return::Full) => 1,
            Some(Return::Headers) => 2,
        });
        row.extend_from_slice(&shared.at.as_nanos().to_be_bytes());
        row.extend_from_slice(&self.due.as_secs().to_be_bytes());
        row.extend_from_slice(&self.tries.to_be_bytes());
        row.extend_from_slice(&shared.skip.to_be_bytes());
        row.extend_from_slice(&shared.octets.to_be_bytes());
        put_text(&mut row, &self.recipient.address.to_string());
        shared.from.iter().for_each(|from| put_text(&mut row, &from.to_string()));
        shared.envid.iter().for_each(|envid| put_text(&mut row, envid));
        self.recipient.orcpt.iter().for_each(|orcpt| put_text(&mut row, orcpt));
        if let Some(last) = &self.last {
            row.extend_from_slice(&last.at.as_nanos().to_be_bytes());
            put_text(&mut row, &last.host);
            put_text(&mut row, &last.text);
        }
        row.into()
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`Malformed`] with the octet of the value that is not as it should be.
    pub fn decode(key: &Key, value: &[u8]) -> Result<Self, Malformed> {
        let (id, number) = place_of(key).ok_or(Malformed::new("the key of an item", 0))?;
        let mut reader = Reader::new(value);
        if reader.u8("form of the item")? != 1 {
            return Err(Malformed::new("a known form of an item", 0));
        }
        let flags = reader.u16("flags")?;
        let flag = |bit: u32| flags & 1 << bit != 0;
        let body = match reader.u8("body type")? {
            0 => BodyType::SevenBit,
            1 => BodyType::EightBitMime,
            2 => BodyType::BinaryMime,
            _ => return Err(reader.malformed("a known body type")),
        };
        let ret = match reader.u8("what to return")? {
            0 => None,
            1 => Some(Return::Full),
            2 => Some(Return::Headers),
            _ => return Err(reader.malformed("what to return")),
        };
        let at = UnixTime::from_nanos(reader.u64("time")?);
        let due = UnixTime::from_secs(reader.u64("due time")?);
        let tries = reader.u32("tries")?;
        let skip = reader.u32("octets to skip")?;
        let octets = reader.u64("octets")?;
        let address = take_address(&mut reader)?;
        let from = flag(9).then(|| take_address(&mut reader)).transpose()?;
        let envid = flag(10).then(|| take_text(&mut reader)).transpose()?;
        let orcpt = flag(11).then(|| take_text(&mut reader)).transpose()?;
        let last = flag(12).then(|| {
            Ok(Last {
                at: UnixTime::from_nanos(reader.u64("time of the last try")?),
                host: take_text(&mut reader)?,
                text: take_text(&mut reader)?,
            })
        });
        let last = last.transpose()?;
        reader.finish("the end of the item")?;
        let demands = Demands { eight_bit_header: flag(1), eight_bit_body: flag(2), long_line: flag(3) };
        let shared = Shared { at, from, body, smtputf8: flag(0), ret, envid, skip, octets, demands };
        let notify = Notify { success: flag(4), failure: flag(5), delay: flag(6) };
        Ok(Self {
            id,
            number,
            shared: Arc::new(shared),
            recipient: Recipient { address, notify, orcpt },
            tries,
            due,
            delay_told: flag(7),
            held: if flag(8) { Held::Yes } else { Held::No },
            last,
        })
    }
}

/// The row of an item under `prefix`.
pub(crate) fn item_key(prefix: &str, id: MessageId, number: u32) -> Key {
    let mut key = Vec::with_capacity(prefix.len() + 12);
    key.extend_from_slice(prefix.as_bytes());
    key.extend_from_slice(&id.0.to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key.into()
}

pub(crate) fn due_key(due: UnixTime, id: MessageId, number: u32) -> Key {
    let mut key = Vec::with_capacity(DUE.len() + 20);
    key.extend_from_slice(DUE.as_bytes());
    key.extend_from_slice(&due.as_secs().to_be_bytes());
    key.extend_from_slice(&id.0.to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key.into()
}

/// The message and recipient that a key of any of the three kinds ends in.
pub(crate) fn place_of(key: &Key) -> Option<(MessageId, u32)> {
    let tail = key.as_octets().last_chunk::<12>()?;
    let (id, number) = tail.split_first_chunk::<8>()?;
    let number = number.first_chunk::<4>()?;
    Some((MessageId(u64::from_be_bytes(*id)), u32::from_be_bytes(*number)))
}

/// Texts are cut at [`REPLY_OCTETS_MAX`]; addresses are shorter.
fn put_text(row: &mut Vec<u8>, text: &str) {
    let end = text.floor_char_boundary(REPLY_OCTETS_MAX);
    row.extend_from_slice(&(end as u16).to_be_bytes());
    row.extend_from_slice(&text.as_bytes()[..end]);
}

fn take_text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let octets = reader.u16("length of a text")?;
    let start = reader.position();
    let text = reader.take(usize::from(octets), "a text")?;
    String::from_utf8(text.to_vec()).map_err(|_| Malformed::new("text in UTF-8", start))
}

fn take_address(reader: &mut Reader<'_>) -> Result<Address, Malformed> {
    let start = reader.position();
    Address::parse(&take_text(reader)?).map_err(|_| Malformed::new("an address", start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Domain;

    fn full() -> Item {
        let shared = Shared {
            at: UnixTime::from_secs(1_795_000_000),
            from: Some(Address::parse("\"a b\"@crepes.fr").unwrap()),
            body: BodyType::EightBitMime,
            smtputf8: true,
            ret: Some(Return::Headers),
            envid: Some("QQ314159".into()),
            skip: 33,
            octets: 1 << 33,
            demands: Demands { eight_bit_header: true, eight_bit_body: false, long_line: true },
        };
        Item {
            id: MessageId(77),
            number: 3,
            shared: Arc::new(shared),
            recipient: Recipient {
                address: Address { local: "用户".into(), domain: Domain::parse("[192.0.2.1]").unwrap() },
                notify: Notify { success: true, failure: false, delay: true },
                orcpt: Some("rfc822;bob@hamburger.edu".into()),
            },
            tries: 9,
            due: UnixTime::from_secs(1_795_000_900),
            delay_told: true,
            held: Held::No,
            last: Some(Last { at: UnixTime::from_nanos(5), host: "mx".into(), text: "450 later".into() }),
        }
    }

    #[test]
    fn an_item_reads_back_and_every_prefix_of_it_is_refused() {
        let item = full();
        let (key, row) = (item.key(), item.encode());
        assert_eq!(Item::decode(&key, &row), Ok(item));
        for length in 0..row.len() {
            assert!(Item::decode(&key, &row[..length]).is_err());
        }
    }

    #[test]
    fn an_item_that_was_never_tried_has_one_row_alone() {
        let recipients =
            ["b@x.test", "c@y.test"].map(|to| Recipient::new(Address::parse(to).unwrap())).to_vec();
        let entry = QueueEntry {
            id: MessageId(1),
            at: UnixTime::from_secs(9),
            envelope: Envelope { recipients, ..Envelope::default() },
            skip: 0,
            octets: 10,
            demands: Demands::default(),
        };
        for (number, item) in (0..).zip(entry.items()) {
            assert_eq!((item.number, item.due_key(), item.is_fresh()), (number, None, true));
            assert_eq!(Item::decode(&item.key(), &item.encode()), Ok(item));
        }
    }

    #[test]
    fn a_held_item_is_never_due() {
        let mut item = full();
        assert!(item.due_key().is_some());
        item.held = Held::Yes;
        assert_eq!(item.due_key(), None);
        assert_eq!(Item::decode(&item.key(), &item.encode()), Ok(item));
    }
}
