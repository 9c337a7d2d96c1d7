//! Random runs against a model that is nothing but a map.

use std::collections::BTreeMap;

use doorway_store::{Batch, Config, Durability, Error, Key, MemoryStore, Range, Receipt, ScanOptions, Store};
use proptest::prelude::*;

use crate::engines::Fresh;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, Vec<u8>),
    PutIfAbsent(u8, Vec<u8>),
    PutIfUnchanged(u8, Vec<u8>),
    Delete(u8),
    Add(u8, i64),
    Scan { start: u8, end: u8, limit: usize, reverse: bool },
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let value = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        4 => (any::<u8>(), value()).prop_map(|(key, value)| Step::Put(key % 32, value)),
        2 => (any::<u8>(), value()).prop_map(|(key, value)| Step::PutIfAbsent(key % 32, value)),
        2 => (any::<u8>(), value()).prop_map(|(key, value)| Step::PutIfUnchanged(key % 32, value)),
        3 => any::<u8>().prop_map(|key| Step::Delete(key % 32)),
        2 => (any::<u8>(), any::<i64>()).prop_map(|(key, amount)| Step::Add(32 + key % 4, amount)),
        3 => (0..40u8, 0..40u8, 0..12usize, any::<bool>())
            .prop_map(|(start, end, limit, reverse)| Step::Scan { start, end, limit, reverse }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

/// The model: value and version by key.
type Model = BTreeMap<u8, (Vec<u8>, u64)>;

fn key(number: u8) -> Key {
    Key::from(&[b'k', number][..])
}

fn run(store: &dyn Store, model: &mut Model, step: &Step) {
    let write = |batch: Batch| store.commit(batch.durability(Durability::Process)).wait();
    match step {
        Step::Put(k, value) => {
            let Receipt { seq, .. } = write(Batch::new().put(key(*k), value.clone())).unwrap();
            model.insert(*k, (value.clone(), seq));
        }
        Step::PutIfAbsent(k, value) => {
            match write(Batch::new().absent(key(*k)).put(key(*k), value.clone())) {
                Ok(receipt) => assert!(model.insert(*k, (value.clone(), receipt.seq)).is_none()),
                Err(Error::Conflict(conflict)) => {
                    assert_eq!(conflict.found, model.get(k).map(|(_, version)| *version))
                }
                Err(error) => panic!("{error}"),
            }
        }
        Step::PutIfUnchanged(k, value) => {
            let row = store.get(&[key(*k)]).wait().unwrap().pop().unwrap();
            assert_eq!(row.as_ref().map(|row| (row.value.to_vec(), row.version)), model.get(k).cloned());
            let batch = Batch::new().unchanged(key(*k), row.as_ref()).put(key(*k), value.clone());
            let receipt = write(batch).unwrap();
            model.insert(*k, (value.clone(), receipt.seq));
        }
        Step::Delete(k) => {
            write(Batch::new().delete(key(*k))).unwrap();
            model.remove(k);
        }
        Step::Add(k, amount) => {
            let receipt = write(Batch::new().add(key(*k), *amount)).unwrap();
            let before =
                model.get(k).map_or(0, |(value, _)| i64::from_be_bytes(value[..].try_into().unwrap()));
            let sum = before.wrapping_add(*amount);
            assert_eq!(receipt.numbers, [sum]);
            model.insert(*k, (sum.to_be_bytes().to_vec(), receipt.seq));
        }
        Step::Scan { start, end, limit, reverse } => {
            let options = ScanOptions { limit: *limit, reverse: *reverse };
            let page = store.scan(Range::between(key(*start), key(*end)), options).wait().unwrap();
            let found: Vec<_> =
                page.rows.iter().map(|(k, row)| (k.clone(), row.value.to_vec(), row.version)).collect();
            let mut all: Vec<_> = model
                .iter()
                .filter(|(k, _)| (start..end).contains(k))
                .map(|(k, (value, version))| (key(*k), value.clone(), *version))
                .collect();
            if *reverse {
                all.reverse();
            }
            assert_eq!(page.more, all.len() > *limit);
            all.truncate(*limit);
            assert_eq!(found, all);
        }
        Step::Flush | Step::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_embedded_store_does_what_a_map_does(steps in prop::collection::vec(step(), 1..120)) {
        let mut store = Fresh::new(Config { flush_octets: 600, readers: 1, ..Config::default() });
        let mut model = Model::new();
        for step in &steps {
            match step {
                Step::Flush => { store.flush().wait().unwrap(); }
                Step::Reopen => store.reopen(),
                step => run(&*store, &mut model, step),
            }
        }
    }

    #[test]
    fn the_store_in_memory_does_what_a_map_does(steps in prop::collection::vec(step(), 1..120)) {
        let (store, mut model) = (MemoryStore::new(), Model::new());
        for step in &steps {
            run(&store, &mut model, step);
        }
    }
}
