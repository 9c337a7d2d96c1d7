//! `doorway ping`: a name resolved, with who answered and how long it took, and then echoes sent to it.

use core::net::IpAddr;
use std::io;
use std::time::Duration;

use doorway_base::Instant;
use doorway_dns::client::Lookup;
use doorway_dns::client::delegations::address;
use doorway_dns::wire::{Name, Type};
use doorway_net::echo::{DATA_OCTETS, Echo};
use serde_json::{Value, json};

use super::asking::Asking;
use super::live::{rows, text};
use crate::cli::{Options, PingArgs};
use crate::config::{Config, find};
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;
use crate::name_server::Request;
use crate::screen::{DIM, PLAIN, Screen};

/// Resolves and pings.
pub(super) fn ping(options: &Options, args: &PingArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let asking = Asking::start(options)?;
    let found = resolve(options, &asking, args)?;
    if !screen.is_json() {
        if let Some(by) = &found.by {
            screen.line(format!("{DIM}{by}{PLAIN}"));
        }
        screen.line(format!("PING {} ({}) {DATA_OCTETS} bytes of data.", args.host, found.address));
    }
    let echo = Echo::open(found.address).map_err(|error| refused(&error, found.address))?;
    let mut tally = Tally { since: asking.world().now(), ..Tally::default() };
    for number in 0..args.count {
        let sequence = (number % u32::from(u16::MAX)) as u16 + 1;
        let sent = asking.world().now();
        tally.sent += 1;
        if let Err(error) = echo.send(sequence) {
            lost(screen, sequence, &error);
        } else {
            wait(&asking, &echo, (sequence, sent), args.wait, &mut tally, screen, found.address);
        }
        let next = sent + args.interval;
        if number + 1 < args.count {
            let world = asking.world().clone();
            asking.run(async move { world.sleep_until(next).await })?;
        }
    }
    tally.tell(args, &found, asking.world().now(), screen);
    Ok(if tally.millis.is_empty() { Exit::Failed } else { Exit::Done })
}

fn wait(
    asking: &Asking,
    echo: &Echo,
    (sequence, sent): (u16, Instant),
    span: Duration,
    tally: &mut Tally,
    screen: &mut Screen,
    from: IpAddr,
) {
    let until = sent + span;
    loop {
        let left = until - asking.world().now();
        if left.is_zero() {
            return;
        }
        match echo.receive(left) {
            // An answer that is late belongs to an echo that was given up.
            Ok(Some(reply)) if reply.sequence != sequence => {}
            Ok(Some(reply)) => {
                let millis = (asking.world().now() - sent).as_secs_f64() * 1000.0;
                tally.millis.push(millis);
                if !screen.is_json() {
                    screen.line(format!(
                        "{} bytes from {from}: icmp_seq={sequence} time={millis:.3} ms",
                        reply.octets
                    ));
                }
                return;
            }
            Ok(None) => {}
            Err(error) => return lost(screen, sequence, &error),
        }
    }
}

fn lost(screen: &mut Screen, sequence: u16, error: &io::Error) {
    if !screen.is_json() {
        screen.line(format!("icmp_seq={sequence} {error}"));
    }
}

#[derive(Default)]
struct Tally {
    since: Instant,
    sent: u32,
    millis: Vec<f64>,
}

impl Tally {
    fn tell(&self, args: &PingArgs, found: &Found, now: Instant, screen: &mut Screen) {
        let received = self.millis.len();
        let loss = 100.0 * (f64::from(self.sent) - received as f64) / f64::from(self.sent.max(1));
        let least = self.millis.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.millis.iter().copied().fold(0.0, f64::max);
        let mean = self.millis.iter().sum::<f64>() / received.max(1) as f64;
        let spread = self.millis.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / received.max(1) as f64;
        if screen.is_json() {
            screen.document(&json!({
                "host": args.host,
                "address": found.address.to_string(),
                "resolved": found.by,
                "sent": self.sent,
                "received": received,
                "milliseconds": self.millis,
            }));
            return;
        }
        let total = (now - self.since).as_millis();
        screen.line(format!("\n--- {} ping statistics ---", args.host));
        screen.line(format!(
            "{} packets transmitted, {received} received, {}% packet loss, time {total}ms",
            self.sent,
            loss.round()
        ));
        if received > 0 {
            screen.line(format!(
                "rtt min/avg/max/mdev = {least:.3}/{mean:.3}/{most:.3}/{:.3} ms",
                spread.sqrt()
            ));
        }
    }
}

