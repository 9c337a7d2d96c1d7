//! Servers asked every so often whether they are well.

use std::sync::{Arc, Weak};

use doorway_net::World;

use super::upstream::Upstream;
use crate::config::HealthConfig;

/// Longest answer that is read to its end, so that the connection can be used again, in octets.
const ANSWER_OCTETS_MAX: usize = 64 * 1024;

/// Checks every server of an upstream for as long as that is in use.
pub(super) fn start(world: &World, upstream: &Arc<Upstream>, health: &HealthConfig) {
    for place in 0..upstream.servers().all().len() {
        let (world, upstream, health) = (world.clone(), Arc::downgrade(upstream), health.clone());
        let spawned = world.clone();
        spawned.spawn_background("proxy", async move {
            while check(&world, &upstream, place, &health).await.is_some() {
                world.sleep(health.interval).await;
            }
        });
    }
}

/// Asks one server; `None` when nobody is interested any more.
async fn check(world: &World, upstream: &Weak<Upstream>, place: usize, health: &HealthConfig) -> Option<()> {
    let upstream = upstream.upgrade()?;
    let asked = async {
        let answer = upstream.look(place, None, &health.path).await.map_err(|error| error.to_string())?;
        let status = answer.response.status;
        // What it says is of no interest, nor whether it is short.
        let _ = answer.response.body.read(ANSWER_OCTETS_MAX).await;
        if (200..400).contains(&status) { Ok(()) } else { Err(format!("the check got status {status}")) }
    };
    let found = world.timeout(health.timeout, asked).await;
    let found = found.unwrap_or_else(|| Err("the check took too long".to_owned()));
    upstream.servers().checked(place, &found, health.thresholds);
    Some(())
}
