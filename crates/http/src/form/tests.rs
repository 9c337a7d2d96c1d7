//! Bodies as clients send them, each rule, and every cut.

use proptest::prelude::*;

use super::*;
use crate::wire::Rule;

/// What a body holds, one part a line; a refusal ends it.
fn read(body: &[u8], step: usize, limits: FormLimits) -> String {
    let mut parser = Multipart::new("B", limits);
    let (mut waiting, mut told) = (Vec::new(), String::new());
    let mut chunks = body.chunks(step.max(1)).peekable();
    loop {
        let chunk = chunks.next().unwrap_or_default();
        let last = chunks.peek().is_none();
        waiting.extend_from_slice(chunk);
        let (octets, mut used) = (std::mem::take(&mut waiting), 0);
        loop {
            match parser.next(&octets[used..], last) {
                Ok((more, part)) => {
                    used += more;
                    match part {
                        Part::More => break,
                        Part::Head(head) => {
                            let PartHead { name, file, media_type } = head;
                            told.push_str(&format!(
                                "{name}|{}|{}|",
                                file.unwrap_or_default(),
                                media_type.unwrap_or_default()
                            ));
                        }
                        Part::Data(data) => told.push_str(&data.escape_ascii().to_string()),
                        Part::End => told.push('\n'),
                        Part::Over => return told,
                    }
                }
                // How much of a part that is broken off was seen before depends on the cut.
                Err(refusal) => {
                    told.truncate(told.rfind('\n').map_or(0, |end| end + 1));
                    return format!("{told}{} at {}", refusal.rule.code, refusal.at_octet);
                }
            }
        }
        waiting.extend_from_slice(&octets[used..]);
    }
}

fn check(body: &str, expected: &str) {
    for step in [1, 2, 3, 7, 16, body.len()] {
        assert_eq!(read(body.as_bytes(), step, FormLimits::default()), expected, "{body:?} by {step}");
    }
}

/// A body of one part with this head.
fn with_head(head: &str) -> String {
    format!("--B\r\n{head}\r\n\r\nv\r\n--B--\r\n")
}

#[test]
fn parts_come_out_as_clients_put_them_in() {
    check("--B--", "");
    check("--B--\r\nepilogue", "");
    check(&with_head("Content-Disposition: form-data; name=\"a\""), "a|||v\n");
    check(&with_head("content-disposition:form-data;name=a"), "a|||v\n");
    check("preamble\r\n--B \t\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--B--", "a|||\n");
    check("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B--", "a|||\n");
    check(
        "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n-\r\n--\r\n--A\r\r\n--B--",
        "a|||x\\r\\n-\\r\\n--\\r\\n--A\\r\n",
    );
    check(
        "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b.txt\"\r\nContent-Type: text/plain\r\n\r\n\0\u{1}\r\n--B\r\nContent-Disposition: form-data; name=\"g\"\r\n\r\nx--B\r\n--B--\r\n",
        "f|a b.txt|text/plain|\\x00\\x01\ng|||x--B\n",
    );
}

#[test]
fn names_of_files_are_read_in_every_way_they_are_written() {
    for (parameters, expected) in [
        ("filename=x", "x"),
        ("filename=\"a;b\"", "a;b"),
        ("filename=\"a\\\"b\\\\c\"", "a\"b\\c"),
        ("filename=\"C:\\dir\\x.txt\"", "C:\\dir\\x.txt"),
        ("filename=\"a%22b%0d%0Ac%41\"", "a\"b\r\nc%41"),
        ("filename=\"bär.txt\"", "bär.txt"),
        ("filename*=UTF-8''%e2%82%ac%20rates", "€ rates"),
        ("filename=\"EURO\"; filename*=utf-8'en'%e2%82%ac", "€"),
        ("filename=\"plain\"; filename*=iso-8859-1''%a3", "plain"),
        ("filename=\"plain\"; filename*=UTF-8''%zz", "plain"),
        ("other=1; filename=\"\"", ""),
    ] {
        let body = with_head(&format!("Content-Disposition: form-data; name=n; {parameters}"));
        let file = read(body.as_bytes(), 5, FormLimits::default());
        assert_eq!(file, format!("n|{expected}||v\n"), "{parameters}");
    }
    for (given, expected) in [
        ("a.txt", Some("a.txt")),
        ("C:\\dir\\a.txt", Some("a.txt")),
        ("../../etc/passwd", Some("passwd")),
        (".htaccess", Some("htaccess")),
        ("a\r\nb\0", Some("ab")),
        ("..", None),
        ("dir/", None),
        ("", None),
    ] {
        assert_eq!(file_name(given).as_deref(), expected, "{given:?}");
    }
    assert_eq!(file_name(&"é".repeat(200)).unwrap().len(), 254);
}

