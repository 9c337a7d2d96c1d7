//! What only the machine can tell about a config: ports, folders, descriptors.
//!
//! Nothing is opened, bound or made here: a check leaves no trace, and may run beside the server.

mod sockets;
mod zones;

use core::net::SocketAddr;
use std::fs;
use std::ops::Range;
use std::path::Path;

use doorway_base::config::{Listen, Values};
use doorway_base::trace::Transport;
use doorway_dhcp::config::{RelayConfig, WrongValue};
use doorway_dns::io::ReadAhead;
use doorway_http::config::Symlinks;
use doorway_http::io::Root;
use doorway_net::privileges;
use doorway_net::tls::Certificates;
use rustix::fs::Access;
use rustix::process::{Resource, getrlimit};

use crate::config::{self, At, Config, Problem, Severity};
use crate::first_run;
use crate::mail;
use crate::services::{DOORS, DoorKey, MOUNTS};

pub(crate) use zones::problems as zones;

/// Descriptors that the process needs besides those of connections: store, listeners, logs.
const DESCRIPTORS_SPARE: u64 = 256;

/// All that stands in the way of `config` on this machine. `data` is the folder of `--data`.
///
/// Ports that the process `own` holds are free for us: it is the server that already runs. Zones that are
/// read for it are kept in `ahead`.
pub(crate) fn machine(
    config: &Config,
    data: Option<&Path>,
    own: Option<u32>,
    ahead: Option<&mut ReadAhead>,
) -> Vec<Problem> {
    let mut problems = ports(config, own);
    let folder = first_run::data_folder(config, data);
    let at = match data {
        Some(_) => None,
        None => config.section("server").at("data"),
    };
    problems.extend(writable_folder(&folder, at));
    problems.extend(account(config.section("server")));
    problems.extend(files(config, ahead));
    problems.extend(descriptors(config));
    problems
}

/// The errors for which a server that runs would not put `config` in force, found before it touches
/// anything. Two of its doors on one port are among them: the system lets sockets of one process share
/// a port, and would give each connection to either.
pub(crate) fn reloading(config: &Config) -> Vec<Problem> {
    let mut problems = wanted_twice(&wanted(config));
    problems.extend(files(config, None));
    problems.retain(|problem| problem.severity == Severity::Error);
    problems
}

/// What is wrong with the files that `config` names.
fn files(config: &Config, ahead: Option<&mut ReadAhead>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for certificate in config.section("tls").tables("certificate") {
        problems.extend(usable(certificate, "chain", "key"));
    }
    problems.extend(sites(config.section("http")));
    problems.extend(forward(config));
    problems.extend(zones(config.section("dns"), |_| true, ahead));
    problems.extend(config::dns(config).err().map(|wrong| unfit(config, &wrong)));
    problems.extend(mail_values(config.section("mail")));
    problems.extend(dhcp_values(config.section("dhcp")));
    let (_, wrong) = RelayConfig::read(config.section("dhcp.relay"));
    problems.extend(wrong.into_iter().map(dhcp_value));
    problems
}

/// A value that only the name server could tell to be wrong.
fn unfit(config: &Config, wrong: &doorway_dns::config::Wrong) -> Problem {
    // The table with the longest name that the key begins with; what follows is a key of it, or a table
    // of many and a key of that.
    let mut tables = config.sections().filter_map(|(section, values)| {
        let rest = wrong.key.strip_prefix(section.name)?.strip_prefix('.')?;
        Some((section.name.len(), values.at(rest.split('.').next().unwrap_or(rest))))
    });
    let at = tables.by_ref().max_by_key(|(length, _)| *length).and_then(|(_, at)| at);
    error(at, format!("`{}` cannot be `{}`", wrong.key, wrong.value), wrong.fix)
}

/// Values that only mail could tell to be wrong.
fn mail_values(values: &Values) -> Vec<Problem> {
    let wrong = doorway_mail::config::Config::read(values).wrong().into_iter();
    let problem = |wrong: doorway_mail::config::WrongValue| {
        let at = values.at(wrong.key.split('.').next().unwrap_or(wrong.key));
        error(
            at,
            format!("`mail.{}` cannot be `{}`", wrong.key, wrong.value),
            format!("write {}", wrong.expected),
        )
    };
    wrong.map(problem).collect()
}

