//! `doorway http get` and its kin: requests sent, responses shown, the time of each part told.

mod content;
mod download;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorway_http::client::request::basic;
use doorway_http::cookie::Jar;
use doorway_http::h2::ErrorCode;
use doorway_http::io::client::{Answer, Ask, Client, ClientError, Journey, Settings, Timing};
use doorway_http::url::Url;
use doorway_net::World;
use doorway_net::tls::TlsDialler;
use doorway_net::web::{Bytes, Fields, Response};
use serde_json::{Value, json};

use self::content::Sent;
use self::download::Place;
use super::asking::Asking;
use super::password::first_line;
use super::url::wrong;
use crate::cli::{FetchArgs, Options};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, RED, Screen, Table, YELLOW};

/// Octets of a body that is held in memory: with `--json`, `--pipeline` or `--parallel`.
const HELD_OCTETS_MAX: usize = 64 << 20;

/// A response with its body in memory.
struct Fetched {
    url: Url,
    answer: Answer,
    body: Bytes,
    /// Octets of the body, also of one that was written at once.
    length: u64,
    total: Duration,
    hops: Vec<Value>,
}

/// Sends requests of `method`.
pub(super) fn fetch(
    options: &Options,
    method: &str,
    args: &FetchArgs,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let urls: Vec<Url> = args.urls.iter().map(|text| url(text)).collect::<Result<_, _>>()?;
    let asking = Asking::start(options)?;
    let client = client(&asking, args)?;
    let world = asking.world().clone();
    let mut fields = Fields::new();
    for line in &args.fields {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Failure::new(format!("`{line}` is no field"))
                .fix("write it as `Name: value`")
                .exit(Exit::Wrong));
        };
        fields.add(name.trim(), value.trim());
    }
    for (name, value) in [("User-Agent", concat!("doorway/", env!("CARGO_PKG_VERSION"))), ("Accept", "*/*")] {
        if fields.first(name).is_none() {
            fields.add(name, value);
        }
    }
    let sent = Sent::new(args, world.random().next_u64())?;
    if let Some(media_type) = sent.as_ref().and_then(|sent| sent.media_type.as_ref())
        && fields.first("Content-Type").is_none()
    {
        fields.add("Content-Type", media_type.as_str());
    }
    if let Some(user) = &args.user {
        if !args.plain_password && urls.iter().any(|url| !is_private(url)) {
            return Err(Failure::new("a password would go out in plain text")
                .why("Basic authentication over http:// can be read by everybody on the way")
                .fix("use https://, or say --plain-password if the way is safe")
                .exit(Exit::Wrong));
        }
        fields.add("Authorization", basic(user, &first_line(std::io::stdin().lock())?));
    }
    if let Some(range) = &args.range {
        fields.add("Range", format!("bytes={}", range.trim_start_matches("bytes=")));
    }
    // What is no file, such as /dev/null or a pipe, takes one body after the other.
    let is_file = |path: &Path| std::fs::metadata(path).map_or(true, |facts| facts.is_file());
    if args.output.as_deref().is_some_and(is_file) && urls.len() > 1 {
        return Err(Failure::new("--output takes the body of one URL")
            .fix("ask for one URL at a time, or write all bodies to standard output")
            .exit(Exit::Wrong));
    }
    let place = match &args.output {
        Some(path) => Some(Arc::new(Place::new(path, args.resume)?)),
        None => None,
    };
    place.iter().flat_map(|place| place.fields()).for_each(|(name, value)| fields.add(name, value));
    let mut jar = match &args.cookies {
        Some(path) => Some(read_jar(path, &world)?),
        None => None,
    };
    let ask =
        |url: &Url| Ask { fields: fields.clone(), http10: args.http10, ..Ask::new(method, url.clone()) };
    let began = world.now();
    let mut all_fine = true;
    if args.pipeline || args.parallel {
        let asks: Vec<Ask> = urls.iter().map(&ask).collect();
        let fetched = together(&asking, &client, asks, args.pipeline)?;
        let total = world.now() - began;
        for one in &fetched {
            all_fine &= one.answer.response.status < 400;
            show(method, one, args, screen)?;
        }
        if args.timing && !screen.is_json() {
            let way = if args.pipeline { "ahead of each other on one connection" } else { "side by side" };
            compare(fetched.iter().map(compared).collect(), way, total, screen);
        }
        return Ok(if all_fine { Exit::Done } else { Exit::Failed });
    }
    let mut table = Vec::new();
    for url in &urls {
        let redirects_max = if args.no_follow { 0 } else { args.redirects_max };
        let mut journey = Journey { redirects_max, jar: jar.take(), hops: Vec::new() };
        let (client, ask, content, clock) =
            (client.clone(), ask(url), sent.as_ref().map(Sent::content), world.clone());
        let streams = !screen.is_json();
        let place = place.clone();
        let (include, head_only) = (args.include, method == "HEAD");
        let quiet = args.quiet || !std::io::stderr().is_terminal();
        let done = asking.run(async move {
            let began = clock.now();
            let (mut answer, url) = journey.send(&client, ask, content).await?;
            let hops = journey.hops.iter().map(|hop| {
                json!({ "url": hop.url.to_string(), "status": hop.status, "millis": hop.took.as_secs_f64() * 1e3 })
            });
            let hops: Vec<Value> = hops.collect();
            let body = std::mem::take(&mut answer.response.body);
            let mut octets_done = 0;
            let octets = if streams {
                if include || head_only {
                    let _ = std::io::stdout().lock().write_all(head_text(&answer).as_bytes());
                }
                let Response { status, fields, .. } = &answer.response;
                octets_done = download::stream(body, place.as_deref(), (*status, fields), quiet).await?;
                Bytes::new()
            } else {
                body.read(HELD_OCTETS_MAX).await.map_err(ClientError::Lost)?
            };
            let total = clock.now() - began;
            let length = octets_done.max(octets.len() as u64);
            Ok::<_, ClientError>((Fetched { url, answer, body: octets, length, total, hops }, journey.jar))
        })?;
        if let Err(ClientError::Content(error)) = &done
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            // Whoever read the output has seen enough.
            return Ok(Exit::Done);
        }
        let (fetched, kept) = done.map_err(|error| failed(url, &error))?;
        jar = kept;
        let whole_already = args.resume && fetched.answer.response.status == 416;
        all_fine &= fetched.answer.response.status < 400 || whole_already;
        if screen.is_json() {
            screen.document(&document(method, &fetched));
        } else if whole_already {
            screen.note(format!("{DIM}nothing to continue: the file has all of it{PLAIN}"));
        } else {
            if args.timing && urls.len() == 1 {
                screen.note(timing(&fetched));
            }
            if fetched.answer.response.status >= 400 && !args.include && method != "HEAD" {
                let status = fetched.answer.response.status;
                screen.note(format!("{RED}{status}{PLAIN} {}", reason(status)));
                if args.resume && status == 412 {
                    screen.note("  fix: it was changed since the file was begun: leave --continue out");
                }
            }
        }
        table.push(compared(&fetched));
    }
    if args.timing && urls.len() > 1 && !screen.is_json() {
        compare(table, "one after the other", world.now() - began, screen);
    }
    if let (Some(path), Some(jar)) = (&args.cookies, &jar) {
        std::fs::write(path, jar.to_netscape())
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(if all_fine { Exit::Done } else { Exit::Failed })
}

