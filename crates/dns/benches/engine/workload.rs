//! The zone and the queries that authoritative servers are compared with: always the same ones.

use std::fmt::Write as _;

use doorway_base::Random;

/// The zone's name.
pub(crate) const APEX: &str = "bench.example";
/// Names with an A record; one in ten also has AAAA and MX.
pub(crate) const NAMES: u64 = 100_000;
/// Queries in the list.
pub(crate) const QUERIES: usize = 200_000;

/// The zone file: `names` names with an A record, every tenth also with AAAA and MX.
pub(crate) fn zone_file(names: u64) -> String {
    let mut text = String::from(
        "$ORIGIN bench.example.\n$TTL 3600\n@ IN SOA ns1 hostmaster 1 7200 900 1209600 300\n@ IN NS ns1\n@ IN NS ns2\n\
         ns1 IN A 192.0.2.1\nns2 IN A 192.0.2.2\nmail IN A 192.0.2.3\n",
    );
    for index in 0..names {
        let [_, b, c, d] = (index as u32).to_be_bytes();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} IN A 10.{b}.{c}.{d}", name(index));
        if index % 10 == 0 {
            let _ = writeln!(text, "{0} IN AAAA 2001:db8::{b:x}:{c:x}:{d:x}\n{0} IN MX 10 mail", name(index));
        }
    }
    text
}

fn name(index: u64) -> String {
    format!("host{index:06}")
}

/// What part of the list is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// 75 % A, 10 % AAAA, 5 % MX of names that have them, 10 % names that do not exist.
    Usual,
    /// Names that exist only.
    Hits,
    /// Names that do not exist only.
    Misses,
}

/// The queries, each a name and the type's mnemonic.
pub(crate) fn queries(mix: Mix, names: u64) -> Vec<(String, &'static str)> {
    let mut random = Random::new(1);
    let mut query = || {
        let host = random.below(names);
        let share = match mix {
            Mix::Usual => random.below(100),
            Mix::Hits => random.below(90),
            Mix::Misses => 99,
        };
        let (label, kind) = match share {
            0..75 => (name(host), "A"),
            75..85 => (name(host - host % 10), "AAAA"),
            85..90 => (name(host - host % 10), "MX"),
            _ => (format!("none{host:06}"), "A"),
        };
        (format!("{label}.{APEX}"), kind)
    };
    (0..QUERIES).map(|_| query()).collect()
}
