//! The queue between simulated hosts: messages arrive once, whatever happens on the way.

use std::sync::Arc;
use std::time::Duration;

use doorway_base::UnixTime;
use doorway_mail::io::Content;
use doorway_mail::io::queue::QueueOptions;
use doorway_mail::queue::dispatch::Bounds;
use doorway_mail::queue::item::{Held, Item, Last, Shared};
use doorway_mail::{Address, MessageId, Notify, Recipient, Return};
use doorway_sim::Simulation;
use doorway_store::{Batch, Store, wait};

use crate::queue_support::{Disorder, HOUR, MINUTE, Manners, NOW, Sender, Sink, envelope, two, two_with};

const MESSAGE: &str = "Subject: hello\r\n\r\nDo you like ketchup?\r\n.\r\n..\r\n";

#[test]
fn a_message_arrives_and_nothing_of_it_is_left() {
    let (mut sim, _, _, sender, sink) = two(1, Manners::default());
    let id = sender.send("a@us.test", &["b@x.test", "c@x.test"], MESSAGE);
    sim.run_for(Duration::from_secs(1));
    let taken = sink.taken();
    assert_eq!(taken.len(), 1, "recipients of one destination go together");
    assert_eq!(taken[0].content, MESSAGE, "without the line that is not to be sent");
    assert!(taken[0].mail.starts_with("<a@us.test>"), "{}", taken[0].mail);
    assert_eq!(taken[0].recipients.len(), 2);
    assert!(sender.is_empty());
    assert_eq!(sender.history(id), ["relayed", "relayed"]);
    assert_eq!(sender.queue().counts().delivered, 2);
    sim.run_for(MINUTE);
    assert_eq!(sender.queue().counts().connections, 0);
}

#[test]
fn messages_share_a_connection() {
    let (mut sim, _, _, sender, sink) = two(1, Manners::default());
    for second in 0..5 {
        sender.send("a@us.test", &["b@x.test"], MESSAGE);
        sim.run_for(Duration::from_millis(1000 + second));
    }
    assert_eq!(sink.taken().len(), 5);
    assert_eq!(sink.memory.lock().unwrap().connections, 1);
}

#[test]
fn no_more_connections_are_open_than_allowed() {
    let (mut sim, _, taking, sender, sink) = two(1, Manners::default());
    sim.default_link(doorway_sim::Link { delay: Duration::from_millis(50), ..Default::default() });
    let _ = taking;
    for _ in 0..500 {
        sender.send("a@us.test", &["b@x.test"], MESSAGE);
    }
    sim.run_for(MINUTE);
    assert_eq!(sink.taken().len(), 500);
    let memory = sink.memory.lock().unwrap();
    assert!(memory.open_max <= 20, "{} at once", memory.open_max);
    assert!(memory.connections >= 5, "100 messages at most go over one");
}

#[test]
fn a_fault_of_ours_puts_a_message_off_instead_of_keeping_it_for_ever() {
    let (mut sim, _, _, sender, sink) = two(1, Manners::default());
    sender.names.disorder(Disorder::Panics);
    sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(Duration::from_secs(5));
    assert_eq!((sender.rows("mail.queue.later/"), sender.queue().counts().connections), (1, 0));
    sender.names.disorder(Disorder::None);
    sim.run_for(HOUR);
    assert_eq!(sink.taken().len(), 1);
    assert!(sender.is_empty());
}

#[test]
fn a_receiver_that_is_down_gets_the_message_once_when_it_is_back() {
    let (mut sim, _, taking, sender, sink) = two(2, Manners::default());
    sim.crash(taking);
    let id = sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(3 * HOUR);
    assert_eq!(sender.rows("mail.queue.later/"), 1);
    assert_eq!(sender.rows("mail.queue.fresh/"), 0);
    sim.restart(taking);
    sim.run_for(5 * HOUR);
    assert_eq!(sink.taken().len(), 1);
    assert!(sender.is_empty());
    assert_eq!(sender.history(id).last(), Some(&"relayed"));
    assert!(sender.reports.texts().is_empty());
}

