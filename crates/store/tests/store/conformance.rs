//! What every engine promises. `check` runs it all against stores that `make` gives, each empty.

use std::time::Duration;

use doorway_base::UnixTime;
use doorway_store::{
    BATCH_STEPS_MAX, Batch, Conflict, Durability, Error, KEY_OCTETS_MAX, Key, Page, Range, ScanOptions,
    Store, VALUE_OCTETS_MAX, wait,
};

/// Runs the whole suite. `make` gives an empty store each time.
pub(crate) fn check<S: Store>(make: impl Fn() -> S) {
    let parts: [fn(&dyn Store); 11] = [
        a_row_reads_back_until_it_is_deleted,
        versions_grow_and_never_come_back,
        a_check_that_does_not_hold_leaves_everything_as_it_was,
        numbers_add_up_and_ids_count_from_one,
        an_id_drawn_names_a_row_of_the_same_batch,
        a_batch_sees_its_own_earlier_steps,
        scans_walk_in_key_order_both_ways,
        pages_continue_where_they_ended,
        a_watch_hints_at_its_prefix_only,
        a_claim_has_one_holder_and_a_growing_token,
        what_is_too_long_is_refused_with_its_limit,
    ];
    for part in parts {
        part(&make());
    }
}

fn value(store: &dyn Store, key: &str) -> Option<Vec<u8>> {
    let row = store.get(&[Key::from(key)]).wait().unwrap().pop().unwrap();
    row.map(|row| row.value.to_vec())
}

fn keys(page: &Page) -> Vec<String> {
    page.rows.iter().map(|(key, _)| key.to_string()).collect()
}

