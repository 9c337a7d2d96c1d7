//! EDNS options by their meaning: NSID (RFC 5001), client subnet (RFC 7871), EXPIRE (RFC 7314), COOKIE
//! (RFC 7873), keepalive (RFC 7828), padding (RFC 7830), extended errors (RFC 8914), ZONEVERSION
//! (RFC 9660), report channel (RFC 9567).
//!
//! An option that is not known is kept as it came, and nobody acts on it. Options borrow from the
//! message, so that reading one out of a query allocates nothing. Not here: when a server sends which.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

use doorway_base::{Malformed, Reader};

use super::edns;
use super::name::Name;

/// Numbers of the options.
pub mod code {
    /// The server's name for itself.
    pub const NSID: u16 = 3;
    /// The network of the client.
    pub const CLIENT_SUBNET: u16 = 8;
    /// When a secondary's zone expires.
    pub const EXPIRE: u16 = 9;
    /// What client and server know each other by.
    pub const COOKIE: u16 = 10;
    /// How long an idle TCP connection stays.
    pub const KEEPALIVE: u16 = 11;
    /// Octets that hide the length of the rest.
    pub const PADDING: u16 = 12;
    /// Why an answer is not what was hoped for.
    pub const EXTENDED_ERROR: u16 = 15;
    /// Where errors may be reported.
    pub const REPORT_CHANNEL: u16 = 18;
    /// The version of the zone that the answer is from.
    pub const ZONEVERSION: u16 = 19;
}

/// Octets of a client cookie: RFC 7873 §4.
pub const CLIENT_COOKIE_OCTETS: usize = 8;

/// An EDNS option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EdnsOption<'a> {
    /// Empty in a query; the server's identifier in a response.
    NameServerId(&'a [u8]),
    /// Whom the question is asked for.
    ClientSubnet(ClientSubnet),
    /// Empty in a query; seconds until the zone expires in a response.
    Expire(Option<u32>),
    /// A cookie; a client that has none of the server's sends its own alone.
    Cookie {
        /// The client's 8 octets.
        client: [u8; CLIENT_COOKIE_OCTETS],
        /// The server's 8 to 32 octets, or none.
        server: &'a [u8],
    },
    /// Empty in a query; tenths of a second in a response.
    Keepalive(Option<u16>),
    /// So many octets of padding.
    Padding(usize),
    /// Why the answer is as it is.
    ExtendedError(ExtendedError<'a>),
    /// Empty in a query.
    ZoneVersion(Option<ZoneVersion<'a>>),
    /// The domain that reports are sent to, by asking for names below it.
    ReportChannel(Box<Name>),
    /// Any other.
    Unknown {
        /// OPTION-CODE.
        code: u16,
        /// OPTION-DATA.
        value: &'a [u8],
    },
}

/// The network a question is asked for: RFC 7871 §6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSubnet {
    /// An address in the network; the bits past `source_bits` are 0.
    pub address: IpAddr,
    /// SOURCE PREFIX-LENGTH: how much of the address is told.
    pub source_bits: u8,
    /// SCOPE PREFIX-LENGTH: how much the answer depends on; 0 in a query.
    pub scope_bits: u8,
}

/// An extended error: RFC 8914 §2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedError<'a> {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT in UTF-8; anything else is shown as well as it can be.
    pub text: &'a [u8],
}

/// The version of a zone: RFC 9660 §2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneVersion<'a> {
    /// LABELCOUNT: labels of the zone's name.
    pub labels: u8,
    /// TYPE; 0 is the serial of the SOA.
    pub kind: u8,
    /// VERSION; four octets for a serial.
    pub version: &'a [u8],
}

impl ExtendedError<'_> {
    /// The name that the registry has for the code.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        const NAMES: [&str; 31] = [
            "Other",
            "Unsupported DNSKEY Algorithm",
            "Unsupported DS Digest Type",
            "Stale Answer",
            "Forged Answer",
            "DNSSEC Indeterminate",
            "DNSSEC Bogus",
            "Signature Expired",
            "Signature Not Yet Valid",
            "DNSKEY Missing",
            "RRSIGs Missing",
            "No Zone Key Bit Set",
            "NSEC Missing",
            "Cached Error",
            "Not Ready",
            "Blocked",
            "Censored",
            "Filtered",
            "Prohibited",
            "Stale NXDOMAIN Answer",
            "Not Authoritative",
            "Not Supported",
            "No Reachable Authority",
            "Network Error",
            "Invalid Data",
            "Signature Expired before Valid",
            "Too Early",
            "Unsupported NSEC3 Iterations Value",
            "Unable to conform to policy",
            "Synthesized",
            "Invalid Query Type",
        ];
        NAMES.get(usize::from(self.code)).copied()
    }
}

