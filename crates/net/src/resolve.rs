//! The plug through which every part asks for names, without knowing who answers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use crate::ground::BoxFuture;

/// Finds the addresses of names. The DNS part implements it in process; [`Hosts`] does from a table.
pub trait Resolve: Send + Sync {
    /// The addresses of `name`, IPv6 and IPv4, in the order they should be tried.
    ///
    /// `name` is an absolute host name without the final dot, in ASCII.
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>>;

    /// The hosts that take mail for `domain` (its MX records, RFC 5321 §5.1), as they were found:
    /// neither sorted nor shuffled. [`ResolveError::NoAddress`] when the domain has no MX record.
    fn exchangers<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<Exchanger>, ResolveError>>;
}

/// A host that takes mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchanger {
    /// The smaller, the sooner it is tried.
    pub preference: u16,
    /// Its name, without the final dot; empty for the null MX, which says that the domain takes no mail
    /// (RFC 7505).
    pub host: String,
}

/// Why a name has no addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// The name does not exist (NXDOMAIN): asking again will not help.
    NoSuchName,
    /// The name exists but has no address (NODATA).
    NoAddress,
    /// No answer could be had; try later.
    Unavailable(String),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName => f.write_str("there is no such name"),
            Self::NoAddress => f.write_str("the name has no address"),
            Self::Unavailable(why) => write!(f, "no name server answered: {why}"),
        }
    }
}

impl std::error::Error for ResolveError {}

/// A table of names, as in a hosts file. Names are compared without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: BTreeMap<String, Vec<IpAddr>>,
    exchangers: BTreeMap<String, Vec<Exchanger>>,
}

impl Hosts {
    /// Adds an address to a name.
    pub fn add(&mut self, name: &str, address: IpAddr) {
        self.names.entry(name.to_ascii_lowercase()).or_default().push(address);
    }

    /// Adds a host that takes mail for a domain.
    pub fn add_exchanger(&mut self, domain: &str, preference: u16, host: &str) {
        let exchanger = Exchanger { preference, host: host.to_owned() };
        self.exchangers.entry(domain.to_ascii_lowercase()).or_default().push(exchanger);
    }
}

impl Resolve for Hosts {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            if let Ok(address) = name.parse() {
                return Ok(vec![address]);
            }
            self.names.get(&name.to_ascii_lowercase()).cloned().ok_or(ResolveError::NoSuchName)
        })
    }

    fn exchangers<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<Exchanger>, ResolveError>> {
        Box::pin(async move {
            let domain = domain.to_ascii_lowercase();
            match self.exchangers.get(&domain) {
                Some(exchangers) => Ok(exchangers.clone()),
                None if self.names.contains_key(&domain) => Err(ResolveError::NoAddress),
                None => Err(ResolveError::NoSuchName),
            }
        })
    }
}
