//! What can be asked about sessions. The same request is carried out by a command that holds the store and by
//! the running server on behalf of one, with the same answer in JSON.

use doorway_base::UnixTime;
use doorway_store::{SessionState, Sessions};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::percent::{escape, unescape};
use crate::storage;

/// Where sessions stand on the control socket.
const PATH: &str = "/v1/sessions";
/// Where those of one user do.
const OF_USER: &str = "/v1/sessions/user/";

/// One request about sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visitors {
    /// The sessions that have not ended, of one user or of all.
    List {
        /// Whose.
        user: Option<String>,
    },
    /// End one session.
    Revoke {
        /// Its name, as the list shows it.
        id: String,
    },
    /// End every session of a user.
    RevokeUser {
        /// Whose.
        user: String,
    },
}

impl Visitors {
    /// Method and target that carry the request over the control socket.
    pub(crate) fn to_http(&self) -> (&'static str, String) {
        match self {
            Self::List { user: None } => ("GET", PATH.to_owned()),
            Self::List { user: Some(user) } => ("GET", format!("{OF_USER}{}", escape(user))),
            Self::Revoke { id } => ("DELETE", format!("{PATH}/{}", escape(id))),
            Self::RevokeUser { user } => ("DELETE", format!("{OF_USER}{}", escape(user))),
        }
    }

    /// The request that method and path stand for; `None` when the path is about something else.
    pub(crate) fn from_http(method: &str, path: &str) -> Option<Self> {
        let user = path.strip_prefix(OF_USER).map(unescape);
        let id = path.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/')).map(unescape);
        match (method, user, id) {
            ("GET", Some(user), _) => Some(Self::List { user: Some(user) }),
            ("DELETE", Some(user), _) => Some(Self::RevokeUser { user }),
            ("DELETE", None, Some(id)) => Some(Self::Revoke { id }),
            ("GET", None, None) if path == PATH => Some(Self::List { user: None }),
            _ => None,
        }
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// [`Exit::Wrong`] when there is no such session, [`Exit::Failed`] when the store has trouble.
    pub(crate) async fn run(&self, sessions: &Sessions, now: UnixTime) -> Result<Value, Failure> {
        let told = |error| storage::failure("cannot end the session", error);
        match self {
            Self::List { user } => {
                let mut list = sessions.list(user.as_deref(), now);
                list.sort_by_key(|state| std::cmp::Reverse(state.used));
                Ok(json!({ "sessions": list.iter().map(document).collect::<Vec<_>>() }))
            }
            Self::Revoke { id } => {
                let list = sessions.list(None, now);
                let Some(state) = list.iter().find(|state| state.id.to_string() == *id) else {
                    return Err(Failure::new(format!("there is no session `{id}`"))
                        .fix("`doorway session list` lists them")
                        .exit(Exit::Wrong));
                };
                sessions.revoke(&state.id).await.map_err(told)?;
                Ok(json!({ "revoked": 1 }))
            }
            Self::RevokeUser { user } => {
                let revoked = sessions.revoke_user(user, now).await.map_err(told)?;
                Ok(json!({ "revoked": revoked }))
            }
        }
    }
}

fn document(state: &SessionState) -> Value {
    json!({
        "id": state.id.to_string(),
        "user": state.user,
        "created": state.created.to_string(),
        "used": state.used.to_string(),
        "octets": state.value.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_way_over_the_socket() {
        let user = || "ann/x".to_owned();
        for request in [
            Visitors::List { user: None },
            Visitors::List { user: Some(user()) },
            Visitors::Revoke { id: "0011".to_owned() },
            Visitors::RevokeUser { user: user() },
        ] {
            let (method, target) = request.to_http();
            assert_eq!(Visitors::from_http(method, &target), Some(request));
        }
        assert_eq!(Visitors::from_http("GET", "/v1/sessionsx"), None);
        assert_eq!(Visitors::from_http("POST", PATH), None);
    }
}
