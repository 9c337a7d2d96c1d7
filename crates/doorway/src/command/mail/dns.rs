//! `doorway mail dns`: what the domains of mail need in DNS, printed as lines of a zone file or put into the
//! zones that are served here (RFC 5321 §5.1, RFC 6186, RFC 8314 §5.1).

use core::net::IpAddr;

use serde_json::json;

use super::Asking;
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::mail::Settings;
use crate::name_server::{Action, Request};
use crate::screen::{DIM, GREEN, PLAIN, Screen};

/// A record: owner, type, data.
type Row = (String, &'static str, String);

pub(super) fn dns(
    asking: &Asking,
    addresses: Vec<IpAddr>,
    publish: bool,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let settings = asking.settings();
    if settings.domains.is_empty() {
        return Err(Failure::new("there is no mail").fix("name domains in `mail.domains`").exit(Exit::Wrong));
    }
    let rows = rows(&settings, &addresses);
    if publish {
        let client = Client::running(&asking.data)?;
        for (owner, kind, data) in &rows {
            let words = std::iter::once(*kind).chain(data.split(' ')).map(str::to_owned).collect();
            let request = Request::Change { action: Action::Set, name: owner.clone(), words };
            let (method, target, body) = request.to_http();
            client.ask(method, &target, body.as_ref())?;
        }
    }
    if screen.is_json() {
        let row = |(owner, kind, data): &Row| json!({ "name": owner, "type": kind, "data": data });
        screen
            .document(&json!({ "records": rows.iter().map(row).collect::<Vec<_>>(), "published": publish }));
        return Ok(Exit::Done);
    }
    let width = rows.iter().map(|(owner, _, _)| owner.len()).max().unwrap_or_default();
    for (owner, kind, data) in &rows {
        let told = if publish { format!("{GREEN}set{PLAIN}  ") } else { String::new() };
        screen.line(format!("{told}{owner:<width$}  {kind:<4}  {data}"));
    }
    if addresses.is_empty() {
        let hostname = &settings.hostname;
        screen.note(format!("{DIM}{hostname} needs an address too: --address ADDRESS{PLAIN}"));
    }
    if !publish {
        screen.note(format!("{DIM}--publish puts these into the zones that are served here{PLAIN}"));
    }
    Ok(Exit::Done)
}

fn rows(settings: &Settings, addresses: &[IpAddr]) -> Vec<Row> {
    let host = format!("{}.", settings.hostname);
    let mut rows: Vec<Row> = Vec::new();
    for address in addresses {
        rows.push((host.clone(), if address.is_ipv4() { "A" } else { "AAAA" }, address.to_string()));
    }
    for domain in &settings.domains {
        rows.push((format!("{domain}."), "MX", format!("10 {host}")));
        for (service, port) in settings.services() {
            let data = match port {
                Some(port) => format!("0 1 {port} {host}"),
                // Offered nowhere (RFC 2782).
                None => "0 0 0 .".to_owned(),
            };
            rows.push((format!("_{service}._tcp.{domain}."), "SRV", data));
        }
    }
    rows
}
