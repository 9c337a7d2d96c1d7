//! The way between two hosts, in one direction.

use std::time::Duration;

use doorway_base::{Instant, Random};

/// What happens to packets on their way. The default is a perfect, instant wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Time every packet takes.
    pub delay: Duration,
    /// Up to this much more, drawn anew for each packet; packets still arrive in order.
    pub jitter: Duration,
    /// Probability that a packet is lost, 0.0 to 1.0.
    pub loss: f64,
    /// Probability that a packet is held back by one more `delay`, so that later ones overtake it.
    pub reorder: f64,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
    /// Octets a second; 0 means that sending takes no time.
    pub rate: u64,
    /// Octets that may wait to be sent when there is a rate; what comes on top is lost.
    pub queue_octets: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            reorder: 0.0,
            duplicate: 0.0,
            rate: 0,
            queue_octets: 256 * 1024,
        }
    }
}

/// One direction of a link with what it remembers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Way {
    /// A link of its own; [`None`] goes by the network's default.
    pub(crate) link: Option<Link>,
    pub(crate) cut: bool,
    free_at: Instant,
    last_arrival: Instant,
}

impl Way {
    /// When copies of a packet of `octets` arrive that is sent now: none when it is lost.
    pub(crate) fn arrivals(
        &mut self,
        default: Link,
        now: Instant,
        octets: usize,
        random: &mut Random,
    ) -> Vec<Instant> {
        let link = self.link.unwrap_or(default);
        // Every packet draws the same numbers, so changing one link's loss leaves the others' luck alone.
        let (lost, held, doubled) =
            (random.chance(link.loss), random.chance(link.reorder), random.chance(link.duplicate));
        let jitter = link.jitter.mul_f64(random.fraction());
        if self.cut || lost {
            return Vec::new();
        }
        let mut sent = now.max(self.free_at);
        if link.rate != 0 {
            let waiting = sent.since(now).as_secs_f64() * link.rate as f64;
            if waiting + octets as f64 > link.queue_octets as f64 {
                return Vec::new();
            }
            sent = sent + Duration::from_secs_f64(octets as f64 / link.rate as f64);
            self.free_at = sent;
        }
        let mut arrival = sent + link.delay + jitter;
        if held {
            arrival = arrival + link.delay.max(Duration::from_millis(1));
        } else {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        if doubled { vec![arrival, arrival] } else { vec![arrival] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spaces_packets_and_a_full_queue_drops_them() {
        let link = Link { rate: 1000, queue_octets: 250, delay: Duration::from_millis(5), ..Link::default() };
        let mut way = Way::default();
        let mut random = Random::new(1);
        let mut arrivals = || way.arrivals(link, Instant::ZERO, 100, &mut random);
        assert_eq!(arrivals(), [Instant::ZERO + Duration::from_millis(105)]);
        assert_eq!(arrivals(), [Instant::ZERO + Duration::from_millis(205)]);
        assert_eq!(arrivals(), []);
    }

    #[test]
    fn loss_and_duplication_come_as_often_as_asked() {
        let mut random = Random::new(3);
        let link = Link { loss: 0.25, duplicate: 0.5, ..Link::default() };
        let mut way = Way { link: Some(link), ..Way::default() };
        let counts: Vec<_> =
            (0..10_000).map(|_| way.arrivals(Link::default(), Instant::ZERO, 1, &mut random).len()).collect();
        let share = |wanted| counts.iter().filter(|n| **n == wanted).count();
        assert!((2300..2700).contains(&share(0)), "{}", share(0));
        assert!((3500..4000).contains(&share(2)), "{}", share(2));
    }

    #[test]
    fn jitter_alone_never_reorders() {
        let mut random = Random::new(5);
        let link = Link { jitter: Duration::from_millis(50), ..Link::default() };
        let mut way = Way::default();
        let arrivals: Vec<_> =
            (0..1000).flat_map(|n| way.arrivals(link, Instant::from_nanos(n), 1, &mut random)).collect();
        assert!(arrivals.is_sorted());
    }
}
