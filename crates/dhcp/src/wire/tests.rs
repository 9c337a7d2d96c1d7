//! Messages as octets and their meaning: read, written, read again, cut off and wrong.

use core::net::Ipv4Addr;

use doorway_base::Writer;
use proptest::prelude::*;

use super::message::{BOOTREPLY, BOOTREQUEST};
use super::option::code;
use super::{
    HardwareAddress, Head, Message, MessageType, MessageWriter, OPTIONS, OptionKind, Shape, summary,
};

/// Fixed fields of a request with these options behind them, and an end.
fn request(options: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 240];
    octets[..8].copy_from_slice(&[BOOTREQUEST, 1, 6, 0, 0x39, 0x03, 0xf3, 0x26]);
    octets[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    octets[236..240].copy_from_slice(&super::message::MAGIC_COOKIE);
    octets.extend_from_slice(options);
    octets.push(code::END);
    octets
}

fn write(octets_max: usize, make: impl FnOnce(&mut MessageWriter<'_, '_>)) -> (Vec<u8>, usize) {
    let mut buffer = [0; 2000];
    let mut out = Writer::new(&mut buffer);
    let head = Head::new(BOOTREPLY, HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]), 7);
    let mut writer = MessageWriter::new(&mut out, &head);
    writer.octets_max(octets_max);
    make(&mut writer);
    let left_out = writer.finish(300);
    assert!(!out.overflowed());
    (out.written().to_vec(), left_out)
}

