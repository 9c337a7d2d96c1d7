//! The states of a client and what leads from one to the other: RFC 2131 §4.4, figure 5.
//!
//! Messages, ARP and time come in; messages, probes and what became of the address go out. Randomness comes
//! in as a seed.

mod check;
mod exchange;
mod state;

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use doorway_base::{Instant, Random};

use super::binding::{Binding, Offer, Unusable};
use super::compose::{Content, compose};
use super::{OFFERS_MAX, Settings};
use crate::wire::message::BOOTREPLY;
use crate::wire::{Message, MessageType, SERVER_PORT};
use check::{Checking, Step};
use exchange::Exchange;
use state::State;

pub use check::Heard;
pub use state::Phase;

/// DHCPREQUESTs for an offer that go without an answer, before the client begins anew (RFC 2131 §3.1).
const REQUESTS_MAX: u32 = 4;
/// DHCPREQUESTs for the address of before a restart that go without an answer, before it looks for any.
const REBOOTS_MAX: u32 = 2;
/// DHCPINFORMs that go without an answer.
const INFORMS_MAX: u32 = 4;
/// The pause after a DHCPDECLINE: RFC 2131 §3.1 step 5.
const DECLINE_WAIT: Duration = Duration::from_secs(10);
/// The longest pause after a server refused what it had offered; the first is none, the second 1 s.
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(64);
/// ANNOUNCE_NUM and ANNOUNCE_INTERVAL of RFC 5227 §1.1.
const ANNOUNCEMENTS: u32 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// An address that we had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The address.
    pub address: Ipv4Addr,
    /// Who gave it.
    pub server: Option<Ipv4Addr>,
    /// Whether the lease still holds, so that it is asked for without looking for others: INIT-REBOOT.
    pub holds: bool,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// Begin, with what was known before.
    Start(Option<Known>),
    /// Go on with a lease that is in use already.
    Resume(Binding),
    /// Ask for the rest of the configuration, for an address that was set by hand: DHCPINFORM.
    Inform(Ipv4Addr),
    /// A message came to the client's port.
    Message {
        /// Its octets.
        octets: &'a [u8],
        /// The hardware address that it came from.
        neighbour: Option<[u8; 6]>,
    },
    /// A neighbour said something by ARP.
    Arp(Heard),
    /// [`Session::next_timeout`] has come.
    Timeout,
    /// Extend the lease now, or begin when nothing is under way.
    Renew,
    /// Give the address back and end.
    Release,
}

/// Whom a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// Everybody on the link.
    Broadcast {
        /// Our address, if we have one.
        from: Ipv4Addr,
    },
    /// One server.
    Server {
        /// Its address and port.
        to: SocketAddrV4,
        /// Our address.
        from: Ipv4Addr,
        /// The hardware address that its last answer came from.
        neighbour: Option<[u8; 6]>,
    },
}

/// Why an address is not ours any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Its lease ended, and no server answered.
    Expired,
    /// A server refused to extend it: DHCPNAK.
    Refused,
    /// We gave it back.
    Released,
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Another state was entered.
    Entered(Phase),
    /// Send a message.
    Send {
        /// Its octets.
        octets: Vec<u8>,
        /// Whom to.
        to: Recipient,
    },
    /// Ask by ARP who has the address: RFC 5227 §2.1.1.
    Probe(Ipv4Addr),
    /// Tell by ARP that we have it: RFC 5227 §2.3.
    Announce(Ipv4Addr),
    /// The address is ours from now on, or for longer than before; keep it.
    Bound(Binding),
    /// The address is not ours any more; stop using it.
    Lost(Binding, Loss),
    /// A neighbour has the address; the server was told (DHCPDECLINE).
    InUse {
        /// The address.
        address: Ipv4Addr,
        /// Who has it.
        by: [u8; 6],
    },
    /// A server refused: DHCPNAK, with what it says about it.
    Refused(Option<String>),
    /// What was kept is worth nothing any more.
    Forget,
    /// The answer to DHCPINFORM.
    Informed(Arc<[u8]>),
}

/// What came and was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Octets that are no message.
    pub malformed: u64,
    /// Messages of another exchange, for another client, or of no use in this state.
    pub strays: u64,
    /// Offers and confirmations that lack something.
    pub unusable: u64,
}

/// The client of one interface.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    random: Random,
    state: State,
    known: Option<Known>,
    /// Offers that were refused once they were asked for, one after the other.
    refusals: u32,
    outputs: VecDeque<Output>,
    counts: Counts,
}

