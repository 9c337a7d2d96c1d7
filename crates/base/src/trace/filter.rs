//! Which events a reader wants, in the words people know from packet captures.
//!
//! ```text
//! filter = term { ("and" | "&&" | "") term }
//! term   = ["not" | "!"] ( "port" N | "tcp.port" "==" N | "udp.port" "==" N
//!                        | "host" ADDRESS | "ip.addr" "==" ADDRESS | "tcp" | "udp" | PROTOCOL )
//! ```

use core::net::IpAddr;
use std::str::FromStr;

use super::event::{Event, Transport};

/// Longest filter text that is read, in octets.
const FILTER_OCTETS_MAX: usize = 1024;

/// A conjunction of terms; the empty filter matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<(bool, Term)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Port(Option<Transport>, u16),
    Host(IpAddr),
    Transport(Transport),
    Protocol(String),
}

impl Filter {
    /// Whether `event` passes.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.terms.iter().all(|(wanted, term)| term.matches(event) == *wanted)
    }

    /// The protocols that the filter names. Which ones there are is not known here.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|(_, term)| match term {
            Term::Protocol(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

impl Term {
    fn matches(&self, event: &Event) -> bool {
        let flow = &event.flow;
        match self {
            Self::Port(transport, port) => {
                transport.is_none_or(|t| t == flow.transport)
                    && [flow.local.port(), flow.remote.port(), flow.canonical_port].contains(port)
            }
            Self::Host(address) => [flow.local.ip(), flow.remote.ip()].contains(address),
            Self::Transport(transport) => flow.transport == *transport,
            Self::Protocol(name) => event.protocol == name,
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > FILTER_OCTETS_MAX {
            return Err(format!("a filter has at most {FILTER_OCTETS_MAX} octets"));
        }
        if text.contains("!=") {
            return Err("`!=` is no filter term; write `not port 53` or `not host 127.0.0.1`".to_owned());
        }
        let spaced = text.replace("==", " == ").replace("&&", " and ").replace('!', " not ");
        let mut words = spaced.split_whitespace().peekable();
        let mut terms = Vec::new();
        while let Some(word) = words.next() {
            if word == "and" && !terms.is_empty() {
                continue;
            }
            let (wanted, word) = match word {
                "not" => (false, words.next().ok_or("`not` needs a term after it")?),
                word => (true, word),
            };
            let mut value = |name: &str| {
                words.next_if_eq(&"==");
                words.next().ok_or(format!("`{name}` needs a value, as in `{name} == 53`"))
            };
            let term = match word {
                "port" => Term::Port(None, number(value("port")?)?),
                "tcp.port" => Term::Port(Some(Transport::Tcp), number(value(word)?)?),
                "udp.port" => Term::Port(Some(Transport::Udp), number(value(word)?)?),
                "host" | "ip.addr" | "ipv6.addr" => {
                    let address = value(word)?;
                    let parsed = address.parse().map_err(|_| format!("`{address}` is not an IP address"))?;
                    Term::Host(parsed)
                }
                "tcp" => Term::Transport(Transport::Tcp),
                "udp" => Term::Transport(Transport::Udp),
                name if name.bytes().all(|b| b.is_ascii_alphanumeric()) && name != "or" => {
                    Term::Protocol(name.to_owned())
                }
                other => {
                    return Err(format!(
                        "`{other}` is not a filter term; try `port 53`, `tcp.port == 80`, `host 127.0.0.1`, \
                         `udp`, `dns`, joined with `and` and `not`"
                    ));
                }
            };
            terms.push((wanted, term));
        }
        Ok(Self { terms })
    }
}

fn number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is not a port (0 to 65535)"))
}
