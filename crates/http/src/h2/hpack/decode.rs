//! Field blocks to fields (RFC 7541 §3, §6).

use super::huffman;
use super::integer;
use super::table::{TABLE_OCTETS, Table};
use crate::h2::rule::{self, Rule};

/// Reads the field blocks of one direction of a connection, in their order.
///
/// Each block must be decoded, wanted or not: the next one builds on it.
#[derive(Debug, Clone)]
pub struct Decoder {
    table: Table,
    /// The largest table that this side allows.
    table_max: usize,
    /// Whether the table is larger than this side came to allow, so that the next block must shrink it.
    must_shrink: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for the strings of one field that came Huffman-coded.
#[derive(Debug, Clone, Default)]
pub struct Strings {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// A decoder with the table size that every connection begins with.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: Table::new(), table_max: TABLE_OCTETS, must_shrink: false }
    }

    /// Says that this side's SETTINGS_HEADER_TABLE_SIZE was acknowledged (RFC 7541 §4.2).
    pub fn limit(&mut self, octets: usize) {
        self.table_max = octets;
        self.must_shrink = self.table.size_max() > octets;
    }

    /// Octets of the dynamic table, as RFC 7541 §4.1 counts them.
    #[must_use]
    pub const fn table_octets(&self) -> usize {
        self.table.size()
    }

    /// Reads a whole block and gives `each` its fields: name, value.
    ///
    /// # Errors
    /// The rule of HPACK that is broken; the connection cannot go on then.
    pub fn decode(
        &mut self,
        block: &[u8],
        strings: &mut Strings,
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), &'static Rule> {
        let mut rest = self.sizes(block)?;
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                // §6.1: a field of the tables.
                let (index, after) = integer::read(rest, 7).ok_or(&rule::HPACK_INTEGER)?;
                let (name, value) = self.table.field(index).ok_or(&rule::HPACK_INDEX)?;
                each(name, value);
                rest = after;
                continue;
            }
            let (keep, bits) = match first >> 4 {
                0b0100..=0b0111 => (true, 6),
                0b0000 | 0b0001 => (false, 4),
                // §6.3: only at the start.
                _ => return Err(&rule::HPACK_TABLE_SIZE),
            };
            let (index, after) = integer::read(rest, bits).ok_or(&rule::HPACK_INTEGER)?;
            let Strings { name: name_room, value: value_room } = strings;
            if index > 0 && !keep {
                let (value, after) = string(after, value_room)?;
                let (name, _) = self.table.field(index).ok_or(&rule::HPACK_INDEX)?;
                each(name, value);
                rest = after;
                continue;
            }
            let (name, after) = if index == 0 {
                string(after, name_room)?
            } else {
                // Copied, for it may be forgotten to make room for the very field it gives its name to.
                let (name, _) = self.table.field(index).ok_or(&rule::HPACK_INDEX)?;
                name_room.clear();
                name_room.extend_from_slice(name);
                (&name_room[..], after)
            };
            let (value, after) = string(after, value_room)?;
            each(name, value);
            if keep {
                self.table.insert(name, value);
            }
            rest = after;
        }
        Ok(())
    }

    /// Reads the changes of the table's size that a block may begin with (RFC 7541 §4.2, §6.3).
    fn sizes<'b>(&mut self, block: &'b [u8]) -> Result<&'b [u8], &'static Rule> {
        let mut rest = block;
        // More than two say nothing that two could not.
        for _ in 0..2 {
            match rest.first() {
                Some(first) if first >> 5 == 0b001 => {}
                _ => break,
            }
            let (size, after) = integer::read(rest, 5).ok_or(&rule::HPACK_INTEGER)?;
            if size > self.table_max {
                return Err(&rule::HPACK_TABLE_SIZE);
            }
            self.table.resize(size);
            self.must_shrink = false;
            rest = after;
        }
        if self.must_shrink { Err(&rule::HPACK_BLOCK) } else { Ok(rest) }
    }

    #[cfg(test)]
    pub(super) const fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }
}

/// A string, as it is or Huffman-coded (RFC 7541 §5.2).
fn string<'o: 'r, 'r>(
    octets: &'o [u8],
    room: &'r mut Vec<u8>,
) -> Result<(&'r [u8], &'o [u8]), &'static Rule> {
    let coded = octets.first().is_some_and(|first| first & 0x80 != 0);
    let (length, rest) = integer::read(octets, 7).ok_or(&rule::HPACK_INTEGER)?;
    let Some((string, rest)) = rest.split_at_checked(length) else { return Err(&rule::HPACK_STRING) };
    if !coded {
        return Ok((string, rest));
    }
    room.clear();
    huffman::decode(string, room).ok_or(&rule::HPACK_HUFFMAN)?;
    Ok((room, rest))
}
