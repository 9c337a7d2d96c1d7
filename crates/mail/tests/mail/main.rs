//! The mail services over simulated networks, stores and disks.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod archive;
mod corpus;
mod fsck;
mod mailboxes;
mod mailboxes_model;
mod mailroom;
mod mime_differences;
mod mime_peers;
mod mime_reasons;
mod office;
mod pop3;
mod queue;
mod queue_support;
mod script;
mod smtp;
mod smtp_client;
mod support;
