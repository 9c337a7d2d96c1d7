//! One message on its way to a server: the commands, in what order they leave, and the verdict on each
//! recipient.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::{RECIPIENTS_MAX, unfit};
use crate::address::{Address, Domain};
use crate::envelope::{BodyType, Envelope, Notify, Recipient, Return};
use crate::reply::{Enhanced, Reply};
use crate::smtp::extension::Capabilities;
use crate::smtp::{Dialect, xtext};

/// A command whose reply matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    /// The end of the content: for this recipient alone (LMTP), or for all.
    End(Option<usize>),
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Transaction {
    unsent: VecDeque<(Command, Vec<u8>)>,
    unanswered: VecDeque<Command>,
    /// The verdict on each recipient, once there is one.
    verdicts: Vec<Option<Reply>>,
    /// Recipients that the server took.
    taken: Vec<usize>,
    sender_refused: bool,
    /// Content has been taken by DATA's 354, or may be sent by BDAT.
    open: bool,
    ended: bool,
    chunked: bool,
    octets: u64,
}

/// Why a message does not fit this server at all.
pub(super) fn refusal(capabilities: &Capabilities, envelope: &Envelope, octets: u64) -> Option<Reply> {
    if envelope.smtputf8 && !capabilities.smtputf8 {
        let text = "the next server does not take UTF-8 in addresses and header fields (SMTPUTF8)";
        return Some(unfit(553, Enhanced(5, 6, 7), text));
    }
    let carries = match envelope.body {
        BodyType::SevenBit => true,
        BodyType::EightBitMime => capabilities.eightbitmime,
        BodyType::BinaryMime => capabilities.binarymime && capabilities.chunking,
    };
    if !carries {
        let text = "the next server does not take the octets of this message (8BITMIME, BINARYMIME)";
        return Some(unfit(554, Enhanced(5, 6, 3), text));
    }
    if capabilities.size.is_some_and(|size| size != 0 && size < octets) {
        return Some(unfit(552, Enhanced(5, 3, 4), "the message is longer than the next server takes"));
    }
    None
}

impl Transaction {
    pub(super) fn new(capabilities: &Capabilities, envelope: &Envelope, octets: u64) -> Self {
        let bound =
            capabilities.recipients_max.map_or(RECIPIENTS_MAX, |max| RECIPIENTS_MAX.min(max as usize));
        let chunked = envelope.body == BodyType::BinaryMime;
        let mut unsent = VecDeque::with_capacity(envelope.recipients.len().min(bound) + 2);
        unsent.push_back((Command::Mail, mail(capabilities, envelope, octets)));
        let mut verdicts = vec![None; envelope.recipients.len()];
        for (index, recipient) in envelope.recipients.iter().enumerate() {
            if index < bound {
                unsent.push_back((Command::Rcpt(index), rcpt(capabilities, recipient, envelope.smtputf8)));
            } else {
                let text = "more recipients than the next server takes at once";
                verdicts[index] = Some(unfit(452, Enhanced(4, 5, 3), text));
            }
        }
        if !chunked {
            unsent.push_back((Command::Data, b"DATA\r\n".to_vec()));
        }
        Self {
            unsent,
            unanswered: VecDeque::new(),
            verdicts,
            taken: Vec::new(),
            sender_refused: false,
            open: false,
            ended: false,
            chunked,
            octets,
        }
    }

    /// Has the server forget an earlier transaction.
    pub(super) fn reset_first(&mut self) {
        self.unsent.push_front((Command::Reset, b"RSET\r\n".to_vec()));
    }

    /// The octets that may leave now: all commands when pipelining, else the next once its predecessor was
    /// answered.
    pub(super) fn transmit(&mut self, pipelining: bool) -> Vec<u8> {
        let mut octets = Vec::new();
        while pipelining || self.unanswered.is_empty() {
            let Some((command, line)) = self.unsent.pop_front() else { break };
            octets.extend_from_slice(&line);
            self.unanswered.push_back(command);
        }
        octets
    }

    /// The command whose reply comes next.
    pub(super) fn expects(&self) -> Option<Command> {
        self.unanswered.front().copied()
    }

    /// Takes the reply to the command that waited longest.
    pub(super) fn answer(&mut self, reply: Reply, dialect: Dialect) {
        match self.unanswered.pop_front() {
            // Whatever it says, MAIL follows, and is refused if the server is not where we think.
            None | Some(Command::Reset) => {}
            Some(Command::Mail) if reply.is_positive() => {}
            Some(Command::Mail) => {
                self.sender_refused = true;
                self.decide(&reply);
                self.unsent.clear();
            }
            Some(Command::Rcpt(index)) => {
                if self.sender_refused {
                } else if reply.is_positive() {
                    self.taken.push(index);
                } else {
                    self.verdicts[index] = Some(reply);
                }
                if self.unsent.front().is_some_and(|(next, _)| *next == Command::Data)
                    && self.taken.is_empty()
                {
                    self.unsent.clear(); // without pipelining DATA need not be said for nobody
                }
            }
            Some(Command::Data) if reply.code == 354 => self.open = true,
            Some(Command::Data) => self.decide(&reply),
            // A reply before its time says that the server wants no more, for all.
            Some(Command::End(Some(index))) if dialect == Dialect::Lmtp => self.verdicts[index] = Some(reply),
            Some(Command::End(_)) => self.decide(&reply),
        }
        if self.unanswered.is_empty() && self.unsent.is_empty() && self.chunked && !self.ended {
            self.open = !self.taken.is_empty() && !self.sender_refused;
        }
    }

