//! What can be asked about users. The same request is carried out by a command that holds the store
//! and by the running server on behalf of one, with the same answer in JSON.

use std::time::Duration;

use doorway_base::UnixTime;
use doorway_store::{AppPassword, Role, User, UserError, UserState, Users};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;
use crate::percent::{escape, unescape};
use crate::storage;

/// Longest request body over the control socket, in octets.
pub(crate) const BODY_OCTETS_MAX: usize = 16 * 1024;
/// Where users stand on the control socket.
const PATH: &str = "/v1/users";

/// One request about users.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Accounts {
    /// Add a user.
    Add {
        /// Login name.
        name: String,
        /// What they may do.
        roles: Vec<String>,
        /// Their password.
        password: String,
    },
    /// Give a user a new password.
    SetPassword {
        /// Login name.
        name: String,
        /// The new password.
        password: String,
    },
    /// Make an app password.
    AddAppPassword {
        /// Login name.
        name: String,
        /// What it is for.
        label: String,
        /// Protocols it opens; all when there is none.
        protocols: Vec<String>,
        /// How many seconds it lasts; without end when `None`.
        seconds: Option<u64>,
    },
    /// The app passwords of a user.
    AppPasswords {
        /// Login name.
        name: String,
    },
    /// Remove an app password.
    RemoveAppPassword {
        /// Login name.
        name: String,
        /// Its id.
        id: String,
    },
    /// All users.
    List,
    /// Remove a user.
    Remove {
        /// Login name.
        name: String,
    },
}

impl Accounts {
    /// Method, target and body that carry the request over the control socket. Names need no escape:
    /// one that would is refused by the store.
    pub(crate) fn to_http(&self) -> (&'static str, String, Option<Value>) {
        match self {
            Self::Add { name, roles, password } => {
                let body = json!({ "name": name, "roles": roles, "password": password });
                ("POST", PATH.to_owned(), Some(body))
            }
            Self::SetPassword { name, password } => {
                ("PUT", format!("{PATH}/{}/password", escape(name)), Some(json!({ "password": password })))
            }
            Self::AddAppPassword { name, label, protocols, seconds } => {
                let body = json!({ "label": label, "protocols": protocols, "seconds": seconds });
                ("POST", format!("{PATH}/{}/app-passwords", escape(name)), Some(body))
            }
            Self::AppPasswords { name } => ("GET", format!("{PATH}/{}/app-passwords", escape(name)), None),
            Self::RemoveAppPassword { name, id } => {
                ("DELETE", format!("{PATH}/{}/app-passwords/{}", escape(name), escape(id)), None)
            }
            Self::List => ("GET", PATH.to_owned(), None),
            Self::Remove { name } => ("DELETE", format!("{PATH}/{}", escape(name)), None),
        }
    }

    /// The request that method, path and body stand for; `None` when the path is about something else.
    pub(crate) fn from_http(method: &str, path: &str, body: &[u8]) -> Option<Result<Self, Failure>> {
        let rest = path.strip_prefix(PATH)?;
        let segments: Vec<String> = rest.split('/').skip(1).map(unescape).collect();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        let document = || {
            serde_json::from_slice::<Value>(body)
                .map_err(|error| Failure::new("the body is not JSON").why(error).exit(Exit::Wrong))
        };
        let field = |document: &Value, name: &str| {
            let missing = || Failure::new(format!("the body has no text `{name}`")).exit(Exit::Wrong);
            document[name].as_str().map(str::to_owned).ok_or_else(missing)
        };
        Some(match (method, names.as_slice()) {
            ("GET", []) => Ok(Self::List),
            ("POST", []) => document().and_then(|document| {
                let roles = document["roles"].as_array().into_iter().flatten();
                Ok(Self::Add {
                    name: field(&document, "name")?,
                    roles: roles.filter_map(Value::as_str).map(str::to_owned).collect(),
                    password: field(&document, "password")?,
                })
            }),
            ("PUT", [name, "password"]) => document().and_then(|document| {
                Ok(Self::SetPassword { name: (*name).to_owned(), password: field(&document, "password")? })
            }),
            ("POST", [name, "app-passwords"]) => document().and_then(|document| {
                let protocols = document["protocols"].as_array().into_iter().flatten();
                Ok(Self::AddAppPassword {
                    name: (*name).to_owned(),
                    label: field(&document, "label")?,
                    protocols: protocols.filter_map(Value::as_str).map(str::to_owned).collect(),
                    seconds: document["seconds"].as_u64(),
                })
            }),
            ("GET", [name, "app-passwords"]) => Ok(Self::AppPasswords { name: (*name).to_owned() }),
            ("DELETE", [name, "app-passwords", id]) => {
                Ok(Self::RemoveAppPassword { name: (*name).to_owned(), id: (*id).to_owned() })
            }
            ("DELETE", [name]) => Ok(Self::Remove { name: (*name).to_owned() }),
            _ => return None,
        })
    }

