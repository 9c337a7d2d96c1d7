//! What DHCP has done: messages, pools, what was dropped and why.

use std::sync::atomic::Ordering::Relaxed;

use doorway_dhcp::io::DhcpServer;
use doorway_dhcp::io::tftp::TftpCounters;
use doorway_dhcp::server::DropReason;
use doorway_dhcp::wire::MessageType;

use super::Page;

/// Adds the server to the page.
pub(crate) fn measure(server: &DhcpServer, page: &mut Page) {
    let stats = server.with(|engine, _| engine.stats());
    for (way, counts) in [("in", &stats.received), ("out", &stats.sent)] {
        for (kind, count) in MessageType::ALL.iter().zip(counts) {
            let labels = [("way", way), ("type", kind.name())];
            page.counter("doorway_dhcp_messages", "Messages of DHCP.", &labels, *count);
        }
    }
    for (reason, count) in DropReason::ALL.iter().zip(&stats.dropped) {
        let help = "Messages that got no answer.";
        page.counter("doorway_dhcp_dropped", help, &[("why", reason.name())], *count);
    }
    for (network, counts) in &stats.subnets {
        let network = network.to_string();
        for (state, count) in [
            ("bound", counts.bound),
            ("offered", counts.offered),
            ("released", counts.released),
            ("expired", counts.expired),
            ("declined", counts.declined),
            ("free", counts.available),
        ] {
            let labels = [("subnet", network.as_str()), ("state", state)];
            page.gauge("doorway_dhcp_leases", "Addresses by what became of them.", &labels, f64::from(count));
        }
        let help = "Addresses of all pools.";
        page.gauge("doorway_dhcp_pool_addresses", help, &[("subnet", &network)], f64::from(counts.pool));
    }
    let counters = server.counters();
    for (metric, help, count) in [
        ("doorway_dhcp_settled", "Changes of leases that were written.", &counters.settled),
        ("doorway_dhcp_unsettled", "Changes that could not be written.", &counters.unsettled),
        ("doorway_dhcp_unsent", "Replies that the system did not take.", &counters.unsent),
        ("doorway_dhcp_names_failed", "Leases that were written without their name.", &counters.names_failed),
        ("doorway_dhcp_links_lost", "Times that a link could not be listened on.", &counters.links_lost),
        ("doorway_dhcp_rogues", "Other servers that were found.", &counters.rogues),
        ("doorway_dhcp_alarms", "Times that many addresses of a subnet were found in use.", &counters.alarms),
    ] {
        page.counter(metric, help, &[], count.load(Relaxed));
    }
    page.counter("doorway_dhcp_probes", "Addresses that were probed.", &[], stats.probes);
    page.counter("doorway_dhcp_conflicts", "Addresses that a probe found in use.", &[], stats.conflicts);
    let degraded = f64::from(u8::from(counters.is_degraded()));
    page.gauge("doorway_dhcp_degraded", "1 while leases cannot be written.", &[], degraded);
}

/// Adds TFTP to the page.
pub(crate) fn measure_files(counters: &TftpCounters, page: &mut Page) {
    for (metric, help, count) in [
        ("doorway_tftp_requests", "Files that were asked for.", &counters.requests),
        ("doorway_tftp_completed", "Files that arrived whole.", &counters.completed),
        ("doorway_tftp_failed", "Files that were refused or did not arrive.", &counters.failed),
        ("doorway_tftp_octets", "Octets of files that were sent.", &counters.octets),
    ] {
        page.counter(metric, help, &[], count.load(Relaxed));
    }
}
