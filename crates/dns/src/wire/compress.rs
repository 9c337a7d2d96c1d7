//! Names written with pointers to names written before: RFC 1035 §4.1.4.
//!
//! The work per name is bounded by its labels, whatever the message holds: suffixes are found by hash
//! in a table of fixed size, not by comparing with every name before.

use doorway_base::Writer;

use super::name::LABELS_MAX;

/// Suffixes remembered in one message at most; later ones are written but not pointed to.
pub const SUFFIXES_MAX: usize = 256;

const SLOTS: usize = 2 * SUFFIXES_MAX;
/// Pointers have 14 bits.
const POINTER_MAX: usize = 0x3fff;

/// Where the suffixes of the names in one message stand.
///
/// The message must begin at the first octet of the writer's buffer.
#[derive(Debug, Clone)]
pub struct Compressor {
    // (hash, offset); offset 0 is free, for no name stands in the header.
    slots: [(u16, u16); SLOTS],
    suffixes: usize,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { slots: [(0, 0); SLOTS], suffixes: 0 }
    }
}

impl Compressor {
    /// Writes a name, given in uncompressed wire form, with a pointer in place of its longest suffix
    /// that is already in the message in the same letter case.
    pub fn write(&mut self, name: &[u8], writer: &mut Writer<'_>) {
        let mut starts = [0_u8; LABELS_MAX];
        let mut labels = 0;
        let mut at = 0;
        while let Some(&length) = name.get(at).filter(|&&length| length != 0) {
            let Some(start) = starts.get_mut(labels) else { return };
            *start = at as u8;
            labels += 1;
            at += usize::from(length) + 1;
        }
        let mut hashes = [0_u32; LABELS_MAX];
        let mut hash = 0x811c_9dc5_u32;
        for label in (0..labels).rev() {
            let start = usize::from(starts[label]);
            for &octet in &name[start..=start + usize::from(name[start])] {
                hash = (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193);
            }
            hashes[label] = hash;
        }
        for label in 0..labels {
            let start = usize::from(starts[label]);
            match self.find(hashes[label], &name[start..], writer.written()) {
                Ok(offset) => return writer.put_u16(0xc000 | offset),
                Err(free) => {
                    let offset = writer.position();
                    writer.put(&name[start..=start + usize::from(name[start])]);
                    if let Some(slot) = free.filter(|_| !writer.overflowed() && offset <= POINTER_MAX) {
                        self.slots[slot] = ((hashes[label] >> 16) as u16, offset as u16);
                        self.suffixes += 1;
                    }
                }
            }
        }
        writer.put_u8(0);
    }

    // Where `suffix` stands, or else a free slot for it while the table takes more.
    fn find(&self, hash: u32, suffix: &[u8], message: &[u8]) -> Result<u16, Option<usize>> {
        let mut slot = hash as usize % SLOTS;
        loop {
            let (tag, offset) = self.slots[slot];
            if offset == 0 {
                return Err((self.suffixes < SUFFIXES_MAX).then_some(slot));
            }
            if tag == (hash >> 16) as u16 && stands_at(message, usize::from(offset), suffix) {
                return Ok(offset);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

// Whether the name at `at`, its pointers followed, is `suffix` octet for octet.
fn stands_at(message: &[u8], mut at: usize, suffix: &[u8]) -> bool {
    let mut rest = suffix;
    loop {
        match message.get(at) {
            Some(&high @ 0xc0..) => {
                let Some(&low) = message.get(at + 1) else { return false };
                let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                if target >= at {
                    return false;
                }
                at = target;
            }
            Some(&length) => {
                let label = usize::from(length) + 1;
                match (message.get(at..at + label), rest.split_at_checked(label)) {
                    (Some(there), Some((here, after))) if there == here => rest = after,
                    _ => return false,
                }
                if length == 0 {
                    return rest.is_empty();
                }
                at += label;
            }
            None => return false,
        }
    }
}
