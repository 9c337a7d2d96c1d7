//! `[[dns.zone]]` and `[[dns.key]]`: zones, where they come from, who may have and who may change them.

use core::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use doorway_base::config::{Key, Kind, Preset, Secret, Values};

use super::Wrong;
use crate::transfer::grant::Grant;
use crate::update::grant::UpdateGrant;
use crate::update::serial::SerialPolicy;
use crate::wire::Name;
use crate::wire::tsig::Algorithm;
use crate::zone::Rotate;

/// The port of a server that is written without one.
const PORT: u16 = 53;

/// What may be written under `[[dns.zone]]`.
pub(super) const ZONE_KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::DomainName,
        default: Preset::Required,
        help: "The name the zone begins at.",
    },
    Key {
        name: "kind",
        kind: Kind::Choice(&["primary", "secondary"]),
        default: Preset::Text("primary"),
        help: "primary reads the zone from its file and takes updates; secondary fetches it from other servers.",
    },
    Key {
        name: "file",
        kind: Kind::Path,
        default: Preset::Unset,
        help: "The zone file of a primary (RFC 1035 section 5). An error in it refuses the zone and keeps the one before.",
    },
    Key {
        name: "from",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Servers that a secondary fetches the zone from, asked in order: \"192.0.2.1\", \"192.0.2.1:5300 key:sec1\".",
    },
    Key {
        name: "notify",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Servers that are told of changes (RFC 1996), beside the zone's own name servers; written as in from.",
    },
    Key {
        name: "xfr",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Who may transfer the zone: \"key:sec1\" for requests signed with that key, or a network.",
    },
    Key {
        name: "update",
        kind: Kind::List(&Kind::Text),
        default: Preset::List(&[]),
        help: "Who may change what by UPDATE (RFC 2136): a key or network, then types, then names: \"key:dhcp1 a,aaaa *.lan.example.org\".",
    },
    Key {
        name: "serial",
        kind: Kind::Choice(&["increment", "unixtime", "date"]),
        default: Preset::Text("increment"),
        help: "Serial number after a change: one more, the seconds since 1970, or the date and a number.",
    },
    Key {
        name: "rotate",
        kind: Kind::Choice(&["cyclic", "fixed"]),
        default: Preset::Text("cyclic"),
        help: "Order of several addresses of one name: cyclic begins with the next one in each answer.",
    },
];

/// What may be written under `[[dns.key]]`.
pub(super) const KEY_KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::DomainName,
        default: Preset::Required,
        help: "The name that both servers know the key by.",
    },
    Key {
        name: "alg",
        kind: Kind::Choice(&["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1"]),
        default: Preset::Text("hmac-sha256"),
        help: "Algorithm of the signature. hmac-sha1 is taken from others and never used for requests of our own.",
    },
    Key {
        name: "secret",
        kind: Kind::Secret,
        default: Preset::Required,
        help: "The secret in base64, as tsig-keygen and keymgr print it.",
    },
];

/// Another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// The name of the key that messages to it are signed with, in lower case.
    pub key: Option<Box<Name>>,
}

impl FromStr for Peer {
    type Err = ();

    /// `"192.0.2.1"`, `"192.0.2.1:5300"`, `"[2001:db8::1]:53 key:sec1"`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_ascii_whitespace();
        let address = words.next().ok_or(())?;
        let address = match address.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, PORT),
            Err(_) => address.parse().map_err(drop)?,
        };
        let key = match words.next().map(|word| word.strip_prefix("key:").ok_or(())).transpose()? {
            Some(name) => Some(Box::new(name.parse::<Name>().map_err(drop)?.lowered())),
            None => None,
        };
        if words.next().is_some() { Err(()) } else { Ok(Self { address, key }) }
    }
}

/// How a zone moves and is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moves {
    /// Where a secondary comes from; empty for a primary.
    pub from: Vec<Peer>,
    /// Who is told of changes, beside the zone's own name servers.
    pub notify: Vec<Peer>,
    /// Who may transfer it.
    pub xfr: Vec<Grant>,
    /// Who may change what.
    pub update: Vec<UpdateGrant>,
    /// How its versions are counted.
    pub serial: SerialPolicy,
}

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZoneConfig {
    /// The apex, as it was written.
    pub name: String,
    /// The zone file of a primary; `None` for a secondary.
    pub file: Option<PathBuf>,
    /// Order of addresses.
    pub rotate: Rotate,
    /// How it moves.
    pub moves: Moves,
}

