//! `doorway up`: starts everything, says what is open, serves until told to stop.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorway_base::Trace;
use doorway_dns::io::ReadAhead;
use doorway_http::io::cache::Caches;
use doorway_http::io::proxy::Proxies;
use doorway_net::os::Runtime;
use doorway_net::signals::{Asked, Signals};
use doorway_net::systemd::{self, Inherited};
use doorway_net::{BoxFuture, World, memory, privileges};
use doorway_store::{Embedded, Store, wait};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{configured, tell, worst};
use crate::accounts;
use crate::beat;
use crate::check;
use crate::cli::{Options, UpArgs};
use crate::config::{Config, Problem, Severity, find, render};
use crate::control::{self, Client, Control, Program};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;
use crate::log;
use crate::logins::Logins;
use crate::screen::{BOLD, DIM, GREEN, PLAIN, Screen, YELLOW};
use crate::storage;
use crate::wiring::Services;

/// Keys that only a restart puts in force.
const AFTER_RESTART: [(&str, &str); 10] = [
    ("server", "data"),
    ("server", "workers"),
    ("server", "user"),
    ("trace", "record"),
    ("http.sessions", "idle"),
    ("http.sessions", "absolute"),
    ("http.sessions", "max"),
    ("http.login", "path"),
    ("http.login", "cleartext"),
    ("auth", "guesses_max"),
];

/// Starts the services and serves until a signal says stop.
pub(super) fn up(options: &Options, arguments: &UpArgs, screen: &mut Screen) -> Result<Exit, Failure> {
    // Descriptors that the service manager passed are known by number: take them before any is opened.
    let inherited = Inherited::from_environment();
    memory::give_large_blocks_back();
    // Before any thread is started: it is each thread's own.
    privileges::forbid_new().map_err(|error| Failure::new(error.to_string()))?;
    let Some(config) = configured(options, screen)? else { return Ok(Exit::Wrong) };
    let level = log::start(config.section("log"));
    let data = first_run::data_folder(&config, options.data.as_deref());
    alone(&data)?;
    let mut zones = ReadAhead::default();
    if inherited.is_empty() {
        let problems = check::machine(&config, options.data.as_deref(), None, Some(&mut zones));
        let errors: Vec<_> = problems.into_iter().filter(|p| p.severity == Severity::Error).collect();
        if worst(&errors).is_some() {
            tell(&config, &errors, screen);
            return Ok(Exit::Failed);
        }
    }
    first_run::make_data_folder(&data)?;
    let _ = privileges::raise_descriptor_limit();
    let server = config.section("server");
    let trace = if config.section("trace").bool("record") { Trace::recording() } else { Trace::off() };
    let workers = server.count("workers");
    let runtime = Runtime::start_at("doorway", workers, trace, inherited, arguments.date())
        .map_err(|error| Failure::new(error.to_string()))?;
    let world = runtime.world().clone();
    let clock = world.clone();
    let store = storage::open(&config, &data, Some(Arc::new(move || clock.now())))?;
    let users = Arc::new(storage::users(&config, Arc::clone(&store))?);
    let logins = Logins::open(&world, &config, Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&users))?;
    let services = Services::start(&world, &config, &data, Arc::clone(&store), logins.clone(), zones)?;
    let running = Arc::new(Running {
        options: options.clone(),
        data: data.clone(),
        started: Arc::new(config.clone()),
        config: Arc::new(Mutex::new(config.clone())),
        services: Arc::clone(&services),
        level,
    });
    let socket = control::bind(&data)?;
    let program = Arc::clone(&running) as Arc<dyn Program>;
    let handler = Control::new(
        world.clone(),
        program,
        Arc::clone(&users),
        Arc::clone(&store),
        Arc::clone(&logins.sessions),
    );
    services.open_control(socket, Arc::new(handler));
    become_user(&config, &data)?;
    // Whoever reads that the server is up may stop it at once.
    let signals = runtime
        .block_on(async { Signals::listen() })
        .unwrap_or_else(|| Err(std::io::Error::other("the runtime has ended")))
        .map_err(|error| Failure::new("cannot listen to signals").why(error))?;
    // Only now that nothing else can fail: the password is shown once.
    let password = wait(accounts::first_admin(&users, world.wall()))?;
    show(&config, &services, password.as_deref(), &data, screen);
    beat::start(&world, &services);
    if let Err(error) = systemd::notify("READY=1") {
        tracing::warn!(%error, "the service manager could not be told");
    }
    let ended = runtime
        .block_on(serve(world, running, signals))
        .ok_or_else(|| Failure::new("the server broke off; the log tells where"))?;
    let sending = Arc::clone(&services);
    let _ = runtime.block_on(async move { sending.mail().close().await });
    let (ending, clock) = (Arc::clone(&services), runtime.world().clone());
    let _ = runtime.block_on(async move { ending.agents().close(&clock).await });
    services.dhcp().close();
    services.keep_access_log();
    services.keep_cache();
    services.close_caches();
    drop(runtime);
    control::unbind(&data);
    close(&store)?;
    if ended > 0 {
        let connections = if ended == 1 { "connection was" } else { "connections were" };
        screen.note(format!("{YELLOW}stopped{PLAIN}  {ended} {connections} still open and ended"));
    } else {
        screen.note(format!("{GREEN}stopped{PLAIN}"));
    }
    Ok(Exit::Done)
}

