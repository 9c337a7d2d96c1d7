//! Virtual TCP: enough of RFC 9293 that services meet what they meet on a real network: handshake,
//! segments of [`SEGMENT_OCTETS_MAX`], cumulative acknowledgement, retransmission after a time-out or
//! three duplicate acknowledgements, flow control, half close and reset.
//!
//! Not here: congestion control, delayed acknowledgement, urgent data, options.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorway_base::Instant;

use crate::core::{Core, EndpointId, Event, NodeId, Packet, Payload, Place, unspecified};

/// Largest payload of one segment: an Ethernet frame's 1 500 octets less 40 of headers.
pub(crate) const SEGMENT_OCTETS_MAX: usize = 1460;
/// What one end keeps for its application to read, and for the other end to acknowledge.
const BUFFER_OCTETS: usize = 64 * 1024;
/// Segments kept at the most that arrived before the ones they follow.
const EARLY_SEGMENTS_MAX: usize = 2 * BUFFER_OCTETS / SEGMENT_OCTETS_MAX;
/// First wait for the answer to a SYN (RFC 6298 §2.1).
const SYN_TIMEOUT: Duration = Duration::from_secs(1);
/// Shortest wait for an acknowledgement, as common kernels have it.
const TIMEOUT_MIN: Duration = Duration::from_millis(200);
/// Longest wait for an acknowledgement.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Retransmissions of one segment before the connection is given up.
const RETRIES_MAX: u32 = 10;
/// How long an end that its application has left is remembered.
const LINGER: Duration = Duration::from_secs(120);

/// Positions count octets of the stream; the SYN has position 0, so the first octet has 1.
#[derive(Clone, Default)]
pub(crate) struct Segment {
    pub(crate) position: u64,
    pub(crate) acknowledged: u64,
    pub(crate) window: u64,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) reset: bool,
    pub(crate) data: Vec<u8>,
}

pub(crate) struct TcpListenerState {
    /// Tells it from a listener at the same place before a restart.
    pub(crate) socket: u64,
    pub(crate) waiting: VecDeque<EndpointId>,
    pub(crate) half_open: usize,
    pub(crate) backlog: usize,
    pub(crate) acceptor: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SynSent,
    SynReceived,
    Established,
    /// The connection is over; reads and writes say why.
    Over(io::ErrorKind),
}

