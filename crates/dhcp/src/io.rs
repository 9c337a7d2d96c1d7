//! The parts that touch the world.

mod names;

pub use names::{Names, NamesError, Rows};
