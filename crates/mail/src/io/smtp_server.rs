//! Doors through which mail comes in: port 25, submission with STARTTLS (587) and under TLS (465), LMTP over
//! TCP and Unix sockets. What is said is decided by [`crate::smtp::Conversation`]; who may send to whom, and
//! keeping messages, by an [`Intake`].

mod counters;
mod talk;

use core::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorway_base::config::Cidr;
use doorway_net::tcp::TcpOptions;
use doorway_net::tls::TlsAcceptor;
use doorway_net::{Connection, TcpService};
use doorway_store::LoginGate;

use super::intake::Intake;
use crate::smtp::Dialect;
use crate::smtp::data::BareNewline;
use crate::smtp::session::{Options, Peer};
pub use counters::{SUBJECTS, SmtpCounters};

/// How a door is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorSetup {
    /// What it offers.
    pub options: Options,
    /// Networks whose messages are mended where others are refused: CR, LF and NUL alone
    /// ([`BareNewline::Normalize`]).
    pub normalize: Vec<Cidr>,
    /// Networks that are not offered BDAT, because what they send by it is broken.
    pub no_chunking: Vec<Cidr>,
    /// Domains whose users may log in with their address in place of their name.
    pub domains: Vec<String>,
    /// Whether passwords are taken in the clear from other machines too.
    pub clear_passwords: bool,
}

impl DoorSetup {
    /// A door that treats all networks alike.
    #[must_use]
    pub const fn new(options: Options) -> Self {
        Self {
            options,
            normalize: Vec::new(),
            no_chunking: Vec::new(),
            domains: Vec::new(),
            clear_passwords: false,
        }
    }

    fn bare_newline(&self, remote: Option<IpAddr>) -> BareNewline {
        if lists(&self.normalize, remote) { BareNewline::Normalize } else { BareNewline::Reject }
    }

    fn peer(&self, remote: Option<IpAddr>, tls: bool) -> Peer {
        Peer {
            tls,
            clear_password: self.clear_passwords
                || remote.is_none_or(|address| address.to_canonical().is_loopback()),
            chunking: self.options.chunking && !lists(&self.no_chunking, remote),
        }
    }
}

fn lists(networks: &[Cidr], remote: Option<IpAddr>) -> bool {
    remote.is_some_and(|address| networks.iter().any(|network| network.contains(address.to_canonical())))
}

/// What stands behind the doors, the same for all of them.
#[derive(Clone)]
pub struct SmtpParts {
    /// What takes messages.
    pub intake: Arc<dyn Intake>,
    /// Who lets users in; without it no door offers AUTH.
    pub gate: Option<Arc<LoginGate>>,
    /// The certificates of STARTTLS; without them no door offers it.
    pub tls: Option<Arc<TlsAcceptor>>,
    /// What is counted.
    pub counters: Arc<SmtpCounters>,
}

impl std::fmt::Debug for SmtpParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpParts").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// One door.
#[derive(Debug)]
pub struct SmtpServer {
    parts: SmtpParts,
    setup: Mutex<Arc<Setup>>,
}

/// The set-up as connections share it.
#[derive(Debug)]
struct Setup {
    door: DoorSetup,
    options: Arc<Options>,
}

impl Setup {
    fn new(mut door: DoorSetup, parts: &SmtpParts) -> Arc<Self> {
        door.options.starttls &= parts.tls.is_some();
        door.options.auth &= parts.gate.is_some();
        let options = Arc::new(door.options.clone());
        Arc::new(Self { door, options })
    }
}

impl SmtpServer {
    /// A door with this set-up.
    #[must_use]
    pub fn new(door: DoorSetup, parts: SmtpParts) -> Self {
        let setup = Mutex::new(Setup::new(door, &parts));
        Self { parts, setup }
    }

    /// Serves new connections by another set-up from now on.
    pub fn replace(&self, door: DoorSetup) {
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner) = Setup::new(door, &self.parts);
    }

    fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the door is to be opened; whoever opens it adds certificates for TLS from the first octet, and who
    /// is let in. Idle clients are told goodbye by the session, so the door itself does not end them.
    #[must_use]
    pub fn tcp_options(&self, service: &'static str) -> TcpOptions {
        let options = &self.setup().options;
        let (protocol, port) = match (options.dialect, options.submission) {
            (Dialect::Lmtp, _) => ("lmtp", 24),
            (Dialect::Smtp, false) => ("smtp", 25),
            (Dialect::Smtp, true) => ("smtp", 587),
        };
        let mut tcp = TcpOptions::new(service, protocol, port);
        tcp.limits.connections = 1000;
        tcp.limits.connections_per_address = 50;
        tcp.limits.idle = Duration::ZERO;
        // The server speaks first: who says nothing is waited for as for any command.
        tcp.limits.first_octet = Duration::ZERO;
        tcp
    }
}

impl TcpService for SmtpServer {
    async fn serve(&self, connection: Connection) {
        talk::serve(self, connection).await;
    }
}
