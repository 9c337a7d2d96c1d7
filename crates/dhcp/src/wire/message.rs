//! A DHCP message as it arrived: one pass that checks it and finds its options. RFC 2131 §2, RFC 3396.
//!
//! Nothing is copied, but for an option that came in several pieces. Not here: what the message means.

use core::net::Ipv4Addr;
use std::borrow::Cow;

use doorway_base::{Malformed, Reader};

use super::agent::Agent;
use super::fqdn::ClientFqdn;
use super::hardware::HardwareAddress;
use super::option::code;

/// Most octets of a message that is read.
pub const MESSAGE_OCTETS_MAX: usize = 1500;
/// `op` of what clients send.
pub const BOOTREQUEST: u8 = 1;
/// `op` of what servers send.
pub const BOOTREPLY: u8 = 2;
/// What tells options from the vendor area of BOOTP: RFC 2131 §3.
pub const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// The leftmost bit of `flags`: the client hears broadcasts alone. RFC 2131 §4.1.
pub const BROADCAST: u16 = 0x8000;

/// Where `sname`, `file` and the options begin, in octets.
pub(crate) const SNAME_AT: usize = 44;
pub(crate) const SNAME_OCTETS: usize = 64;
pub(crate) const FILE_AT: usize = SNAME_AT + SNAME_OCTETS;
pub(crate) const FILE_OCTETS: usize = 128;
const COOKIE_AT: usize = FILE_AT + FILE_OCTETS;
pub(crate) const OPTIONS_AT: usize = COOKIE_AT + MAGIC_COOKIE.len();

/// What a message is for: option 53 of RFC 2132 §9.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageType {
    /// A client looks for servers.
    Discover = 1,
    /// A server offers an address.
    Offer,
    /// A client asks for what was offered, or for what it has to go on.
    Request,
    /// A client found its address in use.
    Decline,
    /// A server confirms.
    Ack,
    /// A server refuses.
    Nak,
    /// A client gives its address back.
    Release,
    /// A client that has an address asks for the rest.
    Inform,
}

impl MessageType {
    /// Every one of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Discover,
        Self::Offer,
        Self::Request,
        Self::Decline,
        Self::Ack,
        Self::Nak,
        Self::Release,
        Self::Inform,
    ];

    /// The name in RFC 2131: `"DHCPDISCOVER"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discover => "DHCPDISCOVER",
            Self::Offer => "DHCPOFFER",
            Self::Request => "DHCPREQUEST",
            Self::Decline => "DHCPDECLINE",
            Self::Ack => "DHCPACK",
            Self::Nak => "DHCPNAK",
            Self::Release => "DHCPRELEASE",
            Self::Inform => "DHCPINFORM",
        }
    }
}

impl TryFrom<u8> for MessageType {
    type Error = u8;

    /// Hands the number back when RFC 2131 has no such message.
    fn try_from(number: u8) -> Result<Self, u8> {
        Self::ALL.get(usize::from(number).wrapping_sub(1)).copied().ok_or(number)
    }
}

/// A message that keeps to the form of RFC 2131 §2.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    octets: &'a [u8],
    /// Where the first piece of each option stands, in octets from the start; 0 for an option that is absent.
    first: [u16; 256],
    /// One bit for each option that came in several pieces.
    split: [u64; 4],
    /// Option 52: bit 0 when `file` holds options, bit 1 when `sname` does.
    overload: u8,
    kind: Option<MessageType>,
}

