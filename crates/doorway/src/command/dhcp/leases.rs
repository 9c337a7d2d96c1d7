//! Leases and reservations: listed, made, ended.

use core::net::Ipv4Addr;
use std::time::Duration;

use doorway_base::config::units::duration_text;
use serde_json::Value;

use super::Asking;
use crate::cli::{LeasesArgs, ReserveArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::leasing::{Known, Leasing};
use crate::screen::{BOLD, DIM, GREEN, PLAIN, RED, Screen, Table, YELLOW};

pub(super) fn unreserve(asking: &Asking, address: Ipv4Addr, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Leasing::Unreserve { address })?;
    told(&answer, format!("{GREEN}given up{PLAIN}  {address} is kept for nobody any more"), screen)
}

pub(super) fn release(asking: &Asking, address: Ipv4Addr, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Leasing::Release { address })?;
    told(&answer, format!("{GREEN}released{PLAIN}  {address}"), screen)
}

fn told(answer: &Value, line: String, screen: &mut Screen) -> Result<Exit, Failure> {
    if screen.is_json() {
        screen.document(answer);
    } else {
        screen.line(line);
    }
    Ok(Exit::Done)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// How long something goes on, as people say it.
fn left(seconds: &Value) -> String {
    match seconds.as_u64() {
        None => "for ever".to_owned(),
        Some(seconds) => duration_text(Duration::from_secs(seconds)),
    }
}

pub(super) fn leases(asking: &Asking, arguments: LeasesArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let LeasesArgs { subnet, state, find, limit } = arguments;
    let state = state.map(|state| state.word().to_owned());
    let answer = asking.ask(&Leasing::Leases { subnet, state, find, limit: limit as usize })?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let found = answer["leases"].as_array().map(Vec::as_slice).unwrap_or_default();
    if found.is_empty() {
        screen.line(format!("{DIM}no lease{PLAIN}"));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["address", "state", "client", "name", ">left", "kept", "relay"]);
    for lease in found {
        let state = text(lease, "state");
        let colour = match state.as_str() {
            "bound" => GREEN,
            "declined" => RED,
            _ => DIM,
        };
        let name = ["name", "host"].iter().map(|name| text(lease, name)).find(|name| name != "-");
        let is_bound = state == "bound";
        table.row([
            text(lease, "address"),
            format!("{colour}{state}{PLAIN}"),
            text(lease, "mac"),
            name.unwrap_or_else(|| "-".to_owned()),
            if is_bound || state == "declined" { left(&lease["seconds_left"]) } else { "-".to_owned() },
            if lease["reserved"] == true { "reserved".to_owned() } else { "-".to_owned() },
            text(lease, "relay"),
        ]);
    }
    screen.table(&table);
    if answer["more"] == true {
        screen.line(format!("{DIM}there are more; --limit, --subnet, --state and --find show others{PLAIN}"));
    }
    Ok(Exit::Done)
}

pub(super) fn reserve(asking: &Asking, arguments: ReserveArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let ReserveArgs { address, mac, client_id, circuit_id, host } = arguments;
    let known = mac
        .map(Known::Mac)
        .or_else(|| client_id.map(Known::ClientId))
        .or_else(|| circuit_id.map(Known::CircuitId))
        .unwrap_or(Known::Holder);
    let answer = asking.ask(&Leasing::Reserve { address, known, host })?;
    let name = answer["host"].as_str().map(|name| format!(", called {name}")).unwrap_or_default();
    told(&answer, format!("{GREEN}reserved{PLAIN}  {address} for {}{name}", text(&answer, "client")), screen)
}

pub(super) fn decline_clear(
    asking: &Asking,
    address: Option<Ipv4Addr>,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let answer = asking.ask(&Leasing::DeclineClear { address })?;
    let count = answer["cleared"].as_u64().unwrap_or_default();
    let noun = if count == 1 { "address is" } else { "addresses are" };
    told(&answer, format!("{GREEN}cleared{PLAIN}  {count} {noun} given out again"), screen)
}

pub(super) fn offers(asking: &Asking, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Leasing::Offers)?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let found = answer["offers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if found.is_empty() {
        screen.line(format!("{DIM}nothing is offered at the moment{PLAIN}"));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["address", "client", ">left"]);
    for offer in found {
        table.row([text(offer, "address"), text(offer, "mac"), left(&offer["seconds_left"])]);
    }
    screen.table(&table);
    Ok(Exit::Done)
}

pub(super) fn stats(asking: &Asking, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Leasing::Stats)?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    if answer["degraded"] == true {
        screen.line(format!(
            "{RED}leases cannot be written: clients keep what they have, and nobody gets more{PLAIN}"
        ));
    }
    let mut table =
        Table::new(&["subnet", ">addresses", ">leased", ">offered", ">declined", ">free", "used"]);
    for subnet in answer["subnets"].as_array().into_iter().flatten() {
        let number = |name: &str| subnet[name].as_u64().unwrap_or_default();
        let (size, free) = (number("addresses"), number("free"));
        table.row([
            text(subnet, "network"),
            size.to_string(),
            number("leased").to_string(),
            number("offered").to_string(),
            number("declined").to_string(),
            free.to_string(),
            bar(size.saturating_sub(free), size),
        ]);
    }
    screen.table(&table);
    for (title, name) in [("messages", "messages"), ("dropped", "drops")] {
        let counts: Vec<String> = answer[name]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, count)| count.as_u64().is_some_and(|count| count > 0))
            .map(|(what, count)| format!("{} {count}", what.replace('_', " ")))
            .collect();
        if !counts.is_empty() {
            screen.line(format!("{BOLD}{title}{PLAIN}  {}", counts.join(", ")));
        }
    }
    Ok(Exit::Done)
}

/// How much of a pool is used, as a bar of twenty characters.
fn bar(used: u64, size: u64) -> String {
    const WIDTH: u64 = 20;
    if size == 0 {
        return "-".to_owned();
    }
    let part = used as f64 / size as f64;
    let full = (part * WIDTH as f64).round() as usize;
    let colour = match part {
        0.9.. => RED,
        0.75.. => YELLOW,
        _ => GREEN,
    };
    let (full, rest) = ("█".repeat(full), "·".repeat(WIDTH as usize - full));
    format!("{colour}{full}{PLAIN}{DIM}{rest}{PLAIN} {:.0} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_the_part_that_is_used() {
        assert!(bar(0, 10).ends_with(" 0 %") && bar(10, 10).ends_with(" 100 %"));
        assert_eq!(bar(5, 10).matches('█').count(), 10);
        assert_eq!(bar(0, 0), "-");
    }
}
