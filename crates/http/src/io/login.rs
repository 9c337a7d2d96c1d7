//! The login page: a form, a session after it, and the way back to where one came from.
//!
//! The form's token is bound to a cookie that lasts as long as the page may stay open, so that nobody can log a
//! stranger's browser in to an account of their own. The session that was there before gets another secret, and
//! the old one opens nothing from then on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorway_base::{Random, UnixTime};
use doorway_net::web::{Body, Handler, Request, Response, Taking};
use doorway_net::{BoxFuture, World};
use doorway_store::SessionSecret;

use super::authenticator::{Authenticator, UNAVAILABLE_SECONDS};
use super::visit::{Visit, came_from_here, cookies, secret};
use crate::auth::Verdict;
use crate::cookie::{self, SameSite, SetCookie};
use crate::form::{FormLimits, Urlencoded};
use crate::security::{escape_html, local_target, own_page};
use crate::{csrf, session};

/// Longest form that is read, in octets.
const FORM_OCTETS_MAX: usize = 16 * 1024;
/// How long the page may stay open before its form is sent.
const PAGE_TIME: Duration = Duration::from_secs(60 * 60);
const STYLE: &str = include_str!("login.css");

/// Answers at `http.login.path` and below it.
pub struct Login {
    world: World,
    authenticator: Arc<Authenticator>,
    /// Where the cookies of pages come from.
    random: Mutex<Random>,
}

/// What a page says above its form.
enum Notice {
    None,
    Wrong,
    Stale,
    Limited(u64),
    Unavailable,
}

impl Notice {
    fn status(&self) -> u16 {
        match self {
            Self::None => 200,
            Self::Wrong | Self::Stale => 403,
            Self::Limited(_) => 429,
            Self::Unavailable => 503,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Wrong => "The name or the password is wrong.".to_owned(),
            Self::Stale => {
                "This page was open for too long, or cookies are off. Please try again.".to_owned()
            }
            Self::Limited(seconds) => format!("Too many tries. Please wait {seconds} seconds."),
            Self::Unavailable => "That did not work just now. Please try again.".to_owned(),
        }
    }
}

impl Login {
    /// The pages for logins that `authenticator` checks.
    #[must_use]
    pub fn new(world: &World, authenticator: Arc<Authenticator>) -> Self {
        Self { world: world.clone(), authenticator, random: Mutex::new(world.random()) }
    }

    async fn answer(&self, request: Request) -> Response {
        let below = request.path.strip_prefix(self.authenticator.config().path.as_str()).unwrap_or_default();
        match (request.method.as_str(), below) {
            ("GET" | "HEAD", "/style.css") => {
                Response::new(200, "text/css; charset=utf-8", STYLE).with("Cache-Control", "max-age=3600")
            }
            ("GET" | "HEAD", "") => self.page(&request),
            ("POST", "") => self.log_in(request).await,
            ("POST", "/out") => self.log_out(request).await,
            (_, "" | "/out" | "/style.css") => {
                let allowed = match below {
                    "" => "GET, HEAD, POST",
                    "/out" => "POST",
                    _ => "GET, HEAD",
                };
                Response::new(405, "text/plain; charset=utf-8", "405 Method Not Allowed\n")
                    .with("Allow", allowed)
            }
            _ => Response::new(404, "text/plain; charset=utf-8", "404 Not Found\n"),
        }
    }

    /// The form, or who is logged in.
    fn page(&self, request: &Request) -> Response {
        let fields =
            Urlencoded::parse(request.query.as_deref().unwrap_or_default().as_bytes(), FormLimits::default());
        let fields = fields.unwrap_or_default();
        if let Some(visit) = Visit::find(&self.authenticator, request, self.world.wall())
            && let Some(user) = &visit.state.user
        {
            let path = &self.authenticator.config().path;
            let (user, token) = (escape_html(user), visit.token());
            let text = format!(
                "<h1>Hello, {user}</h1>\n<p>You are logged in.</p>\n<form method=\"post\" action=\"{path}/out\">\n\
                 <input type=\"hidden\" name=\"token\" value=\"{token}\">\n<button>Log out</button>\n</form>"
            );
            return self.html(200, "Logged in", &text);
        }
        self.form(request, local_target(field(&fields, "to").unwrap_or("/")), "", &Notice::None)
    }

