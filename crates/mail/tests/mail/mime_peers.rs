//! What mail-parser makes of the corpus. Python's email is asked in the program's interop tests.

use mail_parser::{Address, MessageParser, MimeHeaders, PartType};

use crate::corpus::{Reading, messages, shown};
use crate::mime_differences::check;

fn theirs(message: &[u8]) -> Reading {
    let (mut parts, mut content, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let Some(parsed) = MessageParser::default().parse(message) else {
        return vec![("parts", "nothing".to_owned())];
    };
    leaves(&parsed, &mut parts, &mut content, &mut names);
    let from = match parsed.from() {
        Some(Address::List(list)) => list.clone(),
        Some(Address::Group(groups)) => groups.iter().flat_map(|group| group.addresses.clone()).collect(),
        None => Vec::new(),
    };
    let from: Vec<_> = from
        .iter()
        .map(|one| {
            let (name, address) = (one.name().unwrap_or_default(), one.address().unwrap_or_default());
            shown(format!("{name} <{address}>").trim().as_bytes())
        })
        .collect();
    let date = parsed
        .date()
        .filter(|date| date.is_valid())
        .map_or(String::new(), |date| date.to_timestamp().to_string());
    vec![
        ("parts", parts.join(" | ")),
        ("content", content.join(" | ")),
        ("names", names.join(" | ")),
        ("subject", shown(parsed.subject().unwrap_or_default().as_bytes())),
        ("from", from.join(" | ")),
        ("date", date),
    ]
}

fn leaves(
    parsed: &mail_parser::Message<'_>,
    parts: &mut Vec<String>,
    content: &mut Vec<String>,
    names: &mut Vec<String>,
) {
    for part in &parsed.parts {
        match &part.body {
            PartType::Multipart(_) => continue,
            PartType::Message(inner) => {
                leaves(inner, parts, content, names);
                continue;
            }
            PartType::Text(text) | PartType::Html(text) => content.push(shown(text.as_bytes())),
            PartType::Binary(octets) | PartType::InlineBinary(octets) => content.push(shown(octets)),
        }
        let media_type = part.content_type().map(|given| {
            let sub = given.subtype().unwrap_or_default();
            format!("{}/{sub}", given.ctype()).to_ascii_lowercase()
        });
        parts.push(media_type.unwrap_or_else(|| "text/plain".to_owned()));
        names.push(shown(part.attachment_name().unwrap_or_default().as_bytes()));
    }
}

#[test]
fn mail_parser_reads_the_corpus_as_we_do_or_differs_for_a_reason() {
    let readings: Vec<_> = messages().iter().map(|(_, message)| theirs(message)).collect();
    check("mail-parser 0.11.9", &readings);
}

#[test]
fn the_corpus_has_many_messages_of_its_own() {
    let mut names: Vec<_> = messages().into_iter().map(|(name, _)| name).collect();
    let own = names.iter().filter(|name| !name.starts_with("generated/")).count();
    assert!(own >= 150, "{own}");
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "each has its name");
}
