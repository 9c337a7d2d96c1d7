//! Whatever comes to a client, it says messages alone, and has an address only while its lease holds.
#![no_main]
use std::time::Duration;

use doorway_base::{Instant, Random, Session as _};
use doorway_dhcp::client::session::Heard;
use doorway_dhcp::client::{Input, Output, Session, Settings};
use doorway_dhcp::wire::{HardwareAddress, Message};

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let mut session = Session::new(Settings::new(HardwareAddress::ethernet(OWN)), Random::new(1));
    let (mut now, mut rest, mut xid) = (Instant::ZERO, octets, [0; 4]);
    session.handle(now, Input::Start(None));
    loop {
        while let Some(output) = session.poll_output() {
            if let Output::Send { octets, .. } = output {
                xid = Message::parse(&octets).expect("what a client says is a message").xid().to_be_bytes();
            }
        }
        let due = session.next_timeout().unwrap_or(Instant::NEVER);
        assert!(session.binding().is_none_or(|binding| now <= binding.ends_at() || due <= now));
        let Some(([what, high, low], after)) = rest.split_first_chunk::<3>() else { break };
        let number = u16::from_be_bytes([*high, *low]);
        let (message, after) = after.split_at(usize::from(number % 1501).min(after.len()));
        (rest, now) = (after, now + Duration::from_secs(u64::from(what & 0x0f)));
        match what >> 4 {
            0 => session.handle(now, Input::Timeout),
            1 => {
                let address = [10, 0, *high, *low].into();
                let heard = Heard { sender: [9; 6], sender_address: address, target_address: address };
                session.handle(now, Input::Arp(heard));
            }
            2 => session.handle(now, Input::Renew),
            3 => session.handle(now, Input::Release),
            _ => {
                // An answer to the exchange under way, as far as it has these fields.
                let mut message = message.to_vec();
                for (at, field) in [(0, &[2, 1, 6][..]), (4, &xid), (28, &OWN), (236, &[99, 130, 83, 99])] {
                    if let Some(place) = message.get_mut(at..at + field.len()) {
                        place.copy_from_slice(field);
                    }
                }
                session.handle(now, Input::Message { octets: &message, neighbour: None });
            }
        }
    }
});
