//! `[[http.site.route]]`: one path of a site, answered in a way of its own.

use std::path::PathBuf;
use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Values};

/// Methods that a route can be bound to.
const METHODS: Kind = Kind::Choice(&["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);

/// The keys of one `[[http.site.route]]`.
pub(super) const ROUTE_KEYS: &[Key] = &[
    Key {
        name: "path",
        kind: Kind::Text,
        default: Preset::Required,
        help: "Which paths: \"/api\" and all below it, or a pattern such as \"/*/feed.xml\", in which `*` \
               stands for anything but a slash, `**` for anything, and a final `/*` for all that is below.",
    },
    Key {
        name: "root",
        kind: Kind::Path,
        default: Preset::Unset,
        help: "A folder in which what follows `path` is looked up.",
    },
    Key {
        name: "redirect",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "Where to send the client instead: a path or a URL. A final `*` stands for what follows `path` in \
               the request; the query goes along.",
    },
    Key {
        name: "respond",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The text to answer with; empty for the status alone.",
    },
    Key {
        name: "mount",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The name of a part of Doorway that answers.",
    },
    Key {
        name: "proxy",
        kind: Kind::List(&Kind::Text),
        default: Preset::Unset,
        help: "Who is asked instead: the name of an upstream, or servers as an upstream has them, such as \
               \"http://10.0.0.5:8080\".",
    },
    Key {
        name: "buffering",
        kind: Kind::Choice(&["stream", "buffer"]),
        default: Preset::Text("stream"),
        help: "How the content of a request gets to the server of `proxy`: as it comes, or once it is all here, up \
               to 1MiB, so that slow clients keep no server waiting.",
    },
    Key {
        name: "cache",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The name of the cache that keeps what `proxy` brings; unset for none.",
    },
    Key {
        name: "status",
        kind: Kind::Integer { min: 200, max: 599, unit: "" },
        default: Preset::Unset,
        help: "The status of `redirect` (301, 302, 303, 307 or 308; else 302) or of `respond` (else 200).",
    },
    Key {
        name: "methods",
        kind: Kind::List(&METHODS),
        default: Preset::List(&[]),
        help: "Methods that are let through; the others get 405. Empty for all that the route can answer.",
    },
    Key {
        name: "body_octets_max",
        kind: Kind::Size { min: 0, max: 1 << 40 },
        default: Preset::Unset,
        help: "Longest request body, where that is to be less than `http.body_octets_max`.",
    },
    Key {
        name: "fields",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Fields of every response beside those of the site; \"-Server\" leaves one out.",
    },
    Key {
        name: "auth",
        kind: Kind::List(&Kind::Text),
        default: Preset::Unset,
        help: "Users and @roles who are let in, instead of those of the site; an empty list for everybody.",
    },
    Key {
        name: "login",
        kind: Kind::List(&Kind::Text),
        default: Preset::Unset,
        help: "How they log in, where that is otherwise than on the site.",
    },
    Key {
        name: "realm",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "What the login is for, where that is another than the site's.",
    },
    Key {
        name: "cors_origins",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Origins whose pages may use it, such as \"https://app.example.org\", or \"*\" for all.",
    },
    Key {
        name: "cors_methods",
        kind: Kind::List(&METHODS),
        default: Preset::List(&["GET", "HEAD", "POST"]),
        help: "Methods that pages of those origins may use.",
    },
    Key {
        name: "cors_fields",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Request fields that pages of those origins may set, such as \"Content-Type\".",
    },
    Key {
        name: "cors_credentials",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Whether cookies and logins of the client go along with requests of those pages.",
    },
    Key {
        name: "cors_max_age",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(86_400) },
        default: Preset::Text("10m"),
        help: "How long a client may remember what it was allowed.",
    },
];

/// What the operator says about one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// A prefix of whole segments, or a pattern.
    pub path: String,
    /// What answers.
    pub does: RouteDoes,
    /// Methods that are let through; none for all that it can answer.
    pub methods: Vec<String>,
    /// Longest request body in octets, where that is less than the server's.
    pub body_octets_max: Option<u64>,
    /// Fields to add as `Name: value`, and to leave out as `-Name`.
    pub fields: Vec<String>,
    /// Who is let in; `None` for those of the site, empty for everybody.
    pub auth: Option<Vec<String>>,
    /// How they log in; `None` as on the site.
    pub login: Option<Vec<String>>,
    /// What the login is for.
    pub realm: Option<String>,
    /// Who may use it from pages of other origins.
    pub cors: Option<CorsConfig>,
}

