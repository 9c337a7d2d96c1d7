//! What the DHCP relay agent has passed on, and how the clients of this host stand.

use doorway_dhcp::relay::DropReason;

use super::Page;
use crate::agents::Agents;

/// Adds it to the page.
pub(crate) fn measure(agents: &Agents, page: &mut Page) {
    if let Some(counts) = agents.relay_counts() {
        for (metric, help, count) in [
            ("doorway_dhcp_relay_requests", "Messages of clients that went to servers.", counts.requests),
            ("doorway_dhcp_relay_replies", "Messages of servers that went to clients.", counts.replies),
            ("doorway_dhcp_relay_unmarked", "Messages that had no room for option 82.", counts.unmarked),
        ] {
            page.counter(metric, help, &[], count);
        }
        let help = "Messages that went no further.";
        for (reason, count) in DropReason::ALL.iter().zip(counts.dropped) {
            page.counter("doorway_dhcp_relay_dropped", help, &[("why", reason.name())], count);
        }
    }
    let (mut holding, mut bound, mut unexpected) = (0, 0, 0);
    let clients = agents.clients();
    for client in &clients {
        let status = client.status();
        holding += u32::from(status.lease.is_some());
        bound += status.bound;
        unexpected += status.counts.strays + status.counts.malformed + status.counts.unusable;
    }
    if !clients.is_empty() {
        page.gauge("doorway_dhcp_client_leases", "Leases that this host holds.", &[], holding.into());
        page.counter("doorway_dhcp_client_bound", "Leases given or extended.", &[], bound);
        page.counter("doorway_dhcp_client_unexpected", "Messages that were not taken.", &[], unexpected);
    }
}
