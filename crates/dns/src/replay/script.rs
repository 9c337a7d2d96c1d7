//! What a replay script consists of.

use core::net::IpAddr;
use std::fmt;
use std::time::Duration;

use crate::wire::{Class, Message, Question};

/// Why a script is not played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not in the form.
    Malformed {
        /// The line, from 1.
        line: u32,
        /// What was expected.
        expected: String,
    },
    /// It uses what the resolver or this player does not have.
    Unsupported {
        /// The line, from 1; 0 for the script as a whole.
        line: u32,
        /// What.
        what: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, expected } => write!(f, "line {line}: expected {expected}"),
            Self::Unsupported { line: 0, what } => f.write_str(what),
            Self::Unsupported { line, what } => write!(f, "line {line}: {what}"),
        }
    }
}

/// One option in front of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The line.
    pub line: u32,
    /// The clause it stands in: `server`, `stub-zone` …
    pub clause: String,
    /// How many clauses stood before that one.
    pub clause_number: usize,
    /// The option.
    pub key: String,
    /// Its values, without quotes.
    pub values: Vec<String>,
}

/// What of a message is compared with an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Opcode.
    pub opcode: bool,
    /// QTYPE.
    pub qtype: bool,
    /// QNAME.
    pub qname: bool,
    /// QNAME is at or below the entry's.
    pub subdomain: bool,
    /// The question section.
    pub question: bool,
    /// The answer section.
    pub answer: bool,
    /// Everything but TTLs.
    pub all: bool,
    /// TTLs too.
    pub ttl: bool,
    /// The response code.
    pub rcode: bool,
    /// The flags.
    pub flags: bool,
    /// Only over UDP.
    pub udp: bool,
    /// Only over TCP (or TLS).
    pub tcp: bool,
    /// DO is set.
    pub dnssec: bool,
    /// There is no OPT record.
    pub no_edns: bool,
    /// The options in the OPT record are these and no others.
    pub edns_options: bool,
    /// An extended error with this code; `Some(None)` for any.
    pub extended_error: Option<Option<u16>>,
}

/// A message as a script writes it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The line it begins at.
    pub line: u32,
    /// How it is compared.
    pub criteria: Criteria,
    /// The question of the query is put into the reply.
    pub copy_query: bool,
    /// The message.
    pub message: Message,
    /// What is sent in place of it, octet for octet but for the id.
    pub octets: Option<Vec<u8>>,
}

/// What servers answer during some steps.
#[derive(Debug, Clone)]
pub struct Range {
    /// The first step.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// The servers; none for every server.
    pub addresses: Vec<IpAddr>,
    /// Answers; the first that matches is given.
    pub entries: Vec<Entry>,
}

/// What happens in one step.
#[derive(Debug, Clone)]
pub enum Action {
    /// A client asks.
    Query(Box<Entry>, Option<IpAddr>),
    /// The answer to a client is compared.
    CheckAnswer(Box<Entry>),
    /// A query to a server is compared.
    CheckOutQuery(Box<Entry>, Option<IpAddr>),
    /// A server answers a query that is open.
    Reply(Box<Entry>, Option<IpAddr>),
    /// A query that is open is never answered.
    Timeout(Option<IpAddr>),
    /// A query that is open cannot be sent.
    Error(Option<IpAddr>),
    /// Time passes.
    TimePasses(Duration),
    /// Nothing; what is open stays open.
    Nothing,
    /// What ranges can answer is answered, as between all steps.
    Traffic,
    /// What is known about a question is forgotten.
    Flush(Box<Question>),
    /// A server's round-trip time is as given.
    RoundTripTime,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number.
    pub number: u64,
    /// The line.
    pub line: u32,
    /// What happens.
    pub action: Action,
}

/// A whole script.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// What it says it shows.
    pub title: String,
    /// The options.
    pub settings: Vec<Setting>,
    /// The servers.
    pub ranges: Vec<Range>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Script {
    /// The class of a client's question that is not of the Internet, if there is one.
    #[must_use]
    pub fn foreign_class(&self) -> Option<Class> {
        self.steps
            .iter()
            .filter_map(|step| if let Action::Query(entry, _) = &step.action { Some(entry) } else { None })
            .flat_map(|entry| &entry.message.questions)
            .map(|question| question.class)
            .find(|class| *class != Class::IN)
    }
}
