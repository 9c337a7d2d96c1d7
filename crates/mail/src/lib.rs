//! Mail: messages in by SMTP and LMTP, kept in mailboxes or passed on by the queue, out by POP3.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `address` | [`Address`]: a local part and a domain, as RFC 5321 writes them |
//! | `config` | what the operator says: [`config::SECTIONS`] |
//! | `directory` | [`directory::Directory`]: whose address it is |
//! | `envelope` | [`Envelope`]: who sends to whom, apart from what the message's own header says |
//! | `reply` | [`Reply`]: three digits, an enhanced code, a text |
//! | `id` | [`MessageId`]: names a message in this store |
//! | `sasl` | ways to prove who one is: PLAIN, LOGIN, SCRAM-SHA-256 |
//! | `smtp` | SMTP and LMTP, both ends, as far as they only decide |
//! | `archive` | [`archive`]: Maildir and mbox, in which mailboxes are handed over |
//! | `mailbox` | [`mailbox`]: folders, messages, flags, and what each row of them means |
//! | `pop3` | [`pop3::Session`]: RFC 1939 as a session that only decides |
//! | `mime` | what is in a message: structure, header fields, encodings; building messages |
//! | `office` | what a message passes between the door and where it is kept |
//! | `queue` | messages for other servers: items, schedule, routes, reports |
//! | `io/bodies` | [`Bodies`]: the octets of a message, kept once however many refer to them |
//! | `io/mailboxes` | [`io::Mailboxes`]: accounts, folders and messages over the store |
//! | `io/pop3_server` | [`io::Pop3Server`]: the doors of POP3 |
//! | `io/intake` | [`Intake`]: what takes messages from the doors and answers for them |
//! | `io/queue` | the queue over the store, and what works it off |
//!
//! Deliberately absent: IMAP, message authentication (SPF, DKIM, DMARC), filters and web mail.

#![forbid(unsafe_code)]

pub mod address;
pub mod archive;
pub mod config;
pub mod directory;
pub mod envelope;
pub mod id;
pub mod io;
pub mod mailbox;
pub mod mime;
pub mod office;
pub mod pop3;
pub mod queue;
pub mod reply;
pub mod sasl;
pub mod smtp;

pub use address::{Address, Domain};
pub use envelope::{BodyType, Envelope, Notify, Recipient, Return};
pub use id::{MessageId, MessageIds};
pub use reply::{Enhanced, Reply};
