//! Content in and out, against a slow reading of the standard.

use proptest::prelude::*;

use super::*;

/// What a scanner made of octets cut at `cut`: content, octets left over behind the end, verdict.
type Read = (Vec<u8>, Option<usize>, Result<u64, Flaw>);

fn check(form: Form, bare_newline: BareNewline, octets: &[u8], cuts: &[usize]) -> Read {
    let mut scanner = Scanner::new(form, bare_newline, 1000);
    let mut content = Vec::new();
    let (mut from, mut end) = (0, None);
    for cut in cuts.iter().copied().chain([octets.len()]) {
        let (used, ended) = scanner.take(&octets[from..cut], &mut content);
        if ended {
            end = Some(from + used);
            break;
        }
        assert_eq!(used, cut - from, "all is used up to the end");
        from = cut;
    }
    let verdict = scanner.finish(&mut content);
    if verdict.is_err() {
        content.clear();
    }
    (content, end, verdict)
}

/// The same for dotted content that may hold anything, by splitting it at CRLF.
fn slowly(octets: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let (mut lines, mut at) = (Vec::new(), 0);
    loop {
        let length = octets[at..].windows(2).position(|two| two == b"\r\n")?;
        let line = &octets[at..at + length];
        at += length + 2;
        if line == b"." {
            return Some((lines, at));
        }
        lines.push(line.strip_prefix(b".").unwrap_or(line).to_vec());
    }
}

#[test]
fn content_ends_at_a_line_with_one_dot_and_loses_its_doubled_dots() {
    for (octets, content, rest) in [
        (&b".\r\n"[..], &b""[..], &b""[..]),
        (
            b"Do you like ketchup?\r\nHow about pickles?\r\n.\r\nQUIT\r\n",
            b"Do you like ketchup?\r\nHow about pickles?\r\n",
            b"QUIT\r\n",
        ),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"...a\r\n.b\r\n.\r\n.\r\n", b"..a\r\nb\r\n", b".\r\n"),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""),
        (b"a.\r\n.\r\n", b"a.\r\n", b""),
    ] {
        let (found, end, verdict) = check(Form::Dotted, BareNewline::Reject, octets, &[]);
        assert_eq!((&found[..], verdict), (content, Ok(0)), "{octets:?}");
        assert_eq!(&octets[end.expect("an end")..], rest);
    }
}

#[test]
fn nothing_else_ends_content() {
    for wrong in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\n.\r",
        "\r.\n",
        "\n\r.\r\n",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
        "\r\n.\r\0\n",
        "\0\n.\r\n",
        "\r\0\n.\r\n",
        "\r\n.\r\r\n",
        "\r\r\n.\n",
        "\n\n.\n\n",
        "\r\n.\n\r\n",
    ] {
        let octets = format!("before{wrong}MAIL FROM:<a@b>\r\n");
        for bare_newline in [BareNewline::Reject, BareNewline::Normalize] {
            let (_, end, verdict) = check(Form::Dotted, bare_newline, octets.as_bytes(), &[]);
            assert_eq!(end, None, "{wrong:?}");
            assert_eq!(verdict.is_err(), bare_newline == BareNewline::Reject, "{wrong:?}");
        }
        let (_, end, verdict) =
            check(Form::Dotted, BareNewline::Reject, format!("{octets}.\r\n").as_bytes(), &[]);
        assert_eq!((end, verdict.is_err()), (Some(octets.len() + 3), true), "{wrong:?}");
    }
}

