//! Fields to field blocks, with a dynamic table (RFC 7541 §6).

use super::huffman;
use super::integer;
use super::table::{TABLE_OCTETS, Table};

/// Whether the peer is told to remember a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It will come again: remember it (RFC 7541 §6.2.1).
    Yes,
    /// It will not (RFC 7541 §6.2.2).
    No,
    /// Nobody on the way may ever remember it: it is a secret that could be guessed (RFC 7541 §7.1.3).
    Never,
}

/// Writes the field blocks of one direction of a connection, in their order.
#[derive(Debug, Clone)]
pub struct Encoder {
    table: Table,
    /// The smallest and the last size that the peer allowed and was not yet told that it is kept to.
    resized: Option<(usize, usize)>,
    huffman: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder with the table size that every connection begins with.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: Table::new(), resized: None, huffman: true }
    }

    /// Takes over the peer's SETTINGS_HEADER_TABLE_SIZE; more than [`TABLE_OCTETS`] are not used.
    pub fn limit(&mut self, octets: usize) {
        let octets = octets.min(TABLE_OCTETS);
        if octets != self.table.size_max() || self.resized.is_some() {
            let smallest = self.resized.map_or(octets, |(smallest, _)| smallest.min(octets));
            self.resized = Some((smallest, octets));
        }
    }

    /// Begins a block.
    pub fn begin(&mut self, block: &mut Vec<u8>) {
        if let Some((smallest, last)) = self.resized.take() {
            // RFC 7541 §4.2: the smallest must be told, since it made the table forget.
            for size in [smallest, last] {
                self.table.resize(size);
                integer::write(block, 0x20, 5, size);
                if smallest == last {
                    break;
                }
            }
        }
    }

    /// Appends a field; `name` is in lower case.
    pub fn field(&mut self, block: &mut Vec<u8>, name: &[u8], value: &[u8], keep: Keep) {
        let found = self.table.find(name, value);
        if let (Some((index, true)), Keep::Yes | Keep::No) = (found, keep) {
            integer::write(block, 0x80, 7, index);
            return;
        }
        let (pattern, bits) = match keep {
            Keep::Yes => (0x40, 6),
            Keep::No => (0, 4),
            Keep::Never => (0x10, 4),
        };
        match found {
            Some((index, _)) => integer::write(block, pattern, bits, index),
            None => {
                block.push(pattern);
                self.string(block, name);
            }
        }
        self.string(block, value);
        if keep == Keep::Yes {
            self.table.insert(name, value);
        }
    }

    fn string(&self, block: &mut Vec<u8>, octets: &[u8]) {
        let coded = huffman::coded_octets(octets);
        if self.huffman && coded <= octets.len() {
            integer::write(block, 0x80, 7, coded);
            huffman::encode(octets, block);
        } else {
            integer::write(block, 0, 7, octets.len());
            block.extend_from_slice(octets);
        }
    }

    #[cfg(test)]
    pub(super) const fn plain() -> Self {
        Self { table: Table::new(), resized: None, huffman: false }
    }

    #[cfg(test)]
    pub(super) const fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }
}
