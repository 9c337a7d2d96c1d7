//! A DHCP message as it leaves. RFC 2131 §2 and §4.1, RFC 3396.
//!
//! A value of more than 255 octets goes out in pieces; when the options do not fit, they go on in `file` and
//! `sname`, if these are free (option 52). Not here: which options a reply has, and in which order.

use core::net::Ipv4Addr;

use doorway_base::Writer;

use super::hardware::HardwareAddress;
use super::message::{FILE_AT, FILE_OCTETS, MAGIC_COOKIE, Message, OPTIONS_AT, SNAME_AT, SNAME_OCTETS};
use super::option::code;

/// What a message is padded to, in octets: some relay agents and clients drop shorter ones (RFC 1542 §2.1).
pub const MESSAGE_OCTETS_MIN: usize = 300;
/// What every client takes, in octets of a message: a datagram of 576 octets (RFC 2131 §2) without the headers
/// of IP and UDP.
pub const MESSAGE_OCTETS_DEFAULT: usize = 576 - HEADERS_OCTETS;
/// The headers of IP and UDP, which option 57 counts and a message does not.
pub const HEADERS_OCTETS: usize = 28;
/// Most octets of one piece of an option's value.
const PIECE_OCTETS_MAX: usize = 255;
/// What option 52 takes, in octets.
const OVERLOAD_OCTETS: usize = 3;

/// The fixed fields of a message, but for `sname` and `file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// 1 for what clients send, 2 for what servers send.
    pub op: u8,
    /// `htype`, `hlen` and `chaddr`.
    pub hardware: HardwareAddress,
    /// How many relay agents it came through.
    pub hops: u8,
    /// The number that the client chose for this exchange.
    pub xid: u32,
    /// For how many seconds the client has been asking.
    pub secs: u16,
    /// Its leftmost bit asks for broadcasts.
    pub flags: u16,
    /// The address that the client has.
    pub ciaddr: Ipv4Addr,
    /// The address that the client is given.
    pub yiaddr: Ipv4Addr,
    /// The server to boot from next.
    pub siaddr: Ipv4Addr,
    /// The relay agent's address on the client's link.
    pub giaddr: Ipv4Addr,
}

impl Head {
    /// A head with zeros for all that is not told.
    #[must_use]
    pub const fn new(op: u8, hardware: HardwareAddress, xid: u32) -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        Self {
            op,
            hardware,
            hops: 0,
            xid,
            secs: 0,
            flags: 0,
            ciaddr: none,
            yiaddr: none,
            siaddr: none,
            giaddr: none,
        }
    }

    /// The head of `message`, to send it on.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Self {
        Self {
            op: message.op(),
            hardware: message.hardware(),
            hops: message.hops(),
            xid: message.xid(),
            secs: message.secs(),
            flags: message.flags(),
            ciaddr: message.ciaddr(),
            yiaddr: message.yiaddr(),
            siaddr: message.siaddr(),
            giaddr: message.giaddr(),
        }
    }
}

/// Writes one message.
#[derive(Debug)]
pub struct MessageWriter<'w, 'b> {
    out: &'w mut Writer<'b>,
    /// Most octets of the message.
    octets_max: usize,
    /// Octets of the options field that are kept for what comes last.
    reserved: usize,
    /// Where options go on in `file` and `sname`: the next octet of each. `None` when text stands there.
    file_at: Option<usize>,
    sname_at: Option<usize>,
    /// Options that did not fit anywhere.
    left_out: usize,
}

impl<'w, 'b> MessageWriter<'w, 'b> {
    /// Begins a message at the first octet of `out`, with the fixed fields and empty `sname` and `file`.
    pub fn new(out: &'w mut Writer<'b>, head: &Head) -> Self {
        out.rewind(0);
        out.put(&[head.op, head.hardware.kind(), head.hardware.octets().len() as u8, head.hops]);
        out.put_u32(head.xid);
        out.put_u16(head.secs);
        out.put_u16(head.flags);
        for address in [head.ciaddr, head.yiaddr, head.siaddr, head.giaddr] {
            out.put(&address.octets());
        }
        out.put(head.hardware.padded());
        out.put(&[0; SNAME_OCTETS + FILE_OCTETS]);
        out.put(&MAGIC_COOKIE);
        let octets_max = out.position() + out.room();
        Self { out, octets_max, reserved: 1, file_at: None, sname_at: None, left_out: 0 }
    }

    /// Puts the server's name into `sname`; what is longer than 63 octets is cut.
    pub fn sname(&mut self, name: &[u8]) {
        self.text(SNAME_AT, SNAME_OCTETS, name);
    }

