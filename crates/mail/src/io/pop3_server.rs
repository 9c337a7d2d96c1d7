//! The POP3 server (RFC 1939 §3): what its doors share. What happens on one connection is in
//! `pop3_server/talk.rs`.

mod talk;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorway_net::tcp::TcpOptions;
use doorway_net::tls::TlsAcceptor;
use doorway_net::{Connection, TcpService};
use doorway_store::LoginGate;

use self::talk::Talk;
use super::mailboxes::Mailboxes;
use crate::pop3::Policy;

/// Ports of POP3: in clear with STLS, and with TLS from the first octet (RFC 8314 §3.3).
pub const PORT: u16 = 110;
/// The port for TLS from the first octet.
pub const PORT_TLS: u16 = 995;
/// Silence after which a connection is dropped; RFC 1939 §3 wants ten minutes at least.
pub const IDLE_MAX: Duration = Duration::from_secs(600);
/// What the servers have done since they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pop3Metrics {
    /// Commands.
    pub commands: u64,
    /// Logins that succeeded and opened a mailbox.
    pub logins: u64,
    /// Logins with a wrong name or password, or too many of them.
    pub denied: u64,
    /// Logins to a mailbox that another session had.
    pub in_use: u64,
    /// Messages sent, whole or in part.
    pub retrieved: u64,
    /// Octets of messages sent, before dots were doubled.
    pub retrieved_octets: u64,
    /// Messages deleted.
    pub deleted: u64,
    /// Sessions that ended without QUIT.
    pub broken_off: u64,
}

#[derive(Debug, Default)]
struct Counters {
    commands: AtomicU64,
    logins: AtomicU64,
    denied: AtomicU64,
    in_use: AtomicU64,
    retrieved: AtomicU64,
    retrieved_octets: AtomicU64,
    deleted: AtomicU64,
    broken_off: AtomicU64,
}

fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Relaxed);
}

/// Serves mailboxes by POP3, behind any number of doors.
pub struct Pop3Server {
    mailboxes: Arc<Mailboxes>,
    gate: Arc<LoginGate>,
    options: Pop3Options,
    /// Users whose maildrop is open: one session each (RFC 1939 §4).
    open: Mutex<BTreeSet<u64>>,
    counters: Counters,
}

/// How to serve.
#[derive(Debug, Clone, Default)]
pub struct Pop3Options {
    /// For STLS; without it there is none.
    pub tls: Option<Arc<TlsAcceptor>>,
    /// Whether passwords are taken in clear from other machines too.
    pub clear_passwords: bool,
    /// The domains whose addresses log in as the users before their `@`.
    pub domains: Vec<String>,
}

impl std::fmt::Debug for Pop3Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pop3Server").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Pop3Server {
    /// A server of these mailboxes to whom `gate` lets in.
    #[must_use]
    pub fn new(mailboxes: Arc<Mailboxes>, gate: Arc<LoginGate>, options: Pop3Options) -> Self {
        Self { mailboxes, gate, options, open: Mutex::default(), counters: Counters::default() }
    }

    /// How a door is set up: `tls` for one that encrypts from the first octet.
    #[must_use]
    pub fn tcp_options(&self, tls: bool) -> TcpOptions {
        let mut options = TcpOptions::new("pop3", "pop3", if tls { PORT_TLS } else { PORT });
        options.limits.idle = IDLE_MAX;
        options.limits.first_octet = IDLE_MAX;
        options.tls = self.options.tls.clone().filter(|_| tls);
        options
    }

    /// What was done so far.
    #[must_use]
    pub fn metrics(&self) -> Pop3Metrics {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let counters = &self.counters;
        Pop3Metrics {
            commands: read(&counters.commands),
            logins: read(&counters.logins),
            denied: read(&counters.denied),
            in_use: read(&counters.in_use),
            retrieved: read(&counters.retrieved),
            retrieved_octets: read(&counters.retrieved_octets),
            deleted: read(&counters.deleted),
            broken_off: read(&counters.broken_off),
        }
    }

    /// Maildrops that are open now.
    #[must_use]
    pub fn open_maildrops(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TcpService for Pop3Server {
    async fn serve(&self, connection: Connection) {
        let (stream, world, watching) = connection.into_parts();
        let unix = stream.unix_user().is_some();
        let remote = watching.pulse().ends().remote.ip();
        let policy = Policy {
            stls: self.options.tls.is_some(),
            tls: stream.is_tls(),
            clear: self.options.clear_passwords || unix || remote.to_canonical().is_loopback(),
        };
        let mut talk = Talk::new(self, stream, world, watching, policy);
        // What goes wrong with the connection ends it, and nothing else happens: no UPDATE.
        if !talk.run().await.unwrap_or(false) && talk.has_maildrop() {
            count(&self.counters.broken_off, 1);
        }
    }
}
