//! What touches the world: doors, the store, timers.

pub mod bodies;
pub mod export;
pub mod fsck;
pub mod history;
pub mod import;
pub mod intake;
pub mod mailboxes;
pub mod office;
pub mod pop3_server;
pub mod queue;
pub mod salvage;
pub mod smtp_client;
pub mod smtp_server;

pub use bodies::{Bodies, Body, Content, Prepared};
pub use export::{ArchiveError, Form, Progress, export};
pub use fsck::{FsckReport, fsck};
pub use history::History;
pub use import::{Source as ArchiveSource, import};
pub use intake::{Arrival, Intake, Origin};
pub use mailboxes::{Account, Delivered, Folder, MailboxError, Mailboxes, Quota, Room, Usage};
pub use office::{Means, Office};
pub use pop3_server::{Pop3Metrics, Pop3Options, Pop3Server};
pub use queue::{Queue, QueueOptions, Report, Returns, Way};
pub use salvage::{Salvaged, salvage};
pub use smtp_client::{Link, Place, SmtpClient, Source, Target};
pub use smtp_server::{DoorSetup, SmtpCounters, SmtpParts, SmtpServer};
