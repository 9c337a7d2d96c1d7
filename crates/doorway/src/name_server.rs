//! What can be asked of the name server that runs: its cache, its zones, their records, and how an
//! answer is found. As with [`crate::accounts`] a request has one form for the command that sends it and
//! for the server that carries it out.

use std::sync::Arc;
use std::time::Duration;

use doorway_dns::Server;
use doorway_dns::cache::{Cache, Filter, Value as Kept};
use doorway_dns::client::report;
use doorway_dns::io::recursion::Recursion;
use doorway_dns::io::transfers::ChangeError;
use doorway_dns::resolver::Answer;
use doorway_dns::update::Update;
use doorway_dns::wire::rdata::{self, Word};
use doorway_dns::wire::{Class, Name, Question, Rcode, Record, Type};
use doorway_dns::zone::Zone;
use doorway_net::World;
use doorway_store::Batch;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::{escape, unescape};

/// Entries of the cache and records of a zone that are told at most.
pub(crate) const SHOWN_MAX: usize = 10_000;
/// The TTL of a record that is added without one where there is none yet, in seconds.
const TTL_SECONDS: u32 = 3600;
/// Where all of it stands on the control socket.
const PATH: &str = "/v1/dns/";

/// Which entries of the cache are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Which {
    /// The name; without one every name.
    pub(crate) name: Option<String>,
    /// What is below the name as well.
    pub(crate) subtree: bool,
    /// The type; without one every type.
    pub(crate) kind: Option<String>,
}

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Put it beside those of its name and type.
    Add,
    /// Put it in their place.
    Set,
    /// Take it away; without data those of the type, without a type those of the name.
    Delete,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// What the cache holds.
    Show(Which),
    /// Its figures.
    Stats,
    /// Forget what it holds.
    Flush(Which),
    /// The zones.
    Zones,
    /// The records of a zone.
    Zone(String),
    /// A zone as a zone file.
    File(String),
    /// Change a record.
    Change {
        /// How.
        action: Action,
        /// The owner.
        name: String,
        /// `[TTL] TYPE DATA…`.
        words: Vec<String>,
    },
    /// Look a name up and tell each step.
    Explain {
        /// The name.
        name: String,
        /// The type.
        kind: String,
    },
}

