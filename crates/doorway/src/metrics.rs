//! Counters for a collector (`/metrics`, OpenMetrics 1.0) and health for whoever watches the process
//! (`/healthz`, `/readyz`).
//!
//! Nothing is counted here: each part counts for itself, and is asked when somebody looks. Labels are
//! bounded by the config: a service, a door, a reason; never a client or a domain.

pub(crate) mod cache;
pub(crate) mod dhcp;
pub(crate) mod dns;
pub(crate) mod http;
pub(crate) mod mail;
mod page;
pub(crate) mod proxy;
pub(crate) mod relay;
mod store;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use doorway_net::door::DoorCounts;
use doorway_net::web::{Handler, Request, Response};
use doorway_net::{BoxFuture, World};

pub(crate) use page::Page;

/// Media type of the answer to `GET /metrics`.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A part of the program that counts.
pub(crate) trait Measured: Send + Sync {
    /// Adds what it has counted to the page.
    fn measure(&self, page: &mut Page);

    /// Its name and whether it serves; `None` for a part that only counts.
    fn ready(&self) -> Option<(&'static str, bool)> {
        None
    }
}

/// Answers on `metrics.listen`.
pub(crate) struct Metrics {
    world: World,
    parts: Vec<Arc<dyn Measured>>,
}

impl Metrics {
    /// Tells about the doors of `world`, the process, and `parts`.
    pub(crate) fn new(world: World, parts: Vec<Arc<dyn Measured>>) -> Self {
        Self { world, parts }
    }

    fn page(&self) -> String {
        let mut page = Page::default();
        self.process(&mut page);
        self.doors(&mut page);
        for part in &self.parts {
            part.measure(&mut page);
        }
        page.finish()
    }

    fn process(&self, page: &mut Page) {
        let uptime = self.world.now().as_nanos() as f64 / 1e9;
        page.gauge("doorway_process_uptime_seconds", "Time since the start.", &[], uptime);
        let panics = self.world.doors().panics();
        page.counter("doorway_process_panics", "Tasks that ended by a panic.", &[], panics);
        if let Some(octets) = resident_octets() {
            page.gauge("doorway_process_resident_octets", "Memory in use.", &[], octets as f64);
        }
        if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
            // The folder itself is open while it is read.
            let count = descriptors.count().saturating_sub(1);
            page.gauge("doorway_process_descriptors", "Open descriptors.", &[], count as f64);
        }
    }

    fn doors(&self, page: &mut Page) {
        // While a reload drains a door there may be two at one address: a collector takes each set of
        // labels once.
        let mut doors: BTreeMap<(&str, &str, String), DoorCounts> = BTreeMap::new();
        for door in self.world.doors().list() {
            let local = door.local.map_or_else(|| "unix".to_owned(), |local| local.to_string());
            doors.entry((door.service, door.transport.name(), local)).or_default().add(&door.counts());
        }
        for ((service, transport, local), counts) in &doors {
            one_door(page, counts, &[("service", service), ("transport", transport), ("local", local)]);
        }
    }

    fn answer(&self, request: &Request) -> Response {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Response::new(405, "text/plain; charset=utf-8", "GET and HEAD only\n")
                .with("Allow", "GET, HEAD");
        }
        match request.path.as_str() {
            "/metrics" => Response::new(200, MEDIA_TYPE, self.page()),
            "/healthz" => Response::new(200, "text/plain; charset=utf-8", "alive\n"),
            "/readyz" => self.readiness(),
            _ => {
                Response::new(404, "text/plain; charset=utf-8", "there are /metrics, /healthz and /readyz\n")
            }
        }
    }

    fn readiness(&self) -> Response {
        let parts: Vec<_> = self.parts.iter().filter_map(|part| part.ready()).collect();
        let word = |ready| if ready { "ready" } else { "not ready" };
        let lines: String = parts.iter().map(|(name, ready)| format!("{name} {}\n", word(*ready))).collect();
        let status = if parts.iter().all(|(_, ready)| *ready) { 200 } else { 503 };
        Response::new(status, "text/plain; charset=utf-8", lines)
    }
}