    /// Whose sessions end with the request: whoever has another password, or is gone, is logged out.
    pub(crate) fn logs_out(&self) -> Option<String> {
        match self {
            Self::SetPassword { name, .. } | Self::Remove { name } => Some(name.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// The user who will be gone with the request.
    ///
    /// # Errors
    /// When the store has trouble.
    pub(crate) async fn removes(&self, users: &Users) -> Result<Option<User>, Failure> {
        match self {
            Self::Remove { name } => {
                let found = users.user(name).await;
                found.map_err(|error| storage::failure("cannot read the user list", error))
            }
            _ => Ok(None),
        }
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// [`Exit::Wrong`] when the request makes no sense, [`Exit::Failed`] when the store has trouble.
    pub(crate) async fn run(&self, users: &Users, now: UnixTime) -> Result<Value, Failure> {
        let told = |name: &str, error: UserError| failure(name, &error);
        match self {
            Self::Add { name, roles, password } => {
                let roles = parse_roles(roles)?;
                let added = users.add(name, "", &roles, Some(password), now).await;
                added.map(|user| document(&user)).map_err(|error| told(name, error))
            }
            Self::SetPassword { name, password } => {
                let changed = users.set_password(name, password, now).await;
                changed.map(|user| document(&user)).map_err(|error| told(name, error))
            }
            Self::AddAppPassword { name, label, protocols, seconds } => {
                let protocols: Vec<&str> = protocols.iter().map(String::as_str).collect();
                let ends = seconds.map(|seconds| now + Duration::from_secs(seconds));
                let secret = users.add_app_password(name, label, &protocols, ends, now).await;
                let secret = secret.map_err(|error| told(name, error))?;
                // A bearer's token says whose it is, in front of the last full stop.
                let token = format!("{}.{secret}", name.to_ascii_lowercase());
                Ok(json!({ "name": name, "app_password": secret, "token": token }))
            }
            Self::AppPasswords { name } => {
                let list = users.app_passwords(name).await;
                let list = list.map_err(|error| storage::failure("cannot list the app passwords", error))?;
                Ok(json!({ "app_passwords": list.iter().map(app_document).collect::<Vec<_>>() }))
            }
            Self::RemoveAppPassword { name, id } => {
                let removed = users.remove_app_password(name, id).await;
                removed.map_err(|error| match error {
                    UserError::NoSuchUser => Failure::new(format!("`{name}` has no app password `{id}`"))
                        .fix(format!("`doorway user app-password list {name}` lists them"))
                        .exit(Exit::Wrong),
                    error => told(name, error),
                })?;
                Ok(json!({ "removed": id }))
            }
            Self::List => {
                let list = users.list().await;
                let list = list.map_err(|error| storage::failure("cannot list the users", error))?;
                Ok(json!({ "users": list.iter().map(document).collect::<Vec<_>>() }))
            }
            Self::Remove { name } => {
                users.remove(name).await.map_err(|error| told(name, error))?;
                Ok(json!({ "removed": name }))
            }
        }
    }
}

/// Adds the user `admin` when there is no user at all, and returns the password that was made.
///
/// # Errors
/// When the store has trouble.
pub(crate) async fn first_admin(users: &Users, now: UnixTime) -> Result<Option<String>, Failure> {
    let list = users.list().await.map_err(|error| storage::failure("cannot list the users", error))?;
    if !list.is_empty() {
        return Ok(None);
    }
    let password = first_run::password();
    let added = users.add("admin", "", &[Role::Admin], Some(&password), now).await;
    added.map_err(|error| failure("admin", &error))?;
    Ok(Some(password))
}

fn parse_roles(roles: &[String]) -> Result<Vec<Role>, Failure> {
    let parse = |role: &String| {
        let wrong = || Failure::new(format!("there is no role `{role}`")).exit(Exit::Wrong);
        let known = Role::ALL.map(Role::name).join(", ");
        role.parse().map_err(|_| wrong().fix(format!("the roles are {known}")))
    };
    roles.iter().map(parse).collect()
}

fn document(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "roles": user.roles.iter().map(|role| role.name()).collect::<Vec<_>>(),
        "active": user.state == UserState::Active,
        "created": user.created.to_string(),
        "changed": user.changed.to_string(),
    })
}

fn app_document(password: &AppPassword) -> Value {
    let time = |time: Option<UnixTime>| time.map(|time| time.to_string());
    json!({
        "id": password.id,
        "label": password.label,
        "protocols": password.protocols,
        "created": password.created.to_string(),
        "expires": time(password.expires),
        "last_use": time(password.last_use),
    })
}

fn failure(name: &str, error: &UserError) -> Failure {
    let (what, fix) = match error {
        UserError::Exists => {
            (format!("there is a user `{name}` already"), format!("`doorway user passwd {name}` changes the password"))
        }
        UserError::NoSuchUser => (format!("there is no user `{name}`"), "`doorway user list` lists them".to_owned()),
        UserError::Name(_) => (
            format!("`{name}` cannot be a user name"),
            "use letters, digits, and `.`, `_`, `-` between them".to_owned(),
        ),
        UserError::PasswordTooShort(min) => (
            format!("the password is shorter than {min} characters"),
            "take a longer one, or leave --password-stdin out and one is made (config key `auth.password_min`)"
                .to_owned(),
        ),
        UserError::Store(error) => return storage::failure("cannot change the users", error.clone()),
        other => (other.to_string(), String::new()),
    };
    Failure::new(what).fix(fix).exit(Exit::Wrong)
}
