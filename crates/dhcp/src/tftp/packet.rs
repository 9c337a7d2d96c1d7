//! Packets of TFTP: RFC 1350 §5, RFC 2347.

use doorway_base::{Malformed, Reader};

/// Longest request that is read, in octets: RFC 2347 bounds it so.
pub const REQUEST_OCTETS_MAX: usize = 512;

/// How the content of a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As it is.
    Octet,
    /// As text: line ends become CR LF, a CR alone CR NUL (RFC 764).
    NetAscii,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name of the file as the client says it.
    pub file: String,
    /// How it is sent.
    pub mode: Mode,
    /// Options, names in lower case, in the client's order.
    pub options: Vec<(String, String)>,
}

/// A packet that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// RRQ: a file is wanted.
    Read(Request),
    /// WRQ: somebody wants to write.
    Write,
    /// ACK: blocks up to this number have come; 0 also stands for the options.
    Acknowledged(u16),
    /// ERROR: the client gives up.
    Error(u16),
}

/// Why a transfer does not take place: RFC 1350 §5, RFC 2347.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// Trouble that has no number; the text says what.
    NotDefined = 0,
    /// There is no such file.
    NotFound = 1,
    /// It may not be read, or nothing may be written.
    AccessViolation = 2,
    /// The packet makes no sense.
    IllegalOperation = 4,
    /// Nobody here sends to that port.
    UnknownTransfer = 5,
}

impl Packet {
    /// Reads a packet.
    ///
    /// # Errors
    /// What is no packet that a client sends.
    pub fn parse(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(octets);
        match reader.u16("the operation of a TFTP packet")? {
            1 => Request::parse(octets).map(Self::Read),
            2 => Ok(Self::Write),
            4 => reader.u16("the number of a block").map(Self::Acknowledged),
            5 => reader.u16("the number of an error").map(Self::Error),
            _ => Err(Malformed::new("RRQ, WRQ, ACK or ERROR", 0)),
        }
    }
}

impl Request {
    fn parse(octets: &[u8]) -> Result<Self, Malformed> {
        if octets.len() > REQUEST_OCTETS_MAX {
            return Err(Malformed::new("a request of 512 octets at most", REQUEST_OCTETS_MAX));
        }
        let mut at = 2;
        let mut text = |what: &'static str| {
            let rest = &octets[at..];
            let end = rest.iter().position(|octet| *octet == 0).ok_or(Malformed::new(what, at))?;
            let text = str::from_utf8(&rest[..end]).map_err(|_| Malformed::new(what, at))?;
            at += end + 1;
            Ok((text.to_owned(), at == octets.len()))
        };
        let (file, _) = text("the name of a file, and a NUL")?;
        let (mode, mut over) = text("a mode, and a NUL")?;
        let mode = match mode.to_ascii_lowercase().as_str() {
            "octet" => Mode::Octet,
            "netascii" => Mode::NetAscii,
            _ => return Err(Malformed::new("the mode octet or netascii", 2 + file.len() + 1)),
        };
        let mut options = Vec::new();
        while !over {
            let (name, _) = text("the name of an option, and a NUL")?;
            let value;
            (value, over) = text("the value of an option, and a NUL")?;
            options.push((name.to_ascii_lowercase(), value));
        }
        Ok(Self { file, mode, options })
    }
}

/// A DATA packet: the number of the block and its octets.
#[must_use]
pub fn data(block: u16, octets: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(4 + octets.len());
    packet.extend(3_u16.to_be_bytes());
    packet.extend(block.to_be_bytes());
    packet.extend_from_slice(octets);
    packet
}

/// An ERROR packet.
#[must_use]
pub fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    let mut packet = vec![0, 5, 0, code as u8];
    packet.extend_from_slice(text.as_bytes());
    packet.push(0);
    packet
}

/// An OACK packet: the options that hold.
#[must_use]
pub fn options(options: &[(&'static str, u64)]) -> Vec<u8> {
    let mut packet = vec![0, 6];
    for (name, value) in options {
        packet.extend_from_slice(name.as_bytes());
        packet.push(0);
        packet.extend_from_slice(value.to_string().as_bytes());
        packet.push(0);
    }
    packet
}

/// A packet in a few words, for the trace.
#[must_use]
pub fn summary(octets: &[u8]) -> String {
    let number = || octets.get(2..4).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    match octets.get(1) {
        Some(1 | 2) => match Packet::parse(octets) {
            Ok(Packet::Read(request)) => format!("RRQ {}", request.file),
            _ => "WRQ".to_owned(),
        },
        Some(3) => format!("DATA {} ({} octets)", number(), octets.len() - 4.min(octets.len())),
        Some(4) => format!("ACK {}", number()),
        Some(5) => format!("ERROR {}", number()),
        Some(6) => "OACK".to_owned(),
        _ => format!("{} octets", octets.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_options_and_none_of_its_beginnings_is() {
        let octets = b"\0\x01ipxe.efi\0Octet\0BlkSize\x001468\0tsize\x000\0";
        let Ok(Packet::Read(request)) = Packet::parse(octets) else { panic!() };
        assert_eq!((request.file.as_str(), request.mode), ("ipxe.efi", Mode::Octet));
        let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(request.options, [option("blksize", "1468"), option("tsize", "0")]);
        for end in 0..octets.len() {
            // One that ends behind an option is a request with fewer options.
            let whole = [17, 30, 38].contains(&end);
            assert_eq!(Packet::parse(&octets[..end]).is_ok(), whole, "{end}");
        }
    }

    #[test]
    fn what_no_client_sends_is_refused() {
        for octets in [
            &b"\0\x03\0\x01data"[..],
            b"\0\x06",
            b"\0\x07",
            b"\x01\x01",
            b"\0\x01a\0mail\0",
            b"\0\x01\xff\0octet\0",
            b"\0\x04\x01",
            b"\0\x05",
        ] {
            assert!(Packet::parse(octets).is_err(), "{octets:?}");
        }
        let long = [b"\0\x01", &[b'a'; 600][..], b"\0octet\0"].concat();
        assert!(Packet::parse(&long).is_err());
        assert_eq!(Packet::parse(b"\0\x04\x12\x34extra"), Ok(Packet::Acknowledged(0x1234)));
        assert_eq!(Packet::parse(b"\0\x02x\0octet\0"), Ok(Packet::Write));
    }

    #[test]
    fn what_we_send_is_written_as_the_standards_have_it() {
        assert_eq!(data(513, b"x"), b"\0\x03\x02\x01x");
        assert_eq!(error(ErrorCode::NotFound, "no"), b"\0\x05\0\x01no\0");
        assert_eq!(options(&[("blksize", 1428), ("tsize", 9)]), b"\0\x06blksize\x001428\0tsize\x009\0");
    }
}
