//! What was kept before a restart, taken up again: the lists of full segments are read, and a segment without
//! a list is gone through record by record, up to where writing was cut off.

use std::collections::BTreeMap;
use std::io;

use doorway_base::Reader;
use doorway_net::entropy;

use super::super::tiers::Tiers;
use super::content::read_head;
use super::files::Files;
use crate::cache::catalogue::{Catalogue, Row};
use crate::cache::purges::{Order, Purges};
use crate::cache::record::{HEADER_OCTETS, Header, Kind, Layout, ObjectHead};
use crate::cache::tags::tags;
use crate::cache::{Names, host};

/// What was found on disk.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Octets of each segment, and the least number of purges that a record in it had heard of.
    pub(super) full: BTreeMap<u32, (u64, u64)>,
    /// The number of the last order.
    pub(super) purges: u64,
}

/// The key of short names in `files`: the one that is there, or a new one, with which nothing old is found.
pub(super) fn key(files: &Files) -> io::Result<[u8; 16]> {
    let path = files.key();
    if let Ok(octets) = files.read_whole(&path)
        && let Ok(key) = octets.try_into()
    {
        return Ok(key);
    }
    for number in files.numbers() {
        files.doom(number);
    }
    let mut key = [0; 16];
    entropy::fill(&mut key);
    files.replace(&path, &key, true)?;
    Ok(key)
}

/// Fills the index of `tiers` with what lies in `files`.
pub(super) fn restore(tiers: &Tiers, files: &Files) -> io::Result<Found> {
    let log = files.read_whole(&files.purge_log()).unwrap_or_default();
    let mut orders = Vec::new();
    let mut reader = Reader::new(&log);
    while let Ok(order) = Order::read(&mut reader) {
        orders.push(order);
    }
    let mut found =
        Found { purges: orders.iter().map(|order| order.number).max().unwrap_or(0), ..Found::default() };
    let mut purges = Purges::new(orders.len());
    for order in &orders {
        purges.add(order);
        tiers.remember_order(order);
    }
    for number in files.numbers() {
        let list = files.read_catalogue(number).and_then(|octets| Catalogue::parse(&octets).ok());
        let list = match list {
            Some(list) => list,
            None => {
                let list = scan(files, tiers, number)?;
                // It saves the next start the same work; nothing is lost without it.
                let _ = files.write_catalogue(number, &list.write());
                list
            }
        };
        if list.rows.is_empty() {
            files.doom(number);
            continue;
        }
        let least = list.rows.iter().map(|row| row.purges).min().unwrap_or(u64::MAX);
        found.purges = list.rows.iter().map(|row| row.purges).max().unwrap_or(0).max(found.purges);
        found.full.insert(number, (files.octets(number)?, least));
        tiers.take_up(number, list, &purges, found.full.keys().next().copied().unwrap_or(0));
    }
    let least = found.full.values().map(|(_, least)| *least).min().unwrap_or(u64::MAX);
    let kept = super::writer::shortened(&log, least);
    if kept.len() != log.len() {
        files.replace(&files.purge_log(), &kept, true)?;
    }
    Ok(found)
}

/// Goes through a segment.
///
/// # Errors
/// As the disk gives them; what is torn ends the list and is no error.
pub(super) fn scan(files: &Files, tiers: &Tiers, number: u32) -> io::Result<Catalogue> {
    let Some(segment) = files.segment(number) else { return Ok(Catalogue::default()) };
    let octets = files.octets(number)?;
    let mut list = Catalogue::default();
    let mut at = 0;
    while at + HEADER_OCTETS as u64 <= octets {
        let mut front = [0; HEADER_OCTETS];
        segment.read(&mut front, at)?;
        let Ok(header) = Header::parse(&front) else { break };
        if at + header.record_octets() > octets {
            break;
        }
        let Header { kind, mark, head_octets, content_octets, .. } = header;
        let mut row = Row {
            kind,
            at: at as u32,
            head_octets,
            name: mark.name,
            variant: mark.variant,
            purges: mark.purges,
            octets: u64::from(content_octets),
            oldest: number,
            must_validate: false,
            host: 0,
            tags: Vec::new(),
        };
        if kind == Kind::Piece {
            let mut head = vec![0; head_octets as usize];
            segment.read(&mut head, at + HEADER_OCTETS as u64)?;
            if !header.check(&front, &head) {
                break;
            }
            row.host = list.host("");
        } else {
            let Ok((_, head)) = read_head(&segment, at, head_octets) else { break };
            row.host = list.host(host(&head.url));
            describe(&mut row, &head, tiers.names());
        }
        list.rows.push(row);
        at += header.record_octets();
    }
    Ok(list)
}

fn describe(row: &mut Row, head: &ObjectHead, names: &Names) {
    row.octets = head.octets;
    row.must_validate = head.must_validate;
    let tags = tags(&head.stored.fields).unwrap_or_default();
    row.tags = tags.into_iter().map(|tag| names.of(tag)).collect();
    row.oldest = match &head.layout {
        Layout::Inline(_) => row.oldest,
        Layout::At { segment, .. } => row.oldest.min(*segment),
        Layout::Pieces(pieces) => pieces.iter().map(|piece| piece.segment).fold(row.oldest, u32::min),
    };
}
