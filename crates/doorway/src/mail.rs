//! Mail as a part of the program: the office behind the doors, the queue, the mailboxes, and what the config says
//! about them.

use core::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::UnixTime;
use doorway_base::config::{Cidr, Listen, Secret};
use doorway_mail::MessageIds;
use doorway_mail::address::Domain;
use doorway_mail::config::{Config as MailConfig, ListenConfig, QueueConfig, RouteConfig, TlsDemand};
use doorway_mail::io::{
    Bodies, DoorSetup, Mailboxes, Means, Office, Pop3Options, Pop3Server, Queue, QueueOptions, Quota,
    Returns, SmtpClient, SmtpCounters, SmtpParts, SmtpServer, Way, queue::Server as WayServer,
};
use doorway_mail::queue::dispatch::Bounds;
use doorway_mail::queue::route::{Ourselves, Routes};
use doorway_mail::queue::schedule::Schedule;
use doorway_mail::smtp::session::Options as SmtpOptions;
use doorway_mail::smtp::{Credentials, Dialect, Security, Settings as Talk};
use doorway_net::limits::TcpLimits;
use doorway_net::proxy_protocol::ProxySources;
use doorway_net::resolve::Resolve;
use doorway_net::tcp::{self, TcpDoor, TcpOptions, TcpService};
use doorway_net::tls::{TlsAcceptor, TlsDialler};
use doorway_net::{Listener, World};
use doorway_store::{Blobs, Embedded, LoginGate, Store, User, wait};

use crate::config::Config;
use crate::failure::Failure;
use crate::storage;

/// How often content that nobody refers to any more is looked for.
const COLLECT_EVERY: Duration = Duration::from_secs(3600);
/// The port on which TLS is spoken from the start (RFC 8314 §3.3).
const SUBMISSIONS_PORT: u16 = 465;

/// What mail asks of the rest of the program.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) world: World,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) names: Arc<dyn Resolve>,
    pub(crate) gate: Arc<LoginGate>,
    /// Names for messages, kept over reloads.
    pub(crate) ids: Arc<MessageIds>,
    /// The certificates of the doors that begin with TLS, and of STARTTLS.
    pub(crate) tls: Arc<TlsAcceptor>,
}

/// What the config says about mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    config: MailConfig,
    listen: ListenConfig,
    queue: QueueConfig,
    /// Domains kept here, in ASCII; without any there is no mail.
    pub(crate) domains: Vec<String>,
    pub(crate) hostname: String,
    limits: TcpLimits,
    proxies: ProxySources,
}

/// Whether there is mail: somebody named domains, or did not say that there are none.
pub(crate) fn is_on(config: &Config) -> bool {
    config.section("mail").optional("domains", |values, name| !values.texts(name).is_empty()).unwrap_or(true)
}

impl Settings {
    /// Reads the tables of mail.
    pub(crate) fn read(config: &Config, limits: TcpLimits, proxies: ProxySources) -> Self {
        let mail = MailConfig::read(config.section("mail"));
        let local = || vec![config.section("dns").text("local_domain").to_owned()];
        let written = mail.domains.clone().unwrap_or_else(local);
        let ascii = |domain: &String| Domain::parse(domain).ok().and_then(|domain| domain.ascii());
        let domains: Vec<String> = written.iter().filter_map(ascii).collect();
        let first = domains.first().map_or("localhost", String::as_str);
        let hostname = mail.hostname.clone().unwrap_or_else(|| format!("mail.{first}"));
        Self {
            listen: ListenConfig::read(config.section("mail.listen")),
            queue: QueueConfig::read(config.section("mail.queue")),
            config: mail,
            domains,
            hostname,
            limits,
            proxies,
        }
    }

