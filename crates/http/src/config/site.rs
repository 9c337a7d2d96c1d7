//! `[[http.site]]`: what is served under a name, and by what rules.

use std::path::PathBuf;

use doorway_base::config::{Key, Kind, Preset, Value, Values};

use super::route::{ROUTE_KEYS, RouteConfig};
use crate::coding::Coding;

/// The keys of one `[[http.site]]`.
pub(super) const SITE_KEYS: &[Key] = &[
    Key {
        name: "hosts",
        kind: Kind::List(&Kind::DomainName),
        default: Preset::List(&[]),
        help: "Names under which it is reached; `*.example.org` stands for every name below example.org. A \
               site without names serves every name that no other site has, instead of `http.root`.",
    },
    Key {
        name: "root",
        kind: Kind::Path,
        default: Preset::Unset,
        help: "The folder to serve. Without one, only the site's routes are.",
    },
    Key {
        name: "symlinks",
        kind: Kind::Choice(&["deny", "within-root", "follow"]),
        default: Preset::Text("within-root"),
        help: "Symbolic links in the folder: none is followed, only those that stay within it, or all.",
    },
    Key {
        name: "index",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&["index.html", "index.htm"]),
        help: "Files that are served for a folder, the first that is there.",
    },
    Key {
        name: "listing",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Lists the files of a folder that has no index: as a page, or as JSON for who asks for that.",
    },
    Key {
        name: "fallback",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The file to serve where there is none, such as \"index.html\" for an application of one page \
               whose addresses are its own.",
    },
    Key {
        name: "precompressed",
        kind: Kind::List(&Kind::Choice(&["zst", "br", "gz"])),
        default: Preset::List(&[]),
        help: "Endings of compressed files that lie beside the plain ones and are sent in their place to \
               clients that take them.",
    },
    Key {
        name: "compress",
        kind: Kind::List(&Kind::Choice(&["zstd", "br", "gzip"])),
        default: Preset::List(&["zstd", "br", "gzip"]),
        help: "How text is compressed on the way for clients that take it, best first; empty for not at all.",
    },
    Key {
        name: "fields",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Fields of every response, such as \"X-Frame-Options: DENY\"; \"-Server\" leaves one out.",
    },
    Key {
        name: "write",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Lets the users of `auth` store files with PUT and remove them with DELETE.",
    },
    Key {
        name: "write_needs_condition",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Refuses to replace or remove a file without If-Match or If-Unmodified-Since (428), so that \
               nobody undoes a change that they have not seen.",
    },
    Key {
        name: "quota",
        kind: Kind::Size { min: 0, max: 1 << 50 },
        default: Preset::Unset,
        help: "Octets that all files of the folder may have together; what would exceed it gets 507.",
    },
    Key {
        name: "auth",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Users, @roles, or \"*\" for every user, who are let in; empty for everybody without a login.",
    },
    Key {
        name: "login",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&["basic", "bearer"]),
        help: "How they log in: \"basic\" with a password in each request, \"bearer\" with an app password, \
               \"form\" on a page, with a session after it.",
    },
    Key {
        name: "realm",
        kind: Kind::Text,
        default: Preset::Text("Doorway"),
        help: "What the login is for, as shown to who is asked for it.",
    },
    Key {
        name: "certificate",
        kind: Kind::Path,
        default: Preset::Unset,
        help: "Certificate chain in PEM for TLS under the site's names; else `tls.certificate` or the local \
               authority has one.",
    },
    Key {
        name: "certificate_key",
        kind: Kind::Path,
        default: Preset::Unset,
        help: "The private key of `certificate`, in PEM.",
    },
    Key {
        name: "cache",
        kind: Kind::Tables(CACHE_KEYS),
        default: Preset::List(&[]),
        help: "What Cache-Control says for some of the files.",
    },
    Key {
        name: "error",
        kind: Kind::Tables(ERROR_KEYS),
        default: Preset::List(&[]),
        help: "Pages to send with errors instead of a line of text.",
    },
    Key {
        name: "route",
        kind: Kind::Tables(ROUTE_KEYS),
        default: Preset::List(&[]),
        help: "Paths that are answered in a way of their own. The longest `path` that fits decides.",
    },
];

const CACHE_KEYS: &[Key] = &[
    Key {
        name: "path",
        kind: Kind::Text,
        default: Preset::Required,
        help: "Which files: \"/assets\" and all below it, or a pattern such as \"/**.css\", in which `*` \
               stands for anything but a slash and `**` for anything.",
    },
    Key {
        name: "control",
        kind: Kind::Text,
        default: Preset::Required,
        help: "The value of Cache-Control, such as \"public, max-age=31536000, immutable\".",
    },
];