/// Each option of an OPT record, by its meaning.
///
/// # Errors
/// Each item that is cut off or breaks the rules of its option is an error; after a cut there is no
/// more.
pub fn options(octets: &[u8]) -> impl Iterator<Item = Result<EdnsOption<'_>, Malformed>> {
    edns::pairs(octets).map(|pair| pair.and_then(|(code, value)| EdnsOption::read(code, value)))
}

/// The value of the first option with `code`.
#[must_use]
pub fn find(octets: &[u8], code: u16) -> Option<&[u8]> {
    edns::pairs(octets).flatten().find(|(other, _)| *other == code).map(|(_, value)| value)
}

impl<'a> EdnsOption<'a> {
    /// Reads the value of option `code`.
    ///
    /// # Errors
    /// A value that its option does not allow; offsets count from the start of the value.
    pub fn read(code: u16, value: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        let option = match code {
            code::NSID => Self::NameServerId(value),
            code::CLIENT_SUBNET => return ClientSubnet::read(&mut reader).map(Self::ClientSubnet),
            code::EXPIRE if value.is_empty() => Self::Expire(None),
            code::EXPIRE => {
                let seconds = reader.u32("an EXPIRE of four octets")?;
                reader.finish("an EXPIRE of four octets")?;
                Self::Expire(Some(seconds))
            }
            code::COOKIE => {
                let client = reader.array("a client cookie of 8 octets")?;
                let server = reader.rest();
                if !server.is_empty() && !(8..=32).contains(&server.len()) {
                    return Err(reader.malformed("a server cookie of 8 to 32 octets"));
                }
                Self::Cookie { client, server }
            }
            code::KEEPALIVE if value.is_empty() => Self::Keepalive(None),
            code::KEEPALIVE => {
                let tenths = reader.u16("a keepalive of two octets")?;
                reader.finish("a keepalive of two octets")?;
                Self::Keepalive(Some(tenths))
            }
            code::PADDING => Self::Padding(value.len()),
            code::EXTENDED_ERROR => {
                let code = reader.u16("an INFO-CODE")?;
                Self::ExtendedError(ExtendedError { code, text: reader.rest() })
            }
            code::ZONEVERSION if value.is_empty() => Self::ZoneVersion(None),
            code::ZONEVERSION => {
                let labels = reader.u8("a LABELCOUNT")?;
                let kind = reader.u8("a version type")?;
                if kind == 0 && reader.remaining() != 4 {
                    return Err(reader.malformed("a serial of four octets"));
                }
                Self::ZoneVersion(Some(ZoneVersion { labels, kind, version: reader.rest() }))
            }
            code::REPORT_CHANNEL => Self::ReportChannel(Box::new(Name::from_wire(value)?)),
            _ => Self::Unknown { code, value },
        };
        Ok(option)
    }

    /// OPTION-CODE.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::NameServerId(_) => code::NSID,
            Self::ClientSubnet(_) => code::CLIENT_SUBNET,
            Self::Expire(_) => code::EXPIRE,
            Self::Cookie { .. } => code::COOKIE,
            Self::Keepalive(_) => code::KEEPALIVE,
            Self::Padding(_) => code::PADDING,
            Self::ExtendedError(_) => code::EXTENDED_ERROR,
            Self::ZoneVersion(_) => code::ZONEVERSION,
            Self::ReportChannel(_) => code::REPORT_CHANNEL,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// Appends the option, its code and length before it, to `out`. A value over 65535 octets, which no
    /// message can hold, is left out.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(self.code().to_be_bytes());
        out.extend([0, 0]);
        match self {
            Self::NameServerId(value) | Self::Unknown { value, .. } => out.extend_from_slice(value),
            Self::ClientSubnet(subnet) => subnet.write(out),
            Self::Expire(seconds) => out.extend(seconds.iter().flat_map(|seconds| seconds.to_be_bytes())),
            Self::Cookie { client, server } => {
                out.extend(client);
                out.extend_from_slice(server);
            }
            Self::Keepalive(tenths) => out.extend(tenths.iter().flat_map(|tenths| tenths.to_be_bytes())),
            Self::Padding(octets) => out.resize(out.len() + octets, 0),
            Self::ExtendedError(error) => {
                out.extend(error.code.to_be_bytes());
                out.extend_from_slice(error.text);
            }
            Self::ZoneVersion(version) => {
                if let Some(version) = version {
                    out.extend([version.labels, version.kind]);
                    out.extend_from_slice(version.version);
                }
            }
            Self::ReportChannel(domain) => out.extend_from_slice(domain.as_octets()),
        }
        match u16::try_from(out.len() - start - 4) {
            Ok(length) => out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes()),
            Err(_) => out.truncate(start),
        }
    }
}

