//! One file on its way to a client: which options hold, which blocks are due, and when they are sent again.
//!
//! Blocks are counted from 1 without end; on the wire their numbers go round, and block 65 535 is followed by
//! block 0, as machines that boot large images expect. An acknowledgement that comes a second time leads to
//! nothing: else each of them would double all that follow (RFC 1123 §4.2.3.1).

use core::ops::RangeInclusive;
use std::time::Duration;

use doorway_base::Instant;

use super::packet::Request;

/// Octets of a block when the client says nothing: RFC 1350.
pub const BLOCK_OCTETS: usize = 512;
/// The least and the most that it may ask for: RFC 2348.
const BLOCK_OCTETS_BOUNDS: RangeInclusive<u64> = 8..=65_464;
/// Longest block that is sent, in octets, so that no packet is cut up on Ethernet.
pub const BLOCK_OCTETS_MAX: usize = 1468;
/// Most blocks in a row without an acknowledgement; RFC 7440 allows more.
pub const WINDOW_MAX: u16 = 64;
/// How long an acknowledgement is waited for when the client says nothing.
const WAIT: Duration = Duration::from_secs(1);
/// How often blocks are sent until the client is taken to be gone.
const TRIES_MAX: u32 = 6;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Tell the client the options that hold.
    Options(Vec<(&'static str, u64)>),
    /// Send these blocks, counted from 1.
    Blocks(RangeInclusive<u64>),
    /// Wait.
    Wait,
    /// The client has all of it.
    Done,
    /// The client is gone.
    GivenUp,
}

/// One file on its way.
#[derive(Debug, Clone)]
pub struct Transfer {
    options: Vec<(&'static str, u64)>,
    block_octets: usize,
    window: u16,
    wait: Duration,
    /// Blocks in all; the last one is shorter than the others, and may be empty.
    blocks: u64,
    /// The last block that the client has.
    acknowledged: u64,
    /// Whether the client knows the options.
    agreed: bool,
    tries: u32,
    until: Instant,
}

impl Transfer {
    /// A file of `octets` for a client that sent `request`.
    #[must_use]
    pub fn new(request: &Request, octets: u64) -> Self {
        let mut transfer = Self {
            options: Vec::new(),
            block_octets: BLOCK_OCTETS,
            window: 1,
            wait: WAIT,
            blocks: 0,
            acknowledged: 0,
            agreed: false,
            tries: 0,
            until: Instant::ZERO,
        };
        for (name, value) in &request.options {
            let Ok(value) = value.parse::<u64>() else { continue };
            if transfer.options.iter().any(|(known, _)| known == name) {
                continue;
            }
            // What is not understood is left out of the answer, and does not hold.
            let held = match name.as_str() {
                "blksize" if BLOCK_OCTETS_BOUNDS.contains(&value) => {
                    transfer.block_octets = (value as usize).min(BLOCK_OCTETS_MAX);
                    ("blksize", transfer.block_octets as u64)
                }
                "timeout" if (1..=255).contains(&value) => {
                    transfer.wait = Duration::from_secs(value);
                    ("timeout", value)
                }
                "tsize" => ("tsize", octets),
                "windowsize" if (1..=65_535).contains(&value) => {
                    transfer.window = u16::try_from(value).unwrap_or(WINDOW_MAX).min(WINDOW_MAX);
                    ("windowsize", u64::from(transfer.window))
                }
                _ => continue,
            };
            transfer.options.push(held);
        }
        transfer.agreed = transfer.options.is_empty();
        transfer.blocks = octets / transfer.block_octets as u64 + 1;
        transfer
    }

    /// What to send first.
    pub fn begin(&mut self, now: Instant) -> Step {
        self.send(now)
    }

    /// The client has everything up to the block of this number.
    pub fn acknowledged(&mut self, now: Instant, number: u16) -> Step {
        if !self.agreed {
            if number != 0 {
                return Step::Wait;
            }
            self.agreed = true;
            self.tries = 0;
            return self.send(now);
        }
        let ahead = number.wrapping_sub(self.acknowledged as u16);
        let last = (self.acknowledged + u64::from(self.window)).min(self.blocks);
        let block = self.acknowledged + u64::from(ahead);
        if ahead == 0 || block > last {
            return Step::Wait;
        }
        self.acknowledged = block;
        self.tries = 0;
        if block == self.blocks { Step::Done } else { self.send(now) }
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) -> Step {
        if now < self.until {
            return Step::Wait;
        }
        if self.tries >= TRIES_MAX {
            return Step::GivenUp;
        }
        self.send(now)
    }

    /// When [`timeout`](Self::timeout) is to be called.
    #[must_use]
    pub const fn next_timeout(&self) -> Instant {
        self.until
    }

    /// Where a block begins in the file, and how long it is at most.
    #[must_use]
    pub const fn place(&self, block: u64) -> (u64, usize) {
        ((block - 1) * self.block_octets as u64, self.block_octets)
    }

    fn send(&mut self, now: Instant) -> Step {
        self.tries += 1;
        self.until = now + self.wait;
        if !self.agreed {
            return Step::Options(self.options.clone());
        }
        let last = (self.acknowledged + u64::from(self.window)).min(self.blocks);
        Step::Blocks(self.acknowledged + 1..=last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packet::Mode;
    use super::*;

    fn request(options: &[(&str, &str)]) -> Request {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { file: "f".to_owned(), mode: Mode::Octet, options }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_goes_block_by_block_and_ends_with_a_short_one() {
        let mut transfer = Transfer::new(&request(&[]), 1024);
        assert_eq!(transfer.begin(at(0)), Step::Blocks(1..=1));
        assert_eq!(transfer.acknowledged(at(0), 1), Step::Blocks(2..=2));
        assert_eq!(transfer.acknowledged(at(0), 1), Step::Wait, "the same once more leads to nothing");
        assert_eq!(transfer.acknowledged(at(0), 2), Step::Blocks(3..=3), "empty: 1024 is twice 512");
        assert_eq!(transfer.place(3), (1024, 512));
        assert_eq!(transfer.acknowledged(at(0), 3), Step::Done);
    }

    #[test]
    fn options_are_agreed_on_before_the_first_block() {
        let asked = request(&[
            ("tsize", "0"),
            ("blksize", "9000"),
            ("windowsize", "4"),
            ("multicast", "1"),
            ("timeout", "0"),
            ("blksize", "16"),
        ]);
        let mut transfer = Transfer::new(&asked, 10_000);
        let told = vec![("tsize", 10_000), ("blksize", BLOCK_OCTETS_MAX as u64), ("windowsize", 4)];
        assert_eq!(
            transfer.begin(at(0)),
            Step::Options(told),
            "the first word counts, as far as it is allowed"
        );
        assert_eq!(transfer.acknowledged(at(0), 1), Step::Wait);
        assert_eq!(transfer.acknowledged(at(0), 0), Step::Blocks(1..=4));
        assert_eq!(transfer.acknowledged(at(0), 2), Step::Blocks(3..=6), "block 3 was lost");
        assert_eq!(transfer.acknowledged(at(0), 9), Step::Wait, "nobody sent block 9");
    }

    #[test]
    fn silence_has_blocks_sent_again_and_then_ends_it() {
        let mut transfer = Transfer::new(&request(&[("timeout", "2")]), 10);
        assert!(matches!(transfer.begin(at(0)), Step::Options(_)));
        assert_eq!(transfer.acknowledged(at(1), 0), Step::Blocks(1..=1));
        assert_eq!(transfer.timeout(at(2)), Step::Wait);
        let mut now = 3;
        for _ in 1..TRIES_MAX {
            assert_eq!(transfer.timeout(at(now)), Step::Blocks(1..=1));
            now += 2;
        }
        assert_eq!(transfer.timeout(at(now)), Step::GivenUp);
    }

    proptest! {
        #[test]
        fn every_octet_arrives_once_whatever_is_lost(
            octets in 0_u64..200_000,
            block in 8_u64..1500,
            window in 1_u64..80,
            lost in proptest::collection::vec(any::<bool>(), 64),
        ) {
            let asked = request(&[("blksize", &block.to_string()), ("windowsize", &window.to_string())]);
            let mut transfer = Transfer::new(&asked, octets);
            let (mut now, mut has, mut got, mut turn) = (0, 0_u64, 0_u64, 0);
            let mut step = transfer.begin(at(now));
            loop {
                turn += 1;
                let is_lost = lost[turn % lost.len()] && !turn.is_multiple_of(5);
                step = match step {
                    Step::Options(_) if !is_lost => transfer.acknowledged(at(now), 0),
                    Step::Blocks(range) => {
                        let mut last = has;
                        for number in range {
                            // Some of a window may be lost; what is behind a gap is not taken.
                            if number == has + 1 && !(is_lost && number.is_multiple_of(3)) {
                                let (from, most) = transfer.place(number);
                                got += (octets - from).min(most as u64);
                                has = number;
                            }
                            last = has;
                        }
                        transfer.acknowledged(at(now), last as u16)
                    }
                    Step::Done => break,
                    Step::GivenUp => { prop_assert!(false, "given up"); break }
                    _ => { now += 300; transfer.timeout(at(now)) }
                };
                prop_assert!(turn < 1_000_000);
            }
            prop_assert_eq!(got, octets);
        }
    }
}
