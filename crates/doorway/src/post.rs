//! What can be asked about mail. The same request is carried out by a command that holds the store and by the
//! running server on behalf of one, with the same answer in JSON.

use doorway_base::{Limit, UnixTime};
use doorway_mail::io::mailboxes::Message as BoxMessage;
use doorway_mail::io::queue::{ChangeError, Filter};
use doorway_mail::io::{Arrival, Body, Content, Intake, Office, Origin};
use doorway_mail::mailbox::{FolderName, Uid};
use doorway_mail::mime::{base64, header};
use doorway_mail::queue::{Held, Item};
use doorway_mail::{Address, Envelope, MessageId, Recipient};
use doorway_store::User;
use serde_json::{Value, json};

use crate::control::Query;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::escape;
use crate::storage;

mod archival;

pub(crate) use archival::Archival;

/// Where a message is given to be sent, whose body may be long.
pub(crate) const SEND: &str = "/v1/mail/send";
/// Where mail stands on the control socket.
const PATH: &str = "/v1/mail/";
/// Most items or messages of one answer.
pub(crate) const LISTED_MAX: usize = 10_000;
/// Longest message that is read or sent this way, in octets.
pub(crate) const MESSAGE_OCTETS_MAX: u64 = 64 << 20;
/// Longest body of a request: a message in base64, and who it goes to.
pub(crate) const BODY_OCTETS_MAX: usize = 96 << 20;
/// Octets of a message in which its header is looked for, for a list.
const HEADER_OCTETS: u64 = 64 * 1024;

/// What is done to a queued message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Hold,
    Release,
    Retry,
    Drop,
}

impl Action {
    const ALL: [Self; 4] = [Self::Hold, Self::Release, Self::Retry, Self::Drop];

    const fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Drop => "drop",
        }
    }

    /// What is told once it is done.
    pub(crate) const fn done(self) -> &'static str {
        match self {
            Self::Hold => "held",
            Self::Release => "released",
            Self::Retry => "to be tried now",
            Self::Drop => "dropped",
        }
    }
}

/// One request about mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Postal {
    /// What is queued.
    Queue { to: Option<String>, from: Option<String>, held: bool, limit: usize },
    /// Everything about a queued message.
    Queued { id: String },
    /// Change a queued message.
    Change { action: Action, id: String },
    /// What happened to a message.
    Trace { id: String },
    /// The messages of a folder, the youngest first.
    List { user: String, folder: String, limit: usize },
    /// One message, in base64.
    Message { user: String, folder: String, uid: u32 },
    /// A user's folders and what they hold.
    Folders { user: String },
    /// Send a message.
    Send { from: Option<String>, to: Vec<String>, message: Vec<u8> },
    /// What the domains of mail need in DNS.
    Names,
    /// Check mailboxes, write them out, read them in.
    Archive(Archival),
}

