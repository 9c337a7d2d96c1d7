//! What a message passes between the door and where it is kept, as far as it only decides.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `trace_lines.rs` | Return-Path and Received, and how many servers a message has seen (RFC 5321 §4.4) |
//! | `submission.rs` | what a user's message lacks and what it must not show (RFC 6409 §8) |
//! | `rate.rs` | how much may come from one user or address in an hour |

pub mod rate;
pub mod submission;
pub mod trace_lines;
