//! `[mail]`, `[mail.listen]` and `[mail.queue]`: each key declared once, with its default, bounds and help.

use std::time::Duration;

use doorway_base::config::{Cidr, Key, Kind, Listen, Preset, Secret, Section, Values};

use crate::address::{Address, Domain};

const fn span(min_seconds: u64, max_seconds: u64) -> Kind {
    Kind::Duration { min: Duration::from_secs(min_seconds), max: Duration::from_secs(max_seconds) }
}

const fn listen(name: &'static str, default: Preset, help: &'static str) -> Key {
    Key { name, kind: Kind::Listen, default, help }
}

/// The tables of mail.
pub const SECTIONS: [Section; 3] = [SECTION, LISTEN_SECTION, QUEUE_SECTION];

/// `[mail]`
pub const SECTION: Section = Section {
    name: "mail",
    help: "Mail: which domains have their mailboxes here, who gets what, and what is taken from whom.",
    keys: &[
        Key {
            name: "domains",
            kind: Kind::List(&Kind::DomainName),
            default: Preset::Unset,
            help: "Domains whose mail is kept here: every user has USER@DOMAIN in each. Unset: the local domain of \
                   `[dns]`; an empty list for no mail at all.",
        },
        Key {
            name: "hostname",
            kind: Kind::DomainName,
            default: Preset::Unset,
            help: "What this server calls itself to others; it should have an address in DNS. Unset: \"mail.\" and \
                   the first domain.",
        },
        Key {
            name: "max_size",
            kind: Kind::Size { min: 64 << 10, max: 4 << 30 },
            default: Preset::Text("50MiB"),
            help: "Longest message that is taken, in octets as it is sent.",
        },
        Key {
            name: "postmaster",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&["@admin"]),
            help: "Who gets what is sent to postmaster and abuse, which every domain has: users, addresses, or a role \
                   such as \"@admin\" for all who have it.",
        },
        Key {
            name: "subaddress",
            kind: Kind::Text,
            default: Preset::Text("+"),
            help: "The character behind which a user's address may go on: USER+anything is USER. Empty for none.",
        },
        Key {
            name: "quota",
            kind: Kind::Size { min: 0, max: 1 << 50 },
            default: Preset::Text("5GiB"),
            help: "Octets that one user's mail may take; 0 for no bound.",
        },
        Key {
            name: "quota_messages",
            kind: Kind::Integer { min: 0, max: 1 << 40, unit: "messages" },
            default: Preset::Integer(0),
            help: "Messages that one user may have; 0 for no bound.",
        },
        Key {
            name: "relay_networks",
            kind: Kind::List(&Kind::Cidr),
            default: Preset::List(&[]),
            help: "Networks whose hosts may send to other domains without a login, such as a printer's.",
        },
        Key {
            name: "bare_newline",
            kind: Kind::Choice(&["reject", "normalize"]),
            default: Preset::Text("reject"),
            help: "What becomes of a message with a CR or LF alone: refused, or taken with line ends put right. The \
                   end of a message is CRLF . CRLF in either case.",
        },
        Key {
            name: "normalize_networks",
            kind: Kind::List(&Kind::Cidr),
            default: Preset::List(&[]),
            help: "Networks whose messages are put right although `bare_newline` says \"reject\".",
        },
        Key {
            name: "cleartext",
            kind: Kind::Bool,
            default: Preset::Bool(false),
            help: "Take passwords over connections without TLS from other machines too, where everybody on the way \
                   can read them.",
        },
        Key {
            name: "recipients_max",
            kind: Kind::Integer { min: 100, max: 1000, unit: "recipients" },
            default: Preset::Integer(100),
            help: "Recipients of one message; who has more sends the rest behind it.",
        },
        Key {
            name: "messages_max",
            kind: Kind::Integer { min: 1, max: 1_000_000, unit: "messages" },
            default: Preset::Integer(100),
            help: "Messages that a client may send on one connection.",
        },
        Key {
            name: "errors_max",
            kind: Kind::Integer { min: 1, max: 1000, unit: "errors" },
            default: Preset::Integer(20),
            help: "Wrong commands and refused recipients after which a connection is closed.",
        },
        Key {
            name: "messages_per_user",
            kind: Kind::Integer { min: 0, max: 1_000_000, unit: "messages an hour" },
            default: Preset::Integer(500),
            help: "Recipients, counted over all messages, that one user may send to in an hour; 0 for no bound.",
        },
        Key {
            name: "messages_per_address",
            kind: Kind::Integer { min: 0, max: 10_000_000, unit: "messages an hour" },
            default: Preset::Integer(10_000),
            help: "Messages that one address may send without a login in an hour; not counted for this machine. 0 \
                   for no bound.",
        },
        Key {
            name: "connections_max",
            kind: Kind::Integer { min: 1, max: 1_000_000, unit: "connections" },
            default: Preset::Integer(20_000),
            help: "Connections at each of the doors of mail.",
        },
        Key {
            name: "connections_per_address",
            kind: Kind::Integer { min: 0, max: 1_000_000, unit: "connections" },
            default: Preset::Integer(50),
            help: "Connections from one address at each of the doors; 0 for no bound.",
        },
        Key {
            name: "idle",
            kind: span(10, 24 * 3600),
            default: Preset::Text("5m"),
            help: "Silence after which SMTP is closed (RFC 5321 §4.5.3.2.7); POP3 waits at least ten minutes (RFC \
                   1939 §3).",
        },
        Key {
            name: "data_timeout",
            kind: span(10, 24 * 3600),
            default: Preset::Text("10m"),
            help: "How long a client may be silent in the middle of a message.",
        },
        Key {
            name: "alias",
            kind: Kind::Tables(ALIAS_KEYS),
            default: Preset::List(&[]),
            help: "An address that stands for others: an alias, a group, or everything else of a domain.",
        },
        Key {
            name: "route",
            kind: Kind::Tables(ROUTE_KEYS),
            default: Preset::List(&[]),
            help: "Where mail for a domain goes instead of the hosts that DNS names.",
        },
    ],
};