impl Postal {
    /// Method, target and body that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, String, Option<Value>) {
        let get = |rest: String| ("GET", format!("{PATH}{rest}"), None);
        match self {
            Self::Queue { to, from, held, limit } => {
                let word = |name: &str, value: &Option<String>| {
                    value.as_deref().map(|value| format!("&{name}={}", escape(value))).unwrap_or_default()
                };
                get(format!("queue?limit={limit}&held={held}{}{}", word("to", to), word("from", from)))
            }
            Self::Queued { id } => get(format!("queue/show?id={}", escape(id))),
            Self::Change { action, id } => {
                ("POST", format!("{PATH}queue/{}?id={}", action.word(), escape(id)), None)
            }
            Self::Trace { id } => get(format!("trace?id={}", escape(id))),
            Self::List { user, folder, limit } => {
                get(format!("list?user={}&folder={}&limit={limit}", escape(user), escape(folder)))
            }
            Self::Message { user, folder, uid } => {
                get(format!("message?user={}&folder={}&uid={uid}", escape(user), escape(folder)))
            }
            Self::Folders { user } => get(format!("folders?user={}", escape(user))),
            Self::Send { from, to, message } => {
                let body = json!({ "from": from, "to": to, "message": base64::encode(message) });
                ("POST", format!("{PATH}send"), Some(body))
            }
            Self::Names => get("names".to_owned()),
            Self::Archive(request) => {
                let (method, rest) = request.to_http();
                (method, format!("{PATH}{rest}"), None)
            }
        }
    }

    /// The request that method, path, query and body stand for; `None` when the path is about something else.
    pub(crate) fn from_http(
        method: &str,
        path: &str,
        query: &Query,
        body: &[u8],
    ) -> Option<Result<Self, Failure>> {
        let rest = path.strip_prefix(PATH)?;
        let text = |name: &str| query.value(name).map(str::to_owned).unwrap_or_default();
        let limit = || text("limit").parse().unwrap_or(LISTED_MAX).min(LISTED_MAX);
        let action =
            rest.strip_prefix("queue/").and_then(|word| Action::ALL.iter().find(|a| a.word() == word));
        let found = match (method, rest) {
            ("GET", "queue") => Self::Queue {
                to: query.value("to").map(str::to_owned),
                from: query.value("from").map(str::to_owned),
                held: text("held") == "true",
                limit: limit(),
            },
            ("GET", "queue/show") => Self::Queued { id: text("id") },
            ("POST", _) if action.is_some() => Self::Change { action: *action?, id: text("id") },
            ("GET", "trace") => Self::Trace { id: text("id") },
            ("GET", "list") => Self::List { user: text("user"), folder: text("folder"), limit: limit() },
            ("GET", "message") => match text("uid").parse() {
                Ok(uid) => Self::Message { user: text("user"), folder: text("folder"), uid },
                Err(_) => return Some(Err(Failure::new("`uid` is a number").exit(Exit::Wrong))),
            },
            ("GET", "folders") => Self::Folders { user: text("user") },
            ("POST", "send") => return Some(sending(body)),
            ("GET", "names") => Self::Names,
            _ => return Archival::from_http(method, rest, query).map(|request| request.map(Self::Archive)),
        };
        Some(Ok(found))
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// [`Exit::Wrong`] when there is no such message, user or folder; [`Exit::Failed`] when the store has trouble.
    pub(crate) async fn run(&self, office: &Office, now: UnixTime) -> Result<Value, Failure> {
        match self {
            Self::Queue { to, from, held, limit } => {
                let filter = Filter { to: to.clone(), from: from.clone(), held: held.then_some(true) };
                let listed = office.queue().list(&filter, None, *limit).await;
                let (items, next) =
                    listed.map_err(|error| storage::failure("cannot read the queue", error))?;
                let items: Vec<Value> = items.iter().map(item).collect();
                Ok(json!({ "items": items, "more": next.is_some() }))
            }
            Self::Queued { id } => queued(office, message_id(id)?).await,
            Self::Change { action, id } => change(office, *action, message_id(id)?).await,
            Self::Trace { id } => trace(office, message_id(id)?).await,
            Self::List { user, folder, limit } => list(office, user, folder, *limit, now).await,
            Self::Message { user, folder, uid } => message(office, user, folder, *uid, now).await,
            Self::Folders { user } => folders(office, user, now).await,
            Self::Send { from, to, message } => send(office, from.as_deref(), to, message, now).await,
            Self::Names => {
                let domains: Vec<&str> = office.directory().domains().collect();
                Ok(json!({ "hostname": office.hostname(), "domains": domains }))
            }
            Self::Archive(request) => request.run(office, now).await,
        }
    }
}

