//! What a listener lets in: how many connections, from whom, how fast, and for how long.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use doorway_base::Instant;

use crate::lock;

/// Bounds of one TCP listener. A zero means "no bound" except where it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections open at once.
    pub connections: u64,
    /// Connections open at once from one IPv4 address or one IPv6 /64. Behind a listed proxy the
    /// client it names is counted, not the proxy.
    pub connections_per_address: u32,
    /// Whether that bound holds for this machine's own addresses too. A local proxy or a load test
    /// comes from one address and is not the stranger the bound is meant for.
    pub count_loopback: bool,
    /// New connections a second, with a burst of as many.
    pub accepts_per_second: u32,
    /// From accept to the end of the TLS or PROXY handshake. Whole seconds.
    pub handshake: Duration,
    /// From accept to the first octet. Whole seconds.
    pub first_octet: Duration,
    /// Without an octet in either direction. Whole seconds.
    pub idle: Duration,
    /// Without the peer taking an octet that waits to be sent. Whole seconds.
    pub write_stall: Duration,
    /// How long a message may take before its rate is looked at. Whole seconds.
    pub progress_grace: Duration,
    /// Octets a second that an incoming message must keep on average.
    pub progress_octets_per_second: u64,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_address: 256,
            count_loopback: false,
            accepts_per_second: 0,
            handshake: Duration::from_secs(10),
            first_octet: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            write_stall: Duration::from_secs(30),
            progress_grace: Duration::from_secs(30),
            progress_octets_per_second: 240,
        }
    }
}

impl TcpLimits {
    fn counts(&self, from: IpAddr) -> bool {
        self.connections_per_address != 0 && (self.count_loopback || !from.to_canonical().is_loopback())
    }
}

/// Why a connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// [`TcpLimits::connections`] are open.
    Connections,
    /// [`TcpLimits::connections_per_address`] are open from there.
    PerAddress,
    /// [`TcpLimits::accepts_per_second`] was passed.
    Rate,
    /// The process has no descriptor left.
    Descriptors,
    /// A listed proxy sent no valid PROXY header.
    Proxy,
    /// The TLS handshake failed.
    Tls,
}

impl Refused {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 6] =
        [Self::Connections, Self::PerAddress, Self::Rate, Self::Descriptors, Self::Proxy, Self::Tls];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::PerAddress => "per_address",
            Self::Rate => "rate",
            Self::Descriptors => "descriptors",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
        }
    }
}

/// Counts who is inside.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    open: AtomicU64,
    // Only looked up, never iterated; an address is in it while it has a connection.
    by_address: Mutex<HashMap<IpAddr, u32>>,
    bucket: Mutex<Option<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Admission {
    /// Lets a connection in or says why not; without an address it is only one of all. Each `Ok` is
    /// paid back with [`Admission::leave`].
    pub(crate) fn enter(
        &self,
        now: Instant,
        from: Option<IpAddr>,
        limits: &TcpLimits,
    ) -> Result<(), Refused> {
        if limits.accepts_per_second != 0 {
            let rate = f64::from(limits.accepts_per_second);
            let mut bucket = lock(&self.bucket);
            let bucket = bucket.get_or_insert(Bucket { tokens: rate, at: now });
            bucket.tokens = (bucket.tokens + now.since(bucket.at).as_secs_f64() * rate).min(rate);
            bucket.at = now;
            if bucket.tokens < 1.0 {
                return Err(Refused::Rate);
            }
            bucket.tokens -= 1.0;
        }
        if self.open.fetch_add(1, Relaxed) >= limits.connections && limits.connections != 0 {
            self.open.fetch_sub(1, Relaxed);
            return Err(Refused::Connections);
        }
        let entered = from.map_or(Ok(()), |from| self.enter_from(from, limits));
        if entered.is_err() {
            self.open.fetch_sub(1, Relaxed);
        }
        entered
    }

    /// Counts a connection that is in already for its address, which became known only now.
    pub(crate) fn enter_from(&self, from: IpAddr, limits: &TcpLimits) -> Result<(), Refused> {
        if limits.counts(from) {
            let mut by_address = lock(&self.by_address);
            let count = by_address.entry(site(from)).or_insert(0);
            if *count >= limits.connections_per_address {
                return Err(Refused::PerAddress);
            }
            *count += 1;
        }
        Ok(())
    }

    /// `from` is the address it was counted for, if any.
    pub(crate) fn leave(&self, from: Option<IpAddr>, limits: &TcpLimits) {
        self.open.fetch_sub(1, Relaxed);
        if let Some(from) = from.filter(|from| limits.counts(*from)) {
            let mut by_address = lock(&self.by_address);
            if let Some(count) = by_address.get_mut(&site(from)) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&site(from));
                }
            }
        }
    }

    pub(crate) fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }
}

/// One IPv4 address, or the /64 that an IPv6 host can choose from.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn each_address_and_the_whole_door_have_their_own_bound() {
        let limits = TcpLimits { connections: 3, connections_per_address: 2, ..TcpLimits::default() };
        let door = Admission::default();
        let enter = |from: &str| door.enter(Instant::ZERO, ip(from), &limits);
        assert_eq!(enter("10.0.0.1"), Ok(()));
        assert_eq!(enter("10.0.0.1"), Ok(()));
        assert_eq!(enter("10.0.0.1"), Err(Refused::PerAddress));
        assert_eq!(enter("10.0.0.2"), Ok(()));
        assert_eq!(enter("10.0.0.3"), Err(Refused::Connections));
        door.leave(ip("10.0.0.1"), &limits);
        assert_eq!(door.open(), 2);
        assert_eq!(enter("10.0.0.1"), Ok(()));
    }

    #[test]
    fn an_ipv6_host_cannot_pose_as_many() {
        let limits = TcpLimits { connections_per_address: 1, ..TcpLimits::default() };
        let door = Admission::default();
        assert!(door.enter(Instant::ZERO, ip("2001:db8::1"), &limits).is_ok());
        assert_eq!(door.enter(Instant::ZERO, ip("2001:db8::2"), &limits), Err(Refused::PerAddress));
        assert!(door.enter(Instant::ZERO, ip("2001:db8:0:1::1"), &limits).is_ok());
    }

    #[test]
    fn the_accept_rate_refills_with_time() {
        let limits = TcpLimits { accepts_per_second: 10, ..TcpLimits::default() };
        let door = Admission::default();
        let let_in = |millis: u64| {
            let now = Instant::ZERO + Duration::from_millis(millis);
            (0..20).filter(|_| door.enter(now, ip("10.0.0.1"), &limits).is_ok()).count()
        };
        assert_eq!(let_in(0), 10);
        assert_eq!(let_in(0), 0);
        assert_eq!(let_in(500), 5);
        assert_eq!(let_in(60_000), 10, "the burst is bounded");
    }
}
