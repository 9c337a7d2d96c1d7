//! The session of a request, for handlers that keep something about those who come: a cart, a login.

use doorway_base::UnixTime;
use doorway_net::web::{Bytes, Request};
use doorway_store::{Result, SessionSecret, SessionState};

use super::authenticator::Authenticator;
use crate::{csrf, session};

/// Somebody who has been here before.
#[derive(Debug, Clone)]
pub struct Visit {
    secret: SessionSecret,
    /// What is known of the session.
    pub state: SessionState,
}

impl Visit {
    /// The session that a request's cookie names, used now; `None` when there is none or it has ended.
    #[must_use]
    pub fn find(authenticator: &Authenticator, request: &Request, wall: UnixTime) -> Option<Self> {
        let secret = secret(request)?;
        authenticator.warn_of_open_session(request.secure);
        let state = authenticator.sessions().find(&secret, wall)?;
        Some(Self { secret, state })
    }

    /// Begins a session and gives the Set-Cookie that the response must carry; `tls` says whether the request came
    /// over TLS.
    ///
    /// # Errors
    /// [`doorway_store::Error::Limit`] for too many sessions or too long a value, or the store's.
    pub async fn begin(
        authenticator: &Authenticator,
        tls: bool,
        value: Bytes,
        wall: UnixTime,
    ) -> Result<(Self, String)> {
        authenticator.warn_of_open_session(tls);
        let secret = authenticator.sessions().begin(None, value.clone(), wall).await?;
        let state = SessionState { id: secret.id(), user: None, value, created: wall, used: wall };
        let cookie = session::set_cookie(&secret, tls);
        Ok((Self { secret, state }, cookie))
    }

    /// Gives the session the value that `change` makes of the one it has; false when it has ended meanwhile. Of
    /// several requests at once none loses what another has done.
    ///
    /// # Errors
    /// [`doorway_store::Error::Limit`] for too long a value, or the store's.
    pub async fn change(
        &mut self,
        authenticator: &Authenticator,
        wall: UnixTime,
        change: impl FnOnce(&Bytes) -> Bytes,
    ) -> Result<bool> {
        let value = &mut self.state.value;
        let change = |old: &Bytes| {
            let new = change(old);
            *value = new.clone();
            new
        };
        authenticator.sessions().change(&self.secret, wall, change).await
    }

    /// The token for forms on this session's pages.
    #[must_use]
    pub fn token(&self) -> String {
        csrf::token(&self.secret)
    }

    /// Whether a form was sent by a page of this session.
    #[must_use]
    pub fn sent(&self, request: &Request, token: Option<&str>) -> bool {
        came_from_here(request) && token.is_some_and(|token| csrf::is_token_of(&self.secret, token))
    }
}

/// The secret of the session that a request names, whether there is one or not.
pub(super) fn secret(request: &Request) -> Option<SessionSecret> {
    session::shown(cookies(request), request.secure)
}

/// The values of a request's Cookie fields.
pub(super) fn cookies(request: &Request) -> impl Iterator<Item = &[u8]> {
    request.fields.all("Cookie")
}

/// Whether a request that changes something was not sent by another site's page.
#[must_use]
pub fn came_from_here(request: &Request) -> bool {
    let field = |name| request.fields.first(name).map(str::as_bytes);
    let host = field("Host").unwrap_or(request.host.as_bytes());
    csrf::is_same_origin(field("Sec-Fetch-Site"), field("Origin"), host)
}