fn sending(body: &[u8]) -> Result<Postal, Failure> {
    let wrong =
        || Failure::new("`to` is a list and `message` is in base64, in a JSON object").exit(Exit::Wrong);
    let document: Value = serde_json::from_slice(body).map_err(|_| wrong())?;
    let to = document["to"].as_array().ok_or_else(wrong)?;
    let to =
        to.iter().map(|to| to.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>()?;
    let message = document["message"].as_str().ok_or_else(wrong)?;
    let from = document["from"].as_str().map(str::to_owned);
    Ok(Postal::Send { from, to, message: base64::decode(message.as_bytes()) })
}

fn message_id(text: &str) -> Result<MessageId, Failure> {
    text.parse().map_err(|malformed| {
        Failure::new(format!("`{text}` is not the name of a message"))
            .why(malformed)
            .fix("`doorway mail queue list` shows names; they also stand in Received lines and in the log")
            .exit(Exit::Wrong)
    })
}

fn none(id: MessageId) -> Failure {
    Failure::new(format!("the queue has no message {id}"))
        .fix(format!("`doorway mail trace {id}` tells what became of it"))
        .exit(Exit::Wrong)
}

fn item(item: &Item) -> Value {
    let from = item.shared.from.as_ref().map(Address::to_string);
    let last = item.last.as_ref();
    json!({
        "id": item.id.to_string(),
        "from": from.unwrap_or_default(),
        "to": item.recipient.address.to_string(),
        "octets": item.shared.octets,
        "came": item.shared.at.to_string(),
        "tries": item.tries,
        "due": if item.held == Held::Yes { None } else { Some(item.due.to_string()) },
        "held": item.held == Held::Yes,
        "last_at": last.map(|last| last.at.to_string()),
        "last_host": last.map(|last| last.host.as_str()),
        "last_reply": last.map(|last| last.text.as_str()),
    })
}

async fn queued(office: &Office, id: MessageId) -> Result<Value, Failure> {
    let trouble = |error| storage::failure("cannot read the queue", error);
    let items = office.queue().items(id).await.map_err(trouble)?;
    let Some(first) = items.first() else { return Err(none(id)) };
    let bodies = office.mailboxes().bodies();
    let head = match bodies.body(id).await.map_err(trouble)? {
        Some(body) => {
            bodies.read(&body, u64::from(first.shared.skip), HEADER_OCTETS).await.map_err(trouble)?
        }
        None => return Err(Failure::new(format!("the body of message {id} is not there"))),
    };
    let fields: Vec<Value> =
        header::fields(&head).map(|field| json!({ "name": field.name, "value": field.text() })).collect();
    Ok(json!({ "items": items.iter().map(item).collect::<Vec<_>>(), "header": fields }))
}

async fn change(office: &Office, action: Action, id: MessageId) -> Result<Value, Failure> {
    let queue = office.queue();
    let changed = match action {
        Action::Hold => queue.hold(id).await,
        Action::Release => queue.release(id).await,
        Action::Retry => queue.retry(id).await,
        Action::Drop => queue.drop(id).await,
    };
    match changed {
        Ok(recipients) => Ok(json!({ "recipients": recipients })),
        Err(ChangeError::NoSuchMessage) => Err(none(id)),
        Err(ChangeError::Busy) => Err(Failure::new(format!("message {id} is being sent right now"))
            .fix("try again in a moment")
            .exit(Exit::Wrong)),
        Err(ChangeError::Store(error)) => Err(storage::failure("cannot change the queue", error)),
    }
}

async fn trace(office: &Office, id: MessageId) -> Result<Value, Failure> {
    let trouble = |error| storage::failure("cannot read what happened", error);
    let events = office.queue().history().of(id).await.map_err(trouble)?;
    let items = office.queue().items(id).await.map_err(trouble)?;
    if events.is_empty() && items.is_empty() {
        return Err(Failure::new(format!("nothing is known of message {id}"))
            .why("what happens to a message is kept for a week")
            .exit(Exit::Wrong));
    }
    let event = |event: &doorway_mail::io::history::Event| {
        json!({
            "at": event.at.to_string(),
            "what": event.what.word(),
            "recipient": event.recipient,
            "host": event.host,
            "text": event.text,
        })
    };
    let events: Vec<Value> = events.iter().map(event).collect();
    Ok(json!({ "events": events, "queued": items.iter().map(item).collect::<Vec<_>>() }))
}

async fn user(office: &Office, name: &str) -> Result<User, Failure> {
    let found = office.users().user(name).await;
    let found = found.map_err(|error| storage::failure("cannot read the user list", error))?;
    found.ok_or_else(|| {
        Failure::new(format!("there is no user `{name}`"))
            .fix("`doorway user list` lists them")
            .exit(Exit::Wrong)
    })
}

/// A user's number and one of their folders.
async fn place(
    office: &Office,
    name: &str,
    folder: &str,
    now: UnixTime,
) -> Result<(u64, doorway_mail::mailbox::FolderId), Failure> {
    let trouble = |error| storage::failure("cannot read the mailbox", error);
    let number = user(office, name).await?.id;
    let account = office.mailboxes().open_account(number, now).await.map_err(trouble)?;
    let wrong =
        |why: String| Failure::new(format!("{name} has no folder `{folder}`")).why(why).exit(Exit::Wrong);
    let parsed = FolderName::parse(folder).map_err(|malformed| wrong(malformed.to_string()))?;
    let found = office.mailboxes().folder(&account, &parsed).await.map_err(trouble)?;
    let found =
        found.ok_or_else(|| wrong(String::new()).fix(format!("`doorway mail folders {name}` lists them")))?;
    Ok((number, found.id))
}

async fn list(
    office: &Office,
    name: &str,
    folder: &str,
    limit: usize,
    now: UnixTime,
) -> Result<Value, Failure> {
    let trouble = |error| storage::failure("cannot read the mailbox", error);
    let (number, folder) = place(office, name, folder, now).await?;
    let mailboxes = office.mailboxes();
    let mut messages: Vec<BoxMessage> = Vec::new();
    let mut first = Some(Uid::MIN);
    while let Some(from) = first {
        let page = mailboxes.messages(number, folder, from..=Uid::MAX, LISTED_MAX).await.map_err(trouble)?;
        messages.extend(page.messages);
        // Only the youngest are shown, so older ones need not stay.
        messages.drain(..messages.len().saturating_sub(limit));
        first = page.next;
    }
    let mut listed = Vec::with_capacity(messages.len());
    for message in messages.iter().rev() {
        let body = mailboxes.bodies().body(message.id).await.map_err(trouble)?;
        let head = match &body {
            Some(body) => mailboxes.bodies().read(body, 0, HEADER_OCTETS).await.map_err(trouble)?,
            None => bytes::Bytes::new(),
        };
        let text = |name: &str| header::value(&head, name).map(header::text).unwrap_or_default();
        listed.push(json!({
            "uid": message.uid,
            "id": message.id.to_string(),
            "at": message.at.to_string(),
            "octets": message.octets,
            "from": text("From"),
            "to": text("To"),
            "subject": text("Subject"),
        }));
    }
    Ok(json!({ "messages": listed }))
}

async fn message(
    office: &Office,
    name: &str,
    folder: &str,
    uid: u32,
    now: UnixTime,
) -> Result<Value, Failure> {
    let trouble = |error| storage::failure("cannot read the message", error);
    let (number, folder) = place(office, name, folder, now).await?;
    let mailboxes = office.mailboxes();
    let found = mailboxes.some_messages(number, folder, &[uid]).await.map_err(trouble)?;
    let Some(message) = found.first() else {
        return Err(Failure::new(format!("{name} has no message {uid} there"))
            .fix(format!("`doorway mail read {name}` lists them"))
            .exit(Exit::Wrong));
    };
    if message.octets > MESSAGE_OCTETS_MAX {
        let limit = Limit::built_in("mail.read_octets_max", MESSAGE_OCTETS_MAX);
        return Err(Failure::new(format!("message {uid} has {} octets", message.octets)).why(limit));
    }
    let body = mailboxes.bodies().body(message.id).await.map_err(trouble)?;
    let body =
        body.ok_or_else(|| Failure::new(format!("the body of message {} is not there", message.id)))?;
    let octets = whole(office, &body).await.map_err(trouble)?;
    Ok(json!({ "uid": uid, "id": message.id.to_string(), "message": base64::encode(&octets) }))
}

async fn whole(office: &Office, body: &Body) -> doorway_store::Result<Vec<u8>> {
    let mut octets = Vec::with_capacity(body.octets() as usize);
    loop {
        let piece = office.mailboxes().bodies().read(body, octets.len() as u64, u64::MAX).await?;
        if piece.is_empty() {
            return Ok(octets);
        }
        octets.extend_from_slice(&piece);
    }
}

async fn folders(office: &Office, name: &str, now: UnixTime) -> Result<Value, Failure> {
    let trouble = |error| storage::failure("cannot read the mailbox", error);
    let number = user(office, name).await?.id;
    let mailboxes = office.mailboxes();
    let account = mailboxes.open_account(number, now).await.map_err(trouble)?;
    let usage = mailboxes.usage(number).await.map_err(trouble)?;
    let quota = mailboxes.quota_limits();
    let mut folders = Vec::new();
    for folder in mailboxes.folders(&account).await.map_err(trouble)? {
        let status = mailboxes.status(number, folder.id).await.map_err(trouble)?;
        folders.push(json!({
            "name": folder.name.as_str(),
            "messages": status.messages,
            "octets": status.octets,
            "uid_next": status.uid_next,
        }));
    }
    Ok(json!({
        "folders": folders,
        "octets": usage.octets,
        "messages": usage.messages,
        "quota_octets": quota.octets,
        "quota_messages": quota.messages,
    }))
}

async fn send(
    office: &Office,
    from: Option<&str>,
    to: &[String],
    message: &[u8],
    now: UnixTime,
) -> Result<Value, Failure> {
    let wrong =
        |text: &str, why: String| Failure::new(format!("cannot send to `{text}`")).why(why).exit(Exit::Wrong);
    let parse = |text: &str| Address::parse(text).map_err(|malformed| wrong(text, malformed.to_string()));
    let from = from.map(parse).transpose()?;
    // Whoever owns the data folder may write as anybody and to anybody.
    let origin = Origin {
        remote: None,
        greeting: "localhost".to_owned(),
        protocol: "LOCAL",
        tls: false,
        user: None,
        submission: false,
    };
    let mut envelope = Envelope { from, ..Envelope::default() };
    for to in to {
        let recipient = Recipient::new(parse(to)?);
        if let Err(reply) = office.knows(&recipient.address).await {
            return Err(wrong(to, reply.to_string()));
        }
        envelope.smtputf8 |= !recipient.address.is_ascii();
        envelope.recipients.push(recipient);
    }
    if !message.is_ascii() {
        envelope.body = doorway_mail::BodyType::EightBitMime;
    }
    let id = office.draw();
    let content = Content::Memory(vec![bytes::Bytes::copy_from_slice(message)]);
    let arrival = Arrival { id, at: now, origin, envelope, content };
    match office.submit(arrival).await {
        Ok(id) => Ok(json!({ "id": id.to_string() })),
        Err(reply) => Err(Failure::new("the message was not taken").why(reply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_way_over_the_socket() {
        let text = || "a b&c=d".to_owned();
        for request in [
            Postal::Queue { to: Some(text()), from: None, held: true, limit: 7 },
            Postal::Queued { id: text() },
            Postal::Change { action: Action::Hold, id: text() },
            Postal::Change { action: Action::Drop, id: text() },
            Postal::Trace { id: text() },
            Postal::List { user: text(), folder: "INBOX/a".into(), limit: 9 },
            Postal::Message { user: text(), folder: text(), uid: 3 },
            Postal::Folders { user: text() },
            Postal::Send { from: Some(text()), to: vec![text()], message: vec![0, 255, 10] },
            Postal::Names,
            Postal::Archive(Archival::Fsck { repair: true }),
            Postal::Archive(Archival::Export { user: text(), mbox: true, to: "/var/a b&c".into() }),
            Postal::Archive(Archival::Import { user: text(), from: "/var/a=b".into(), folder: text() }),
        ] {
            let (method, target, body) = request.to_http();
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let body = body.map(|body| body.to_string()).unwrap_or_default();
            let found = Postal::from_http(method, path, &Query::parse(query), body.as_bytes());
            assert_eq!(found.and_then(Result::ok), Some(request));
        }
        let relative = Postal::from_http("POST", "/v1/mail/export", &Query::parse("user=ann&to=here"), b"");
        assert!(matches!(relative, Some(Err(_))), "the server has another current folder");
        assert!(Postal::from_http("GET", "/v1/mailx", &Query::parse(""), b"").is_none());
    }
}
