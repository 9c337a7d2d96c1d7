//! The queue: messages for other servers, one item for each recipient, until they are delivered or given
//! up (RFC 5321 §4.5.4).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `item` | [`QueueEntry`] and [`Item`]; the rows they are kept in |
//!
//! What reads, writes and sends is in `io/queue.rs`.

pub mod item;

pub use item::{Held, Item, Last, QueueEntry, Shared};
