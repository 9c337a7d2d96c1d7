//! `[http.forward]`: the forward proxy, which clients are told to use, and `[[http.forward.parent]]`, proxies that
//! it asks in turn.

use std::time::Duration;

use doorway_base::config::{Cidr, Key, Kind, Listen, Preset, Secret, Section, Value, Values};

use crate::proxy::access::{Access, Domain};
use crate::proxy::destination::Destinations;
use crate::proxy::profile::Profile;

/// `[http.forward]`
pub const SECTION: Section = Section {
    name: "http.forward",
    help: "A forward proxy: clients are told to ask it for everything. Without `listen` there is none.",
    keys: &[
        Key {
            name: "listen",
            kind: Kind::Listen,
            default: Preset::List(&[]),
            help: "Where it listens, such as \"0.0.0.0:3128\".",
        },
        Key {
            name: "allow",
            kind: Kind::List(&Kind::Cidr),
            default: Preset::List(&["127.0.0.0/8", "::1"]),
            help: "Networks whose clients may use it.",
        },
        Key {
            name: "auth",
            kind: Kind::List(&Kind::Text),
            default: Preset::Unset,
            help: "Users, @roles, or \"*\" for every user, who may use it, by name and password; an empty list for \
                   everybody of `allow`. Unset: every user, and programs on this machine without a login. From \
                   other machines passwords are taken only with `http.login.cleartext`, or over TLS.",
        },
        Key {
            name: "realm",
            kind: Kind::Text,
            default: Preset::Text("Doorway proxy"),
            help: "What the login is for, as shown to who is asked for it.",
        },
        Key {
            name: "connect_ports",
            kind: Kind::List(&Kind::Integer { min: 1, max: 65535, unit: "" }),
            default: Preset::Unset,
            help: "Ports that tunnels (CONNECT) may lead to. Unset: 443, 563 and 8443.",
        },
        Key {
            name: "private",
            kind: Kind::List(&Kind::Cidr),
            default: Preset::List(&[]),
            help: "Networks that are no part of the public internet and that clients may get to all the same; every \
                   other loopback, private and link-local address is refused, whatever name leads there.",
        },
        Key {
            name: "deny",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&[]),
            help: "Domains that nobody gets to: \"example.org\" and all below it, or \"*.example.org\" for those \
                   below alone.",
        },
        Key {
            name: "allow_only",
            kind: Kind::List(&Kind::Text),
            default: Preset::List(&[]),
            help: "The only domains that anybody gets to; empty for all.",
        },
        Key {
            name: "cache",
            kind: Kind::Text,
            default: Preset::Unset,
            help: "The name of the cache that keeps what it fetches; unset for none.",
        },
        Key {
            name: "profiles",
            kind: Kind::List(&Kind::Choice(&Profile::WORDS)),
            default: Preset::List(&[]),
            help: "Package archives whose files are kept by what is known of them, whatever the servers say: packages \
                   for a year, their indexes until somebody asks.",
        },
        Key {
            name: "pac",
            kind: Kind::Bool,
            default: Preset::Bool(true),
            help: "Whether /proxy.pac and /wpad.dat tell browsers to use it.",
        },
        Key {
            name: "pac_direct",
            kind: Kind::List(&Kind::DomainName),
            default: Preset::List(&[]),
            help: "Domains that browsers ask without it.",
        },
        Key {
            name: "connect_timeout",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(600) },
            default: Preset::Text("10s"),
            help: "How long a connection to a server may take, with the look-up of the name; then 504.",
        },
        Key {
            name: "response_timeout",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
            default: Preset::Text("60s"),
            help: "How long a response, and each further piece of it, may be waited for.",
        },
        Key {
            name: "tunnel_timeout",
            kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
            default: Preset::Text("10m"),
            help: "How long a tunnel may be silent in both directions.",
        },
        Key {
            name: "tunnel_octets_max",
            kind: Kind::Size { min: 1, max: 1 << 50 },
            default: Preset::Unset,
            help: "Octets in both directions after which a tunnel is closed; unset for any number.",
        },
        Key {
            name: "parent",
            kind: Kind::Tables(PARENT_KEYS),
            default: Preset::List(&[]),
            help: "A proxy that is asked for some domains instead of their servers; the first that fits.",
        },
    ],
};

