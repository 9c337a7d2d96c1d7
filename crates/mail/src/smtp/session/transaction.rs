//! One message at a door: its sender, its recipients, its content, and what becomes of it (RFC 5321 §3.3,
//! RFC 3030 §2, RFC 2033 §4.2).

use super::{Output, Session, State, Transaction};
use crate::address::Address;
use crate::envelope::{BodyType, Envelope, Recipient};
use crate::reply::{Enhanced, Reply};
use crate::smtp::Dialect;
use crate::smtp::command::{Mail, Rcpt, needs_utf8};
use crate::smtp::data::{Flaw, Form};

impl Session {
    pub(super) fn mail(&mut self, mail: Mail) -> State {
        if let Some(reply) = self.options.bars(&self.peer, &self.origin) {
            return self.refuse(reply, State::Ready);
        }
        if self.messages >= self.options.messages_max {
            return self.part(Reply::new(421, Enhanced(4, 5, 3), "enough messages over one connection"));
        }
        if mail.octets > self.options.octets_max {
            let reply = Reply::new(552, Enhanced(5, 3, 4), "the message is longer than is taken here (SIZE)");
            return self.refuse(reply, State::Ready);
        }
        if mail.body == BodyType::BinaryMime && !self.peer.chunking {
            return self
                .refuse(Reply::new(555, Enhanced(5, 5, 4), "BINARYMIME is not taken here"), State::Ready);
        }
        let envelope = Envelope {
            from: mail.from,
            recipients: Vec::new(),
            body: mail.body,
            smtputf8: mail.smtputf8,
            ret: mail.ret,
            envid: mail.envid,
        };
        self.origin.protocol = self.options.protocol(self.extended, &self.peer, &self.origin, mail.smtputf8);
        self.outputs.push_back(Output::Sender);
        State::Sender(Transaction { envelope, announced: mail.octets })
    }

    pub(super) fn rcpt(&mut self, transaction: Transaction, rcpt: Rcpt) -> State {
        if transaction.envelope.recipients.len() >= self.options.recipients_max as usize {
            let reply = Reply::new(452, Enhanced(4, 5, 3), "too many recipients for one message");
            return self.refuse(reply, State::Envelope(transaction));
        }
        let address = rcpt.to.unwrap_or_else(|| Address {
            local: "postmaster".to_owned(),
            domain: self.options.postmaster_domain.clone(),
        });
        if !transaction.envelope.smtputf8 && !address.is_ascii() {
            return self.refuse(needs_utf8(), State::Envelope(transaction));
        }
        self.outputs.push_back(Output::Recipient);
        State::Recipient(transaction, Recipient { address, notify: rcpt.notify, orcpt: rcpt.orcpt })
    }

    pub(super) fn data(&mut self, transaction: Transaction) -> State {
        if transaction.envelope.recipients.is_empty() {
            return self.nobody(transaction);
        }
        if transaction.envelope.body == BodyType::BinaryMime {
            // RFC 3030 §3.
            return self.out_of_order("BINARYMIME comes by BDAT alone", State::Envelope(transaction));
        }
        self.reply(Reply::plain(354, "send the message, and end it with CRLF . CRLF"));
        self.outputs.push_back(Output::Content);
        State::Content(transaction)
    }

    fn nobody(&mut self, transaction: Transaction) -> State {
        // RFC 2033 §4.2 names the code; RFC 5321 §3.3 leaves the choice.
        let code = if self.options.dialect == Dialect::Lmtp { 503 } else { 554 };
        let reply = Reply::new(code, Enhanced(5, 5, 1), "no recipient was taken");
        self.refuse(reply, State::Envelope(transaction))
    }

    pub(super) fn chunk(&mut self, state: State, octets: u64, last: bool) -> State {
        let (transaction, first) = match state {
            State::Envelope(transaction)
                if !transaction.envelope.recipients.is_empty() && self.peer.chunking =>
            {
                (transaction, true)
            }
            State::Chunks(transaction) => (transaction, false),
            // The octets follow all the same (RFC 3030 §2).
            state => {
                self.outputs.push_back(Output::Discard(octets));
                return match state {
                    _ if !self.peer.chunking => {
                        self.refuse(Reply::new(502, Enhanced(5, 5, 1), "there is no BDAT here"), state)
                    }
                    State::Envelope(transaction) => self.nobody(transaction),
                    state => self.out_of_order("MAIL and RCPT come first", state),
                };
            }
        };
        let form = match transaction.envelope.body {
            BodyType::BinaryMime => Form::Binary,
            _ => Form::Lines,
        };
        self.outputs.push_back(Output::Chunk { octets, first, last, form });
        State::Content(transaction)
    }

    /// The content is whole, or spoilt.
    pub(super) fn content(&mut self, transaction: Transaction, outcome: Result<(), Flaw>) -> State {
        self.messages += 1;
        let recipients = transaction.envelope.recipients.len();
        match outcome {
            Ok(()) => {
                self.whole = transaction.envelope;
                self.outputs.push_back(Output::Message);
                State::Keeping { recipients }
            }
            Err(flaw) => self.spoilt(recipients, flaw),
        }
    }

    pub(super) fn spoilt(&mut self, recipients: usize, flaw: Flaw) -> State {
        let reply = match flaw {
            Flaw::BareCr => {
                Reply::new(550, Enhanced(5, 6, 0), "CR without LF in the message (RFC 5321 section 2.3.8)")
            }
            Flaw::BareLf => {
                Reply::new(550, Enhanced(5, 6, 0), "LF without CR in the message (RFC 5321 section 2.3.8)")
            }
            Flaw::Nul => Reply::new(550, Enhanced(5, 6, 0), "NUL in the message (RFC 5322 section 2.2)"),
            Flaw::TooLong => {
                Reply::new(552, Enhanced(5, 3, 4), "the message is longer than is taken here (SIZE)")
            }
        };
        self.finish(recipients, reply)
    }

    /// The message has its reply; under LMTP each recipient has it.
    pub(super) fn finish(&mut self, recipients: usize, reply: Reply) -> State {
        let replies = if self.options.dialect == Dialect::Lmtp { recipients } else { 1 };
        for _ in 1..replies {
            self.reply(reply.clone());
        }
        let state = match () {
            () if reply.code == 421 => return self.part(reply),
            () if reply.is_positive() => {
                self.reply(reply);
                State::Ready
            }
            () => self.refuse(reply, State::Ready),
        };
        match state {
            State::Ready if self.draining => self.leave(),
            state => state,
        }
    }
}