fn a_row_reads_back_until_it_is_deleted(store: &dyn Store) {
    assert_eq!(value(store, "a"), None);
    for durability in [Durability::Disk, Durability::Process] {
        store.commit(Batch::new().durability(durability).put("a", "1").put("empty", "")).wait().unwrap();
        assert_eq!(value(store, "a").unwrap(), b"1");
        assert_eq!(value(store, "empty").unwrap(), b"");
        store.commit(Batch::new().durability(durability).delete("a").delete("never was")).wait().unwrap();
        assert_eq!(value(store, "a"), None);
    }
    let rows = store.get(&[Key::from("empty"), Key::from("a"), Key::from("empty")]).wait().unwrap();
    assert_eq!(rows.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
}

fn versions_grow_and_never_come_back(store: &dyn Store) {
    let mut last = 0;
    for _ in 0..3 {
        let receipt = store.commit(Batch::new().put("a", "same")).wait().unwrap();
        assert!(receipt.seq > last);
        let row = store.get(&[Key::from("a")]).wait().unwrap().pop().unwrap().unwrap();
        assert_eq!(row.version, receipt.seq, "a row's version is the number of its commit");
        last = receipt.seq;
        store.commit(Batch::new().delete("a")).wait().unwrap();
    }
}

fn a_check_that_does_not_hold_leaves_everything_as_it_was(store: &dyn Store) {
    let first = store.commit(Batch::new().absent("a").put("a", "1")).wait().unwrap();
    let refused = |batch: Batch, check, found| {
        let error = store.commit(batch.put("a", "2").put("b", "2")).wait().unwrap_err();
        assert_eq!(error, Error::Conflict(Conflict { check, key: Key::from("a"), found }));
        assert_eq!(value(store, "a").unwrap(), b"1");
        assert_eq!(value(store, "b"), None);
    };
    refused(Batch::new().absent("a"), 0, Some(first.seq));
    refused(Batch::new().absent("b").absent("a"), 1, Some(first.seq));
    refused(Batch::new().version("a", first.seq + 1), 0, Some(first.seq));
    refused(Batch::new().value("a", "other"), 0, Some(first.seq));
    refused(Batch::new().absent_or_value("a", "other"), 0, Some(first.seq));
    let holding = Batch::new().version("a", first.seq).value("a", "1").absent_or_value("a", "1");
    store.commit(holding.absent_or_value("c", "1").delete("a")).wait().unwrap();
    let error = store.commit(Batch::new().value("a", "1")).wait().unwrap_err();
    assert_eq!(error, Error::Conflict(Conflict { check: 0, key: Key::from("a"), found: None }));
}

fn numbers_add_up_and_ids_count_from_one(store: &dyn Store) {
    let receipt = store.commit(Batch::new().add("n", 5).add("n", -7)).wait().unwrap();
    assert_eq!(receipt.numbers, [5, -2]);
    let row = store.get(&[Key::from("n")]).wait().unwrap().pop().unwrap().unwrap();
    assert_eq!(row.number(), Some(-2));
    for expected in 1..4 {
        let (batch, _) = Batch::new().next_id("ids");
        assert_eq!(store.commit(batch).wait().unwrap().numbers, [expected]);
    }
    store.commit(Batch::new().put("text", "abc")).wait().unwrap();
    let error = store.commit(Batch::new().put("a", "1").add("text", 1)).wait().unwrap_err();
    assert_eq!(error, Error::NotNumber(Key::from("text")));
    assert_eq!(value(store, "a"), None);
}

fn an_id_drawn_names_a_row_of_the_same_batch(store: &dyn Store) {
    let mail = Key::from("mail/");
    for number in 1..=2 {
        let (batch, id) = Batch::new().next_id("mail.next");
        store.commit(batch.put_under_id("mail/", id, "body")).wait().unwrap();
        let row = store.get(&[mail.join_number(number)]).wait().unwrap().pop().unwrap();
        assert_eq!(row.unwrap().value, "body");
    }
}

fn a_batch_sees_its_own_earlier_steps(store: &dyn Store) {
    let batch = Batch::new().put("n", 5i64.to_be_bytes().to_vec()).add("n", 1).delete("n").add("n", 2);
    assert_eq!(store.commit(batch).wait().unwrap().numbers, [6, 2]);
    store.commit(Batch::new().put("a", "1").delete("a")).wait().unwrap();
    assert_eq!(value(store, "a"), None);
}

fn filled(store: &dyn Store) {
    for key in ["a/1", "a/2", "a/3", "a/4", "a/5", "b/1"] {
        store.commit(Batch::new().put(key, key.to_owned())).wait().unwrap();
    }
    store.commit(Batch::new().delete("a/3")).wait().unwrap();
}

fn scans_walk_in_key_order_both_ways(store: &dyn Store) {
    filled(store);
    let prefix = Range::prefix(&Key::from("a/"));
    let forward = store.scan(prefix.clone(), ScanOptions::default()).wait().unwrap();
    assert_eq!(keys(&forward), ["a/1", "a/2", "a/4", "a/5"]);
    assert!(!forward.more);
    assert!(forward.rows.iter().all(|(key, row)| row.value == key.as_octets()));
    let backward = ScanOptions { reverse: true, ..ScanOptions::default() };
    assert_eq!(keys(&store.scan(prefix, backward).wait().unwrap()), ["a/5", "a/4", "a/2", "a/1"]);
    assert_eq!(store.scan(Range::all(), ScanOptions::default()).wait().unwrap().rows.len(), 5);
    let between = Range::between(Key::from("a/2"), Key::from("a/5"));
    assert_eq!(keys(&store.scan(between, ScanOptions::default()).wait().unwrap()), ["a/2", "a/4"]);
    let upside_down = Range::between(Key::from("b"), Key::from("a"));
    assert_eq!(store.scan(upside_down, ScanOptions::default()).wait().unwrap(), Page::default());
}

fn pages_continue_where_they_ended(store: &dyn Store) {
    filled(store);
    for (reverse, expected) in
        [(false, ["a/1", "a/2", "a/4", "a/5", "b/1"]), (true, ["b/1", "a/5", "a/4", "a/2", "a/1"])]
    {
        for limit in 1..7 {
            let options = ScanOptions { limit, reverse };
            let (mut range, mut found) = (Some(Range::all()), Vec::new());
            while let Some(part) = range {
                let page = store.scan(part.clone(), options).wait().unwrap();
                assert!(page.rows.len() <= limit);
                found.extend(keys(&page));
                range = page.rest(&part, options);
            }
            assert_eq!(found, expected, "pages of {limit}, reverse {reverse}");
        }
    }
    let large = vec![7; VALUE_OCTETS_MAX];
    for number in 0..100 {
        store
            .commit(Batch::new().put(Key::from("large/").join_number(number), large.clone()))
            .wait()
            .unwrap();
    }
    let range = Range::prefix(&Key::from("large/"));
    let page = store.scan(range.clone(), ScanOptions::default()).wait().unwrap();
    assert!(page.more && page.rows.len() < 100, "a page is bounded in octets too");
    let rest = page.rest(&range, ScanOptions::default()).unwrap();
    let last = store.scan(rest, ScanOptions::default()).wait().unwrap();
    assert_eq!(page.rows.len() + last.rows.len(), 100);
}

fn a_watch_hints_at_its_prefix_only(store: &dyn Store) {
    let mut leases = store.watch(Key::from("lease/"));
    let mut all = store.watch(Key::default());
    assert_eq!((leases.poll_changed(), all.poll_changed()), (None, None));
    let receipt = store.commit(Batch::new().put("user/ann", "")).wait().unwrap();
    assert_eq!(wait(all.changed()), Some(receipt.seq));
    assert_eq!(leases.poll_changed(), None);
    store.commit(Batch::new().put("lease/1", "")).wait().unwrap();
    let receipt = store.commit(Batch::new().delete("lease/1")).wait().unwrap();
    loop {
        // Several changes may share a hint, but the last one is always hinted at.
        if wait(leases.changed()) == Some(receipt.seq) {
            break;
        }
    }
    assert_eq!(leases.poll_changed(), None);
}

fn a_claim_has_one_holder_and_a_growing_token(store: &dyn Store) {
    let (ttl, start) = (Duration::from_secs(60), UnixTime::from_secs(1_800_000_000));
    let claim = |owner, now| wait(store.claim("sign zone", owner, ttl, now)).unwrap();
    let first = claim("node a", start).unwrap();
    assert_eq!(claim("node b", start), None);
    let renewed = claim("node a", start + Duration::from_secs(30)).unwrap();
    assert_eq!(renewed.token, first.token);
    assert_eq!(claim("node b", start + ttl), None, "it was renewed");
    let second = claim("node b", start + Duration::from_secs(91)).unwrap();
    assert!(second.token > first.token);
    // The first holder wakes up late: its write is refused.
    assert!(store.commit(renewed.fence(Batch::new()).put("zone", "old")).wait().is_err());
    store.commit(second.fence(Batch::new()).put("zone", "new")).wait().unwrap();
    wait(store.release(&renewed)).unwrap();
    assert_eq!(claim("node c", start + Duration::from_secs(92)), None, "a lost claim cannot be given back");
    wait(store.release(&second)).unwrap();
    assert!(claim("node c", start + Duration::from_secs(93)).unwrap().token > second.token);
}

fn what_is_too_long_is_refused_with_its_limit(store: &dyn Store) {
    let fits = Batch::new().put(vec![b'k'; KEY_OCTETS_MAX], vec![0; VALUE_OCTETS_MAX]);
    store.commit(fits).wait().unwrap();
    let refused = |batch: Batch, key: &str| match store.commit(batch).wait() {
        Err(Error::Limit(limit)) => assert_eq!(limit.key, key),
        other => panic!("expected a limit, got {other:?}"),
    };
    refused(Batch::new().put(vec![b'k'; KEY_OCTETS_MAX + 1], ""), "store.key_octets_max");
    refused(Batch::new().put("k", vec![0; VALUE_OCTETS_MAX + 1]), "store.value_octets_max");
    let many = (0..=BATCH_STEPS_MAX).fold(Batch::new(), |batch, _| batch.delete("k"));
    refused(many, "store.batch_steps_max");
    let large = (0..65).fold(Batch::new(), |batch, _| batch.put("k", vec![0; VALUE_OCTETS_MAX]));
    refused(large, "store.batch_octets_max");
}
