//! `doorway mail read` and `doorway mail folders`: what is in a mailbox, and one message of it.

use std::path::{Path, PathBuf};

use doorway_mail::mime::structure::{Encoding, Kind};
use doorway_mail::mime::{self, Structure, base64, charset, header, quoted_printable};
use serde_json::{Value, json};

use super::Asking;
use crate::cli::ReadArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::post::Postal;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, Screen, Table, octets};

/// Fields that a reader wants to see.
const SHOWN_FIELDS: [&str; 6] = ["Date", "From", "To", "Cc", "Reply-To", "Subject"];

pub(super) fn read(asking: &Asking, arguments: ReadArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let ReadArgs { user, uid, folder, raw, save, limit } = arguments;
    let Some(uid) = uid else {
        let answer = asking.ask(&Postal::List { user, folder, limit: limit as usize })?;
        list(&answer, screen);
        return Ok(Exit::Done);
    };
    let answer = asking.ask(&Postal::Message { user, folder, uid })?;
    let message = base64::decode(answer["message"].as_str().unwrap_or_default().as_bytes());
    if raw {
        screen.octets(&message);
        return Ok(Exit::Done);
    }
    let structure = mime::structure(&message);
    let parts = parts(&structure, &message);
    if let Some(folder) = save {
        return save_parts(&parts, &folder, screen);
    }
    show(&message, &parts, screen);
    Ok(Exit::Done)
}

fn list(answer: &Value, screen: &mut Screen) {
    if screen.is_json() {
        screen.document(answer);
        return;
    }
    let messages = answer["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        screen.line(format!("{DIM}no messages{PLAIN}"));
        return;
    }
    let mut table = Table::new(&[">uid", "came", "from", "subject", ">octets"]);
    for message in messages {
        let text = |name: &str, most: usize| {
            message[name].as_str().unwrap_or_default().chars().take(most).collect::<String>()
        };
        table.row([
            message["uid"].to_string(),
            text("at", 20),
            text("from", 40),
            text("subject", 60),
            octets(&message["octets"]),
        ]);
    }
    screen.table(&table);
}

/// A part of a message that is no container, decoded.
struct Leaf {
    media_type: String,
    name: Option<String>,
    content: Vec<u8>,
    /// Its text, for a part that is to be read.
    text: Option<String>,
}

fn parts(structure: &Structure, message: &[u8]) -> Vec<Leaf> {
    let leaves = structure.parts.iter().filter(|part| matches!(part.kind, Kind::Leaf));
    leaves
        .map(|part| {
            let octets = part.body.of(message);
            let content = match part.encoding {
                Encoding::Base64 => base64::decode(octets),
                Encoding::QuotedPrintable => quoted_printable::decode(octets),
                _ => octets.to_vec(),
            };
            let is_text = part.main_type().eq_ignore_ascii_case("text") && !is_attachment(part);
            let label = part.media_type.parameter("charset").unwrap_or("utf-8");
            Leaf {
                media_type: format!("{}/{}", part.main_type(), part.subtype()).to_ascii_lowercase(),
                name: part.file_name().map(str::to_owned),
                text: is_text.then(|| charset::decode(label, &content)),
                content,
            }
        })
        .collect()
}

fn is_attachment(part: &mime::structure::Part) -> bool {
    part.disposition.as_ref().is_some_and(|disposition| disposition.value == "attachment")
}

fn show(message: &[u8], parts: &[Leaf], screen: &mut Screen) {
    let fields = header::fields(message).filter(|field| SHOWN_FIELDS.iter().any(|name| field.is(name)));
    let fields: Vec<(String, String)> = fields.map(|field| (field.name.to_owned(), field.text())).collect();
    let plain = parts.iter().find(|part| part.media_type == "text/plain" && part.text.is_some());
    let text = plain.or_else(|| parts.iter().find(|part| part.text.is_some()));
    if screen.is_json() {
        let part =
            |part: &Leaf| json!({ "type": part.media_type, "name": part.name, "octets": part.content.len() });
        let header: Vec<Value> =
            fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        screen.document(&json!({
            "header": header,
            "text": text.and_then(|part| part.text.as_deref()),
            "parts": parts.iter().map(part).collect::<Vec<_>>(),
        }));
        return;
    }
    for (name, value) in fields {
        screen.line(format!("{DIM}{name}:{PLAIN} {}", visible(&value)));
    }
    screen.line("");
    if let Some(text) = text.and_then(|part| part.text.as_deref()) {
        screen.line(visible(text.trim_end()));
    }
    let others = parts.iter().filter(|part| !text.is_some_and(|text| std::ptr::eq(text, *part)));
    for part in others {
        let name = part.name.as_deref().unwrap_or("without a name");
        let long = octets(&json!(part.content.len()));
        screen.line(format!(
            "\n{BOLD}{}{PLAIN}  {DIM}{}, {long} octets{PLAIN}",
            visible(name),
            part.media_type
        ));
    }
}

/// A message cannot command the terminal that it is shown on.
fn visible(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

fn save_parts(parts: &[Leaf], folder: &Path, screen: &mut Screen) -> Result<Exit, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("make the folder", folder, &error))?;
    for (number, part) in parts.iter().enumerate() {
        let path = free(folder, part, number);
        std::fs::write(&path, &part.content).map_err(|error| Failure::file("write", &path, &error))?;
        screen.line(format!("{GREEN}saved{PLAIN}  {}", path.display()));
    }
    Ok(Exit::Done)
}

/// A name in the folder that nothing has yet; what a sender wrote leads nowhere else.
fn free(folder: &Path, part: &Leaf, number: usize) -> PathBuf {
    let written = part.name.as_deref().unwrap_or_default();
    let last = written.rsplit(['/', '\\']).next().unwrap_or_default().trim_start_matches('.');
    let clean: String = last.chars().filter(|c| !c.is_control()).take(100).collect();
    let extension = if part.media_type == "text/html" { "html" } else { "txt" };
    let name = match clean.is_empty() {
        true if part.text.is_some() => format!("part-{}.{extension}", number + 1),
        true => format!("part-{}", number + 1),
        false => clean,
    };
    let mut path = folder.join(&name);
    let mut again = 1;
    while path.symlink_metadata().is_ok() {
        again += 1;
        path = folder.join(format!("{again}-{name}"));
    }
    path
}

pub(super) fn folders(asking: &Asking, user: String, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Postal::Folders { user })?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["folder", ">messages", ">octets"]);
    for folder in answer["folders"].as_array().into_iter().flatten() {
        let name = folder["name"].as_str().unwrap_or_default().to_owned();
        table.row([name, folder["messages"].to_string(), octets(&folder["octets"])]);
    }
    screen.table(&table);
    let bound = |name: &str| match answer[name].as_u64() {
        None | Some(0) => "no bound".to_owned(),
        Some(_) => octets(&answer[name]),
    };
    screen.line(format!(
        "\n{DIM}in all{PLAIN} {} octets of {}, {} messages of {}",
        octets(&answer["octets"]),
        bound("quota_octets"),
        answer["messages"],
        bound("quota_messages"),
    ));
    Ok(Exit::Done)
}