#[test]
fn a_sender_that_was_killed_sends_what_it_had_accepted() {
    let (mut sim, sending, taking, sender, sink) = two(3, Manners::default());
    sim.crash(taking);
    sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(MINUTE);
    sender.keep(envelope("a@us.test", &["c@x.test"]), MESSAGE);
    sim.crash(sending);
    sim.restart(taking);
    sim.run_for(MINUTE);
    sim.restart(sending);
    sim.run_for(HOUR);
    assert_eq!(sink.taken().len(), 2);
    assert!(sender.is_empty());
}

#[test]
fn names_that_cannot_be_looked_up_are_asked_for_again() {
    let (mut sim, _, _, sender, sink) = two(4, Manners::default());
    sender.names.fail(true);
    sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(HOUR);
    assert!(sink.taken().is_empty());
    sender.names.fail(false);
    sim.run_for(3 * HOUR);
    assert_eq!(sink.taken().len(), 1);
    assert!(sender.reports.texts().is_empty());
}

#[test]
fn each_recipient_has_its_own_fate_and_one_report_tells_of_those_that_failed_together() {
    let (mut sim, _, _, sender, sink) = two(5, Manners::default());
    let to = ["b@x.test", "no1@x.test", "no2@x.test", "grey@x.test"];
    let id = sender.send("a@us.test", &to, MESSAGE);
    sim.run_for(HOUR);
    let taken = sink.taken();
    assert_eq!(taken.iter().map(|taken| taken.recipients.len()).sum::<usize>(), 2);
    assert!(taken[1].at > Duration::from_secs(48), "after a wait: {:?}", taken[1].at);
    let reports = sender.reports.texts();
    assert_eq!(reports.len(), 1);
    for part in ["no1@x.test", "no2@x.test", "Status: 5.1.1", "Remote-MTA: dns; mx.x.test", MESSAGE] {
        assert!(reports[0].contains(part), "{part} is not in {}", reports[0]);
    }
    assert!(!reports[0].contains("grey@x.test"));
    assert!(sender.is_empty());
    let history = sender.history(id);
    let deferred = history.iter().filter(|what| **what == "deferred").count();
    assert_eq!(deferred, 1, "the same refusal twice is told once: {history:?}");
    assert_eq!(history.iter().filter(|what| **what == "failed").count(), 2, "{history:?}");
}

#[test]
fn a_message_is_given_up_after_five_days_and_its_sender_hears_of_the_delay_before() {
    let (mut sim, _, _, sender, _sink) = two(6, Manners::default());
    sender.send("a@us.test", &["never@x.test"], MESSAGE);
    sim.run_for(3 * HOUR);
    assert!(sender.reports.texts().is_empty());
    sim.run_for(7 * HOUR);
    let reports = sender.reports.texts();
    assert_eq!(reports.len(), 1, "one delay report");
    assert!(reports[0].contains("Action: delayed\r\n"), "{}", reports[0]);
    assert!(reports[0].contains("Will-Retry-Until: "), "{}", reports[0]);
    assert!(!reports[0].contains("ketchup"), "only its header: {}", reports[0]);
    sim.run_for(105 * HOUR);
    assert_eq!(sender.reports.texts().len(), 1);
    sim.run_for(11 * HOUR);
    let reports = sender.reports.texts();
    assert_eq!(reports.len(), 2);
    assert!(reports[1].contains("Action: failed\r\nStatus: 5.4.7\r\n"), "{}", reports[1]);
    assert!(sender.is_empty());
}

#[test]
fn nobody_is_told_about_a_report() {
    let (mut sim, _, _, sender, _sink) = two(7, Manners::default());
    sender.send("", &["no@x.test", "never@x.test", "a@nowhere.test"], MESSAGE);
    sim.run_for(130 * HOUR);
    assert!(sender.reports.texts().is_empty());
    assert!(sender.is_empty());
}

