//! POP3 (RFC 1939) with the extensions of RFC 2449 (CAPA), RFC 2595 (STLS), RFC 5034 (AUTH), RFC 6856 (UTF8)
//! and RFC 3206 (response codes), as a session that only decides: lines in, replies and wishes out.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `command` | [`Command`]: a line, read |
//! | `lines` | [`Lines`]: octets put together to lines, of bounded length |
//! | `session` | [`Session`]: AUTHORIZATION, TRANSACTION and UPDATE as typed states |
//! | `exchange` | AUTH: challenges and responses |
//! | `transaction` | the open maildrop, and what is marked in it |
//! | `listing` | the replies to LIST and UIDL, made piece by piece |
//! | `stuffing` | [`Stuffing`]: a message as it goes out, dots doubled, cut by TOP |
//!
//! Deliberately absent: APOP, which needs the password in clear on our side; LANG, since we speak one
//! language; LOGIN-DELAY, since opening a mailbox is cheap.

mod command;
mod exchange;
mod lines;
mod listing;
mod session;
mod stuffing;
mod transaction;

pub use command::{Command, CommandError};
pub use lines::{Line, Lines};
pub use session::{Input, Output, Policy, Refusal, Session, Verifier};
pub use stuffing::Stuffing;