impl<'a> Message<'a> {
    /// Reads a message, a DHCP one or, without option 53, one of BOOTP.
    ///
    /// # Errors
    /// [`Malformed`] for more than 1500 octets, an `op` or `hlen` that is none, another cookie, an option that
    /// runs over its field, an option 52 of no meaning or within a field it speaks of, an option 53 that is
    /// not one octet.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        if octets.len() > MESSAGE_OCTETS_MAX {
            return Err(Malformed::new("at most 1500 octets", MESSAGE_OCTETS_MAX));
        }
        let mut reader = Reader::new(octets);
        if !matches!(reader.u8("op")?, BOOTREQUEST | BOOTREPLY) {
            return Err(Malformed::new("op 1 or 2", 0));
        }
        reader.u8("htype")?;
        if usize::from(reader.u8("hlen")?) > super::hardware::HARDWARE_OCTETS_MAX {
            return Err(Malformed::new("hlen of at most 16", 2));
        }
        reader.take(COOKIE_AT - reader.position(), "the fixed fields")?;
        if reader.array::<4>("the magic cookie")? != MAGIC_COOKIE {
            return Err(Malformed::new("the magic cookie", COOKIE_AT));
        }
        let mut message = Self { octets, first: [0; 256], split: [0; 4], overload: 0, kind: None };
        message.index(OPTIONS_AT, octets.len())?;
        if let Some(overload) = message.option(code::OVERLOAD) {
            let at = usize::from(message.first[usize::from(code::OVERLOAD)]);
            message.overload = match overload[..] {
                [which @ 1..=3] => which,
                _ => return Err(Malformed::new("option 52 of 1, 2 or 3", at)),
            };
            // RFC 3396 §5: `file` first, then `sname`.
            if message.overload & 1 != 0 {
                message.index(FILE_AT, FILE_AT + FILE_OCTETS)?;
            }
            if message.overload & 2 != 0 {
                message.index(SNAME_AT, SNAME_AT + SNAME_OCTETS)?;
            }
        }
        if let Some(kind) = message.option(code::MESSAGE_TYPE) {
            let at = usize::from(message.first[usize::from(code::MESSAGE_TYPE)]);
            let [number] = kind[..] else {
                return Err(Malformed::new("option 53 of one octet", at));
            };
            message.kind = MessageType::try_from(number).ok();
        }
        Ok(message)
    }

    /// Notes where each option of one field stands.
    fn index(&mut self, from: usize, to: usize) -> Result<(), Malformed> {
        let mut at = from;
        while let Some(&number) = self.octets[..to].get(at) {
            if number == code::PAD {
                at += 1;
                continue;
            }
            if number == code::END {
                break;
            }
            if from != OPTIONS_AT && number == code::OVERLOAD {
                return Err(Malformed::new("no option 52 within file or sname", at));
            }
            let length = self.octets[..to].get(at + 1).map(|&length| usize::from(length));
            let next = length.map_or(to + 1, |length| at + 2 + length);
            if next > to {
                return Err(Malformed::new("an option within its field", at));
            }
            let first = &mut self.first[usize::from(number)];
            if *first == 0 {
                *first = at as u16;
            } else {
                self.split[usize::from(number >> 6)] |= 1 << (number & 63);
            }
            at = next;
        }
        Ok(())
    }

    /// The octets it was read from.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// What it is for. `None` for a message of BOOTP and for a type that RFC 2131 does not have.
    #[must_use]
    pub const fn kind(&self) -> Option<MessageType> {
        self.kind
    }

    /// Whether it is a message of BOOTP: it has no option 53.
    #[must_use]
    pub fn is_bootp(&self) -> bool {
        !self.has(code::MESSAGE_TYPE)
    }

    /// [`BOOTREQUEST`] or [`BOOTREPLY`].
    #[must_use]
    pub fn op(&self) -> u8 {
        self.octets[0]
    }

    /// The hardware type.
    #[must_use]
    pub fn htype(&self) -> u8 {
        self.octets[1]
    }

    /// How many relay agents it came through.
    #[must_use]
    pub fn hops(&self) -> u8 {
        self.octets[3]
    }

    /// The number that a client chose for this exchange.
    #[must_use]
    pub fn xid(&self) -> u32 {
        u32::from_be_bytes(self.array(4))
    }

    /// For how many seconds the client has been asking.
    #[must_use]
    pub fn secs(&self) -> u16 {
        u16::from_be_bytes(self.array(8))
    }

    /// All of `flags`.
    #[must_use]
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes(self.array(10))
    }

    /// Whether the client asks for answers by broadcast.
    #[must_use]
    pub fn broadcast(&self) -> bool {
        self.flags() & BROADCAST != 0
    }

    /// The address that the client has and answers ARP for.
    #[must_use]
    pub fn ciaddr(&self) -> Ipv4Addr {
        self.address(12)
    }

    /// The address that the client is given.
    #[must_use]
    pub fn yiaddr(&self) -> Ipv4Addr {
        self.address(16)
    }

    /// The server to boot from next.
    #[must_use]
    pub fn siaddr(&self) -> Ipv4Addr {
        self.address(20)
    }

    /// The relay agent's address on the client's link.
    #[must_use]
    pub fn giaddr(&self) -> Ipv4Addr {
        self.address(24)
    }

    /// The client's hardware address: `hlen` octets.
    #[must_use]
    pub fn chaddr(&self) -> &'a [u8] {
        let octets = self.octets;
        &octets[28..28 + usize::from(octets[2])]
    }

    /// The client's hardware address with its type.
    #[must_use]
    pub fn hardware(&self) -> HardwareAddress {
        HardwareAddress::new(self.htype(), self.chaddr())
    }

    /// The server's name, up to its NUL; empty when options stand there.
    #[must_use]
    pub fn sname(&self) -> &'a [u8] {
        if self.overload & 2 != 0 { &[] } else { self.text(SNAME_AT, SNAME_OCTETS) }
    }

    /// The boot file's name, up to its NUL; empty when options stand there.
    #[must_use]
    pub fn file(&self) -> &'a [u8] {
        if self.overload & 1 != 0 { &[] } else { self.text(FILE_AT, FILE_OCTETS) }
    }

    /// Whether the option is there at all.
    #[must_use]
    pub fn has(&self, code: u8) -> bool {
        self.first[usize::from(code)] != 0
    }

    /// The value of an option; the pieces of a long one joined (RFC 3396 §7), which alone copies.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<Cow<'a, [u8]>> {
        let at = usize::from(self.first[usize::from(code)]);
        if at == 0 {
            return None;
        }
        if self.split[usize::from(code >> 6)] & (1 << (code & 63)) == 0 {
            return Some(Cow::Borrowed(self.piece(at)));
        }
        let pieces = self.pieces().filter(|&(number, _)| number == code);
        Some(Cow::Owned(pieces.flat_map(|(_, value)| value).copied().collect()))
    }

    /// The value of an option that came in one piece, which is how all but very long ones come.
    #[must_use]
    pub fn whole(&self, code: u8) -> Option<&'a [u8]> {
        match self.option(code)? {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(_) => None,
        }
    }

    /// Every option once, in the order of their first pieces, with its whole value.
    pub fn options(&self) -> impl Iterator<Item = (u8, Cow<'a, [u8]>)> + '_ {
        self.places()
            .filter(|&(number, at)| usize::from(self.first[usize::from(number)]) == at)
            .filter_map(|(number, _)| self.option(number).map(|value| (number, value)))
    }

    /// Option 54: the server that is spoken to, or that speaks.
    #[must_use]
    pub fn server_id(&self) -> Option<Ipv4Addr> {
        self.address_option(code::SERVER_ID)
    }

    /// Option 50: the address that the client wants.
    #[must_use]
    pub fn requested_address(&self) -> Option<Ipv4Addr> {
        self.address_option(code::REQUESTED_ADDRESS)
    }

    /// Option 1.
    #[must_use]
    pub fn subnet_mask(&self) -> Option<Ipv4Addr> {
        self.address_option(code::SUBNET_MASK)
    }

    /// Option 51, in seconds; `u32::MAX` is for ever.
    #[must_use]
    pub fn lease_seconds(&self) -> Option<u32> {
        self.seconds_option(code::LEASE_SECONDS)
    }

    /// Option 58, T1, in seconds.
    #[must_use]
    pub fn renewal_seconds(&self) -> Option<u32> {
        self.seconds_option(code::RENEWAL_SECONDS)
    }

    /// Option 59, T2, in seconds.
    #[must_use]
    pub fn rebinding_seconds(&self) -> Option<u32> {
        self.seconds_option(code::REBINDING_SECONDS)
    }

    /// Option 57: the largest message the client takes, with its IP and UDP headers, in octets.
    #[must_use]
    pub fn message_octets_max(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.whole(code::MESSAGE_OCTETS_MAX)?.try_into().ok()?))
    }

    /// Option 55: the options that the client asks for, in its order. `None` when it has no such list.
    #[must_use]
    pub fn parameters(&self) -> Option<Cow<'a, [u8]>> {
        self.option(code::PARAMETERS)
    }

    /// Option 61, which is not empty: what tells the client from others.
    #[must_use]
    pub fn client_id(&self) -> Option<Cow<'a, [u8]>> {
        self.option(code::CLIENT_ID).filter(|id| !id.is_empty())
    }

    /// Option 12 without what some put behind it, if it is text: what the host calls itself.
    #[must_use]
    pub fn host_name(&self) -> Option<&'a str> {
        let name = std::str::from_utf8(self.whole(code::HOST_NAME)?).ok()?;
        let name = name.trim_end_matches('\0');
        (!name.is_empty()).then_some(name)
    }

    /// Option 60.
    #[must_use]
    pub fn vendor_class(&self) -> Option<Cow<'a, [u8]>> {
        self.option(code::VENDOR_CLASS)
    }

    /// Option 93: the first architecture that the client boots, RFC 4578 §2.1.
    #[must_use]
    pub fn architecture(&self) -> Option<u16> {
        self.whole(code::ARCHITECTURE)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
    }

    /// Option 56: why a server refuses.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.option(code::REASON)?).into_owned())
    }

    /// Option 82, if its sub-options keep to their form.
    #[must_use]
    pub fn agent(&self) -> Option<Agent<'a>> {
        Agent::parse(self.option(code::AGENT)?).ok()
    }

    /// Option 81, if it keeps to its form.
    #[must_use]
    pub fn fqdn(&self) -> Option<ClientFqdn> {
        ClientFqdn::parse(&self.option(code::CLIENT_FQDN)?).ok()
    }

    /// An option of one address.
    #[must_use]
    pub fn address_option(&self, code: u8) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.whole(code)?).ok()?))
    }

    /// An option of addresses, such as routers and name servers; a remainder is left out.
    pub fn addresses_option(&self, code: u8) -> Vec<Ipv4Addr> {
        let value = self.option(code).unwrap_or_default();
        value
            .chunks_exact(4)
            .map(|octets| Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
            .collect()
    }

    fn seconds_option(&self, code: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.whole(code)?.try_into().ok()?))
    }

    /// Number and place of every piece: of the options, of `file`, of `sname`, as RFC 3396 §5 joins them.
    fn places(&self) -> impl Iterator<Item = (u8, usize)> + '_ {
        let fields = [
            (true, OPTIONS_AT, self.octets.len()),
            (self.overload & 1 != 0, FILE_AT, FILE_AT + FILE_OCTETS),
            (self.overload & 2 != 0, SNAME_AT, SNAME_AT + SNAME_OCTETS),
        ];
        fields.into_iter().filter(|&(used, ..)| used).flat_map(move |(_, from, to)| {
            let mut at = from;
            std::iter::from_fn(move || {
                let field = &self.octets[..to];
                while field.get(at) == Some(&code::PAD) {
                    at += 1;
                }
                let (&number, &length) = (field.get(at)?, field.get(at + 1)?);
                let place = at;
                at += 2 + usize::from(length);
                if number == code::END {
                    at = to;
                    return None;
                }
                Some((number, place))
            })
        })
    }

    fn pieces(&self) -> impl Iterator<Item = (u8, &'a [u8])> + '_ {
        self.places().map(|(number, at)| (number, self.piece(at)))
    }

    /// The value of the piece that begins at `at`, which [`Message::index`] has seen to lie within.
    fn piece(&self, at: usize) -> &'a [u8] {
        let octets = self.octets;
        &octets[at + 2..at + 2 + usize::from(octets[at + 1])]
    }

    fn text(&self, at: usize, octets: usize) -> &'a [u8] {
        let field = &self.octets[at..at + octets];
        &field[..field.iter().position(|&octet| octet == 0).unwrap_or(octets)]
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.octets[at + index])
    }

    fn address(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::from(self.array::<4>(at))
    }
}
