//! Which of several servers is asked.

use doorway_base::Random;

/// How a server is chosen among those that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Each in turn, as often as its weight says, evenly spread.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way for its weight.
    LeastConnections,
    /// Of two that are drawn, the one with fewer requests under way for its weight.
    RandomTwo,
    /// Always the same one for a client's address; when a server goes, only its own clients move.
    Client,
    /// The same for the URL that is asked for.
    Url,
}

impl Balance {
    /// The words of the config, in the order of the declaration.
    pub const WORDS: [&'static str; 5] = ["round-robin", "least-connections", "random-two", "client", "url"];

    /// The one that a word stands for.
    #[must_use]
    pub fn named(word: &str) -> Self {
        match word {
            "least-connections" => Self::LeastConnections,
            "random-two" => Self::RandomTwo,
            "client" => Self::Client,
            "url" => Self::Url,
            _ => Self::RoundRobin,
        }
    }
}

/// What is known of a server when one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its share in thousandths of a weight of one, so that a slow start can be told; 0 for a server that cannot
    /// be asked.
    pub share: u32,
    /// Requests under way.
    pub active: u32,
    /// What stands for it where clients are hashed; stays the same when others come and go.
    pub identity: u64,
}

/// Chooses, and remembers whose turn it is.
#[derive(Debug, Clone, Default)]
pub struct Balancer {
    balance: Balance,
    turns: Vec<i64>,
}

impl Balancer {
    /// A balancer of this kind.
    #[must_use]
    pub const fn new(balance: Balance) -> Self {
        Self { balance, turns: Vec::new() }
    }

    /// What requests are told apart by.
    #[must_use]
    pub const fn balance(&self) -> Balance {
        self.balance
    }

    /// The place of the server to ask; `None` when none can be. `hash` stands for the client or the URL.
    pub fn choose(&mut self, candidates: &[Candidate], hash: u64, random: &mut Random) -> Option<usize> {
        let open = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.share > 0);
        // The load that one more request would make, in comparable numbers.
        let load = |candidate: &Candidate| {
            u64::from(candidate.active + 1) * 1_000_000_000 / u64::from(candidate.share.max(1))
        };
        match self.balance {
            Balance::RoundRobin => self.next_turn(candidates),
            Balance::LeastConnections => {
                let least = open().map(|(_, candidate)| load(candidate)).min()?;
                // Among equals each in turn, or the first would get every request of a quiet hour.
                let equal: Vec<Candidate> = candidates
                    .iter()
                    .map(|candidate| {
                        let share = if load(candidate) == least { candidate.share } else { 0 };
                        Candidate { share, ..*candidate }
                    })
                    .collect();
                self.next_turn(&equal)
            }
            Balance::RandomTwo => {
                let count = open().count() as u64;
                let mut draw = || open().nth(random.below(count.max(1)) as usize);
                let (one, other) = (draw()?, draw()?);
                Some(if load(other.1) < load(one.1) { other.0 } else { one.0 })
            }
            Balance::Client | Balance::Url => {
                let score = |candidate: &Candidate| rendezvous(hash, candidate.identity, candidate.share);
                open().max_by(|one, other| score(one.1).total_cmp(&score(other.1))).map(|(place, _)| place)
            }
        }
    }

    /// Smooth weighted round robin: everybody saves up its share, the richest is chosen and pays for all.
    fn next_turn(&mut self, candidates: &[Candidate]) -> Option<usize> {
        self.turns.resize(candidates.len(), 0);
        let mut total = 0;
        let mut richest: Option<usize> = None;
        for (place, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.share > 0) {
            let share = i64::from(candidate.share);
            self.turns[place] += share;
            total += share;
            if richest.is_none_or(|other| self.turns[place] > self.turns[other]) {
                richest = Some(place);
            }
        }
        self.turns[richest?] -= total;
        richest
    }
}

/// Weighted rendezvous hashing: the server with the highest score for a hash has it. Scores of the others do not
/// change when one goes.
fn rendezvous(hash: u64, identity: u64, share: u32) -> f64 {
    let mixed = mix(hash ^ mix(identity));
    // In (0, 1]: the logarithm is finite.
    let unit = ((mixed >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
    f64::from(share) / -unit.ln().min(-f64::MIN_POSITIVE)
}

/// Spreads all bits (the finaliser of SplitMix64).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The number that stands for some octets: FNV-1a, spread. Not against somebody who looks for equal ones.
#[must_use]
pub fn hash(octets: &[u8]) -> u64 {
    let step = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    mix(octets.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let one = |(place, weight): (usize, &u32)| Candidate {
            share: weight * 1000,
            active: 0,
            identity: hash(&[place as u8]),
        };
        weights.iter().enumerate().map(one).collect()
    }

    fn chosen(balance: Balance, candidates: &[Candidate], times: u64) -> Vec<usize> {
        let (mut balancer, mut random) = (Balancer::new(balance), Random::new(1));
        (0..times)
            .map(|turn| balancer.choose(candidates, hash(&turn.to_be_bytes()), &mut random).unwrap())
            .collect()
    }

    fn counts(chosen: &[usize]) -> Vec<usize> {
        (0..3).map(|place| chosen.iter().filter(|other| **other == place).count()).collect()
    }

    #[test]
    fn turns_are_taken_evenly_by_weight() {
        assert_eq!(chosen(Balance::RoundRobin, &candidates(&[1, 1, 1]), 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(chosen(Balance::RoundRobin, &candidates(&[3, 1, 0]), 8), [0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(counts(&chosen(Balance::LeastConnections, &candidates(&[1, 1, 1]), 30)), [10, 10, 10]);
    }

    #[test]
    fn the_one_with_least_to_do_is_asked() {
        let mut three = candidates(&[1, 1, 4]);
        (three[0].active, three[1].active, three[2].active) = (1, 2, 4);
        assert_eq!(chosen(Balance::LeastConnections, &three, 3), [2, 2, 2]);
        three[2].active = 12;
        assert_eq!(chosen(Balance::LeastConnections, &three, 3), [0, 0, 0]);
        let two = counts(&chosen(Balance::RandomTwo, &three, 900));
        assert!(two[0] > two[1] && two[1] > two[2] && two[2] > 50, "{two:?}");
    }

    #[test]
    fn a_hash_stays_with_its_server_while_others_come_and_go() {
        let all = candidates(&[1, 1, 2]);
        let before = chosen(Balance::Url, &all, 4000);
        let shares = counts(&before);
        assert!((800..1200).contains(&shares[0]) && (1800..2200).contains(&shares[2]), "{shares:?}");
        let mut fewer = all;
        fewer[1].share = 0;
        let after = chosen(Balance::Url, &fewer, 4000);
        let moved = before.iter().zip(&after).filter(|(one, other)| one != other).count();
        assert_eq!(moved, shares[1], "only those of the server that is gone move");
    }

    #[test]
    fn nobody_is_asked_where_nobody_can_be() {
        for balance in Balance::WORDS.map(Balance::named) {
            let (mut balancer, mut random) = (Balancer::new(balance), Random::new(1));
            assert_eq!(balancer.choose(&candidates(&[0, 0]), 1, &mut random), None, "{balance:?}");
            assert_eq!(balancer.choose(&[], 1, &mut random), None);
        }
    }
}
