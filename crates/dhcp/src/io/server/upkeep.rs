//! What a server does unasked: leases whose time is over, names, and whether writing works again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::SERVICE;
use super::desk::Desk;
use super::naming;
use super::turn::{Then, Turn};
use crate::io::leases;

/// Leases that end in one batch.
const EXPIRE_MAX: usize = 512;
/// How often it is tried to write while nothing can be written.
const TRIAL_STEP: Duration = Duration::from_secs(5);

/// Starts the tasks.
pub(super) fn start(desk: &Arc<Desk>) {
    let world = &desk.world;
    world.spawn_background(SERVICE, expire(Arc::clone(desk)));
    world.spawn_background(SERVICE, mend(Arc::clone(desk)));
    if desk.naming.is_some() {
        world.spawn_background(SERVICE, naming::run(Arc::clone(desk)));
    }
}

/// Ends leases when their time is over.
async fn expire(desk: Arc<Desk>) {
    loop {
        let due = desk.lock().engine.next_timeout();
        let waited = async {
            let Some(due) = due else { return desk.sooner.notified().await };
            let _: Option<()> = desk.world.timeout(due - desk.world.now(), desk.sooner.notified()).await;
        };
        if desk.stop.or(waited).await.is_none() {
            return;
        }
        let Some(place) = desk.place().await else { return };
        end_some(&desk, place);
        if desk.counters.is_degraded() && desk.stop.or(desk.world.sleep(TRIAL_STEP)).await.is_none() {
            return;
        }
    }
}

/// Ends those whose time is over, as many as go into one batch.
fn end_some(desk: &Arc<Desk>, place: OwnedSemaphorePermit) {
    let (mut turn, mut locked) = (Turn::default(), desk.lock());
    let now = locked.now;
    if locked.engine.next_timeout().is_some_and(|due| due <= now.mono) {
        for settlement in locked.engine.expire(now, EXPIRE_MAX) {
            desk.note_change(&mut turn, settlement, Then::default());
        }
    }
    desk.act(turn, locked, place);
}

/// Finds out whether writing works again, after it failed.
async fn mend(desk: Arc<Desk>) {
    while desk.stop.or(desk.failed.notified()).await.is_some() {
        while desk.counters.is_degraded() {
            if desk.stop.or(desk.world.sleep(TRIAL_STEP)).await.is_none() {
                return;
            }
            desk.told(leases::trial(&*desk.store, desk.world.wall(), desk.durability).await);
        }
    }
}
