//! Broken and exotic messages, by name: what real writers send, and what nobody should. They are read by
//! us and by others, and the differences are explained in `docs/mime-differences.md`.

use doorway_base::Random;

/// A message for each line of these tables, and some hundred made of their pieces.
pub(crate) fn messages() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |kind: &str, name: &str, message: Vec<u8>| all.push((format!("{kind}/{name}"), message));
    for (name, message) in STRUCTURES {
        add("structure", name, message.to_vec());
    }
    for (name, value) in SUBJECTS {
        add("subject", name, [b"Subject: ", *value, b"\r\n\r\nx\r\n"].concat());
    }
    for (name, value) in ADDRESSES {
        add("address", name, [b"From: ", *value, b"\r\n\r\nx\r\n"].concat());
    }
    for (name, value) in DATES {
        add("date", name, [b"Date: ", *value, b"\r\n\r\nx\r\n"].concat());
    }
    for (name, value) in PARAMETERS {
        let head = b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment";
        add("parameter", name, [head, *value, b"\r\n\r\nx\r\n"].concat());
    }
    for (name, encoding, body) in ENCODINGS {
        let head =
            format!("Content-Type: application/x-test\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        add("encoding", name, [head.as_bytes(), *body].concat());
    }
    for (name, charset, body) in CHARSETS {
        let head =
            format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        add("charset", name, [head.as_bytes(), *body].concat());
    }
    for seed in 0..GENERATED {
        add("generated", &format!("{seed:03}"), generated(seed));
    }
    all
}

/// How many are made of pieces.
const GENERATED: u64 = 200;

/// A multipart of pieces in an order nobody would choose.
fn generated(seed: u64) -> Vec<u8> {
    const PIECES: [&str; 14] = [
        "--b\r\n",
        "--b\r\n\r\n",
        "--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n",
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n",
        "--c\r\n\r\ninner\r\n",
        "--c--\r\n",
        "--b--\r\n",
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n",
        "--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n",
        "text\r\n",
        "\r\n",
        "-- \r\n",
        "--bb\r\n",
        "--b \t\r\n\r\nblank\r\n",
    ];
    let mut random = Random::new(seed);
    let mut message = String::from("Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n");
    for _ in 0..random.below(9) {
        message.push_str(PIECES[random.below(PIECES.len() as u64) as usize]);
    }
    message.into_bytes()
}

