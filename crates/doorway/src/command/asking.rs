//! Sockets for the commands that ask name servers, and which server that is when none was named.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use doorway_base::Trace;
use doorway_dns::client::delegations::address;
use doorway_dns::client::report::{self, Arrival};
use doorway_dns::client::{Lookup, Query, Transport};
use doorway_dns::io::exchange::{self, Connection};
use doorway_dns::io::names::exchangers;
use doorway_dns::wire::options::{self, code};
use doorway_dns::wire::{Flags, Message, Name, Rcode, Record, Type};
use doorway_net::os::Runtime;
use doorway_net::resolve::{Exchanger, Resolve, ResolveError};
use doorway_net::tls::TlsDialler;
use doorway_net::{BoxFuture, World};

use crate::cli::Options;
use crate::config::{Config, find};
use crate::failure::Failure;

/// The file that names the servers of this host.
pub(crate) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Servers that it may name; the C library reads no more either.
const SERVERS_MAX: usize = 3;

/// A server, as it was typed and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) typed: String,
    pub(super) address: SocketAddr,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) octets: Vec<u8>,
    pub(super) message: Message,
    pub(super) arrival: Arrival,
    /// The cookie that was sent.
    pub(super) cookie: Vec<u8>,
    pub(super) query: Vec<u8>,
    /// Its signature is right, or none was wanted.
    pub(super) trusted: bool,
}

/// The world of a command, for as long as it runs.
pub(super) struct Asking {
    runtime: Runtime,
    tls: Option<Arc<TlsDialler>>,
    default: Vec<IpAddr>,
    own: Option<SocketAddr>,
}

impl Asking {
    /// Reads which servers this machine uses.
    pub(super) fn start(options: &Options) -> Result<Self, Failure> {
        let runtime =
            Runtime::start("doorway", 1, Trace::off()).map_err(|error| Failure::new(error.to_string()))?;
        let (config, _) = Config::read(find(options.config.as_deref())?);
        let named = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        let own = own(runtime.world(), &config);
        Ok(Self { runtime, tls: None, default: servers(&named), own })
    }

    /// The world of the command.
    pub(super) fn world(&self) -> &World {
        self.runtime.world()
    }

