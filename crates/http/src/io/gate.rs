//! Gates: paths that only some may enter. What a worker remembers decides at once; what it does not know is
//! found out off the worker, and then the request is shown again.

use core::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use doorway_net::World;

use super::authenticator::{Authenticator, UNAVAILABLE_SECONDS};
use super::batch::{Answer, Desk};
use super::server::Server;
use crate::Status;
use crate::auth::{Credentials, Demand, Person, Tag, Verdict};
use crate::cors::Cors;
use crate::csrf;
use crate::form;
use crate::session;
use crate::wire::{Method, RequestHead};

/// A demand, and who finds out whether somebody meets it.
#[derive(Debug)]
pub struct Gate {
    demand: Demand,
    authenticator: Arc<Authenticator>,
}

/// What a gate says about a request.
pub(super) enum Passage {
    /// Come in.
    Open(Arc<str>),
    /// It has to be found out who it is; then the request is to be shown again.
    Unknown(Box<Verification>),
    /// Not so.
    Shut(Shut),
}

/// Why a gate stays shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// Nothing was shown that could be looked at.
    NoCredentials,
    /// What was shown is wrong; whether it was a bearer's token.
    Denied { token: bool },
    /// Too many guesses; try again after so many seconds.
    Limited(u64),
    /// It could not be found out.
    Unavailable,
    /// A user, but not one of those who may come in.
    Forbidden,
    /// A password would go over an open connection.
    Cleartext,
    /// Another site's page sent it.
    CrossSite,
}

/// Something to find out about a client, off the worker.
pub(super) struct Verification {
    authenticator: Arc<Authenticator>,
    tag: Tag,
    shown: Shown,
    remote: IpAddr,
    generation: u64,
}

enum Shown {
    Credentials(Credentials),
    /// The user of a session.
    User(String),
}

impl Gate {
    /// A gate with this demand.
    #[must_use]
    pub const fn new(demand: Demand, authenticator: Arc<Authenticator>) -> Self {
        Self { demand, authenticator }
    }

    /// What it demands.
    #[must_use]
    pub const fn demand(&self) -> &Demand {
        &self.demand
    }
}

impl Verification {
    /// Finds it out and lets the worker remember it.
    pub(super) async fn run(self, server: &Server, world: &World) {
        let Self { authenticator, tag, shown, remote, generation } = self;
        let verdict = match shown {
            Shown::Credentials(Credentials { name, password, .. }) => {
                authenticator.login(&name, &password, remote, world.now(), world.wall()).await
            }
            Shown::User(name) => authenticator.person(&name).await,
        };
        server.worker().verdicts.remember(tag, verdict, generation, world.now());
    }
}

