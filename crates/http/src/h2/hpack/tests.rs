//! The examples of RFC 7541 Appendix C, and what a peer may get wrong.

use proptest::prelude::*;

use super::encode::Keep;
use super::{Decoder, Encoder, STATIC, Strings, huffman};

/// One block of an example: its octets, its fields, the dynamic table after it and that table's size.
type Example = (&'static str, &'static [&'static str], &'static [&'static str], usize);

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let each = |name: &[u8], value: &[u8]| fields.push(format!("{}: {}", text(name), text(value)));
    decoder.decode(block, &mut Strings::default(), each).map_err(|rule| rule.code)?;
    Ok(fields)
}

/// Decodes the blocks of an example one after the other, and writes them anew.
#[track_caller]
fn check(size: usize, mut encoder: Encoder, examples: &[Example]) {
    let mut decoder = Decoder::new();
    decoder.table_mut().resize(size);
    encoder.table_mut().resize(size);
    for (hex, expected, table, table_size) in examples {
        let block = octets(hex);
        assert_eq!(fields(&mut decoder, &block).as_deref(), Ok(&expected.map_strings()[..]));
        assert_eq!(decoder.table().shown(), *table);
        assert_eq!(decoder.table_octets(), *table_size);
        let mut again = Vec::new();
        for field in *expected {
            let (name, value) = field.split_once(": ").unwrap();
            encoder.field(&mut again, name.as_bytes(), value.as_bytes(), Keep::Yes);
        }
        assert_eq!(again, block, "{expected:?}");
        for cut in 0..block.len() {
            // Every beginning is read or refused.
            let _ = fields(&mut Decoder::new(), &block[..cut]);
        }
    }
}

trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}

impl MapStrings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|&text| text.to_owned()).collect()
    }
}

#[test]
fn single_fields_as_in_appendix_c_2() {
    let check = |hex: &str, expected: &str, table: &[&str]| {
        let mut decoder = Decoder::new();
        assert_eq!(fields(&mut decoder, &octets(hex)), Ok(vec![expected.to_owned()]));
        assert_eq!(decoder.table().shown(), table);
    };
    let custom = "custom-key: custom-header";
    check("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", custom, &[custom]);
    check("040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path", &[]);
    check("1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret", &[]);
    check("82", ":method: GET", &[]);
}

const REQUESTS: [&[&str]; 3] = [
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
    &[
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ],
];

const REQUEST_TABLES: [&[&str]; 3] = [
    &[":authority: www.example.com"],
    &["cache-control: no-cache", ":authority: www.example.com"],
    &["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"],
];

#[test]
fn requests_as_in_appendix_c_3() {
    let blocks = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let sizes = [57, 110, 164];
    let examples: Vec<Example> =
        (0..3).map(|n| (blocks[n], REQUESTS[n], REQUEST_TABLES[n], sizes[n])).collect();
    check(4096, Encoder::plain(), &examples);
}

#[test]
fn requests_in_huffman_code_as_in_appendix_c_4() {
    let blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    let sizes = [57, 110, 164];
    let examples: Vec<Example> =
        (0..3).map(|n| (blocks[n], REQUESTS[n], REQUEST_TABLES[n], sizes[n])).collect();
    check(4096, Encoder::new(), &examples);
}

const LOCATION: &str = "location: https://www.example.com";
const DATE: &str = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const LATER: &str = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const PRIVATE: &str = "cache-control: private";
const COOKIE: &str = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const GZIP: &str = "content-encoding: gzip";

const RESPONSES: [&[&str]; 3] = [
    &[":status: 302", PRIVATE, DATE, LOCATION],
    &[":status: 307", PRIVATE, DATE, LOCATION],
    &[":status: 200", PRIVATE, LATER, LOCATION, GZIP, COOKIE],
];

const RESPONSE_TABLES: [&[&str]; 3] = [
    &[LOCATION, DATE, PRIVATE, ":status: 302"],
    &[":status: 307", LOCATION, DATE, PRIVATE],
    &[COOKIE, GZIP, LATER],
];

#[test]
fn responses_that_fill_the_table_as_in_appendix_c_5() {
    let blocks = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 \
         3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 \
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let sizes = [222, 222, 215];
    let examples: Vec<Example> =
        (0..3).map(|n| (blocks[n], RESPONSES[n], RESPONSE_TABLES[n], sizes[n])).collect();
    check(256, Encoder::plain(), &examples);
}

