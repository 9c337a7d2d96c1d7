//! How long a server takes to have its leases again: writes leases into an embedded store in a temporary folder,
//! opens it anew, and puts them all in place.
//!
//! ```text
//! cargo run --release -p doorway-dhcp --example restore_bench [LEASES]
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement of this machine"
)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use doorway_base::{Random, UnixTime};
use doorway_dhcp::plan::{Draft, Network, Plan, Pool, Subnet};
use doorway_dhcp::server::{Now, Server};
use doorway_dhcp::wire::HardwareAddress;
use doorway_dhcp::{ClientKey, Lease, LeaseState};
use doorway_store::{Batch, Durability, Embedded, Options, Store, wait};

/// Leases that are written in one batch.
const BATCH_LEASES: u32 = 4000;

fn lease(number: u32, wall: UnixTime) -> Lease {
    let [a, b, c, d] = number.to_be_bytes();
    let hardware = HardwareAddress::ethernet([2, 0, a, b, c, d]);
    Lease {
        address: Ipv4Addr::from_bits(0x0a00_0100 + number),
        client: ClientKey::of_hardware(&hardware),
        hardware,
        state: LeaseState::Bound,
        began: wall,
        ends: Some(wall + std::time::Duration::from_secs(14_400)),
        seconds: 14_400,
        host: None,
        name: None,
        relay: Ipv4Addr::UNSPECIFIED,
        agent: None,
    }
}

fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(500_000);
    let folder = std::env::temp_dir().join(format!("doorway-restore-bench-{}", std::process::id()));
    let wall = UnixTime::from_secs(1_800_000_000);
    let store = Embedded::open(Options::new(&folder)).expect("a new store");
    for first in (0..count).step_by(BATCH_LEASES as usize) {
        let numbers = first..count.min(first + BATCH_LEASES);
        let batch = numbers.map(|number| lease(number, wall));
        let batch = batch.fold(Batch::new().durability(Durability::Process), |batch, lease| {
            batch.put(lease.key(), lease.row())
        });
        store.commit(batch).wait().expect("a commit");
    }
    drop(store);

    let mut subnet = Subnet::new(Network::new(Ipv4Addr::new(10, 0, 0, 0), 8));
    let (first, last) = (Ipv4Addr::new(10, 0, 1, 0), Ipv4Addr::new(10, 255, 255, 254));
    subnet.pools = vec![Pool::new(first, last, None)];
    let draft = Draft { subnets: vec![subnet], ..Draft::default() };
    let plan = Arc::new(Plan::new(draft).expect("a plan"));
    let begun = Instant::now();
    let store = Embedded::open(Options::new(&folder)).expect("the same store");
    let opened = begun.elapsed();
    let mut server = Server::new(plan, Random::new(1));
    let now = Now { mono: doorway_base::Instant::ZERO, wall };
    let restored = wait(doorway_dhcp::io::restore(&store, wall, |lease| server.restore(now, lease)));
    let restored = restored.expect("every row");
    println!(
        "{} leases: store open after {opened:?}, all in place after {:?}; {} rows damaged",
        restored.leases,
        begun.elapsed(),
        restored.damaged,
    );
    drop(store);
    // What is left behind is only a temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
}
