//! The envelope: who sends to whom and what they want to hear of it. It travels in SMTP commands, apart
//! from the header of the message (RFC 5321 §2.3.1).

use crate::address::Address;

/// What MAIL FROM and RCPT TO say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Where failures are reported; `None` for the null reverse-path `<>`, which nobody reports to.
    pub from: Option<Address>,
    /// To whom the message goes.
    pub recipients: Vec<Recipient>,
    /// What octets the message may hold (BODY=, RFC 6152 and RFC 3030).
    pub body: BodyType,
    /// Whether addresses or header fields may hold UTF-8 (SMTPUTF8, RFC 6531).
    pub smtputf8: bool,
    /// How much of the message a report returns (RET=, RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// The sender's name for this transaction (ENVID=, RFC 3461 §4.4), decoded from xtext; at most 100
    /// octets.
    pub envid: Option<String>,
}

/// One RCPT TO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address.
    pub address: Address,
    /// What the sender wants to hear (NOTIFY=, RFC 3461 §4.1).
    pub notify: Notify,
    /// The address as the sender first had it (ORCPT=, RFC 3461 §4.2): type, `;`, and the address decoded
    /// from xtext.
    pub orcpt: Option<String>,
}

impl Recipient {
    /// A recipient without wishes.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, notify: Notify::default(), orcpt: None }
    }
}

/// Of which events a report is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    /// When the message was delivered.
    pub success: bool,
    /// When it never will be.
    pub failure: bool,
    /// When it takes long.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
}

impl Default for Notify {
    /// Without NOTIFY, failures are reported and delays may be (RFC 3461 §4.1).
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

/// How much of a message its report returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

/// The octets that a message was announced to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum BodyType {
    /// ASCII in lines.
    #[default]
    SevenBit,
    /// Any octets but NUL, CR and LF alone, in lines.
    EightBitMime,
    /// Any octets, carried by BDAT alone.
    BinaryMime,
}