impl ClientSubnet {
    /// The network of `address` that its first `bits` tell, for a query.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Self {
        let (address, source_bits) = match address {
            IpAddr::V4(address) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                (IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask)), bits)
            }
            IpAddr::V6(address) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                (IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask)), bits)
            }
        };
        Self { address, source_bits, scope_bits: 0 }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let start = *reader;
        let family = reader.u16("an address family")?;
        let source_bits = reader.u8("a source prefix length")?;
        let scope_bits = reader.u8("a scope prefix length")?;
        let (octets_max, bits_max) = match family {
            1 => (4, 32),
            2 => (16, 128),
            _ => return Err(start.malformed("an address family of 1 or 2")),
        };
        let octets = reader.rest();
        // RFC 7871 §6: as many octets as the prefix needs, and nothing behind its last bit.
        if source_bits > bits_max
            || scope_bits > bits_max
            || octets.len() != usize::from(source_bits).div_ceil(8)
        {
            return Err(reader.malformed("as many octets of address as the prefix has"));
        }
        let mut whole = [0; 16];
        whole[..octets.len()].copy_from_slice(octets);
        let address = if octets_max == 4 {
            IpAddr::V4(Ipv4Addr::new(whole[0], whole[1], whole[2], whole[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(whole))
        };
        let subnet = Self { scope_bits, ..Self::new(address, source_bits) };
        if subnet.address == address {
            Ok(subnet)
        } else {
            Err(reader.malformed("bits of 0 behind the prefix"))
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let octets = usize::from(self.source_bits).div_ceil(8);
        let (family, whole) = match self.address {
            IpAddr::V4(address) => (1_u16, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        out.extend(family.to_be_bytes());
        out.extend([self.source_bits, self.scope_bits]);
        out.extend(&whole[..octets.min(whole.len())]);
    }
}

impl fmt::Display for EdnsOption<'_> {
    /// The option as `dig` shows it behind the two semicolons' line of OPT.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameServerId(value) => {
                f.write_str("NSID: ")?;
                value.iter().try_for_each(|octet| write!(f, "{octet:02x} "))?;
                write!(f, "(\"{}\")", printable(value))
            }
            Self::ClientSubnet(subnet) => {
                write!(f, "CLIENT-SUBNET: {}/{}/{}", subnet.address, subnet.source_bits, subnet.scope_bits)
            }
            Self::Expire(None) => f.write_str("EXPIRE"),
            Self::Expire(Some(seconds)) => write!(f, "EXPIRE: {seconds}"),
            Self::Cookie { client, server } => {
                f.write_str("COOKIE: ")?;
                client.iter().chain(*server).try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Self::Keepalive(None) => f.write_str("TCP-KEEPALIVE"),
            Self::Keepalive(Some(tenths)) => {
                write!(f, "TCP-KEEPALIVE: {}.{} secs", tenths / 10, tenths % 10)
            }
            Self::Padding(octets) => write!(f, "PAD: ({octets} bytes)"),
            Self::ExtendedError(error) => {
                write!(f, "EDE: {}", error.code)?;
                if let Some(name) = error.name() {
                    write!(f, " ({name})")?;
                }
                if error.text.is_empty() { Ok(()) } else { write!(f, ": ({})", printable(error.text)) }
            }
            Self::ZoneVersion(None) => f.write_str("ZONEVERSION"),
            Self::ZoneVersion(Some(version)) => match (version.kind, <[u8; 4]>::try_from(version.version)) {
                (0, Ok(serial)) => write!(f, "ZONEVERSION: {} labels, serial ", version.labels)
                    .and_then(|()| write!(f, "{}", u32::from_be_bytes(serial))),
                _ => {
                    write!(f, "ZONEVERSION: {} labels, type {} ", version.labels, version.kind)?;
                    version.version.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
                }
            },
            Self::ReportChannel(domain) => write!(f, "REPORT-CHANNEL: {domain}"),
            Self::Unknown { code, value } => {
                write!(f, "OPT={code}:")?;
                value.iter().try_for_each(|octet| write!(f, " {octet:02x}"))
            }
        }
    }
}