#[test]
fn each_rule_that_a_part_breaks_has_its_name() {
    let disposition = "Content-Disposition: form-data; name=n";
    for (body, rule) in [
        (String::new(), &rule::END),
        ("--B".into(), &rule::END),
        (format!("--B\r\n{disposition}\r\n\r\nv\r\n--B"), &rule::END),
        (format!("--B\r\n{disposition}\r\n\r\nv\r\n--B-"), &rule::END),
        ("--BX\r\n".into(), &rule::BOUNDARY_LINE),
        ("--B\n".into(), &rule::BOUNDARY_LINE),
        (format!("{}--B--", "x".repeat(2000)), &rule::PREAMBLE),
        (with_head("Content-Disposition: form-data"), &rule::DISPOSITION),
        (with_head("Content-Disposition: attachment; name=n"), &rule::DISPOSITION),
        (with_head("Content-Disposition: form-data; name=n; name=m"), &rule::DISPOSITION),
        (with_head(&format!("{disposition}\r\n{disposition}")), &rule::DISPOSITION),
        (with_head("Content-Type: text/plain"), &rule::DISPOSITION),
        (with_head(&format!("{disposition}\r\nContent-Transfer-Encoding: base64")), &rule::TRANSFER_ENCODING),
        (with_head(&format!("{disposition}\r\n folded")), &rule::PART_HEAD),
        (with_head(&format!("{disposition}\nA: b")), &rule::PART_HEAD),
        (with_head("Content-Disposition : x"), &rule::PART_HEAD),
        (with_head(": x"), &rule::PART_HEAD),
        (with_head(&format!("{disposition}\r\nA: {}", "x".repeat(9000))), &rule::PART_HEAD_LENGTH),
        (format!("--B\r\n{disposition}\r\n\r\n{}\r\n--B--", "v".repeat(64 * 1024 + 1)), &rule::FIELD_LENGTH),
        (format!("--B\r\n{disposition}\r\n\r\nv\r\n").repeat(1001) + "--B--", &rule::PARTS_COUNT),
    ] {
        for step in [3, 64, body.len()] {
            let told = read(body.as_bytes(), step, FormLimits::default());
            let last = told.lines().last().unwrap_or_default();
            assert_eq!(last.split(' ').next().unwrap(), rule.code, "{body:.80}");
        }
    }
    let utf8 = [&b"--B\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n"[..], b"\r\n--B--"].concat();
    assert!(read(&utf8, 1, FormLimits::default()).starts_with(rule::UTF8.code));
    let file = format!("--B\r\n{disposition}; filename=f\r\n\r\n{}\r\n--B--", "v".repeat(100_000));
    assert!(read(file.as_bytes(), 1000, FormLimits::default()).len() > 100_000, "files have no such limit");
}

