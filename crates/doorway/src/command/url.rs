//! `doorway url`: texts coded and decoded, and a URL with its parts.

use doorway_http::url::{Url, UrlFault, decode, encode};
use serde_json::json;

use crate::cli::UrlCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{DIM, PLAIN, Screen};

/// Runs one of its commands.
pub(super) fn run(command: UrlCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        UrlCommand::Encode { text } => result(screen, &text, &encode(text.as_bytes())),
        UrlCommand::Decode { text } => {
            let octets = decode(&text).map_err(|fault| wrong(&text, &fault))?;
            match String::from_utf8(octets) {
                Ok(decoded) => result(screen, &text, &decoded),
                Err(error) => {
                    let shown = error.as_bytes().escape_ascii().to_string();
                    return Err(Failure::new(format!(
                        "`{text}` stands for octets that are no UTF-8: {shown}"
                    ))
                    .fix("look for another character encoding where it comes from"));
                }
            }
        }
        UrlCommand::Explain { url } => parts(screen, &url)?,
    }
    Ok(Exit::Done)
}

fn result(screen: &mut Screen, from: &str, to: &str) {
    if screen.is_json() {
        screen.document(&json!({ "from": from, "to": to }));
    } else {
        screen.line(to);
    }
}

fn parts(screen: &mut Screen, text: &str) -> Result<(), Failure> {
    let url = Url::parse(text).map_err(|fault| wrong(text, &fault))?;
    let readable = |coded: &str| decode(coded).ok().and_then(|octets| String::from_utf8(octets).ok());
    if screen.is_json() {
        screen.document(&json!({
            "url": url.to_string(), "scheme": url.scheme, "user": url.user, "host": url.host,
            "port": url.port_or_default(), "path": url.path, "path_decoded": readable(&url.path),
            "query": url.query, "query_decoded": url.query.as_deref().and_then(readable),
            "fragment": url.fragment, "host_field": url.authority(), "request_target": url.target(),
        }));
        return Ok(());
    }
    let mut rows: Vec<(&str, String, String)> = Vec::new();
    let letters = "letter case does not matter";
    rows.push(("scheme", url.scheme.clone(), letters.into()));
    if let Some(user) = &url.user {
        rows.push(("user", user.clone(), "deprecated: whoever sees the URL sees it".into()));
    }
    if !url.host.is_empty() {
        let labels =
            url.host.contains("xn--").then(|| "A-labels of other letters than ASCII (RFC 5891)".to_owned());
        rows.push(("host", url.host.clone(), labels.unwrap_or_else(|| letters.into())));
    }
    if let Some(port) = url.port_or_default() {
        let default = doorway_http::url::default_port(&url.scheme) == Some(port);
        rows.push((
            "port",
            port.to_string(),
            if default { "the scheme's own, left out".into() } else { String::new() },
        ));
    }
    let decoded = |coded: &str| match readable(coded) {
        Some(text) if text != coded => format!("decoded: {text}"),
        _ => String::new(),
    };
    let note = match decoded(&url.path) {
        note if note.is_empty() => "letter case matters".to_owned(),
        note => note,
    };
    rows.push(("path", url.path.clone(), note));
    if let Some(query) = &url.query {
        rows.push(("query", query.clone(), decoded(query)));
    }
    if let Some(fragment) = &url.fragment {
        rows.push(("fragment", fragment.clone(), "stays with the client".into()));
    }
    let width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0).min(60);
    for (name, value, note) in rows {
        screen.line(format!("{DIM}{name:<9}{PLAIN} {value:<width$}  {DIM}{note}{PLAIN}").trim_end());
    }
    if !url.host.is_empty() && url.scheme.starts_with("http") {
        screen.line(format!(
            "\n{DIM}on the wire{PLAIN}  GET {} HTTP/1.1\n             Host: {}",
            url.target(),
            url.authority()
        ));
    }
    Ok(())
}

pub(super) fn wrong(text: &str, fault: &UrlFault) -> Failure {
    let before: String = text.char_indices().take_while(|(at, _)| *at < fault.at).map(|(_, c)| c).collect();
    let mark = " ".repeat(before.chars().count());
    Failure::new(format!("this is no URL: {fault}\n    {text}\n    {mark}^")).exit(Exit::Wrong)
}
