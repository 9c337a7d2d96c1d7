//! Whether anybody has the address already: probes, and what they bring to light. RFC 5227 §2.1.

use core::net::Ipv4Addr;
use core::time::Duration;

use doorway_base::{Instant, Random};

use crate::client::Check;

/// Probes that are sent: PROBE_NUM of RFC 5227 §1.1.
const PROBES: u32 = 3;
/// From one probe to the next, and from the last to the end, of the quick check.
const QUICK_STEP: Duration = Duration::from_millis(200);
/// PROBE_WAIT: the longest wait before the first probe.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// PROBE_MIN: the shortest time from one probe to the next; the longest is PROBE_MAX, twice as long.
const PROBE_MIN: Duration = Duration::from_secs(1);
/// ANNOUNCE_WAIT: from the last probe to the end.
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);

/// What a neighbour said by ARP: RFC 826.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Who said it.
    pub sender: [u8; 6],
    /// The address that it says it has; 0.0.0.0 in a probe.
    pub sender_address: Ipv4Addr,
    /// The address that it asks about.
    pub target_address: Ipv4Addr,
}

/// A check under way.
#[derive(Debug, Clone)]
pub(super) struct Checking {
    pace: Check,
    sent: u32,
    /// When the next probe is due, or when the address is found free.
    pub(super) next: Instant,
}

/// What is to be done when a check's time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Probe,
    Free,
}

impl Checking {
    /// `None` when nobody is to be asked.
    pub(super) fn begin(pace: Check, now: Instant, random: &mut Random) -> Option<Self> {
        let next = match pace {
            Check::Off => return None,
            Check::Quick => now,
            Check::Standard => now + PROBE_WAIT.mul_f64(random.fraction()),
        };
        Some(Self { pace, sent: 0, next })
    }

    /// The step that is due now.
    pub(super) fn step(&mut self, now: Instant, random: &mut Random) -> Step {
        if self.sent == PROBES {
            return Step::Free;
        }
        self.sent += 1;
        self.next = now
            + match self.pace {
                Check::Standard if self.sent == PROBES => ANNOUNCE_WAIT,
                Check::Standard => PROBE_MIN.mul_f64(1.0 + random.fraction()),
                Check::Off | Check::Quick => QUICK_STEP,
            };
        Step::Probe
    }
}

/// Whether what was heard shows that `address` is somebody else's, or that somebody else is about to take it.
pub(super) fn conflicts(heard: &Heard, address: Ipv4Addr, own: Option<[u8; 6]>) -> bool {
    let probes = heard.sender_address.is_unspecified() && heard.target_address == address;
    own != Some(heard.sender) && (heard.sender_address == address || probes)
}