/// One end of a connection.
pub(crate) struct Endpoint {
    pub(crate) place: Place,
    pub(crate) remote: SocketAddr,
    state: State,
    /// The listener that wants to hear of the handshake's end.
    listener: Option<Place>,
    /// First position that the other end has not acknowledged.
    unacknowledged: u64,
    /// Octets from `unacknowledged` (or 1) on, sent or not.
    outgoing: VecDeque<u8>,
    /// Next position to send for the first time.
    next: u64,
    /// First position that the other end has no room for.
    allowed: u64,
    /// Position of our FIN, once the application has finished.
    finish: Option<u64>,
    incoming: VecDeque<u8>,
    /// Next position we want.
    expected: u64,
    early: BTreeMap<u64, Vec<u8>>,
    /// Position of the other end's FIN, once seen.
    peer_finish: Option<u64>,
    duplicates: u32,
    retries: u32,
    /// Wait for an acknowledgement: as measured, and as doubled since the last one.
    measured_timeout: Duration,
    timeout: Duration,
    /// What had been sent when a segment was last sent again: until it is acknowledged, each
    /// acknowledgement points to the next loss (RFC 6582).
    recover: u64,
    /// The armed timer's generation; an event of an older one is void.
    timer: u64,
    timer_set: bool,
    opened: Instant,
    /// The application has dropped its stream.
    left: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Endpoint {
    fn new(place: Place, remote: SocketAddr, state: State, now: Instant) -> Self {
        Self {
            place,
            remote,
            state,
            listener: None,
            unacknowledged: 0,
            outgoing: VecDeque::new(),
            next: 1,
            allowed: 1,
            finish: None,
            incoming: VecDeque::new(),
            expected: 0,
            early: BTreeMap::new(),
            peer_finish: None,
            duplicates: 0,
            retries: 0,
            measured_timeout: SYN_TIMEOUT,
            timeout: SYN_TIMEOUT,
            recover: 0,
            timer: 0,
            timer_set: false,
            opened: now,
            left: false,
            reader: None,
            writer: None,
        }
    }

    /// Position of the first octet in `outgoing`.
    fn first(&self) -> u64 {
        self.unacknowledged.max(1)
    }

    fn is_finished_by_peer(&self) -> bool {
        self.peer_finish.is_some_and(|position| self.expected > position)
    }

    fn is_finish_acknowledged(&self) -> bool {
        self.finish.is_some_and(|position| self.unacknowledged > position)
    }

    fn has_unacknowledged(&self) -> bool {
        match self.state {
            State::SynSent | State::SynReceived => true,
            State::Established => self.unacknowledged < self.next,
            State::Over(_) => false,
        }
    }

    fn room(&self) -> u64 {
        (BUFFER_OCTETS - self.incoming.len().min(BUFFER_OCTETS)) as u64
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// The segment that starts at `position`: data, or the FIN.
    fn segment_at(&self, position: u64) -> Segment {
        let mut segment = Segment {
            position,
            acknowledged: self.expected,
            window: self.room(),
            ack: true,
            ..Segment::default()
        };
        match self.state {
            State::SynSent => {
                segment.position = 0;
                segment.syn = true;
                segment.ack = false;
            }
            State::SynReceived => {
                segment.position = 0;
                segment.syn = true;
            }
            _ => {
                let from = (position - self.first()) as usize;
                let count = (self.outgoing.len().saturating_sub(from)).min(SEGMENT_OCTETS_MAX);
                segment.data = self.outgoing.iter().skip(from).take(count).copied().collect();
                segment.fin = self.finish == Some(position + count as u64);
            }
        }
        segment
    }
}

impl Core {
    pub(crate) fn tcp_connect(&mut self, node: NodeId, remote: SocketAddr) -> io::Result<EndpointId> {
        let any = SocketAddr::new(unspecified(remote.ip()), 0);
        let local = self.bindable(node, any, |core, local| {
            core.by_ends.keys().any(|((owner, ours), _)| *owner == node && ours.port() == local.port())
        })?;
        let local = self.source(node, local, remote.ip());
        let id = self.new_endpoint();
        let endpoint = Endpoint::new((node, local), remote, State::SynSent, self.now);
        self.by_ends.insert((endpoint.place, remote), id);
        self.endpoints.insert(id, endpoint);
        self.send_segment(id, 0);
        self.arm(id);
        Ok(id)
    }

    fn send_segment(&mut self, id: EndpointId, position: u64) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        let segment = endpoint.segment_at(position);
        let ((node, source), destination) = (endpoint.place, endpoint.remote);
        self.send(node, Packet { source, destination, payload: Payload::Tcp(segment) });
    }

    /// Tells the other end what has arrived and how much room there is.
    fn acknowledge(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        let segment = Segment {
            position: endpoint.next,
            acknowledged: endpoint.expected,
            window: endpoint.room(),
            ack: true,
            ..Segment::default()
        };
        let ((node, source), destination) = (endpoint.place, endpoint.remote);
        self.send(node, Packet { source, destination, payload: Payload::Tcp(segment) });
    }

    /// Sends what was never sent, as far as the other end has room.
    fn send_more(&mut self, id: EndpointId) {
        while let Some(endpoint) = self.endpoints.get_mut(&id) {
            if endpoint.state != State::Established {
                return;
            }
            let position = endpoint.next;
            let queued = endpoint.first() + endpoint.outgoing.len() as u64;
            let data = position < queued && position < endpoint.allowed;
            let finish = endpoint.finish == Some(position);
            if !data && !finish {
                return;
            }
            let segment = endpoint.segment_at(position);
            endpoint.next = position + segment.data.len() as u64 + u64::from(segment.fin);
            self.send_segment(id, position);
            self.arm(id);
        }
    }

    /// Arms the retransmission timer unless it runs.
    fn arm(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if !endpoint.timer_set {
            endpoint.timer_set = true;
            endpoint.timer += 1;
            let (at, timer) = (self.now + endpoint.timeout, endpoint.timer);
            self.schedule(at, Event::Retransmit(id, timer));
        }
    }

    pub(crate) fn retransmit(&mut self, id: EndpointId, timer: u64) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if endpoint.timer != timer || !endpoint.timer_set {
            return;
        }
        endpoint.timer_set = false;
        // A closed window is probed like a lost segment, without giving up (RFC 9293 §3.8.6.1).
        let closed = endpoint.state == State::Established && endpoint.next >= endpoint.allowed;
        let stuck = closed && endpoint.next < endpoint.first() + endpoint.outgoing.len() as u64;
        if !endpoint.has_unacknowledged() && !stuck {
            return;
        }
        endpoint.retries += 1;
        if endpoint.retries > RETRIES_MAX {
            return self.give_up(id, io::ErrorKind::TimedOut);
        }
        endpoint.timeout = (endpoint.timeout * 2).min(TIMEOUT_MAX);
        let position = endpoint.first();
        let segment = endpoint.segment_at(position);
        let end = position + segment.data.len() as u64 + u64::from(segment.fin);
        if endpoint.state == State::Established {
            endpoint.next = endpoint.next.max(end); // a probe may carry octets that were never sent
            endpoint.recover = endpoint.next;
        }
        self.send_segment(id, position);
        self.arm(id);
    }