/// Values that only DHCP could tell to be wrong, and interfaces that are not there.
fn dhcp_values(values: &Values) -> Vec<Problem> {
    let (_, wrong) = doorway_dhcp::config::Config::read(values);
    let mut problems: Vec<Problem> = wrong.into_iter().map(dhcp_value).collect();
    for name in values.texts("interfaces") {
        if !Path::new("/sys/class/net").join(name).exists() {
            let what = format!("there is no interface `{name}`");
            let there = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
            let mut there: Vec<String> =
                there.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            there.sort();
            let fix = format!("DHCP waits for it; this machine has {}", there.join(", "));
            let at = values.at("interfaces").into();
            problems.push(Problem { severity: Severity::Warning, at, what, fix });
        }
    }
    problems
}

/// A value that only DHCP could tell to be wrong.
fn dhcp_value(wrong: WrongValue) -> Problem {
    error(wrong.at, format!("`{}` cannot be `{}`", wrong.key, wrong.value), wrong.fix)
}

/// A place to listen that the config asks for.
struct Wanted {
    door: &'static DoorKey,
    transport: Transport,
    socket: SocketAddr,
    at: Option<Range<usize>>,
}

fn ports(config: &Config, own: Option<u32>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let first_free_port = first_unprivileged_port();
    for door in DOORS.iter().filter(|door| opens(config, door)) {
        let values = config.section(door.table);
        for place in values.listen(door.key) {
            problems.extend(privileged(door, *place, first_free_port, values.at(door.key)));
        }
    }
    let wanted = wanted(config);
    problems.extend(wanted_twice(&wanted));
    for transport in [Transport::Tcp, Transport::Udp] {
        let listening = sockets::listening(transport);
        for one in wanted.iter().filter(|one| one.transport == transport) {
            let Some(held) = listening.iter().find(|held| held.is_in_the_way_of(one.socket)) else {
                continue;
            };
            let owner = sockets::owner(held.inode);
            if own.is_some() && owner.as_ref().map(|owner| owner.pid) == own {
                continue;
            }
            let (by, stop) = match owner {
                Some(owner) => {
                    (format!("`{}` (process {})", owner.name, owner.pid), format!("stop `{}`", owner.name))
                }
                None => ("another user's process".to_owned(), "stop it".to_owned()),
            };
            problems.push(error(
                one.at.clone(),
                format!("{} is in use: {by} listens on {}", one.name(), held.local),
                format!("{stop}, or give `{}` another port", one.door.path()),
            ));
        }
    }
    // A bare port is two sockets, and the same process is usually in the way of both.
    problems.dedup_by(|later, earlier| later.at == earlier.at && later.fix == earlier.fix);
    problems
}

fn wanted(config: &Config) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for door in DOORS.iter().filter(|door| opens(config, door)) {
        let values = config.section(door.table);
        let at = values.at(door.key);
        for place in values.listen(door.key) {
            for (transport, _) in door.transports {
                for socket in place.sockets() {
                    wanted.push(Wanted { door, transport: *transport, socket, at: at.clone() });
                }
            }
        }
    }
    wanted
}

/// Whether the part of this door serves at all.
fn opens(config: &Config, door: &DoorKey) -> bool {
    door.table != "mail.listen" || mail::is_on(config)
}

fn wanted_twice(wanted: &[Wanted]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, one) in wanted.iter().enumerate() {
        let ours = |other: &&Wanted| {
            let listening = sockets::Listening { local: other.socket, inode: 0 };
            other.transport == one.transport && listening.is_in_the_way_of(one.socket)
        };
        if let Some(other) = wanted[..index].iter().find(ours) {
            let (name, first, second) = (one.name(), other.door.path(), one.door.path());
            problems.push(error(
                one.at.clone(),
                format!("{name} is wanted twice, by `{first}` and by `{second}`"),
                "give one of them another port",
            ));
        }
    }
    problems
}

impl Wanted {
    fn name(&self) -> String {
        format!("{} port {}", self.transport.name(), self.socket.port())
    }
}

fn privileged(
    door: &DoorKey,
    place: Listen,
    first_free_port: u16,
    at: Option<Range<usize>>,
) -> Option<Problem> {
    if place.port == 0 || place.port >= first_free_port || may_bind_any_port() {
        return None;
    }
    Some(error(
        at,
        format!("`{}` asks for port {}, which this user may not open", door.path(), place.port),
        format!("start as root and set `server.user`, or take a port from {first_free_port} up"),
    ))
}

fn first_unprivileged_port() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    text.trim().parse().unwrap_or(1024)
}