fn one_door(page: &mut Page, counts: &DoorCounts, labels: &[(&str, &str)]) {
    page.gauge("doorway_net_connections", "Connections open now.", labels, counts.open as f64);
    page.counter("doorway_net_accepted", "Connections let in.", labels, counts.accepted);
    for (name, help, reasons) in [
        ("doorway_net_refused", "Connections refused.", &counts.refused),
        ("doorway_net_ended", "Connections ended from outside.", &counts.ended),
    ] {
        for (reason, count) in reasons {
            let labels = [labels, &[("reason", *reason)]].concat();
            page.counter(name, help, &labels, *count);
        }
    }
    for (name, help, count) in [
        ("doorway_net_datagrams_in", "Datagrams received.", counts.datagrams_in),
        ("doorway_net_datagrams_out", "Datagrams sent.", counts.datagrams_out),
        (
            "doorway_net_octets_in",
            "Octets received, those of a connection once it has ended.",
            counts.octets_in,
        ),
        ("doorway_net_octets_out", "Octets sent, likewise.", counts.octets_out),
    ] {
        page.counter(name, help, labels, count);
    }
}

/// Memory of this process, in octets; `None` where `/proc` is not there.
fn resident_octets() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

impl Handler for Metrics {
    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.answer(&request) })
    }
}

#[cfg(test)]
mod tests {
    use doorway_base::Trace;
    use doorway_net::os::Runtime;
    use doorway_net::tcp::{self, Connection, TcpOptions, TcpService};

    use super::*;

    struct Half(bool);

    impl Measured for Half {
        fn measure(&self, page: &mut Page) {
            page.counter("doorway_half_things", "Things.", &[], 7);
        }

        fn ready(&self) -> Option<(&'static str, bool)> {
            Some(("half", self.0))
        }
    }

    fn ask(method: &str, path: &str, ready: bool) -> (u16, String) {
        let runtime = Runtime::start("gate", 1, Trace::off()).unwrap();
        let metrics = Metrics::new(runtime.world().clone(), vec![Arc::new(Half(ready))]);
        let request = Request::new(method, path);
        let answer = async move {
            let response = metrics.handle(request).await;
            (response.status, response.body.read(1 << 20).await.unwrap())
        };
        let (status, body) = runtime.block_on(answer).unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn the_page_has_the_process_and_what_each_part_counted() {
        let (status, page) = ask("GET", "/metrics", true);
        assert_eq!(status, 200);
        assert!(page.contains("# TYPE doorway_process_panics counter\n"), "{page}");
        assert!(page.contains("doorway_half_things_total 7\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }

    #[test]
    fn two_doors_at_one_address_are_one_sample() {
        struct Nothing;
        impl TcpService for Nothing {
            async fn serve(&self, _: Connection) {}
        }
        let runtime = Runtime::start("gate", 1, Trace::off()).unwrap();
        let world = runtime.world().clone();
        let options = TcpOptions::new("echo", "echo", 0);
        let open = |at| tcp::serve(&world, at, &options, &Arc::new(Nothing)).unwrap().local().unwrap();
        let local = open("127.0.0.1:0".parse().unwrap());
        open(local);
        let page = Metrics::new(world.clone(), Vec::new()).page();
        let samples = page.lines().filter(|line| line.starts_with("doorway_net_accepted_total{"));
        assert_eq!(samples.count(), 1, "{page}");
    }

    #[test]
    fn one_part_that_is_not_ready_makes_the_whole_not_ready() {
        assert_eq!(ask("GET", "/readyz", true), (200, "half ready\n".to_owned()));
        assert_eq!(ask("GET", "/readyz", false), (503, "half not ready\n".to_owned()));
        assert_eq!(ask("GET", "/healthz", false).0, 200, "alive is not the same as ready");
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(ask("POST", "/metrics", true).0, 405);
        assert_eq!(ask("GET", "/", true).0, 404);
    }
}