#[test]
fn domains_without_mail_fail_at_once() {
    let (mut sim, _, _, sender, _sink) = two(8, Manners::default());
    sender.names.add("null.test", 0, "", "");
    sender.names.add("loop.test", 10, "mx.us.test", "10.0.0.1");
    for (to, status) in [("a@nowhere.test", "5.1.2"), ("a@null.test", "5.1.10"), ("a@loop.test", "5.4.6")] {
        sender.send("a@us.test", &[to], MESSAGE);
        sim.run_for(MINUTE);
        let report = sender.reports.texts().pop().unwrap();
        assert!(report.contains(&format!("Status: {status}\r\n")), "{report}");
        assert!(report.contains(to), "{report}");
    }
}

#[test]
fn the_next_host_is_tried_when_the_best_one_does_not_answer() {
    let mut sim = Simulation::new(9);
    let [sending, busy, dead, well] =
        [1, 2, 3, 4].map(|number| sim.node(&format!("n{number}"), &format!("10.0.0.{number}")));
    let sender = Sender::boot(&mut sim, sending, QueueOptions::new("mx.us.test"));
    let manners = Manners { greeting: "421 4.3.2 not now", ..Manners::default() };
    let refusing = Sink::boot(&mut sim, busy, "10.0.0.2", manners);
    let taking = Sink::boot(&mut sim, well, "10.0.0.4", Manners::default());
    let _ = dead;
    sender.names.add("x.test", 10, "busy.x.test", "10.0.0.2");
    sender.names.add("x.test", 20, "dead.x.test", "10.0.0.3");
    sender.names.add("x.test", 30, "well.x.test", "10.0.0.4");
    sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(3 * MINUTE);
    assert_eq!(taking.taken().len(), 1);
    assert_eq!(refusing.memory.lock().unwrap().connections, 1);
}

#[test]
fn a_dead_destination_holds_up_no_other() {
    let mut sim = Simulation::new(10);
    let [sending, well] = [1, 2].map(|number| sim.node(&format!("n{number}"), &format!("10.0.0.{number}")));
    let mut options = QueueOptions::new("mx.us.test");
    options.bounds = Bounds { connections: 25, items: 3000, ..Bounds::default() };
    let sender = Sender::boot(&mut sim, sending, options);
    let sink = Sink::boot(&mut sim, well, "10.0.0.2", Manners::default());
    sender.names.add("x.test", 10, "mx.x.test", "10.0.0.2");
    sender.names.add("dead.test", 10, "mx.dead.test", "10.0.0.9");
    for _ in 0..10_000 {
        sender.send("a@us.test", &["b@dead.test"], MESSAGE);
    }
    sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(MINUTE);
    let taken = sink.taken();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].at < Duration::from_secs(45), "{:?}", taken[0].at);
    assert!(sender.queue().counts().in_memory <= 3000);
}

#[test]
fn a_clock_that_is_set_neither_gives_messages_up_nor_forgets_them() {
    let (mut sim, _, taking, sender, sink) = two(11, Manners::default());
    sim.crash(taking);
    sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(10 * MINUTE);
    sim.set_wall(NOW + 365 * 24 * HOUR);
    sim.run_for(10 * MINUTE);
    assert!(sender.reports.texts().is_empty(), "{:?}", sender.reports.texts());
    sim.set_wall(UnixTime::from_secs(NOW.as_secs() - 365 * 86_400));
    sim.run_for(10 * MINUTE);
    sim.restart(taking);
    sim.run_for(2 * HOUR);
    assert_eq!(sink.taken().len(), 1);
}

#[test]
fn items_of_a_clock_that_was_ahead_are_tried_after_a_restart() {
    let (mut sim, sending, taking, sender, sink) = two(12, Manners::default());
    sim.crash(taking);
    sender.send("a@us.test", &["b@x.test"], MESSAGE);
    sim.run_for(HOUR);
    sim.crash(sending);
    sim.set_wall(UnixTime::from_secs(NOW.as_secs() - 365 * 86_400));
    sim.restart(taking);
    sim.restart(sending);
    sim.run_for(MINUTE);
    assert_eq!(sink.taken().len(), 1);
    assert!(sender.is_empty());
}

