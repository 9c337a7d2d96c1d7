//! The store from outside: what every engine promises, and that it is kept when disks and processes fail.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests stop where they fail, and say how they went"
)]

mod blobs;
mod conformance;
mod crash;
mod engines;
mod fault_disk;
mod faults;
mod folder;
mod model;
mod remains;
mod users;