/// Refuses a data folder on which a server runs already: told here, it is one message and not one for
/// each port that the other one holds.
fn alone(data: &std::path::Path) -> Result<(), Failure> {
    let other = if data.is_dir() { Client::find(data)? } else { None };
    let Some(other) = other else { return Ok(()) };
    let pid = &other.ask("GET", "/v1/status", None)?["pid"];
    Err(Failure::new(format!("the data folder {} is in use by process {pid}", data.display()))
        .why("a server runs on it already")
        .fix("stop that process, or use another data folder (--data)"))
}

/// What is left in memory goes to the disk, so that the next start has nothing to replay.
fn close(store: &Embedded) -> Result<(), Failure> {
    store
        .flush()
        .wait()
        .map(drop)
        .map_err(|error| Failure::new(format!("the store did not close cleanly: {error}")))
}

fn become_user(config: &Config, data: &std::path::Path) -> Result<(), Failure> {
    let Some(user) = config.section("server").optional("user", |values, key| values.text(key)) else {
        return Ok(());
    };
    if !privileges::is_root() {
        return Err(Failure::new(format!("cannot become the user `{user}`"))
            .why("only root can change its user")
            .fix("start as root, or take `server.user` out"));
    }
    let told = |error: doorway_net::Error| Failure::new(error.to_string());
    privileges::give_all_to(user, data).map_err(told)?;
    privileges::drop_to(user).map_err(told)
}

fn show(
    config: &Config,
    services: &Services,
    password: Option<&str>,
    data: &std::path::Path,
    screen: &mut Screen,
) {
    let doors = services.doors();
    if screen.is_json() {
        screen.document(&json!({
            "event": "started",
            "doors": doors.iter().map(first_run::OpenDoor::document).collect::<Vec<_>>(),
            "admin_password": password,
        }));
        return;
    }
    let from = config.source.as_ref().map_or_else(
        || "built-in defaults (`doorway init` writes a config to change)".to_owned(),
        |source| source.path().display().to_string(),
    );
    screen.line(format!("{BOLD}doorway {}{PLAIN} is up", env!("CARGO_PKG_VERSION")));
    screen.line(format!("{DIM}config{PLAIN}  {from}"));
    screen.line(format!("{DIM}data{PLAIN}    {}\n", data.display()));
    screen.table(&first_run::doors(&doors, zone(config)));
    if let Some(password) = password {
        screen.line(format!(
            "\nUser {BOLD}admin{PLAIN} was made with the password {BOLD}{password}{PLAIN}\n\
             {DIM}It is shown this once; `doorway user passwd admin` makes another.{PLAIN}"
        ));
    }
    screen.line(format!(
        "\n{DIM}`doorway status`, `doorway sockets` and `doorway trace` show what goes on. Ctrl-C stops.{PLAIN}"
    ));
}