#[test]
fn reports_are_as_the_sender_wished() {
    let (mut sim, _, _, sender, _sink) = two(13, Manners::default());
    let mut wishes = envelope("a@us.test", &["b@x.test", "no@x.test", "no2@x.test"]);
    wishes.envid = Some("QQ1".into());
    wishes.ret = Some(Return::Headers);
    wishes.recipients[0].notify = Notify { success: true, failure: true, delay: false };
    wishes.recipients[1].orcpt = Some("rfc822;first@us.test".into());
    wishes.recipients[2].notify = Notify::NEVER;
    sender.submit(wishes, MESSAGE);
    sim.run_for(MINUTE);
    let reports = sender.reports.texts();
    assert_eq!(reports.len(), 2, "{reports:?}");
    let failed = reports.iter().find(|text| text.contains("Action: failed")).unwrap();
    let relayed = reports.iter().find(|text| text.contains("Action: relayed")).unwrap();
    assert!(failed.contains("Original-Recipient: rfc822; first@us.test\r\n"), "{failed}");
    assert!(failed.contains("Original-Envelope-Id: QQ1\r\n"), "{failed}");
    assert!(!failed.contains("ketchup") && failed.contains("Subject: hello"), "{failed}");
    assert!(!failed.contains("no2@x.test"), "{failed}");
    assert!(relayed.contains("Status: 2.1.5\r\n") || relayed.contains("Status: 2.0.0\r\n"), "{relayed}");
}

#[test]
fn held_messages_wait_for_a_person() {
    let (mut sim, sending, taking, sender, sink) = two(14, Manners::default());
    sim.crash(taking);
    let id = sender.send("a@us.test", &["b@x.test"], MESSAGE);
    let other = sender.send("a@us.test", &["c@x.test"], MESSAGE);
    sim.run_for(MINUTE);
    let (queue, copy) = (sender.queue(), sender.queue());
    assert_eq!(sim.run(sending, async move { queue.hold(id).await }).unwrap(), Ok(1));
    sim.restart(taking);
    sim.run_for(6 * HOUR);
    assert_eq!(sink.taken().len(), 1, "the other one");
    assert_eq!(sim.run(sending, async move { copy.release(id).await }).unwrap(), Ok(1));
    sim.run_for(MINUTE);
    assert_eq!(sink.taken().len(), 2);
    assert!(sender.is_empty());
    let history = sender.history(id);
    assert_eq!(history, ["deferred", "held", "released", "relayed"]);
    let queue = sender.queue();
    assert!(sim.run(sending, async move { queue.drop(other).await }).unwrap().is_err(), "it is gone");
}

#[test]
fn a_dropped_message_is_gone_and_a_retried_one_goes_at_once() {
    let (mut sim, sending, taking, sender, sink) = two(15, Manners::default());
    sim.crash(taking);
    let dropped = sender.send("a@us.test", &["b@x.test", "c@x.test"], MESSAGE);
    let kept = sender.send("a@us.test", &["d@x.test"], MESSAGE);
    sim.run_for(2 * HOUR);
    let queue = sender.queue();
    assert_eq!(sim.run(sending, async move { queue.drop(dropped).await }).unwrap(), Ok(2));
    sim.restart(taking);
    sim.run_for(Duration::from_secs(1));
    // The destination is left alone for a while after it failed, but not when a person asks.
    assert_eq!(sink.taken().len(), 0);
    let queue = sender.queue();
    assert_eq!(sim.run(sending, async move { queue.retry(kept).await }).unwrap(), Ok(1));
    sim.run_for(Duration::from_secs(5));
    let taken = sink.taken();
    assert_eq!((taken.len(), taken[0].recipients[0].starts_with("<d@")), (1, true));
    assert!(sender.is_empty());
    assert!(sender.reports.texts().is_empty());
}

