//! What holds whatever comes.

use proptest::prelude::*;

use super::super::Discovery;
use super::*;

/// What may happen, with octets that are close to an answer.
fn event() -> impl Strategy<Value = (u8, u16, Vec<u8>)> {
    (any::<u8>(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40))
}

proptest! {
    #[test]
    fn whatever_comes_the_client_has_an_address_only_while_its_lease_holds(
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let mut play = Play::new(&["check"]);
        play.hand_in(Input::Start(None));
        for (kind, number, changes) in events {
            match kind % 8 {
                0 => play.wait(Duration::from_millis(number.into())),
                1 => play.hand_in(Input::Renew),
                2 if number % 16 == 0 => play.hand_in(Input::Release),
                3 => play.arp("02:00:00:00:00:99", &format!("10.0.0.{}", number % 4), "10.0.0.9"),
                4 => { play.now = play.now + Duration::from_secs(number.into()); play.hand_in(Input::Timeout) }
                _ => {
                    let word = ["offer", "ack", "nak"][usize::from(kind / 8) % 3];
                    let (address, server, lease) =
                        (format!("10.0.0.{}", number % 4), format!("10.0.1.{}", number / 4 % 4), (number / 16).to_string());
                    let mut octets = answer(&[word, &address, "from", &server, "lease", &lease], play.xid);
                    for pair in changes.chunks_exact(4) {
                        let at = usize::from(u16::from_be_bytes([pair[0], pair[1]])) % octets.len();
                        if pair[3] < 8 { octets[at] = pair[2] }
                    }
                    play.hand_in(Input::Message { octets: &octets, neighbour: None });
                }
            }
            if let Some(binding) = play.session.binding() {
                let due = play.session.next_timeout().unwrap_or(Instant::NEVER);
                prop_assert!(play.now <= binding.ends_at() || due <= play.now);
                prop_assert!(binding.renews_at() <= binding.rebinds_at());
                prop_assert!(binding.rebinds_at() <= binding.ends_at());
            }
            // Unless it was stopped it always has something to wait for, or a lease for ever.
            let waits = play.session.next_timeout().is_some();
            let is_ever = play.session.binding().is_some_and(|binding| binding.lease.is_none());
            prop_assert!(waits || is_ever || play.session.phase() == super::super::Phase::Stopped);
        }
    }

    #[test]
    fn no_octets_harm_a_client_or_a_search(octets in proptest::collection::vec(any::<u8>(), 0..700)) {
        let mut play = Play::new(&[]);
        play.hand_in(Input::Start(None));
        play.hand_in(Input::Message { octets: &octets, neighbour: None });
        let mut search = Discovery::new(settings(), &mut Random::new(1));
        search.take(&octets, None);
    }
}

#[test]
fn every_prefix_of_an_offer_is_no_offer() {
    let mut play = Play::new(&["first"]);
    play.hand_in(Input::Start(None));
    let whole = answer(&["offer", "10.0.0.7", "from", "10.0.0.1", "lease", "100"], play.xid);
    let needed = 240 + whole[240..].iter().position(|&octet| octet == code::END).unwrap();
    // The last option is the mask, which an offer can do without.
    for length in 0..needed - 6 {
        play.hand_in(Input::Message { octets: &whole[..length], neighbour: None });
        assert_eq!(play.session.phase(), super::super::Phase::Selecting, "{length}");
    }
    play.hand_in(Input::Message { octets: &whole, neighbour: None });
    assert_eq!(play.session.phase(), super::super::Phase::Requesting);
}