/// A zone that is served, to ask for.
fn zone(config: &Config) -> &str {
    let dns = config.section("dns");
    dns.tables("zone").first().map_or_else(|| dns.text("local_domain"), |zone| zone.text("name"))
}

/// Waits for the signal to stop and drains. Returns how many connections had to be ended.
async fn serve(world: World, running: Arc<Running>, mut signals: Signals) -> u64 {
    while signals.next().await == Asked::Reload {
        match running.reload().await {
            Ok(told) => tracing::info!(changed = %told["changed"], "reloaded"),
            Err(failure) => tracing::error!("not reloaded: {failure}"),
        }
    }
    let _ = systemd::notify("STOPPING=1");
    let deadline = world.now() + running.drain();
    let drain_world = world.clone();
    tokio::select! {
        biased;
        ended = drain_world.doors().drain(&world, deadline) => ended,
        () = stop_again(&mut signals) => world.doors().end_all(),
    }
}

async fn stop_again(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

/// The program as the control socket sees it. Clones are the same program.
#[derive(Clone)]
struct Running {
    options: Options,
    data: PathBuf,
    /// The config that the server was started with: what needs a restart is still as it says.
    started: Arc<Config>,
    config: Arc<Mutex<Config>>,
    services: Arc<Services>,
    level: log::Level,
}

impl Running {
    fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self) -> Duration {
        self.config().section("server").duration("drain")
    }

    fn reload_now(&self) -> Result<Value, Failure> {
        let (new, problems) = Config::read(find(self.options.config.as_deref())?);
        let refused = |problems: &[Problem]| {
            Failure::new("the config has errors, so the one in force stays")
                .why(render(new.source.as_ref(), problems))
                .exit(Exit::Wrong)
        };
        if worst(&problems) == Some(Severity::Error) {
            return Err(refused(&problems));
        }
        // All of it before any of it: what can be known to fail must not leave half a config in force.
        let problems = check::reloading(&new);
        if !problems.is_empty() {
            return Err(refused(&problems));
        }
        let mut changed = self.services.reload(&new)?;
        changed.extend(self.services.reopen_folders()?);
        let mut in_force = self.config();
        let mut after_restart = Vec::new();
        for (table, key) in AFTER_RESTART {
            if new.section(table).value(key) != self.started.section(table).value(key) {
                after_restart.push(format!("{table}.{key}"));
            }
        }
        if new.section("log").text("level") != in_force.section("log").text("level") {
            self.level.read(new.section("log"));
            changed.push(format!("log.level: {}", new.section("log").text("level")));
        }
        if new.section("server").duration("drain") != in_force.section("server").duration("drain") {
            changed.push("server.drain".to_owned());
        }
        *in_force = new;
        Ok(json!({ "changed": changed, "after_restart": after_restart }))
    }
}

impl Program for Running {
    fn files(&self) -> (Option<String>, String) {
        let source = self.config().source.as_ref().map(|source| source.path().display().to_string());
        (source, self.data.display().to_string())
    }

    fn web_server(&self) -> Option<(Arc<doorway_http::Server>, Arc<Proxies>)> {
        Some(self.services.web_server())
    }

    fn caches(&self) -> Caches {
        self.services.caches()
    }

    fn office(&self) -> Option<Arc<doorway_mail::io::Office>> {
        Some(self.services.mail().serving()?.office)
    }

    fn dhcp(&self) -> Option<Arc<crate::dhcp::DhcpPart>> {
        Some(Arc::clone(self.services.dhcp()))
    }

    fn clients(&self) -> Vec<doorway_dhcp::io::ClientHandle> {
        self.services.agents().clients()
    }

    fn name_server(&self) -> Option<Arc<doorway_dns::Server>> {
        Some(self.services.name_server())
    }

    fn reload(&self) -> BoxFuture<'_, Result<Value, Failure>> {
        // Reading large zones takes a while, and a worker has connections to serve meanwhile.
        let (send, receive) = oneshot::channel();
        let this = self.clone();
        // A thread of its own: signals and the watchdog must not wait either.
        std::thread::spawn(move || send.send(this.reload_now()));
        Box::pin(async move {
            receive.await.unwrap_or_else(|_| Err(Failure::new("the reload broke off; the log tells why")))
        })
    }
}
