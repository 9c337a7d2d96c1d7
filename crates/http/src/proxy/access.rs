//! Who may use a forward proxy for what: networks of clients, domains, ports.

use core::fmt;
use core::net::IpAddr;

use doorway_base::config::Cidr;

/// Ports below these that plain HTTP may be asked at; a proxy that speaks HTTP to any port can be made to talk to
/// mail servers and the like.
const HTTP_PORTS: [u16; 2] = [80, 443];
/// From here on every port may have a web server.
const HTTP_PORT_MIN: u16 = 1024;

/// A set of domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// In lower case, without a final dot.
    name: String,
    /// Whether the name itself is part of it.
    itself: bool,
}

impl Domain {
    /// Reads `example.org` for a name and all below it, `*.example.org` for those below alone, `*` for every name.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let (name, itself) = match text.strip_prefix("*.") {
            Some(below) => (below, false),
            None => (text.as_str(), true),
        };
        Self { name: name.trim_end_matches('.').to_owned(), itself }
    }

    /// Whether a host belongs to it. An address belongs to itself alone.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if self.name == "*" || (self.itself && host == self.name) {
            return true;
        }
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        !address
            && host.strip_suffix(&self.name).is_some_and(|before| before.ends_with('.') && before.len() > 1)
    }
}

/// What the operator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Networks whose clients may use the proxy.
    pub clients: Vec<Cidr>,
    /// Ports that a tunnel may lead to.
    pub connect_ports: Vec<u16>,
    /// Domains that nobody gets to.
    pub deny: Vec<Domain>,
    /// Where this is not empty, the only domains that anybody gets to.
    pub allow_only: Vec<Domain>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// The client's network.
    Client,
    /// The domain.
    Domain,
    /// The port.
    Port,
    /// The address is none of the public internet.
    Private,
}

impl Denied {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Client, Self::Domain, Self::Port, Self::Private];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Domain => "domain",
            Self::Port => "port",
            Self::Private => "private",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "this proxy is not for clients of your network (http.forward.allow)",
            Self::Domain => "this proxy does not go there (http.forward.deny, http.forward.allow_only)",
            Self::Port => "this proxy does not go to that port (http.forward.connect_ports)",
            Self::Private => "that is no address of the public internet (http.forward.private)",
        })
    }
}

impl Access {
    /// Whether a client may use the proxy at all.
    ///
    /// # Errors
    /// [`Denied::Client`].
    pub fn client(&self, address: IpAddr) -> Result<(), Denied> {
        let known = self.clients.iter().any(|network| network.contains(address));
        if known { Ok(()) } else { Err(Denied::Client) }
    }

    /// Whether it may go to a host and a port; `tunnel` says that it is not HTTP that is spoken there.
    ///
    /// # Errors
    /// [`Denied::Domain`] and [`Denied::Port`].
    pub fn target(&self, host: &str, port: u16, tunnel: bool) -> Result<(), Denied> {
        let allowed = self.allow_only.is_empty() || self.allow_only.iter().any(|domain| domain.has(host));
        if !allowed || self.deny.iter().any(|domain| domain.has(host)) {
            return Err(Denied::Domain);
        }
        let fits = match tunnel {
            true => self.connect_ports.contains(&port),
            false => HTTP_PORTS.contains(&port) || port >= HTTP_PORT_MIN,
        };
        if fits { Ok(()) } else { Err(Denied::Port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_what_is_below_it() {
        let check =
            |domain, host, expected| assert_eq!(Domain::new(domain).has(host), expected, "{domain} {host}");
        check("example.org", "example.org", true);
        check("Example.org.", "WWW.example.ORG.", true);
        check("example.org", "badexample.org", false);
        check("*.example.org", "example.org", false);
        check("*.example.org", "a.b.example.org", true);
        check("*", "a", true);
        check("0.0.1", "10.0.0.1", false);
        check("10.0.0.1", "10.0.0.1", true);
        check("example.org", ".example.org", false);
    }

    #[test]
    fn access_is_given_by_network_domain_and_port() {
        let domains = |names: &[&str]| names.iter().map(|name| Domain::new(name)).collect::<Vec<_>>();
        let mut access = Access {
            clients: vec!["192.168.0.0/16".parse().unwrap()],
            connect_ports: vec![443],
            deny: domains(&["ads.example"]),
            allow_only: Vec::new(),
        };
        assert_eq!(access.client("192.168.7.7".parse().unwrap()), Ok(()));
        assert_eq!(access.client("::ffff:192.168.7.7".parse().unwrap()), Ok(()));
        assert_eq!(access.client("10.0.0.1".parse().unwrap()), Err(Denied::Client));
        assert_eq!(access.target("a.example", 443, true), Ok(()));
        assert_eq!(access.target("a.example", 25, true), Err(Denied::Port));
        assert_eq!(access.target("a.example", 8080, true), Err(Denied::Port));
        assert_eq!(access.target("a.example", 8080, false), Ok(()));
        assert_eq!(access.target("a.example", 25, false), Err(Denied::Port));
        assert_eq!(access.target("x.ads.example", 80, false), Err(Denied::Domain));
        access.allow_only = domains(&["debian.example", "ads.example"]);
        assert_eq!(access.target("deb.debian.example", 80, false), Ok(()));
        assert_eq!(access.target("a.example", 80, false), Err(Denied::Domain));
        assert_eq!(access.target("ads.example", 80, false), Err(Denied::Domain));
    }
}