#[test]
fn what_is_listed_is_what_is_queued() {
    use doorway_mail::io::queue::Filter;
    let (mut sim, sending, taking, sender, _sink) = two(16, Manners::default());
    sim.crash(taking);
    for number in 0..25 {
        sender.send("a@us.test", &[&format!("b{number}@x.test")], MESSAGE);
    }
    sim.run_for(MINUTE);
    let queue = sender.queue();
    let pages = sim.run(sending, async move {
        let (mut from, mut pages) = (None, Vec::new());
        loop {
            let (items, next) = queue.list(&Filter::default(), from, 10).await.unwrap();
            pages.push(items.len());
            from = next;
            if from.is_none() {
                return pages;
            }
        }
    });
    assert_eq!(pages.unwrap().iter().sum::<usize>(), 25);
    let queue = sender.queue();
    let filter = Filter { to: Some("b7@x.test".into()), ..Filter::default() };
    let found = sim.run(sending, async move { queue.list(&filter, None, 10).await.unwrap().0 }).unwrap();
    assert_eq!(found.len(), 1);
    let last = found[0].last.clone().unwrap();
    assert_eq!(last.host, "mx.x.test");
}

#[test]
fn a_server_that_says_421_is_left_alone_for_a_while() {
    let (mut sim, _, _, sender, sink) = two(17, Manners::default());
    sender.send("a@us.test", &["bye@x.test"], MESSAGE);
    sim.run_for(Duration::from_secs(1));
    for _ in 0..100 {
        sender.send("a@us.test", &["b@x.test"], MESSAGE);
    }
    sim.run_for(Duration::from_secs(10));
    assert!(sink.taken().is_empty());
    assert!(sink.memory.lock().unwrap().connections <= 2);
    sim.run_for(3 * HOUR);
    assert_eq!(sink.taken().len(), 100);
}

#[test]
fn a_server_that_takes_ascii_alone_gets_the_message_in_ascii() {
    let manners = Manners { extensions: vec!["PIPELINING"], ..Manners::default() };
    let (mut sim, _, _, sender, sink) = two(18, manners);
    let utf8 = "Subject: caf\u{e9}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ncaf\u{e9} au lait\r\n";
    sender.send("a@us.test", &["b@x.test"], utf8);
    let sealed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\ncaf\u{e9}\r\n--b--\r\n";
    sender.send("a@us.test", &["c@x.test"], sealed);
    let mut international = envelope("a@us.test", &["\u{7528}\u{6237}@x.test"]);
    international.smtputf8 = true;
    sender.submit(international, MESSAGE);
    sim.run_for(MINUTE);
    let taken = sink.taken();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].content.is_ascii(), "{}", taken[0].content);
    assert!(taken[0].content.contains("caf=C3=A9 au lait"), "{}", taken[0].content);
    let reports = sender.reports.texts();
    assert_eq!(reports.len(), 2, "{reports:?}");
    for status in ["Status: 5.6.3\r\n", "Status: 5.6.7\r\n"] {
        assert!(reports.iter().any(|report| report.contains(status)), "{status} {reports:?}");
    }
    assert!(sender.is_empty());
}

#[test]
fn whatever_is_lost_on_the_way_messages_arrive_and_doubles_are_rare() {
    for seed in 20..26 {
        let (mut sim, sending, taking, sender, sink) = two(seed, Manners::default());
        sim.default_link(doorway_sim::Link {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(10),
            loss: 0.02,
            ..Default::default()
        });
        for number in 0..200 {
            sender.send("a@us.test", &[&format!("b{number}@x.test")], MESSAGE);
            sim.run_for(Duration::from_millis(20));
            if number % 50 == 49 {
                sim.crash(if number % 100 == 49 { taking } else { sending });
                sim.run_for(Duration::from_secs(5));
                sim.restart(if number % 100 == 49 { taking } else { sending });
            }
        }
        sim.run_for(6 * HOUR);
        let mut arrived: Vec<_> = sink.taken().into_iter().map(|taken| taken.recipients[0].clone()).collect();
        let total = arrived.len();
        arrived.sort();
        arrived.dedup();
        assert_eq!(arrived.len(), 200, "SEED={seed}");
        assert!(total <= 200 + 4 * 20, "SEED={seed}: {total}");
        assert!(sender.is_empty(), "SEED={seed}");
    }
}

