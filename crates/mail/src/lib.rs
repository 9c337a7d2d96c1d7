//! Mail: messages in by SMTP and LMTP, kept in mailboxes or passed on by the queue, out by POP3.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `address` | [`Address`]: a local part and a domain, as RFC 5321 writes them |
//! | `envelope` | [`Envelope`]: who sends to whom, apart from what the message's own header says |
//! | `reply` | [`Reply`]: three digits, an enhanced code, a text |
//! | `id` | [`MessageId`]: names a message in this store |
//! | `mailbox` | [`mailbox`]: folders, messages, flags, and what each row of them means |
//! | `pop3` | [`pop3::Session`]: RFC 1939 as a session that only decides |
//! | `io/bodies` | [`Bodies`]: the octets of a message, kept once however many refer to them |
//! | `io/mailboxes` | [`io::Mailboxes`]: accounts, folders and messages over the store |
//! | `io/pop3_server` | [`io::Pop3Server`]: the doors of POP3 |
//! | `io/intake` | [`Intake`]: what takes messages from the doors and answers for them |
//!
//! Deliberately absent: IMAP, message authentication (SPF, DKIM, DMARC), filters and web mail.

#![forbid(unsafe_code)]

pub mod address;
pub mod envelope;
pub mod id;
pub mod io;
pub mod mailbox;
pub mod pop3;
pub mod reply;

pub use address::{Address, Domain};
pub use envelope::{BodyType, Envelope, Notify, Recipient, Return};
pub use id::{MessageId, MessageIds};
pub use reply::{Enhanced, Reply};