// Text for a screen: what a terminal might take for an order becomes a dot.
fn printable(octets: &[u8]) -> String {
    let dotted = |character: char| if character.is_control() { '.' } else { character };
    String::from_utf8_lossy(octets).chars().map(dotted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hex: &str) -> (Vec<u8>, Result<String, Malformed>) {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
        let octets: Vec<u8> = digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        let mut back = Vec::new();
        let lines: Result<Vec<String>, Malformed> = options(&octets)
            .map(|option| {
                option.map(|option| {
                    option.write(&mut back);
                    option.to_string()
                })
            })
            .collect();
        if lines.is_ok() {
            assert_eq!(back, octets, "{hex}");
        }
        (octets, lines.map(|lines| lines.join("; ")))
    }

    #[test]
    fn options_mean_what_their_octets_say_and_are_written_back() {
        for (hex, text) in [
            ("", ""),
            ("0003 0000", "NSID: (\"\")"),
            ("0003 0003 6e7331", "NSID: 6e 73 31 (\"ns1\")"),
            ("0008 0007 0001 18 00 c00002", "CLIENT-SUBNET: 192.0.2.0/24/0"),
            ("0008 0004 0001 00 00", "CLIENT-SUBNET: 0.0.0.0/0/0"),
            ("0008 000b 0002 38 30 20010db8000000", "CLIENT-SUBNET: 2001:db8::/56/48"),
            ("0009 0000", "EXPIRE"),
            ("0009 0004 00093a80", "EXPIRE: 604800"),
            ("000a 0008 0102030405060708", "COOKIE: 0102030405060708"),
            ("000a 0010 0102030405060708 1112131415161718", "COOKIE: 01020304050607081112131415161718"),
            ("000b 0000", "TCP-KEEPALIVE"),
            ("000b 0002 012d", "TCP-KEEPALIVE: 30.1 secs"),
            ("000c 0003 000000", "PAD: (3 bytes)"),
            ("000f 0002 0012", "EDE: 18 (Prohibited)"),
            ("000f 0004 0003 0a41", "EDE: 3 (Stale Answer): (.A)"),
            ("000f 0002 ffff", "EDE: 65535"),
            ("0012 0003 0161 00", "REPORT-CHANNEL: a."),
            ("0013 0000", "ZONEVERSION"),
            ("0013 0006 02 00 78563412", "ZONEVERSION: 2 labels, serial 2018915346"),
            ("0013 0003 02 07 ab", "ZONEVERSION: 2 labels, type 7 ab"),
            ("fde9 0002 0102 000c 0000", "OPT=65001: 01 02; PAD: (0 bytes)"),
        ] {
            assert_eq!(check(hex).1.as_deref(), Ok(text), "{hex}");
            let (octets, _) = check(hex);
            for length in 0..octets.len() {
                assert!(options(&octets[..length]).count() <= 2, "{hex}");
            }
        }
    }

    #[test]
    fn values_that_an_option_does_not_allow_are_refused() {
        for (hex, what) in [
            ("0008 0003 0001 18", "a scope prefix length"),
            ("0008 0007 0003 18 00 c00002", "an address family of 1 or 2"),
            ("0008 0008 0001 18 00 c0000200", "as many octets of address as the prefix has"),
            ("0008 0007 0001 17 00 c00003", "bits of 0 behind the prefix"),
            ("0008 0009 0001 21 00 c000020101", "as many octets of address as the prefix has"),
            ("0009 0003 000000", "an EXPIRE of four octets"),
            ("0009 0005 0000000000", "an EXPIRE of four octets"),
            ("000a 0007 01020304050607", "a client cookie of 8 octets"),
            ("000a 0009 010203040506070809", "a server cookie of 8 to 32 octets"),
            ("000b 0001 00", "a keepalive of two octets"),
            ("000f 0001 00", "an INFO-CODE"),
            ("0012 0002 0161", "a label"),
            ("0013 0003 02 00 01", "a serial of four octets"),
            ("0003 0004 6e7331", "the value of an EDNS option"),
        ] {
            assert_eq!(check(hex).1.map_err(|malformed| malformed.what), Err(what), "{hex}");
        }
    }

    #[test]
    fn an_option_is_found_by_its_code() {
        let (octets, _) = check("fde9 0000 000a 0008 0102030405060708");
        assert_eq!(find(&octets, code::COOKIE), Some(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
        assert_eq!(find(&octets, code::NSID), None);
    }
}
