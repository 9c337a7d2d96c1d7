//! Stored records as tagged fields, so that a newer program may add some and an older one skips them.
//!
//! A field is its tag (1 octet), its length (4, big-endian) and its octets. A tag may come more than once.

use doorway_base::{Malformed, Reader, UnixTime};

/// Writes a record.
#[derive(Debug, Default)]
pub(crate) struct FieldWriter(Vec<u8>);

impl FieldWriter {
    pub(crate) fn octets(mut self, tag: u8, octets: &[u8]) -> Self {
        self.0.push(tag);
        // Records are values of rows, whose bound is far below four gigabytes.
        self.0.extend_from_slice(&(octets.len() as u32).to_be_bytes());
        self.0.extend_from_slice(octets);
        self
    }

    pub(crate) fn text(self, tag: u8, text: &str) -> Self {
        self.octets(tag, text.as_bytes())
    }

    pub(crate) fn number(self, tag: u8, number: u64) -> Self {
        self.octets(tag, &number.to_be_bytes())
    }

    pub(crate) fn time(self, tag: u8, time: UnixTime) -> Self {
        self.number(tag, time.as_nanos())
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A field read back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) tag: u8,
    pub(crate) octets: &'a [u8],
}

impl Field<'_> {
    pub(crate) fn text(&self) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.octets);
        text.map(str::to_owned).map_err(|error| Malformed::new("text in UTF-8", error.valid_up_to()))
    }

    pub(crate) fn number(&self) -> Result<u64, Malformed> {
        let octets = self.octets.try_into().map_err(|_| Malformed::new("a number of eight octets", 0))?;
        Ok(u64::from_be_bytes(octets))
    }

    pub(crate) fn time(&self) -> Result<UnixTime, Malformed> {
        self.number().map(UnixTime::from_nanos)
    }
}

/// The fields of a record, in order.
pub(crate) fn fields(record: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Malformed>> {
    let mut reader = Reader::new(record);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let mut field = || {
            let tag = reader.u8("tag")?;
            let length = reader.u32("length of a field")? as usize;
            Ok(Field { tag, octets: reader.take(length, "a whole field")? })
        };
        let result = field();
        if result.is_err() {
            reader = Reader::new(&[]);
        }
        Some(result)
    })
}
