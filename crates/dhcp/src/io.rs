//! The parts that touch the world.

mod names;
pub mod tftp;

pub use names::{Names, NamesError, Rows};
