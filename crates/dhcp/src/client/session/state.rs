//! The states: RFC 2131 figure 5, with the check of RFC 5227 as one more.

use core::fmt;
use core::net::Ipv4Addr;

use doorway_base::Instant;

use super::Known;
use super::check::Checking;
use super::exchange::Exchange;
use crate::client::binding::{Binding, Offer};

/// A state with what belongs to it.
#[derive(Debug, Clone)]
pub(super) enum State {
    Stopped,
    Init { at: Instant },
    Selecting { exchange: Exchange, offers: Vec<Offer>, decide_at: Instant },
    Requesting { exchange: Exchange, offer: Offer },
    Rebooting { exchange: Exchange, known: Known },
    Checking { binding: Binding, check: Checking },
    Bound { binding: Binding, announcements: u32, announce_at: Instant },
    Renewing { binding: Binding, exchange: Exchange },
    Rebinding { binding: Binding, exchange: Exchange },
    Informing { exchange: Exchange, address: Ipv4Addr },
}

impl State {
    pub(super) const fn phase(&self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Init { .. } => Phase::Init,
            Self::Selecting { .. } => Phase::Selecting,
            Self::Requesting { .. } => Phase::Requesting,
            Self::Rebooting { .. } => Phase::Rebooting,
            Self::Checking { .. } => Phase::Checking,
            Self::Bound { .. } => Phase::Bound,
            Self::Renewing { .. } => Phase::Renewing,
            Self::Rebinding { .. } => Phase::Rebinding,
            Self::Informing { .. } => Phase::Informing,
        }
    }

    /// The address that may be used in this state.
    pub(super) const fn binding(&self) -> Option<&Binding> {
        match self {
            Self::Bound { binding, .. }
            | Self::Renewing { binding, .. }
            | Self::Rebinding { binding, .. } => Some(binding),
            _ => None,
        }
    }

    /// What waits for an answer.
    pub(super) const fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::Selecting { exchange, .. }
            | Self::Requesting { exchange, .. }
            | Self::Rebooting { exchange, .. }
            | Self::Renewing { exchange, .. }
            | Self::Rebinding { exchange, .. }
            | Self::Informing { exchange, .. } => Some(exchange),
            _ => None,
        }
    }

    /// When time changes something; [`Instant::NEVER`] when it does not.
    pub(super) fn next_timeout(&self) -> Instant {
        match self {
            Self::Stopped => Instant::NEVER,
            Self::Init { at } => *at,
            Self::Selecting { exchange, decide_at, .. } => exchange.next.min(*decide_at),
            Self::Requesting { exchange, .. }
            | Self::Rebooting { exchange, .. }
            | Self::Informing { exchange, .. } => exchange.next,
            Self::Checking { check, .. } => check.next,
            Self::Bound { binding, announcements: 0, .. } => binding.renews_at(),
            Self::Bound { binding, announce_at, .. } => binding.renews_at().min(*announce_at),
            Self::Renewing { binding, exchange } => exchange.next.min(binding.rebinds_at()),
            Self::Rebinding { binding, exchange } => exchange.next.min(binding.ends_at()),
        }
    }
}

/// A state by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing is under way.
    Stopped,
    /// It waits before it begins.
    Init,
    /// It has asked who offers an address.
    Selecting,
    /// It has asked for one of the offers.
    Requesting,
    /// It has asked for the address that it had before a restart.
    Rebooting,
    /// It asks its neighbours whether one of them has the address.
    Checking,
    /// The address is its own.
    Bound,
    /// T1 has passed: it asks the server for a longer lease.
    Renewing,
    /// T2 has passed: it asks any server.
    Rebinding,
    /// It has asked for configuration without an address.
    Informing,
}

impl Phase {
    /// The state's name as the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "STOPPED",
            Self::Init => "INIT",
            Self::Selecting => "SELECTING",
            Self::Requesting => "REQUESTING",
            Self::Rebooting => "INIT-REBOOT",
            Self::Checking => "CHECKING",
            Self::Bound => "BOUND",
            Self::Renewing => "RENEWING",
            Self::Rebinding => "REBINDING",
            Self::Informing => "INFORMING",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