    /// The services that clients look for by SRV records, the best first, with the port where there is one.
    pub(crate) fn services(&self) -> [(&'static str, Option<u16>); 4] {
        let listen = &self.listen;
        let port = |places: &[Listen]| places.first().map(|place| place.port);
        [
            ("submissions", port(&listen.submissions)),
            ("submission", port(&listen.submission)),
            ("pop3s", port(&listen.pop3s)),
            ("pop3", port(&listen.pop3)),
        ]
    }

    /// What may be held and sent on, without the doors.
    pub(crate) fn quota(&self) -> Quota {
        let (octets, messages) = self.config.quota;
        Quota { octets, messages }
    }
}

/// Mail that serves.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) office: Arc<Office>,
    pub(crate) pop3: Arc<Pop3Server>,
    pub(crate) smtp: Arc<SmtpCounters>,
    doors: Vec<(&'static str, TcpDoor)>,
}

impl Serving {
    /// Whether every door takes newcomers.
    pub(crate) fn is_ready(&self) -> bool {
        self.doors.iter().all(|(_, door)| !door.door().is_closing())
    }
}

/// Mail, when there is any.
pub(crate) struct MailPart {
    around: Surroundings,
    state: Mutex<(Option<Settings>, Option<Serving>)>,
}

impl MailPart {
    /// Nothing yet. From now on content that nobody refers to is collected.
    pub(crate) fn new(around: Surroundings) -> Self {
        let (blobs, world) = (Arc::clone(&around.blobs), around.world.clone());
        around.world.spawn_background("mail", async move {
            loop {
                world.sleep(COLLECT_EVERY).await;
                if let Err(error) = blobs.collect(world.wall()).await {
                    tracing::warn!(%error, "content that nobody refers to could not be collected");
                }
            }
        });
        Self { around, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, (Option<Settings>, Option<Serving>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What serves now.
    pub(crate) fn serving(&self) -> Option<Serving> {
        self.state().1.clone()
    }

    /// Serves by these settings from now on. Returns whether anything changed.
    ///
    /// Blocks while messages on their way are waited for: not for a worker.
    pub(crate) fn set(&self, new: Settings) -> Result<bool, Failure> {
        if self.state().0.as_ref() == Some(&new) {
            return Ok(false);
        }
        let before = self.serving();
        if new.domains.is_empty() {
            *self.state() = (Some(new), None);
            let stopped = before.is_some();
            before.iter().for_each(|old| self.stop(old));
            return Ok(stopped);
        }
        // The new doors are open before the old ones close; the queue of the old stops before the new one begins,
        // because a message must not be sent by both.
        let serving = self.start(&new, before.as_ref())?;
        *self.state() = (Some(new), Some(serving.clone()));
        before.iter().for_each(|old| self.stop(old));
        let office = Arc::clone(&serving.office);
        serving.office.queue().start(office as Arc<dyn Returns>);
        Ok(true)
    }

    fn stop(&self, old: &Serving) {
        old.doors.iter().for_each(|(_, door)| door.close());
        let (queue, closed) =
            (old.office.queue().clone(), Arc::new((Mutex::new(false), std::sync::Condvar::new())));
        let told = Arc::clone(&closed);
        self.around.world.spawn_background("mail", async move {
            queue.close().await;
            *told.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            told.1.notify_all();
        });
        let mut done = closed.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*done {
            done = closed.1.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stops sending, after the messages that are on their way.
    pub(crate) async fn close(&self) {
        let serving = self.serving();
        if let Some(serving) = serving {
            serving.office.queue().close().await;
        }
    }

    fn start(&self, new: &Settings, before: Option<&Serving>) -> Result<Serving, Failure> {
        let Surroundings { world, gate, tls, .. } = &self.around;
        let office = office(&self.around, new)?;
        let smtp = before.map_or_else(Arc::default, |before| Arc::clone(&before.smtp));
        let parts = SmtpParts {
            intake: Arc::clone(&office) as _,
            gate: Some(Arc::clone(gate)),
            tls: Some(Arc::clone(tls)),
            counters: Arc::clone(&smtp),
        };
        let options = Pop3Options {
            tls: Some(Arc::clone(tls)),
            clear_passwords: new.config.cleartext,
            domains: new.domains.clone(),
        };
        let pop3 = Arc::new(Pop3Server::new(Arc::clone(office.mailboxes()), Arc::clone(gate), options));
        let mut doors = Doors { world, settings: new, open: Vec::new() };
        let opened = (|| {
            for (key, dialect, submission, implicit) in [
                ("smtp", Dialect::Smtp, false, false),
                ("submission", Dialect::Smtp, true, false),
                ("submissions", Dialect::Smtp, true, true),
                ("lmtp", Dialect::Lmtp, false, false),
            ] {
                let server = Arc::new(SmtpServer::new(new.door(dialect, submission), parts.clone()));
                let mut options = server.tcp_options(key);
                options.tls = implicit.then(|| Arc::clone(tls));
                doors.open(key, options, &server)?;
            }
            for (key, implicit) in [("pop3", false), ("pop3s", true)] {
                doors.open(key, pop3.tcp_options(implicit), &pop3)?;
            }
            if let Some(path) = &new.listen.lmtp_socket {
                let server = Arc::new(SmtpServer::new(new.door(Dialect::Lmtp, false), parts.clone()));
                doors.open_unix(path, server.tcp_options("lmtp"), &server)?;
            }
            Ok(())
        })();
        let doors = doors.open;
        if let Err(failure) = opened {
            doors.iter().for_each(|(_, door)| door.close());
            return Err(failure);
        }
        Ok(Serving { office, pop3, smtp, doors })
    }

    /// Its doors, for the table that `up` prints.
    pub(crate) fn locals(&self) -> Vec<(&'static str, SocketAddr)> {
        let serving = self.serving();
        let doors = serving.iter().flat_map(|serving| &serving.doors);
        doors.filter_map(|(key, door)| Some((*key, door.local()?))).collect()
    }
}

/// Doors while they are opened.
struct Doors<'s> {
    world: &'s World,
    settings: &'s Settings,
    open: Vec<(&'static str, TcpDoor)>,
}

impl Doors<'_> {
    fn open<S: TcpService>(
        &mut self,
        key: &'static str,
        options: TcpOptions,
        service: &Arc<S>,
    ) -> Result<(), Failure> {
        let options = self.settings.bounded(options);
        let listen = self.settings.listen_of(key);
        for address in listen.iter().flat_map(|listen| self.world.addresses(listen)) {
            let opened = tcp::serve(self.world, address, &options, service);
            let told = |error: doorway_net::Error| Failure::new(error.to_string()).fix(error.advice());
            self.open.push((key, opened.map_err(told)?));
        }
        Ok(())
    }

    fn open_unix<S: TcpService>(
        &mut self,
        path: &Path,
        options: TcpOptions,
        service: &Arc<S>,
    ) -> Result<(), Failure> {
        // What a process left that was killed; anything but a socket is somebody else's.
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            let _ = std::fs::remove_file(path);
        }
        let told = |error: std::io::Error| Failure::file("open the socket", path, &error);
        let listener = UnixListener::bind(path).map_err(told)?;
        listener.set_nonblocking(true).map_err(told)?;
        let options = self.settings.bounded(options);
        let door = tcp::open(self.world, vec![Listener::Unix(listener)], &options, service);
        self.open.push(("lmtp_socket", door));
        Ok(())
    }
}

impl Settings {
    fn listen_of(&self, key: &str) -> &[Listen] {
        let listen = &self.listen;
        match key {
            "smtp" => &listen.smtp,
            "submission" => &listen.submission,
            "submissions" => &listen.submissions,
            "lmtp" => &listen.lmtp,
            "pop3" => &listen.pop3,
            _ => &listen.pop3s,
        }
    }

    /// The bounds of a door: those of mail, and for the rest those of all doors.
    fn bounded(&self, options: TcpOptions) -> TcpOptions {
        let TcpLimits { idle, first_octet, .. } = options.limits;
        let limits = TcpLimits {
            idle,
            first_octet,
            connections: self.config.connections_max as u64,
            connections_per_address: u32::try_from(self.config.connections_per_address).unwrap_or(u32::MAX),
            ..self.limits.clone()
        };
        TcpOptions { limits, proxies: self.proxies.clone(), ..options }
    }

    fn door(&self, dialect: Dialect, submission: bool) -> DoorSetup {
        let config = &self.config;
        let bound = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let first = self.domains.first().and_then(|domain| Domain::parse(domain).ok());
        let plain = SmtpOptions::new(&self.hostname, dialect);
        let options = SmtpOptions {
            submission,
            starttls: true,
            // Servers send to port 25, users to the doors for submission (RFC 8314 §3.3).
            auth: submission,
            auth_required: false,
            octets_max: config.size_octets_max,
            recipients_max: bound(config.recipients_max),
            messages_max: bound(config.messages_max),
            errors_max: bound(config.errors_max),
            command_wait: config.idle,
            data_wait: config.data_timeout,
            postmaster_domain: first.unwrap_or_else(|| plain.postmaster_domain.clone()),
            ..plain
        };
        let everybody = [IpAddr::from([0; 4]), IpAddr::from([0_u8; 16])];
        let normalize = match config.normalize {
            true => everybody.iter().filter_map(|any| Cidr::new(*any, 0)).collect(),
            false => config.normalize_networks.clone(),
        };
        DoorSetup {
            normalize,
            clear_passwords: config.cleartext,
            domains: self.domains.clone(),
            ..DoorSetup::new(options)
        }
    }

    fn queue_options(&self, world: &World) -> Result<QueueOptions, Failure> {
        let mut routes = Routes::default();
        for route in &self.config.routes {
            routes.add(&route.domain, way(route, &self.hostname)?);
        }
        let listen = self.listen.smtp.iter().flat_map(|listen| world.addresses(listen));
        let ours = listen.filter(|address| address.port() == self.queue.port).map(|address| address.ip());
        Ok(QueueOptions {
            routes,
            ourselves: Ourselves {
                names: vec![self.hostname.to_ascii_lowercase()],
                addresses: ours.filter(|address| !address.is_unspecified()).collect(),
            },
            port: self.queue.port,
            security: security(self.queue.tls),
            messages_per_connection: u32::try_from(self.queue.messages_per_connection).unwrap_or(u32::MAX),
            bounds: Bounds {
                connections: self.queue.connections_max,
                connections_per_destination: self.queue.connections_per_destination,
                ..Bounds::default()
            },
            schedule: Schedule { delay_notice: self.queue.delay_notice, give_up: self.queue.give_up },
            ..QueueOptions::new(&self.hostname)
        })
    }
}

/// The office as the settings have it, whose queue does not send yet.
///
/// # Errors
/// When the authorities that the system trusts cannot be read.
pub(crate) fn office(around: &Surroundings, settings: &Settings) -> Result<Arc<Office>, Failure> {
    let Surroundings { world, store, blobs, names, gate, ids, .. } = around;
    let bodies = Bodies::new(Arc::clone(store), Arc::clone(blobs));
    let dialler = TlsDialler::new(None, &[]);
    let dialler = dialler.map_err(|error| Failure::new(error.to_string()).fix(error.advice()))?;
    let client = SmtpClient::new(world, Arc::new(dialler));
    let queue = Queue::new(world, bodies.clone(), client, Arc::clone(names), settings.queue_options(world)?);
    let mailboxes = Arc::new(Mailboxes::new(bodies, settings.quota()));
    let means = Means { users: Arc::clone(gate.users()), mailboxes, queue, ids: Arc::clone(ids) };
    Ok(Office::start(world, means, &settings.config, &settings.domains, &settings.hostname))
}

/// A source of names for new messages of a store.
///
/// # Errors
/// When the store has trouble.
pub(crate) fn ids(store: &Arc<dyn Store>, blobs: &Arc<dyn Blobs>) -> Result<Arc<MessageIds>, Failure> {
    let last = wait(Bodies::new(Arc::clone(store), Arc::clone(blobs)).last());
    let last = last.map_err(|error| storage::failure("cannot read the messages", error))?;
    Ok(Arc::new(MessageIds::above(last)))
}

/// The mailboxes of a store, for a command that holds it.
///
/// # Errors
/// When the folder of long messages cannot be used.
pub(crate) fn mailboxes(store: &Arc<Embedded>) -> Result<Mailboxes, Failure> {
    let blobs = store.blobs(1).map_err(|error| storage::failure("cannot open the store's content", error))?;
    let bodies = Bodies::new(Arc::clone(store) as Arc<dyn Store>, Arc::new(blobs));
    Ok(Mailboxes::new(bodies, Quota::default()))
}

/// Removes the mail of a user who is gone.
///
/// # Errors
/// When the store has trouble.
pub(crate) async fn remove_account(mailboxes: &Mailboxes, user: &User, now: UnixTime) -> Result<(), Failure> {
    let told = |error: String| Failure::new(format!("cannot remove the mail of `{}`", user.name)).why(error);
    let account = mailboxes.open_account(user.id, now).await.map_err(|error| told(error.to_string()))?;
    mailboxes.remove_account(&account).await.map_err(|error| told(error.to_string()))
}

fn security(demand: TlsDemand) -> Security {
    match demand {
        TlsDemand::None => Security::Never,
        TlsDemand::Opportunistic => Security::Opportunistic,
        TlsDemand::Required => Security::Required,
        TlsDemand::Verified => Security::Verified,
    }
}

fn way(route: &RouteConfig, hostname: &str) -> Result<Way, Failure> {
    let is_local = route.host == "localhost"
        || route.host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    let credentials = match &route.user {
        Some((name, secret)) => Some(Credentials { name: name.clone(), password: reveal(secret)? }),
        None => None,
    };
    Ok(Way {
        server: WayServer::Host(route.host.clone(), route.port),
        settings: Talk {
            dialect: if route.lmtp { Dialect::Lmtp } else { Dialect::Smtp },
            security: security(route.tls),
            implicit_tls: route.port == SUBMISSIONS_PORT && route.tls != TlsDemand::None,
            credentials,
            clear_password: is_local,
            ..Talk::new(hostname)
        },
    })
}

/// A secret itself.
fn reveal(secret: &Secret) -> Result<String, Failure> {
    match secret {
        Secret::Literal(text) => Ok(text.clone()),
        Secret::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(Failure::file("read the secret", path, &error)),
        },
        Secret::Env(name) => std::env::var(name)
            .map_err(|error| Failure::new(format!("cannot read the environment variable {name}")).why(error)),
    }
}
