//! One line about a message, for the trace.

use core::net::Ipv4Addr;
use std::fmt::Write;

use super::message::{BOOTREQUEST, Message, MessageType};

/// One line: `DHCPDISCOVER xid 3903f326 02:00:00:00:00:01 wants 10.0.0.7`.
#[must_use]
pub fn summary(octets: &[u8]) -> String {
    let message = match Message::parse(octets) {
        Ok(message) => message,
        Err(malformed) => return format!("no DHCP message: {malformed}"),
    };
    let name = match message.kind() {
        Some(kind) => kind.name(),
        None if !message.is_bootp() => "DHCP message of an unknown type",
        None if message.op() == BOOTREQUEST => "BOOTREQUEST",
        None => "BOOTREPLY",
    };
    let mut line = format!("{name} xid {:08x} {}", message.xid(), message.hardware());
    let wants =
        message.requested_address().or(Some(message.ciaddr()).filter(|ciaddr| !ciaddr.is_unspecified()));
    let mut say = |word: &str, address: Option<Ipv4Addr>| {
        if let Some(address) = address.filter(|address| !address.is_unspecified()) {
            // Writing into a string cannot fail.
            let _ = write!(line, " {word} {address}");
        }
    };
    match message.kind() {
        Some(MessageType::Offer | MessageType::Ack) => say("gives", Some(message.yiaddr())),
        Some(MessageType::Release | MessageType::Inform) => say("of", Some(message.ciaddr())),
        Some(MessageType::Decline) => say("of", message.requested_address()),
        Some(MessageType::Nak) => {}
        _ => say("wants", wants),
    }
    say("server", message.server_id());
    say("by relay", Some(message.giaddr()));
    line
}
