//! The name that a client wants, and who puts it into DNS: option 81. RFC 4702.

use doorway_base::{Malformed, Reader};

use super::search;

/// Flag S: the server is to make, or made, the name's A record. RFC 4702 §2.1.
pub const SERVER_UPDATES: u8 = 0x01;
/// Flag O: the server did otherwise than the client asked.
pub const OVERRIDDEN: u8 = 0x02;
/// Flag E: the name is in DNS form, not in ASCII.
pub const DNS_FORM: u8 = 0x04;
/// Flag N: the server is to make, or made, no update at all.
pub const NO_UPDATE: u8 = 0x08;
/// What a server gives for RCODE1 and RCODE2: RFC 4702 §2.2.
const RCODE: u8 = 255;

/// The value of option 81.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFqdn {
    /// [`SERVER_UPDATES`], [`OVERRIDDEN`], [`DNS_FORM`], [`NO_UPDATE`]; other bits are left out.
    pub flags: u8,
    /// The name, without a final dot; it may be empty, or one label.
    pub name: String,
    /// Whether the name ended with a dot, or in DNS form with the root: it is not to be completed.
    pub is_full: bool,
}

impl ClientFqdn {
    /// Reads the value of option 81.
    ///
    /// # Errors
    /// [`Malformed`] for fewer than three octets and a name that is none.
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        let flags = reader.u8("flags")? & (SERVER_UPDATES | OVERRIDDEN | DNS_FORM | NO_UPDATE);
        reader.take(2, "two response codes")?;
        let text = reader.rest();
        if flags & DNS_FORM == 0 {
            let name = std::str::from_utf8(text).map_err(|_| reader.malformed("a name in ASCII"))?;
            let name = name.trim_end_matches('\0');
            if !name.bytes().all(|octet| octet.is_ascii_graphic()) {
                return Err(reader.malformed("a name in ASCII"));
            }
            let whole = name.strip_suffix('.');
            return Ok(Self { flags, name: whole.unwrap_or(name).to_owned(), is_full: whole.is_some() });
        }
        if text.is_empty() {
            return Ok(Self { flags, name: String::new(), is_full: false });
        }
        // A name without the root label at its end is one that the server may complete: RFC 4702 §2.3.1.
        let is_full = text.last() == Some(&0);
        let mut name = text.to_vec();
        if !is_full {
            name.push(0);
        }
        let (name, end) = search::read_name(&name, 0)?;
        if end < text.len() {
            return Err(Malformed::new("one name", 3 + end));
        }
        Ok(Self { flags, name, is_full: is_full && end > 1 })
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The value of option 81 as a client sends it: RCODE1 and RCODE2 are 0.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        self.write(0)
    }

    /// The value of option 81 as a server sends it.
    #[must_use]
    pub fn reply(&self) -> Vec<u8> {
        self.write(RCODE)
    }

    fn write(&self, rcode: u8) -> Vec<u8> {
        let mut value = vec![self.flags, rcode, rcode];
        if self.flags & DNS_FORM == 0 {
            value.extend_from_slice(self.name.as_bytes());
            if self.is_full {
                value.push(b'.');
            }
        } else if let Ok(mut name) = search::write_name(&self.name) {
            if !self.is_full {
                name.pop();
            }
            value.append(&mut name);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_both_forms_and_written_in_the_same() {
        for (value, flags, name, is_full) in [
            (&b"\x05\0\0\x05hello\x04shop\0"[..], 5, "hello.shop", true),
            (b"\x05\0\0\x05hello", 5, "hello", false),
            (b"\x01\0\0hello.shop.", 1, "hello.shop", true),
            (b"\x08\0\0hello", 8, "hello", false),
            (b"\x04\0\0", 4, "", false),
            (b"\x00\0\0", 0, "", false),
        ] {
            let fqdn = ClientFqdn::parse(value).expect("an option 81");
            assert_eq!(fqdn, ClientFqdn { flags, name: name.to_owned(), is_full });
            assert_eq!(fqdn.request(), value);
            assert_eq!(fqdn.reply()[1..3], [255, 255]);
        }
        for wrong in [
            &b"\x05\0"[..],
            b"\x05\0\0\x06hello",
            b"\x05\0\0\x01a\0\x01b\0",
            b"\x05\0\0\xc0\0",
            b"\x01\0\0a b",
        ] {
            assert!(ClientFqdn::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
