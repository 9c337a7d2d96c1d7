//! What a relay agent passes on is a message, one hop on towards servers, and never comes back from there twice.
#![no_main]
use std::net::Ipv4Addr;

use doorway_base::Writer;
use doorway_dhcp::relay::{Circuit, DropReason, Origin, RELAYED_OCTETS_MAX, Relay, Rules, Verdict};
use doorway_dhcp::wire::Message;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let circuit = |trusted| Circuit {
        address: OWN,
        prefix: 16,
        circuit_id: b"lan1".to_vec(),
        remote_id: b"here".to_vec(),
        trusted,
    };
    for trusted in [false, true] {
        let mut relay = Relay::new(Rules::default(), vec![circuit(trusted)]);
        for origin in [Origin::Circuit(0), Origin::Unicast { source: Ipv4Addr::new(10, 9, 0, 9), local: OWN }] {
            let mut room = [0; RELAYED_OCTETS_MAX];
            let mut out = Writer::new(&mut room);
            let verdict = relay.handle(origin, octets, &mut out);
            if let Verdict::Drop(_) = verdict {
                assert!(out.written().is_empty());
                continue;
            }
            let (before, after) = (Message::parse(octets).unwrap(), Message::parse(out.written()).unwrap());
            assert_eq!((before.kind(), before.xid()), (after.kind(), after.xid()));
            if verdict == Verdict::Servers {
                assert_eq!(after.hops(), before.hops() + 1);
                if after.giaddr() == OWN {
                    let mut room = [0; RELAYED_OCTETS_MAX];
                    let again = relay.handle(origin, out.written(), &mut Writer::new(&mut room));
                    assert_eq!(again, Verdict::Drop(DropReason::Loop));
                }
            }
        }
    }
});