impl ZoneConfig {
    pub(super) fn read(zone: &Values) -> Result<Self, Wrong> {
        let name = zone.text("name").to_owned();
        let secondary = zone.text("kind") == "secondary";
        let file = zone.optional("file", |zone, key| zone.path(key).to_owned());
        let moves = Moves {
            from: each(zone, "from", "dns.zone.from", PEER)?,
            notify: each(zone, "notify", "dns.zone.notify", PEER)?,
            xfr: each(
                zone,
                "xfr",
                "dns.zone.xfr",
                "write \"key:\" and the name of a key, or a network such as \"192.0.2.0/24\"",
            )?,
            update: each(
                zone,
                "update",
                "dns.zone.update",
                "write a key or a network, then types, then names: \"key:dhcp1 a,aaaa *.lan.example.org\"",
            )?,
            serial: SerialPolicy::WORDS
                .into_iter()
                .find(|(word, _)| *word == zone.text("serial"))
                .map_or_else(SerialPolicy::default, |(_, policy)| policy),
        };
        let wrong = |key, fix| Err(Wrong { key, value: name.clone(), fix });
        match (secondary, &file, moves.from.is_empty()) {
            (false, None, _) => wrong("dns.zone.file", "name the zone file of a primary zone"),
            (false, _, false) => wrong("dns.zone.from", "leave it out, or write kind = \"secondary\""),
            (true, _, true) => wrong("dns.zone.from", "name the servers that the secondary zone comes from"),
            (true, Some(_), _) => {
                wrong("dns.zone.file", "leave it out: a secondary zone is kept in the store")
            }
            _ => {
                let rotate = if zone.text("rotate") == "fixed" { Rotate::Fixed } else { Rotate::Cyclic };
                Ok(Self { name, file, rotate, moves })
            }
        }
    }

    /// Whether anything but its file can change the zone, or anybody may transfer it.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.moves != Moves { serial: self.moves.serial, ..Moves::default() }
    }
}

const PEER: &str = "write an address such as \"192.0.2.1\" or \"192.0.2.1:5300\", and \"key:\" with the name of a key if it has one";

fn each<T: FromStr>(
    zone: &Values,
    name: &str,
    key: &'static str,
    fix: &'static str,
) -> Result<Vec<T>, Wrong> {
    let one = |text: &str| text.parse().map_err(|_| Wrong { key, value: text.to_owned(), fix });
    zone.texts(name).into_iter().map(one).collect()
}

/// A key that is shared with other servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConfig {
    /// Its name, in lower case.
    pub name: Name,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The secret in base64, or where it is kept.
    pub secret: Secret,
}

impl KeyConfig {
    pub(super) fn read(key: &Values) -> Result<Self, Wrong> {
        let text = key.text("name");
        let name: Name = text.parse().map_err(|_| Wrong {
            key: "dns.key.name",
            value: text.to_owned(),
            fix: "write a name such as \"sec1\"",
        })?;
        let algorithm = Algorithm::from_text(key.text("alg")).unwrap_or(Algorithm::Sha256);
        Ok(Self { name: name.lowered(), algorithm, secret: key.secret("secret").clone() })
    }
}

/// Checks that every key that a zone names is there, and may do what it is named for.
pub(super) fn check_keys(zones: &[ZoneConfig], keys: &[KeyConfig]) -> Result<(), Wrong> {
    let find = |name: &Name| keys.iter().find(|key| key.name == *name);
    let missing = |key, name: &Name| {
        Err(Wrong {
            key,
            value: name.to_string(),
            fix: "add a [[dns.key]] of this name, or correct the name",
        })
    };
    for zone in zones {
        let Moves { from, notify, xfr, update, .. } = &zone.moves;
        for (config_key, peers) in [("dns.zone.from", from), ("dns.zone.notify", notify)] {
            for name in peers.iter().filter_map(|peer| peer.key.as_deref()) {
                match find(name) {
                    None => return missing(config_key, name),
                    Some(key) if key.algorithm == Algorithm::Sha1 => {
                        return Err(Wrong {
                            key: config_key,
                            value: name.to_string(),
                            fix: "give the key another algorithm than hmac-sha1, which is too weak to be used for requests",
                        });
                    }
                    Some(_) => {}
                }
            }
        }
        for grant in xfr {
            if let Grant::Key(name) = grant
                && find(name).is_none()
            {
                return missing("dns.zone.xfr", name);
            }
        }
        if let Some(name) = update.iter().filter_map(UpdateGrant::key).find(|name| find(name).is_none()) {
            return missing("dns.zone.update", name);
        }
    }
    Ok(())
}