const ALIAS_KEYS: &[Key] = &[
    Key {
        name: "address",
        kind: Kind::Text,
        default: Preset::Required,
        help: "\"NAME@DOMAIN\", \"NAME\" for all domains here, or \"@DOMAIN\" for whatever else comes for that domain.",
    },
    Key {
        name: "to",
        kind: Kind::List(&Kind::Text),
        default: Preset::Required,
        help: "Users, other aliases, addresses anywhere, or a role such as \"@admin\" for all users who have it.",
    },
];

const ROUTE_KEYS: &[Key] = &[
    Key {
        name: "domain",
        kind: Kind::Text,
        default: Preset::Required,
        help: "The domain, or \"*\" for every domain without a route of its own (a smarthost).",
    },
    Key {
        name: "host",
        kind: Kind::Text,
        default: Preset::Required,
        help: "\"HOST\" or \"HOST:PORT\"; the port is 25 unless said, 465 begins with TLS. An IPv6 address stands in \
               brackets.",
    },
    Key {
        name: "protocol",
        kind: Kind::Choice(&["smtp", "lmtp"]),
        default: Preset::Text("smtp"),
        help: "What is spoken there.",
    },
    Key {
        name: "tls",
        kind: Kind::Choice(TLS_WORDS),
        default: Preset::Text("opportunistic"),
        help: "Never; when it is offered; always, whoever it is; always, with a certificate for that name.",
    },
    Key {
        name: "user",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The name by which we log in there.",
    },
    Key { name: "password", kind: Kind::Secret, default: Preset::Unset, help: "The password." },
];

/// What may be said about TLS to others, in the order of how much it asks.
const TLS_WORDS: &[&str] = &["none", "opportunistic", "required", "verified"];