const ERROR_KEYS: &[Key] = &[
    Key {
        name: "status",
        kind: Kind::List(&Kind::Integer { min: 400, max: 599, unit: "" }),
        default: Preset::Required,
        help: "The statuses it is for, such as [404, 410].",
    },
    Key {
        name: "file",
        kind: Kind::Text,
        default: Preset::Required,
        help: "The page, as a path in the site's folder, such as \"/errors/404.html\".",
    },
];

/// What becomes of symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// They are names of nothing.
    Deny,
    /// They are followed as long as they stay in the folder.
    #[default]
    WithinRoot,
    /// They are followed.
    Follow,
}

/// What the operator says about one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteConfig {
    /// Names in lower case, the first label perhaps `*`; none for every name that no other site has.
    pub hosts: Vec<String>,
    /// The folder.
    pub root: Option<PathBuf>,
    /// What becomes of symbolic links in it.
    pub symlinks: Symlinks,
    /// Names of files that stand for their folder, in the order in which they are looked for.
    pub index: Vec<String>,
    /// Whether folders without index are listed.
    pub listing: bool,
    /// The file that stands for those that are not there.
    pub fallback: Option<String>,
    /// Codings whose files may lie beside the plain ones, best first.
    pub precompressed: Vec<Coding>,
    /// Codings that are made on the way, best first.
    pub compress: Vec<Coding>,
    /// Fields to add as `Name: value`, and to leave out as `-Name`.
    pub fields: Vec<String>,
    /// Whether PUT and DELETE are taken.
    pub write: bool,
    /// Whether a change needs a condition.
    pub write_needs_condition: bool,
    /// Octets of all files together.
    pub quota: Option<u64>,
    /// Who is let in; empty for everybody.
    pub auth: Vec<String>,
    /// How they log in.
    pub login: Vec<String>,
    /// What the login is for.
    pub realm: String,
    /// Files of certificate chain and private key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Patterns of paths, each with its Cache-Control.
    pub cache: Vec<(String, String)>,
    /// Pages for errors: statuses and a path in the folder.
    pub errors: Vec<(Vec<u16>, String)>,
    /// Paths that are answered in a way of their own.
    pub routes: Vec<RouteConfig>,
}

impl SiteConfig {
    /// The values of one table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let texts = |name| values.texts(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let codings = |name| values.texts(name).into_iter().filter_map(Coding::named).collect();
        let text = |values: &Values, name| values.text(name).to_owned();
        let certificate = values.optional("certificate", Values::path).map(PathBuf::from);
        let key = values.optional("certificate_key", Values::path).map(PathBuf::from);
        Self {
            hosts: texts("hosts"),
            root: values.optional("root", Values::path).map(PathBuf::from),
            symlinks: match values.text("symlinks") {
                "deny" => Symlinks::Deny,
                "follow" => Symlinks::Follow,
                _ => Symlinks::WithinRoot,
            },
            index: texts("index"),
            listing: values.bool("listing"),
            fallback: values.optional("fallback", Values::text).map(str::to_owned),
            precompressed: codings("precompressed"),
            compress: codings("compress"),
            fields: texts("fields"),
            write: values.bool("write"),
            write_needs_condition: values.bool("write_needs_condition"),
            quota: values.optional("quota", Values::size),
            auth: texts("auth"),
            login: texts("login"),
            realm: text(values, "realm"),
            certificate: certificate.zip(key),
            cache: values
                .tables("cache")
                .iter()
                .filter(|rule| rule.is_complete())
                .map(|rule| (text(rule, "path"), text(rule, "control")))
                .collect(),
            errors: values
                .tables("error")
                .iter()
                .filter(|page| page.is_complete())
                .map(|page| (statuses(page), text(page, "file")))
                .collect(),
            routes: values
                .tables("route")
                .iter()
                .filter(|route| route.is_complete())
                .map(RouteConfig::read)
                .collect(),
        }
    }

    /// A site of which nothing is written: that of `http.root`.
    #[must_use]
    pub fn plain(root: Option<PathBuf>) -> Self {
        let section = doorway_base::config::Section { name: "http.site", help: "", keys: SITE_KEYS };
        Self { root, ..Self::read(&section.defaults()) }
    }
}

fn statuses(page: &Values) -> Vec<u16> {
    let number = |value: &Value| match value {
        Value::Integer(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    page.list("status").iter().filter_map(number).collect()
}
