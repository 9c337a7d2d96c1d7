//! `doorway http get` and its kin: requests sent, responses shown, the time of each part told.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorway_http::cookie::Jar;
use doorway_http::io::client::{Answer, Ask, Client, ClientError, Journey, Settings, Timing};
use doorway_http::url::Url;
use doorway_net::World;
use doorway_net::tls::TlsDialler;
use doorway_net::web::{Body, Bytes, Fields};
use serde_json::{Value, json};

use super::asking::Asking;
use super::url::wrong;
use crate::cli::{FetchArgs, Options};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, RED, Screen, YELLOW};

/// Octets of a body that is held in memory: with `--json`, `--pipeline` or `--parallel`.
const HELD_OCTETS_MAX: usize = 64 << 20;
/// Octets of content that is sent, at most.
const SENT_OCTETS_MAX: u64 = 1 << 30;

/// A response with its body in memory.
struct Fetched {
    url: Url,
    answer: Answer,
    body: Bytes,
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
    let content = content(args)?;
    if content.is_some() && fields.first("Content-Type").is_none() && args.data.is_some() {
        fields.add("Content-Type", "application/x-www-form-urlencoded");
    }
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
            let way =
                if args.pipeline { "sent ahead on one connection" } else { "over connections side by side" };
            screen.note(format!("{DIM}{} requests {way}:{PLAIN} {}", fetched.len(), millis(total)));
        }
        return Ok(if all_fine { Exit::Done } else { Exit::Failed });
    }
    for url in &urls {
        let redirects_max = if args.no_follow { 0 } else { args.redirects_max };
        let mut journey = Journey { redirects_max, jar: jar.take(), hops: Vec::new() };
        let (client, ask, content, clock) = (client.clone(), ask(url), content.clone(), world.clone());
        let streams = !screen.is_json();
        let output = args.output.clone();
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
            let octets = if streams {
                if include || head_only {
                    let _ = std::io::stdout().lock().write_all(head_text(&answer).as_bytes());
                }
                let length = answer.response.fields.first("content-length").and_then(|text| text.parse().ok());
                stream(body, output.as_deref(), length, quiet).await?;
                Bytes::new()
            } else {
                body.read(HELD_OCTETS_MAX).await.map_err(ClientError::Lost)?
            };
            let total = clock.now() - began;
            Ok::<_, ClientError>((Fetched { url, answer, body: octets, total, hops }, journey.jar))
        })?;
        let (fetched, kept) = done.map_err(|error| failed(url, &error))?;
        jar = kept;
        all_fine &= fetched.answer.response.status < 400;
        if screen.is_json() {
            screen.document(&document(method, &fetched));
        } else {
            if args.timing {
                screen.note(timing(&fetched));
            }
            if fetched.answer.response.status >= 400 && !args.include && method != "HEAD" {
                let status = fetched.answer.response.status;
                screen.note(format!("{RED}{status}{PLAIN} {}", reason(status)));
            }
        }
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
    let mut tls = TlsDialler::new(args.cacert.as_deref(), &["http/1.1"]).map_err(told)?;
    if args.insecure {
        tls = tls.trusting_anybody();
    }
    let settings = Settings {
        response_timeout: Duration::from_secs(args.timeout.into()),
        idle: if args.close { Duration::ZERO } else { Settings::default().idle },
        ..Settings::default()
    };
    Ok(Client::new(asking.world(), Arc::new(asking.names()), Some(Arc::new(tls)), settings))
}

fn content(args: &FetchArgs) -> Result<Option<Bytes>, Failure> {
    let file = |path: &Path| {
        let length = std::fs::metadata(path).map_or(0, |facts| facts.len());
        if length > SENT_OCTETS_MAX {
            return Err(Failure::new(format!("{} is longer than 1 GiB", path.display())));
        }
        std::fs::read(path)
            .map(|octets| Some(octets.into()))
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
    };
    match (&args.data, &args.upload) {
        (Some(data), _) => match data.strip_prefix('@') {
            Some(path) => file(Path::new(path)),
            None => Ok(Some(Bytes::from(data.clone()))),
        },
        (None, Some(path)) => file(path),
        (None, None) => Ok(None),
    }
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
                fetched.push(Fetched { url, answer, body, total: clock.now() - began, hops: Vec::new() });
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
                    Ok::<_, ClientError>(Fetched {
                        url,
                        answer,
                        body,
                        total: clock.now() - began,
                        hops: Vec::new(),
                    })
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

/// Writes a body where it belongs, as it comes.
async fn stream(
    body: Body,
    output: Option<&Path>,
    length: Option<u64>,
    quiet: bool,
) -> Result<(), ClientError> {
    let lost = |error: std::io::Error| ClientError::Lost(error);
    let mut out: Box<dyn std::io::Write + Send> = match output {
        Some(path) => Box::new(std::fs::File::create(path).map_err(lost)?),
        None => Box::new(std::io::stdout()),
    };
    let mut done: u64 = 0;
    let mut shown: u64 = 0;
    let mut put = |octets: &[u8]| -> Result<(), ClientError> {
        out.write_all(octets).map_err(lost)?;
        done += octets.len() as u64;
        if output.is_some() && !quiet && done - shown >= 1 << 20 {
            shown = done;
            let percent =
                length.map_or(String::new(), |length| format!(" {:3} %", done * 100 / length.max(1)));
            let _ = write!(std::io::stderr(), "\r{:8.1} MiB{percent}", done as f64 / f64::from(1 << 20));
        }
        Ok(())
    };
    match body {
        Body::Empty => {}
        Body::Whole(octets) => put(&octets)?,
        Body::Stream(mut body) => {
            while let Some(piece) = std::future::poll_fn(|cx| body.as_mut().poll_piece(cx)).await {
                put(&piece.map_err(lost)?)?;
            }
        }
    }
    if shown > 0 {
        let _ = writeln!(std::io::stderr(), "\r{:8.1} MiB 100 %", done as f64 / f64::from(1 << 20));
    }
    out.flush().map_err(lost)
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
        let mut file = std::fs::File::options().create(true).append(true).open(path);
        file.as_mut()
            .map_err(|error| std::io::Error::new(error.kind(), error.to_string()))
            .and_then(|file| file.write_all(&fetched.body))
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    } else if args.include {
        screen.text(&head_text(&fetched.answer));
        screen.octets(&fetched.body);
    }
    Ok(())
}

fn head_text(answer: &Answer) -> String {
    let status = answer.response.status;
    let mut text = format!("{} {status} {}\r\n", answer.version, reason(status));
    for (name, value) in answer.response.fields.iter() {
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
    let Fetched { url, answer, body, total, hops } = fetched;
    let Timing { resolve, connect, tls, wait, reused } = answer.timing;
    let millis = |span: Duration| span.as_secs_f64() * 1e3;
    let fields: Vec<_> = answer.response.fields.iter().map(|(name, value)| json!([name, value])).collect();
    json!({
        "method": method, "url": url.to_string(), "remote": answer.remote.to_string(),
        "version": answer.version, "status": answer.response.status, "reason": reason(answer.response.status),
        "fields": fields, "octets": body.len(), "body": std::str::from_utf8(body).ok(), "redirects": hops,
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
        ClientError::Redirects(_) => failure.fix("look where they lead with --no-follow -i"),
        _ => failure,
    }
}
