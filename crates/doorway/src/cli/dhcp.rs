//! `doorway dhcp …`

use core::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use doorway_base::config::units;
use doorway_dhcp::lease_file::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum DhcpCommand {
    /// Ask who offers addresses on a link, and take none: every server there is
    Discover(DiscoverArgs),
    /// Get an address for an interface of this host and hold it until stopped
    Client(ClientArgs),
    /// Who has which address, until when, and under which name
    Leases(LeasesArgs),
    /// Keep an address for one client: the one that has it now, or another
    Reserve(ReserveArgs),
    /// Keep an address no longer; whoever has it has it until the lease ends
    Unreserve {
        /// The address
        address: Ipv4Addr,
    },
    /// End a lease now, and take its name out of DNS
    Release {
        /// The address
        address: Ipv4Addr,
    },
    /// Give addresses out again that a client found in use
    DeclineClear {
        /// The address; without one all of them
        address: Option<Ipv4Addr>,
    },
    /// Write all leases as another server reads them
    Export {
        /// Whose file it is to be: isc, dnsmasq or kea
        format: Format,
    },
    /// Take leases and reservations over from the file of another server, while this one does not run
    Import {
        /// Whose file it is: isc, dnsmasq or kea
        format: Format,
        /// The file; what is known of an address already stays
        file: PathBuf,
    },
    /// Addresses that are offered and not taken yet
    Offers,
    /// How full the pools are, and what was asked and answered
    Stats,
}

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// The interface, such as eth0
    pub(crate) interface: String,
    /// How long offers are waited for; some servers look for 3 seconds whether an address is in use
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    pub(crate) wait: Duration,
    /// Ask as this hardware address [default: the interface's own]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mac: Option<String>,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct ClientArgs {
    /// The interface, such as eth0
    pub(crate) interface: String,
    /// Give the interface the address and its routes
    #[arg(long)]
    pub(crate) apply: bool,
    /// End as soon as there is an address; it stays as long as its lease
    #[arg(long)]
    pub(crate) once: bool,
    /// Give the address back at the end
    #[arg(long, conflicts_with = "once")]
    pub(crate) release: bool,
    /// The address that would be best
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<Ipv4Addr>,
    /// What this host says it is called [default: the system's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Be told from others by the hardware address, and not by an identifier that is kept
    #[arg(long)]
    pub(crate) hardware_id: bool,
}

// As in the config: `3s`, `500ms`.
fn span(text: &str) -> Result<Duration, String> {
    let span = units::duration(text)?;
    let range = Duration::from_millis(100)..=Duration::from_secs(600);
    if range.contains(&span) { Ok(span) } else { Err("from 100ms to 10m".to_owned()) }
}

#[derive(Debug, Args)]
pub(crate) struct LeasesArgs {
    /// Only those of this network, such as 10.77.0.0/16
    #[arg(long, value_name = "NETWORK")]
    pub(crate) subnet: Option<String>,
    /// Only those in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<State>,
    /// Only those with this in the address, the client or the name
    #[arg(long, value_name = "TEXT")]
    pub(crate) find: Option<String>,
    /// Lines at the most
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ReserveArgs {
    /// The address
    pub(crate) address: Ipv4Addr,
    /// The client's hardware address [default: of the client that has the address]
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["client_id", "circuit_id"])]
    pub(crate) mac: Option<String>,
    /// The client's identifier (option 61), in hexadecimal
    #[arg(long, value_name = "HEX", conflicts_with = "circuit_id")]
    pub(crate) client_id: Option<String>,
    /// The circuit of a relay (option 82), as text, or in hexadecimal after 0x
    #[arg(long, value_name = "CIRCUIT")]
    pub(crate) circuit_id: Option<String>,
    /// The name that the client gets
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
}

/// What may have become of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// The client has the address
    Bound,
    /// It gave the address back
    Released,
    /// Its time is over
    Expired,
    /// Somebody else was found to use the address
    Declined,
}

impl State {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Declined => "declined",
        }
    }
}
