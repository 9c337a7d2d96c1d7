//! The parts that touch the world.

mod names;
pub mod tftp;

pub use names::{CHANGES_MAX, Names, NamesError, Rows};
