//! The config tables that belong to no protocol.

use std::time::Duration;

use doorway_base::config::{Key, Kind, Preset, Section};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A length of time that may be as short as a second and as long as an hour.
const WAIT: Kind = Kind::Duration { min: SECOND, max: HOUR };

/// In the order people read about them.
pub(super) const SECTIONS: &[Section] =
    &[SERVER, LIMITS, doorway_store::SECTION, doorway_store::AUTH_SECTION, TLS, METRICS, LOG, TRACE];

const SERVER: Section = Section {
    name: "server",
    help: "The process: where its data is, how many threads it has, how it stops.",
    keys: &[
        Key {
            name: "data",
            kind: Kind::Path,
            default: Preset::Unset,
            help: "Folder of everything Doorway keeps: store, keys, control socket. Unset, it is \
                   /var/lib/doorway for root and ./doorway-data for everybody else; --data goes before it.",
        },
        Key {
            name: "workers",
            kind: Kind::Integer { min: 0, max: 1024, unit: "threads" },
            default: Preset::Integer(0),
            help: "Threads that serve connections, each with a runtime of its own; 0 is one for each core.",
        },
        Key {
            name: "drain",
            kind: Kind::Duration { min: Duration::ZERO, max: HOUR },
            default: Preset::Text("30s"),
            help: "How long open connections may finish after a stop was asked for. A second signal ends them at once.",
        },
        Key {
            name: "user",
            kind: Kind::Text,
            default: Preset::Unset,
            help: "System user to become once all ports are open; only root can. Unset, the user stays the same.",
        },
    ],
};

const LIMITS: Section = Section {
    name: "limits",
    help: "What every listener lets in: how many connections, from whom, how fast and for how long.",
    keys: &[
        Key {
            name: "connections",
            kind: Kind::Integer { min: 0, max: 10_000_000, unit: "connections" },
            default: Preset::Integer(50_000),
            help: "Connections open at once on one listener; 0 is no bound.",
        },
        Key {
            name: "connections_per_address",
            kind: Kind::Integer { min: 0, max: 1_000_000, unit: "connections" },
            default: Preset::Integer(256),
            help: "Connections open at once from one IPv4 address or one IPv6 /64; this machine's own are not counted. 0 is no bound.",
        },
        Key {
            name: "accepts_per_second",
            kind: Kind::Integer { min: 0, max: 10_000_000, unit: "connections a second" },
            default: Preset::Integer(0),
            help: "New connections a second on one listener, with a burst of as many; 0 is no bound.",
        },
        Key {
            name: "handshake",
            kind: WAIT,
            default: Preset::Text("10s"),
            help: "From accept to the end of the TLS or PROXY handshake.",
        },
        Key {
            name: "first_octet",
            kind: WAIT,
            default: Preset::Text("30s"),
            help: "From accept to the first octet of the first message. The web server goes by `http.head_timeout` instead, and the name server waits 10s at most.",
        },
        Key {
            name: "idle",
            kind: Kind::Duration { min: SECOND, max: DAY },
            default: Preset::Text("5m"),
            help: "Silence in both directions after which a connection is closed. The web server goes by `http.keepalive` instead, and the name server waits 10s at most.",
        },
        Key {
            name: "write_stall",
            kind: WAIT,
            default: Preset::Text("30s"),
            help: "How long the peer may take nothing of what waits to be sent to it.",
        },
        Key {
            name: "progress_grace",
            kind: WAIT,
            default: Preset::Text("30s"),
            help: "How long a message may take before its rate is looked at.",
        },
        Key {
            name: "progress_octets_per_second",
            kind: Kind::Integer { min: 0, max: 1_000_000_000, unit: "octets a second" },
            default: Preset::Integer(240),
            help: "Octets a second that an incoming message has to keep on average after the grace.",
        },
        Key {
            name: "proxies",
            kind: Kind::List(&Kind::Cidr),
            default: Preset::List(&[]),
            help: "Networks of proxies whose connections begin with a PROXY protocol header (version 1 or 2) \
                   that names the true client.",
        },
    ],
};

const TLS: Section = Section {
    name: "tls",
    help: "Certificates. Without files, a local authority made at first start signs them.",
    keys: &[
        Key {
            name: "names",
            kind: Kind::List(&Kind::DomainName),
            default: Preset::List(&["localhost", "home.arpa"]),
            help: "Names for which the local authority makes certificates, and to which, with those below \
                   them, its root is limited.",
        },
        Key {
            name: "certificate",
            kind: Kind::Tables(CERTIFICATE),
            default: Preset::List(&[]),
            help: "A certificate of your own, one [[tls.certificate]] each; it goes before the local authority's.",
        },
    ],
};

const CERTIFICATE: &[Key] = &[
    Key {
        name: "names",
        kind: Kind::List(&Kind::DomainName),
        default: Preset::Required,
        help: "Names it is shown for; the first label of one may be `*`.",
    },
    Key {
        name: "chain",
        kind: Kind::Path,
        default: Preset::Required,
        help: "PEM file with the certificate and what leads to its root.",
    },
    Key { name: "key", kind: Kind::Path, default: Preset::Required, help: "PEM file with its private key." },
];

const METRICS: Section = Section {
    name: "metrics",
    help: "Counters for a collector, and /healthz and /readyz for whoever watches the process.",
    keys: &[Key {
        name: "listen",
        kind: Kind::Listen,
        default: Preset::Text("127.0.0.1:9464"),
        help: "Where /metrics, /healthz and /readyz are served over HTTP; [] is nowhere.",
    }],
};

const LOG: Section = Section {
    name: "log",
    help: "What is told on standard error while the server runs.",
    keys: &[
        Key {
            name: "level",
            kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
            default: Preset::Text("info"),
            help: "The least important lines that are still told.",
        },
        Key {
            name: "format",
            kind: Kind::Choice(&["text", "json"]),
            default: Preset::Text("text"),
            help: "Lines for people, or one JSON object a line.",
        },
    ],
};

const TRACE: Section = Section {
    name: "trace",
    help: "Every message in or out. `doorway trace` follows it live; this is about what is kept besides.",
    keys: &[Key {
        name: "record",
        kind: Kind::Bool,
        default: Preset::Bool(false),
        help: "Keep the latest messages in memory (at most 64 MiB) even when nobody follows.",
    }],
};
