//! The mail services over simulated networks, stores and disks.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod mailboxes;
mod mailboxes_model;
mod pop3;
mod queue;
mod queue_support;
mod script;
mod support;