#[test]
fn what_the_content_type_says_decides() {
    let multipart = |boundary: &str| Ok(Encoding::Multipart(boundary.to_owned()));
    let refused = |rule: &'static Rule| Err(Refusal::new(rule, 0));
    for (field, expected) in [
        ("application/x-www-form-urlencoded", Ok(Encoding::Urlencoded)),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", Ok(Encoding::Urlencoded)),
        ("multipart/form-data; boundary=abc", multipart("abc")),
        ("multipart/form-data; charset=utf-8; boundary=\"a b\"", multipart("a b")),
        ("multipart/form-data;boundary=----WebKitFormBoundaryX", multipart("----WebKitFormBoundaryX")),
        ("multipart/form-data", refused(&rule::BOUNDARY)),
        ("multipart/form-data; boundary=", refused(&rule::BOUNDARY)),
        ("multipart/form-data; boundary=\"a \"", refused(&rule::BOUNDARY)),
        ("multipart/form-data; boundary=a; boundary=b", refused(&rule::BOUNDARY)),
        ("multipart/form-data; boundary=a{b", refused(&rule::BOUNDARY)),
        ("multipart/mixed; boundary=a", refused(&rule::MEDIA_TYPE)),
        ("text/plain", refused(&rule::MEDIA_TYPE)),
        ("", refused(&rule::MEDIA_TYPE)),
    ] {
        assert_eq!(Encoding::of(field), expected, "{field}");
    }
    let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
    assert_eq!(Encoding::of(&long), refused(&rule::BOUNDARY));
}

#[test]
fn names_and_values_come_back_as_they_were_typed() {
    let limits = FormLimits { parts: 3, field_octets: 8 };
    for (text, expected) in [
        ("", Ok("")),
        ("a=1&b=2", Ok("a:1 b:2")),
        ("a=1&&b&=c&", Ok("a:1 b: :c")),
        ("a=x+y%20z&b==", Ok("a:x y z b:=")),
        ("%61=%E7%99%BE", Ok("a:百")),
        ("a=1&b=2&c=3&d=4", Err(&rule::PARTS_COUNT)),
        ("a=123456789", Err(&rule::FIELD_LENGTH)),
        ("123456789=a", Err(&rule::FIELD_LENGTH)),
        ("a=%", Err(&rule::PERCENT)),
        ("a=%4", Err(&rule::PERCENT)),
        ("a=%g0", Err(&rule::PERCENT)),
        ("a=%ff", Err(&rule::UTF8)),
    ] {
        let read = Urlencoded::parse(text.as_bytes(), limits);
        let told = read.map(|fields| {
            fields.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(" ")
        });
        let told = told.map_err(|refusal| refusal.rule);
        assert_eq!(
            told.as_deref().map_err(|rule| *rule),
            expected.map_err(|rule: &'static Rule| rule),
            "{text}"
        );
    }
    assert_eq!(encode([("a b", "1&2"), ("百", "")]), "a+b=1%262&%E7%99%BE=");
}

proptest! {
    #[test]
    fn any_cut_of_a_multipart_body_gives_the_same_parts(
        pieces in proptest::collection::vec(prop_oneof![
            Just("--B"), Just("\r\n"), Just("\r\n--B\r\n"), Just("--"), Just("\r"), Just("-"), Just("B"), Just("x"),
            Just("Content-Disposition: form-data; name=a"), Just("; filename=f"), Just("\r\n\r\n"), Just("\r\n--B--"),
        ], 0..24),
        step in 1usize..40,
        begun in any::<bool>(),
    ) {
        let start = if begun { "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n" } else { "" };
        let body = format!("{start}{}", pieces.concat());
        let limits = FormLimits { parts: 4, field_octets: 20 };
        let whole = read(body.as_bytes(), body.len(), limits);
        prop_assert_eq!(read(body.as_bytes(), step, limits), whole);
    }

    #[test]
    fn what_was_written_is_read_however_it_is_cut(
        fields in proptest::collection::vec((".{0,12}", ".{0,12}"), 0..8),
        step in 1usize..20,
    ) {
        let fields: Vec<(String, String)> = fields;
        let text = encode(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let (mut parser, mut read) = (Urlencoded::new(FormLimits::default()), Vec::new());
        for chunk in text.as_bytes().chunks(step) {
            parser.read(chunk, &mut read).unwrap();
        }
        read.extend(parser.end().unwrap());
        prop_assert_eq!(read, fields);
    }
}
