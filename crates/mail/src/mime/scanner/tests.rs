use proptest::prelude::*;

use super::*;

/// `type octets/lines [children]`, content shown for leaves.
fn outline(message: &[u8], structure: &Structure, index: u32) -> String {
    let part = &structure.parts[index as usize];
    let children: Vec<_> =
        structure.children(index).map(|child| outline(message, structure, child)).collect();
    let name = &part.media_type.value;
    match part.kind {
        Kind::Leaf => {
            let body = String::from_utf8_lossy(part.body.of(message));
            format!("{name} {}{:?}", part.lines, body)
        }
        Kind::Multipart => format!("{name} [{}]", children.join(", ")),
        Kind::Message => format!("{name} <{}>", children.join(", ")),
    }
}

fn check(message: &str, expected: &str) {
    let found = structure(message.as_bytes());
    assert_eq!(outline(message.as_bytes(), &found, 0), expected, "{message:?}");
    let record = found.to_octets();
    assert_eq!(Structure::from_octets(&record).as_ref(), Ok(&found), "{message:?}");
    for length in 0..record.len() {
        let _ = Structure::from_octets(&record[..length]);
    }
}

fn mixed(body: &str) -> String {
    format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{body}")
}

#[test]
fn plain_messages_are_one_part() {
    check("", "text/plain 0\"\"");
    check(
        "Do you like ketchup?\r\nHow about pickles?\r\n",
        "text/plain 2\"Do you like ketchup?\\r\\nHow about pickles?\\r\\n\"",
    );
    check("Subject: x\r\n\r\nbody", "text/plain 1\"body\"");
    check("Subject: x\n\nbody\n", "text/plain 1\"body\\n\"");
    check("Subject: x\r\n", "text/plain 0\"\"");
    check("Content-Type: text/html\r\n\r\n--b\r\n", "text/html 1\"--b\\r\\n\"");
    check("Content-Type: nonsense\r\n\r\nx", "text/plain 1\"x\"");
    check("Content-Type: text/html\r\nContent-Type: image/png\r\n\r\nx", "text/html 1\"x\"");
    check("From me Mon\r\nContent-Type: a/b\r\n\r\nx", "a/b 1\"x\"");
}

#[test]
fn parts_lie_between_boundaries() {
    check(
        &mixed("pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: a/b\r\n\r\ntwo\r\n\r\n--b--\r\npost\r\n"),
        "multipart/mixed [text/plain 1\"one\", a/b 1\"two\\r\\n\"]",
    );
    check(&mixed("--b\r\n\r\n--b\r\n--b--"), "multipart/mixed [text/plain 0\"\", text/plain 0\"\"]");
    check(&mixed("--b  \r\n\r\none\r\n--b-- \t\r\n"), "multipart/mixed [text/plain 1\"one\"]");
    check(&mixed("--b\r\n\r\n--bc\r\n --b\r\n--b--\r\n"), "multipart/mixed [text/plain 2\"--bc\\r\\n --b\"]");
    check(&mixed("--b\n\none\n--b--\n").replace("\r\n", "\n"), "multipart/mixed [text/plain 1\"one\"]");
    check(
        "Content-Type: multipart/digest; boundary=\"b\"\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\ny\r\n--b--",
        "multipart/digest [message/rfc822 <text/plain 1\"y\">]",
    );
}

#[test]
fn what_is_missing_ends_with_what_is_round_it() {
    check(&mixed("--b\r\n\r\none"), "multipart/mixed [text/plain 1\"one\"]");
    check(&mixed("--b"), "multipart/mixed [text/plain 0\"\"]");
    check(&mixed("nothing\r\n"), "multipart/mixed 1\"nothing\\r\\n\"");
    check(&mixed("--b--\r\nnothing\r\n"), "multipart/mixed 2\"--b--\\r\\nnothing\\r\\n\"");
    check(&mixed("--b--\r\n--b\r\n\r\nx"), "multipart/mixed 4\"--b--\\r\\n--b\\r\\n\\r\\nx\"");
    check("Content-Type: multipart/mixed\r\n\r\n--b\r\n", "multipart/mixed 1\"--b\\r\\n\"");
    check(
        &mixed("--b\r\nContent-Type: a/b\r\n--b\r\n\r\ntwo\r\n--b--"),
        "multipart/mixed [a/b 0\"\", text/plain 1\"two\"]",
    );
    check(
        &mixed(
            "--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n\r\nin\r\n--b\r\n\r\nout\r\n--b--",
        ),
        "multipart/mixed [multipart/x [text/plain 1\"in\"], text/plain 1\"out\"]",
    );
    check(
        &mixed(
            "--b\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\nin\r\n--b--\r\n--b\r\n\r\nout\r\n",
        ),
        "multipart/mixed [multipart/x [text/plain 1\"in\"], text/plain 1\"out\\r\\n\"]",
    );
}

#[test]
fn messages_inside_are_looked_into() {
    check(
        &mixed(
            "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: a/b\r\n\r\nx\r\n--b--",
        ),
        "multipart/mixed [message/rfc822 <a/b 1\"x\">]",
    );
    check(
        &mixed("--b\r\nContent-Type: message/rfc822\r\n--b--"),
        "multipart/mixed [message/rfc822 <text/plain 0\"\">]",
    );
    check(
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==",
        "message/rfc822 1\"U3ViamVjdDogeA==\"",
    );
    check("Content-Type: message/rfc822", "message/rfc822 <text/plain 0\"\">");
}

