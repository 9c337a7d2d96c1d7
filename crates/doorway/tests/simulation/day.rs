//! One run: questions and requests on a bad link, a power cut, a partition, and questions again.

use std::time::Duration;

use doorway_base::Instant;
use doorway_base::trace::TraceHash;
use doorway_dns::wire::Rcode;
use doorway_net::World;

use crate::client::{ask_tcp, ask_udp, begin_to_fetch, fetch, octets_to_the_end};
use crate::network::{LARGE_OCTETS, Network};

/// How long the server has no power, and how long nothing passes between the hosts.
const OUTAGE: Duration = Duration::from_secs(10);

/// What is left of a run to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Day {
    /// Over every message of both hosts.
    pub(crate) hash: TraceHash,
    /// How long it took in virtual time.
    pub(crate) end: Instant,
    /// How many questions over UDP had to be asked again.
    pub(crate) asked_again: u32,
}

impl Day {
    /// Lives through it. Fails when anything is answered wrongly.
    pub(crate) fn live(seed: u64) -> Self {
        let Network { mut sim, server, client } = Network::new(seed);
        let mut asked_again = 0;
        let mut ask_for_a_while = |sim: &mut doorway_sim::Simulation| {
            let world = sim.world(client);
            asked_again += sim.run(client, async move { everything(&world).await }).unwrap();
        };
        ask_for_a_while(&mut sim);

        // The power goes while a file is on its way.
        let world = sim.world(client);
        let download = sim.run(client, async move { begin_to_fetch(&world, "/large.bin").await }).unwrap();
        sim.crash(server);
        sim.run_for(OUTAGE);
        sim.restart(server);
        let world = sim.world(client);
        let arrived = sim.run(client, async move { octets_to_the_end(&world, download).await }).unwrap();
        assert!(arrived < LARGE_OCTETS, "{arrived} octets");
        ask_for_a_while(&mut sim);

        // Nothing passes for a while; what was under way arrives afterwards.
        let world = sim.world(client);
        let (tell, told) = tokio::sync::oneshot::channel();
        sim.partition(&[server], &[client]);
        world.clone().spawn("patient", async move {
            let _ = tell.send(ask_udp(&world, "www.example.org").await);
        });
        sim.run_for(OUTAGE);
        sim.heal(&[server], &[client]);
        let (answer, tries) = sim.run(client, async move { told.await.unwrap() }).unwrap();
        assert_eq!(answer.rcode(), Rcode::NOERROR);
        assert!(tries > 5, "{tries} tries through a cut of {OUTAGE:?}");
        ask_for_a_while(&mut sim);

        assert_eq!(sim.world(server).doors().panics(), 0);
        Self { hash: sim.trace().hash(), end: sim.now(), asked_again }
    }
}

/// Asks both services for everything. Returns how many questions over UDP were asked more than once.
async fn everything(world: &World) -> u32 {
    let mut asked_again = 0;
    for _ in 0..20 {
        let (found, tries) = ask_udp(world, "www.example.org").await;
        assert_eq!((found.rcode(), found.answers.len()), (Rcode::NOERROR, 1));
        let (missing, more) = ask_udp(world, "none.example.org").await;
        assert_eq!((missing.rcode(), missing.answers.len()), (Rcode::NXDOMAIN, 0));
        asked_again += u32::from(tries > 1) + u32::from(more > 1);
    }
    let answers = ask_tcp(world, "www.example.org", 20).await;
    assert!(answers.len() == 20 && answers.iter().all(|answer| answer.answers.len() == 1));
    let fetched = fetch(world, &["/", "/none", "/large.bin", "/"]).await;
    let told: Vec<_> = fetched.iter().map(|(status, body)| (*status, body.len())).collect();
    assert_eq!(told, [(200, 15), (404, 14), (200, LARGE_OCTETS), (200, 15)]);
    asked_again
}
