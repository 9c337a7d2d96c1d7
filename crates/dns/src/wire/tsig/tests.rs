//! Exchanges that dig and BIND had with each other, checked from both sides; then what must be refused.

use proptest::prelude::*;

use super::*;
use crate::wire::Message;

/// When the exchanges took place.
const SIGNED_AT: u64 = 1_795_380_346;
/// The secret of both keys.
const SECRET: &[u8] = b"12345678901234567890123456789012";

/// `dig -y hmac-sha256:sec1 www.example.org A`, and the answer of BIND.
const QUERY_256: &str = "48f50020000100000000000103777777076578616d706c65036f7267000001000104736563310000fa00ff0000000000 \
     3d0b686d61632d7368613235360000006b03547a012c00208423d6f01b301c6b1f8d08c2598ee83173b6da7e4e1f95da \
     8f2b8396edd56b0148f500000000";
/// The answer to it.
const ANSWER_256: &str = "48f58400000100010001000203777777076578616d706c65036f72670000010001c00c000100010000012c0004c00002 \
     02c010000200010000012c0005026e73c010c03d000100010000012c0004c000020104736563310000fa00ff00000000 \
     003d0b686d61632d7368613235360000006b03547a012c002011da8d997e042c207d3fbf2c280f47bf35baf905de2760 \
     d8b6e32a6f6d472a4348f500000000";
/// The same with hmac-sha512.
const QUERY_512: &str = "960a0020000100000000000103777777076578616d706c65036f7267000001000104733531320000fa00ff0000000000 \
     5d0b686d61632d7368613531320000006b03547a012c0040c8f9f1df2bf88289abbf272c78937f2c53ce2fe720028ac9 \
     2de4b1f1f8e5bde7f645b6951b8b01907a36674b44c1f962895de8bb58b134ae17308cc54bff9ad8960a00000000";
/// The answer to it.
const ANSWER_512: &str = "960a8400000100010001000203777777076578616d706c65036f72670000010001c00c000100010000012c0004c00002 \
     02c010000200010000012c0005026e73c010c03d000100010000012c0004c000020104733531320000fa00ff00000000 \
     005d0b686d61632d7368613531320000006b03547a012c0040181e80db0416ccac8503ee99e901ce798bfa0e6d576e9f \
     b2bad47bd78c377870e56b5bd3a6f01d479d73b0dbcc59e99e6cd5552e14ed3692cc307b952e3d09dd960a00000000";
/// `dig -y hmac-sha256:sec1 example.org AXFR`.
const TRANSFER_QUERY: &str = "561a00200001000000000001076578616d706c65036f72670000fc000104736563310000fa00ff00000000003d0b686d \
     61632d7368613235360000006b03547a012c00201272003a27788cd23408e1e907d9cc43b4f60aa96b7d6627ce3f229e \
     77be33a0561a00000000";
/// The answer: five messages, each signed.
const TRANSFER: &[&str] = &[
    "561a84000001000100000001076578616d706c65036f72670000fc0001c00c000600010000012c0020026e73c00c0468 \
     6f7374c00c0000000700000e100000038400093a800000003c04736563310000fa00ff00000000003d0b686d61632d73 \
     68613235360000006b03547a012c00201b506f91d28d10b26c62d4feed750a8b1b5cd76b9b783dbddf7434a050a44ee2 \
     561a00000000",
    "561a84000000000100000001076578616d706c65036f726700000200010000012c0005026e73c00c04736563310000fa \
     00ff00000000003d0b686d61632d7368613235360000006b03547a012c00201de62f5dfdec24616aac595bbb463a4aaa \
     741875fce594d841ada90ecfa521e5561a00000000",
    "561a84000000000100000001026e73076578616d706c65036f726700000100010000012c0004c0000201047365633100 \
     00fa00ff00000000003d0b686d61632d7368613235360000006b03547a012c00208f8add40d98dc8d9eff5b0c0357282 \
     4beea7d819ecd797ba5d8e117ecad1158f561a00000000",
    "561a8400000000010000000103777777076578616d706c65036f726700000100010000012c0004c00002020473656331 \
     0000fa00ff00000000003d0b686d61632d7368613235360000006b03547a012c002093b0e321f53f301d9b3cda7c25bb \
     3cfc457785a08713c23c1968d79b688414d6561a00000000",
    "561a84000000000100000001076578616d706c65036f726700000600010000012c0020026e73c00c04686f7374c00c00 \
     00000700000e100000038400093a800000003c04736563310000fa00ff00000000003d0b686d61632d73686132353600 \
     00006b03547a012c00205c397c7122ff96b11a9620a2b7bdc3e67bfa52177fa33a1e9c991239b50dac7d561a00000000",
];
/// A query with a key that BIND does not know.
const UNKNOWN_KEY_QUERY: &str = "6ddb00200001000000000001076578616d706c65036f72670000060001056e6f6b65790000fa00ff00000000003d0b68 \
     6d61632d7368613235360000006b03547a012c00202c07010cdd82448ee58fc82566895b4d11b7e2dd2462f51ad171d0 \
     79b4d659bd6ddb00000000";