    /// Runs one thing to its end.
    pub(super) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.runtime.block_on(future).ok_or_else(|| Failure::new("the command broke off"))
    }

    /// The servers to ask: the one that was named, or those of the machine.
    pub(super) fn servers(&self, lookup: &Lookup) -> Result<Vec<Server>, Failure> {
        let Some(typed) = &lookup.server else { return Ok(self.defaults(lookup)) };
        let addresses = match typed.parse() {
            Ok(address) => vec![address],
            Err(_) => self.addresses_of(typed)?,
        };
        let right = |address: &IpAddr| lookup.v6.is_none_or(|v6| v6 == address.is_ipv6());
        let server =
            |address| Server { typed: typed.clone(), address: SocketAddr::new(address, lookup.port()) };
        let servers: Vec<Server> = addresses.into_iter().filter(right).map(server).collect();
        if servers.is_empty() {
            let why = "it has no address, or none of the family that -4 or -6 asks for";
            return Err(Failure::new(format!("cannot ask the server `{typed}`")).why(why));
        }
        Ok(servers)
    }

    fn defaults(&self, lookup: &Lookup) -> Vec<Server> {
        let right = |address: &&IpAddr| lookup.v6.is_none_or(|v6| v6 == address.is_ipv6());
        let mut all: Vec<SocketAddr> = self
            .default
            .iter()
            .filter(right)
            .map(|address| SocketAddr::new(*address, lookup.port()))
            .collect();
        if all.is_empty() {
            let own = self.own.unwrap_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
            let port = lookup.port.unwrap_or(own.port());
            all.push(SocketAddr::new(own.ip(), if lookup.port() == 853 { 853 } else { port }));
        }
        all.into_iter().map(|address| Server { typed: address.ip().to_string(), address }).collect()
    }

    /// The addresses of a host: from the table of hosts, or by asking.
    pub(super) fn addresses_of(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        let known = hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), host);
        if !known.is_empty() {
            return Ok(known);
        }
        let name: Name = host
            .parse()
            .map_err(|fault| Failure::new(format!("`{host}` is neither a name nor an address")).why(fault))?;
        let servers = self.defaults(&Lookup::default());
        Ok(self.lookup_addresses(&name, &servers))
    }

    /// The addresses that a name has according to `servers`; none when there are none.
    pub(super) fn lookup_addresses(&self, name: &Name, servers: &[Server]) -> Vec<IpAddr> {
        let ask = |kind| {
            let lookup = Lookup { name: name.clone(), kind, ..Lookup::default() };
            self.ask(&lookup, servers, &mut |_| {}).ok().flatten()
        };
        let answers = [Type::A, Type::AAAA].into_iter().filter_map(ask).flat_map(|got| got.message.answers);
        answers.filter_map(|record| address(&record)).collect()
    }

    /// Finds the addresses of hosts as this machine would: by its table of hosts, then by its name servers.
    pub(super) fn names(&self) -> Names {
        Names { world: self.world().clone(), servers: self.defaults(&Lookup::default()) }
    }

    /// What opens TLS connections.
    fn dialler(&self) -> Result<Arc<TlsDialler>, Failure> {
        if let Some(dialler) = &self.tls {
            return Ok(Arc::clone(dialler));
        }
        let dialler = TlsDialler::new(None, &["dot"]);
        dialler.map(Arc::new).map_err(|error| Failure::new(error.to_string()).fix(error.advice()))
    }

    /// Asks one server after the other until one answers; `None` when none did. What went wrong on the
    /// way is told to `note`, as lines.
    pub(super) fn ask(
        &self,
        lookup: &Lookup,
        servers: &[Server],
        note: &mut dyn FnMut(&str),
    ) -> Result<Option<Got>, Failure> {
        let mut lookup = lookup.clone();
        let mut cookie = None;
        let mut again = 0;
        for _ in 0..lookup.tries {
            let mut at = 0;
            while let Some(server) = servers.get(at) {
                let now = self.world().wall();
                let query = match &cookie {
                    Some(cookie) => {
                        let id = self.world().random().next_u64() as u16;
                        Query::with_cookie(&lookup, id, Vec::clone(cookie), now)
                    }
                    None => Query::new(&lookup, &mut self.world().random(), now),
                };
                let query = query.ok_or_else(|| Failure::new("the options do not fit into a message"))?;
                let mut got = match self.once(&lookup, server, query.clone())? {
                    Ok(got) => got,
                    Err(error) => {
                        note(&failed(&lookup, server, &error));
                        at += 1;
                        continue;
                    }
                };
                if let Some(mut chain) = query.chain
                    && let Err(why) = chain.verify(&mut got.octets.clone(), self.world().wall())
                {
                    note(&format!(";; Couldn't verify signature: {why}\n"));
                    got.trusted = false;
                }
                let version = got.message.edns.as_ref().map_or(0, |edns| edns.version);
                let fresh =
                    got.message.edns.as_ref().and_then(|edns| options::find(&edns.options, code::COOKIE));
                let cut = got.message.flags.has(Flags::TC) && lookup.transport == Transport::Udp;
                let newer = lookup.edns.is_some_and(|asked| asked > version) && lookup.negotiate;
                if got.message.rcode() == Rcode::BADVERS && newer {
                    note(&format!(";; BADVERS, retrying with EDNS version {version}.\n"));
                    lookup.edns = Some(version);
                } else if got.message.rcode() == Rcode::BADCOOKIE && again == 0 && fresh.is_some() {
                    note(";; BADCOOKIE, retrying.\n");
                    cookie = fresh.map(<[u8]>::to_vec);
                } else if cut && !lookup.ignore_truncation {
                    note(";; Truncated, retrying in TCP mode.\n");
                    lookup.transport = Transport::Tcp;
                } else {
                    return Ok(Some(got));
                }
                again += 1;
            }
        }
        Ok(None)
    }

    fn once(&self, lookup: &Lookup, server: &Server, query: Query) -> Result<io::Result<Got>, Failure> {
        let (world, to, span) = (self.world().clone(), server.address, lookup.time);
        let dialler =
            if matches!(lookup.transport, Transport::Tls(_)) { Some(self.dialler()?) } else { None };
        let (transport, octets) = (lookup.transport.clone(), query.octets.clone());
        let since = self.world().now();
        let came = self.run(async move {
            match transport {
                Transport::Udp => exchange::datagram(&world, to, &octets, span).await,
                stream => {
                    let name = if let Transport::Tls(name) = stream { name } else { None };
                    let mut connection =
                        connect(&world, to, dialler.as_deref(), name.as_deref(), span).await?;
                    connection.send(&octets).await?;
                    connection.receive(&world, span).await
                }
            }
        })?;
        let octets = match came {
            Ok(octets) => octets,
            Err(error) => return Ok(Err(error)),
        };
        let message = match Message::read(&octets) {
            Ok(message) if message.id == query.id => message,
            Ok(_) => return Ok(Err(io::Error::other("the answer has another ID"))),
            Err(malformed) => return Ok(Err(io::Error::other(format!("bad packet: {malformed}")))),
        };
        let arrival = self.arrival(lookup, server, since);
        Ok(Ok(Got { octets, message, arrival, cookie: query.cookie, query: query.octets, trusted: true }))
    }

    /// How an answer came that was asked for `since`.
    pub(super) fn arrival(&self, lookup: &Lookup, server: &Server, since: doorway_base::Instant) -> Arrival {
        Arrival {
            took: self.world().now() - since,
            server: server.address,
            typed: server.typed.clone(),
            carrier: match lookup.transport {
                Transport::Udp => "UDP",
                Transport::Tcp => "TCP",
                Transport::Tls(_) => "TLS",
            },
            at: self.world().wall(),
        }
    }

    /// Connects for a transfer.
    pub(super) fn connect(
        &self,
        lookup: &Lookup,
        server: &Server,
    ) -> Result<io::Result<Connection>, Failure> {
        let (world, to, span) = (self.world().clone(), server.address, lookup.time);
        let (dialler, name) = match &lookup.transport {
            Transport::Tls(name) => (Some(self.dialler()?), name.clone()),
            _ => (None, None),
        };
        self.run(async move { connect(&world, to, dialler.as_deref(), name.as_deref(), span).await })
    }
}

