//! Commands as the standards and the world write them.

use proptest::prelude::*;

use super::*;

/// What a line is read as: the command as Debug shows it, or the reply.
fn check(line: &str) -> String {
    match Command::read(line.as_bytes()) {
        Ok(command) => format!("{command:?}"),
        Err(reply) => reply.to_string(),
    }
}

fn from(line: &str) -> Mail {
    match Command::read(line.as_bytes()) {
        Ok(Command::Mail(mail)) => mail,
        other => panic!("{line}: {other:?}"),
    }
}

fn to(line: &str) -> Rcpt {
    match Command::read(line.as_bytes()) {
        Ok(Command::Rcpt(rcpt)) => rcpt,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn verbs_are_read_in_any_letter_case_and_with_space_behind() {
    for (line, command) in [
        ("HELO crepes.fr", "Helo(\"crepes.fr\")"),
        ("ehlo [192.0.2.1]", "Ehlo(\"[192.0.2.1]\")"),
        ("lHLO [IPv6:2001:db8::1]  ", "Lhlo(\"[IPv6:2001:db8::1]\")"),
        ("data \t", "Data"),
        ("bdat 100", "Bdat { octets: 100, last: false }"),
        ("BDAT  0  last", "Bdat { octets: 0, last: true }"),
        ("RSET", "Rset"),
        ("vrfy bob", "Vrfy"),
        ("EXPN all", "Expn"),
        ("HELP mail", "Help"),
        ("NOOP whatever this is", "Noop"),
        ("quit", "Quit"),
        ("starttls", "StartTls"),
        ("AUTH plain =", "Auth(\"plain\", Some(\"=\"))"),
        ("AUTH LOGIN", "Auth(\"LOGIN\", None)"),
        ("POST / HTTP/1.1", "Web"),
    ] {
        assert_eq!(check(line), command, "{line}");
    }
}

#[test]
fn what_is_no_command_is_refused_with_the_rule() {
    for (line, reply) in [
        ("", "500 5.5.1 there is no such command"),
        ("DATAX", "500 5.5.1 there is no such command"),
        ("DATA now", "501 5.5.4 syntax error: expected nothing behind the command"),
        ("HELO", "501 5.5.4 syntax error: expected the client's host name or [address]"),
        ("EHLO a b", "501 5.5.4 syntax error: expected the client's host name or [address]"),
        ("EHLO 汉堡.edu", "501 5.5.4 syntax error: expected the client's host name or [address]"),
        ("EHLO (x)", "501 5.5.4 syntax error: expected the client's host name or [address]"),
        ("BDAT", "501 5.5.4 syntax error: expected a number of octets, and LAST behind it or nothing"),
        ("BDAT -1", "501 5.5.4 syntax error: expected a number of octets, and LAST behind it or nothing"),
        (
            "BDAT 1 FIRST",
            "501 5.5.4 syntax error: expected a number of octets, and LAST behind it or nothing",
        ),
        (
            "BDAT 99999999999999999999",
            "501 5.5.4 syntax error: expected a number of octets, and LAST behind it or nothing",
        ),
        ("AUTH", "501 5.5.4 syntax error: expected a mechanism, and an initial response or nothing"),
        ("NO\rOP", "500 5.5.2 syntax error: a control character in a command"),
        ("NO\0OP", "500 5.5.2 syntax error: a control character in a command"),
    ] {
        assert_eq!(check(line), reply, "{line}");
    }
    assert!(Command::read(b"NOOP \xff").is_err());
    assert!(Command::read(format!("NOOP {}", "x".repeat(505)).as_bytes()).is_ok());
    assert!(Command::read(format!("NOOP {}", "x".repeat(506)).as_bytes()).is_err());
    assert!(Command::read(format!("AUTH PLAIN {}", "x".repeat(4000)).as_bytes()).is_ok());
}

#[test]
fn a_sender_and_its_parameters_are_read() {
    let alice = Address::parse("alice@crepes.fr").ok();
    // With the space that the course notes have.
    for line in [
        "MAIL FROM: <alice@crepes.fr>",
        "mail from:<alice@crepes.fr> ",
        "MAIL FROM:<@a,@b.c:alice@crepes.fr>",
    ] {
        assert_eq!(from(line), Mail { from: alice.clone(), ..Mail::default() }, "{line}");
    }
    assert_eq!(from("MAIL FROM:<>").from, None);
    let all = "MAIL FROM:<alice@crepes.fr> SIZE=1000 body=8bitmime SMTPUTF8 RET=hdrs ENVID=QQ+2B AUTH=<>";
    let wanted = Mail {
        from: alice,
        octets: 1000,
        body: BodyType::EightBitMime,
        smtputf8: true,
        ret: Some(Return::Headers),
        envid: Some("QQ+".to_owned()),
    };
    assert_eq!(from(all), wanted);
    assert_eq!(from("MAIL FROM:<\"a>b\\\"c\"@x>").from.map(|from| from.local), Some("a>b\"c".to_owned()));
    assert_eq!(
        from("MAIL FROM:<用户@例子.测试> SMTPUTF8").from.map(|from| from.local),
        Some("用户".to_owned())
    );
    assert_eq!(from("MAIL FROM:<a@x> SIZE=99999999999999999999").octets, u64::MAX);
}

#[test]
fn a_recipient_and_its_parameters_are_read() {
    let bob = to("RCPT TO:<bob@hamburger.edu> NOTIFY=success,DELAY ORCPT=rfc822;Bob+2Bx@hamburger.edu");
    assert_eq!(bob.to, Address::parse("bob@hamburger.edu").ok());
    assert_eq!(bob.notify, Notify { success: true, failure: false, delay: true });
    assert_eq!(bob.orcpt.as_deref(), Some("rfc822;Bob+x@hamburger.edu"));
    assert_eq!(to("RCPT TO:<b@x> NOTIFY=NEVER").notify, Notify::NEVER);
    assert_eq!(to("RCPT TO:<Postmaster>").to, None);
    assert_eq!(to("RCPT TO:<b@x> ORCPT=utf-8;用户@x").orcpt.as_deref(), Some("utf-8;用户@x"));
}

#[test]
fn broken_paths_and_parameters_are_refused() {
    let long = format!("MAIL FROM:<{}@x>", "a".repeat(260));
    for (line, code) in [
        ("MAIL", "501 5.5.4"),
        ("MAIL FROM", "501 5.5.4"),
        ("MAIL G\u{ff828}_", "501 5.5.4"),
        ("RCPT 号", "501 5.5.4"),
        ("MAIL FROM:", "501 5.5.4"),
        ("MAIL FROM:alice@crepes.fr", "501 5.5.4"),
        ("MAIL FROM:<alice@crepes.fr", "501 5.5.4"),
        ("MAIL FROM:<alice@crepes.fr>SIZE=1", "501 5.5.4"),
        ("MAIL TO:<alice@crepes.fr>", "501 5.5.4"),
        ("MAIL FROM:<alice>", "501 5.1.7"),
        ("MAIL FROM:<a b@x>", "501 5.1.7"),
        ("MAIL FROM:<a@b@x>", "501 5.1.7"),
        ("MAIL FROM:<@a:>", "501 5.1.3"),
        ("MAIL FROM:<@a;b@c>", "501 5.1.3"),
        (&long, "501 5.1.3"),
        ("MAIL FROM:<用户@x>", "553 5.6.7"),
        ("MAIL FROM:<a@例子.测试>", "553 5.6.7"),
        ("MAIL FROM:<a@x> SIZE=", "501 5.5.4"),
        ("MAIL FROM:<a@x> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<a@x> SIZE", "501 5.5.4"),
        ("MAIL FROM:<a@x> SIZE=1 SIZE=2", "501 5.5.4"),
        ("MAIL FROM:<a@x> BODY=9BIT", "501 5.5.4"),
        ("MAIL FROM:<a@x> SMTPUTF8=yes", "501 5.5.4"),
        ("MAIL FROM:<a@x> RET=SOME", "501 5.5.4"),
        ("MAIL FROM:<a@x> ENVID=a+", "501 5.5.4"),
        ("MAIL FROM:<a@x> ENVID=", "501 5.5.4"),
        ("MAIL FROM:<a@x> X=1", "555 5.5.4"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<bob>", "501 5.1.3"),
        ("RCPT TO:<b@x> NOTIFY=", "501 5.5.4"),
        ("RCPT TO:<b@x> NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        ("RCPT TO:<b@x> NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4"),
        ("RCPT TO:<b@x> ORCPT=b@x", "501 5.5.4"),
        ("RCPT TO:<b@x> ORCPT=;b@x", "501 5.5.4"),
        ("RCPT TO:<b@x> ORCPT=rfc822;+0D+0A", "501 5.5.4"),
        ("RCPT TO:<b@x> ORCPT=rfc822;用户@x", "501 5.5.4"),
        ("RCPT TO:<b@x> SIZE=1", "555 5.5.4"),
    ] {
        assert!(check(line).starts_with(code), "{line}: {}", check(line));
    }
}

proptest! {
    #[test]
    fn every_start_of_a_command_and_any_line_is_read_or_refused(
        cut in 0..100usize,
        any in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        for line in [
            "MAIL FROM:<@a,@b:\"a\\\"b\"@例子.测试> SIZE=1 BODY=BINARYMIME SMTPUTF8 RET=FULL ENVID=a+2B",
            "RCPT TO:<bob@[IPv6:2001:db8::1]> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@x",
            "AUTH SCRAM-SHA-256 biwsbj10aW0s",
            "BDAT 12345 LAST",
        ] {
            let line = line.as_bytes();
            let _ = Command::read(&line[..cut.min(line.len())]);
        }
        for start in [&b"MAIL FROM:<"[..], b"RCPT TO:<", b"AUTH ", b"BDAT ", b""] {
            if let Err(reply) = Command::read(&[start, &any].concat()) {
                prop_assert!(reply.is_permanent());
            }
        }
    }
}