#[test]
fn normalized_content_has_crlf_alone_and_no_nul() {
    for (octets, content) in [
        (&b"a\nb\rc\0d\r\n.\r\n"[..], &b"a\r\nb\r\ncd\r\n"[..]),
        (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\n\r\n"),
        (b".\rb\r\n.\r\n", b"\r\nb\r\n"),
        (b".\nb\r\n.\r\n", b"\r\nb\r\n"),
    ] {
        let (found, end, verdict) = check(Form::Dotted, BareNewline::Normalize, octets, &[]);
        assert_eq!((&found[..], end, verdict), (content, Some(octets.len()), Ok(0)), "{octets:?}");
    }
}

#[test]
fn chunks_have_no_dots_and_no_end() {
    let octets = b".\r\n..\r\n.\r\nend";
    assert_eq!(check(Form::Lines, BareNewline::Reject, octets, &[]), (octets.to_vec(), None, Ok(0)));
    assert_eq!(check(Form::Lines, BareNewline::Reject, b"a\r", &[]).2, Err(Flaw::BareCr));
    assert_eq!(check(Form::Lines, BareNewline::Normalize, b"a\r", &[]).0, b"a\r\n");
    let any = b"\0\r\n.\n\r.\xff";
    assert_eq!(check(Form::Binary, BareNewline::Reject, any, &[]), (any.to_vec(), None, Ok(0)));
}

#[test]
fn what_is_too_long_is_refused_and_long_lines_are_counted() {
    let long = b"x".repeat(998);
    assert_eq!(check(Form::Binary, BareNewline::Reject, &[&long[..], b"12"].concat(), &[]).2, Ok(0));
    assert_eq!(
        check(Form::Binary, BareNewline::Reject, &[&long[..], b"123"].concat(), &[]).2,
        Err(Flaw::TooLong)
    );
    assert_eq!(check(Form::Lines, BareNewline::Reject, &[&long[..], b"\r\n"].concat(), &[]).2, Ok(0));
    let mut scanner = Scanner::new(Form::Dotted, BareNewline::Reject, 5000);
    let mut content = Vec::new();
    let longer = [&long[..], b"y\r\nshort\r\n", &long, b"yz\r\n.\r\n"].concat();
    assert_eq!(scanner.take(&longer, &mut content), (longer.len(), true));
    assert_eq!(scanner.finish(&mut content), Ok(2));
}

fn stuffed(octets: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut stuffer, mut out, mut from) = (Stuffer::default(), Vec::new(), 0);
    for cut in cuts.iter().copied().chain([octets.len()]) {
        stuffer.write(&octets[from..cut], &mut out);
        from = cut;
    }
    stuffer.finish(&mut out);
    out
}

#[test]
fn what_leaves_has_crlf_alone() {
    for (octets, out) in [
        (&b""[..], &b".\r\n"[..]),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\n.\nb\r.\rc", b"a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"a\r\n\0.\r\n", b"a\r\n.\r\n.\r\n"),
    ] {
        assert_eq!(
            stuffed(octets, &[]),
            if octets.contains(&0) { b"a\r\n..\r\n.\r\n" } else { out },
            "{octets:?}"
        );
    }
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"\r\n"[..]), 2 => Just(&b"."[..]), 1 => Just(&b"\r"[..]), 1 => Just(&b"\n"[..]),
        1 => Just(&b"\0"[..]), 3 => Just(&b"ab"[..]), 1 => Just(&b"\r\n.\r\n"[..]),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_content(octets in octets()) {
        for form in [Form::Dotted, Form::Lines, Form::Binary] {
            for bare_newline in [BareNewline::Reject, BareNewline::Normalize] {
                let whole = check(form, bare_newline, &octets, &[]);
                for cut in 0..=octets.len() {
                    prop_assert_eq!(&check(form, bare_newline, &octets, &[cut]), &whole);
                }
                let every: Vec<usize> = (0..=octets.len()).collect();
                prop_assert_eq!(&check(form, bare_newline, &octets, &every), &whole);
            }
        }
    }

    #[test]
    fn the_end_is_where_a_slow_reader_finds_it(octets in octets()) {
        let (content, end, verdict) = check(Form::Dotted, BareNewline::Reject, &octets, &[]);
        match slowly(&octets) {
            None => prop_assert_eq!(end, None),
            Some((lines, at)) => {
                prop_assert_eq!(end, Some(at));
                let clean = lines.iter().all(|line| !line.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')));
                // A dot before a bare CR was taken off by the slow reader, too.
                prop_assert_eq!(verdict.is_ok(), clean);
                if clean {
                    let whole: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect();
                    prop_assert_eq!(content, whole);
                }
            }
        }
    }

    #[test]
    fn what_is_stuffed_reads_back_and_any_cut_stuffs_alike(octets in octets()) {
        let out = stuffed(&octets, &[]);
        for cut in 0..=octets.len() {
            prop_assert_eq!(&stuffed(&octets, &[cut]), &out);
        }
        let (_, end, verdict) = check(Form::Dotted, BareNewline::Reject, &out, &[]);
        prop_assert_eq!(end, Some(out.len()), "the only end is the last");
        prop_assert_eq!(verdict, Ok(0), "every line ends in CRLF");
    }
}
