//! The engine against a plain reading of RFC 1034 §4.3.2 and RFC 4592, over random zones and questions.

use std::collections::{BTreeMap, BTreeSet};

use doorway_dns::authority::Carrier;
use doorway_dns::wire::{Flags, Message, Name, Rcode, Type};
use proptest::prelude::*;

use super::{answer, query, serving};

/// A zone as a plain map: owner and type to data, as text.
struct Model {
    apex: Name,
    records: BTreeMap<(Name, Type), BTreeSet<String>>,
}

#[derive(Debug, PartialEq, Eq, Default)]
struct Expected {
    rcode: u16,
    aa: bool,
    answer: BTreeSet<String>,
    authority: BTreeSet<String>,
}

impl Model {
    fn set(&self, name: &Name, kind: Type) -> Option<&BTreeSet<String>> {
        self.records.get(&(name.clone(), kind))
    }

    /// Whether the name, or one below it, has records.
    fn exists(&self, name: &Name) -> bool {
        self.records.keys().any(|(owner, _)| owner.is_within(name))
    }

    fn lines(&self, owner: &Name, from: &Name, kind: Type) -> BTreeSet<String> {
        let data = self.set(from, kind).into_iter().flatten();
        data.map(|data| format!("{} {kind} {data}", owner.lowered())).collect()
    }

    fn answer(&self, question: &Name, kind: Type) -> Expected {
        let mut expected = Expected::default();
        let mut name = question.lowered();
        let mut followed = BTreeSet::new();
        loop {
            if !name.is_within(&self.apex) {
                return expected;
            }
            // Step 3b: a cut at the name or above it, the highest first.
            let mut path: Vec<Name> = std::iter::successors(Some(name.clone()), Name::parent)
                .take_while(|n| *n != self.apex)
                .collect();
            path.reverse();
            let is_cut =
                |name: &&Name| self.set(name, Type::NS).is_some() && name.as_octets()[..2] != *b"\x01*";
            if let Some(cut) = path.iter().find(is_cut) {
                expected.authority = self.lines(cut, cut, Type::NS);
                return expected;
            }
            expected.aa = true;
            // Step 3a and 3c: the name, or the wildcard at its closest encloser.
            let source = if self.exists(&name) {
                Some(name.clone())
            } else {
                let mut encloser = name.parent().unwrap();
                while !self.exists(&encloser) {
                    encloser = encloser.parent().unwrap();
                }
                let star = Name::from_labels(std::iter::once(&b"*"[..]).chain(encloser.labels())).unwrap();
                self.exists(&star).then_some(star)
            };
            let Some(source) = source else {
                expected.rcode = Rcode::NXDOMAIN.0;
                expected.authority = self.lines(&self.apex, &self.apex, Type::SOA);
                return expected;
            };
            if kind != Type::CNAME
                && let Some(target) = self.set(&source, Type::CNAME)
            {
                if !followed.insert(source.clone()) {
                    return expected;
                }
                expected.answer.extend(self.lines(&name, &source, Type::CNAME));
                name = target.first().unwrap().parse::<Name>().unwrap().lowered();
                continue;
            }
            let data = self.lines(&name, &source, kind);
            if data.is_empty() {
                expected.authority = self.lines(&self.apex, &self.apex, Type::SOA);
            }
            expected.answer.extend(data);
            return expected;
        }
    }
}

fn seen(reply: &Message) -> Expected {
    let lines = |records: &[doorway_dns::wire::Record]| {
        records
            .iter()
            .map(|record| {
                let data = doorway_dns::wire::rdata::display(record.kind, &record.rdata).to_string();
                format!("{} {} {}", record.name.lowered(), record.kind, data.to_lowercase())
            })
            .collect()
    };
    Expected {
        rcode: reply.rcode().0,
        aa: reply.flags.has(Flags::AA),
        answer: lines(&reply.answers),
        authority: lines(&reply.authorities),
    }
}

/// Names of up to three labels out of very few, so that they meet.
fn names() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "*", "c", "A"]);
    prop::collection::vec(label, 0..4).prop_map(|mut labels| {
        labels.push("zone.test.");
        labels.join(".")
    })
}

fn records() -> impl Strategy<Value = Vec<(String, &'static str, String)>> {
    let data = (names(), 0..4_u8).prop_flat_map(|(owner, number)| {
        let address = format!("192.0.2.{number}");
        (
            Just(owner),
            prop_oneof![
                3 => Just(("A", address.clone())),
                1 => Just(("TXT", format!("\"text {number}\""))),
                2 => names().prop_map(|target| ("CNAME", target)),
                2 => names().prop_map(|target| ("NS", target)),
                1 => names().prop_map(|target| ("MX", format!("10 {target}"))),
                1 => names().prop_map(|target| ("SRV", format!("1 2 3 {target}"))),
            ],
        )
    });
    let data = data.prop_map(|(owner, (kind, data))| (owner, kind, data));
    prop::collection::vec(data, 0..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_questions_get_what_the_standard_says(
        records in records(),
        questions in prop::collection::vec((names(), 0..7_usize), 1..24),
    ) {
        let apex: Name = "zone.test".parse().unwrap();
        let mut model = Model { apex: apex.clone(), records: BTreeMap::new() };
        let mut add = |owner: &str, kind: &str, data: &str| {
            let owner = owner.parse::<Name>().unwrap().lowered();
            let kind = Type::from_text(kind.as_bytes()).unwrap();
            model.records.entry((owner, kind)).or_default().insert(data.to_lowercase());
        };
        add("zone.test.", "SOA", "ns.zone.test. root.zone.test. 1 2 3 4 60");
        add("zone.test.", "NS", "ns.zone.test.");
        // One alias at a name, and nothing beside it: what else would be a fault of the zone.
        let mut aliases = BTreeSet::new();
        let mut others = BTreeSet::new();
        for (owner, kind, data) in &records {
            let owner_name = owner.to_lowercase();
            let fits = if *kind == "CNAME" {
                owner_name != "zone.test." && !others.contains(&owner_name) && aliases.insert(owner_name)
            } else {
                let free = !aliases.contains(&owner_name);
                free && { others.insert(owner_name); true }
            };
            if fits {
                add(owner, kind, data);
            }
        }
        let mut text = String::from("$TTL 300\n");
        for ((owner, kind), set) in &model.records {
            for data in set {
                text.push_str(&format!("{owner} {kind} {data}\n"));
            }
        }
        let mut engine = serving(&[(apex, text.clone())]);
        for (name, kind) in questions {
            let kind = [Type::A, Type::TXT, Type::CNAME, Type::NS, Type::MX, Type::SRV, Type::SOA][kind];
            let name: Name = name.parse().unwrap();
            let octets = query(&name, kind, None).to_octets().unwrap();
            let reply = answer(&mut engine, &octets, Carrier::Stream).unwrap();
            let reply = Message::read(&reply).unwrap();
            prop_assert_eq!(seen(&reply), model.answer(&name, kind), "{} {} in\n{}", name, kind, text);
            prop_assert_eq!(&reply.questions[0].name, &name);
        }
    }
}