impl Request {
    /// Method, target and body that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, String, Option<Value>) {
        let at = |rest: String| format!("{PATH}{rest}");
        match self {
            Self::Show(which) => ("GET", at(format!("cache?{}", which.to_query())), None),
            Self::Stats => ("GET", at("cache/stats".to_owned()), None),
            Self::Flush(which) => ("DELETE", at(format!("cache?{}", which.to_query())), None),
            Self::Zones => ("GET", at("zones".to_owned()), None),
            Self::Zone(name) => ("GET", at(format!("zones/{}", escape(name))), None),
            Self::File(name) => ("GET", at(format!("zones/{}/file", escape(name))), None),
            Self::Change { action, name, words } => {
                let action = match action {
                    Action::Add => "add",
                    Action::Set => "set",
                    Action::Delete => "del",
                };
                let body = json!({ "action": action, "name": name, "words": words });
                ("POST", at("records".to_owned()), Some(body))
            }
            Self::Explain { name, kind } => {
                ("GET", at(format!("explain?name={}&type={}", escape(name), escape(kind))), None)
            }
        }
    }

    /// The request that method, path, query and body stand for; `None` when the path is about something
    /// else. `value` gives the values of the query.
    pub(crate) fn from_http(
        method: &str,
        path: &str,
        value: impl Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Option<Result<Self, Failure>> {
        let rest = path.strip_prefix(PATH)?;
        let which =
            || Which { name: value("name"), subtree: value("subtree").is_some(), kind: value("type") };
        let request = match (method, rest.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", ["cache"]) => Self::Show(which()),
            ("GET", ["cache", "stats"]) => Self::Stats,
            ("DELETE", ["cache"]) => Self::Flush(which()),
            ("GET", ["zones"]) => Self::Zones,
            ("GET", ["zones", name]) => Self::Zone(unescape(name)),
            ("GET", ["zones", name, "file"]) => Self::File(unescape(name)),
            ("POST", ["records"]) => return Some(change(body)),
            ("GET", ["explain"]) => Self::Explain {
                name: value("name").unwrap_or_default(),
                kind: value("type").unwrap_or_else(|| "A".to_owned()),
            },
            _ => return None,
        };
        Some(Ok(request))
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// When it cannot be understood, or the server cannot do it.
    pub(crate) async fn run(self, world: &World, server: Arc<Server>) -> Result<Value, Failure> {
        match self {
            Self::Show(which) => {
                let (filter, cache) = (which.filter()?, Arc::clone(recursion(&server)?.cache()));
                let now = world.now();
                aside(move || Ok(entries(&cache, now, &filter))).await
            }
            Self::Stats => Ok(stats(recursion(&server)?)),
            Self::Flush(which) => {
                let (filter, recursion) = (which.filter()?, recursion(&server)?.clone());
                aside(move || Ok(json!({ "flushed": recursion.flush(&filter) }))).await
            }
            Self::Zones => Ok(zones(&server)),
            Self::Zone(name) => {
                let zone = named(&server, &name)?;
                aside(move || Ok(records(&zone))).await
            }
            Self::File(name) => {
                let zone = named(&server, &name)?;
                aside(move || {
                    let mut text = String::new();
                    let written = zone.write(&mut text);
                    written.map_err(|error| Failure::new("cannot write the zone").why(error))?;
                    Ok(json!({ "zone": zone.apex().to_string(), "serial": zone.serial(), "text": text }))
                })
                .await
            }
            Self::Change { action, name, words } => change_record(&server, action, &name, &words).await,
            Self::Explain { name, kind } => explain(world, &server, &name, &kind).await,
        }
    }
}

impl Which {
    fn to_query(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.name.as_ref().map(|name| format!("name={}", escape(name))));
        parts.extend(self.subtree.then(|| "subtree=1".to_owned()));
        parts.extend(self.kind.as_ref().map(|kind| format!("type={}", escape(kind))));
        parts.join("&")
    }

    fn filter(&self) -> Result<Filter, Failure> {
        let name = self.name.as_deref().map(domain).transpose()?;
        let kind = self.kind.as_deref().map(kind).transpose()?;
        Ok(if self.subtree {
            Filter { name: None, subtree: Some(name.unwrap_or_default()), kind }
        } else {
            Filter { name, subtree: None, kind }
        })
    }
}

fn wrong(what: String) -> Failure {
    Failure::new(what).exit(Exit::Wrong)
}

fn domain(text: &str) -> Result<Name, Failure> {
    text.parse().map_err(|fault| wrong(format!("`{text}` is no domain name")).why(fault))
}

fn kind(text: &str) -> Result<Type, Failure> {
    Type::from_text(text.as_bytes()).ok_or_else(|| {
        wrong(format!("`{text}` is no type of records")).fix("such as A, MX, TXT or TYPE65534")
    })
}

fn change(body: &[u8]) -> Result<Request, Failure> {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let action = match document["action"].as_str() {
        Some("add") => Action::Add,
        Some("set") => Action::Set,
        Some("del") => Action::Delete,
        _ => return Err(wrong("`action` is add, set or del".to_owned())),
    };
    let name =
        document["name"].as_str().ok_or_else(|| wrong("`name` is the owner of the record".to_owned()))?;
    let words = document["words"].as_array().into_iter().flatten();
    let words = words.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Request::Change { action, name: name.to_owned(), words })
}

// What walks over all of a large table must not hold a worker up.
async fn aside(work: impl FnOnce() -> Result<Value, Failure> + Send + 'static) -> Result<Value, Failure> {
    let (send, receive) = oneshot::channel();
    std::thread::spawn(move || send.send(work()));
    receive.await.unwrap_or_else(|_| Err(Failure::new("the work broke off; the log tells why")))
}

fn recursion(server: &Server) -> Result<&Recursion, Failure> {
    server.recursion().ok_or_else(|| {
        wrong("this server has no resolver, and so no cache".to_owned())
            .fix("take `dns.resolver.mode = \"off\"` out of the config")
    })
}