/// `[mail.listen]`
pub const LISTEN_SECTION: Section = Section {
    name: "mail.listen",
    help: "Where the protocols of mail listen. The usual ports are 25, 587, 465, 110, 995 and 24.",
    keys: &[
        listen(
            "smtp",
            Preset::Text("127.0.0.1:2525"),
            "SMTP, for other servers; STARTTLS is offered (RFC 5321).",
        ),
        listen(
            "submission",
            Preset::Text("127.0.0.1:5870"),
            "SMTP for users who send mail; STARTTLS is offered (RFC 6409).",
        ),
        listen("submissions", Preset::Text("127.0.0.1:4650"), "The same with TLS from the start (RFC 8314)."),
        listen("lmtp", Preset::List(&[]), "LMTP, for programs that deliver here (RFC 2033)."),
        listen("pop3", Preset::Text("127.0.0.1:1100"), "POP3; STLS is offered (RFC 1939)."),
        listen("pop3s", Preset::Text("127.0.0.1:9950"), "POP3 with TLS from the start (RFC 8314)."),
        Key {
            name: "lmtp_socket",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "A Unix socket for LMTP, made when mail begins.",
        },
    ],
};

/// `[mail.queue]`
pub const QUEUE_SECTION: Section = Section {
    name: "mail.queue",
    help: "Mail on its way to other servers.",
    keys: &[
        Key {
            name: "give_up",
            kind: span(60, 365 * 24 * 3600),
            default: Preset::Text("5d"),
            help: "How long a message is tried before its sender is told that it failed.",
        },
        Key {
            name: "delay_notice",
            kind: span(60, 365 * 24 * 3600),
            default: Preset::Text("4h"),
            help: "How long before its sender is told that it takes long.",
        },
        Key {
            name: "port",
            kind: Kind::Integer { min: 1, max: 65535, unit: "" },
            default: Preset::Integer(25),
            help: "The port of other servers.",
        },
        Key {
            name: "tls",
            kind: Kind::Choice(TLS_WORDS),
            default: Preset::Text("opportunistic"),
            help: "TLS to other servers: never; when it is offered; always, whoever it is; always, with a certificate \
                   for the host that MX names.",
        },
        Key {
            name: "connections_max",
            kind: Kind::Integer { min: 1, max: 10_000, unit: "connections" },
            default: Preset::Integer(200),
            help: "Connections to all other servers at once.",
        },
        Key {
            name: "connections_per_destination",
            kind: Kind::Integer { min: 1, max: 1000, unit: "connections" },
            default: Preset::Integer(20),
            help: "Connections to the servers of one domain at once.",
        },
        Key {
            name: "messages_per_connection",
            kind: Kind::Integer { min: 1, max: 100_000, unit: "messages" },
            default: Preset::Integer(100),
            help: "Messages that go over one connection before a new one is made.",
        },
    ],
};

/// What the operator says about mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Domains kept here, in ASCII and lower case; `None` when nothing was said.
    pub domains: Option<Vec<String>>,
    /// What the server calls itself.
    pub hostname: Option<String>,
    /// Longest message, in octets.
    pub size_octets_max: u64,
    /// Who gets what goes to postmaster and abuse.
    pub postmaster: Vec<String>,
    /// What begins a subaddress.
    pub subaddress: Option<char>,
    /// What an account may hold, in octets and messages; 0 for no bound.
    pub quota: (u64, u64),
    /// Who may relay without a login.
    pub relay_networks: Vec<Cidr>,
    /// Whether every message with bare CR or LF is put right.
    pub normalize: bool,
    /// Whose are put right in any case.
    pub normalize_networks: Vec<Cidr>,
    /// Whether passwords are taken over open connections from other machines.
    pub cleartext: bool,
    /// Recipients of one message.
    pub recipients_max: usize,
    /// Messages of one connection.
    pub messages_max: usize,
    /// Errors of one connection.
    pub errors_max: usize,
    /// Recipients an hour for one user; 0 for no bound.
    pub messages_per_user: usize,
    /// Messages an hour from one address; 0 for no bound.
    pub messages_per_address: usize,
    /// Connections at each door.
    pub connections_max: usize,
    /// Connections from one address at each door.
    pub connections_per_address: usize,
    /// Silence before SMTP is closed.
    pub idle: Duration,
    /// Silence in the middle of a message.
    pub data_timeout: Duration,
    /// Addresses that stand for others.
    pub aliases: Vec<AliasConfig>,
    /// Where mail goes instead of where DNS says.
    pub routes: Vec<RouteConfig>,
}