    /// Puts the boot file's name into `file`; what is longer than 127 octets is cut.
    pub fn file(&mut self, name: &[u8]) {
        self.text(FILE_AT, FILE_OCTETS, name);
    }

    fn text(&mut self, at: usize, octets: usize, text: &[u8]) {
        let text = &text[..text.len().min(octets - 1)];
        if let Some(field) = self.out.written_mut().get_mut(at..at + text.len()) {
            field.copy_from_slice(text);
        }
    }

    /// Lets the message have at most `octets`, which is never less than what every client takes.
    pub fn octets_max(&mut self, octets: usize) {
        self.octets_max = self.octets_max.min(octets.max(MESSAGE_OCTETS_DEFAULT));
    }

    /// Lets options go on in `file` and `sname` when the options field is full. Say it after
    /// [`sname`](Self::sname) and [`file`](Self::file): a field with text is not used.
    pub fn may_overload(&mut self) {
        let written = self.out.written();
        self.file_at = (written.get(FILE_AT) == Some(&0)).then_some(FILE_AT);
        self.sname_at = (written.get(SNAME_AT) == Some(&0)).then_some(SNAME_AT);
        self.reserved += OVERLOAD_OCTETS;
    }

    /// Keeps room for an option of `octets` that [`last`](Self::last) will write.
    pub fn reserve(&mut self, octets: usize) {
        self.reserved += option_octets(octets);
    }

    /// Writes an option: a value of more than 255 octets in pieces. Whole, or not at all.
    pub fn option(&mut self, code: u8, value: &[u8]) {
        let octets = option_octets(value.len());
        if self.out.position() + octets + self.reserved <= self.octets_max {
            put_option(self.out, code, value);
            return;
        }
        let fields =
            [(&mut self.file_at, FILE_AT + FILE_OCTETS), (&mut self.sname_at, SNAME_AT + SNAME_OCTETS)];
        for (next, end) in fields {
            if let Some(at) = *next
                && at + octets < end
                && let Some(field) = self.out.written_mut().get_mut(at..at + octets)
            {
                put_option(&mut Writer::new(field), code, value);
                *next = Some(at + octets);
                return;
            }
        }
        self.left_out += 1;
    }

    /// Writes options that were made ready before: number, length and value of each, none in pieces.
    pub fn ready_options(&mut self, options: &[u8]) {
        if self.out.position() + options.len() + self.reserved <= self.octets_max {
            self.out.put(options);
            return;
        }
        let mut rest = options;
        while let [code, length, behind @ ..] = rest {
            let Some((value, next)) = behind.split_at_checked(usize::from(*length)) else { return };
            self.option(*code, value);
            rest = next;
        }
    }

    /// Writes one of the options that come last, for which room was kept.
    pub fn last(&mut self, code: u8, value: &[u8]) {
        self.overload();
        self.reserved = self.reserved.saturating_sub(option_octets(value.len()));
        if self.out.position() + option_octets(value.len()) < self.octets_max {
            put_option(self.out, code, value);
        } else {
            self.left_out += 1;
        }
    }

    /// Says by option 52 which fields hold options, and ends these.
    fn overload(&mut self) {
        let mut which = 0;
        for (next, begin, bit) in [(self.file_at.take(), FILE_AT, 1), (self.sname_at.take(), SNAME_AT, 2)] {
            if let Some(at) = next.filter(|&at| at > begin) {
                self.out.written_mut()[at] = code::END;
                which |= bit;
            }
        }
        if which != 0 {
            put_option(self.out, code::OVERLOAD, &[which]);
        }
    }

    /// Ends the message and pads it to `octets_min`. Returns how many options were left out for want of room.
    pub fn finish(mut self, octets_min: usize) -> usize {
        const ZEROS: [u8; MESSAGE_OCTETS_MIN] = [0; MESSAGE_OCTETS_MIN];
        self.overload();
        self.out.put_u8(code::END);
        let missing = octets_min.saturating_sub(self.out.position());
        self.out.put(&ZEROS[..missing.min(MESSAGE_OCTETS_MIN)]);
        self.left_out
    }
}

/// What a value takes, in octets, with the number and length of each of its pieces.
pub(crate) const fn option_octets(value_octets: usize) -> usize {
    let pieces = if value_octets == 0 { 1 } else { value_octets.div_ceil(PIECE_OCTETS_MAX) };
    value_octets + 2 * pieces
}

fn put_option(out: &mut Writer<'_>, code: u8, value: &[u8]) {
    if value.is_empty() {
        out.put(&[code, 0]);
    }
    for piece in value.chunks(PIECE_OCTETS_MAX) {
        out.put(&[code, piece.len() as u8]);
        out.put(piece);
    }
}

const _: () = assert!(OPTIONS_AT == 240);
