//! What has gone on between the web server and the servers that it hands requests on to, and in the forward
//! proxy.

use std::sync::atomic::Ordering::Relaxed;

use doorway_http::io::proxy::{ForwardCounts, Proxies};

use super::Page;

/// Adds it to the page.
pub(crate) fn measure(proxies: &Proxies, page: &mut Page) {
    for upstream in proxies.upstreams() {
        let name = upstream.config().name.as_str();
        let (opened, help) = (upstream.connections_opened(), "Connections opened to an upstream's servers.");
        page.counter("doorway_proxy_connections_opened", help, &[("upstream", name)], opened);
        for row in upstream.rows() {
            let (labels, counts) = ([("upstream", name), ("server", row.name.as_str())], row.counts);
            let up = f64::from(u8::from(row.up));
            page.gauge("doorway_proxy_up", "Whether checks find a server well.", &labels, up);
            let open = f64::from(u8::from(row.breaker != "closed"));
            page.gauge("doorway_proxy_breaker_open", "Whether a server is left alone.", &labels, open);
            page.gauge("doorway_proxy_active", "Requests under way.", &labels, f64::from(row.active));
            for (metric, help, count) in [
                ("doorway_proxy_requests", "Requests that a server was asked.", counts.requests),
                ("doorway_proxy_failures", "Requests that came to nothing.", counts.failures),
                ("doorway_proxy_errors", "Responses with a status of 500 or more.", counts.errors),
                ("doorway_proxy_responses", "Responses.", counts.responses),
                ("doorway_proxy_breaker_opened", "How often a server was left alone.", counts.opened),
                ("doorway_proxy_octets", "Octets of content that a server sent.", counts.octets),
            ] {
                page.counter(metric, help, &labels, count);
            }
            let waited = counts.waited.as_secs_f64();
            page.seconds(
                "doorway_proxy_wait_seconds",
                "Time to the heads of all responses.",
                &labels,
                waited,
            );
        }
    }
}

/// Adds what the forward proxy has done.
pub(crate) fn measure_forward(counts: &ForwardCounts, page: &mut Page) {
    for (metric, help, count) in [
        ("doorway_forward_requests", "Plain requests to the forward proxy.", &counts.requests),
        ("doorway_forward_tunnels", "Tunnels through the forward proxy.", &counts.tunnels),
        ("doorway_forward_logins_wanted", "Requests without a login that holds.", &counts.logins),
        ("doorway_forward_failures", "Requests that came to nothing.", &counts.failures),
    ] {
        page.counter(metric, help, &[], count.load(Relaxed));
    }
    let help = "Octets through tunnels.";
    for (direction, count) in [("from_client", &counts.octets_there), ("to_client", &counts.octets_back)] {
        page.counter("doorway_forward_tunnel_octets", help, &[("direction", direction)], count.load(Relaxed));
    }
    for (why, count) in counts.denied() {
        page.counter("doorway_forward_denied", "Requests that were refused.", &[("why", why)], count);
    }
    let open = counts.tunnels_open.load(Relaxed) as f64;
    page.gauge("doorway_forward_tunnels_open", "Tunnels that are open.", &[], open);
}
