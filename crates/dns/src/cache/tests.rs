//! What a cache keeps, for how long, and what it gives up.

use proptest::prelude::*;

use super::*;
use crate::wire::Rcode;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn set(owner: &str, kind: Type, rdata: &[u8]) -> Arc<RrSet> {
    Arc::new(RrSet::of_one(&name(owner), kind, rdata))
}

fn cache(octets_max: usize) -> Cache {
    Cache::new(Limits { octets_max, ..Limits::default() }, &mut Random::new(1))
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn data(hit: Option<Hit>) -> Option<Vec<u8>> {
    match hit?.value {
        Value::Set(set) => set.data().next().map(<[u8]>::to_vec),
        _ => None,
    }
}

#[test]
fn an_entry_ends_with_its_ttl_and_stays_for_staleness() {
    let cache = cache(1 << 20);
    cache.store_set(at(0), at(0), &set("www.example.", Type::A, &[192, 0, 2, 1]), 60, Trust::Answer, true);
    assert_eq!(cache.find(at(59), &name("WWW.example."), Type::A).map(|hit| hit.ttl(at(59))), Some(1));
    assert_eq!(cache.find(at(60), &name("www.example."), Type::A).map(|hit| hit.ttl(at(60))), Some(0));
    assert_eq!(cache.find(at(61), &name("www.example."), Type::A), None);
    assert!(cache.find_stale(at(3600), &name("www.example."), Type::A).is_some());
    assert!(cache.find_stale(at(60 + 3 * 86_400), &name("www.example."), Type::A).is_none());
}

#[test]
fn what_lives_for_no_time_is_neither_found_nor_kept_for_staleness() {
    let cache = cache(1 << 20);
    cache.store_set(at(5), at(5), &set("www.example.", Type::A, &[192, 0, 2, 1]), 0, Trust::Answer, true);
    assert_eq!(cache.find(at(5), &name("www.example."), Type::A), None);
    assert_eq!(cache.find_stale(at(6), &name("www.example."), Type::A), None);
}

#[test]
fn what_stands_beside_answers_is_not_prolonged_by_saying_it_again() {
    let cache = cache(1 << 20);
    for (when, octet) in [(0, 1), (30, 1)] {
        cache.store_set(at(when), at(when), &set("ns.", Type::A, &[octet; 4]), 60, Trust::Additional, true);
    }
    assert!(cache.find_set(at(61), b"\x02ns\0", Type::A, Trust::Glue).is_none());
    cache.store_set(at(70), at(70), &set("ns.", Type::A, &[1; 4]), 60, Trust::Additional, true);
    cache.store_set(at(80), at(80), &set("ns.", Type::A, &[2; 4]), 60, Trust::Additional, true);
    assert!(cache.find_set(at(139), b"\x02ns\0", Type::A, Trust::Glue).is_some(), "it is another address");
    // One that renews what is about to end counts that as ended.
    cache.store_set(at(135), at(141), &set("ns.", Type::A, &[2; 4]), 60, Trust::Additional, true);
    assert!(cache.find_set(at(190), b"\x02ns\0", Type::A, Trust::Glue).is_some());
}

#[test]
fn what_is_less_trusted_does_not_replace_what_is_more() {
    let cache = cache(1 << 20);
    cache.store_set(at(0), at(0), &set("a.", Type::A, &[1; 4]), 60, Trust::AuthoritativeAnswer, true);
    cache.store_set(at(1), at(1), &set("a.", Type::A, &[2; 4]), 60, Trust::Answer, true);
    assert_eq!(data(cache.find(at(2), &name("a."), Type::A)), Some(vec![1; 4]));
    cache.store_set(at(61), at(61), &set("a.", Type::A, &[2; 4]), 60, Trust::Answer, true);
    assert_eq!(data(cache.find(at(62), &name("a."), Type::A)), Some(vec![2; 4]));
}

#[test]
fn glue_leads_to_servers_and_never_into_answers() {
    let cache = cache(1 << 20);
    let address = |now| cache.find_address(now, name("ns.").as_octets(), Type::A);
    cache.store_set(at(0), at(0), &set("ns.", Type::A, &[1; 4]), 60, Trust::Glue, true);
    assert_eq!(cache.find(at(1), &name("ns."), Type::A), None);
    assert!(address(at(1)).is_some());
    let denial = Arc::new(Denial { rcode: Rcode::NOERROR, authority: Vec::new() });
    cache.store_denial(at(2), &name("ns."), Some(Type::A), &denial, 60);
    assert!(address(at(3)).is_some(), "the parent's glue is a last resort");
    cache.store_set(at(4), at(4), &set("ns.", Type::A, &[2; 4]), 60, Trust::AuthoritativeAnswer, true);
    assert_eq!(address(at(5)).unwrap().data().next(), Some(&[2; 4][..]));
}

#[test]
fn a_delegation_ends_when_the_parent_said_so() {
    for (ghost, alive) in [(true, false), (false, true)] {
        let cache = cache(1 << 20);
        cache.store_set(at(0), at(0), &set("gone.", Type::NS, b"\x02ns\0"), 60, Trust::Referral, ghost);
        cache.store_set(
            at(50),
            at(50),
            &set("gone.", Type::NS, b"\x02ns\0"),
            60,
            Trust::AuthoritativeAnswer,
            ghost,
        );
        assert_eq!(cache.find(at(70), &name("gone."), Type::NS).is_some(), alive);
    }
}

#[test]
fn a_name_that_does_not_exist_has_no_type_at_all() {
    let cache = cache(1 << 20);
    let denial = Arc::new(Denial { rcode: Rcode::NXDOMAIN, authority: Vec::new() });
    cache.store_denial(at(0), &name("no.example."), None, &denial, 7200);
    for kind in [Type::A, Type::MX] {
        let hit = cache.find(at(3599), &name("no.example."), kind).unwrap();
        assert_eq!(hit.value, Value::Denial(Arc::clone(&denial)));
    }
    assert_eq!(cache.find(at(3601), &name("no.example."), Type::A), None, "an hour at most");
    cache.store_denial(at(0), &name("no.example."), None, &denial, 60);
    cache.store_set(at(1), at(1), &set("no.example.", Type::A, &[1; 4]), 60, Trust::Answer, true);
    assert_eq!(cache.find(at(2), &name("no.example."), Type::MX), None, "it exists after all");
}

#[test]
fn each_failure_in_a_row_is_remembered_longer() {
    let cache = cache(1 << 20);
    let (question, mut now, mut spans) = (name("bad."), at(10), Vec::new());
    for _ in 0..12 {
        cache.store_failure(now, &question, Type::A, None);
        let until = cache.find_failure(now, &question, Type::A).unwrap().expires;
        spans.push((until - now).as_secs());
        now = until;
        assert_eq!(cache.find_failure(now, &question, Type::A), None);
    }
    assert_eq!(spans, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    cache.clear_failure(&question, Type::A);
    cache.store_failure(now, &question, Type::A, None);
    assert_eq!(cache.find_failure(now, &question, Type::A).unwrap().expires, now + Duration::from_secs(1));
}

#[test]
fn a_scan_does_not_push_out_what_is_asked_for() {
    let cache = cache(1 << 20);
    let hot: Vec<Name> = (0..200).map(|index| name(&format!("hot{index}."))).collect();
    for name in &hot {
        cache.store_set(
            at(0),
            at(0),
            &Arc::new(RrSet::of_one(name, Type::A, &[1; 4])),
            9999,
            Trust::Answer,
            true,
        );
    }
    for index in 0..50_000 {
        let scanned = Arc::new(RrSet::of_one(&name(&format!("scan{index}.")), Type::A, &[2; 4]));
        cache.store_set(at(1), at(1), &scanned, 9999, Trust::Answer, true);
        let _ = cache.find(at(1), &hot[index % hot.len()], Type::A);
    }
    let kept = hot.iter().filter(|name| cache.find(at(2), name, Type::A).is_some()).count();
    let stats = cache.stats();
    assert!(kept >= 180, "{kept} of 200 kept");
    assert!(stats.octets <= stats.octets_max && stats.evicted > 40_000, "{stats:?}");
}

#[test]
fn a_flush_takes_what_it_names_and_moves_the_epoch() {
    let filled = || {
        let cache = cache(1 << 20);
        for owner in ["example.", "www.example.", "www.other."] {
            cache.store_set(at(0), at(0), &set(owner, Type::A, &[1; 4]), 60, Trust::Answer, true);
        }
        cache.store_set(at(0), at(0), &set("example.", Type::MX, b"\0\x05\0"), 60, Trust::Answer, true);
        cache
    };
    let dropped = |filter: Filter| {
        let cache = filled();
        let dropped = cache.flush(&filter);
        assert_eq!((cache.epoch(), cache.stats().entries), (1, 4 - dropped as u64));
        dropped
    };
    assert_eq!(dropped(Filter::default()), 4);
    assert_eq!(dropped(Filter { name: Some(name("EXAMPLE.")), ..Filter::default() }), 2);
    assert_eq!(dropped(Filter { subtree: Some(name("example.")), ..Filter::default() }), 3);
    assert_eq!(dropped(Filter { kind: Some(Type::A), ..Filter::default() }), 3);
    assert_eq!(filled().show(at(1), &Filter::default(), 3).len(), 3);
    assert!(filled().dump(at(1), &Filter::default(), 9).contains("www.other. 59 IN A 1.1.1.1\n"));
}

#[test]
fn a_snapshot_comes_back_older_and_none_of_its_prefixes_does() {
    let before = cache(1 << 20);
    before.store_set(at(0), at(0), &set("a.", Type::A, &[1; 4]), 100, Trust::Answer, true);
    before.store_set(at(0), at(0), &set("short.", Type::A, &[1; 4]), 20, Trust::Answer, true);
    let denial = Arc::new(Denial { rcode: Rcode::NXDOMAIN, authority: vec![set(".", Type::SOA, b"soa")] });
    before.store_denial(at(0), &name("no."), None, &denial, 100);
    let octets = before.snapshot(at(10));
    let after = cache(1 << 20);
    assert_eq!(after.restore(at(5), &octets, Duration::from_secs(30)), Ok(2));
    assert_eq!(after.find(at(5), &name("a."), Type::A).map(|hit| hit.ttl(at(5))), Some(60));
    assert_eq!(after.find(at(5), &name("short."), Type::A), None);
    assert!(matches!(after.find(at(5), &name("no."), Type::MX).unwrap().value, Value::Denial(_)));
    let whole = (0..octets.len())
        .filter(|&end| cache(1 << 20).restore(at(0), &octets[..end], Duration::ZERO).is_ok());
    assert_eq!(whole.count(), 3, "only a cut between two entries is a snapshot too");
}

proptest! {
    #[test]
    fn the_room_is_never_exceeded_and_what_is_found_was_stored(
        steps in prop::collection::vec((0_u8..40, 0_u8..4, 1_u32..50, 1_usize..400), 1..300)
    ) {
        let cache = cache(64 * 2000);
        let mut model = std::collections::BTreeMap::new();
        for (step, (owner, trust, ttl, length)) in steps.into_iter().enumerate() {
            let now = at(step as u64);
            let owner = name(&format!("n{owner}."));
            let trust = Trust::from_number(trust).unwrap();
            let stored = Arc::new(RrSet::of_one(&owner, Type::TXT, &vec![step as u8; length]));
            cache.store_set(now, now, &stored, ttl, trust, true);
            let keep = model.get(&owner).is_some_and(|(_, end, before)| *end > now && *before > trust);
            if !keep {
                model.insert(owner.clone(), (step as u8, now + Duration::from_secs(u64::from(ttl)), trust));
            }
            if let Some(found) = data(cache.find(now, &owner, Type::TXT)) {
                // An entry may have been given up and stored again by less; never an older value.
                prop_assert!(found[0] == model[&owner].0 || found[0] == step as u8);
            }
            prop_assert!(cache.stats().octets <= cache.stats().octets_max);
        }
    }

    #[test]
    fn any_octets_are_restored_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let cache = cache(1 << 20);
        let whole = [b"doorway cache 1\n", &octets[..]].concat();
        let _ = cache.restore(at(0), &whole, Duration::ZERO);
    }
}