/// One `[[mail.alias]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasConfig {
    /// What it stands in place of.
    pub address: String,
    /// For whom it stands.
    pub to: Vec<String>,
}

/// How much a connection to another server must be protected, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsDemand {
    /// No TLS.
    None,
    /// TLS with anybody, when it is offered (RFC 7435).
    Opportunistic,
    /// TLS with anybody.
    Required,
    /// TLS with who has a good certificate for its name.
    Verified,
}

impl TlsDemand {
    fn read(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "required" => Self::Required,
            "verified" => Self::Verified,
            _ => Self::Opportunistic,
        }
    }
}

/// One `[[mail.route]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// The domain, with `*` as the table says.
    pub domain: String,
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether LMTP is spoken.
    pub lmtp: bool,
    /// How much the connection must be protected.
    pub tls: TlsDemand,
    /// Name and password of ours there.
    pub user: Option<(String, Secret)>,
}

/// `[mail.listen]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    /// SMTP.
    pub smtp: Vec<Listen>,
    /// Submission with STARTTLS.
    pub submission: Vec<Listen>,
    /// Submission with TLS from the start.
    pub submissions: Vec<Listen>,
    /// LMTP.
    pub lmtp: Vec<Listen>,
    /// POP3.
    pub pop3: Vec<Listen>,
    /// POP3 with TLS from the start.
    pub pop3s: Vec<Listen>,
    /// LMTP on a Unix socket.
    pub lmtp_socket: Option<std::path::PathBuf>,
}

/// `[mail.queue]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// How long a message is tried.
    pub give_up: Duration,
    /// When its sender is told that it takes long.
    pub delay_notice: Duration,
    /// The port of other servers.
    pub port: u16,
    /// TLS to them.
    pub tls: TlsDemand,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections to one destination.
    pub connections_per_destination: usize,
    /// Messages over one connection.
    pub messages_per_connection: usize,
}

/// A value that no kind of key can refuse, with the way to it and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongValue {
    /// The table's key, such as `alias.address`.
    pub key: &'static str,
    /// What was written.
    pub value: String,
    /// What was expected.
    pub expected: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self::read(&SECTION.defaults())
    }
}

impl Config {
    /// The values of the table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let texts = |values: &Values, name: &str| values.texts(name).into_iter().map(str::to_owned).collect();
        let alias = |values: &Values| AliasConfig {
            address: values.text("address").to_owned(),
            to: texts(values, "to"),
        };
        Self {
            domains: values.optional("domains", |values, name| texts(values, name)),
            hostname: values.optional("hostname", |values, name| values.text(name).to_owned()),
            size_octets_max: values.size("max_size"),
            postmaster: texts(values, "postmaster"),
            subaddress: values.text("subaddress").chars().next(),
            quota: (values.size("quota"), values.count("quota_messages") as u64),
            relay_networks: values.cidrs("relay_networks"),
            normalize: values.text("bare_newline") == "normalize",
            normalize_networks: values.cidrs("normalize_networks"),
            cleartext: values.bool("cleartext"),
            recipients_max: values.count("recipients_max"),
            messages_max: values.count("messages_max"),
            errors_max: values.count("errors_max"),
            messages_per_user: values.count("messages_per_user"),
            messages_per_address: values.count("messages_per_address"),
            connections_max: values.count("connections_max"),
            connections_per_address: values.count("connections_per_address"),
            idle: values.duration("idle"),
            data_timeout: values.duration("data_timeout"),
            aliases: values.tables("alias").iter().map(alias).collect(),
            routes: values.tables("route").iter().map(RouteConfig::read).collect(),
        }
    }

    /// What cannot be used of what was written.
    #[must_use]
    pub fn wrong(&self) -> Vec<WrongValue> {
        let mut wrong = Vec::new();
        let mut add = |key, value: &str, expected| {
            wrong.push(WrongValue { key, value: value.to_owned(), expected });
        };
        for alias in &self.aliases {
            let local = alias.address.split_once('@');
            let right = match local {
                Some(("", domain)) => Domain::parse(domain).is_ok(),
                Some(_) => Address::parse(&alias.address).is_ok(),
                None => Address::parse(&format!("{}@x", alias.address)).is_ok(),
            };
            if !right {
                add("alias.address", &alias.address, "\"NAME@DOMAIN\", \"NAME\" or \"@DOMAIN\"");
            }
        }
        let targets = self.aliases.iter().flat_map(|alias| alias.to.iter().map(|to| ("alias.to", to)));
        for (key, to) in targets.chain(self.postmaster.iter().map(|to| ("postmaster", to))) {
            let right = match to.strip_prefix('@') {
                Some(role) => role.parse::<doorway_store::Role>().is_ok(),
                None if to.contains('@') => Address::parse(to).is_ok(),
                None => doorway_store::user_name(to).is_ok(),
            };
            if !right {
                add(key, to, "a user, an address, or a role such as \"@admin\"");
            }
        }
        for route in &self.routes {
            if route.host.is_empty() || route.port == 0 {
                add("route.host", &route.host, "\"HOST\" or \"HOST:PORT\"");
            }
            if route.domain != "*" && Domain::parse(&route.domain).is_err() {
                add("route.domain", &route.domain, "a domain or \"*\"");
            }
        }
        wrong
    }
}

