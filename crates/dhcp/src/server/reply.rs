//! Replies: which fields and options they have, and where they go. RFC 2131 §4.3.1 (table 3) and §4.1.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::borrow::Cow;

use doorway_base::Writer;

use super::Server;
use super::asked::{Asked, reservation};
use super::blocks::BlockKey;
use super::counters::Stats;
use super::naming::Naming;
use super::verdict::{Destination, DropReason, Verdict};
use crate::plan::Plan;
use crate::wire::message::{BOOTREPLY, BROADCAST};
use crate::wire::option::code;
use crate::wire::reply::{HEADERS_OCTETS, MESSAGE_OCTETS_DEFAULT, MESSAGE_OCTETS_MIN, option_octets};
use crate::wire::{CLIENT_PORT, Head, MessageType, MessageWriter, SERVER_PORT};

/// Most octets of a reply: an Ethernet frame holds as much behind the headers of IP and UDP.
const REPLY_OCTETS_MAX: usize = 1500 - HEADERS_OCTETS;
/// What begins the vendor class of a client that boots by PXE, and is its answer: PXE 2.1 §2.2.3.
const PXE_CLIENT: &[u8] = b"PXEClient";
/// The same for one that boots by HTTP: UEFI 2.10 §24.7.
const HTTP_CLIENT: &[u8] = b"HTTPClient";
/// Option 43 for a PXE client that is told its file: it looks for no boot servers. PXE 2.1 §2.2.3, tag 6.
const NO_DISCOVERY: &[u8] = &[6, 1, 8, code::END];

/// What a reply says, beside the options.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) kind: MessageType,
    /// The client's address; 0.0.0.0 when it is given none.
    pub(super) yiaddr: Ipv4Addr,
    /// How long the lease lasts, in seconds. `None` when there is none.
    pub(super) seconds: Option<u32>,
    pub(super) naming: Naming<'a>,
}

impl Answer<'_> {
    /// A reply without an address.
    pub(super) fn without_address(kind: MessageType) -> Self {
        Self { kind, yiaddr: Ipv4Addr::UNSPECIFIED, seconds: None, naming: Naming::default() }
    }
}

/// The vendor class of a client that boots over the network, as its answer has it.
pub(super) fn boot_class(asked: &Asked<'_, '_>) -> Option<&'static [u8]> {
    let class = asked.message.vendor_class()?;
    [PXE_CLIENT, HTTP_CLIENT].into_iter().find(|known| class.starts_with(known))
}

impl Server {
    /// Writes an OFFER or an ACK.
    pub(super) fn compose(
        &mut self,
        plan: &Plan,
        asked: &Asked<'_, '_>,
        answer: &Answer<'_>,
        reply: &mut Writer<'_>,
    ) -> Result<(), DropReason> {
        let message = asked.message;
        let parameters = message.parameters();
        // A reservation that gives nothing but its address shares the block of its subnet.
        let known = reservation(plan, asked).filter(|known| known.says_more());
        let key = BlockKey {
            subnet: asked.subnet,
            classes: asked.classes,
            known: known.and(asked.known),
            parameters: parameters.as_deref(),
        };
        let block = self.blocks.block(plan, known, &key);
        let mut head = Head { op: BOOTREPLY, hops: 0, secs: 0, ..Head::of(message) };
        head.yiaddr = answer.yiaddr;
        head.siaddr = block.boot.server.unwrap_or(Ipv4Addr::UNSPECIFIED);
        if answer.kind == MessageType::Offer {
            head.ciaddr = Ipv4Addr::UNSPECIFIED;
        }
        let mut writer = MessageWriter::new(reply, &head);
        writer.octets_max(octets_max(asked));
        if let Some(name) = &block.boot.server_name {
            writer.sname(name.as_bytes());
        }
        if let Some(file) = &block.boot.file {
            writer.file(file.as_bytes());
        }
        writer.may_overload();
        writer.option(code::MESSAGE_TYPE, &[answer.kind as u8]);
        writer.option(code::SERVER_ID, &asked.server_id.octets());
        if let Some(seconds) = answer.seconds {
            let times = asked.times(plan);
            writer.option(code::LEASE_SECONDS, &seconds.to_be_bytes());
            if seconds != u32::MAX {
                writer.option(code::RENEWAL_SECONDS, &times.renewal(seconds).to_be_bytes());
                writer.option(code::REBINDING_SECONDS, &times.rebinding(seconds).to_be_bytes());
            }
        }
        // Behind what no answer can do without, room is kept for what ends it.
        let by_agent = !asked.is_answered_straight(plan);
        let tail = Tail::new(asked, by_agent, &mut writer);
        writer.ready_options(&block.ready);
        if let Some(fqdn) = &answer.naming.reply {
            writer.option(code::CLIENT_FQDN, &fqdn.reply());
        }
        if let Some(class) = boot_class(asked).filter(|_| block.boot.file.is_some()) {
            if !block.tells(code::VENDOR_CLASS) {
                writer.option(code::VENDOR_CLASS, class);
            }
            if class == PXE_CLIENT && !block.tells(code::VENDOR_INFORMATION) {
                writer.option(code::VENDOR_INFORMATION, NO_DISCOVERY);
            }
            // UEFI's HTTP boot reads the URL from option 67 alone.
            if class == HTTP_CLIENT && !block.tells(code::BOOT_FILE_NAME) {
                let file = block.boot.file.as_deref().unwrap_or_default();
                writer.option(code::BOOT_FILE_NAME, file.as_bytes());
            }
            if let Some(machine) = message.option(code::MACHINE_ID) {
                writer.option(code::MACHINE_ID, &machine);
            }
        }
        for (code, value) in &block.long {
            writer.option(*code, value);
        }
        tail.write(&mut writer);
        let left_out = writer.finish(MESSAGE_OCTETS_MIN);
        self.stats.options_left_out += left_out as u64;
        if reply.overflowed() { Err(DropReason::TooLong) } else { Ok(()) }
    }

