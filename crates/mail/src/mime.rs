//! MIME: what is in a message. Reading never fails; any octets have a structure (RFC 5322, RFC 2045 to
//! RFC 2049, RFC 2231).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `scanner` | [`Scanner`]: finds the parts of a message, piece by piece |
//! | `structure` | [`Structure`]: what was found, and its record |
//! | `header` | fields and their values as text |
//! | `word`, `parameter`, `address_list`, `date` | what is in values |
//! | `base64`, `quoted_printable`, `charset` | encodings and character sets |
//! | `build` | writing messages |
//! | `down` | messages made fit for servers that take ASCII alone |
//!
//! Deliberately absent: messages in parts and external bodies (RFC 2046 §5.2.2, §5.2.3), which are content to
//! us, and signatures.

pub mod address_list;
pub mod base64;
pub mod build;
pub mod charset;
pub mod date;
pub mod down;
pub mod header;
pub mod parameter;
pub mod quoted_printable;
pub mod scanner;
pub mod structure;
pub mod word;

pub use scanner::{Scanner, structure};
pub use structure::{Demands, Structure};

use structure::{Encoding, Part};

/// The content of a part, its encoding undone. That of a multipart or an inner message is its body as it
/// is.
#[must_use]
pub fn content(part: &Part, message: &[u8]) -> Vec<u8> {
    let body = part.body.of(message);
    match part.encoding {
        Encoding::Base64 if part.kind == structure::Kind::Leaf => base64::decode(body),
        Encoding::QuotedPrintable if part.kind == structure::Kind::Leaf => quoted_printable::decode(body),
        _ => body.to_vec(),
    }
}

/// The text of a text part, whatever its encoding and character set, lines ending as they were sent.
#[must_use]
pub fn text(part: &Part, message: &[u8]) -> String {
    charset::decode(part.media_type.parameter("charset").unwrap_or_default(), &content(part, message))
}