#[test]
fn a_request_is_read_in_one_pass() {
    let octets = request(&[53, 1, 3, 0, 50, 4, 10, 0, 0, 7, 54, 4, 10, 0, 0, 1, 55, 3, 1, 3, 6, 61, 2, 0, 9]);
    let message = Message::parse(&octets).expect("a request");
    assert_eq!(message.kind(), Some(MessageType::Request));
    assert_eq!(message.xid(), 0x3903_f326);
    assert_eq!(message.hardware().to_string(), "02:00:00:00:00:01");
    assert_eq!(message.requested_address(), Some(Ipv4Addr::new(10, 0, 0, 7)));
    assert_eq!(message.server_id(), Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(message.parameters().as_deref(), Some(&[1, 3, 6][..]));
    assert_eq!(message.client_id().as_deref(), Some(&[0, 9][..]));
    assert_eq!(message.options().map(|(number, _)| number).collect::<Vec<_>>(), [53, 50, 54, 55, 61]);
    assert_eq!(summary(&octets), "DHCPREQUEST xid 3903f326 02:00:00:00:00:01 wants 10.0.0.7 server 10.0.0.1");
}

#[test]
fn pieces_of_an_option_are_joined_across_all_fields() {
    // Overload 3: `file` is read before `sname`.
    let mut octets = request(&[43, 2, 1, 2, 52, 1, 3, 53, 1, 1, 43, 1, 3]);
    octets[108..113].copy_from_slice(&[43, 1, 4, 12, 0]);
    octets[113] = code::END;
    octets[44..48].copy_from_slice(&[43, 1, 5, code::END]);
    let message = Message::parse(&octets).expect("a message");
    assert_eq!(message.option(43).as_deref(), Some(&[1, 2, 3, 4, 5][..]));
    assert_eq!(message.whole(43), None);
    assert_eq!(message.option(12).as_deref(), Some(&[][..]));
    assert_eq!((message.file(), message.sname()), (&[][..], &[][..]));
    let all: Vec<_> = message.options().map(|(number, value)| (number, value.len())).collect();
    assert_eq!(all, [(43, 5), (52, 1), (53, 1), (12, 0)]);
}

#[test]
fn what_breaks_the_form_is_refused_with_its_place() {
    let wrong = |change: &dyn Fn(&mut Vec<u8>), what: &str, at_octet: usize| {
        let mut octets = request(&[53, 1, 1]);
        change(&mut octets);
        let malformed = Message::parse(&octets).expect_err(what);
        assert_eq!((malformed.what, malformed.at_octet), (what, at_octet));
    };
    wrong(&|octets| octets[0] = 3, "op 1 or 2", 0);
    wrong(&|octets| octets[2] = 17, "hlen of at most 16", 2);
    wrong(&|octets| octets[2] = 255, "hlen of at most 16", 2);
    wrong(&|octets| octets[239] = 0, "the magic cookie", 236);
    wrong(&|octets| octets.resize(1501, 0), "at most 1500 octets", 1500);
    wrong(&|octets| octets[241] = 200, "an option within its field", 240);
    wrong(&|octets| octets.truncate(241), "an option within its field", 240);
    wrong(&|octets| octets[241] = 2, "option 53 of one octet", 240);
    wrong(&|octets| octets.splice(240..240, [53, 1, 1]).for_each(drop), "option 53 of one octet", 240);
    wrong(&|octets| octets.splice(240..240, [52, 1, 4]).for_each(drop), "option 52 of 1, 2 or 3", 240);
    wrong(&|octets| octets.splice(240..240, [52, 0]).for_each(drop), "option 52 of 1, 2 or 3", 240);
    let looping = |octets: &mut Vec<u8>| {
        octets.splice(240..240, [52, 1, 1]).for_each(drop);
        octets[108..111].copy_from_slice(&[52, 1, 2]);
    };
    wrong(&looping, "no option 52 within file or sname", 108);
}

#[test]
fn every_prefix_of_a_message_is_read_without_panic() {
    let octets = request(&[52, 1, 3, 53, 1, 1, 82, 4, 1, 2, 3, 4, 81, 4, 1, 0, 0, 65]);
    for length in 0..octets.len() {
        let _ = summary(&octets[..length]);
        assert_eq!(
            Message::parse(&octets[..length]).is_ok(),
            [240, 243, 246, 252].contains(&length) || length == 258
        );
    }
}

#[test]
fn messages_of_bootp_and_of_unknown_types_are_told_apart() {
    let bootp = request(&[]);
    let message = Message::parse(&bootp).expect("a message");
    assert!(message.is_bootp() && message.kind().is_none());
    let query = request(&[53, 1, 10]);
    let message = Message::parse(&query).expect("a message");
    assert!(!message.is_bootp() && message.kind().is_none());
}

#[test]
fn long_values_leave_in_pieces_and_are_one_again() {
    let long: Vec<u8> = (0..600).map(|index| index as u8).collect();
    let (octets, left_out) = write(1472, |writer| {
        writer.option(53, &[5]);
        writer.option(43, &long);
        writer.option(80, &[]);
    });
    assert_eq!(left_out, 0);
    let message = Message::parse(&octets).expect("a message");
    assert_eq!(message.option(43).as_deref(), Some(&long[..]));
    assert_eq!(message.option(80).as_deref(), Some(&[][..]));
    assert_eq!(octets[243..245], [43, 255]);
}

#[test]
fn options_go_on_in_file_and_sname_when_the_message_is_full() {
    let (octets, left_out) = write(0, |writer| {
        writer.may_overload();
        writer.reserve(4);
        for (number, octets) in [(53, 1), (43, 250), (17, 100), (15, 50), (12, 25), (67, 40)] {
            writer.option(number, &vec![number; octets]);
        }
        writer.last(82, &[1, 2, 65, 66]);
    });
    // 548 octets are for options: 243 + 252 + 27 + option 52 + option 82 + end = 532; 67 has no place left.
    assert_eq!((octets.len(), left_out), (532, 1));
    let message = Message::parse(&octets).expect("a message");
    for (number, octets) in [(43, 250), (17, 100), (15, 50), (12, 25)] {
        assert_eq!(message.option(number).map(|value| value.len()), Some(octets), "{number}");
    }
    assert_eq!(message.options().filter(|(number, _)| *number == 82).count(), 1);
    assert_eq!(octets[octets.len() - 7..], [82, 4, 1, 2, 65, 66, 255]);
}

#[test]
fn a_field_with_text_holds_no_options() {
    let (octets, left_out) = write(0, |writer| {
        writer.file(b"boot/ipxe.efi");
        writer.sname(&[b'n'; 80]);
        writer.may_overload();
        writer.option(43, &[0; 250]);
        writer.option(17, &[0; 100]);
    });
    assert_eq!(left_out, 1);
    let message = Message::parse(&octets).expect("a message");
    assert_eq!(message.file(), b"boot/ipxe.efi");
    assert_eq!(message.sname(), [b'n'; 63]);
}

#[test]
fn short_messages_are_padded_to_what_all_take() {
    let (octets, _) = write(0, |writer| writer.option(53, &[2]));
    assert_eq!(octets.len(), 300);
    assert_eq!(octets[243], code::END);
    assert!(octets[244..].iter().all(|&octet| octet == 0));
}

#[test]
fn the_table_of_options_is_in_order_and_its_names_are_unique() {
    assert!(OPTIONS.windows(2).all(|pair| pair[0].code < pair[1].code));
    for kind in OPTIONS {
        assert_eq!(OptionKind::named(kind.name), Some(*kind));
        assert_eq!(OptionKind::of(kind.code), Some(kind));
        assert_eq!(OptionKind::named(&kind.code.to_string()), Some(*kind));
    }
    assert_eq!(OptionKind::named("router").map(|kind| kind.code), Some(3));
    assert_eq!(OptionKind::named("200").map(|kind| (kind.code, kind.shape)), Some((200, Shape::Octets)));
    assert_eq!(OptionKind::named("no-such"), None);
}

#[test]
fn values_are_written_as_they_are_read() {
    for (shape, text, octets) in [
        (Shape::Address, "10.0.0.1", &[10, 0, 0, 1][..]),
        (Shape::Addresses, "10.0.0.1, 10.0.0.2", &[10, 0, 0, 1, 10, 0, 0, 2]),
        (Shape::AddressPairs, "10.0.0.1, 10.0.0.2", &[10, 0, 0, 1, 10, 0, 0, 2]),
        (Shape::Seconds, "14400", &[0, 0, 56, 64]),
        (Shape::SignedSeconds, "-2", &[255, 255, 255, 254]),
        (Shape::U8, "64", &[64]),
        (Shape::U16, "1500", &[5, 220]),
        (Shape::U16List, "7, 16", &[0, 7, 0, 16]),
        (Shape::Bool, "true", &[1]),
        (Shape::Text, "hello shop", b"hello shop"),
        (Shape::DomainList, "a.shop, b.a.shop", b"\x01a\x04shop\0\x01b\xc0\x00"),
        (Shape::Routes, "10.0.0.0/8 10.0.0.1", &[8, 10, 10, 0, 0, 1]),
        (Shape::Codes, "subnet-mask, routers", &[1, 3]),
        (Shape::Octets, "01:ff", &[1, 255]),
    ] {
        assert_eq!(shape.read(text).as_deref(), Ok(octets), "{text}");
        assert_eq!(shape.print(octets), text);
        // A value of any other length is still shown.
        let odd = [octets, &[0x07]].concat();
        assert!(!shape.print(&odd).is_empty());
    }
    for (shape, text) in [
        (Shape::Address, "10.0.0.1 10.0.0.2"),
        (Shape::Addresses, ""),
        (Shape::AddressPairs, "10.0.0.1"),
        (Shape::Seconds, "4h"),
        (Shape::U8, "256"),
        (Shape::Bool, "maybe"),
        (Shape::Text, "a\nb"),
        (Shape::DomainList, "a..b"),
        (Shape::Routes, "10.0.0.0/8"),
        (Shape::Codes, "no-such"),
        (Shape::Octets, "0g"),
    ] {
        let refused = shape.read(text).expect_err(text);
        assert!(refused.to_string().contains("is not"), "{refused}");
    }
}

proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(mut octets in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = summary(&octets);
        if octets.len() > 240 {
            octets[0] = 1;
            octets[2] %= 17;
            octets[236..240].copy_from_slice(&super::message::MAGIC_COOKIE);
        }
        if let Ok(message) = Message::parse(&octets) {
            let _ = summary(&octets);
            let _ = (message.agent(), message.fqdn(), message.host_name(), message.file().len(), message.sname().len());
            for (number, value) in message.options() {
                prop_assert!(message.has(number));
                prop_assert!(value.len() <= octets.len());
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again(
        options in proptest::collection::btree_map(1u8..255, proptest::collection::vec(any::<u8>(), 0..400), 0..12),
        octets_max in 0usize..1472,
    ) {
        let options: Vec<_> = options.into_iter().filter(|(number, _)| ![52, 53].contains(number)).collect();
        let (octets, left_out) = write(octets_max, |writer| {
            writer.may_overload();
            writer.option(53, &[2]);
            for (number, value) in &options {
                writer.option(*number, value);
            }
        });
        prop_assert!(octets.len() <= octets_max.max(548));
        let message = Message::parse(&octets).expect("a message");
        let found = options.iter().filter(|(number, value)| message.option(*number).as_deref() == Some(value)).count();
        prop_assert_eq!(found + left_out, options.len());
    }
}
