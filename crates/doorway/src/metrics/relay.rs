//! What the DHCP relay agent has passed on, and what it has not.

use doorway_dhcp::relay::{Counts, DropReason};

use super::Page;

/// Adds it to the page.
pub(crate) fn measure(counts: &Counts, page: &mut Page) {
    for (metric, help, count) in [
        ("doorway_dhcp_relay_requests", "Messages of clients that went to servers.", counts.requests),
        ("doorway_dhcp_relay_replies", "Messages of servers that went to clients.", counts.replies),
        ("doorway_dhcp_relay_unmarked", "Messages that were too long for an option 82.", counts.unmarked),
    ] {
        page.counter(metric, help, &[], count);
    }
    for (reason, count) in DropReason::ALL.iter().zip(counts.dropped) {
        let help = "Messages that went no further.";
        page.counter("doorway_dhcp_relay_dropped", help, &[("why", reason.name())], count);
    }
}