/// An address, and who knew it.
struct Found {
    address: IpAddr,
    by: Option<String>,
}

fn resolve(options: &Options, asking: &Asking, args: &PingArgs) -> Result<Found, Failure> {
    let right = |address: &IpAddr| match (args.v4, args.v6) {
        (true, false) => address.is_ipv4(),
        (false, true) => address.is_ipv6(),
        _ => true,
    };
    if let Ok(address) = args.host.parse::<IpAddr>() {
        if right(&address) {
            return Ok(Found { address, by: None });
        }
        return Err(Failure::new(format!("{address} is of the other family")).exit(Exit::Wrong));
    }
    let name: Name = args.host.parse().map_err(|fault| {
        Failure::new(format!("`{}` is neither a name nor an address", args.host)).why(fault).exit(Exit::Wrong)
    })?;
    let (config, _) = Config::read(find(options.config.as_deref())?);
    let folder = first_run::data_folder(&config, options.data.as_deref());
    // The server that runs here tells how it knew; without one, whoever this machine asks.
    let client = Client::find(&folder).ok().flatten();
    let mut status = String::new();
    for kind in [Type::A, Type::AAAA] {
        if (kind == Type::A && args.v6) || (kind == Type::AAAA && args.v4) {
            continue;
        }
        let found = match &client {
            Some(client) => explained(client, &name, kind, &mut status)?,
            None => asked(asking, &name, kind, &mut status)?,
        };
        if let Some(found) = found.filter(|found| right(&found.address)) {
            return Ok(found);
        }
    }
    Err(Failure::new(format!("{}: no address is known", args.host)).why(status).exit(Exit::NoAnswer))
}

fn explained(
    client: &Client,
    name: &Name,
    kind: Type,
    status: &mut String,
) -> Result<Option<Found>, Failure> {
    let request = Request::Explain { name: name.to_string(), kind: kind.to_string() };
    let (method, target, body) = request.to_http();
    let answer = client.ask(method, &target, body.as_ref())?;
    *status = text(&answer["status"]);
    let values = rows(&answer["answer"]).filter(|record| record["type"] == kind.to_string());
    let address = values.filter_map(|record| record["value"].as_str()?.parse().ok()).next();
    let millis = answer["micros"].as_f64().unwrap_or(0.0) / 1000.0;
    let last = rows(&answer["steps"]).last().map(|step: &Value| text(&step["what"])).unwrap_or_default();
    let by = Some(format!("resolved here in {millis:.2} ms: {last}"));
    Ok(address.map(|address| Found { address, by }))
}

fn asked(asking: &Asking, name: &Name, kind: Type, status: &mut String) -> Result<Option<Found>, Failure> {
    let lookup = Lookup { name: name.clone(), kind, ..Lookup::default() };
    let servers = asking.servers(&lookup)?;
    let Some(got) = asking.ask(&lookup, &servers, &mut |_| {})? else {
        "no name server answered".clone_into(status);
        return Ok(None);
    };
    *status = got.message.rcode().to_string();
    let arrival = &got.arrival;
    let by = format!("resolved by {} in {:.2} ms", arrival.server, arrival.took.as_secs_f64() * 1000.0);
    let address = got.message.answers.iter().find_map(address);
    Ok(address.map(|address| Found { address, by: Some(by) }))
}

fn refused(error: &io::Error, to: IpAddr) -> Failure {
    let failure = Failure::new(format!("cannot send echoes to {to}")).why(error);
    if error.kind() == io::ErrorKind::PermissionDenied {
        let group = rustix::process::getegid().as_raw();
        return failure.fix(format!(
            "let group {group} do so, as root: sysctl -w net.ipv4.ping_group_range=\"{group} {group}\" (it holds for IPv6 too)"
        ));
    }
    failure
}
