//! The sockets that queries go out from: RFC 5452 §9.2.
//!
//! Each socket is bound to a port drawn at random from the whole range and carries a number of
//! queries before it is given back, so that whoever wants to forge an answer has to guess the port as
//! well as the id. Each query takes one of the open sockets at random.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use doorway_base::Random;
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::udp::UdpClient;

use crate::resolver::{QueryId, Send};

/// Queries that one socket carries before its port is given back.
const USES_MAX: u32 = 512;
/// Queries that wait on one socket at most; the oldest is given up for another.
const EXPECTED_MAX: usize = 64;
/// Attempts to bind a port that is free.
const BIND_ATTEMPTS: usize = 8;
/// Ports below are for servers.
const PORT_MIN: u64 = 1024;

/// The sockets of one worker.
#[derive(Debug)]
pub struct Upstream {
    random: Random,
    sockets: Vec<Option<Outgoing>>,
    free: Vec<u32>,
    // Which of them are open, by family.
    open: [Vec<u32>; 2],
    sockets_max: usize,
    socket_of: HashMap<QueryId, u32>,
}

#[derive(Debug)]
struct Outgoing {
    client: Arc<UdpClient>,
    uses: u32,
    expected: Vec<Expected>,
}

/// A query whose answer may come to this socket.
#[derive(Debug, Clone, Copy)]
struct Expected {
    query: QueryId,
    to: SocketAddr,
    id: u16,
}

/// A socket that was opened for a query, and now has to be read from.
#[derive(Debug)]
pub struct Opened {
    /// Its number.
    pub socket: u32,
    /// The socket.
    pub client: Arc<UdpClient>,
}

impl Upstream {
    /// No sockets yet, and `sockets_max` of each family at most.
    #[must_use]
    pub fn new(random: Random, sockets_max: usize) -> Self {
        Self {
            random,
            sockets: Vec::new(),
            free: Vec::new(),
            open: [Vec::new(), Vec::new()],
            sockets_max: sockets_max.max(1),
            socket_of: HashMap::new(),
        }
    }

    /// Sends a query. A socket that had to be opened for it is returned.
    ///
    /// # Errors
    /// When no socket can be had, or the system does not send.
    pub fn send(&mut self, world: &World, send: &Send) -> io::Result<Option<Opened>> {
        let family = usize::from(send.to.is_ipv6());
        let (socket, opened) = self.choose(world, family)?;
        let Some(outgoing) = self.sockets[socket as usize].as_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        outgoing.client.send_now(&send.octets, send.to)?;
        outgoing.uses += 1;
        if outgoing.expected.len() >= EXPECTED_MAX {
            let given_up = outgoing.expected.remove(0);
            self.socket_of.remove(&given_up.query);
        }
        let id = send.octets.first_chunk::<2>().map_or(0, |two| u16::from_be_bytes(*two));
        outgoing.expected.push(Expected { query: send.query, to: send.to, id });
        self.socket_of.insert(send.query, socket);
        if outgoing.uses >= USES_MAX {
            // It takes no more queries; what it waits for may still come.
            self.open[family].retain(|&open| open != socket);
        }
        Ok(opened)
    }

    fn choose(&mut self, world: &World, family: usize) -> io::Result<(u32, Option<Opened>)> {
        if self.open[family].len() < self.sockets_max {
            match self.bind(world, family) {
                Ok(client) => return Ok(self.keep(family, client)),
                // Out of descriptors: the open ones have to do.
                Err(error) if self.open[family].is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        let open = &self.open[family];
        let socket = open[self.random.below(open.len() as u64) as usize];
        Ok((socket, None))
    }

    fn bind(&mut self, world: &World, family: usize) -> io::Result<UdpClient> {
        let any: IpAddr =
            if family == 0 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let options = ListenOptions { share: false, ..ListenOptions::default() };
        let mut last = None;
        for attempt in 0..BIND_ATTEMPTS {
            // The system has the last word when every draw was taken.
            let last_attempt = attempt + 1 == BIND_ATTEMPTS;
            let port = PORT_MIN + self.random.below(0x1_0000 - PORT_MIN);
            let port = if last_attempt { 0 } else { port as u16 };
            match world.udp(SocketAddr::new(any, port), &options) {
                Ok(socket) => return socket.start(),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    fn keep(&mut self, family: usize, client: UdpClient) -> (u32, Option<Opened>) {
        let client = Arc::new(client);
        let outgoing = Outgoing { client: Arc::clone(&client), uses: 0, expected: Vec::new() };
        let socket = match self.free.pop() {
            Some(socket) => {
                self.sockets[socket as usize] = Some(outgoing);
                socket
            }
            None => {
                self.sockets.push(Some(outgoing));
                (self.sockets.len() - 1) as u32
            }
        };
        self.open[family].push(socket);
        (socket, Some(Opened { socket, client }))
    }

    /// The query that a message from `from` is about: the one with its id, or else any that went to
    /// that server, so that a wrong id is noticed. `None` when nobody there was asked.
    #[must_use]
    pub fn query_of(&self, socket: u32, from: SocketAddr, octets: &[u8]) -> Option<QueryId> {
        let outgoing = self.sockets.get(socket as usize)?.as_ref()?;
        let id = octets.first_chunk::<2>().map(|two| u16::from_be_bytes(*two))?;
        let mut from_there = outgoing.expected.iter().filter(|expected| expected.to == from);
        let exact = from_there.clone().find(|expected| expected.id == id);
        exact.or_else(|| from_there.next()).map(|expected| expected.query)
    }

    /// The address of the socket that `query` went out from.
    #[must_use]
    pub fn local_of(&self, query: QueryId) -> Option<SocketAddr> {
        let socket = *self.socket_of.get(&query)?;
        self.sockets.get(socket as usize)?.as_ref()?.client.local().ok()
    }

    /// Expects nothing more for `query`.
    pub fn forget(&mut self, query: QueryId) {
        let Some(socket) = self.socket_of.remove(&query) else { return };
        if let Some(Some(outgoing)) = self.sockets.get_mut(socket as usize) {
            outgoing.expected.retain(|expected| expected.query != query);
        }
    }

    /// Whether an answer may still come to `socket`.
    #[must_use]
    pub fn is_expecting(&self, socket: u32) -> bool {
        let outgoing = self.sockets.get(socket as usize).and_then(Option::as_ref);
        outgoing.is_some_and(|outgoing| !outgoing.expected.is_empty())
    }

    /// Whether `socket` has done its work; then it is forgotten, and whoever reads from it stops.
    pub fn is_over(&mut self, socket: u32) -> bool {
        let Some(place) = self.sockets.get_mut(socket as usize) else { return true };
        let over = place.as_ref().is_none_or(|out| out.uses >= USES_MAX && out.expected.is_empty());
        if over && place.take().is_some() {
            self.free.push(socket);
        }
        over
    }
}
