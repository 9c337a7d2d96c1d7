use std::sync::Arc;

use doorway_base::UnixTime;

use super::*;
use crate::address::Address;
use crate::envelope::Recipient;
use crate::queue::item::{Held, Shared};
use crate::reply::Enhanced;

fn job(id: u64, recipients: u32) -> Job {
    let shared = Arc::new(Shared::default());
    let item = |number| Item {
        id: MessageId(id),
        number,
        shared: Arc::clone(&shared),
        recipient: Recipient::new(Address::parse("a@x.test").unwrap()),
        tries: 0,
        due: UnixTime::default(),
        delay_told: false,
        held: Held::No,
        last: None,
    };
    Job { id: MessageId(id), items: (0..recipients).map(item).collect() }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn refusal() -> Reply {
    Reply::new(421, Enhanced(4, 3, 2), "not now")
}

fn small() -> Dispatch {
    Dispatch::new(Bounds { connections_per_destination: 2, connections: 3, items: 100 })
}

#[test]
fn connections_are_opened_up_to_the_bound_of_a_destination_and_of_all() {
    let mut dispatch = small();
    let [a, b, c]: [Destination; 3] = ["a", "b", "c"].map(Arc::from);
    assert_eq!(dispatch.offer(at(0), &a, job(1, 1)), Offer::Connect);
    assert_eq!(dispatch.offer(at(0), &a, job(2, 1)), Offer::Connect);
    assert_eq!(dispatch.offer(at(0), &a, job(3, 1)), Offer::Taken);
    assert_eq!(dispatch.offer(at(0), &b, job(4, 1)), Offer::Connect);
    assert_eq!(dispatch.offer(at(0), &c, job(5, 1)), Offer::Taken, "three are all");
    while dispatch.take(&b).is_some() {}
    assert_eq!(dispatch.connection_closed(&b), Some(c), "who waits for a connection gets the next");
}

#[test]
fn an_idle_connection_is_used_before_another_is_opened() {
    let mut dispatch = small();
    let a: Destination = "a".into();
    assert_eq!(dispatch.offer(at(0), &a, job(1, 1)), Offer::Connect);
    assert!(dispatch.take(&a).is_some());
    dispatch.idle(&a, true);
    assert_eq!(dispatch.offer(at(0), &a, job(2, 1)), Offer::Taken);
    assert_eq!(dispatch.offer(at(0), &a, job(3, 1)), Offer::Connect, "one cannot do two at once");
}

#[test]
fn a_dead_destination_gives_back_what_waits_for_it_and_is_left_alone() {
    let mut dispatch = small();
    let [dead, well]: [Destination; 2] = ["dead", "well"].map(Arc::from);
    for id in 0..10 {
        let _ = dispatch.offer(at(0), &dead, job(id, 2));
    }
    let taken = dispatch.take(&dead).unwrap();
    let (back, trouble) = dispatch.block(at(1), &dead, "mx", &refusal());
    assert_eq!((back.len(), trouble.until), (9, at(31)));
    assert!(matches!(dispatch.offer(at(30), &dead, job(50, 1)), Offer::Blocked(..)));
    assert_eq!(dispatch.offer(at(30), &well, job(51, 1)), Offer::Connect);
    dispatch.settled(taken.items.iter().map(|item| (item.id, item.number)));
    // The next failure is left alone for longer; success forgets it.
    let _ = dispatch.offer(at(31), &dead, job(52, 1));
    assert_eq!(dispatch.block(at(32), &dead, "mx", &refusal()).1.until, at(92));
    assert_eq!(dispatch.block(at(33), &dead, "mx", &refusal()).1.until, at(153), "two at once");
    dispatch.reached(&dead);
    assert_eq!(dispatch.block(at(200), &dead, "mx", &refusal()).1.until, at(230));
}

#[test]
fn one_destination_leaves_as_much_room_as_it_takes() {
    let mut dispatch = small();
    let [a, b]: [Destination; 2] = ["a", "b"].map(Arc::from);
    let mut taken = 0;
    while !matches!(dispatch.offer(at(0), &a, job(taken, 1)), Offer::Full(..)) {
        taken += 1;
    }
    assert_eq!((taken, dispatch.room()), (50, 50));
    assert_eq!(dispatch.offer(at(0), &b, job(1000, 20)), Offer::Connect);
    dispatch.settled((0..50).map(|id| (MessageId(id), 0)));
    assert_eq!(dispatch.items(), 20);
}

#[test]
fn what_is_being_sent_cannot_be_withdrawn() {
    let mut dispatch = small();
    let a: Destination = "a".into();
    let _ = dispatch.offer(at(0), &a, job(1, 2));
    let _ = dispatch.offer(at(0), &a, job(2, 2));
    assert!(dispatch.withdraw(MessageId(1)));
    assert!(!dispatch.holds(MessageId(1), 0));
    assert_eq!(dispatch.take(&a).map(|job| job.id), Some(MessageId(2)));
    assert!(!dispatch.withdraw(MessageId(2)));
    assert!(dispatch.withdraw(MessageId(3)), "nothing of it is here");
}

#[test]
fn what_is_over_is_forgotten() {
    let mut dispatch = small();
    let a: Destination = "a".into();
    let _ = dispatch.offer(at(0), &a, job(1, 1));
    assert!(dispatch.take(&a).is_some());
    assert_eq!(dispatch.connection_closed(&a), None);
    assert_eq!((dispatch.destinations.len(), dispatch.connections()), (0, 0));
    let _ = dispatch.block(at(0), &a, "", &refusal());
    dispatch.sweep(at(10));
    assert_eq!(dispatch.destinations.len(), 1);
    dispatch.sweep(at(5000));
    assert_eq!(dispatch.destinations.len(), 0);
}
