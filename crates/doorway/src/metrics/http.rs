//! What the web server has counted: requests, responses, broken rules, logins and sessions.

use std::sync::atomic::Ordering;

use doorway_http::Server;

use super::Page;
use crate::logins::Logins;

/// Adds it to the page.
pub(crate) fn measure(http: &Server, logins: &Logins, page: &mut Page) {
    let counts = http.counts();
    page.counter("doorway_http_requests", "Requests with a right head.", &[], counts.requests);
    for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(counts.responses) {
        page.counter("doorway_http_responses", "Responses by class.", &[("class", class)], count);
    }
    for (site, counts) in counts.by_site() {
        let site = if site.is_empty() { "*" } else { site };
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(counts) {
            let labels = [("site", site), ("class", *class)];
            page.counter("doorway_http_site_responses", "Responses by site and class.", &labels, *count);
        }
    }
    for (protocol, count) in ["1.0", "1.1", "2"].iter().zip(counts.protocols) {
        page.counter("doorway_http_protocols", "Responses by version.", &[("version", protocol)], count);
    }
    let help = "Lines of the access log that were lost.";
    page.counter("doorway_http_log_dropped", help, &[], counts.lines_dropped);
    page.counter("doorway_http_hot", "Responses that were ready-made.", &[], counts.hot);
    for (rule, count) in counts.refusals() {
        page.counter("doorway_http_refused", "Requests that broke a rule.", &[("rule", rule)], count);
    }
    let connections = counts.h2_connections;
    page.counter("doorway_http2_connections", "Connections that spoke HTTP/2.", &[], connections);
    page.counter("doorway_http2_resets", "Streams that clients gave up.", &[], counts.h2_resets);
    for (rule, count) in counts.violations() {
        let help = "Rules of HTTP/2 that were broken.";
        page.counter("doorway_http2_violations", help, &[("rule", rule)], count);
    }
    let tally = logins.authenticator.tally();
    for (outcome, count) in [
        ("granted", &tally.granted),
        ("denied", &tally.denied),
        ("limited", &tally.limited),
        ("unavailable", &tally.unavailable),
        ("cleartext", &tally.cleartext),
        ("cross_site", &tally.cross_site),
    ] {
        let count = count.load(Ordering::Relaxed);
        page.counter(
            "doorway_http_logins",
            "Logins, and why others were none.",
            &[("outcome", outcome)],
            count,
        );
    }
    let sessions = logins.sessions.count();
    page.gauge("doorway_http_sessions", "Sessions that are kept.", &[], sessions as f64);
}
