//! `doorway user …`: through the running server, or on the store itself when none runs.

use std::sync::Arc;

use doorway_base::Trace;
use doorway_net::os::Runtime;
use doorway_store::wait;
use serde_json::Value;

use super::configured;
use super::password::{self, Password};
use super::store::no_store;
use crate::accounts::Accounts;
use crate::cli::{AppPasswordCommand, Options, UserCommand};
use crate::control::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, Screen, Table};
use crate::{first_run, logins, mail, storage};

/// Does what was asked about users.
pub(super) fn run(options: &Options, command: UserCommand, screen: &mut Screen) -> Result<Exit, Failure> {
    let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
    let data = first_run::data_folder(&config, options.data.as_deref());
    let (request, password, done) = match command {
        UserCommand::Add { name, password, roles } => {
            let password = password::ask(&password)?;
            (Accounts::Add { name, roles, password: password.text.clone() }, Some(password), "added")
        }
        UserCommand::Passwd { name, password } => {
            let password = password::ask(&password)?;
            (Accounts::SetPassword { name, password: password.text.clone() }, Some(password), "changed")
        }
        UserCommand::List => (Accounts::List, None, ""),
        UserCommand::AppPassword(AppPasswordCommand::Add { name, label, protocols, length }) => {
            let seconds = length.map(|length| length.as_secs());
            (Accounts::AddAppPassword { name, label, protocols, seconds }, None, "made for")
        }
        UserCommand::AppPassword(AppPasswordCommand::List { name }) => {
            (Accounts::AppPasswords { name }, None, "")
        }
        UserCommand::AppPassword(AppPasswordCommand::Remove { name, id }) => {
            (Accounts::RemoveAppPassword { name, id }, None, "removed")
        }
        UserCommand::Remove { name } => (Accounts::Remove { name }, None, "removed"),
    };
    let mut answer = match Client::find(&data)? {
        Some(client) => {
            let (method, target, body) = request.to_http();
            client.ask(method, &target, body.as_ref())?
        }
        None => {
            if !matches!(request, Accounts::Add { .. }) && !storage::folder(&data).exists() {
                return Err(no_store(&data));
            }
            let runtime = Runtime::start("command", 1, Trace::off());
            let runtime = runtime.map_err(|error| Failure::new("cannot read the clock").why(error))?;
            let (world, store) = (runtime.world(), storage::open(&config, &data, None)?);
            let users = storage::users(&config, Arc::clone(&store))?;
            let gone = wait(request.removes(&users))?;
            let told = wait(request.run(&users, world.wall()))?;
            if let Some(user) = gone {
                let mailboxes = mail::mailboxes(&store)?;
                wait(mail::remove_account(&mailboxes, &user, world.wall()))?;
            }
            if let Some(user) = request.logs_out() {
                let sessions = logins::sessions(&config, store, world)?;
                let revoked = wait(sessions.revoke_user(&user, world.wall()));
                revoked.map_err(|error| storage::failure("cannot end the sessions of the user", error))?;
            }
            told
        }
    };
    if let Some(Password { text, is_new: true }) = &password {
        answer["password"] = Value::from(text.as_str());
    }
    if screen.is_json() {
        screen.document(&answer);
    } else if matches!(request, Accounts::List) {
        screen.table(&table(&answer));
    } else if matches!(request, Accounts::AppPasswords { .. }) {
        screen.table(&app_table(&answer));
    } else {
        let name = answer["name"].as_str().or(answer["removed"].as_str()).unwrap_or_default();
        screen.line(format!("{GREEN}{done}{PLAIN}  {name}"));
        if let Some(password) = answer["password"].as_str() {
            screen.line(format!(
                "{DIM}password{PLAIN}  {BOLD}{password}{PLAIN}  {DIM}(shown this once){PLAIN}"
            ));
        }
        for (noun, key) in [("app password", "app_password"), ("token", "token")] {
            if let Some(secret) = answer[key].as_str() {
                screen.line(format!("{DIM}{noun}{PLAIN}  {BOLD}{secret}{PLAIN}"));
            }
        }
    }
    Ok(Exit::Done)
}

fn table(answer: &Value) -> Table {
    let mut table = Table::new(&["name", "roles", "state", "created", "changed"]);
    for user in answer["users"].as_array().into_iter().flatten() {
        let roles: Vec<&str> =
            user["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
        let state = if user["active"].as_bool().unwrap_or_default() { "active" } else { "suspended" };
        table.row([text("name"), roles.join(", "), state.to_owned(), text("created"), text("changed")]);
    }
    table
}

fn app_table(answer: &Value) -> Table {
    let mut table = Table::new(&["id", "label", "opens", "created", "ends", "last used"]);
    for password in answer["app_passwords"].as_array().into_iter().flatten() {
        let text = |name: &str| password[name].as_str().unwrap_or("-").to_owned();
        let opens: Vec<&str> =
            password["protocols"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let opens = if opens.is_empty() { "everything".to_owned() } else { opens.join(", ") };
        table.row([text("id"), text("label"), opens, text("created"), text("expires"), text("last_use")]);
    }
    table
}
