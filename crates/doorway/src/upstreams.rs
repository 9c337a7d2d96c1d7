//! What can be asked about the servers that requests are handed on to, with the answer in JSON.

use doorway_http::Server;
use doorway_http::io::proxy::{Proxies, ServerRow, Tried};
use doorway_http::url::Url;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::escape;

/// Where they stand on the control socket.
const PATH: &str = "/v1/proxy";

/// One request about upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upstreams {
    /// What is known of every server.
    Status,
    /// Which servers would be asked for a URL, and what they say to it.
    Test {
        /// The URL, as a client would ask for it.
        url: String,
    },
}

impl Upstreams {
    /// Method and target that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, String) {
        match self {
            Self::Status => ("GET", PATH.to_owned()),
            Self::Test { url } => ("POST", format!("{PATH}/test?url={}", escape(url))),
        }
    }

    /// The request that method, path and query stand for; `None` when the path is about something else.
    pub(crate) fn from_http(method: &str, path: &str, url: Option<&str>) -> Option<Self> {
        match (method, path.strip_prefix(PATH)?) {
            ("GET", "") => Some(Self::Status),
            ("POST", "/test") => Some(Self::Test { url: url?.to_owned() }),
            _ => None,
        }
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// [`Exit::Wrong`] when the URL is none, or no route hands it on.
    pub(crate) async fn run(&self, server: &Server, proxies: &Proxies) -> Result<Value, Failure> {
        let Self::Test { url } = self else { return Ok(status(proxies)) };
        let wrong = |what: String| Failure::new(what).exit(Exit::Wrong);
        let read = Url::parse(url).map_err(|fault| wrong(format!("`{url}` is no URL")).why(fault))?;
        let Some(upstream) = server.upstream_of(&read.host, &read.path) else {
            let fix = "`doorway proxy status` lists who is asked; routes have it as `proxy`";
            return Err(wrong(format!("no route hands {url} on to another server")).fix(fix));
        };
        let host = Some(read.host.as_str()).filter(|_| upstream.config().keeps_host);
        let tried = upstream.probe(host, &read.target()).await;
        Ok(json!({
            "url": url,
            "upstream": upstream.config().name,
            "servers": tried.iter().zip(upstream.rows()).map(|(tried, row)| outcome(tried, &row)).collect::<Vec<_>>(),
        }))
    }
}

fn status(proxies: &Proxies) -> Value {
    let servers = proxies.upstreams().flat_map(|upstream| {
        let name = upstream.config().name.clone();
        upstream.rows().into_iter().map(move |row| server(&name, &row))
    });
    json!({ "servers": servers.collect::<Vec<_>>() })
}

fn server(upstream: &str, row: &ServerRow) -> Value {
    let counts = &row.counts;
    let waited = counts.waited.as_secs_f64() * 1e3 / counts.responses.max(1) as f64;
    json!({
        "upstream": upstream,
        "server": row.name,
        "state": state(row),
        "breaker": row.breaker,
        "active": row.active,
        "weight": row.weight,
        "backup": row.backup,
        "requests": counts.requests,
        "failures": counts.failures,
        "errors": counts.errors,
        "octets": counts.octets,
        "wait_millis": waited,
        "last_failure": row.last_failure,
    })
}

fn outcome(tried: &Tried, row: &ServerRow) -> Value {
    json!({
        "server": tried.server,
        "state": state(row),
        "breaker": row.breaker,
        "status": tried.outcome.as_ref().ok(),
        "failure": tried.outcome.as_ref().err(),
        "connect_millis": tried.connect.as_secs_f64() * 1e3,
        "wait_millis": tried.wait.as_secs_f64() * 1e3,
    })
}

const fn state(row: &ServerRow) -> &'static str {
    if row.up { "up" } else { "down" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::percent::unescape;

    #[test]
    fn a_request_survives_its_way_over_the_socket() {
        let url = || "http://a.example/b?c=d&e".to_owned();
        for request in [Upstreams::Status, Upstreams::Test { url: url() }] {
            let (method, target) = request.to_http();
            let (path, query) = target.split_once("?url=").unwrap_or((&target, ""));
            let query = unescape(query);
            assert_eq!(Upstreams::from_http(method, path, Some(&query)), Some(request));
        }
        assert_eq!(Upstreams::from_http("POST", "/v1/proxy/test", None), None);
        assert_eq!(Upstreams::from_http("GET", "/v1/proxyx", None), None);
    }
}