    /// Refuses what a client asks for: RFC 2131 §4.3.2.
    pub(super) fn refuse(
        &mut self,
        plan: &Plan,
        asked: &Asked<'_, '_>,
        why: &'static str,
        reply: &mut Writer<'_>,
    ) -> Verdict {
        let message = asked.message;
        let none = Ipv4Addr::UNSPECIFIED;
        let mut head =
            Head { op: BOOTREPLY, hops: 0, secs: 0, ciaddr: none, yiaddr: none, ..Head::of(message) };
        head.siaddr = none;
        if !asked.is_on_link() {
            // The relay agent is to broadcast it: the client may have no address that it hears.
            head.flags |= BROADCAST;
        }
        let mut writer = MessageWriter::new(reply, &head);
        writer.octets_max(octets_max(asked));
        writer.option(code::MESSAGE_TYPE, &[MessageType::Nak as u8]);
        writer.option(code::SERVER_ID, &asked.server_id.octets());
        let tail = Tail::new(asked, true, &mut writer);
        writer.option(code::REASON, why.as_bytes());
        tail.write(&mut writer);
        writer.finish(MESSAGE_OCTETS_MIN);
        if reply.overflowed() {
            return Verdict::Drop(DropReason::TooLong);
        }
        Stats::count(&mut self.stats.sent, MessageType::Nak);
        let ciaddr = message.ciaddr();
        let interface = &plan.interfaces()[asked.interface];
        let link = crate::plan::Network::new(interface.address, interface.prefix);
        let is_far =
            !asked.destination.ip().is_broadcast() && !ciaddr.is_unspecified() && !link.contains(ciaddr);
        Verdict::Reply(match asked.is_on_link() {
            false => Destination::Relay(SocketAddrV4::new(asked.giaddr(), SERVER_PORT)),
            // Who is renewing from behind a router hears no broadcast of ours.
            true if is_far => Destination::Unicast(SocketAddrV4::new(ciaddr, CLIENT_PORT)),
            true => Destination::Broadcast,
        })
    }

    /// Where an OFFER or an ACK goes.
    pub(super) fn destination(&self, asked: &Asked<'_, '_>, yiaddr: Ipv4Addr) -> Destination {
        let message = asked.message;
        if !asked.is_on_link() {
            return Destination::Relay(SocketAddrV4::new(asked.giaddr(), SERVER_PORT));
        }
        if !message.ciaddr().is_unspecified() {
            return Destination::Unicast(SocketAddrV4::new(message.ciaddr(), CLIENT_PORT));
        }
        if message.broadcast() || yiaddr.is_unspecified() || asked.hardware.mac().is_none() {
            return Destination::Broadcast;
        }
        Destination::Link { address: yiaddr, hardware: asked.hardware }
    }
}

/// Most octets of a reply to this client, its option 57 considered. Option 82 is not counted: who put it in
/// takes it out.
fn octets_max(asked: &Asked<'_, '_>) -> usize {
    let wanted =
        asked.message.message_octets_max().map(|octets| usize::from(octets).saturating_sub(HEADERS_OCTETS));
    let agent = asked.message.option(code::AGENT).map_or(0, |agent| option_octets(agent.len()));
    (wanted.unwrap_or(MESSAGE_OCTETS_DEFAULT).max(MESSAGE_OCTETS_DEFAULT) + agent).min(REPLY_OCTETS_MAX)
}

/// What is sent back as it came, at the very end: options 118, 61 and 82.
struct Tail<'a> {
    selection: Option<Cow<'a, [u8]>>,
    client: Option<Cow<'a, [u8]>>,
    agent: Option<Cow<'a, [u8]>>,
}

impl<'a> Tail<'a> {
    /// Keeps room for it. What the relay agent said goes back `by_agent` alone, which takes it out.
    fn new(asked: &Asked<'_, 'a>, by_agent: bool, writer: &mut MessageWriter<'_, '_>) -> Self {
        let message = asked.message;
        let tail = Self {
            selection: message.option(code::SUBNET_SELECTION).filter(|value| value.len() == 4),
            client: message.client_id(),
            agent: message.option(code::AGENT).filter(|_| by_agent),
        };
        for value in [&tail.selection, &tail.client, &tail.agent].into_iter().flatten() {
            writer.reserve(value.len());
        }
        tail
    }

    fn write(&self, writer: &mut MessageWriter<'_, '_>) {
        let all = [
            (code::SUBNET_SELECTION, &self.selection),
            (code::CLIENT_ID, &self.client),
            (code::AGENT, &self.agent),
        ];
        for (code, value) in all {
            if let Some(value) = value {
                writer.last(code, value);
            }
        }
    }
}