impl doorway_base::Session for Session {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        debug_assert!(self.outputs.is_empty(), "drain poll_output first");
        let state = std::mem::replace(&mut self.state, State::Stopped);
        self.state = match (state, input) {
            (_, Input::Start(known)) => self.start(now, known),
            (_, Input::Resume(binding)) => self.resume(now, binding),
            (_, Input::Inform(address)) => self.inform(now, address),
            (state, Input::Message { octets, neighbour }) => self.message(now, state, octets, neighbour),
            (State::Checking { binding, check }, Input::Arp(heard)) => {
                if check::conflicts(&heard, binding.address, self.settings.hardware.mac()) {
                    self.decline(now, &binding, heard.sender)
                } else {
                    State::Checking { binding, check }
                }
            }
            (state, Input::Timeout) => self.timeout(now, state),
            (State::Bound { binding, .. }, Input::Renew) => self.renew(now, binding),
            (State::Stopped, Input::Renew) => {
                let known = self.known;
                self.start(now, known)
            }
            (state, Input::Release) => self.release(state),
            (state, Input::Arp(_) | Input::Renew) => state,
        };
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        Some(self.state.next_timeout()).filter(|at| *at < Instant::NEVER)
    }
}

impl Session {
    /// A client that waits to be started.
    #[must_use]
    pub fn new(settings: Settings, random: Random) -> Self {
        Self {
            settings,
            random,
            state: State::Stopped,
            known: None,
            refusals: 0,
            outputs: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// The state it is in.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// The address that it has, if it has one.
    #[must_use]
    pub const fn binding(&self) -> Option<&Binding> {
        self.state.binding()
    }

    /// What came and was not taken.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn send(&mut self, content: &Content, to: Recipient) {
        let octets = compose(&self.settings, content);
        self.push(Output::Send { octets, to });
    }

    fn broadcast(&mut self, content: &Content) {
        self.send(content, Recipient::Broadcast { from: content.ciaddr });
    }

    // RFC 2131 §4.4.1: not all at once.
    fn start(&mut self, now: Instant, known: Option<Known>) -> State {
        self.known = known;
        self.refusals = 0;
        if self.settings.start_spread.is_zero() {
            return self.begin(now);
        }
        self.push(Output::Entered(Phase::Init));
        State::Init { at: now + self.settings.start_spread.mul_f64(self.random.fraction()) }
    }

    fn begin(&mut self, now: Instant) -> State {
        match self.known {
            Some(known) if known.holds => self.reboot(now, known),
            _ => self.select(now),
        }
    }

    /// Waits for `pause` and begins anew.
    fn pause(&mut self, now: Instant, pause: Duration) -> State {
        if pause.is_zero() {
            return self.select(now);
        }
        self.push(Output::Entered(Phase::Init));
        State::Init { at: now + pause }
    }

    fn select(&mut self, now: Instant) -> State {
        self.push(Output::Entered(Phase::Selecting));
        let mut exchange = Exchange::new(now, &mut self.random);
        self.discover(now, &mut exchange);
        State::Selecting { exchange, offers: Vec::new(), decide_at: Instant::NEVER }
    }

    fn discover(&mut self, now: Instant, exchange: &mut Exchange) {
        let requested = self.wished();
        let secs = exchange.secs(now);
        self.broadcast(&Content { secs, requested, ..Content::new(MessageType::Discover, exchange.xid) });
        exchange.send_backing_off(now, &mut self.random);
    }

    /// The address that would be best.
    fn wished(&self) -> Option<Ipv4Addr> {
        self.known.map(|known| known.address).or(self.settings.address)
    }

    // RFC 2131 §3.2, §4.3.2 INIT-REBOOT: option 50, and no server.
    fn reboot(&mut self, now: Instant, known: Known) -> State {
        self.push(Output::Entered(Phase::Rebooting));
        let mut exchange = Exchange::new(now, &mut self.random);
        self.request(now, &mut exchange, known.address, None);
        State::Rebooting { exchange, known }
    }

    fn request(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        address: Ipv4Addr,
        server: Option<Ipv4Addr>,
    ) {
        let secs = exchange.secs(now);
        let content = Content::new(MessageType::Request, exchange.xid);
        self.broadcast(&Content { secs, requested: Some(address), server, ..content });
        exchange.send_backing_off(now, &mut self.random);
    }

    fn offered(
        &mut self,
        now: Instant,
        exchange: Exchange,
        mut offers: Vec<Offer>,
        decide_at: Instant,
        offer: Offer,
    ) -> State {
        if offers.len() >= OFFERS_MAX || offers.iter().any(|known| known.server == offer.server) {
            self.counts.strays += 1;
        } else {
            offers.push(offer);
        }
        let best = offers.last().is_some_and(|offer| {
            self.settings.choice.is_best(offer, self.known.as_ref(), self.settings.address)
        });
        if best || self.settings.offer_window.is_zero() {
            return self.choose(now, exchange, &offers);
        }
        // The window begins with the first offer.
        let decide_at = decide_at.min(now + self.settings.offer_window);
        State::Selecting { exchange, offers, decide_at }
    }

    fn choose(&mut self, now: Instant, exchange: Exchange, offers: &[Offer]) -> State {
        let picked = self.settings.choice.pick(offers, self.known.as_ref(), self.settings.address);
        let Some(offer) = picked.map(|index| offers[index].clone()) else { return self.select(now) };
        self.push(Output::Entered(Phase::Requesting));
        let mut exchange = exchange.followed();
        self.request(now, &mut exchange, offer.address, Some(offer.server));
        State::Requesting { exchange, offer }
    }

    fn confirmed(&mut self, now: Instant, binding: Binding) -> State {
        match Checking::begin(self.settings.check, now, &mut self.random) {
            None => self.bound(now, binding, true),
            Some(check) => {
                self.push(Output::Entered(Phase::Checking));
                let state = State::Checking { binding, check };
                self.timeout(now, state)
            }
        }
    }

    fn resume(&mut self, now: Instant, binding: Binding) -> State {
        self.known = Some(Known { address: binding.address, server: Some(binding.server), holds: true });
        self.push(Output::Entered(Phase::Bound));
        let state = State::Bound { binding, announcements: 0, announce_at: now };
        self.timeout(now, state)
    }

    fn bound(&mut self, now: Instant, binding: Binding, fresh: bool) -> State {
        self.refusals = 0;
        self.known = Some(Known { address: binding.address, server: Some(binding.server), holds: true });
        self.push(Output::Entered(Phase::Bound));
        self.push(Output::Bound(binding.clone()));
        let announcements = if fresh && self.settings.announce { ANNOUNCEMENTS } else { 0 };
        let state = State::Bound { binding, announcements, announce_at: now };
        self.timeout(now, state)
    }

    // RFC 2131 §3.1 step 5, RFC 5227 §2.1.1.
    fn decline(&mut self, now: Instant, binding: &Binding, by: [u8; 6]) -> State {
        let content = Content::new(MessageType::Decline, self.xid());
        self.broadcast(&Content {
            requested: Some(binding.address),
            server: Some(binding.server),
            ..content
        });
        self.push(Output::InUse { address: binding.address, by });
        self.push(Output::Forget);
        self.known = None;
        self.pause(now, DECLINE_WAIT)
    }

    fn renew(&mut self, now: Instant, binding: Binding) -> State {
        self.push(Output::Entered(Phase::Renewing));
        let exchange = Exchange::new(now, &mut self.random);
        self.extend(now, State::Renewing { binding, exchange })
    }

    fn rebind(&mut self, now: Instant, binding: Binding) -> State {
        self.push(Output::Entered(Phase::Rebinding));
        let exchange = Exchange::new(now, &mut self.random);
        self.extend(now, State::Rebinding { binding, exchange })
    }

    /// Asks for a longer lease: the server at first, from T2 on anybody.
    fn extend(&mut self, now: Instant, mut state: State) -> State {
        let (binding, exchange, is_unicast) = match &mut state {
            State::Renewing { binding, exchange } => (binding, exchange, true),
            State::Rebinding { binding, exchange } => (binding, exchange, false),
            _ => return state,
        };
        let secs = exchange.secs(now);
        let ciaddr = binding.address;
        let content = Content { secs, ciaddr, ..Content::new(MessageType::Request, exchange.xid) };
        let end = if is_unicast { binding.rebinds_at() } else { binding.ends_at() };
        exchange.send_until(now, end);
        let to = if is_unicast { to_server(binding) } else { Recipient::Broadcast { from: ciaddr } };
        self.send(&content, to);
        state
    }

    fn lost(&mut self, binding: Binding, why: Loss) {
        self.known = Some(Known { address: binding.address, server: Some(binding.server), holds: false });
        self.push(Output::Lost(binding, why));
        if why == Loss::Released {
            self.known = None;
            self.push(Output::Forget);
        }
    }

    // RFC 2131 §4.4.6: before the address goes.
    fn release(&mut self, state: State) -> State {
        if let State::Bound { binding, .. }
        | State::Renewing { binding, .. }
        | State::Rebinding { binding, .. } = state
        {
            let content = Content::new(MessageType::Release, self.xid());
            let (ciaddr, server) = (binding.address, Some(binding.server));
            self.send(&Content { ciaddr, server, ..content }, to_server(&binding));
            self.lost(binding, Loss::Released);
        }
        self.push(Output::Entered(Phase::Stopped));
        State::Stopped
    }

    // RFC 2131 §3.4.
    fn inform(&mut self, now: Instant, address: Ipv4Addr) -> State {
        self.push(Output::Entered(Phase::Informing));
        let exchange = Exchange::new(now, &mut self.random);
        self.ask_for_rest(now, exchange, address)
    }

    fn ask_for_rest(&mut self, now: Instant, mut exchange: Exchange, address: Ipv4Addr) -> State {
        let content = Content::new(MessageType::Inform, exchange.xid);
        self.broadcast(&Content { secs: exchange.secs(now), ciaddr: address, ..content });
        exchange.send_backing_off(now, &mut self.random);
        State::Informing { exchange, address }
    }

    fn xid(&mut self) -> u32 {
        (self.random.next_u64() >> 32) as u32
    }

    /// What the time that has come means.
    fn timeout(&mut self, now: Instant, state: State) -> State {
        match state {
            State::Init { at } if now >= at => self.begin(now),
            State::Selecting { exchange, offers, decide_at } if now >= decide_at => {
                self.choose(now, exchange, &offers)
            }
            State::Selecting { mut exchange, offers, decide_at } if now >= exchange.next => {
                self.discover(now, &mut exchange);
                State::Selecting { exchange, offers, decide_at }
            }
            State::Requesting { exchange, .. } if now >= exchange.next && exchange.sent >= REQUESTS_MAX => {
                self.select(now)
            }
            State::Requesting { mut exchange, offer } if now >= exchange.next => {
                self.request(now, &mut exchange, offer.address, Some(offer.server));
                State::Requesting { exchange, offer }
            }
            State::Rebooting { exchange, known } if now >= exchange.next && exchange.sent >= REBOOTS_MAX => {
                self.known = Some(Known { holds: false, ..known });
                self.select(now)
            }
            State::Rebooting { mut exchange, known } if now >= exchange.next => {
                self.request(now, &mut exchange, known.address, None);
                State::Rebooting { exchange, known }
            }
            State::Checking { binding, mut check } if now >= check.next => {
                match check.step(now, &mut self.random) {
                    Step::Free => self.bound(now, binding, true),
                    Step::Probe => {
                        self.push(Output::Probe(binding.address));
                        State::Checking { binding, check }
                    }
                }
            }
            State::Bound { binding, .. } if now >= binding.ends_at() => self.expired(now, binding),
            State::Bound { binding, .. } if now >= binding.rebinds_at() => self.rebind(now, binding),
            State::Bound { binding, .. } if now >= binding.renews_at() => self.renew(now, binding),
            State::Bound { binding, announcements, announce_at }
                if announcements > 0 && now >= announce_at =>
            {
                self.push(Output::Announce(binding.address));
                let announcements = announcements - 1;
                State::Bound { binding, announcements, announce_at: now + ANNOUNCE_INTERVAL }
            }
            State::Renewing { binding, .. } | State::Rebinding { binding, .. }
                if now >= binding.ends_at() =>
            {
                self.expired(now, binding)
            }
            State::Renewing { binding, .. } if now >= binding.rebinds_at() => self.rebind(now, binding),
            State::Renewing { ref exchange, .. } | State::Rebinding { ref exchange, .. }
                if now >= exchange.next =>
            {
                self.extend(now, state)
            }
            State::Informing { exchange, .. } if now >= exchange.next && exchange.sent >= INFORMS_MAX => {
                self.push(Output::Entered(Phase::Stopped));
                State::Stopped
            }
            State::Informing { exchange, address } if now >= exchange.next => {
                self.ask_for_rest(now, exchange, address)
            }
            state => state,
        }
    }

    fn expired(&mut self, now: Instant, binding: Binding) -> State {
        self.lost(binding, Loss::Expired);
        self.select(now)
    }

    /// What a message means in this state. What does not concern us changes nothing.
    fn message(&mut self, now: Instant, state: State, octets: &[u8], neighbour: Option<[u8; 6]>) -> State {
        let Ok(message) = Message::parse(octets) else {
            self.counts.malformed += 1;
            return state;
        };
        let is_ours = message.op() == BOOTREPLY
            && state.exchange().is_some_and(|exchange| exchange.xid == message.xid())
            && message.hardware() == self.settings.hardware;
        let Some(kind) = message.kind().filter(|_| is_ours) else {
            self.counts.strays += 1;
            return state;
        };
        let read = |exchange: &Exchange| Binding::read(&message, neighbour, exchange.first_sent);
        let server = message.server_id();
        match (state, kind) {
            (State::Selecting { exchange, offers, decide_at }, MessageType::Offer) => {
                match Offer::read(&message) {
                    Ok(offer) => self.offered(now, exchange, offers, decide_at, offer),
                    Err(unusable) => {
                        self.unusable(unusable, State::Selecting { exchange, offers, decide_at })
                    }
                }
            }
            (State::Requesting { exchange, offer }, MessageType::Ack) if server == Some(offer.server) => {
                match read(&exchange) {
                    Ok(binding) if binding.address == offer.address => self.confirmed(now, binding),
                    other => self.unusable(what_lacks(other), State::Requesting { exchange, offer }),
                }
            }
            (State::Requesting { offer, .. }, MessageType::Nak) if server == Some(offer.server) => {
                self.refused(now, &message)
            }
            (State::Rebooting { exchange, known }, MessageType::Ack) => match read(&exchange) {
                Ok(binding) if binding.address == known.address => self.confirmed(now, binding),
                other => self.unusable(what_lacks(other), State::Rebooting { exchange, known }),
            },
            (State::Rebooting { .. }, MessageType::Nak) if server.is_some() => self.refused(now, &message),
            (State::Renewing { binding: old, exchange }, MessageType::Ack) if server == Some(old.server) => {
                match read(&exchange) {
                    Ok(binding) if binding.address == old.address => self.bound(now, binding, false),
                    other => self.unusable(what_lacks(other), State::Renewing { binding: old, exchange }),
                }
            }
            (State::Rebinding { binding: old, exchange }, MessageType::Ack) => match read(&exchange) {
                Ok(binding) if binding.address == old.address => self.bound(now, binding, false),
                other => self.unusable(what_lacks(other), State::Rebinding { binding: old, exchange }),
            },
            (State::Renewing { binding, .. }, MessageType::Nak) if server == Some(binding.server) => {
                self.lost(binding, Loss::Refused);
                self.refused(now, &message)
            }
            (State::Rebinding { binding, .. }, MessageType::Nak) if server.is_some() => {
                self.lost(binding, Loss::Refused);
                self.refused(now, &message)
            }
            (State::Informing { .. }, MessageType::Ack) => {
                self.push(Output::Informed(message.octets().into()));
                self.push(Output::Entered(Phase::Stopped));
                State::Stopped
            }
            (state, _) => {
                self.counts.strays += 1;
                state
            }
        }
    }

    fn unusable(&mut self, _: Unusable, state: State) -> State {
        self.counts.unusable += 1;
        state
    }

    // RFC 2131 §3.1 step 4: back to INIT. A server that offers and refuses in turn is not asked without pause.
    fn refused(&mut self, now: Instant, message: &Message<'_>) -> State {
        self.push(Output::Refused(message.reason()));
        self.push(Output::Forget);
        self.known = None;
        let pause = match self.refusals {
            0 => Duration::ZERO,
            times => Duration::from_secs(1).saturating_mul(1 << (times - 1).min(8)).min(REFUSED_WAIT_MAX),
        };
        self.refusals = self.refusals.saturating_add(1);
        self.pause(now, pause)
    }
}

fn to_server(binding: &Binding) -> Recipient {
    Recipient::Server {
        to: SocketAddrV4::new(binding.server, SERVER_PORT),
        from: binding.address,
        neighbour: binding.neighbour,
    }
}

/// Another address than the one that was asked for is as bad as none.
fn what_lacks(read: Result<Binding, Unusable>) -> Unusable {
    read.err().unwrap_or(Unusable::Address)
}