fn entries(cache: &Cache, now: doorway_base::Instant, filter: &Filter) -> Value {
    let mut shown = cache.show(now, filter, SHOWN_MAX + 1);
    let more = shown.len() > SHOWN_MAX;
    shown.truncate(SHOWN_MAX);
    shown.retain(|entry| !matches!(entry.value, Kept::Beside(_)));
    shown.sort_by(|a, b| (&a.name, a.kind, a.trust).cmp(&(&b.name, b.kind, b.trust)));
    let entry = |entry: &doorway_dns::cache::Shown| {
        let (what, data) = match &entry.value {
            Kept::Set(set) => {
                let shown = |rdata: &[u8]| rdata::display(set.kind(), rdata).to_string();
                ("records", set.data().map(shown).collect())
            }
            Kept::Denial(denial) if denial.rcode == Rcode::NXDOMAIN => ("no such name", Vec::new()),
            Kept::Denial(_) => ("no such data", Vec::new()),
            Kept::Beside(_) => ("beside", Vec::new()),
            Kept::Failure { why, .. } => ("failure", why.iter().map(|(_, text)| text.clone()).collect()),
        };
        json!({
            "name": entry.name.to_string(),
            "type": if entry.kind == Type(0) { "any".to_owned() } else { entry.kind.to_string() },
            "what": what,
            "ttl": entry.remaining.map(|left| left.as_secs()),
            "trust": trust(entry.trust),
            "data": data,
        })
    };
    json!({ "entries": shown.iter().map(entry).collect::<Vec<_>>(), "more": more })
}

const fn trust(trust: doorway_dns::cache::Trust) -> &'static str {
    use doorway_dns::cache::Trust;
    match trust {
        Trust::Glue => "glue",
        Trust::Referral => "referral",
        Trust::Additional => "additional",
        Trust::Answer => "answer",
        Trust::AuthoritativeAuthority => "authority",
        Trust::AuthoritativeAnswer => "authoritative answer",
    }
}

fn stats(recursion: &Recursion) -> Value {
    let stats = recursion.cache().stats();
    let (ready, ready_octets) = recursion.ready().usage();
    json!({
        "entries": stats.entries,
        "octets": stats.octets,
        "octets_max": stats.octets_max,
        "hits": stats.hits,
        "misses": stats.misses,
        "stored": stats.stored,
        "evicted": stats.evicted,
        "ready_answers": ready,
        "ready_octets": ready_octets,
    })
}

fn zones(server: &Server) -> Value {
    let upkeep = server.upkeep();
    let zone = |zone: &Arc<Zone>| {
        let changeable = upkeep.as_ref().is_some_and(|upkeep| upkeep.transfers().takes_commands(zone.apex()));
        json!({
            "name": zone.apex().to_string(),
            "serial": zone.serial(),
            "records": zone.records(),
            "names": zone.names(),
            "octets": zone.memory_octets(),
            "signed": zone.denial().is_some(),
            "changeable": changeable,
            "state": if zone.is_unavailable() { "not there yet, or expired" } else { "served" },
        })
    };
    json!({ "zones": server.zones().list().iter().map(zone).collect::<Vec<_>>() })
}

fn named(server: &Server, name: &str) -> Result<Arc<Zone>, Failure> {
    let apex = domain(name)?;
    server.zones().named(&apex).cloned().ok_or_else(|| no_zone(&apex))
}

fn no_zone(name: &Name) -> Failure {
    wrong(format!("no zone {name} is served here")).fix("`doorway dns zone list` shows those that are")
}

fn records(zone: &Zone) -> Value {
    let mut shown: Vec<Record> = zone.iter().take(SHOWN_MAX).collect();
    let first = |record: &Record| (record.kind != Type::SOA, record.kind);
    shown.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| first(a).cmp(&first(b))));
    json!({
        "zone": zone.apex().to_string(),
        "serial": zone.serial(),
        "records": shown.iter().map(record).collect::<Vec<_>>(),
        "more": zone.records() > SHOWN_MAX,
    })
}

fn record(record: &Record) -> Value {
    json!({
        "name": record.name.to_string(),
        "value": report::data(record, 0),
        "type": record.kind.to_string(),
        "ttl": record.ttl,
    })
}

