//! What a cache between a client and an origin does, seen from both sides: dialogues in text files, an origin that
//! follows them, a client that plays them.
//!
//! Standard library only, and nothing of Doorway: the same dialogues are played with caches of other people.

pub mod case;
pub mod date;
pub mod message;
pub mod origin;
pub mod play;