/// See [`Asking::names`].
pub(crate) struct Names {
    world: World,
    servers: Vec<Server>,
}

impl Names {
    /// Asks the name servers that this machine uses.
    pub(crate) fn of_machine(world: &World) -> Self {
        let named = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        let server =
            |address: IpAddr| Server { typed: address.to_string(), address: SocketAddr::new(address, 53) };
        Self { world: world.clone(), servers: servers(&named).into_iter().map(server).collect() }
    }

    /// The addresses of one family.
    async fn ask(&self, name: &Name, kind: Type) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(self.records(name, kind).await?.iter().filter_map(address).collect())
    }

    /// The answer of the first server that answers; the code if it is an error.
    async fn records(&self, name: &Name, kind: Type) -> Result<Vec<Record>, ResolveError> {
        let mut why = "there is no name server to ask".to_owned();
        for server in &self.servers {
            let lookup = Lookup { name: name.clone(), kind, ..Lookup::default() };
            let Some(query) = Query::new(&lookup, &mut self.world.random(), self.world.wall()) else {
                continue;
            };
            match exchange::datagram(&self.world, server.address, &query.octets, Duration::from_secs(2)).await
            {
                Ok(octets) => {
                    match Message::read(&octets).map(|message| (message.rcode(), message.answers)) {
                        Ok((Rcode::NOERROR, answers)) => return Ok(answers),
                        Ok((Rcode::NXDOMAIN, _)) => return Err(ResolveError::NoSuchName),
                        Ok((rcode, _)) => why = format!("{} says {rcode}", server.address),
                        Err(malformed) => why = format!("{}: {malformed}", server.address),
                    }
                }
                Err(error) => why = format!("{}: {error}", server.address),
            }
        }
        Err(ResolveError::Unavailable(why))
    }
}