#[test]
fn one_destination_with_more_than_fits_into_memory_is_worked_off() {
    let mut options = QueueOptions::new("mx.us.test");
    options.bounds = Bounds { items: 2000, ..Bounds::default() };
    let (mut sim, sending, _, sender, sink) = two_with(30, Manners::default(), options);
    for number in 0..5000 {
        sender.keep(envelope("a@us.test", &[&format!("b{number}@x.test")]), MESSAGE);
    }
    // The queue finds all of it at its start.
    sim.crash(sending);
    sim.restart(sending);
    sim.run_for(10 * MINUTE);
    assert_eq!(sink.taken().len(), 5000);
    assert!(sender.is_empty());
}

/// Memory that this process has in use, in octets.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Has the queue find this many items at its start, due within an hour and for domains that do not answer:
/// how much more memory it takes than the store has, at the most, and how many tries there were.
fn find_at_the_start(items: u64) -> (u64, u64) {
    let mut options = QueueOptions::new("mx.us.test");
    options.bounds = Bounds { items: 5000, ..Bounds::default() };
    let (mut sim, sending, _, sender, _sink) = two_with(40, Manners::default(), options);
    sim.crash(sending);
    let shared = Shared { at: NOW, octets: 1000, ..Shared::default() };
    let shared = Arc::new(Shared { from: Some(Address::parse("a@us.test").unwrap()), ..shared });
    let content = Content::Memory(vec!["Subject: x\r\n\r\ny\r\n".into()]);
    let body = wait(sender.bodies().prepare(b"", &content)).unwrap();
    for first in (0..items).step_by(500) {
        let mut batch = Batch::new();
        for number in first..first + 500 {
            let last = Last { at: NOW, host: "mx".into(), text: "450 4.2.0 later".into() };
            let to = Address::parse(&format!("b{number}@dead{}.test", number % 500)).unwrap();
            let item = Item {
                id: MessageId(number),
                number: 0,
                shared: Arc::clone(&shared),
                recipient: Recipient::new(to),
                tries: 1,
                due: NOW + Duration::from_secs(number % 3600),
                delay_told: false,
                held: Held::No,
                last: Some(last),
            };
            batch = batch.put(item.key(), item.encode()).put(item.due_key().unwrap(), "");
            batch = sender.bodies().keep(batch, item.id, &body, 1);
        }
        sender.store.commit(batch).wait().unwrap();
    }
    sender.names.fail(true);
    let before = memory();
    sim.restart(sending);
    let (mut most, mut held) = (0, 0);
    for _ in 0..61 {
        sim.run_for(MINUTE);
        held = held.max(sender.queue().counts().in_memory);
        most = most.max(memory().saturating_sub(before));
        // The store in memory keeps what a power cut would undo until something is durable.
        sender.store.commit(Batch::new().put("durable", "")).wait().unwrap();
    }
    let tries = sender.queue().counts().deferred;
    assert!(tries >= items, "{tries} of {items}");
    assert!(held <= 5000, "{held}");
    assert_eq!(sender.rows("mail.queue.later/") as u64, items);
    assert_eq!(sender.rows("mail.queue.due/") as u64, items);
    (most, tries)
}

#[test]
fn items_that_are_not_due_stay_in_the_store() {
    find_at_the_start(20_000);
}

#[test]
#[ignore = "takes minutes"]
fn a_million_items_take_no_more_memory_than_those_that_are_due() {
    let items = std::env::var("DOORWAY_QUEUE_ITEMS").map_or(1_000_000, |items| items.parse().unwrap());
    let (most, tries) = find_at_the_start(items);
    println!("{items} items, {tries} tries: {} MiB more at the most", most >> 20);
    assert!(most < 512 << 20, "{most} octets");
}