    fn give_up(&mut self, id: EndpointId, why: io::ErrorKind) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        endpoint.state = State::Over(why);
        endpoint.timer_set = false;
        endpoint.wake();
        let (place, remote) = (endpoint.place, endpoint.remote);
        let (left, listener) = (endpoint.left, endpoint.listener.take());
        self.by_ends.remove(&(place, remote));
        if let Some(state) = listener.and_then(|at| self.listeners.get_mut(&at)) {
            state.half_open = state.half_open.saturating_sub(1);
        }
        if left || listener.is_some() {
            self.endpoints.remove(&id);
        }
    }

    pub(crate) fn forget(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.endpoints.remove(&id) {
            self.by_ends.remove(&(endpoint.place, endpoint.remote));
        }
    }

    /// A segment has arrived at `node`.
    pub(crate) fn segment(
        &mut self,
        node: NodeId,
        source: SocketAddr,
        destination: SocketAddr,
        segment: Segment,
    ) {
        let place = (node, destination);
        let id = match self.by_ends.get(&(place, source)) {
            Some(id) => *id,
            None if segment.reset => return,
            None if segment.syn && !segment.ack => return self.knock(place, source),
            None => return self.refuse(place, source),
        };
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if segment.reset {
            let refused = endpoint.state == State::SynSent;
            let why = if refused { io::ErrorKind::ConnectionRefused } else { io::ErrorKind::ConnectionReset };
            return self.give_up(id, why);
        }
        match endpoint.state {
            State::SynSent if segment.syn && segment.ack => {
                endpoint.expected = 1;
                endpoint.establish(&segment, now);
                self.acknowledge(id);
                return self.send_more(id);
            }
            State::SynReceived if segment.ack && segment.acknowledged >= 1 => {
                endpoint.establish(&segment, now);
                let listener = endpoint.listener.take();
                if let Some(state) = listener.and_then(|at| self.listeners.get_mut(&at)) {
                    state.half_open = state.half_open.saturating_sub(1);
                    state.waiting.push_back(id);
                    if let Some(acceptor) = state.acceptor.take() {
                        acceptor.wake();
                    }
                }
            }
            State::SynReceived if segment.syn => return self.send_segment(id, 0),
            State::Established if segment.syn => return self.acknowledge(id),
            State::Established => {}
            _ => return,
        }
        self.take_acknowledgement(id, &segment);
        self.take_data(id, segment);
        self.send_more(id);
        self.settle(id);
    }

    /// A SYN for an address that may have a listener.
    fn knock(&mut self, place: Place, source: SocketAddr) {
        let any = (place.0, SocketAddr::new(unspecified(place.1.ip()), place.1.port()));
        let Some(at) = [place, any].into_iter().find(|at| self.listeners.contains_key(at)) else {
            return self.refuse(place, source);
        };
        let Some(listener) = self.listeners.get_mut(&at) else { return };
        if listener.waiting.len() + listener.half_open >= listener.backlog {
            return; // as a kernel does: the client tries again
        }
        listener.half_open += 1;
        let id = self.new_endpoint();
        let mut endpoint = Endpoint::new(place, source, State::SynReceived, self.now);
        endpoint.listener = Some(at);
        endpoint.expected = 1;
        self.by_ends.insert((place, source), id);
        self.endpoints.insert(id, endpoint);
        self.send_segment(id, 0);
        self.arm(id);
    }

    fn refuse(&mut self, place: Place, source: SocketAddr) {
        let segment = Segment { reset: true, ack: true, ..Segment::default() };
        let packet = Packet { source: place.1, destination: source, payload: Payload::Tcp(segment) };
        self.send(place.0, packet);
    }

    fn take_acknowledgement(&mut self, id: EndpointId, segment: &Segment) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        let widened = segment.acknowledged + segment.window > endpoint.allowed;
        endpoint.allowed = endpoint.allowed.max(segment.acknowledged + segment.window);
        if segment.ack && segment.window == 0 {
            endpoint.retries = 0; // closed, but somebody keeps it closed: no reason to give up
        }
        if segment.acknowledged > endpoint.unacknowledged && segment.acknowledged <= endpoint.next {
            let octets = segment.acknowledged.saturating_sub(endpoint.first());
            let count = (octets as usize).min(endpoint.outgoing.len());
            endpoint.outgoing.drain(..count);
            endpoint.unacknowledged = segment.acknowledged;
            endpoint.duplicates = 0;
            endpoint.retries = 0;
            endpoint.timeout = endpoint.measured_timeout;
            endpoint.timer_set = false;
            let lost = segment.acknowledged < endpoint.recover;
            let position = endpoint.first();
            if let Some(writer) = endpoint.writer.take() {
                writer.wake();
            }
            if endpoint.has_unacknowledged() {
                self.arm(id);
                if lost {
                    self.send_segment(id, position);
                }
            }
        } else if segment.acknowledged == endpoint.unacknowledged
            && segment.data.is_empty()
            && !segment.fin
            && !widened // RFC 5681 §2: a window update is no duplicate
            && endpoint.has_unacknowledged()
        {
            endpoint.duplicates += 1;
            if endpoint.duplicates == 3 && endpoint.first() >= endpoint.recover {
                endpoint.recover = endpoint.next;
                let position = endpoint.first();
                self.send_segment(id, position);
            }
        }
    }

    fn take_data(&mut self, id: EndpointId, segment: Segment) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if segment.data.is_empty() && !segment.fin {
            return;
        }
        let end = segment.position + segment.data.len() as u64;
        if segment.fin {
            endpoint.peer_finish = Some(end);
        }
        // What is wanted next is always taken; what came too early only while there is room for it.
        let wanted = segment.position <= endpoint.expected || endpoint.early.len() < EARLY_SEGMENTS_MAX;
        if !segment.data.is_empty() && wanted {
            endpoint.early.insert(segment.position, segment.data);
        }
        while let Some((&position, _)) = endpoint.early.first_key_value() {
            if position > endpoint.expected {
                break;
            }
            let Some((_, data)) = endpoint.early.pop_first() else { break };
            let known = ((endpoint.expected - position) as usize).min(data.len());
            let room = endpoint.room() as usize;
            let fresh = &data[known..];
            let count = fresh.len().min(room);
            endpoint.incoming.extend(&fresh[..count]);
            endpoint.expected += count as u64;
            if count < fresh.len() {
                break; // no room: the other end sends it again
            }
        }
        if endpoint.peer_finish == Some(endpoint.expected) {
            endpoint.expected += 1;
        }
        if let Some(reader) = endpoint.reader.take() {
            reader.wake();
        }
        self.acknowledge(id);
    }

    /// Removes an end that has nothing left to do.
    fn settle(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        if endpoint.left && endpoint.is_finish_acknowledged() && endpoint.is_finished_by_peer() {
            self.forget(id);
        }
    }

    pub(crate) fn tcp_poll_connect(&mut self, id: EndpointId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return Poll::Ready(Err(gone())) };
        match endpoint.state {
            State::Established => Poll::Ready(Ok(())),
            State::Over(why) => Poll::Ready(Err(why.into())),
            _ => {
                endpoint.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Reads up to `limit` octets; none at the other end's FIN.
    pub(crate) fn tcp_poll_read(
        &mut self,
        id: EndpointId,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Vec<u8>>> {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return Poll::Ready(Err(gone())) };
        if !endpoint.incoming.is_empty() {
            let narrow = endpoint.room() < 2 * SEGMENT_OCTETS_MAX as u64;
            let count = endpoint.incoming.len().min(limit);
            let octets: Vec<u8> = endpoint.incoming.drain(..count).collect();
            if narrow {
                self.acknowledge(id); // the other end may be waiting for this room
            }
            return Poll::Ready(Ok(octets));
        }
        if endpoint.is_finished_by_peer() {
            return Poll::Ready(Ok(Vec::new()));
        }
        if let State::Over(why) = endpoint.state {
            return Poll::Ready(Err(why.into()));
        }
        endpoint.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn tcp_poll_write(
        &mut self,
        id: EndpointId,
        octets: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return Poll::Ready(Err(gone())) };
        if let State::Over(why) = endpoint.state {
            return Poll::Ready(Err(why.into()));
        }
        if endpoint.finish.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = octets.len().min(BUFFER_OCTETS - endpoint.outgoing.len().min(BUFFER_OCTETS));
        if count == 0 && !octets.is_empty() {
            endpoint.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        endpoint.outgoing.extend(&octets[..count]);
        self.send_more(id);
        if self.endpoints.get(&id).is_some_and(|e| !e.outgoing.is_empty()) {
            self.arm(id); // also for a window that is closed now
        }
        Poll::Ready(Ok(count))
    }

    /// The application sends no more.
    pub(crate) fn tcp_finish(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if endpoint.finish.is_none() && matches!(endpoint.state, State::Established) {
            endpoint.finish = Some(endpoint.first() + endpoint.outgoing.len() as u64);
            self.send_more(id);
        }
    }

    /// The application has dropped the connection. As a kernel does, this resets it when something
    /// that arrived was never read.
    pub(crate) fn tcp_leave(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        endpoint.left = true;
        let unread = !endpoint.incoming.is_empty();
        match endpoint.state {
            State::Established if !unread => {
                self.tcp_finish(id);
                self.settle(id);
                self.schedule(self.now + LINGER, Event::Forget(id));
            }
            State::Over(_) => self.forget(id),
            _ => {
                let ((node, source), destination) = (endpoint.place, endpoint.remote);
                let segment = Segment { reset: true, ack: true, ..Segment::default() };
                self.send(node, Packet { source, destination, payload: Payload::Tcp(segment) });
                self.forget(id);
            }
        }
    }
}

impl Endpoint {
    fn establish(&mut self, segment: &Segment, now: Instant) {
        self.state = State::Established;
        self.unacknowledged = 1;
        self.allowed = segment.acknowledged + segment.window;
        self.retries = 0;
        self.timer_set = false;
        // RFC 6298 §2.2 with the handshake as the one measurement.
        self.measured_timeout = (now.since(self.opened) * 3).clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        self.timeout = self.measured_timeout;
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// The host has crashed since.
fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}