const PARENT_KEYS: &[Key] = &[
    Key {
        name: "address",
        kind: Kind::Text,
        default: Preset::Required,
        help: "Where it is: \"http://host:port\", or \"https://host:port\" for one with TLS.",
    },
    Key {
        name: "domains",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&["*"]),
        help: "Domains that it is asked for.",
    },
    Key {
        name: "user",
        kind: Kind::Text,
        default: Preset::Unset,
        help: "The name by which we log in there.",
    },
    Key { name: "password", kind: Kind::Secret, default: Preset::Unset, help: "The password." },
];

/// Ports that tunnels may lead to unless the config says otherwise.
const CONNECT_PORTS: [u16; 3] = [443, 563, 8443];

/// What the operator says about the forward proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardConfig {
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// Who may go where.
    pub access: Access,
    /// Which addresses may be connected to.
    pub destinations: Destinations,
    /// Who has to log in; `None` for everybody but programs on this machine, empty for nobody.
    pub auth: Option<Vec<String>>,
    /// What the login is for.
    pub realm: String,
    /// The name of the cache that keeps what it fetches.
    pub cache: Option<String>,
    /// Archives whose files are known.
    pub profiles: Vec<Profile>,
    /// Whether browsers are told to use it, and which domains they ask without it.
    pub pac: Option<Vec<String>>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a response may be waited for.
    pub response_timeout: Duration,
    /// How long a tunnel may be silent.
    pub tunnel_timeout: Duration,
    /// Octets after which a tunnel is closed.
    pub tunnel_octets_max: Option<u64>,
    /// Proxies that are asked in turn, the first that fits.
    pub parents: Vec<ParentConfig>,
}

/// A proxy that is asked in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentConfig {
    /// Where it is.
    pub address: String,
    /// What it is asked for.
    pub domains: Vec<Domain>,
    /// By whom.
    pub user: Option<(String, Secret)>,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self::read(&SECTION.defaults())
    }
}

impl ForwardConfig {
    /// The values of the table.
    #[must_use]
    pub fn read(values: &Values) -> Self {
        let texts = |values: &Values, name: &str| -> Vec<String> {
            values.texts(name).into_iter().map(str::to_owned).collect()
        };
        let domains = |values: &Values, name: &str| -> Vec<Domain> {
            values.texts(name).into_iter().map(Domain::new).collect()
        };
        let cidrs = |name| -> Vec<Cidr> { values.cidrs(name) };
        let ports = values.value("connect_ports").map(|_| {
            let port = |value: &Value| match value {
                Value::Integer(port) => u16::try_from(*port).ok(),
                _ => None,
            };
            values.list("connect_ports").iter().filter_map(port).collect::<Vec<_>>()
        });
        Self {
            listen: values.listen("listen").to_vec(),
            access: Access {
                clients: cidrs("allow"),
                connect_ports: ports.unwrap_or_else(|| CONNECT_PORTS.to_vec()),
                deny: domains(values, "deny"),
                allow_only: domains(values, "allow_only"),
            },
            destinations: Destinations { private: cidrs("private") },
            auth: values.value("auth").map(|_| texts(values, "auth")),
            realm: values.text("realm").to_owned(),
            cache: values.optional("cache", Values::text).map(str::to_owned),
            profiles: values.texts("profiles").into_iter().filter_map(Profile::named).collect(),
            pac: values.bool("pac").then(|| texts(values, "pac_direct")),
            connect_timeout: values.duration("connect_timeout"),
            response_timeout: values.duration("response_timeout"),
            tunnel_timeout: values.duration("tunnel_timeout"),
            tunnel_octets_max: values.optional("tunnel_octets_max", Values::size),
            parents: values
                .tables("parent")
                .iter()
                .filter(|parent| parent.is_complete())
                .map(|parent| ParentConfig {
                    address: parent.text("address").to_owned(),
                    domains: domains(parent, "domains"),
                    user: parent
                        .optional("user", Values::text)
                        .map(str::to_owned)
                        .zip(parent.optional("password", Values::secret).cloned()),
                })
                .collect(),
        }
    }
}