fn url(text: &str) -> Result<Url, Failure> {
    // As people type it.
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    Url::parse(&with_scheme).map_err(|fault| wrong(&with_scheme, &fault))
}

fn client(asking: &Asking, args: &FetchArgs) -> Result<Client, Failure> {
    let told = |error: doorway_net::Error| Failure::new(error.to_string()).fix(error.advice());
    let http1 = args.http10 || args.http11 || args.pipeline;
    let protocols: &[&str] = if http1 { &["http/1.1"] } else { &["h2", "http/1.1"] };
    let mut tls = TlsDialler::new(args.cacert.as_deref(), protocols).map_err(told)?;
    if args.insecure {
        tls = tls.trusting_anybody();
    }
    let settings = Settings {
        response_timeout: Duration::from_secs(args.timeout.into()),
        idle: if args.close { Duration::ZERO } else { Settings::default().idle },
        prior_knowledge: args.prior_knowledge,
        ..Settings::default()
    };
    Ok(Client::new(asking.world(), Arc::new(asking.names()), Some(Arc::new(tls)), settings))
}

/// Whether what goes there cannot be read on the way: it is encrypted, or stays on this machine.
fn is_private(url: &Url) -> bool {
    let host = url.host.trim_matches(['[', ']']);
    let local = host.parse().is_ok_and(|address: core::net::IpAddr| address.is_loopback());
    url.scheme == "https" || local || host == "localhost" || host.ends_with(".localhost")
}

