//! A field block whose frames are gathered until it is whole (RFC 9113 §6.10), within bounds.

use super::rule::{self, Rule};

/// Longest field block, coded, over all its frames: ENHANCE_YOUR_CALM.
pub const BLOCK_OCTETS_MAX: usize = 64 * 1024;
/// Most CONTINUATION frames of one field block: ENHANCE_YOUR_CALM.
pub const CONTINUATIONS_MAX: u32 = 16;

/// What came of a block so far.
#[derive(Debug)]
pub struct Gathered {
    /// The stream it is on: no frame of another may come before it is whole.
    pub stream: u32,
    /// Its octets.
    pub octets: Vec<u8>,
    continuations: u32,
}

impl Gathered {
    /// A block that begins with `fragment`.
    #[must_use]
    pub fn new(stream: u32, fragment: &[u8]) -> Self {
        Self { stream, octets: fragment.to_vec(), continuations: 0 }
    }

    /// Adds what a CONTINUATION brought.
    ///
    /// # Errors
    /// The rule that is broken when it becomes too long, or has too many frames.
    pub fn add(&mut self, fragment: &[u8]) -> Result<(), &'static Rule> {
        self.continuations += 1;
        if self.octets.len() + fragment.len() > BLOCK_OCTETS_MAX || self.continuations > CONTINUATIONS_MAX {
            return Err(&rule::FLOOD_CONTINUATION);
        }
        self.octets.extend_from_slice(fragment);
        Ok(())
    }
}
