//! The queue: messages for other servers, one item for each recipient, until they are delivered or given
//! up (RFC 5321 §4.5.4).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `item` | [`QueueEntry`] and [`Item`]; the rows they are kept in |
//! | `dispatch` | [`Dispatch`]: what is due, by destination; connections and their bounds |
//! | `report` | reports to senders (RFC 3464) |
//! | `schedule` | [`Schedule`]: when to try again, when to tell, when to give up |
//! | `verdict` | what follows from a try: done, failed or later, and who hears of it |
//! | `route` | which hosts take the mail of a domain |
//!
//! What reads, writes and sends is in `io/queue.rs`.

pub mod dispatch;
pub mod item;
pub mod report;
pub mod route;
pub mod schedule;
pub mod verdict;

pub use dispatch::Dispatch;
pub use item::{Held, Item, Last, QueueEntry, Shared};
pub use schedule::Schedule;
