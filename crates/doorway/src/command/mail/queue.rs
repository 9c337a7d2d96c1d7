//! `doorway mail queue …` and `doorway mail trace`.

use serde_json::Value;

use super::Asking;
use crate::cli::QueueCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::post::{Action, Postal};
use crate::screen::{BOLD, DIM, GREEN, PLAIN, Screen, Table, octets};

pub(super) fn queue(asking: &Asking, command: QueueCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let (action, ids) = match command {
        QueueCommand::List { to, from, held, limit } => {
            let answer = asking.ask(&Postal::Queue { to, from, held, limit: limit as usize })?;
            return Ok(listed(&answer, screen));
        }
        QueueCommand::Show { id } => {
            let answer = asking.ask(&Postal::Queued { id })?;
            return Ok(shown(&answer, screen));
        }
        QueueCommand::Hold { ids } => (Action::Hold, ids),
        QueueCommand::Release { ids } => (Action::Release, ids),
        QueueCommand::Retry { ids } => (Action::Retry, ids),
        QueueCommand::Drop { ids } => (Action::Drop, ids),
    };
    for id in ids {
        let answer = asking.ask(&Postal::Change { action, id: id.clone() })?;
        if screen.is_json() {
            screen.document(&answer);
        } else {
            let count = answer["recipients"].as_u64().unwrap_or_default();
            let noun = if count == 1 { "recipient" } else { "recipients" };
            screen.line(format!("{GREEN}{}{PLAIN}  {id}  {DIM}{count} {noun}{PLAIN}", action.done()));
        }
    }
    Ok(Exit::Done)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

fn listed(answer: &Value, screen: &mut Screen) -> Exit {
    if screen.is_json() {
        screen.document(answer);
        return Exit::Done;
    }
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        screen.line(format!("{DIM}nothing is queued{PLAIN}"));
        return Exit::Done;
    }
    let mut table = Table::new(&["message", "from", "to", ">octets", ">tries", "next try", "last reply"]);
    for item in items {
        let due = if item["held"] == true { "held".to_owned() } else { text(item, "due") };
        table.row([
            text(item, "id"),
            item["from"].as_str().filter(|from| !from.is_empty()).unwrap_or("<>").to_owned(),
            text(item, "to"),
            octets(&item["octets"]),
            item["tries"].to_string(),
            due,
            text(item, "last_reply").chars().take(60).collect(),
        ]);
    }
    screen.table(&table);
    if answer["more"] == true {
        screen.line(format!("{DIM}there are more; --limit, --to and --from show others{PLAIN}"));
    }
    Exit::Done
}

fn shown(answer: &Value, screen: &mut Screen) -> Exit {
    if screen.is_json() {
        screen.document(answer);
        return Exit::Done;
    }
    for item in answer["items"].as_array().into_iter().flatten() {
        screen.line(format!("{BOLD}{}{PLAIN}  to {}", text(item, "id"), text(item, "to")));
        for (label, name) in [
            ("from", "from"),
            ("came", "came"),
            ("next try", "due"),
            ("last try", "last_at"),
            ("at", "last_host"),
            ("reply", "last_reply"),
        ] {
            if item[name].is_string() {
                screen.line(format!("  {DIM}{label:<9}{PLAIN} {}", text(item, name)));
            }
        }
        screen.line(format!("  {DIM}tries    {PLAIN} {}", item["tries"]));
        if item["held"] == true {
            screen.line(format!("  {BOLD}held{PLAIN}"));
        }
    }
    screen.line("");
    for field in answer["header"].as_array().into_iter().flatten() {
        screen.line(format!("{DIM}{}:{PLAIN} {}", text(field, "name"), text(field, "value")));
    }
    Exit::Done
}

pub(super) fn trace(asking: &Asking, id: String, screen: &mut Screen) -> Result<Exit, Failure> {
    let answer = asking.ask(&Postal::Trace { id })?;
    if screen.is_json() {
        screen.document(&answer);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["when", "what", "recipient", "host", "said"]);
    for event in answer["events"].as_array().into_iter().flatten() {
        table.row(["at", "what", "recipient", "host", "text"].map(|name| text(event, name)));
    }
    for item in answer["queued"].as_array().into_iter().flatten() {
        let when = if item["held"] == true { "held".to_owned() } else { text(item, "due") };
        table.row([when, "next try".to_owned(), text(item, "to"), "-".to_owned(), text(item, "last_reply")]);
    }
    screen.table(&table);
    Ok(Exit::Done)
}
