//! Queries over UDP: net's batched shell drives a [`Front`]; what it cannot answer goes to the resolver.

use doorway_base::{Datagram, Instant, Responder, UnixTime, Verdict, Writer};
use doorway_net::World;
use doorway_net::udp::UdpReplier;

use super::Parts;
use super::recursion::Asker;
use crate::authority::{Authority, Carrier, is_one_host};
use crate::front::{Client, Decision, Front};

/// What answers the datagrams of one worker.
#[derive(Debug)]
pub struct Datagrams {
    front: Front,
    parts: Parts,
    replier: UdpReplier,
    world: World,
    wall: UnixTime,
}

impl Datagrams {
    /// Answers by `front`, and by `parts` what has to wait.
    #[must_use]
    pub fn new(world: &World, front: Front, parts: Parts, replier: &UdpReplier) -> Self {
        Self { front, parts, replier: replier.clone(), world: world.clone(), wall: world.wall() }
    }
}

impl Responder for Datagrams {
    const AHEAD_STEPS: usize = <Authority as Responder>::AHEAD_STEPS;

    fn ahead(&mut self, step: usize, index: usize, query: &[u8]) -> Option<*const u8> {
        self.front.ahead(step, index, query)
    }

    fn answer(&mut self, now: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict {
        let Datagram { remote, local, octets, flow } = query;
        // Answers to these would go to many, or to nobody, or round in circles.
        if remote.port() == 0 || !is_one_host(remote.ip()) {
            return Verdict::Drop("a source that cannot be answered");
        }
        let client = Client { address: remote.ip(), carrier: Carrier::Datagram, wall: self.wall };
        match self.front.decide(now, client, octets, reply) {
            Decision::Reply => {
                self.parts.refresh(&mut self.front);
                self.parts.note(self.wall, remote, "udp", octets, reply.written(), &self.front);
                Verdict::Reply
            }
            Decision::Drop(why) => Verdict::Drop(why),
            Decision::Resolve(wanted) => {
                let replier = self.replier.clone();
                match self.parts.ask(Asker::Datagram { wanted, replier, remote, local, flow }) {
                    Ok(()) => Verdict::Later,
                    Err(_) => Verdict::Drop("too many questions under way"),
                }
            }
            Decision::Upkeep => {
                if let Some(upkeep) = self.parts.upkeep() {
                    let replier = self.replier.clone();
                    return match upkeep.datagram(octets, replier, remote, local, flow) {
                        true => Verdict::Later,
                        false => Verdict::Drop("too many changes under way"),
                    };
                }
                self.front.decline(octets, Carrier::Datagram, reply);
                Verdict::Reply
            }
        }
    }

    fn refresh(&mut self, _now: Instant) {
        self.front.take_up();
        self.wall = self.world.wall();
    }
}
