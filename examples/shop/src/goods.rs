//! What there is to buy, and what goes with what.

/// Something to buy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Good {
    /// Its number in addresses and sessions.
    pub(crate) id: u32,
    /// What it is called.
    pub(crate) name: &'static str,
    /// What is said about it.
    pub(crate) about: &'static str,
    /// Its price in cents.
    pub(crate) cents: u32,
    /// What it is for; goods that share a word go together.
    pub(crate) kinds: &'static [&'static str],
    /// Its picture: shapes on a field of 120 by 90.
    pub(crate) picture: &'static str,
    /// The colour behind it, in degrees round the wheel.
    pub(crate) hue: u16,
}

/// All of them.
pub(crate) const GOODS: &[Good] = &[
    Good {
        id: 1,
        name: "Teapot",
        about: "Stoneware, holds a litre, keeps it warm for as long as a chapter.",
        cents: 3400,
        kinds: &["tea", "kitchen"],
        picture: r##"<ellipse cx="58" cy="52" rx="27" ry="22"/><path d="M83 44q16-8 17-20l6 2q0 20-20 34z"/><path d="M33 40q-18 2-14 16 3 10 16 8" fill="none" stroke="#fff" stroke-width="5"/><rect x="44" y="27" width="28" height="6" rx="3"/><circle cx="58" cy="22" r="5"/>"##,
        hue: 18,
    },
    Good {
        id: 2,
        name: "Cup",
        about: "Goes with the teapot, and with any hand.",
        cents: 1200,
        kinds: &["tea", "kitchen"],
        picture: r##"<path d="M34 32h44v20q0 20-22 20t-22-20z"/><path d="M78 38q17-2 15 11-2 11-17 10" fill="none" stroke="#fff" stroke-width="5"/><rect x="28" y="76" width="56" height="5" rx="2.5"/>"##,
        hue: 200,
    },
    Good {
        id: 3,
        name: "Green tea",
        about: "A hundred grams from a hillside that faces the morning.",
        cents: 900,
        kinds: &["tea"],
        picture: r##"<path d="M38 24h44v52q0 5-5 5H43q-5 0-5-5z"/><path d="M60 70q-17-8-12-28 18 4 12 28zm0 0q14-6 12-20-12 2-12 20z" fill="#0006"/>"##,
        hue: 130,
    },
    Good {
        id: 4,
        name: "Reading lamp",
        about: "Its arm stays where you leave it. Warm light, no flicker.",
        cents: 5900,
        kinds: &["reading", "home"],
        picture: r##"<path d="M42 78 52 44l24-18" fill="none" stroke="#fff" stroke-width="5"/><path d="M66 16 92 32 78 44 62 30z"/><rect x="26" y="76" width="34" height="6" rx="3"/>"##,
        hue: 45,
    },
    Good {
        id: 5,
        name: "Notebook",
        about: "Ninety-six blank pages that lie flat.",
        cents: 1100,
        kinds: &["reading", "desk"],
        picture: r##"<rect x="38" y="16" width="46" height="62" rx="5"/><path d="M48 16v62" stroke="#0005" stroke-width="3"/><path d="M56 34h20M56 44h20M56 54h13" stroke="#0005" stroke-width="3"/>"##,
        hue: 265,
    },
    Good {
        id: 6,
        name: "Fountain pen",
        about: "Steel nib, fills from a bottle, asks for a blotter.",
        cents: 4200,
        kinds: &["desk"],
        picture: r##"<path d="M30 78 38 56 78 16q6-5 12 0t0 12L50 68z"/><path d="m38 56 12 12" stroke="#0005" stroke-width="3"/>"##,
        hue: 340,
    },
    Good {
        id: 7,
        name: "Armchair",
        about: "Deep enough for a cat as well.",
        cents: 38_900,
        kinds: &["reading", "home"],
        picture: r##"<path d="M38 22q22-8 44 0v26H38z"/><path d="M26 42q8-4 12 4v8h44v-8q4-8 12-4v28H26z"/><path d="M32 70v10M88 70v10" stroke="#fff" stroke-width="5"/>"##,
        hue: 100,
    },
    Good {
        id: 8,
        name: "Kettle",
        about: "Whistles two notes, so that you know it from the neighbours'.",
        cents: 4800,
        kinds: &["tea", "kitchen"],
        picture: r##"<path d="M36 78q-6-34 24-38 30 4 24 38z"/><path d="M40 42q0-24 20-24t20 24" fill="none" stroke="#fff" stroke-width="5"/><path d="m82 54 18-12 4 5-18 20z"/>"##,
        hue: 220,
    },
];

/// The good with this number.
pub(crate) fn find(id: u32) -> Option<&'static Good> {
    GOODS.iter().find(|good| good.id == id)
}

/// What goes with the goods of these numbers, the best first and the latest looked at counting most; none of
/// them, and at most `max`.
pub(crate) fn recommend(seen: &[u32], max: usize) -> Vec<&'static Good> {
    let weight = |good: &Good| -> usize {
        let shared = |id: u32| {
            find(id).map_or(0, |other| good.kinds.iter().filter(|k| other.kinds.contains(k)).count())
        };
        seen.iter().enumerate().map(|(place, id)| (place + 1) * shared(*id)).sum()
    };
    let mut goods: Vec<_> =
        GOODS.iter().filter(|good| !seen.contains(&good.id) && weight(good) > 0).collect();
    goods.sort_by_key(|good| std::cmp::Reverse(weight(good)));
    goods.truncate(max);
    goods
}

/// A price as people write it.
pub(crate) fn price(cents: u32) -> String {
    format!("{}.{:02} €", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_last_counts_most() {
        let names = |seen: &[u32]| recommend(seen, 3).iter().map(|good| good.name).collect::<Vec<_>>();
        assert_eq!(names(&[]), <[&str; 0]>::default());
        assert_eq!(names(&[1]), ["Cup", "Kettle", "Green tea"]);
        assert_eq!(names(&[1, 4])[0], "Armchair");
        assert!(!names(&[1, 2, 3, 8]).contains(&"Cup"));
    }
}
