//! Octets to types and back, nothing else: RFC 1035 §4, RFC 3597, RFC 6891.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`name`] | [`Name`]: wire form, compression pointers, order and comparison |
//! | [`text`] | a name in presentation form, both ways, with `\DDD` escapes |
//! | [`code`] | [`Opcode`], [`Rcode`], [`Class`] |
//! | [`rtype`] | [`Type`] and the table that says how each type's RDATA is built |
//! | [`rdata`] | RDATA read, checked, compressed, printed, parsed and made canonical by that table |
//! | [`header`] | the 12 octets in front of every message |
//! | [`edns`] | the OPT pseudo-record |
//! | [`options`] | what stands in it: cookies, client subnets, extended errors … |
//! | [`message`] | whole messages: questions and records |
//! | [`compress`] | names written with pointers to what was written before |
//! | [`answer`] | an answer that has no records |
//! | [`tsig`] | messages signed with a shared secret: RFC 8945 |
//!
//! Not here: what a server does with a message (`authority`).

pub mod answer;
pub mod code;
pub mod compress;
pub mod edns;
pub mod header;
pub mod message;
pub mod name;
pub mod options;
pub mod rdata;
pub mod rtype;
pub mod text;
pub mod tsig;

pub use code::{Class, Opcode, Rcode};
pub use compress::Compressor;
pub use edns::Edns;
pub use header::{Flags, HEADER_OCTETS, Header};
pub use message::{Message, Question, Record};
pub use name::{LABEL_OCTETS_MAX, LABELS_MAX, NAME_OCTETS_MAX, Name};
pub use options::EdnsOption;
pub use rtype::Type;

#[cfg(test)]
mod tests;
