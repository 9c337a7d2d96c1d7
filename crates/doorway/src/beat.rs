//! What happens by the clock while the server runs: certificates are renewed before they are due, and
//! the service manager is told that every worker still turns.

use std::sync::Arc;
use std::time::Duration;

use doorway_net::{World, systemd};
use tokio::sync::oneshot;

use crate::wiring::Services;

/// How often certificates are looked at: a leaf that is due has a month left by then.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(12 * 3600);

/// Starts both.
pub(crate) fn start(world: &World, services: &Arc<Services>) {
    let (certificates_world, services) = (world.clone(), Arc::clone(services));
    world.spawn_background("certificates", async move {
        loop {
            certificates_world.sleep(CERTIFICATES_EVERY).await;
            if let Err(failure) = services.renew_certificates() {
                tracing::error!("certificates were not renewed, the ones in use stay: {failure}");
            }
        }
    });
    if let Some(interval) = systemd::watchdog_interval() {
        let watchdog_world = world.clone();
        world.spawn_background("watchdog", async move {
            loop {
                // Half the interval, as the service manager asks for.
                watchdog_world.sleep(interval / 2).await;
                if every_worker_turns(&watchdog_world, interval).await {
                    let _ = systemd::notify("WATCHDOG=1");
                } else {
                    tracing::error!("a worker has not turned for {interval:?}");
                }
            }
        });
    }
}

/// Whether each worker runs a task within `patience`.
async fn every_worker_turns(world: &World, patience: Duration) -> bool {
    for worker in 0..world.workers() {
        let (send, receive) = oneshot::channel();
        world.spawn_on(worker, "watchdog", async move {
            let _ = send.send(());
        });
        if !matches!(world.timeout(patience, receive).await, Some(Ok(()))) {
            return false;
        }
    }
    true
}
