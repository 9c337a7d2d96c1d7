//! The commands that look at the running server: `status`, `sockets`, `trace`, `reload`.

use std::fs::File;
use std::io::{self, BufRead, Write};

use doorway_base::config::units;
use serde_json::Value;

use super::sequence;
use crate::cli::TraceArgs;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::escape;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, Screen, Table, YELLOW, octets, span};

/// Largest pcapng block that is copied, in octets: a packet of 64 KiB with its comment fits many times.
const BLOCK_OCTETS_MAX: usize = 1024 * 1024;

/// `doorway status`: what runs, where, since when.
pub(super) fn status(client: &Client, screen: &mut Screen) -> Result<Exit, Failure> {
    let status = client.ask("GET", "/v1/status", None)?;
    if screen.is_json() {
        screen.document(&status);
        return Ok(Exit::Done);
    }
    let state = text(&status["state"]);
    let colour = if state == "running" { GREEN } else { YELLOW };
    screen.line(format!(
        "{colour}{state}{PLAIN}  {BOLD}doorway {}{PLAIN}, process {}, up {}",
        text(&status["version"]),
        status["pid"],
        span(&status["uptime_seconds"]),
    ));
    screen.line(format!(
        "{DIM}config{PLAIN}  {}",
        status["config"].as_str().unwrap_or("none, built-in defaults")
    ));
    screen.line(format!("{DIM}data{PLAIN}    {}\n", text(&status["data"])));
    let mut table = Table::new(&[
        "service", "protocol", "local", "state", ">open", ">served", ">refused", ">in", ">out", ">age",
    ]);
    for door in rows(&status["doors"]) {
        table.row([
            text(&door["service"]),
            protocol(door),
            text(&door["local"]),
            text(&door["state"]),
            text(&door["open"]),
            text(&door["served"]),
            text(&door["refused"]),
            octets(&door["octets_in"]),
            octets(&door["octets_out"]),
            span(&door["age_seconds"]),
        ]);
    }
    screen.table(&table);
    if status["panics"].as_u64().is_some_and(|panics| panics > 0) {
        screen.line(format!(
            "\n{YELLOW}{} tasks ended by a panic; the log tells where{PLAIN}",
            status["panics"]
        ));
    }
    Ok(Exit::Done)
}

/// `doorway sockets`: every listener and every connection.
pub(super) fn sockets(client: &Client, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = client.ask("GET", "/v1/sockets", None)?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let mut table =
        Table::new(&["protocol", "local", "remote", "state", ">in", ">out", ">requests", ">age", "service"]);
    for socket in rows(&answer["sockets"]) {
        table.row([
            protocol(socket),
            text(&socket["local"]),
            socket["remote"].as_str().unwrap_or("*").to_owned(),
            text(&socket["state"]),
            octets(&socket["octets_in"]),
            octets(&socket["octets_out"]),
            text(&socket["requests"]),
            span(&socket["age_seconds"]),
            text(&socket["service"]),
        ]);
    }
    screen.table(&table);
    Ok(Exit::Done)
}

/// `doorway reload`: the config read again.
pub(super) fn reload(client: &Client, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = client.ask_for_long("POST", "/v1/reload", None)?; // zones may be large
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let changed: Vec<String> = rows(&answer["changed"]).map(text).collect();
    let what = if changed.is_empty() { "nothing changed".to_owned() } else { changed.join("\n          ") };
    screen.line(format!("{GREEN}reloaded{PLAIN}  {what}"));
    for later in rows(&answer["after_restart"]) {
        screen.line(format!("{YELLOW}after a restart{PLAIN}  {}", text(later)));
    }
    Ok(Exit::Done)
}

/// `doorway trace`: messages as they pass, as lines or into a capture, until told to stop.
pub(super) fn trace(client: &Client, args: &TraceArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let format = match (&args.pcapng, screen.is_json() || args.sequence) {
        (Some(_), _) => "pcapng",
        (None, true) => "json",
        (None, false) => "text",
    };
    let mut target = format!("/v1/trace?format={format}&filter={}", escape(&args.filter));
    if args.canonical_ports {
        target.push_str("&canonical_ports=1");
    }
    if let Some(length) = args.length {
        target.push_str(&format!("&for={}", units::duration_text(length)));
    }
    if args.sequence {
        let mut streams = vec![client.stream(&target)?];
        for folder in &args.also {
            streams.push(Client::running(folder)?.stream(&target)?);
        }
        sequence::follow(streams, args.count, screen);
        return Ok(Exit::Done);
    }
    if let Some(count) = args.count {
        target.push_str(&format!("&count={count}"));
    }
    let Some(path) = &args.pcapng else {
        let mut lines = client.stream(&target)?;
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|octets| octets > 0) && screen.text(&line) {
            line.clear();
        }
        return Ok(Exit::Done);
    };
    if path.as_os_str() == "-" {
        let mut capture = client.stream(&target)?;
        while let Some(block) = block(&mut capture).map_err(|error| broken(&error))? {
            if !screen.octets(&block) {
                break;
            }
        }
        return Ok(Exit::Done);
    }
    let mut file = File::create(path).map_err(|error| Failure::file("create the capture", path, &error))?;
    let mut capture = client.stream(&target)?;
    let mut packets: u64 = 0;
    while let Some(block) = block(&mut capture).map_err(|error| broken(&error))? {
        file.write_all(&block).map_err(|error| Failure::file("write the capture", path, &error))?;
        packets += u64::from(block.starts_with(&ENHANCED_PACKET.to_le_bytes()));
    }
    screen.note(format!("{packets} packets in {}", path.display()));
    Ok(Exit::Done)
}

/// Block type of a packet (draft-ietf-opsawg-pcapng §4.3).
const ENHANCED_PACKET: u32 = 6;

/// The next whole block of a capture, so that the file is well formed whenever the command is stopped;
/// `None` at the end.
fn block(capture: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    if capture.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut head = [0; 8];
    capture.read_exact(&mut head)?;
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if !(12..=BLOCK_OCTETS_MAX).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a block of {length} octets")));
    }
    let mut block = head.to_vec();
    block.resize(length, 0);
    capture.read_exact(&mut block[8..])?;
    Ok(Some(block))
}

fn broken(error: &io::Error) -> Failure {
    Failure::new("the capture broke off")
        .why(error)
        .fix("the file holds what came before; see the server's log")
}

/// The items of a list.
pub(super) fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A value as it stands in a cell. What a terminal might take for an order becomes a dot: some of it was
/// said by others.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { '.' } else { c }).collect(),
        other => other.to_string(),
    }
}

fn protocol(row: &Value) -> String {
    let tls = if row["tls"].as_bool().unwrap_or_default() { "+tls" } else { "" };
    format!("{}{tls}", text(&row["transport"]))
}

#[cfg(test)]
mod tests {
    use doorway_base::trace::pcapng::{Options, PcapngWriter};

    use super::*;

    #[test]
    fn a_capture_is_copied_block_by_block_and_never_in_part() {
        let file = PcapngWriter::new(Options::default(), 0).header("doorway");
        let mut capture = file.as_slice();
        let mut copied = Vec::new();
        while let Some(block) = block(&mut capture).unwrap() {
            copied.extend(block);
        }
        assert_eq!(copied, file);
        for end in 1..8 {
            assert!(block(&mut &file[..end]).is_err(), "{end}");
        }
        assert!(block(&mut [6, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f].as_slice()).is_err());
    }
}