impl Resolve for Names {
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            let known = hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), host);
            if !known.is_empty() {
                return Ok(known);
            }
            let name: Name = host.parse().map_err(|_| ResolveError::NoSuchName)?;
            let (v6, v4) = (self.ask(&name, Type::AAAA).await, self.ask(&name, Type::A).await);
            match (v6, v4) {
                (Err(error), Err(_)) => Err(error),
                (v6, v4) => {
                    let mut all: Vec<IpAddr> = v6.into_iter().chain(v4).flatten().collect();
                    all.sort_by_key(|address| !self.world.reaches((*address, 80).into()));
                    if all.is_empty() { Err(ResolveError::NoAddress) } else { Ok(all) }
                }
            }
        })
    }

    fn exchangers<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Vec<Exchanger>, ResolveError>> {
        Box::pin(async move {
            let name: Name = domain.parse().map_err(|_| ResolveError::NoSuchName)?;
            let records = self.records(&name, Type::MX).await?;
            exchangers(Rcode::NOERROR, &records, String::new())
        })
    }
}

async fn connect(
    world: &World,
    to: SocketAddr,
    dialler: Option<&TlsDialler>,
    name: Option<&str>,
    span: Duration,
) -> io::Result<Connection> {
    Connection::open(world, to, dialler.map(|dialler| (dialler, name)), span).await
}

/// The line about an attempt that failed.
pub(super) fn failed(lookup: &Lookup, server: &Server, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::TimedOut => "timed out".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "connection closed".to_owned(),
        _ => error.to_string(),
    };
    if lookup.transport == Transport::Udp {
        return report::failed(server.address, &why);
    }
    let (ip, port, typed) = (server.address.ip(), server.address.port(), &server.typed);
    let name = lookup.name.to_string();
    let name = if lookup.name.is_root() { &name } else { name.trim_end_matches('.') };
    format!(";; Connection to {ip}#{port}({typed}) for {name} failed: {why}.\n")
}

// The address that the configured server is asked at from here.
fn own(world: &World, config: &Config) -> Option<SocketAddr> {
    let listen = config.section("dns").listen("listen").first()?;
    let address = world.addresses(listen).into_iter().next()?;
    let ip = match address.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some(SocketAddr::new(ip, address.port()))
}

pub(crate) fn servers(resolv_conf: &str) -> Vec<IpAddr> {
    let lines = resolv_conf.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    lines.filter_map(|rest| rest.trim().parse().ok()).take(SERVERS_MAX).collect()
}

pub(crate) fn hosts(table: &str, host: &str) -> Vec<IpAddr> {
    let host = host.trim_end_matches('.');
    let lines = table.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_tables_are_read_as_the_c_library_reads_them() {
        let text = "# made by dhcp\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1\nnameserver x\n";
        assert_eq!(servers(text).len(), 2);
        assert_eq!(servers(&"nameserver 192.0.2.1\n".repeat(9)).len(), SERVERS_MAX);
        let table = "127.0.0.1 localhost\n192.0.2.9\tns.example.org NS # one\n# 192.0.2.8 ns\n";
        assert_eq!(hosts(table, "ns"), ["192.0.2.9".parse::<IpAddr>().unwrap()]);
        assert_eq!(hosts(table, "NS.example.org.").len(), 1);
        assert!(hosts(table, "one").is_empty());
    }
}
