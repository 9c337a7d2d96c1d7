//! What can be asked of the caches of the web server, with the answer in JSON.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use doorway_base::Instant;
use doorway_http::Server;
use doorway_http::cache::{Policy, Purge, PurgeWhat, Target, Targets, host};
use doorway_http::io::cache::{Cache, Caches, HostCounts, Object, VERDICTS};
use doorway_http::url::Url;
use doorway_net::web::{Request, Response};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::escape;

/// Where they stand on the control socket.
const PATH: &str = "/v1/cache";
/// Longest content that is fetched to be kept, in octets.
const WARM_OCTETS_MAX: usize = 1 << 40;
/// Most URLs of one request to fetch.
pub(crate) const WARM_MAX: usize = 100;

/// One request about caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caching {
    /// How full they are, and what they spared.
    Stat,
    /// What is kept for a URL.
    Inspect {
        /// The URL, as clients ask for it.
        url: String,
    },
    /// Responses are to be forgotten, or validated.
    Purge {
        /// The cache; all of them without a name.
        cache: Option<String>,
        /// The order, with the URL as clients ask for it.
        purge: Purge,
    },
    /// Responses are to be fetched, so that they are there.
    Warm {
        /// At most [`WARM_MAX`].
        urls: Vec<String>,
    },
}

impl Caching {
    /// Method, target and body that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, String, Option<Value>) {
        match self {
            Self::Stat => ("GET", PATH.to_owned(), None),
            Self::Inspect { url } => ("GET", format!("{PATH}/object?url={}", escape(url)), None),
            Self::Purge { cache, purge } => {
                let (name, value) = match &purge.what {
                    PurgeWhat::Url(key) => ("url", key.as_str()),
                    PurgeWhat::Prefix(prefix) => ("prefix", prefix.as_str()),
                    PurgeWhat::Host(host) => ("host", host.as_str()),
                    PurgeWhat::Tag(tag) => ("tag", tag.as_str()),
                };
                let body = json!({ "cache": cache, "soft": purge.soft, name: value });
                ("POST", format!("{PATH}/purge"), Some(body))
            }
            Self::Warm { urls } => ("POST", format!("{PATH}/warm"), Some(json!({ "urls": urls }))),
        }
    }

    /// The request that method, path, query and body stand for; `None` when the path is about something else.
    pub(crate) fn from_http(
        method: &str,
        path: &str,
        url: Option<&str>,
        body: &[u8],
    ) -> Option<Result<Self, Failure>> {
        match (method, path.strip_prefix(PATH)?) {
            ("GET", "") => Some(Ok(Self::Stat)),
            ("GET", "/object") => Some(Ok(Self::Inspect { url: url?.to_owned() })),
            ("POST", "/purge") => Some(purge(body)),
            ("POST", "/warm") => Some(warm(body)),
            _ => None,
        }
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// [`Exit::Wrong`] when it makes no sense here.
    pub(crate) async fn run(&self, now: Instant, server: &Server, caches: &Caches) -> Result<Value, Failure> {
        match self {
            Self::Stat => Ok(json!({ "caches": caches.iter().map(|cache| stat(cache)).collect::<Vec<_>>() })),
            Self::Inspect { url } => {
                let read = read_url(url)?;
                let mut objects = Vec::new();
                for cache in caches.iter() {
                    let policy = Policy::of(cache.config(), Targets::Origin);
                    let kept = cache.load(&key(&read, &policy)).await;
                    objects.extend(kept.iter().map(|kept| object(cache, kept, now, &policy)));
                }
                Ok(json!({ "url": url, "objects": objects }))
            }
            Self::Purge { cache, purge } => run_purge(caches, cache.as_deref(), purge).await,
            Self::Warm { urls } => Ok(json!({ "urls": fetch_all(server, urls).await })),
        }
    }
}

fn wrong(what: impl Into<String>) -> Failure {
    Failure::new(what.into()).exit(Exit::Wrong)
}