const STRUCTURES: &[(&str, &[u8])] = &[
    ("empty", b""),
    ("ketchup", b"Do you like ketchup?\r\nHow about pickles?\r\n"),
    ("header alone", b"Subject: x\r\n"),
    ("header without end", b"Subject: x"),
    ("body alone", b"\r\nbody\r\n"),
    ("bare LF", b"Subject: x\n\nbody\n"),
    ("mixed line ends", b"Subject: x\r\nFrom: a@b\n\r\nbody\n"),
    ("mbox line", b"From a@b Mon Nov 23 05:59:00 2026\r\nSubject: x\r\n\r\nbody\r\n"),
    ("escaped mbox line", b">From a@b Mon Nov 23 05:59:00 2026\r\nSubject: x\r\n\r\nbody\r\n"),
    ("no colon in header", b"Subject: x\r\nnot a field\r\nFrom: a@b\r\n\r\nbody\r\n"),
    ("blank in field name", b"Subject: x\r\nSome Name: y\r\nFrom: a@b\r\n\r\nbody\r\n"),
    ("blank before colon", b"Subject : x\r\n\r\nbody\r\n"),
    ("first line continues nothing", b" lost\r\nSubject: x\r\n\r\nbody\r\n"),
    ("empty field", b"Subject:\r\n\r\nbody\r\n"),
    ("folded field", b"Subject: a\r\n b\r\n\tc\r\n\r\nbody\r\n"),
    ("folded to nothing", b"Subject: a\r\n \r\n\r\nbody\r\n"),
    ("duplicate subject", b"Subject: one\r\nSubject: two\r\n\r\nbody\r\n"),
    ("field name in capitals", b"SUBJECT: x\r\n\r\nbody\r\n"),
    ("no blank behind colon", b"Subject:x\r\n\r\nbody\r\n"),
    ("plain part", b"Content-Type: text/plain\r\n\r\nx\r\n"),
    ("two content types", b"Content-Type: text/html\r\nContent-Type: image/png\r\n\r\nx\r\n"),
    ("nonsense type", b"Content-Type: nonsense\r\n\r\nx\r\n"),
    ("empty type", b"Content-Type:\r\n\r\nx\r\n"),
    ("type with blanks", b"Content-Type: text / html\r\n\r\nx\r\n"),
    ("type in capitals", b"Content-Type: TEXT/HTML\r\n\r\nx\r\n"),
    ("type with comment", b"Content-Type: text/html (hello)\r\n\r\nx\r\n"),
    ("type with semicolons", b"Content-Type: text/html;;; charset=utf-8;\r\n\r\nx\r\n"),
    ("two parts", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\n"),
    ("preamble and epilogue", b"Content-Type: multipart/mixed; boundary=b\r\n\r\nbefore\r\n--b\r\n\r\none\r\n--b--\r\nbehind\r\n"),
    ("bare LF parts", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n"),
    ("no end", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n"),
    ("no boundary found", b"Content-Type: multipart/mixed; boundary=b\r\n\r\none\r\n"),
    ("no boundary named", b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
    ("empty boundary", b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\none\r\n----\r\n"),
    ("only the closing boundary", b"Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--b--\r\n"),
    ("boundary at the end of the file", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b"),
    ("closing boundary at the end of the file", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--"),
    ("blanks behind boundary", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b  \t\r\n\r\none\r\n--b--  \r\n"),
    ("blanks in boundary parameter", b"Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
    ("boundary with blanks inside", b"Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\n--a b\r\n\r\none\r\n--a b--\r\n"),
    ("boundary is a prefix", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--bc\r\ntwo\r\n--b--\r\n"),
    ("boundary with dashes", b"Content-Type: multipart/mixed; boundary=\"--b\"\r\n\r\n----b\r\n\r\none\r\n----b--\r\n"),
    ("boundary differs in case", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--B\r\n\r\none\r\n--B--\r\n"),
    ("boundary behind text", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none --b\r\n--b--\r\n"),
    ("empty parts", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b\r\n\r\n--b--\r\n"),
    ("part without a header", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\none\r\n--b--\r\n"),
    ("part header runs into boundary", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
    ("nested", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\n--a\r\nContent-Type: image/png\r\n\r\nx\r\n--a--\r\n"),
    ("nested without inner end", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\n"),
    ("nested with the same boundary", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a--\r\n--a\r\n\r\ntwo\r\n--a--\r\n"),
    ("inner boundary is longer", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\none\r\n--ab--\r\n--a--\r\n"),
    ("inner message", b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n"),
    ("inner message with parts", b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
    ("inner message in base64", b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogaW4NCg0KdGV4dA0K\r\n"),
    ("inner message without anything", b"Content-Type: message/rfc822\r\n\r\n"),
    ("digest", b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n\r\ntext\r\n--b--\r\n"),
    ("report", b"Content-Type: multipart/report; boundary=b; report-type=delivery-status\r\n\r\n--b\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nAction: failed\r\n\r\n--b--\r\n"),
    ("multipart in base64", b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
    ("multipart in 8bit", b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
    ("unknown multipart", b"Content-Type: multipart/x-unknown; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
    ("8 bit header", b"Subject: caf\xe9\r\nX: caf\xc3\xa9\r\n\r\nbody\r\n"),
    ("8 bit body", b"Subject: x\r\n\r\ncaf\xc3\xa9\r\n"),
    ("NUL in body", b"Subject: x\r\n\r\na\0b\r\n"),
    ("NUL in header", b"Subject: a\0b\r\n\r\nx\r\n"),
    ("CR alone in body", b"Subject: x\r\n\r\na\rb\r\n"),
    ("CR alone in header", b"Subject: a\rb\r\n\r\nx\r\n"),
    ("boundary behind CR alone", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r--b\r\n\r\ntwo\r\n--b--\r\n"),
];

const SUBJECTS: &[(&str, &[u8])] = &[
    ("plain", b"hello"),
    ("blanks round it", b"  hello  "),
    ("Q", b"=?utf-8?q?caf=C3=A9?="),
    ("Q in capitals", b"=?UTF-8?Q?caf=C3=A9?="),
    ("B", b"=?utf-8?b?Y2Fmw6k=?="),
    ("B without padding", b"=?utf-8?b?Y2Fmw6k?="),
    ("B with blanks", b"=?utf-8?b?Y2Fm w6k=?="),
    ("Q with blanks", b"=?utf-8?q?a b?="),
    ("underscore", b"=?utf-8?q?a_b?="),
    ("two words", b"=?utf-8?q?a?= =?utf-8?q?b?="),
    ("two words and text", b"=?utf-8?q?a?= and =?utf-8?q?b?="),
    ("two words folded", b"=?utf-8?q?a?=\r\n =?utf-8?q?b?="),
    ("words without a blank between", b"=?utf-8?q?a?==?utf-8?q?b?="),
    ("word inside a word", b"x=?utf-8?q?y?=z"),
    ("character cut in two", b"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?="),
    ("character cut in two in B", b"=?utf-8?b?5A==?= =?utf-8?b?vaA=?="),
    ("two character sets", b"=?iso-8859-1?q?=E9?= =?utf-8?q?=C3=A9?="),
    ("language", b"=?us-ascii*en?q?Keith?="),
    ("unknown character set", b"=?x-nobody?q?abc?="),
    ("no character set", b"=??q?abc?="),
    ("unknown encoding", b"=?utf-8?x?abc?="),
    ("no end", b"=?utf-8?q?abc"),
    ("empty word", b"=?utf-8?q??="),
    ("equals sign first", b"=?utf-8?q?=41?="),
    ("broken escape", b"=?utf-8?q?a=ZZb?="),
    ("question mark inside", b"=?utf-8?q?a?b?="),
    ("line end inside", b"=?utf-8?q?a=0D=0AX:_1?="),
    ("gb2312", b"=?gb2312?b?xOO6ww==?="),
    ("iso-2022-jp", b"=?iso-2022-jp?b?GyRCJDMbKEI=?="),
    ("koi8-r", b"=?koi8-r?b?8NLJ18XU?="),
    ("windows-1252", b"=?windows-1252?q?=80?="),
    ("utf-8 as it is", b"caf\xc3\xa9"),
    ("latin 1 as it is", b"caf\xe9"),
    ("quoted", b"\"=?utf-8?q?a?=\""),
];

const ADDRESSES: &[(&str, &[u8])] = &[
    ("plain", b"a@b.test"),
    ("in brackets", b"<a@b.test>"),
    ("name", b"Ann <a@b.test>"),
    ("quoted name", b"\"Doe, Ann\" <a@b.test>"),
    ("quotes in name", b"\"Ann \\\"A\\\" Doe\" <a@b.test>"),
    ("encoded name", b"=?utf-8?q?Andr=C3=A9?= <a@b.test>"),
    ("encoded name in quotes", b"\"=?utf-8?q?Andr=C3=A9?=\" <a@b.test>"),
    ("encoded comma", b"=?utf-8?q?Doe=2C_Ann?= <a@b.test>"),
    ("dots in name", b"Ann B. Doe <a@b.test>"),
    ("at in name", b"ann@home <a@b.test>"),
    ("comment behind", b"a@b.test (Ann)"),
    ("comment inside", b"Ann(x) <a(y)@b.test>"),
    ("nested comment", b"a@b.test (Ann (A) Doe)"),
    ("two", b"a@b.test, c@d.test"),
    ("two with names", b"Ann <a@b.test>, Bob <c@d.test>"),
    ("empty places", b"a@b.test,, c@d.test,"),
    ("group", b"Friends: a@b.test, c@d.test;"),
    ("empty group", b"Undisclosed recipients:;"),
    ("group without end", b"Friends: a@b.test, c@d.test"),
    ("group and others", b"Friends: a@b.test;, c@d.test"),
    ("source route", b"<@x.test,@y.test:a@b.test>"),
    ("no domain", b"ann"),
    ("no domain in brackets", b"Ann <ann>"),
    ("empty brackets", b"<>"),
    ("name and empty brackets", b"Ann <>"),
    ("no closing bracket", b"Ann <a@b.test"),
    ("no opening bracket", b"a@b.test>"),
    ("no closing quote", b"\"Ann <a@b.test>"),
    ("blanks in address", b"a @ b . test"),
    ("quoted local part", b"\"a b\"@c.test"),
    ("address literal", b"a@[192.0.2.1]"),
    ("two ats", b"a@b@c.test"),
    ("semicolon between", b"a@b.test; c@d.test"),
    ("folded", b"Ann\r\n <a@b.test>,\r\n Bob <c@d.test>"),
    ("utf-8 name", b"Andr\xc3\xa9 <a@b.test>"),
    ("utf-8 address", b"<\xe7\x94\xa8@\xe4\xbe\x8b.test>"),
    ("latin 1 name", b"Andr\xe9 <a@b.test>"),
    ("empty", b""),
    ("trailing dot", b"a.@b.test"),
    ("apostrophes", b"'a@b.test'"),
];

const DATES: &[(&str, &[u8])] = &[
    ("usual", b"Mon, 23 Nov 2026 05:59:00 +0000"),
    ("zone east", b"Mon, 23 Nov 2026 05:59:00 +0800"),
    ("zone west with comment", b"Mon, 23 Nov 2026 05:59:00 -0800 (PST)"),
    ("no weekday", b"23 Nov 2026 05:59:00 +0000"),
    ("wrong weekday", b"Fri, 23 Nov 2026 05:59:00 +0000"),
    ("no seconds", b"Mon, 23 Nov 2026 05:59 +0000"),
    ("no zone", b"Mon, 23 Nov 2026 05:59:00"),
    ("named zone", b"Mon, 23 Nov 2026 05:59:00 EST"),
    ("military zone", b"Mon, 23 Nov 2026 05:59:00 Z"),
    ("GMT", b"Mon, 23 Nov 2026 05:59:00 GMT"),
    ("two digits", b"Mon, 23 Nov 98 05:59:00 +0000"),
    ("asctime", b"Mon Nov 23 05:59:00 2026"),
    ("hyphens", b"23-Nov-2026 05:59:00 +0000"),
    ("long month", b"23 November 2026 05:59:00 +0000"),
    ("leap second", b"Thu, 31 Dec 1998 23:59:60 +0000"),
    ("no such day", b"Mon, 31 Feb 2026 05:59:00 +0000"),
    ("hour 24", b"Mon, 23 Nov 2026 24:00:00 +0000"),
    ("folded", b"Mon,\r\n 23 Nov 2026\r\n 05:59:00 +0000"),
    ("comment inside", b"Mon, 23 (x) Nov 2026 05:59:00 +0000"),
    ("words", b"yesterday"),
    ("empty", b""),
    ("ISO 8601", b"2026-11-23T05:59:00Z"),
];

const PARAMETERS: &[(&str, &[u8])] = &[
    ("token", b"; filename=a.txt"),
    ("quoted", b"; filename=\"a b.txt\""),
    ("escaped quote", b"; filename=\"a\\\"b.txt\""),
    ("no closing quote", b"; filename=\"a b.txt"),
    ("blanks round equals", b"; filename = a.txt"),
    ("blanks without quotes", b"; filename=a b.txt"),
    ("folded", b";\r\n filename=a.txt"),
    ("capitals", b"; FileName=A.txt"),
    ("extended", b"; filename*=utf-8''caf%C3%A9.txt"),
    ("extended with language", b"; filename*=utf-8'fr'caf%C3%A9.txt"),
    ("extended latin 1", b"; filename*=iso-8859-1''caf%E9.txt"),
    ("extended without set", b"; filename*=caf%C3%A9.txt"),
    ("pieces", b"; filename*0=\"a\"; filename*1=\"b.txt\""),
    ("pieces out of order", b"; filename*1=\"b.txt\"; filename*0=\"a\""),
    ("extended pieces", b"; filename*0*=utf-8''caf; filename*1*=%C3%A9.txt"),
    ("character cut between pieces", b"; filename*0*=utf-8''caf%C3; filename*1*=%A9.txt"),
    ("mixed pieces", b"; filename*0*=utf-8''caf%C3%A9; filename*1=\".txt\""),
    ("plain and extended", b"; filename=cafe.txt; filename*=utf-8''caf%C3%A9.txt"),
    ("encoded word", b"; filename=\"=?utf-8?q?caf=C3=A9.txt?=\""),
    ("encoded word without quotes", b"; filename==?utf-8?q?caf=C3=A9.txt?="),
    ("utf-8 as it is", b"; filename=\"caf\xc3\xa9.txt\""),
    ("latin 1 as it is", b"; filename=\"caf\xe9.txt\""),
    ("twice", b"; filename=a.txt; filename=b.txt"),
    ("empty", b"; filename=\"\""),
    ("comment", b"; filename=a.txt (x)"),
    ("path", b"; filename=\"../../etc/passwd\""),
    ("semicolon in quotes", b"; filename=\"a;b.txt\""),
    ("line end in it", b"; filename*=utf-8''a%0D%0AX%3A1"),
];

const ENCODINGS: &[(&str, &str, &[u8])] = &[
    ("base64", "base64", b"AAECAwQF\r\n"),
    ("base64 in lines", "base64", b"AAEC\r\nAwQF\r\n"),
    ("base64 without padding", "base64", b"AAECAw\r\n"),
    ("base64 padded", "base64", b"AAECAw==\r\n"),
    ("base64 with junk", "base64", b"AA-EC!AwQF\r\n"),
    ("base64 with blanks", "base64", b"A A E C\tAwQF\r\n"),
    ("base64 in two runs", "base64", b"AA==AQ==\r\n"),
    ("base64 with text behind", "base64", b"AAECAw==\r\n\r\n-- \r\nlist footer\r\n"),
    ("base64 with a digit too many", "base64", b"AAECA\r\n"),
    ("base64 empty", "base64", b""),
    ("base64 of nothing but padding", "base64", b"====\r\n"),
    ("base64 in capitals", "BASE64", b"AAEC\r\n"),
    ("base64 with blanks round it", "  base64  ", b"AAEC\r\n"),
    ("base64 with comment", "base64 (x)", b"AAEC\r\n"),
    ("quoted-printable", "quoted-printable", b"a=3Db\r\n"),
    ("soft line breaks", "quoted-printable", b"a=\r\nb\r\n"),
    ("soft line break with blanks", "quoted-printable", b"a= \t\r\nb\r\n"),
    ("small digits", "quoted-printable", b"a=3db\r\n"),
    ("no digits", "quoted-printable", b"a=ZZb\r\n"),
    ("one digit", "quoted-printable", b"a=3"),
    ("equals at the end", "quoted-printable", b"a="),
    ("blanks at ends of lines", "quoted-printable", b"a  \r\nb\t\r\n"),
    ("quoted-printable with bare LF", "quoted-printable", b"a=\nb\n"),
    ("quoted-printable in 8 bit", "quoted-printable", b"caf\xc3\xa9\r\n"),
    ("7bit", "7bit", b"abc\r\n"),
    ("7bit that is not", "7bit", b"caf\xc3\xa9\r\n"),
    ("binary", "binary", b"a\0b\xff"),
    ("unknown", "x-unknown", b"abc\r\n"),
    ("empty encoding", "", b"abc\r\n"),
    ("two words", "8bit 7bit", b"abc\r\n"),
];

const CHARSETS: &[(&str, &str, &[u8])] = &[
    ("utf-8", "utf-8", b"caf\xc3\xa9\r\n"),
    ("UTF8 without hyphen", "utf8", b"caf\xc3\xa9\r\n"),
    ("quoted", "\"utf-8\"", b"caf\xc3\xa9\r\n"),
    ("iso-8859-1", "iso-8859-1", b"caf\xe9\r\n"),
    ("iso-8859-1 with windows octets", "iso-8859-1", b"\x93x\x94\r\n"),
    ("iso-8859-15", "iso-8859-15", b"\xa4\r\n"),
    ("windows-1251", "windows-1251", b"\xcf\r\n"),
    ("koi8-r", "koi8-r", b"\xf0\xd2\r\n"),
    ("gb2312", "gb2312", b"\xc4\xe3\r\n"),
    ("gbk", "gbk", b"\xc4\xe3\r\n"),
    ("big5", "big5", b"\xa7A\r\n"),
    ("shift_jis", "shift_jis", b"\x82\xb1\r\n"),
    ("iso-2022-jp", "iso-2022-jp", b"\x1b$B$3\x1b(B\r\n"),
    ("euc-kr", "euc-kr", b"\xb0\xa1\r\n"),
    ("us-ascii in 8 bit", "us-ascii", b"caf\xc3\xa9\r\n"),
    ("unknown", "x-nobody", b"abc\r\n"),
    ("unknown in 8 bit", "x-nobody", b"caf\xc3\xa9\r\n"),
    ("utf-8 that is not", "utf-8", b"caf\xe9\r\n"),
    ("utf-8 with a mark", "utf-8", b"\xef\xbb\xbfabc\r\n"),
    ("utf-16", "utf-16", b"\xff\xfea\0b\0"),
    ("empty", "", b"abc\r\n"),
];

/// What one reader makes of a message: an aspect and a value for each thing that can be compared.
pub(crate) type Reading = Vec<(&'static str, String)>;

/// Aspects in the order in which readings have them.
pub(crate) const ASPECTS: [&str; 6] = ["parts", "content", "names", "subject", "from", "date"];

/// Octets in one printable line; line ends count as LF, and those at the end as none.
pub(crate) fn shown(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).replace("\r\n", "\n");
    text.trim_end_matches('\n').escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

/// What we make of a message.
pub(crate) fn ours(message: &[u8]) -> Reading {
    use doorway_mail::mime::{self, address_list, date, header, structure::Kind};
    let found = mime::structure(message);
    let leaves: Vec<_> = found.parts.iter().filter(|part| part.kind == Kind::Leaf).collect();
    let list = |values: Vec<String>| values.join(" | ");
    let parts = leaves.iter().map(|part| part.media_type.value.clone()).collect();
    let content = leaves
        .iter()
        .map(|part| match part.main_type() {
            "text" => shown(mime::text(part, message).as_bytes()),
            _ => shown(&mime::content(part, message)),
        })
        .collect();
    let names = leaves.iter().map(|part| shown(part.file_name().unwrap_or_default().as_bytes())).collect();
    let from = header::value(message, "From").map(address_list::mailboxes).unwrap_or_default();
    let from = from
        .iter()
        .map(|mailbox| {
            let at = if mailbox.domain.is_empty() { "" } else { "@" };
            let name = mailbox.name.clone().unwrap_or_default();
            shown(format!("{name} <{}{at}{}>", mailbox.local, mailbox.domain).trim().as_bytes())
        })
        .collect();
    let when = header::value(message, "Date").and_then(date::parse);
    vec![
        ("parts", list(parts)),
        ("content", list(content)),
        ("names", list(names)),
        (
            "subject",
            shown(header::value(message, "Subject").map(header::text).unwrap_or_default().as_bytes()),
        ),
        ("from", list(from)),
        ("date", when.map_or(String::new(), |date| date.at.as_secs().to_string())),
    ]
}
