//! What the server has acknowledged, and what it was asked for when it was killed.

use std::collections::BTreeMap;

use serde_json::Value;

/// What one writer saw of one user, in order.
#[derive(Debug)]
pub(crate) enum Entry {
    /// The change was sent; no answer has come yet.
    Asked(String),
    /// The change was acknowledged: the user is so now, or gone.
    Acknowledged(String, Option<Value>),
}

/// What has to be found after a restart.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Each user as last acknowledged; `None` when its removal was.
    users: BTreeMap<String, Known>,
    acknowledged: u64,
}

#[derive(Debug, Default)]
struct Known {
    state: Option<Value>,
    /// Whether a later change was asked for, which may have happened or not.
    open: bool,
}

impl Ledger {
    /// Takes over what writers saw.
    pub(crate) fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match entry {
                Entry::Asked(name) => self.users.entry(name).or_default().open = true,
                Entry::Acknowledged(name, state) => {
                    self.acknowledged += 1;
                    self.users.insert(name, Known { state, open: false });
                }
            }
        }
    }

    /// How many changes were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Users that are certainly there.
    pub(crate) fn present(&self) -> impl Iterator<Item = &str> {
        self.users.iter().filter(|(_, known)| known.state.is_some()).map(|(name, _)| name.as_str())
    }

    /// What differs between the users that are there and those that have to be. What was only asked
    /// for may have happened; from now on it is as it was found.
    pub(crate) fn compare(&mut self, found: &BTreeMap<String, Value>) -> Vec<String> {
        let mut differences = Vec::new();
        for (name, known) in &mut self.users {
            let found = found.get(name);
            if known.open {
                *known = Known { state: found.cloned(), open: false };
            } else if known.state.as_ref() != found {
                differences.push(format!("{name}: acknowledged {:?}, found {found:?}", known.state));
            }
        }
        let strangers = found.keys().filter(|name| !self.users.contains_key(*name));
        differences.extend(strangers.map(|name| format!("{name}: nobody asked for this user")));
        differences
    }
}

#[test]
fn a_lost_acknowledgement_is_seen_and_an_open_question_is_none() {
    let user = |changed: &str| serde_json::json!({ "changed": changed });
    let ann = |state| Entry::Acknowledged("ann".into(), state);
    let there = |changed| BTreeMap::from([("ann".to_owned(), user(changed))]);
    for (entries, found, differences) in [
        (vec![ann(Some(user("1")))], there("1"), 0),
        (vec![ann(Some(user("1")))], BTreeMap::new(), 1),
        (vec![ann(Some(user("1"))), ann(Some(user("2")))], there("1"), 1),
        (vec![ann(Some(user("1"))), Entry::Asked("ann".into())], there("2"), 0),
        (vec![ann(Some(user("1"))), ann(None)], there("1"), 1),
        (vec![Entry::Asked("ann".into())], BTreeMap::new(), 0),
        (vec![], there("1"), 1),
    ] {
        let mut ledger = Ledger::default();
        ledger.add(entries);
        assert_eq!(ledger.compare(&found).len(), differences, "{ledger:?}");
    }
}