/// NOTAUTH with BADKEY.
const UNKNOWN_KEY_ANSWER: &str = "6ddb80090001000000000001076578616d706c65036f72670000060001056e6f6b65790000fa00ff00000000001d0b68 \
     6d61632d7368613235360000006b03547a012c00006ddb00110000";
/// A query with another secret.
const WRONG_SECRET_QUERY: &str = "e03f00200001000000000001076578616d706c65036f7267000006000104736563310000fa00ff00000000003d0b686d \
     61632d7368613235360000006b03547a012c00207afa6916e6535c0bccd9484e25f62b0fb805b782b4d3f9e7fa3100f8 \
     151763f6e03f00000000";
/// NOTAUTH with BADSIG.
const WRONG_SECRET_ANSWER: &str = "e03f80090001000000000001076578616d706c65036f7267000006000104736563310000fa00ff00000000001d0b686d \
     61632d7368613235360000006b03547a012c0000e03f00100000";

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn key(name: &str, algorithm: Algorithm) -> Arc<Key> {
    Arc::new(Key::new(&name.parse().unwrap(), algorithm, SECRET))
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

fn signed(opened: Opened) -> (Vec<u8>, Chain) {
    match opened {
        Opened::Signed { message, chain } => (message, chain),
        other => panic!("{other:?}"),
    }
}

fn refused(opened: Opened) -> Refusal {
    match opened {
        Opened::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

fn query(id: u16) -> Vec<u8> {
    let name: Name = "example.org".parse().unwrap();
    let question = Question { name, kind: Type::SOA, class: Class::IN };
    Message { id, questions: vec![question], ..Message::default() }.to_octets().unwrap()
}

#[test]
fn what_dig_and_bind_sign_verifies_from_both_sides() {
    for (asked, answered, name, algorithm) in [
        (QUERY_256, ANSWER_256, "sec1", Algorithm::Sha256),
        (QUERY_512, ANSWER_512, "S512", Algorithm::Sha512),
    ] {
        let keys = [key("other", algorithm), key(name, algorithm)];
        let (bare, mut chain) = signed(open(&octets(asked), &keys, at(SIGNED_AT + 2)).unwrap());
        let request = Message::read(&bare).unwrap();
        assert_eq!((request.questions.len(), request.additionals.len()), (1, 0));
        let mut answer = octets(answered);
        let mut client = chain.clone();
        client.verify(&mut answer, at(SIGNED_AT)).unwrap();
        assert!(client.is_complete());
        // The same octets come out when we are the server: signing has no other freedom.
        chain.sign(&mut answer, at(SIGNED_AT));
        assert_eq!(answer, octets(answered));
    }
}

#[test]
fn a_query_that_we_sign_is_the_one_that_dig_signs() {
    let theirs = octets(QUERY_256);
    let keys = [key("sec1", Algorithm::Sha256)];
    let (mut bare, _) = signed(open(&theirs, &keys, at(SIGNED_AT)).unwrap());
    let _ = Chain::request(&keys[0], &mut bare, at(SIGNED_AT));
    assert_eq!(bare, theirs);
}

#[test]
fn a_long_answer_verifies_message_by_message_and_signs_to_the_same_octets() {
    let keys = [key("sec1", Algorithm::Sha256)];
    let (_, mut server) = signed(open(&octets(TRANSFER_QUERY), &keys, at(SIGNED_AT)).unwrap());
    let mut client = server.clone();
    for whole in TRANSFER.iter().map(|hex| octets(hex)) {
        let mut message = whole.clone();
        client.verify(&mut message, at(SIGNED_AT)).unwrap();
        assert!(client.is_complete());
        server.sign(&mut message, at(SIGNED_AT));
        assert_eq!(message, whole);
    }
}

#[test]
fn messages_without_a_signature_are_covered_by_the_next_one() {
    let keys = [key("sec1", Algorithm::Sha256)];
    let mut request = query(9);
    let mut client = Chain::request(&keys[0], &mut request, at(5));
    let (bare, mut server) = signed(open(&request, &keys, at(5)).unwrap());
    assert_eq!(bare, query(9));
    let sign = |server: &mut Chain, id| {
        let mut message = query(id);
        server.sign(&mut message, at(5));
        message
    };
    let mut first = sign(&mut server, 1);
    client.verify(&mut first, at(5)).unwrap();
    // Ninety-nine bare ones, then one whose MAC is over them all.
    for id in 0..UNSIGNED_MAX as u16 {
        let mut bare = query(id);
        server.digest.update(&bare);
        client.verify(&mut bare, at(5)).unwrap();
        assert!(!client.is_complete());
    }
    let mut too_many = client.clone();
    assert_eq!(too_many.verify(&mut query(7), at(5)), Err(Untrusted::Unsigned));
    client.verify(&mut sign(&mut server, 2), at(5)).unwrap();
    assert!(client.is_complete());
}

#[test]
fn a_first_answer_without_a_signature_is_not_believed() {
    let mut request = query(9);
    let mut client = Chain::request(&key("sec1", Algorithm::Sha256), &mut request, at(5));
    assert_eq!(client.verify(&mut query(9), at(5)), Err(Untrusted::Unsigned));
    assert!(!client.is_complete());
}

#[test]
fn an_unknown_key_and_a_wrong_secret_get_the_answers_that_bind_gives() {
    let keys = [key("sec1", Algorithm::Sha256)];
    for (asked, answered, error) in [
        (UNKNOWN_KEY_QUERY, UNKNOWN_KEY_ANSWER, Rcode::BADKEY),
        (WRONG_SECRET_QUERY, WRONG_SECRET_ANSWER, Rcode::BADSIG),
    ] {
        let refusal = refused(open(&octets(asked), &keys, at(SIGNED_AT)).unwrap());
        assert_eq!(refusal.error(), error);
        assert_eq!(refusal.answer(&octets(asked), at(SIGNED_AT)), octets(answered));
        let mut client = Chain::after(Arc::clone(&keys[0]), b"");
        client.key = key(if error == Rcode::BADKEY { "nokey" } else { "sec1" }, Algorithm::Sha256);
        assert_eq!(client.verify(&mut octets(answered), at(SIGNED_AT)), Err(Untrusted::Refused(error)));
    }
}

#[test]
fn a_clock_that_is_off_is_told_the_time_under_a_signature() {
    let keys = [key("sec1", Algorithm::Sha256)];
    let mut request = query(9);
    let mut client = Chain::request(&keys[0], &mut request, at(10_000));
    for now in [10_000 - 300, 10_000 + 300] {
        signed(open(&request, &keys, at(now)).unwrap());
    }
    for now in [10_000 - 301, 10_000 + 301] {
        let refusal = refused(open(&request, &keys, at(now)).unwrap());
        assert_eq!(refusal.error(), Rcode::BADTIME);
        let mut answer = refusal.answer(&request, at(now));
        let (tsig, _) = find(&answer).unwrap().unwrap();
        assert_eq!((tsig.time_signed, tsig.other), (10_000, now.to_be_bytes()[2..].to_vec()));
        let said = client.clone().verify(&mut answer, at(10_000));
        assert_eq!(said, Err(Untrusted::Refused(Rcode::BADTIME)));
    }
    // Nor is an answer taken that was signed long ago.
    let (_, mut server) = signed(open(&request, &keys, at(10_000)).unwrap());
    let mut answer = query(9);
    server.sign(&mut answer, at(10_000));
    assert_eq!(client.verify(&mut answer, at(10_301)), Err(Untrusted::Time));
}

#[test]
fn a_mac_that_was_cut_is_refused_and_one_of_no_possible_length_is_malformed() {
    let keys = [key("sec1", Algorithm::Sha256)];
    let mut whole = query(9);
    let _ = Chain::request(&keys[0], &mut whole, at(5));
    let (tsig, start) = find(&whole).unwrap().unwrap();
    let with_mac = |octets: usize| {
        let mut message = whole[..start].to_vec();
        add_to_additionals(&mut message, u16::MAX);
        let mut mac = tsig.mac.clone();
        mac.resize(octets, 0);
        Tsig { mac, ..tsig.clone() }.append(&mut message);
        message
    };
    assert_eq!(refused(open(&with_mac(16), &keys, at(5)).unwrap()).error(), Rcode::BADTRUNC);
    for octets in [0, 9, 15, 33] {
        assert!(open(&with_mac(octets), &keys, at(5)).is_err(), "{octets}");
    }
    let mut answer = refused(open(&with_mac(16), &keys, at(5)).unwrap()).answer(&whole, at(5));
    let mut client = Chain::after(Arc::clone(&keys[0]), &tsig.mac[..16]);
    assert_eq!(client.verify(&mut answer, at(5)), Err(Untrusted::Refused(Rcode::BADTRUNC)));
}

#[test]
fn a_changed_id_does_not_spoil_a_signature_and_any_other_change_does() {
    let keys = [key("sec1", Algorithm::Sha256)];
    let whole = octets(QUERY_256);
    let mut forwarded = whole.clone();
    forwarded[1] ^= 1;
    let (bare, _) = signed(open(&forwarded, &keys, at(SIGNED_AT)).unwrap());
    assert_eq!(bare[..2], forwarded[..2]);
    for index in 2..whole.len() {
        let mut spoilt = whole.clone();
        spoilt[index] ^= 4;
        let taken = matches!(open(&spoilt, &keys, at(SIGNED_AT)), Ok(Opened::Signed { .. }));
        assert!(!taken, "octet {index}");
    }
}

#[test]
fn a_signature_anywhere_but_at_the_end_is_malformed() {
    let mut twice = octets(QUERY_256);
    let (tsig, _) = find(&twice).unwrap().unwrap();
    tsig.append(&mut twice);
    assert!(find(&twice).is_err());
    let mut as_answer = octets(QUERY_256);
    as_answer[7] = 1;
    as_answer[11] = 0;
    assert!(find(&as_answer).is_err());
}

#[test]
fn every_prefix_of_a_signed_message_is_refused() {
    let keys = [key("sec1", Algorithm::Sha256)];
    let whole = octets(QUERY_256);
    for length in 0..whole.len() {
        assert!(open(&whole[..length], &keys, at(SIGNED_AT)).is_err(), "{length} octets");
    }
}

proptest! {
    #[test]
    fn any_octets_are_opened_without_panic_and_never_taken_for_signed(
        octets in proptest::collection::vec(any::<u8>(), 0..300),
        opcode in 0_u8..16,
    ) {
        let mut message = vec![0, 1, opcode << 3, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        message.extend(&octets);
        let keys = [key("sec1", Algorithm::Sha256)];
        for message in [&octets, &message] {
            let taken = matches!(open(message, &keys, at(5)), Ok(Opened::Signed { .. }));
            prop_assert!(!taken);
        }
    }

    #[test]
    fn whatever_one_side_signs_the_other_believes(
        algorithm in 0_usize..5,
        secret in proptest::collection::vec(any::<u8>(), 0..200),
        ids in proptest::collection::vec(any::<u16>(), 1..20),
        now in 0_u64..1 << 40,
    ) {
        let (_, algorithm) = Algorithm::NAMES[algorithm];
        let keys = [Arc::new(Key::new(&"A.Key".parse().unwrap(), algorithm, &secret))];
        let mut request = query(3);
        let mut client = Chain::request(&keys[0], &mut request, at(now));
        prop_assert_eq!(request.len(), query(3).len() + keys[0].record_octets());
        let (_, mut server) = signed(open(&request, &keys, at(now)).unwrap());
        for id in ids {
            let mut message = query(id);
            server.sign(&mut message, at(now));
            client.verify(&mut message, at(now)).unwrap();
            prop_assert_eq!(message, query(id));
        }
    }
}