#[test]
fn what_is_round_a_part_ends_no_sooner_than_it() {
    let message = mixed("--b\r\nContent-Type: message/rfc822\r\n\r\n\r\n--b--");
    let found = structure(message.as_bytes());
    let ends: Vec<u64> = found.parts.iter().map(|part| part.body.end).collect();
    assert!(ends.is_sorted_by(|outer, inner| outer >= inner), "{ends:?}");
}

#[test]
fn fields_are_found_where_they_lie() {
    let message = b"Subject: one\r\n two\r\nX: y\r\nsubject:\r\n\r\nbody";
    let found = structure(message);
    let value = found.parts[0].field(FieldName::Subject).map(|span| span.of(message));
    assert_eq!(value, Some(&b" one\r\n two"[..]));
    assert_eq!(found.parts[0].fields.len(), 2);
}

#[test]
fn what_a_message_demands_is_noted() {
    let demands = |message: &str| {
        let demands = structure(message.as_bytes()).demands;
        (demands.eight_bit_header, demands.eight_bit_body, demands.long_line)
    };
    assert_eq!(demands("A: b\r\n\r\nc"), (false, false, false));
    assert_eq!(demands("A: é\r\n\r\nc"), (true, false, false));
    assert_eq!(demands("A: b\r\n\r\né"), (false, true, false));
    assert_eq!(demands(&format!("A: b\r\n\r\n{}\r\n", "x".repeat(998))), (false, false, false));
    assert_eq!(demands(&format!("A: b\r\n\r\n{}\r\n", "x".repeat(999))), (false, false, true));
    assert_eq!(demands(&mixed("--b\r\nA: é\r\n\r\nc\r\n--b--")), (true, false, false));
    assert_eq!(demands(&mixed("é")), (false, true, false));
}

#[test]
fn depth_and_number_of_parts_are_bounded() {
    let mut deep = String::new();
    for level in 0..200 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"));
    }
    let found = structure(deep.as_bytes());
    assert_eq!((found.parts.len(), found.cut), (DEPTH_MAX, true));
    let wide = structure(mixed(&"--b\r\n\r\nx\r\n".repeat(2000)).as_bytes());
    assert_eq!((wide.parts.len(), wide.cut), (PARTS_MAX, true));
    assert!(wide.to_octets().len() <= crate::mime::structure::RECORD_OCTETS_MAX);
    let messages = structure("Content-Type: message/rfc822\r\n\r\n".repeat(200).as_bytes());
    assert_eq!((messages.parts.len(), messages.cut), (DEPTH_MAX, true));
    let fields = structure("To: x\r\n".repeat(1000).as_bytes());
    assert_eq!((fields.parts[0].fields.len(), fields.cut), (FIELDS_MAX, true));
    let header = structure("X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(10_000).as_bytes());
    assert!(header.cut && header.parts[0].header.octets() <= HEADER_OCTETS_MAX as u64);
    let line = structure(format!("X: {}", "x".repeat(HEADER_OCTETS_MAX)).as_bytes());
    assert!(line.cut && line.demands.long_line);
}

/// Pieces of which broken messages are made.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b\r\n"),
        Just("Content-Type: multipart/mixed; boundary=\"bb\"\n"),
        Just("Content-Type: message/rfc822\r\n"),
        Just("Content-Transfer-Encoding: base64\r\n"),
        Just("Subject: x\r\n y\r\n"),
        Just("--b\r\n"),
        Just("--bb\n"),
        Just("--b--\r\n"),
        Just("--bb--"),
        Just("\r\n"),
        Just("\n"),
        Just("\r"),
        Just("-"),
        Just("--"),
        Just(" "),
        Just("text"),
        Just("é"),
        Just("\0"),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_octets_have_a_structure_whose_parts_lie_inside_one_another(message in broken()) {
        let found = structure(&message);
        for part in &found.parts {
            prop_assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
            prop_assert!(part.body.start <= part.body.end && part.body.end <= message.len() as u64);
            prop_assert!(!part.media_type.value.is_empty());
            if let Some(parent) = part.parent {
                let parent = &found.parts[parent as usize];
                prop_assert!(parent.body.start <= part.header.start && part.body.end <= parent.body.end);
                prop_assert!(parent.kind != Kind::Leaf);
            }
        }
        prop_assert_eq!(found.parts[0].body.end, message.len() as u64);
        prop_assert_eq!(Structure::from_octets(&found.to_octets()), Ok(found));
    }

    #[test]
    fn any_cut_of_the_octets_gives_the_same_structure(message in broken(), cuts in proptest::collection::vec(1_usize..30, 1..40)) {
        let mut scanner = Scanner::default();
        let mut rest = &message[..];
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            scanner.push(piece);
            rest = behind;
        }
        scanner.push(rest);
        prop_assert_eq!(scanner.finish(), structure(&message));
    }

    #[test]
    fn the_work_grows_with_the_message_and_not_faster(message in broken(), depth in 0_usize..120, lines in 0_usize..500) {
        let mut octets = Vec::new();
        for level in 0..depth {
            octets.extend_from_slice(format!("Content-Type: multipart/x; boundary=b{level}\n\n--b{level}\n").as_bytes());
        }
        octets.extend_from_slice("--c\n".repeat(lines).as_bytes());
        octets.extend_from_slice(&message);
        let mut scanner = Scanner::default();
        octets.chunks(7).for_each(|piece| scanner.push(piece));
        prop_assert!(scanner.looked_at <= 40 * octets.len() as u64 + 1000);
    }

    #[test]
    fn any_octets_are_a_record_or_refused(record in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Structure::from_octets(&record);
    }
}