#[test]
fn responses_in_huffman_code_as_in_appendix_c_6() {
    let blocks = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
         1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    let sizes = [222, 222, 215];
    let examples: Vec<Example> =
        (0..3).map(|n| (blocks[n], RESPONSES[n], RESPONSE_TABLES[n], sizes[n])).collect();
    check(256, Encoder::new(), &examples);
}

#[test]
fn each_broken_block_names_its_rule() {
    let check = |hex: &str, rule: &'static str| {
        assert_eq!(fields(&mut Decoder::new(), &octets(hex)), Err(rule), "{hex}");
    };
    check("80", "hpack_index");
    check("be", "hpack_index");
    check("7e", "hpack_index");
    check("7f00", "hpack_index");
    check("7e0161", "hpack_index");
    check("ff", "hpack_integer");
    check("ffff ffff ffff 7f", "hpack_integer");
    check("4001", "hpack_string");
    check("40016105 6262", "hpack_string");
    check("4001617f ffff ff7f", "hpack_string");
    check("8220", "hpack_table_size");
    check("3fe2 1f", "hpack_table_size");
    check("2020 20", "hpack_table_size");
    // EOS within, padding of zeros, padding of eight bits and more.
    check("0001 6184 ffff ffff", "hpack_huffman");
    check("0001 6181 18", "hpack_huffman");
    check("0001 6182 1fff", "hpack_huffman");
    assert_eq!(fields(&mut Decoder::new(), &octets("0001 6181 1f")), Ok(vec!["a: a".to_owned()]));
}

#[test]
fn a_table_that_must_shrink_is_shrunk_by_the_next_block() {
    let mut decoder = Decoder::new();
    fields(&mut decoder, &octets("400161 0162")).unwrap();
    decoder.limit(0);
    assert_eq!(fields(&mut decoder.clone(), &octets("82")), Err("hpack_block"));
    assert_eq!(fields(&mut decoder.clone(), &octets("2182")), Err("hpack_table_size"));
    assert_eq!(fields(&mut decoder, &octets("2082")), Ok(vec![":method: GET".to_owned()]));
    assert_eq!(decoder.table_octets(), 0);
    let mut encoder = Encoder::new();
    let mut block = Vec::new();
    encoder.limit(0);
    encoder.limit(100);
    encoder.begin(&mut block);
    encoder.begin(&mut block);
    assert_eq!(block, octets("20 3f45"));
}

#[test]
fn a_field_may_take_its_name_from_the_entry_that_makes_room_for_it() {
    let mut decoder = Decoder::new();
    decoder.table_mut().resize(40);
    fields(&mut decoder, &octets("4002 6162 0163")).unwrap();
    assert_eq!(fields(&mut decoder, &octets("7e01 64")), Ok(vec!["ab: d".to_owned()]));
    assert_eq!(decoder.table().shown(), ["ab: d"]);
}

#[test]
fn every_octet_goes_through_huffman_code_and_back() {
    for octet in 0..=255u8 {
        for count in 1..6 {
            let (text, mut coded, mut back) = (vec![octet; count], Vec::new(), Vec::new());
            huffman::encode(&text, &mut coded);
            assert_eq!(coded.len(), huffman::coded_octets(&text));
            huffman::decode(&coded, &mut back).unwrap();
            assert_eq!(back, text);
        }
    }
}

#[test]
fn the_static_table_has_no_field_twice() {
    for (place, field) in STATIC.iter().enumerate() {
        assert!(!STATIC[..place].contains(field), "{field:?}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        messages in prop::collection::vec(
            (prop::collection::vec(("[a-z-]{1,12}", ".{0,40}", 0..3u8), 0..8), prop::option::of(0..6000usize)),
            1..12,
        ),
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for (message, limit) in messages {
            if let Some(limit) = limit {
                encoder.limit(limit);
                decoder.limit(limit);
            }
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for (name, value, keep) in &message {
                let keep = [Keep::Yes, Keep::No, Keep::Never][usize::from(*keep)];
                encoder.field(&mut block, name.as_bytes(), value.as_bytes(), keep);
            }
            let expected: Vec<_> = message.iter().map(|(name, value, _)| format!("{name}: {value}")).collect();
            prop_assert_eq!(fields(&mut decoder, &block), Ok(expected));
            prop_assert!(decoder.table_octets() <= 4096);
        }
    }

    #[test]
    fn no_octets_make_the_decoder_panic(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..8)) {
        let mut decoder = Decoder::new();
        for block in blocks {
            let _ = fields(&mut decoder, &block);
            prop_assert!(decoder.table_octets() <= 4096);
        }
    }
}
