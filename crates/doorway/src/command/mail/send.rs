//! `doorway mail send`: composes a message and hands it to the server of this data folder.

use std::io::Read as _;
use std::path::Path;

use doorway_base::Trace;
use doorway_mail::mime::address_list::{self, Mailbox};
use doorway_mail::mime::build::{Attachment, Draft};
use doorway_net::os::Runtime;

use super::Asking;
use crate::cli::SendArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::post::{MESSAGE_OCTETS_MAX, Postal};
use crate::screen::{DIM, GREEN, PLAIN, Screen};

pub(super) fn send(asking: &Asking, arguments: SendArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    let told = |error: doorway_net::Error| Failure::new(error.to_string());
    let runtime = Runtime::start("command", 0, Trace::off()).map_err(told)?;
    let world = runtime.world();
    let from = match &arguments.from {
        Some(from) => from.clone(),
        None => {
            let domain = asking.settings().domains.into_iter().next().unwrap_or_default();
            format!("postmaster@{domain}")
        }
    };
    let text = match &arguments.text {
        Some(text) => text.clone(),
        None => read_input()?,
    };
    let html = arguments.html.as_deref().map(read_text).transpose()?;
    let attachments = arguments.attach.iter().map(|path| attachment(path)).collect::<Result<_, _>>()?;
    let (to, cc, bcc) = (mailboxes(&arguments.to)?, mailboxes(&arguments.cc)?, mailboxes(&arguments.bcc)?);
    let recipients: Vec<String> = to.iter().chain(&cc).chain(&bcc).map(Mailbox::address).collect();
    let from = mailboxes(&[from])?;
    let sender = from.first().map(Mailbox::address);
    let draft = Draft {
        from,
        to,
        cc,
        subject: arguments.subject,
        date: world.wall(),
        text: Some(text),
        html,
        attachments,
        ..Draft::default()
    };
    let message = draft.write(&mut world.random());
    if message.len() as u64 > MESSAGE_OCTETS_MAX {
        let why = format!("it has {} octets, and this command sends {MESSAGE_OCTETS_MAX}", message.len());
        return Err(Failure::new("the message is too long").why(why).exit(Exit::Wrong));
    }
    let answer = asking.ask(&Postal::Send { from: sender, to: recipients.clone(), message })?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let id = answer["id"].as_str().unwrap_or_default();
    screen.line(format!("{GREEN}sent{PLAIN}  {id}  {DIM}to {}{PLAIN}", recipients.join(", ")));
    screen.note(format!("{DIM}`doorway mail trace {id}` tells what becomes of it{PLAIN}"));
    Ok(Exit::Done)
}

/// Addresses as people write them, with names or without.
fn mailboxes(texts: &[String]) -> Result<Vec<Mailbox>, Failure> {
    let mut all = Vec::new();
    for text in texts {
        let found = address_list::mailboxes(text.as_bytes());
        let right = |mailbox: &Mailbox| doorway_mail::Address::parse(&mailbox.address()).is_ok();
        if found.is_empty() || !found.iter().all(right) {
            return Err(Failure::new(format!("`{text}` is not an address"))
                .fix("write NAME@DOMAIN or \"Full Name <NAME@DOMAIN>\"")
                .exit(Exit::Wrong));
        }
        all.extend(found);
    }
    Ok(all)
}

fn read_input() -> Result<String, Failure> {
    let mut octets = Vec::new();
    let read = std::io::stdin().lock().take(MESSAGE_OCTETS_MAX).read_to_end(&mut octets);
    read.map_err(|error| Failure::new("cannot read the text from standard input").why(error))?;
    String::from_utf8(octets).map_err(|_| {
        Failure::new("the text is not UTF-8").fix("send other files with --attach").exit(Exit::Wrong)
    })
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))
}

fn attachment(path: &Path) -> Result<Attachment, Failure> {
    let content = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let media_type = doorway_http::media_type::media_type(&name).to_owned();
    Ok(Attachment { name, media_type, content, content_id: String::new() })
}
