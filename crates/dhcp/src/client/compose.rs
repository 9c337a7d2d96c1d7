//! The messages that a client sends. RFC 2131 §4.4.1 table 5 says what stands in each.

use core::net::Ipv4Addr;

use doorway_base::Writer;

use super::{MESSAGE_OCTETS_MAX, Settings};
use crate::wire::message::{BOOTREQUEST, BROADCAST};
use crate::wire::reply::MESSAGE_OCTETS_MIN;
use crate::wire::{ClientFqdn, Head, MessageType, MessageWriter, code, fqdn};

/// Room for a message, in octets; what a client says of itself is far shorter.
const ROOM_OCTETS: usize = 1472;

/// What differs from message to message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) kind: MessageType,
    pub(super) xid: u32,
    pub(super) secs: u16,
    /// The address that is in use: only of who is bound, or asks for the rest.
    pub(super) ciaddr: Ipv4Addr,
    /// Option 50.
    pub(super) requested: Option<Ipv4Addr>,
    /// Option 54.
    pub(super) server: Option<Ipv4Addr>,
}

impl Content {
    pub(super) const fn new(kind: MessageType, xid: u32) -> Self {
        Self { kind, xid, secs: 0, ciaddr: Ipv4Addr::UNSPECIFIED, requested: None, server: None }
    }
}

/// The octets of a message.
pub(super) fn compose(settings: &Settings, content: &Content) -> Vec<u8> {
    let mut octets = vec![0; ROOM_OCTETS];
    let mut out = Writer::new(&mut octets);
    let kind = content.kind;
    let asks = matches!(kind, MessageType::Discover | MessageType::Request | MessageType::Inform);
    let mut head = Head::new(BOOTREQUEST, settings.hardware, content.xid);
    head.secs = content.secs;
    head.ciaddr = content.ciaddr;
    if asks && settings.broadcast && content.ciaddr.is_unspecified() {
        head.flags = BROADCAST;
    }
    let mut message = MessageWriter::new(&mut out, &head);
    message.option(code::MESSAGE_TYPE, &[kind as u8]);
    if !settings.client_id.is_empty() {
        message.option(code::CLIENT_ID, &settings.client_id);
    }
    if let Some(address) = content.requested {
        message.option(code::REQUESTED_ADDRESS, &address.octets());
    }
    if let Some(server) = content.server {
        message.option(code::SERVER_ID, &server.octets());
    }
    if asks {
        describe(settings, kind, &mut message);
    }
    message.finish(MESSAGE_OCTETS_MIN);
    let length = out.position();
    octets.truncate(length);
    octets
}

/// Who the client is and what it wants to know.
fn describe(settings: &Settings, kind: MessageType, message: &mut MessageWriter<'_, '_>) {
    message.option(code::MESSAGE_OCTETS_MAX, &MESSAGE_OCTETS_MAX.to_be_bytes());
    if let Some(lease) = settings.lease.filter(|_| kind != MessageType::Inform) {
        let seconds = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
        message.option(code::LEASE_SECONDS, &seconds.to_be_bytes());
    }
    match settings.host_name.as_deref() {
        // RFC 4702 §3.1: who sends option 81 does not send option 12.
        Some(name) if name.contains('.') => {
            let flags = fqdn::SERVER_UPDATES | fqdn::DNS_FORM;
            let name = name.trim_end_matches('.').to_owned();
            message.option(code::CLIENT_FQDN, &ClientFqdn { flags, name, is_full: true }.request());
        }
        Some(name) if !name.is_empty() => message.option(code::HOST_NAME, name.as_bytes()),
        _ => {}
    }
    if let Some(class) = settings.vendor_class.as_deref().filter(|class| !class.is_empty()) {
        message.option(code::VENDOR_CLASS, class.as_bytes());
    }
    message.option(code::PARAMETERS, &settings.parameters);
}