    /// Gives everybody who has no verdict this one.
    fn decide(&mut self, reply: &Reply) {
        for verdict in self.verdicts.iter_mut().filter(|verdict| verdict.is_none()) {
            *verdict = Some(reply.clone());
        }
    }

    /// Whether the server waits for content.
    pub(super) const fn is_open(&self) -> bool {
        self.open && !self.ended
    }

    /// Whether anybody is to have the content.
    pub(super) fn is_wanted(&self) -> bool {
        !self.taken.is_empty() && !self.sender_refused
    }

    pub(super) const fn is_chunked(&self) -> bool {
        self.chunked
    }

    /// What BDAT says in front of the content (RFC 3030 §2).
    pub(super) fn announcement(&self) -> Option<Vec<u8>> {
        self.chunked.then(|| format!("BDAT {} LAST\r\n", self.octets).into_bytes())
    }

    /// The content follows, and the replies to it.
    pub(super) fn expect_end(&mut self, dialect: Dialect) {
        self.ended = true;
        if dialect == Dialect::Lmtp && self.is_wanted() {
            self.unanswered.extend(self.taken.iter().map(|index| Command::End(Some(*index))));
        } else {
            self.unanswered.push_back(Command::End(None));
        }
    }

    /// Whether the server may hold part of the transaction.
    pub(super) const fn leaves_rest(&self) -> bool {
        !self.ended && !self.sender_refused
    }

    /// The verdict on each recipient. Who was not spoken of is told to come later.
    pub(super) fn verdicts(self) -> Vec<Reply> {
        let unknown =
            || unfit(451, Enhanced(4, 4, 2), "the server went away before its word on this recipient");
        self.verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(unknown)).collect()
    }
}

fn mail(capabilities: &Capabilities, envelope: &Envelope, octets: u64) -> Vec<u8> {
    let mut line = match &envelope.from {
        Some(address) => format!("MAIL FROM:<{}>", path(address, envelope.smtputf8)),
        None => "MAIL FROM:<>".to_owned(),
    };
    if capabilities.size.is_some() {
        line.push_str(&format!(" SIZE={octets}"));
    }
    match envelope.body {
        BodyType::SevenBit => {}
        BodyType::EightBitMime => line.push_str(" BODY=8BITMIME"),
        BodyType::BinaryMime => line.push_str(" BODY=BINARYMIME"),
    }
    if envelope.smtputf8 {
        line.push_str(" SMTPUTF8");
    }
    let mut line = line.into_bytes();
    if capabilities.dsn {
        match envelope.ret {
            Some(Return::Full) => line.extend_from_slice(b" RET=FULL"),
            Some(Return::Headers) => line.extend_from_slice(b" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &envelope.envid {
            line.extend_from_slice(b" ENVID=");
            xtext::encode(envid, &mut line);
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// An address as this message may have it: without SMTPUTF8 a domain goes in A-labels (RFC 5891 §4.4).
fn path(address: &Address, smtputf8: bool) -> Cow<'_, Address> {
    match address.domain.ascii() {
        Some(ascii) if !smtputf8 && !address.is_ascii() => {
            Cow::Owned(Address { local: address.local.clone(), domain: Domain::Name(ascii) })
        }
        _ => Cow::Borrowed(address),
    }
}

fn rcpt(capabilities: &Capabilities, recipient: &Recipient, smtputf8: bool) -> Vec<u8> {
    let mut line = format!("RCPT TO:<{}>", path(&recipient.address, smtputf8)).into_bytes();
    if capabilities.dsn {
        let Notify { success, failure, delay } = recipient.notify;
        if recipient.notify == Notify::NEVER {
            line.extend_from_slice(b" NOTIFY=NEVER");
        } else if recipient.notify != Notify::default() {
            let wanted = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            let words: Vec<&str> = wanted.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
            line.extend_from_slice(format!(" NOTIFY={}", words.join(",")).as_bytes());
        }
        if let Some((kind, address)) = recipient.orcpt.as_deref().and_then(|orcpt| orcpt.split_once(';')) {
            line.extend_from_slice(format!(" ORCPT={kind};").as_bytes());
            xtext::encode(address, &mut line);
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}
