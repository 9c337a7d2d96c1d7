//! Where to boot from, for machines that get their address from another server: proxyDHCP of PXE 2.1 §2.2.3. A
//! DISCOVER is answered with an offer of no address; the machine then asks on port 4011.

use core::net::Ipv4Addr;

use doorway_base::Writer;

use super::Server;
use super::asked::Asked;
use super::counters::Stats;
use super::reply::{Answer, boot_class};
use super::verdict::{Destination, DropReason, Verdict};
use crate::plan::Plan;
use crate::wire::{MessageType, PROXY_PORT};

impl Server {
    /// Tells a machine where to boot from, and nothing else.
    pub(super) fn boot(&mut self, plan: &Plan, asked: &Asked<'_, '_>, reply: &mut Writer<'_>) -> Verdict {
        if boot_class(asked).is_none() {
            return Verdict::Drop(DropReason::NotBooting);
        }
        let is_asked_for_files = asked.destination.port() == PROXY_PORT;
        let kind = match asked.kind {
            MessageType::Discover if !is_asked_for_files => MessageType::Offer,
            MessageType::Request | MessageType::Inform if is_asked_for_files => MessageType::Ack,
            _ => return Verdict::Drop(DropReason::OtherServer),
        };
        let answer = Answer::without_address(kind);
        if let Err(reason) = self.compose(plan, asked, &answer, reply) {
            return Verdict::Drop(reason);
        }
        Stats::count(&mut self.stats.sent, kind);
        if is_asked_for_files && asked.is_on_link() {
            return Verdict::Reply(Destination::Unicast(asked.source));
        }
        Verdict::Reply(self.destination(asked, Ipv4Addr::UNSPECIFIED))
    }
}