async fn change_record(
    server: &Server,
    action: Action,
    name: &str,
    words: &[String],
) -> Result<Value, Failure> {
    let owner = domain(name)?;
    let zones = server.zones();
    let mut above = Some(owner.clone());
    let zone = loop {
        let Some(apex) = above else { return Err(no_zone(&owner)) };
        match zones.named(&apex) {
            Some(zone) => break Arc::clone(zone),
            None => above = apex.parent(),
        }
    };
    let upkeep = server.upkeep().filter(|upkeep| upkeep.transfers().takes_commands(zone.apex()));
    let upkeep = upkeep.ok_or_else(|| {
        let apex = zone.apex();
        wrong(format!("the zone {apex} is served as its file has it, and cannot be changed by command"))
            .why("nothing in its table of the config lets it change")
            .fix("add `update = [\"127.0.0.1 any *\"]` to its [[dns.zone]] table and `doorway reload`, or change its file")
    })?;
    let ttl = zone
        .node_of(&owner, zones.secret())
        .and_then(|node| node.records().first().map(|record| record.ttl))
        .unwrap_or(TTL_SECONDS);
    let updates = changes(action, &owner, ttl, words)?;
    let update = Update { apex: zone.apex().clone(), prerequisites: Vec::new(), updates };
    let serials = upkeep.transfers().change(&[&update], Batch::new()).await.map_err(|error| {
        let failure = Failure::new(format!("the zone {} was not changed", zone.apex())).why(&error);
        match error {
            ChangeError::Refused(_) | ChangeError::Unfit(_) => failure.exit(Exit::Wrong),
            _ => failure,
        }
    })?;
    let serial = serials.first().copied().unwrap_or_else(|| zone.serial());
    let changed = serial != zone.serial();
    Ok(json!({ "zone": zone.apex().to_string(), "serial": serial, "changed": changed }))
}

// RFC 2136 §2.5: what an UPDATE would say.
fn changes(action: Action, owner: &Name, ttl: u32, words: &[String]) -> Result<Vec<Record>, Failure> {
    let (ttl, words) = match words.split_first() {
        Some((first, rest)) if first.starts_with(|c: char| c.is_ascii_digit()) => {
            let given = rdata::seconds(first.as_bytes());
            (given.ok_or_else(|| wrong(format!("`{first}` is no TTL")).fix("such as 300 or 1h"))?, rest)
        }
        _ => (ttl, words),
    };
    let of = |class, kind, ttl, rdata| Record { name: owner.clone(), kind, class, ttl, rdata };
    let Some((first, data)) = words.split_first() else {
        return match action {
            Action::Delete => Ok(vec![of(Class::ANY, Type::ANY, 0, Vec::new())]),
            _ => Err(wrong("a record has a type and data".to_owned()).fix("such as `A 192.0.2.1`")),
        };
    };
    let kind = kind(first)?;
    if kind.is_meta() {
        return Err(wrong(format!("a zone cannot hold records of type {kind}")));
    }
    if data.is_empty() && action == Action::Delete {
        return Ok(vec![of(Class::ANY, kind, 0, Vec::new())]);
    }
    let bare =
        |word: &String| word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).map(str::to_owned);
    let plain: Vec<(String, bool)> = data
        .iter()
        .map(|word| match bare(word) {
            Some(inside) => (inside, true),
            None => (word.clone(), word.is_empty() || word.contains(' ')),
        })
        .collect();
    let words: Vec<Word<'_>> =
        plain.iter().map(|(text, quoted)| Word { text: text.as_bytes(), quoted: *quoted }).collect();
    let mut rdata = Vec::new();
    rdata::parse(kind, &words, &Name::root(), &mut rdata).map_err(|unexpected| {
        let at = data.get(unexpected.word).map_or("its end", String::as_str);
        wrong(format!("the data of the {kind} record is not understood at `{at}`"))
            .why(format!("expected {}", unexpected.expected))
    })?;
    Ok(match action {
        Action::Add => vec![of(Class::IN, kind, ttl, rdata)],
        Action::Set => vec![of(Class::ANY, kind, 0, Vec::new()), of(Class::IN, kind, ttl, rdata)],
        Action::Delete => vec![of(Class::NONE, kind, 0, rdata)],
    })
}

