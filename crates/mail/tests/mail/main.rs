//! The mail services over simulated networks, stores and disks.

mod mailboxes;
mod mailboxes_model;
mod support;
