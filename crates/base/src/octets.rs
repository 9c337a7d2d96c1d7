//! Bounded cursors over octets. Every read and write is checked; nothing here can panic or grow.

use crate::Malformed;

/// Reads big-endian fields from a message and remembers where it stands.
///
/// Offsets in errors count from the start of the slice the reader was made with.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first octet.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    /// A reader at `at`, which may be the end; past it, the end.
    #[must_use]
    pub fn at(octets: &'a [u8], at: usize) -> Self {
        Self { octets, at: at.min(octets.len()) }
    }

    /// Offset of the next octet from the start of the message.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Octets not yet read.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.octets.len() - self.at
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The whole message, from its first octet on.
    #[must_use]
    pub const fn whole(&self) -> &'a [u8] {
        self.octets
    }

    /// What is left, without moving.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.octets[self.at..]
    }

    /// The next octet, without moving.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    /// The next octet.
    ///
    /// # Errors
    /// [`Malformed`] naming `what` when the message ends here.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[octet]| octet)
    }

    /// The next two octets, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] naming `what` when the message ends within them.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// The next four octets, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] naming `what` when the message ends within them.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// The next eight octets, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] naming `what` when the message ends within them.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// The next `N` octets.
    ///
    /// # Errors
    /// [`Malformed`] naming `what` when the message ends within them.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        match self.rest().first_chunk::<N>() {
            Some(octets) => {
                self.at += N;
                Ok(*octets)
            }
            None => Err(Malformed::new(what, self.octets.len())),
        }
    }

    /// The next `count` octets, borrowed from the message.
    ///
    /// # Errors
    /// [`Malformed`] naming `what` when fewer are left.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        match self.rest().get(..count) {
            Some(octets) => {
                self.at += count;
                Ok(octets)
            }
            None => Err(Malformed::new(what, self.octets.len())),
        }
    }

    /// Says that the message must end here.
    ///
    /// # Errors
    /// [`Malformed`] naming `what` at the first octet too many.
    pub fn finish(&self, what: &'static str) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::new(what, self.at)) }
    }

    /// A [`Malformed`] at the place the reader stands.
    #[must_use]
    pub const fn malformed(&self, what: &'static str) -> Malformed {
        Malformed::new(what, self.at)
    }
}

/// Writes big-endian fields into a buffer of fixed size.
///
/// A field that does not fit is not written at all, not even in part, and the writer remembers that
/// it overflowed; so a reply is built without a check after every field and judged once at the end.
#[derive(Debug)]
pub struct Writer<'a> {
    octets: &'a mut [u8],
    at: usize,
    overflowed: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the first octet of `octets`; its length is the bound.
    pub const fn new(octets: &'a mut [u8]) -> Self {
        Self { octets, at: 0, overflowed: false }
    }

    /// Offset of the next octet.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Octets that still fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.octets.len() - self.at
    }

    /// Whether a field was left out because it did not fit.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.octets[..self.at]
    }

    /// What was written, to patch a count or a flag in place.
    pub fn written_mut(&mut self) -> &mut [u8] {
        &mut self.octets[..self.at]
    }

    /// Appends `octets` whole, or nothing.
    pub fn put(&mut self, octets: &[u8]) {
        match self.octets[self.at..].get_mut(..octets.len()) {
            Some(room) => {
                room.copy_from_slice(octets);
                self.at += octets.len();
            }
            None => self.overflowed = true,
        }
    }

    /// Appends one octet.
    pub fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Appends two octets, big-endian.
    pub fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends four octets, big-endian.
    pub fn put_u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Overwrites two octets written before; nothing happens past what was written.
    pub fn patch_u16(&mut self, at: usize, value: u16) {
        if let Some(place) = self.octets[..self.at].get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// Takes back everything after `position`, and the memory of an overflow after it.
    pub fn rewind(&mut self, position: usize) {
        self.at = self.at.min(position);
        self.overflowed = false;
    }

    /// Lowers the bound to `octets_max` in all; never raises it.
    pub fn narrow(&mut self, octets_max: usize) {
        let whole = std::mem::take(&mut self.octets);
        let keep = octets_max.clamp(self.at, whole.len());
        self.octets = &mut whole[..keep];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_refuses_every_prefix_of_a_message() {
        let whole = [1, 0, 2, 0, 0, 0, 3, 9, 9];
        let read = |octets: &[u8]| -> Result<(u8, u16, u32, usize), Malformed> {
            let mut r = Reader::new(octets);
            Ok((r.u8("a")?, r.u16("b")?, r.u32("c")?, r.take(2, "d")?.len()))
        };
        assert_eq!(read(&whole), Ok((1, 2, 3, 2)));
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]).unwrap_err().at_octet, length);
        }
    }

    #[test]
    fn reader_names_the_first_octet_too_many() {
        let mut r = Reader::new(&[1, 2, 3]);
        r.u16("number").unwrap();
        assert_eq!(r.finish("end of message"), Err(Malformed::new("end of message", 2)));
    }

    #[test]
    fn writer_never_writes_a_field_in_part() {
        let mut buffer = [0xff; 5];
        let mut w = Writer::new(&mut buffer);
        w.put_u32(1);
        w.put_u16(2);
        assert!(w.overflowed());
        assert_eq!(w.written(), [0, 0, 0, 1]);
        w.rewind(2);
        assert!(!w.overflowed());
        w.put_u16(0x0a0b);
        w.patch_u16(0, 7);
        w.patch_u16(3, 9);
        assert_eq!(w.written(), [0, 7, 0x0a, 0x0b]);
        assert_eq!(buffer[4], 0xff);
    }

    #[test]
    fn writer_can_be_narrowed_but_not_below_what_it_holds() {
        let mut buffer = [0; 8];
        let mut w = Writer::new(&mut buffer);
        w.put_u32(1);
        w.narrow(2);
        assert_eq!((w.room(), w.written().len()), (0, 4));
        w.put_u8(1);
        assert!(w.overflowed());
    }
}