fn purge(body: &[u8]) -> Result<Caching, Failure> {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let mut named = [
        text("url").map(|url| PurgeWhat::Url(doorway_http::cache::Key::new(&url))),
        text("prefix").map(PurgeWhat::Prefix),
        text("host").map(|host| PurgeWhat::Host(host.to_ascii_lowercase())),
        text("tag").map(PurgeWhat::Tag),
    ]
    .into_iter()
    .flatten();
    let (Some(what), None) = (named.next(), named.next()) else {
        return Err(wrong("a purge is of one thing: `url`, `prefix`, `host` or `tag`"));
    };
    if let PurgeWhat::Prefix(prefix) = &what {
        let rest = prefix.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        if rest.is_none() || host(prefix).is_empty() {
            let fix = "write scheme, host and a slash at least, such as http://www.example.org/news/";
            return Err(wrong(format!("`{prefix}` is not the beginning of a URL with its host")).fix(fix));
        }
    }
    let soft = document["soft"].as_bool().unwrap_or(false);
    Ok(Caching::Purge { cache: text("cache"), purge: Purge { what, soft } })
}

fn warm(body: &[u8]) -> Result<Caching, Failure> {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let urls: Option<Vec<String>> = document["urls"]
        .as_array()
        .map(|urls| urls.iter().filter_map(|url| url.as_str().map(str::to_owned)).collect());
    match urls {
        Some(urls) if urls.len() <= WARM_MAX => Ok(Caching::Warm { urls }),
        _ => Err(wrong(format!("`urls` is a list of at most {WARM_MAX} URLs"))),
    }
}

fn read_url(url: &str) -> Result<Url, Failure> {
    Url::parse(url).map_err(|fault| wrong(format!("`{url}` is no URL")).why(fault))
}

fn key(url: &Url, policy: &Policy) -> doorway_http::cache::Key {
    let authority = url.authority();
    let target = Target {
        secure: url.scheme == "https",
        host: authority.as_bytes(),
        path: url.path.as_bytes(),
        query: url.query.as_deref().map(str::as_bytes),
    };
    target.key(&policy.query)
}

async fn run_purge(caches: &Caches, name: Option<&str>, purge: &Purge) -> Result<Value, Failure> {
    let meant: Vec<_> =
        caches.iter().filter(|cache| name.is_none_or(|name| cache.config().name == name)).collect();
    if meant.is_empty() {
        let what = name.map_or("there is no cache".to_owned(), |name| format!("there is no cache `{name}`"));
        return Err(wrong(what).fix("`doorway cache stat` lists them"));
    }
    let (mut forgotten, mut to_validate) = (0, 0);
    for cache in meant {
        let before = cache.counts().objects;
        let purge = match &purge.what {
            PurgeWhat::Url(url) => {
                let policy = Policy::of(cache.config(), Targets::Origin);
                let what = PurgeWhat::Url(key(&read_url(url.as_str())?, &policy));
                Purge { what, soft: purge.soft }
            }
            _ => purge.clone(),
        };
        let marked = match &purge.what {
            PurgeWhat::Url(key) if purge.soft => cache.load(key).await.len() as u64,
            _ => 0,
        };
        let purged = cache.purge(&purge).await;
        purged.map_err(|error| {
            Failure::new("what was purged may be back after the next start").why(error.to_string())
        })?;
        let swept = cache.sweep().await;
        let gone = before.saturating_sub(cache.counts().objects);
        forgotten += if purge.soft { swept.forgotten } else { gone.max(swept.forgotten) };
        to_validate += swept.to_validate + marked;
    }
    Ok(json!({ "forgotten": forgotten, "to_validate": to_validate }))
}

// Four at a time.
async fn fetch_all(server: &Server, urls: &[String]) -> Vec<Value> {
    let told: Vec<_> = urls.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let lane = async || {
        while let Some((url, told)) = {
            let place = next.fetch_add(1, Relaxed);
            urls.get(place).zip(told.get(place))
        } {
            let fetched = fetch(server, url).await;
            let fetched = fetched.unwrap_or_else(|failure| json!({ "url": url, "failure": failure.what }));
            let _ = told.set(fetched);
        }
    };
    tokio::join!(lane(), lane(), lane(), lane());
    told.into_iter().filter_map(OnceLock::into_inner).collect()
}

async fn fetch(server: &Server, url: &str) -> Result<Value, Failure> {
    let read = read_url(url)?;
    let Some(handler) = server.cached_at(&read.host, &read.path) else {
        return Err(wrong(format!("no route with a cache serves {url}")));
    };
    let mut request = Request::new("GET", &read.target());
    request.host.clone_from(&read.host);
    request.port = read.port;
    request.secure = read.scheme == "https";
    request.fields.add("Host", read.authority());
    let Response { status, fields, body, .. } = handler.handle(request).await;
    let octets = match body.read(WARM_OCTETS_MAX).await {
        Ok(content) => content.len(),
        Err(error) => return Err(Failure::new(error.to_string())),
    };
    let told = fields.first("cache-status").unwrap_or_default();
    Ok(json!({ "url": url, "status": status, "octets": octets, "cache_status": told }))
}