/// Whether this process has CAP_NET_BIND_SERVICE.
fn may_bind_any_port() -> bool {
    const CAP_NET_BIND_SERVICE: u64 = 1 << 10;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .is_some_and(|set| set & CAP_NET_BIND_SERVICE != 0)
}

/// Says why the server could not write into `folder`, made or not.
fn writable_folder(folder: &Path, at: Option<Range<usize>>) -> Option<Problem> {
    let fix = "choose another with `server.data` or --data, or change its owner or mode";
    // A folder that is not there yet will be made in the nearest one above it that is.
    let there =
        folder.ancestors().find(|path| path.as_os_str().is_empty() || path.symlink_metadata().is_ok());
    let there = there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !there.is_dir() {
        let what =
            format!("the data folder {} cannot be: {} is no folder", folder.display(), there.display());
        return Some(error(at, what, fix));
    }
    let why = rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK).err()?;
    let why = std::io::Error::from(why);
    Some(error(
        at,
        format!("the data folder {} cannot be written: {}: {why}", folder.display(), there.display()),
        fix,
    ))
}

/// Says why the server could not become `server.user`.
fn account(server: &Values) -> Option<Problem> {
    let user = server.optional("user", Values::text)?;
    match privileges::has_account(user) {
        Ok(true) => None,
        Ok(false) => Some(error(
            server.at("user"),
            format!("there is no user `{user}` on this system"),
            "name an account that exists, or make it: `useradd --system --no-create-home NAME`",
        )),
        Err(why) => Some(error(server.at("user"), why.to_string(), "")),
    }
}

/// What is wrong with the sites of the web server: what they say, their folders and their certificates.
fn sites(http: &Values) -> Vec<Problem> {
    let mut problems: Vec<_> =
        doorway_http::config::check::wrongs(http, MOUNTS).into_iter().map(config::problem).collect();
    problems.extend(served_folder(http));
    for site in http.tables("site") {
        problems.extend(served_folder(site));
        problems.extend(site.tables("route").iter().filter_map(served_folder));
        if site.value("certificate").is_some() && site.value("certificate_key").is_some() {
            problems.extend(usable(site, "certificate", "certificate_key"));
        }
    }
    problems
}

/// What is wrong with the forward proxy.
fn forward(config: &Config) -> Vec<Problem> {
    let caches = config.section("http").tables("cache").iter().filter(|cache| cache.is_complete());
    let caches: Vec<&str> = caches.map(|cache| cache.text("name")).collect();
    let wrongs = doorway_http::config::check::forward_wrongs(config.section("http.forward"), &caches);
    wrongs.into_iter().map(config::problem).collect()
}

/// Says why the folder of a table could not be served.
fn served_folder(values: &Values) -> Option<Problem> {
    let root = values.optional("root", Values::path)?;
    let why = Root::open(root, Symlinks::default()).err()?;
    Some(error(values.at("root"), why.to_string(), "name a folder that this user may read"))
}

/// Says why the certificate of a table, named by its keys, could not be shown to clients.
fn usable(certificate: &Values, chain_key: &str, private_key: &str) -> Option<Problem> {
    let (chain, key) = (certificate.path(chain_key), certificate.path(private_key));
    let why = Certificates::default().add_files(&[], chain, key).err()?;
    let to_blame = match &why {
        doorway_net::Error::File { path, .. } if path == chain => chain_key,
        _ => private_key,
    };
    Some(error(
        certificate.at(to_blame),
        why.to_string(),
        "name PEM files that this user may read and that belong together; relative paths start at the config file's folder",
    ))
}

/// The default is no promise, and running out of descriptors is survived: only a written key warns.
fn descriptors(config: &Config) -> Option<Problem> {
    let limits = config.section("limits");
    let at = limits.at("connections")?;
    let wanted = limits.count("connections") as u64 + DESCRIPTORS_SPARE;
    let allowed = getrlimit(Resource::Nofile).maximum?;
    (allowed < wanted).then(|| Problem {
        severity: Severity::Warning,
        at: At::Config(at),
        what: format!("this process may open {allowed} descriptors, too few for `limits.connections`"),
        fix: format!(
            "raise the limit to {wanted} (`ulimit -Hn`, or LimitNOFILE in the unit), or lower the key"
        ),
    })
}

fn error(at: Option<Range<usize>>, what: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem { severity: Severity::Error, at: at.into(), what: what.into(), fix: fix.into() }
}