/// What answers on a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteDoes {
    /// The site's own files.
    Site,
    /// The files of this folder.
    Root(PathBuf),
    /// Another place, with this status.
    Redirect {
        /// Path or URL; a final `*` is what follows the route's path.
        to: String,
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
    /// This text.
    Respond {
        /// The content; empty for the status alone.
        text: String,
        /// 200 to 599.
        status: u16,
    },
    /// The part of the program with this name.
    Mount(String),
    /// Another server.
    Proxy(ProxyConfig),
}

/// Whom a route hands requests on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// The name of an upstream, or servers.
    pub to: Vec<String>,
    /// The name of the cache that keeps what they bring.
    pub cache: Option<String>,
    /// Whether short content is collected before a server is asked.
    pub buffers: bool,
}

/// Who may use a route from pages of other origins (Fetch Standard §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsConfig {
    /// Origins; `*` for all.
    pub origins: Vec<String>,
    /// Methods.
    pub methods: Vec<String>,
    /// Request fields.
    pub fields: Vec<String>,
    /// Whether cookies and logins go along.
    pub credentials: bool,
    /// How long it may be remembered.
    pub max_age: Duration,
}

impl RouteConfig {
    /// A route of which nothing else is written.
    #[must_use]
    pub fn plain(path: &str, does: RouteDoes) -> Self {
        Self {
            path: path.to_owned(),
            does,
            methods: Vec::new(),
            body_octets_max: None,
            fields: Vec::new(),
            auth: None,
            login: None,
            realm: None,
            cors: None,
        }
    }

    /// The values of one table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let texts = |name: &str| values.texts(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let text = |name: &str| values.optional(name, Values::text).map(str::to_owned);
        let status = values.optional("status", Values::integer).and_then(|status| u16::try_from(status).ok());
        let does = if let Some(to) = text("redirect") {
            RouteDoes::Redirect { to, status: status.unwrap_or(302) }
        } else if let Some(root) = values.optional("root", Values::path) {
            RouteDoes::Root(root.to_owned())
        } else if let Some(name) = text("mount") {
            RouteDoes::Mount(name)
        } else if values.value("proxy").is_some() {
            RouteDoes::Proxy(ProxyConfig {
                to: texts("proxy"),
                cache: text("cache"),
                buffers: values.text("buffering") == "buffer",
            })
        } else {
            match (text("respond"), status) {
                (None, None) => RouteDoes::Site,
                (respond, status) => {
                    RouteDoes::Respond { text: respond.unwrap_or_default(), status: status.unwrap_or(200) }
                }
            }
        };
        let origins = texts("cors_origins");
        Self {
            path: values.text("path").to_owned(),
            does,
            methods: texts("methods"),
            body_octets_max: values.optional("body_octets_max", Values::size),
            fields: texts("fields"),
            auth: values.value("auth").map(|_| texts("auth")),
            login: values.value("login").map(|_| texts("login")),
            realm: text("realm"),
            cors: (!origins.is_empty()).then(|| CorsConfig {
                origins,
                methods: texts("cors_methods"),
                fields: texts("cors_fields"),
                credentials: values.bool("cors_credentials"),
                max_age: values.duration("cors_max_age"),
            }),
        }
    }
}