fn stat(cache: &Cache) -> Value {
    let (config, counts) = (cache.config(), cache.counts());
    let disk = counts.disk.as_ref().map(|disk| {
        json!({
            "octets": disk.octets,
            "octets_max": config.disk_octets_max,
            "segments": disk.segments,
            "written": disk.written,
            "refused": disk.refused,
            "failed": disk.failed,
            "damaged": disk.damaged,
            "alarm": disk.alarm,
        })
    });
    json!({
        "name": config.name,
        "objects": counts.objects,
        "objects_max": config.objects_max,
        "objects_in_memory": counts.objects_in_memory,
        "memory_octets": counts.memory_octets,
        "memory_octets_max": config.memory_octets_max,
        "evicted": counts.evicted,
        "fetching": counts.turns,
        "disk": disk,
        "all": host_counts(&counts.together()),
        "hosts": counts.hosts.iter().map(host_counts).collect::<Vec<_>>(),
    })
}

fn host_counts(counts: &HostCounts) -> Value {
    let mut told = json!({
        "host": counts.name,
        "objects": counts.objects,
        "octets": counts.octets,
        "hits": counts.hits(),
        "origin_requests": counts.origin_requests(),
        "cache_octets": counts.cache_octets,
        "origin_octets": counts.origin_octets,
        "origin_seconds": counts.origin_time.as_secs_f64(),
        "saved_seconds": counts.time_saved().as_secs_f64(),
    });
    for (name, count) in VERDICTS.iter().zip(counts.verdicts) {
        told["verdicts"][*name] = count.into();
    }
    told
}

fn object(cache: &Cache, object: &Object, now: Instant, policy: &Policy) -> Value {
    let stored = object.stored();
    let freshness = stored.freshness(now, policy);
    let seconds = |span: Duration| span.as_secs();
    let fields: Vec<_> = stored.fields.texts().map(|(name, value)| json!([name, value])).collect();
    let selecting: Vec<_> = stored.selecting.iter().map(|(name, value)| json!([name, value])).collect();
    let place = match (object.is_filling(), object.in_memory()) {
        (true, _) => "arriving",
        (false, Some(_)) => "memory",
        (false, None) => "disk",
    };
    json!({
        "cache": cache.config().name,
        "key": object.key().as_str(),
        "status": stored.status,
        "octets": object.octets(),
        "place": place,
        "age_seconds": seconds(stored.age(now)),
        "ttl_seconds": freshness.ttl_seconds(),
        "must_validate": object.must_validate(),
        "selecting": selecting,
        "fields": fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::percent::unescape;

    #[test]
    fn a_request_survives_its_way_over_the_socket() {
        let text = |text: &str| text.to_owned();
        let purge = |what, soft| Caching::Purge { cache: None, purge: Purge { what, soft } };
        for request in [
            Caching::Stat,
            Caching::Inspect { url: text("http://a.example/b?c=d&e") },
            purge(PurgeWhat::Url(doorway_http::cache::Key::new("http://a/b")), false),
            purge(PurgeWhat::Prefix(text("http://a/b")), true),
            purge(PurgeWhat::Host(text("a.example")), false),
            purge(PurgeWhat::Tag(text("a \"b\"")), true),
            Caching::Warm { urls: vec![text("http://a/"), text("http://b/")] },
        ] {
            let (method, target, body) = request.to_http();
            let (path, query) = target.split_once("?url=").unwrap_or((&target, ""));
            let body = body.map(|body| body.to_string()).unwrap_or_default();
            let read = Caching::from_http(method, path, Some(&unescape(query)), body.as_bytes());
            assert_eq!(read, Some(Ok(request)));
        }
        assert_eq!(Caching::from_http("GET", "/v1/cachet", None, b""), None);
    }

    #[test]
    fn a_purge_says_one_thing_and_a_prefix_has_its_host() {
        for body in [
            "{}",
            "x",
            r#"{"url": "http://a/", "tag": "b"}"#,
            r#"{"prefix": "http://a"}"#,
            r#"{"prefix": "/news"}"#,
            r#"{"prefix": "http:///"}"#,
        ] {
            assert!(purge(body.as_bytes()).is_err(), "{body}");
        }
    }
}