/// A row of the table that compares requests.
fn compared(fetched: &Fetched) -> Vec<String> {
    let Timing { resolve, connect, tls, wait, reused } = fetched.answer.timing;
    let opening = if reused { "open already".to_owned() } else { millis(resolve + connect + tls) };
    vec![
        fetched.answer.response.status.to_string(),
        fetched.answer.version.to_owned(),
        opening,
        millis(wait),
        millis(fetched.total),
        fetched.length.to_string(),
        fetched.url.to_string(),
    ]
}

/// Shows how several requests went, and how long they took together `in` this way.
fn compare(rows: Vec<Vec<String>>, way: &str, total: Duration, screen: &mut Screen) {
    let mut table = Table::new(&["status", "version", ">connection", ">wait", ">total", ">octets", "url"]);
    let count = rows.len();
    rows.into_iter().for_each(|row| table.row(row));
    screen.note(format!("{}{count} requests {way}: {BOLD}{}{PLAIN}", table.render(), millis(total)));
}

fn read_jar(path: &Path, world: &World) -> Result<Jar, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Jar::from_netscape(&text, world.wall())
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())).exit(Exit::Wrong)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Jar::new()),
        Err(error) => Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Sends all requests at once: ahead of each other on one connection, or each over its own.
fn together(
    asking: &Asking,
    client: &Client,
    asks: Vec<Ask>,
    pipeline: bool,
) -> Result<Vec<Fetched>, Failure> {
    let urls: Vec<Url> = asks.iter().map(|ask| ask.url.clone()).collect();
    let first = urls[0].clone();
    let (client, clock) = (client.clone(), asking.world().clone());
    let fetched = asking.run(async move {
        let began = clock.now();
        let mut fetched = Vec::new();
        if pipeline {
            let answers = client.pipeline(asks, HELD_OCTETS_MAX).await?;
            for (url, mut answer) in urls.into_iter().zip(answers) {
                let body = std::mem::take(&mut answer.response.body).read(HELD_OCTETS_MAX).await;
                let body = body.map_err(ClientError::Lost)?;
                let (length, total) = (body.len() as u64, clock.now() - began);
                fetched.push(Fetched { url, answer, body, length, total, hops: Vec::new() });
            }
            return Ok::<_, ClientError>(fetched);
        }
        let mut under_way: Vec<_> = asks
            .into_iter()
            .map(|ask| {
                let (client, clock) = (client.clone(), clock.clone());
                Some(Box::pin(async move {
                    let url = ask.url.clone();
                    let mut answer = client.send(ask).await?;
                    let body = std::mem::take(&mut answer.response.body).read(HELD_OCTETS_MAX).await;
                    let body = body.map_err(ClientError::Lost)?;
                    let (length, total) = (body.len() as u64, clock.now() - began);
                    Ok::<_, ClientError>(Fetched { url, answer, body, length, total, hops: Vec::new() })
                }))
            })
            .collect();
        let mut done: Vec<Option<Result<Fetched, ClientError>>> = under_way.iter().map(|_| None).collect();
        std::future::poll_fn(|cx| {
            for (place, result) in under_way.iter_mut().zip(&mut done) {
                if let Some(request) = place
                    && let std::task::Poll::Ready(ready) = request.as_mut().poll(cx)
                {
                    *result = Some(ready);
                    *place = None;
                }
            }
            if under_way.iter().all(Option::is_none) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        done.into_iter().flatten().collect()
    })?;
    fetched.map_err(|error| failed(&first, &error))
}

fn show(method: &str, fetched: &Fetched, args: &FetchArgs, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        screen.document(&document(method, fetched));
        return Ok(());
    }
    let status = fetched.answer.response.status;
    let colour = if status < 400 { GREEN } else { RED };
    screen.note(format!(
        "{colour}{status}{PLAIN} {:>9} octets {:>10}  {}",
        fetched.body.len(),
        millis(fetched.total),
        fetched.url
    ));
    if let Some(path) = &args.output {
        std::fs::write(path, &fetched.body).map_err(|error| Failure::file("write", path, &error))?;
    } else if args.include {
        screen.text(&head_text(&fetched.answer));
        screen.octets(&fetched.body);
    }
    Ok(())
}

fn head_text(answer: &Answer) -> String {
    let status = answer.response.status;
    let mut text = format!("{} {status} {}\r\n", answer.version, reason(status));
    for (name, value) in answer.response.fields.texts() {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

fn reason(status: u16) -> &'static str {
    doorway_http::Status::new(status).reason()
}

fn millis(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

/// Each part of the time, in milliseconds and in round trips. A round trip is what opening the connection took.
fn timing(fetched: &Fetched) -> String {
    let Timing { resolve, connect, tls, wait, reused } = fetched.answer.timing;
    let first = resolve + connect + tls + wait;
    let total = fetched.total;
    let rest = total.saturating_sub(first);
    let round_trip = connect.as_secs_f64();
    let mut text = format!(
        "{BOLD}{}{PLAIN} {} from {}\n",
        fetched.answer.response.status, fetched.answer.version, fetched.answer.remote
    );
    let mut row = |name: &str, span: Duration, note: &str| {
        let trips = if round_trip > 0.0 && name != "resolve" {
            format!("{:5.1} RTT", span.as_secs_f64() / round_trip)
        } else {
            String::new()
        };
        text.push_str(&format!(
            "{DIM}{name:<12}{PLAIN}{:>12} {trips:>10}  {DIM}{note}{PLAIN}\n",
            millis(span)
        ));
    };
    if reused {
        row("wait", wait, "the connection was open already");
    } else {
        row("resolve", resolve, "name to address (DNS)");
        row("connect", connect, "TCP handshake: one round trip");
        if !tls.is_zero() {
            row("tls", tls, "TLS handshake");
        }
        row("wait", wait, "request out, first octet back");
    }
    row(
        "transfer",
        rest,
        if fetched.hops.is_empty() { "the rest of the response" } else { "the rest, and redirects before" },
    );
    row("total", total, "");
    for hop in &fetched.hops {
        text.push_str(&format!(
            "{YELLOW}{}{PLAIN} {}\n",
            hop["status"],
            hop["url"].as_str().unwrap_or_default()
        ));
    }
    text.trim_end().to_owned()
}

fn document(method: &str, fetched: &Fetched) -> Value {
    let Fetched { url, answer, body, length, total, hops } = fetched;
    let Timing { resolve, connect, tls, wait, reused } = answer.timing;
    let millis = |span: Duration| span.as_secs_f64() * 1e3;
    let fields: Vec<_> = answer.response.fields.texts().map(|(name, value)| json!([name, value])).collect();
    json!({
        "method": method, "url": url.to_string(), "remote": answer.remote.to_string(),
        "version": answer.version, "status": answer.response.status, "reason": reason(answer.response.status),
        "fields": fields, "octets": length, "body": std::str::from_utf8(body).ok(), "redirects": hops,
        "timing_millis": {
            "resolve": millis(resolve), "connect": millis(connect), "tls": millis(tls), "wait": millis(wait),
            "total": millis(*total), "reused": reused,
        },
    })
}

fn failed(url: &Url, error: &ClientError) -> Failure {
    let failure = Failure::new(format!("{url}: {error}"));
    match error {
        ClientError::Connect(_, why) if why.kind() == std::io::ErrorKind::InvalidData => {
            failure.fix("give the authority's certificate with --cacert, or take any with --insecure")
        }
        ClientError::Connect(_, why) if why.kind() == std::io::ErrorKind::ConnectionRefused => {
            failure.fix("nothing listens there: look at host and port, or start the server")
        }
        ClientError::Resolve(..) => failure.fix("look at the name, and at /etc/resolv.conf"),
        ClientError::Violated(why) if why.rule.code == "first_frame" => failure
            .fix("the server does not speak HTTP/2 without TLS here; leave --http2-prior-knowledge out"),
        ClientError::Reset(ErrorCode::HTTP_1_1_REQUIRED) => failure.fix("ask by HTTP/1.1 with --http1.1"),
        ClientError::Redirects(_) => failure.fix("look where they lead with --no-follow -i"),
        _ => failure,
    }
}
