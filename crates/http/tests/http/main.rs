//! The server behind its real door, over the virtual network: what a client sees octet by octet, and
//! when. The folder that is served is a real one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail here")]

mod allocation;
mod bodies;
mod cache_disk;
mod cache_memory;
mod cache_purges;
mod cache_support;
mod cache_threads;
mod cached;
mod client;
mod client_h2;
mod conduct;
mod conduct_model;
mod conduct_slices;
mod conduct_storm;
mod content;
mod files;
mod forms;
mod forward;
mod h2;
mod h2_floods;
mod h2_frames;
mod handlers;
mod login;
mod methods;
mod proxied;
mod proxy;
mod refusal_table;
mod refusals;
mod sites;
mod smuggling;
mod support;
mod time;
mod trace;
mod uploads;
