//! The store from outside: what every engine promises, and that it is kept when disks and processes fail.

mod conformance;
mod crash;
mod engines;
mod faults;
mod folder;
mod model;
