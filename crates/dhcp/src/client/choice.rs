//! Which of several offers is taken: RFC 2131 §3.1 leaves it to the client.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::binding::Offer;
use super::session::Known;

/// The rule by which an offer is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The first that comes, at once.
    First,
    /// The address that we had before, at once; else whatever comes from the server that gave it; else the first.
    #[default]
    PreferKnown,
    /// The longest lease; the first of equals.
    Longest,
}

impl Choice {
    /// Whether no better offer than this one can come.
    #[must_use]
    pub fn is_best(self, offer: &Offer, known: Option<&Known>, wished: Option<Ipv4Addr>) -> bool {
        match self {
            Self::First => true,
            Self::PreferKnown => rank(offer, known, wished) == RANK_BEST,
            Self::Longest => offer.lease.is_none(),
        }
    }

    /// The offer to take, by its place; `None` when there is none.
    #[must_use]
    pub fn pick(self, offers: &[Offer], known: Option<&Known>, wished: Option<Ipv4Addr>) -> Option<usize> {
        let worth = |offer: &Offer| match self {
            Self::First => Duration::ZERO,
            Self::PreferKnown => Duration::from_secs(rank(offer, known, wished)),
            Self::Longest => offer.lease.unwrap_or(Duration::MAX),
        };
        // The first of equals, therefore from the end.
        (0..offers.len()).rev().max_by_key(|&index| worth(&offers[index]))
    }
}

const RANK_BEST: u64 = 2;

/// How much an offer has of what we had or wished for.
fn rank(offer: &Offer, known: Option<&Known>, wished: Option<Ipv4Addr>) -> u64 {
    if Some(offer.address) == known.map(|known| known.address).or(wished) {
        RANK_BEST
    } else {
        u64::from(known.is_some_and(|known| known.server == Some(offer.server)))
    }
}