    fn form(&self, request: &Request, to: &str, user: &str, notice: &Notice) -> Response {
        if !self.authenticator.takes_passwords(request.secure, request.remote.ip()) {
            let text = "<h1>Not over this connection</h1>\n<p>Passwords are taken over TLS alone. \
                        Ask for this page with https.</p>";
            return self.html(403, "Not over this connection", text);
        }
        let mut octets = [0; 16];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut octets);
        let page: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let token = SessionSecret::parse(&page).map(|secret| csrf::token(&secret)).unwrap_or_default();
        let said = notice.text();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!("<p class=\"wrong\" role=\"alert\">{said}</p>\n")
        };
        let (to, user) = (escape_html(to), escape_html(user));
        let path = &self.authenticator.config().path;
        let text = format!(
            "<h1>Log in</h1>\n<p>to {host}</p>\n{said}<form method=\"post\" action=\"{path}\">\n\
             <input type=\"hidden\" name=\"to\" value=\"{to}\">\n\
             <input type=\"hidden\" name=\"token\" value=\"{token}\">\n\
             <label>Name <input name=\"user\" value=\"{user}\" autocomplete=\"username\" autocapitalize=\"none\" \
             spellcheck=\"false\" required{first}></label>\n\
             <label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required{second}></label>\n\
             <button>Log in</button>\n</form>",
            host = escape_html(&request.host),
            first = if user.is_empty() { " autofocus" } else { "" },
            second = if user.is_empty() { "" } else { " autofocus" },
        );
        let response = self.html(notice.status(), "Log in", &text);
        let response = response.with("Set-Cookie", &page_cookie(&page, request.secure, PAGE_TIME));
        match notice {
            Notice::Limited(seconds) => response.with("Retry-After", &seconds.to_string()),
            Notice::Unavailable => response.with("Retry-After", &UNAVAILABLE_SECONDS.to_string()),
            _ => response,
        }
    }

    async fn log_in(&self, mut request: Request) -> Response {
        let Some(fields) = read(&mut request).await else { return bad_form() };
        let text = |name| field(&fields, name).unwrap_or_default();
        let (user, to) = (text("user"), local_target(text("to")));
        let page = cookie::value(cookies(&request), page_cookie_name(request.secure));
        let page = page.and_then(|page| SessionSecret::parse(std::str::from_utf8(page).ok()?));
        if !came_from_here(&request) || !page.is_some_and(|page| csrf::is_token_of(&page, text("token"))) {
            return self.form(&request, to, user, &Notice::Stale);
        }
        if !self.authenticator.takes_passwords(request.secure, request.remote.ip()) {
            return self.form(&request, to, user, &Notice::None);
        }
        let (now, wall) = (self.world.now(), self.world.wall());
        match self.authenticator.login(user, text("password"), request.remote.ip(), now, wall).await {
            Verdict::Person(person) => self.begin(request, &person.name, to, wall).await,
            Verdict::Denied => self.form(&request, to, user, &Notice::Wrong),
            Verdict::Limited(seconds) => self.form(&request, to, user, &Notice::Limited(seconds)),
            Verdict::Unavailable => self.form(&request, to, user, &Notice::Unavailable),
        }
    }

    async fn begin(&self, request: Request, user: &str, to: &str, wall: UnixTime) -> Response {
        self.authenticator.warn_of_open_session(request.secure);
        let old = secret(&request);
        match self.authenticator.sessions().rotate(old.as_ref(), Some(user), wall).await {
            Ok(secret) => go_to(to)
                .with("Set-Cookie", &session::set_cookie(&secret, request.secure))
                .with("Set-Cookie", &page_cookie("", request.secure, Duration::ZERO)),
            Err(error) => {
                tracing::warn!(%error, user, "a session could not begin");
                self.form(&request, to, user, &Notice::Unavailable)
            }
        }
    }

    async fn log_out(&self, mut request: Request) -> Response {
        let Some(fields) = read(&mut request).await else { return bad_form() };
        if let Some(visit) = Visit::find(&self.authenticator, &request, self.world.wall()) {
            if !visit.sent(&request, field(&fields, "token")) {
                return self.html(
                    403,
                    "Not logged out",
                    "<h1>Not logged out</h1>\n<p>Another page sent this.</p>",
                );
            }
            if let Err(error) = self.authenticator.sessions().revoke(&visit.state.id).await {
                tracing::warn!(%error, "the end of a session could not be written");
            }
        }
        let to = local_target(field(&fields, "to").unwrap_or("/"));
        go_to(to).with("Set-Cookie", &session::clear_cookie(request.secure))
    }

    fn html(&self, status: u16, title: &str, text: &str) -> Response {
        let path = &self.authenticator.config().path;
        let page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"{path}/style.css\"><link rel=\"icon\" href=\"data:,\">\n<main>\n{text}\n</main>\n</html>\n"
        );
        own_page(Response::new(status, "text/html; charset=utf-8", page), false)
    }
}

impl Handler for Login {
    fn taking(&self, _: &str, _: &str) -> Taking {
        Taking::Whole { octets_max: FORM_OCTETS_MAX }
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }
}

/// The fields of a form that was sent; `None` when it is none.
async fn read(request: &mut Request) -> Option<Vec<(String, String)>> {
    let media_type = request.fields.first("Content-Type")?.split(';').next()?.trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let octets = std::mem::take(&mut request.body).read(FORM_OCTETS_MAX).await.ok()?;
    Urlencoded::parse(&octets, FormLimits::default()).ok()
}

fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn bad_form() -> Response {
    own_page(Response::new(400, "text/plain; charset=utf-8", "400 Bad Request: this is no form\n"), false)
}

fn go_to(to: &str) -> Response {
    let response = Response { status: 303, body: Body::Empty, ..Response::default() };
    response.with("Location", to).with("Cache-Control", "no-store")
}

const fn page_cookie_name(tls: bool) -> &'static str {
    if tls { "__Host-login" } else { "login" }
}

fn page_cookie(value: &str, tls: bool, lasts: Duration) -> String {
    let cookie = SetCookie {
        secure: tls,
        max_age: Some(lasts),
        same_site: Some(SameSite::Strict),
        ..SetCookie::new(page_cookie_name(tls), value)
    };
    cookie.write().expect("name, value and attributes are our own")
}
