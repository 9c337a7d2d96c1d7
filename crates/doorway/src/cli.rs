//! The command line: what may be typed, and its help.

mod dhcp;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use doorway_base::UnixTime;
use doorway_base::config::units;
use doorway_base::trace::Filter;

use crate::exit;
use crate::services::SECTIONS;

pub(crate) use dhcp::{ClientArgs, DhcpCommand, DiscoverArgs, LeasesArgs, ReserveArgs};

/// One program that serves DNS and HTTP. Without a command it is `doorway up`.
#[derive(Debug, Parser)]
#[command(name = "doorway", version, about, after_help = exit::HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Config file [default: $DOORWAY_CONFIG, ./doorway.toml, /etc/doorway/doorway.toml, or none]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder, before `server.data` [default: /var/lib/doorway for root, else ./doorway-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the services and serve until told to stop
    Up(UpArgs),
    /// Read the config, look at ports, folders and limits, and tell everything that is wrong
    Check {
        /// Count warnings as failure (exit code 1)
        #[arg(long)]
        strict: bool,
    },
    /// Write a doorway.toml with every key, commented
    Init {
        /// Where to write it; it must not exist yet
        #[arg(value_name = "FILE", default_value = crate::config::FILE_NAME)]
        file: PathBuf,
    },
    /// Look at the config
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Users and their passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Sessions of people at a browser
    #[command(subcommand)]
    Session(SessionCommand),
    /// Which services run, on which doors, since when
    Status,
    /// Every open door and connection of the running server
    Sockets,
    /// Follow the messages that go in and out
    Trace(TraceArgs),
    /// Read the config again; connections that it does not concern stay open
    Reload,
    /// The store: users, sessions and what the protocols keep
    #[command(subcommand)]
    Store(StoreCommand),
    /// Ask name servers, with the words and the output of BIND's dig
    #[command(after_help = DIG_HELP)]
    Dig {
        /// [@SERVER] NAME [TYPE] [CLASS] [-x ADDRESS] [-p PORT] [-y KEY] [+tcp] [+tls] [+trace] [+short] …
        #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Ask a name server about a name, once or in a conversation, as BIND's nslookup does
    Nslookup {
        /// [-OPTION…] [NAME [SERVER]]; without a name it reads commands, and `help` lists them
        #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Resolve a name, tell who knew it, and send it echoes
    Ping(PingArgs),
    /// The name server that runs: its cache, its zones, and how it finds an answer
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Mail: what is queued, what is in mailboxes, what became of a message
    #[command(subcommand)]
    Mail(MailCommand),
    /// HTTP: fetch and send, serve a folder, take messages apart
    #[command(subcommand)]
    Http(HttpCommand),
    /// The servers that requests are handed on to
    #[command(subcommand)]
    Proxy(ProxyCommand),
    /// The caches of the web server: how full they are, what they have, what they should forget
    #[command(subcommand)]
    Cache(WebCacheCommand),
    /// URLs: coded, decoded, taken apart
    #[command(subcommand)]
    Url(UrlCommand),
    /// Addresses of this host: /all tells where they come from, /renew and /release change leases. Of the name
    /// server's cache: /displaydns, /flushdns
    Ipconfig {
        /// /all, /release, /renew, /displaydns or /flushdns
        #[arg(value_name = "WHAT", allow_hyphen_values = true)]
        what: Option<String>,
        /// The interface, for /release and /renew [default: all that have a lease]
        interface: Option<String>,
    },
    /// DHCP: leases and reservations of the server, and this host as a client
    #[command(subcommand)]
    Dhcp(DhcpCommand),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PingArgs {
    /// A name or an address
    pub(crate) host: String,
    /// How many echoes
    #[arg(short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Time from one echo to the next, in seconds
    #[arg(short, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// How long an answer is waited for, in seconds
    #[arg(short = 'W', value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// Only IPv4
    #[arg(short = '4', conflicts_with = "v6")]
    pub(crate) v4: bool,
    /// Only IPv6
    #[arg(short = '6')]
    pub(crate) v6: bool,
}

// As `ping` takes them: `1`, `0.2`.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|span| (Duration::from_millis(2)..=Duration::from_secs(3600)).contains(span))
        .ok_or_else(|| "seconds from 0.002 to 3600, such as 1 or 0.2".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum HttpCommand {
    /// Fetch what a URL leads to
    Get(FetchArgs),
    /// Fetch the head of the response alone
    Head(FetchArgs),
    /// Send content to be dealt with
    Post(FetchArgs),
    /// Send content to be stored there
    Put(FetchArgs),
    /// Have what is there removed
    Delete(FetchArgs),
    /// Ask what may be done
    Options(FetchArgs),
    /// Serve a folder at once, without config and data
    Serve {
        /// The folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Where to listen: a port, or address:port
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: doorway_base::config::Listen,
    },
    /// Tell for each octet of requests or responses which rule of the grammar it matches, or which it breaks
    Explain {
        /// A file with the octets as they go on the wire, or `-` for standard input
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct FetchArgs {
    /// URLs; `http://` may be left out
    #[arg(required = true, value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// A field to send; may be repeated
    #[arg(short = 'H', long = "field", value_name = "NAME: VALUE")]
    pub(crate) fields: Vec<String>,
    /// Content to send: a text, or `@FILE`
    #[arg(short, long, value_name = "TEXT", conflicts_with = "upload")]
    pub(crate) data: Option<String>,
    /// Content to send: a file
    #[arg(short = 'T', long, value_name = "FILE")]
    pub(crate) upload: Option<PathBuf>,
    /// A field of a form to send as multipart/form-data: a text, or a file as `NAME=@FILE`; may be repeated
    #[arg(short = 'F', long = "form", value_name = "NAME=VALUE", conflicts_with_all = ["data", "upload"])]
    pub(crate) forms: Vec<String>,
    /// Who asks, by Basic authentication; the password is read from standard input
    #[arg(short, long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Send the password also where it can be read on the way
    #[arg(long, requires = "user")]
    pub(crate) plain_password: bool,
    /// Ask for these octets alone, such as 0-99, 100- or -20
    #[arg(short, long, value_name = "RANGE")]
    pub(crate) range: Option<String>,
    /// Write the body to this file; for one URL
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Fetch only what the output file lacks
    #[arg(short = 'C', long = "continue", requires = "output", conflicts_with = "range")]
    pub(crate) resume: bool,
    /// Show the head of the response too
    #[arg(short, long)]
    pub(crate) include: bool,
    /// Tell how long each part took, in milliseconds and in round trips
    #[arg(long)]
    pub(crate) timing: bool,
    /// Cookies: a file as curl writes it; made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies: Option<PathBuf>,
    /// Do not follow redirects
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Redirects to follow
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) redirects_max: u32,
    /// Speak HTTP/1.0
    #[arg(long)]
    pub(crate) http10: bool,
    /// Speak HTTP/1.1 also where HTTP/2 is offered
    #[arg(long = "http1.1", conflicts_with = "prior_knowledge")]
    pub(crate) http11: bool,
    /// Speak HTTP/2 without TLS too, to a server that is known to do so
    #[arg(long = "http2-prior-knowledge", conflicts_with_all = ["http10", "pipeline"])]
    pub(crate) prior_knowledge: bool,
    /// A connection for each request, closed after it
    #[arg(long)]
    pub(crate) close: bool,
    /// Send all requests ahead on one connection
    #[arg(long, conflicts_with_all = ["parallel", "close", "data", "upload", "forms", "resume"])]
    pub(crate) pipeline: bool,
    /// Send all requests at once: over HTTP/2 on one connection, else each on its own
    #[arg(long, conflicts_with_all = ["data", "upload", "forms", "resume"])]
    pub(crate) parallel: bool,
    /// PEM file of the authorities that may vouch for a server, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Take any certificate
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Seconds of silence after which a response is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u32,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    /// What is known of each server: health, breaker, requests
    Status,
    /// Tell which servers would be asked for a URL, ask each, and tell what it says and how long it takes
    Test {
        /// As a client would ask for it, such as `http://www.example.org/api`
        url: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebCacheCommand {
    /// How full each is, and what it spared, host by host
    Stat,
    /// What is kept for a URL, and for how long
    Inspect {
        /// As clients ask for it, such as `http://www.example.org/news`
        url: String,
    },
    /// Forget responses, or have them validated before they are used again
    Purge(WebPurgeArgs),
    /// Fetch URLs, so that they are there for whoever comes
    Warm {
        /// As clients ask for them
        urls: Vec<String>,
        /// A file with a URL on each line
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WebPurgeArgs {
    #[command(flatten)]
    pub(crate) what: WebPurgeWhat,
    /// Keep them, but ask the origin before they are used; they serve while it cannot be reached
    #[arg(long)]
    pub(crate) soft: bool,
    /// Only in this cache
    #[arg(long, value_name = "NAME")]
    pub(crate) cache: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WebPurgeWhat {
    /// All that is kept for this URL
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// All URLs that begin so, such as `http://www.example.org/news/`
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// All of this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// All that carries this word in Surrogate-Key or Cache-Tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UrlCommand {
    /// Write a text so that it can stand in a URL
    Encode {
        /// Such as `百度`
        text: String,
    },
    /// Tell what a coded text stands for
    Decode {
        /// Such as `%E7%99%BE%E5%BA%A6`
        text: String,
    },
    /// Show the parts of a URL and what goes on the wire
    Explain {
        /// Such as `http://localhost:8080/html/login.html?a=b#c`
        url: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Messages for other servers
    #[command(subcommand)]
    Queue(QueueCommand),
    /// What happened to a message, step by step
    Trace {
        /// Its name, as in the queue, in Received lines and in the log
        id: String,
    },
    /// List the messages of a user, or show one
    Read(ReadArgs),
    /// Send a message
    Send(SendArgs),
    /// A user's folders, what they hold, and what they may hold
    Folders {
        /// Login name
        user: String,
    },
    /// Check every mailbox: read every message, count every reference
    Fsck {
        /// Put counters right, and finish what was broken off
        #[arg(long)]
        repair: bool,
    },
    /// Bring every readable message out of a damaged store, as Maildir folders
    Salvage {
        /// Where to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Write a user's folders as Maildir folders or mbox files
    Export(ExportArgs),
    /// Read a Maildir or an mbox file into a user's folders
    Import(ImportArgs),
    /// What the domains of mail need in DNS
    Dns {
        /// An address of this server, for the record of its name
        #[arg(long, value_name = "ADDRESS")]
        address: Vec<std::net::IpAddr>,
        /// Put the records into the zones that are served here
        #[arg(long)]
        publish: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// List what is queued, a line for each recipient
    List {
        /// Only for this address or domain
        #[arg(long)]
        to: Option<String>,
        /// Only from this address or domain
        #[arg(long)]
        from: Option<String>,
        /// Only what is held
        #[arg(long)]
        held: bool,
        /// Lines at the most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show a message and what is known of its way
    Show {
        /// The message
        id: String,
    },
    /// Try messages now
    Retry {
        /// The messages
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Keep messages from being tried
    Hold {
        /// The messages
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Let held messages go on
    Release {
        /// The messages
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Remove messages without telling their senders
    Drop {
        /// The messages
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Login name
    pub(crate) user: String,
    /// Where to; the folder is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// One mbox file for each folder, instead of Maildir folders
    #[arg(long)]
    pub(crate) mbox: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Login name
    pub(crate) user: String,
    /// A Maildir, or an mbox file
    #[arg(value_name = "PATH")]
    pub(crate) from: PathBuf,
    /// Where the messages of an mbox file go; a Maildir tells by itself
    #[arg(long, default_value = "INBOX")]
    pub(crate) folder: String,
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// To whom: NAME@DOMAIN or "Full Name <NAME@DOMAIN>"
    #[arg(required = true, value_name = "ADDRESS")]
    pub(crate) to: Vec<String>,
    /// Who writes it [default: the postmaster]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: Option<String>,
    /// Who also gets it
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) cc: Vec<String>,
    /// Who also gets it, and nobody else sees
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bcc: Vec<String>,
    /// What it is about
    #[arg(long, default_value = "")]
    pub(crate) subject: String,
    /// Its text [default: standard input]
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// A file with the same in HTML
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// A file that goes with it
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// Login name
    pub(crate) user: String,
    /// The message, by its number in the list; without it, the list
    pub(crate) uid: Option<u32>,
    /// The folder
    #[arg(long, default_value = "INBOX")]
    pub(crate) folder: String,
    /// Show the message as it came
    #[arg(long)]
    pub(crate) raw: bool,
    /// Write the parts of the message to files in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    /// Lines of the list at the most, the youngest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// What the resolver remembers
    #[command(subcommand)]
    Cache(CacheCommand),
    /// The zones that are served
    #[command(subcommand)]
    Zone(ZoneCommand),
    /// Records of a zone that may be changed
    #[command(subcommand)]
    Record(RecordCommand),
    /// Look a name up and tell every step: cache, zone, referral, server, time
    Explain {
        /// The name
        name: String,
        /// The type of records
        #[arg(value_name = "TYPE", default_value = "A")]
        kind: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// What is in it, with the time that is left
    Show(CacheArgs),
    /// How full it is, and how often it had the answer
    Stats,
    /// Forget a name, a subtree, a type, or everything
    Flush {
        #[command(flatten)]
        which: CacheArgs,
        /// Everything
        #[arg(long, conflicts_with_all = ["name", "subtree", "kind"])]
        all: bool,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CacheArgs {
    /// This name; without it every name
    pub(crate) name: Option<String>,
    /// And everything below the name
    #[arg(long, requires = "name")]
    pub(crate) subtree: bool,
    /// Only records of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZoneCommand {
    /// The zones, their serials and sizes
    List,
    /// Read the zone files as the server would, and tell every fault with its line
    Check {
        /// The zone; without it all of them
        name: Option<String>,
    },
    /// The records of a zone
    Show {
        /// The zone
        name: String,
    },
    /// Read the files again, without losing a query
    Reload {
        /// Show this zone alone afterwards
        name: Option<String>,
    },
    /// Write a zone as a zone file, changes by message included
    Export {
        /// The zone
        name: String,
        /// The file; without it standard output
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Add a record beside those that are there
    Add {
        /// The owner, in full
        name: String,
        /// [TTL] TYPE DATA…
        #[arg(required = true, value_name = "WORDS")]
        words: Vec<String>,
    },
    /// Put a record in the place of those of its type
    Set {
        /// The owner, in full
        name: String,
        /// [TTL] TYPE DATA…
        #[arg(required = true, value_name = "WORDS")]
        words: Vec<String>,
    },
    /// Delete a record, or all of a type, or all of a name
    Del {
        /// The owner, in full
        name: String,
        /// [TYPE [DATA…]]
        #[arg(value_name = "WORDS")]
        words: Vec<String>,
    },
}

const DIG_HELP: &str = "\
Words:
  @SERVER  -p PORT  -4  -6            whom to ask; else the servers of /etc/resolv.conf
  NAME  TYPE  CLASS  -x ADDRESS       what to ask; several names are several questions
  -y [ALGORITHM:]NAME:SECRET          sign with a key (TSIG), the secret in base64
  +tcp  +tls  +tls-hostname=NAME      what carries it
  +short  +json  +annotate            the data alone; for programs; every octet with its meaning
  +trace                              follow the delegations from the root
  +dnssec  +cd  +norec  +noad  +aaonly  +ednsopt=CODE:HEX  +subnet=ADDRESS/LENGTH  +nsid  +cookie[=HEX]
  +noedns  +edns=N  +bufsize=N  +ignore  +time=SECONDS  +tries=N  +qr
  +[no]all, cmd, comments, question, answer, authority, additional, stats, ttlid, class, multiline";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Tell all about a key or a table: kind, unit, default, limits, and where it stands now
    Explain {
        /// Such as `http.listen`, `dns.zone.name` or `dns`; without it, the tables
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Print the config in force, defaults as comments, secrets masked
    Show,
    /// Print the reference page of all keys, in Markdown
    Reference,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UpArgs {
    /// Seconds since 1970 at which the wall clock begins, in place of the system's; in test builds only
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "SECONDS", hide = true)]
    fake_epoch: Option<u64>,
}

impl UpArgs {
    /// The date at which the wall clock begins, when it is not the system's.
    pub(crate) fn date(&self) -> Option<UnixTime> {
        #[cfg(debug_assertions)]
        return self.fake_epoch.map(UnixTime::from_secs);
        #[cfg(not(debug_assertions))]
        None
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user
    Add {
        /// Login name
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        /// What the user may do: admin, operator, user, viewer or device (may be repeated)
        #[arg(long = "role", value_name = "ROLE", default_value = "user")]
        roles: Vec<String>,
    },
    /// Change a user's password
    Passwd {
        /// Login name
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List the users
    List,
    /// Passwords of a user's programs, each with what it opens
    #[command(subcommand)]
    AppPassword(AppPasswordCommand),
    /// Remove a user and everything that is only theirs
    Remove {
        /// Login name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppPasswordCommand {
    /// Make an app password for a program, and print it once
    Add {
        /// Login name
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// What it opens, such as http or imap (may be repeated); without it everything
        #[arg(long = "protocol", value_name = "NAME")]
        protocols: Vec<String>,
        /// When it ends, such as 90d from here on; without it never
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        length: Option<Duration>,
    },
    /// List the app passwords of a user
    List {
        /// Login name
        name: String,
    },
    /// Remove an app password
    Remove {
        /// Login name
        name: String,
        /// Its id, as the list shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the sessions that have not ended, the one used last first
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// End a session, or every session of a user
    Revoke {
        /// The session, as the list shows it
        #[arg(value_name = "SESSION", required_unless_present = "user", conflicts_with = "user")]
        id: Option<String>,
        /// Every session of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of standard input; without it one is made and printed once
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct TraceArgs {
    /// Which messages: `port 8888`, `tcp.port == 80`, `host 127.0.0.1`, `dns`, joined with `and`, `not`
    #[arg(long, value_name = "FILTER", default_value = "", value_parser = filter)]
    pub(crate) filter: String,
    /// Write a packet capture to this file (`-` is standard output) instead of printing lines
    #[arg(long, value_name = "FILE")]
    pub(crate) pcapng: Option<PathBuf>,
    /// In the capture, give each service the port of its standard (53, 80), so dissectors know it
    #[arg(long, requires = "pcapng")]
    pub(crate) canonical_ports: bool,
    /// Stop after this long, such as 10s
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) length: Option<Duration>,
    /// Stop after this many messages; with --sequence, exchanges
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Draw each exchange as arrows between its hosts, as soon as it has been quiet for two seconds
    #[arg(long, conflicts_with = "pcapng")]
    pub(crate) sequence: bool,
    /// Draw what another server of this machine sees in the same figures: its data folder
    #[arg(long, value_name = "FOLDER", requires = "sequence")]
    pub(crate) also: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read everything and check it against its hashes
    Verify,
    /// Copy the store, while it is in use, to a new folder
    Backup {
        /// The folder to make
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Put a backup in the place of an empty store; the server must not run
    Restore {
        /// The folder that `backup` made
        #[arg(value_name = "DIR")]
        from: PathBuf,
    },
    /// Measure commits on this disk, in a folder that is removed afterwards
    Bench {
        /// Writers at once
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
        writers: u32,
        /// Octets in each item
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        octets: u32,
        /// How long each of the two measurements takes
        #[arg(long = "for", value_name = "DURATION", default_value = "5s", value_parser = duration)]
        length: Duration,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    units::duration(text)
}

/// Refuses a wrong filter here, where the message stands beside the option; the server reads it again.
/// Only the program knows every protocol: a table of the config is named after each.
fn filter(text: &str) -> Result<String, String> {
    let filter = text.parse::<Filter>()?;
    let tables = SECTIONS.iter().map(|section| section.name).filter(|name| !name.contains('.'));
    let known: Vec<_> = tables.filter(|name| *name != "mail").chain(["smtp", "lmtp", "pop3"]).collect();
    match filter.protocols().find(|name| !known.contains(name)) {
        Some(name) => Err(format!("`{name}` is not a protocol; there are {}", known.join(" and "))),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_before_or_after_the_command() {
        for line in [
            "doorway --config a.toml --data d --json user add ann --password-stdin",
            "doorway user add ann --password-stdin --config a.toml --data d --json",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.options.config, Some(PathBuf::from("a.toml")), "{line}");
            assert_eq!(cli.options.data, Some(PathBuf::from("d")), "{line}");
            assert!(cli.options.json, "{line}");
            let Some(Command::User(UserCommand::Add { name, password, roles })) = cli.command else {
                panic!("{line}")
            };
            assert_eq!((name.as_str(), password.password_stdin), ("ann", true));
            assert_eq!(roles, ["user"]);
        }
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        for line in [
            "doorway upp",
            "doorway user add",
            "doorway trace --filter frogs_",
            "doorway trace --filter htpp",
            "doorway trace --for 10",
            "doorway trace --count 0",
            "doorway trace --canonical-ports",
            "doorway store bench --writers 0",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