impl RouteConfig {
    fn read(values: &Values) -> Self {
        let lmtp = values.text("protocol") == "lmtp";
        let (host, port) = host_and_port(values.text("host"), if lmtp { 24 } else { 25 });
        let name = values.optional("user", |values, name| values.text(name).to_owned());
        let password = values.optional("password", |values, name| values.secret(name).clone());
        Self {
            domain: values.text("domain").to_ascii_lowercase(),
            host,
            port,
            lmtp,
            tls: TlsDemand::read(values.text("tls")),
            user: name.zip(password),
        }
    }
}

/// Takes `HOST:PORT` apart; port 0 for what is none.
fn host_and_port(text: &str, default: u16) -> (String, u16) {
    let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (bare(host), port.parse().unwrap_or(0))
        }
        _ => (bare(text), default),
    }
}

impl ListenConfig {
    /// The values of the table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let at = |name| values.listen(name).to_vec();
        Self {
            smtp: at("smtp"),
            submission: at("submission"),
            submissions: at("submissions"),
            lmtp: at("lmtp"),
            pop3: at("pop3"),
            pop3s: at("pop3s"),
            lmtp_socket: values.optional("lmtp_socket", |values, name| values.path(name).to_owned()),
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self::read(&QUEUE_SECTION.defaults())
    }
}

impl QueueConfig {
    /// The values of the table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        Self {
            give_up: values.duration("give_up"),
            delay_notice: values.duration("delay_notice"),
            port: u16::try_from(values.count("port")).unwrap_or(25),
            tls: TlsDemand::read(values.text("tls")),
            connections_max: values.count("connections_max"),
            connections_per_destination: values.count("connections_per_destination"),
            messages_per_connection: values.count("messages_per_connection"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_taken_apart() {
        for (text, host, port) in [
            ("mx.example.org", "mx.example.org", 25),
            ("MX.example.org:2525", "mx.example.org", 2525),
            ("192.0.2.1:465", "192.0.2.1", 465),
            ("[2001:db8::1]:26", "2001:db8::1", 26),
            ("[2001:db8::1]", "2001:db8::1", 25),
            ("2001:db8::1", "2001:db8::1", 25),
            ("mx:many", "mx", 0),
        ] {
            assert_eq!(host_and_port(text, 25), (host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn what_no_kind_of_key_refuses_is_found() {
        let alias = |address: &str, to: &str| AliasConfig { address: address.into(), to: vec![to.into()] };
        let aliases = vec![
            alias("all@example.org", "ann"),
            alias("@example.org", "@admin"),
            alias("sales", "bob@elsewhere.test"),
            alias("a b", "ann"),
            alias("x@", "@nobody"),
            alias("y", "..."),
        ];
        let config = Config { aliases, ..Config::default() };
        let wrong: Vec<_> = config.wrong().into_iter().map(|wrong| wrong.value).collect();
        assert_eq!(wrong, ["a b", "x@", "@nobody", "..."]);
        assert!(Config::default().wrong().is_empty());
    }
}