async fn explain(world: &World, server: &Server, name: &str, kind_text: &str) -> Result<Value, Failure> {
    let (name, kind) = (domain(name)?, kind(kind_text)?);
    let since = world.now();
    let micros = |span: Duration| span.as_micros() as u64;
    let asked = json!({ "name": name.to_string(), "type": kind.to_string() });
    let mut above = Some(name.clone());
    let zones = server.zones();
    let zone = loop {
        let Some(apex) = above else { break None };
        match zones.named(&apex) {
            Some(zone) => break Some(zone.apex().to_string()),
            None => above = apex.parent(),
        }
    };
    let Some(recursion) = server.recursion() else {
        let (rcode, answers, why) = server.names().ask(&name, kind).await;
        let what = if zone.is_some() { "a zone served here has" } else { "there is no resolver for" };
        let what = format!("{what} {name} {kind}");
        return Ok(json!({
            "question": asked,
            "zone": zone,
            "steps": [{ "micros": 0, "depth": 0, "what": what }],
            "status": rcode.to_string(),
            "answer": answers.iter().map(record).collect::<Vec<_>>(),
            "errors": if rcode == Rcode::NOERROR { vec![] } else { vec![why] },
            "micros": micros(world.now() - since),
        }));
    };
    let question = Question { name, kind, class: Class::IN };
    let answer = recursion.resolve(question, false, true).await;
    let Answer { rcode, answers, extended_error, stale, authoritative, steps, .. } =
        answer.ok_or_else(|| Failure::new("too many questions are under way").fix("try again"))?;
    let step = |step: &doorway_dns::resolver::Step| json!({ "micros": micros(step.at - since), "depth": step.depth, "what": step.what });
    let error = |(code, text): &(u16, String)| {
        let known = doorway_dns::wire::options::ExtendedError { code: *code, text: text.as_bytes() };
        match (known.name(), text.is_empty()) {
            (Some(name), true) => name.to_owned(),
            (Some(name), false) => format!("{name}: {text}"),
            (None, _) => text.clone(),
        }
    };
    Ok(json!({
        "question": asked,
        "zone": zone,
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "status": rcode.to_string(),
        "authoritative": authoritative,
        "stale": stale,
        "answer": answers.iter().map(record).collect::<Vec<_>>(),
        "errors": extended_error.iter().map(error).collect::<Vec<_>>(),
        "micros": micros(world.now() - since),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_way_over_the_socket() {
        let which = Which { name: Some("a b.example".into()), subtree: true, kind: Some("MX".into()) };
        let words = vec!["300".into(), "TXT".into(), "a b".into()];
        for request in [
            Request::Show(Which::default()),
            Request::Show(which.clone()),
            Request::Flush(which),
            Request::Stats,
            Request::Zones,
            Request::Zone("a/b.example".into()),
            Request::File("example.org".into()),
            Request::Change { action: Action::Set, name: "a.example".into(), words },
            Request::Explain { name: "a.example".into(), kind: "AAAA".into() },
        ] {
            let (method, target, body) = request.to_http();
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let value = |name: &str| {
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| unescape(value))
            };
            let body = body.map(|body| body.to_string()).unwrap_or_default();
            let back = Request::from_http(method, path, value, body.as_bytes());
            assert_eq!(back, Some(Ok(request)), "{target}");
        }
        assert!(Request::from_http("GET", "/v1/dns/frogs", |_| None, b"").is_none());
        assert!(Request::from_http("POST", "/v1/dns/records", |_| None, b"{}").unwrap().is_err());
    }

    fn change(action: Action, line: &str) -> Result<Vec<String>, String> {
        let words: Vec<String> = line.split_whitespace().map(|word| word.replace('_', " ")).collect();
        let owner = "w.example.".parse().unwrap();
        let records = changes(action, &owner, 60, &words).map_err(|failure| failure.what)?;
        Ok(records.iter().map(|record| record.to_string().trim_end().to_owned()).collect())
    }

    #[test]
    fn words_become_what_an_update_would_say() {
        for (action, line, records) in [
            (Action::Add, "A 192.0.2.1", &["w.example. 60 IN A 192.0.2.1"][..]),
            (Action::Add, "1h MX 10 mail.example", &["w.example. 3600 IN MX 10 mail.example."]),
            (Action::Add, "TXT a_b \"c\"", &["w.example. 60 IN TXT \"a b\" \"c\""]),
            (Action::Set, "A 192.0.2.1", &["w.example. 0 ANY A", "w.example. 60 IN A 192.0.2.1"]),
            (Action::Delete, "", &["w.example. 0 ANY ANY"]),
            (Action::Delete, "TXT", &["w.example. 0 ANY TXT"]),
            (Action::Delete, "A 192.0.2.1", &["w.example. 0 NONE A 192.0.2.1"]),
        ] {
            let said = change(action, line).unwrap();
            assert_eq!(said, records, "{line}");
        }
        for line in ["", "300", "A", "A 192.0.2.300", "FROG 1", "ANY 1", "3x A 192.0.2.1"] {
            assert!(change(Action::Add, line).is_err(), "{line}");
        }
    }
}