impl Desk<'_> {
    /// Asks a gate about a request. Nothing is answered here. `cors` says which other origins' pages may act for
    /// a person.
    pub(super) fn passage(&mut self, gate: &Gate, cors: Option<&Cors>, head: &RequestHead<'_>) -> Passage {
        let Gate { demand, authenticator } = gate;
        let (tls, remote) = (self.watching.is_tls(), self.watching.pulse().ends().remote.ip());
        let passwords = demand.ways.basic || demand.ways.bearer;
        let field = head.fields.first(b"Authorization").filter(|_| passwords);
        let credentials = field.and_then(Credentials::parse).filter(|credentials| match credentials.bearer {
            true => demand.ways.bearer,
            false => demand.ways.basic,
        });
        let session = session::shown(head.fields.all(b"Cookie"), tls).filter(|_| demand.ways.form);
        let (shown, token) = match (credentials, session) {
            (Some(credentials), _) => {
                if !authenticator.takes_passwords(tls, remote) {
                    authenticator.tally().cleartext.fetch_add(1, Relaxed);
                    return Passage::Shut(Shut::Cleartext);
                }
                let token = credentials.bearer;
                (Shown::Credentials(credentials), token)
            }
            (None, Some(secret)) => {
                let found = authenticator.sessions().find(&secret, self.dates.wall());
                match found.and_then(|state| state.user) {
                    Some(user) => (Shown::User(user), false),
                    None => return Passage::Shut(Shut::NoCredentials),
                }
            }
            (None, None) if field.is_some() => return Passage::Shut(Shut::Denied { token: false }),
            // Nobody is asked for a password that must not be sent.
            (None, None) if !authenticator.takes_passwords(tls, remote) => {
                return Passage::Shut(Shut::Cleartext);
            }
            (None, None) => return Passage::Shut(Shut::NoCredentials),
        };
        // Browsers send sessions and Basic along whoever made them ask; a token is put in by a program.
        let invited =
            || head.fields.first(b"Origin").zip(cors).is_some_and(|(origin, cors)| cors.lets_act(origin));
        if !token && !is_safe(head.method) && !same_origin(head) && !invited() {
            authenticator.tally().cross_site.fetch_add(1, Relaxed);
            return Passage::Shut(Shut::CrossSite);
        }
        let tag = match &shown {
            Shown::Credentials(Credentials { name, password, .. }) => {
                self.verdicts.tag(&[b"password", name.as_bytes(), password.as_bytes()])
            }
            Shown::User(name) => self.verdicts.tag(&[b"user", name.as_bytes()]),
        };
        let generation = authenticator.generation();
        match self.verdicts.find(&tag, generation, self.now) {
            Some(Verdict::Person(person)) if demand.admits(person) => {
                let Person { name, .. } = person;
                Passage::Open(Arc::clone(name))
            }
            Some(Verdict::Person(_)) => Passage::Shut(Shut::Forbidden),
            Some(Verdict::Denied) => Passage::Shut(Shut::Denied { token }),
            Some(Verdict::Limited(seconds)) => Passage::Shut(Shut::Limited(*seconds)),
            Some(Verdict::Unavailable) => Passage::Shut(Shut::Unavailable),
            None => {
                let authenticator = Arc::clone(authenticator);
                Passage::Unknown(Box::new(Verification { authenticator, tag, shown, remote, generation }))
            }
        }
    }

    /// Answers a request that may not come in.
    #[cold]
    pub(super) fn turn_away(&mut self, gate: &Gate, answer: &Answer<'_, '_>, shut: Shut) {
        let Gate { demand, authenticator } = gate;
        let head = answer.head;
        match shut {
            Shut::NoCredentials | Shut::Denied { .. } => {
                let by_form = demand.ways.form && (demand.challenge(false).is_none() || wants_page(head));
                if by_form && matches!(head.method, Method::Get | Method::Head) {
                    let to = String::from_utf8_lossy(head.target_octets);
                    let query = form::encode([("to", &*to)]);
                    let location = format!("{}?{query}", authenticator.config().path);
                    self.status(answer, Status::SEE_OTHER, Some(("Location", &location)));
                    return;
                }
                match demand.challenge(shut == Shut::Denied { token: true }) {
                    Some(challenge) => {
                        self.status(answer, Status::UNAUTHORIZED, Some(("WWW-Authenticate", &challenge)));
                    }
                    None => self.explain(answer, Status::FORBIDDEN, "log in first"),
                }
            }
            Shut::Limited(seconds) => {
                let after = seconds.to_string();
                self.status(answer, Status::TOO_MANY_REQUESTS, Some(("Retry-After", &after)));
            }
            Shut::Unavailable => {
                let after = UNAVAILABLE_SECONDS.to_string();
                self.status(answer, Status::SERVICE_UNAVAILABLE, Some(("Retry-After", &after)));
            }
            Shut::Forbidden => self.status(answer, Status::FORBIDDEN, None),
            Shut::Cleartext => {
                let reason = "passwords are not taken over a connection without TLS (config key `http.login.cleartext`)";
                self.explain(answer, Status::FORBIDDEN, reason);
            }
            Shut::CrossSite => {
                self.explain(answer, Status::FORBIDDEN, "another site's page sent this");
            }
        }
    }
}

const fn is_safe(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace)
}

fn same_origin(head: &RequestHead<'_>) -> bool {
    csrf::is_same_origin(head.fields.first(b"Sec-Fetch-Site"), head.fields.first(b"Origin"), head.host)
}

/// Whether a person waits for a page, and not a program for an answer.
fn wants_page(head: &RequestHead<'_>) -> bool {
    head.fields
        .all(b"Accept")
        .any(|field| field.windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html")))
}
