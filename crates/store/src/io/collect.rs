//! Collection: removing what nobody refers to any more, and giving its room back.

use std::collections::BTreeMap;

use doorway_base::UnixTime;

use crate::batch::{Batch, Row};
use crate::blob::{
    BlobId, COLLECT_AFTER, Collected, LINKS, Location, PLACE, id_of, idle_key, links_key, place_key,
};
use crate::error::{Error, Result};
use crate::io::blobs::Shelf;
use crate::io::folder::cannot;
use crate::io::rows::{each_row, row};
use crate::io::wait::wait;
use crate::lock::lock;
use crate::segment::HEADER_OCTETS;

/// Removes blobs without references and rewrites segments that are mostly dead.
pub(crate) fn collect(shelf: &Shelf, now: UnixTime) -> Result<Collected> {
    let mut collected = Collected::default();
    remove_idle(shelf, now, &mut collected)?;
    remove_bodies(shelf, &mut collected)?;
    compact(shelf, &mut collected)?;
    Ok(collected)
}

fn remove_idle(shelf: &Shelf, now: UnixTime, collected: &mut Collected) -> Result<()> {
    let store = &*shelf.store;
    let mut candidates = Vec::new();
    each_row(store, LINKS, |key, links| {
        if links.number().unwrap_or(0) <= 0
            && let Some(id) = id_of(key, LINKS)
        {
            candidates.push((id, links.version));
        }
        Ok(())
    })?;
    for (id, links_version) in candidates {
        if shelf.pins.holds(&id) {
            continue;
        }
        let idle = wait(row(store, &idle_key(&id)))?;
        let since = idle.as_ref().and_then(Row::number);
        // A reference that came and went since then starts the day anew.
        let since = since.filter(|_| idle.as_ref().is_some_and(|idle| idle.version > links_version));
        let Some(since) = since else {
            let mark = now.as_secs().to_be_bytes().to_vec();
            settle(wait(
                store.commit(Batch::new().version(links_key(&id), links_version).put(idle_key(&id), mark)),
            ))?;
            continue;
        };
        if now.as_secs().saturating_sub(since.cast_unsigned()) < COLLECT_AFTER.as_secs() {
            continue;
        }
        let location = wait(shelf.location(&id))?;
        let batch = Batch::new().version(links_key(&id), links_version);
        let batch = batch.delete(links_key(&id)).delete(idle_key(&id)).delete(place_key(&id));
        if settle(wait(store.commit(batch)))? {
            collected.removed += 1;
            if let Some(Location::Body { octets }) = location {
                remove_body(shelf, &id, octets, collected)?;
            }
        }
    }
    Ok(())
}

/// True when a commit was done, false when somebody was faster.
fn settle(result: Result<crate::batch::Receipt>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(Error::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_body(shelf: &Shelf, id: &BlobId, octets: u64, collected: &mut Collected) -> Result<()> {
    if shelf.pins.holds(id) {
        return Ok(());
    }
    let path = shelf.body_path(id);
    shelf.disk.remove(&path).map_err(|error| cannot("remove", &path, &error))?;
    collected.freed_octets += octets;
    Ok(())
}

/// Removes files of content that was put and never linked.
fn remove_bodies(shelf: &Shelf, collected: &mut Collected) -> Result<()> {
    let local = |error: std::io::Error| cannot("list", &shelf.bodies, &error);
    for path in shelf.disk.list(&shelf.bodies).map_err(local)? {
        let Some(id) = path.file_name().and_then(|name| name.to_str()?.parse::<BlobId>().ok()) else {
            continue;
        };
        // Looked at in this order: a link that is just being committed holds its pin until it is seen.
        if shelf.pins.holds(&id) || wait(shelf.location(&id))?.is_some() {
            continue;
        }
        let octets = shelf.disk.open(&path, false).and_then(|file| file.octets()).map_err(local)?;
        remove_body(shelf, &id, octets, collected)?;
    }
    Ok(())
}

/// More than half of the segment is of no use.
fn is_mostly_dead(octets: u64, live_octets: u64) -> bool {
    live_octets * 2 < octets
}

fn compact(shelf: &Shelf, collected: &mut Collected) -> Result<()> {
    let local = |error: std::io::Error| cannot("list", &shelf.files.folder, &error);
    let current = lock(&shelf.segments).current();
    for segment in shelf.files.list().map_err(local)? {
        // Looked at before the rows: content written and linked meanwhile shows in one or the other.
        if segment == current || shelf.pins.holds_in(segment) {
            continue;
        }
        let live = live_in(shelf, segment)?;
        let octets = shelf
            .disk
            .open(&shelf.files.path(segment), false)
            .and_then(|file| file.octets())
            .map_err(local)?;
        let live_octets: u64 = live.values().map(|(_, octets)| HEADER_OCTETS + octets).sum();
        if is_mostly_dead(octets, live_octets) && move_out(shelf, segment, &live)? {
            shelf.files.remove(segment).map_err(local)?;
            collected.compacted += 1;
            collected.freed_octets += octets.saturating_sub(live_octets);
        }
    }
    Ok(())
}

/// What the rows say lies in a segment: place of the record and length of the content.
fn live_in(shelf: &Shelf, wanted: u32) -> Result<BTreeMap<BlobId, (u64, u64)>> {
    let mut live = BTreeMap::new();
    each_row(&*shelf.store, PLACE, |key, row| {
        if let (Some(id), Ok(Location::Segment { segment, offset, octets })) =
            (id_of(key, PLACE), Location::decode(&row.value))
            && segment == wanted
        {
            live.insert(id, (offset, octets));
        }
        Ok(())
    })?;
    Ok(live)
}

/// Copies what lives out of a segment; false when something in it has to stay.
fn move_out(shelf: &Shelf, segment: u32, live: &BTreeMap<BlobId, (u64, u64)>) -> Result<bool> {
    let mut all_moved = true;
    for (id, (offset, octets)) in live {
        let content = match shelf.files.read(segment, *offset, 0..*octets) {
            Ok(content) if BlobId::of(&content) == *id => content,
            // Damaged: left where it is, for `verify` to tell and a backup to mend.
            _ => {
                all_moved = false;
                continue;
            }
        };
        let places = lock(&shelf.segments).append(&[(*id, content)], true)?;
        let before = Location::Segment { segment, offset: *offset, octets: *octets };
        for place in places {
            let batch = Batch::new().value(place_key(id), before.encode()).put(place_key(id), place.encode());
            settle(wait(shelf.store.commit(batch)))?;
        }
    }
    Ok(all_moved)
}
