//! What doors say to clients that mean well, or do not know better.

use super::*;
use crate::envelope::{BodyType, Notify, Recipient, Return};

#[test]
fn the_dialogue_of_the_course_notes_goes_as_they_have_it() {
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: HELO crepes.fr
        S: 250 hamburger.edu Hello crepes.fr, pleased to meet you
        C: MAIL FROM: <alice@crepes.fr>
        S: 250 2.1.0 sender ok
        C: RCPT TO: <bob@hamburger.edu>
        S: 250 2.1.5 recipient ok
        C: DATA
        S: 354 send the message, and end it with CRLF . CRLF
        C: Do you like ketchup?
        C: How about pickles?
        C: .
        S: 250 2.0.0 kept as 0000000000001
        C: QUIT
        S: 221 2.0.0 goodbye
        ! close";
    let messages = check(&options(), remote_peer(), dialogue);
    let [(envelope, content)] = &messages[..] else { panic!("one message") };
    assert_eq!(envelope.from, Address::parse("alice@crepes.fr").ok());
    assert_eq!(envelope.recipients, [Recipient::new(Address::parse("bob@hamburger.edu").expect("bob"))]);
    assert_eq!(content, b"Do you like ketchup?\r\nHow about pickles?\r\n");
}

#[test]
fn the_phases_of_a_connection_are_seen() {
    let mut door = Door::new(options(), remote_peer(), BareNewline::Reject);
    assert_eq!(door.conversation.session().phase(), Phase::Handshake);
    door.receive(b"HELO crepes.fr\r\n");
    assert_eq!(door.conversation.session().phase(), Phase::Transfer);
    door.receive(b"QUIT\r\n");
    assert_eq!(door.conversation.session().phase(), Phase::Closing);
}

#[test]
fn what_is_offered_depends_on_who_asks() {
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: EHLO crepes.fr
        S: 250-hamburger.edu Hello crepes.fr, pleased to meet you
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-STARTTLS
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250 LIMITS RCPTMAX=100 MAILMAX=100
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 538 5.7.11 STARTTLS comes first: passwords are encrypted here
        C: STARTTLS
        S: 220 2.0.0 go ahead
        ! TLS
        C: MAIL FROM:<a@x>
        S: 503 5.5.1 say HELO or EHLO first (RFC 5321 section 4.1.4)
        C: EHLO crepes.fr
        S: 250-hamburger.edu Hello crepes.fr, pleased to meet you
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-AUTH SCRAM-SHA-256 PLAIN LOGIN
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250 LIMITS RCPTMAX=100 MAILMAX=100
        C: STARTTLS
        S: 503 5.5.1 there is TLS already";
    check(&options(), remote_peer(), dialogue);
    let bare = Options { starttls: false, auth: false, ..options() };
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: EHLO crepes.fr
        S: 250-hamburger.edu Hello crepes.fr, pleased to meet you
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250 LIMITS RCPTMAX=100 MAILMAX=100
        C: STARTTLS
        S: 502 5.5.1 there is no TLS here
        C: AUTH PLAIN
        S: 502 5.5.1 there is no AUTH here
        C: BDAT 4
        C: ab
        S: 502 5.5.1 there is no BDAT here
        C: MAIL FROM:<a@x> BODY=BINARYMIME
        S: 555 5.5.4 BINARYMIME is not taken here
        C: LHLO crepes.fr
        S: 500 5.5.1 say HELO or EHLO first (RFC 5321 section 4.1.4)";
    check(&bare, Peer { chunking: false, ..remote_peer() }, dialogue);
}

/// The dialogue up to EHLO under TLS, which those below begin with.
fn after_hello(options: &Options, dialogue: &str) -> Vec<(Envelope, Vec<u8>)> {
    let mut messages = None;
    for cut in [0, 1, 9, 40, 200] {
        let mut door = Door::new(options.clone(), Peer { tls: true, ..remote_peer() }, BareNewline::Reject);
        door.receive(if options.dialect == Dialect::Lmtp {
            b"LHLO crepes.fr\r\n"
        } else {
            b"EHLO crepes.fr\r\n"
        });
        door.told.clear();
        play(&mut door, dialogue, cut);
        assert_eq!(door.told, text(dialogue), "cut at {cut}");
        assert_eq!(*messages.get_or_insert(door.messages.clone()), door.messages, "cut at {cut}");
    }
    messages.unwrap_or_default()
}

#[test]
fn commands_that_come_together_are_answered_together() {
    let dialogue = "C: MAIL FROM:<alice@crepes.fr> SIZE=30 BODY=8BITMIME RET=HDRS ENVID=x SMTPUTF8
        C: RCPT TO:<bob@hamburger.edu> NOTIFY=SUCCESS ORCPT=rfc822;b@x
        C: RCPT TO:<用户@例子.测试>
        C: RCPT TO:<eve@elsewhere.test>
        C: RCPT TO:<full@hamburger.edu>
        C: RCPT TO:<postmaster>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.1.5 recipient ok
        S: 550 5.7.1 not relayed
        S: 452 4.2.2 full
        S: 250 2.1.5 recipient ok
        S: 354 send the message, and end it with CRLF . CRLF
        C: Subject: hi
        C:
        C: ..one dot
        C: .
        C: RSET
        C: MAIL FROM:<>
        C: NOOP
        S: 250 2.0.0 kept as 0000000000001
        S: 250 2.0.0 forgotten
        S: 250 2.1.0 sender ok
        S: 250 2.0.0 nothing done
        C: DATA
        S: 554 5.5.1 no recipient was taken";
    let messages = after_hello(&options(), dialogue);
    let [(envelope, content)] = &messages[..] else { panic!("one message") };
    assert_eq!(content, b"Subject: hi\r\n\r\n.one dot\r\n");
    assert_eq!(
        (envelope.ret, envelope.body, envelope.smtputf8),
        (Some(Return::Headers), BodyType::EightBitMime, true)
    );
    let recipients: Vec<String> = envelope.recipients.iter().map(|to| to.address.to_string()).collect();
    assert_eq!(recipients, ["bob@hamburger.edu", "用户@例子.测试", "postmaster@hamburger.edu"]);
    assert_eq!(envelope.recipients[0].notify, Notify { success: true, failure: false, delay: false });
}

#[test]
fn commands_out_of_order_are_refused() {
    let dialogue = "C: RCPT TO:<bob@hamburger.edu>
        S: 503 5.5.1 MAIL comes first
        C: DATA
        S: 503 5.5.1 MAIL and RCPT come first
        C: MAIL FROM:<a@x>
        S: 250 2.1.0 sender ok
        C: MAIL FROM:<b@x>
        S: 503 5.5.1 a sender was given already
        C: STARTTLS
        S: 503 5.5.1 there is TLS already
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 503 5.5.1 AUTH comes once, behind EHLO and before MAIL
        C: EXPN all
        S: 502 5.5.1 lists are not shown
        C: VRFY bob
        S: 252 2.5.0 send it a message, and you will hear
        C: HELP
        S: 214 2.0.0 see RFC 5321, and the postmaster
        C: RCPT TO:<bob@hamburger.edu>
        S: 250 2.1.5 recipient ok
        C: BDAT 4
        C: ab
        S: 250 2.0.0 chunk taken
        C: DATA
        S: 503 5.5.1 the content comes by BDAT already
        C: RCPT TO:<bob@hamburger.edu>
        S: 503 5.5.1 the content has begun already
        C: HELO again
        S: 250 hamburger.edu Hello again, pleased to meet you
        C: RCPT TO:<bob@hamburger.edu>
        S: 503 5.5.1 MAIL comes first
        C: MAIL FROM:<spammer@x>
        S: 550 5.7.1 not you
        C: RCPT TO:<bob@hamburger.edu>
        S: 503 5.5.1 MAIL comes first";
    assert!(after_hello(&options(), dialogue).is_empty());
}

#[test]
fn chunks_make_a_message() {
    let dialogue = "C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: BDAT 5
        C: .ab
        C: BDAT 0
        C: BDAT 7 LAST
        C: .
        C: cd
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.0.0 chunk taken
        S: 250 2.0.0 chunk taken
        S: 250 2.0.0 kept as 0000000000001
        C: BDAT 4 LAST
        C: xy
        S: 503 5.5.1 MAIL and RCPT come first
        C: MAIL FROM:<a@x> BODY=BINARYMIME
        C: BDAT 4
        C: xy
        S: 250 2.1.0 sender ok
        S: 554 5.5.1 no recipient was taken
        C: RCPT TO:<bob@hamburger.edu>
        S: 250 2.1.5 recipient ok
        C: DATA
        S: 503 5.5.1 BINARYMIME comes by BDAT alone
        C: BDAT 0 LAST
        S: 250 2.0.0 kept as 0000000000002";
    let messages = after_hello(&options(), dialogue);
    assert_eq!(messages[0].1, b".ab\r\n.\r\ncd\r\n");
    assert_eq!(messages[1].1, b"");
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let lmtp = Options::new("hamburger.edu", Dialect::Lmtp);
    let dialogue = "C: EHLO x
        S: 500 5.5.1 say LHLO first (RFC 2033 section 4.1)
        C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: RCPT TO:<full@hamburger.edu>
        C: RCPT TO:<ann@hamburger.edu>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 452 4.2.2 full
        S: 250 2.1.5 recipient ok
        S: 354 send the message, and end it with CRLF . CRLF
        C: hi
        C: .
        S: 250 2.0.0 kept as 0000000000001
        S: 250 2.0.0 kept as 0000000000001
        C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: RCPT TO:<ann@hamburger.edu>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.1.5 recipient ok
        S: 354 send the message, and end it with CRLF . CRLF
        C: SPAM
        C: .
        S: 554 5.7.1 spam
        S: 554 5.7.1 spam
        C: MAIL FROM:<a@x>
        C: RCPT TO:<full@hamburger.edu>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 452 4.2.2 full
        S: 503 5.5.1 no recipient was taken";
    after_hello(&lmtp, dialogue);
}

#[test]
fn users_log_in_by_each_mechanism() {
    let plain = "C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235 2.7.0 welcome
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 503 5.5.1 AUTH comes once, behind EHLO and before MAIL
        C: MAIL FROM:<a@x>
        C: RCPT TO:<eve@elsewhere.test>
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok";
    after_hello(&options(), plain);
    let asked = "C: AUTH plain
        S: 334\x20
        C: AGFubgBzZWNyZXQ=
        S: 235 2.7.0 welcome";
    after_hello(&options(), asked);
    let login = "C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YW5u
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 welcome";
    after_hello(&options(), login);
    let initial = "C: AUTH LOGIN YW5u
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 welcome";
    after_hello(&options(), initial);
}

#[test]
fn scram_lets_in_who_knows_the_password() {
    for (password, last) in
        [("pencil", "235 2.7.0 welcome"), ("crayon", "535 5.7.8 name or password are wrong")]
    {
        let mut client = crate::sasl::Client::new(Mechanism::ScramSha256, "user", password, "client");
        let mut door = Door::new(options(), Peer { tls: true, ..remote_peer() }, BareNewline::Reject);
        door.receive(b"EHLO crepes.fr\r\n");
        let first = client.initial().expect("SCRAM speaks first");
        door.receive(format!("AUTH SCRAM-SHA-256 {}\r\n", base64::encode(&first)).as_bytes());
        while let Some(challenge) = door.told.lines().last().and_then(|line| line.strip_prefix("S: 334 ")) {
            let challenge = base64::decode(challenge).expect("base64");
            let response = client.respond(&challenge).expect("a good server");
            door.receive(format!("{}\r\n", base64::encode(&response)).as_bytes());
        }
        assert_eq!(door.told.lines().last(), Some(&*format!("S: {last}")));
        assert_eq!(client.is_satisfied(), password == "pencil");
    }
}

#[test]
fn logins_that_fail_say_why_and_no_more() {
    let dialogue = "C: AUTH PLAIN AGFubgB3cm9uZw==
        S: 535 5.7.8 name or password are wrong
        C: AUTH PLAIN Ym9iAGFubgBzZWNyZXQ=
        S: 535 5.7.8 name or password are wrong
        C: AUTH PLAIN AGJ1c3kAeA==
        S: 454 4.7.0 nobody can be let in now, try later
        C: AUTH PLAIN AGVhZ2VyAHg=
        S: 454 4.7.0 too many attempts, wait 31 s
        C: AUTH PLAIN =
        S: 501 5.5.2 that is no message of this mechanism
        C: AUTH PLAIN AGFubgBzZWNyZXQ
        S: 501 5.5.2 that is no base64 (RFC 4648 section 4)
        C: AUTH PLAIN
        S: 334\x20
        C: *
        S: 501 5.7.0 the login was cancelled
        C: AUTH CRAM-MD5
        S: 504 5.5.4 there is no such mechanism
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: not base64
        S: 501 5.5.2 that is no base64 (RFC 4648 section 4)
        C: AUTH SCRAM-SHA-256 cD10bHMtdW5pcXVlLCxuPXVzZXIscj14
        S: 501 5.5.2 that is no message of this mechanism
        C: NOOP
        S: 250 2.0.0 nothing done";
    after_hello(&options(), dialogue);
    let required = Options { auth_required: true, ..options() };
    after_hello(&required, "C: MAIL FROM:<a@x>\nS: 530 5.7.0 log in first (AUTH)");
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: HELO crepes.fr
        S: 250 hamburger.edu Hello crepes.fr, pleased to meet you
        C: MAIL FROM:<a@x>
        S: 530 5.7.0 STARTTLS comes first, then AUTH";
    check(&required, remote_peer(), dialogue);
}

#[test]
fn everything_has_a_bound() {
    let small = Options { octets_max: 10, recipients_max: 1, messages_max: 2, errors_max: 4, ..options() };
    let dialogue = "C: MAIL FROM:<a@x> SIZE=11
        S: 552 5.3.4 the message is longer than is taken here (SIZE)
        C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: RCPT TO:<ann@hamburger.edu>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 452 4.5.3 too many recipients for one message
        S: 354 send the message, and end it with CRLF . CRLF
        C: 123456789
        C: .
        S: 552 5.3.4 the message is longer than is taken here (SIZE)
        C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: BDAT 8
        C: 123456
        C: BDAT 4
        C: 12
        C: BDAT 2 LAST
        C:
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.0.0 chunk taken
        S: 552 5.3.4 the message is longer than is taken here (SIZE)
        S: 503 5.5.1 MAIL and RCPT come first
        S: 421 4.7.0 too many errors, goodbye
        ! close";
    assert!(after_hello(&small, dialogue).is_empty());
    let dialogue = "C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: BDAT 2 LAST
        C:
        C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: BDAT 2 LAST
        C:
        C: MAIL FROM:<a@x>
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.0.0 kept as 0000000000001
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.0.0 kept as 0000000000002
        S: 421 4.5.3 enough messages over one connection
        ! close";
    after_hello(&small, dialogue);
}

#[test]
fn silence_ends_a_connection_and_so_does_a_drain() {
    let dialogue = "T+299s
        C: MAIL FROM:<a@x>
        S: 250 2.1.0 sender ok
        T+299s
        C: RCPT TO:<bob@hamburger.edu>
        S: 250 2.1.5 recipient ok
        C: DATA
        S: 354 send the message, and end it with CRLF . CRLF
        T+599s
        C: hello
        T+599s
        T+1s
        S: 421 4.4.2 nothing came for too long, goodbye
        ! close";
    after_hello(&options(), dialogue);
    let dialogue = "C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 354 send the message, and end it with CRLF . CRLF
        ! drain
        C: hello
        C: .
        S: 250 2.0.0 kept as 0000000000001
        S: 421 4.3.2 the server is closing, come back later
        ! close";
    after_hello(&options(), dialogue);
    after_hello(&options(), "! drain\nS: 421 4.3.2 the server is closing, come back later\n! close");
}

#[test]
fn who_speaks_out_of_turn_has_to_go() {
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: EHLO crepes.fr
        C: MAIL FROM:<a@x>
        S: 503 5.5.1 nothing may be sent behind this command before its reply (RFC 2920)
        ! close";
    check_whole(&options(), remote_peer(), dialogue);
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: HELO crepes.fr
        S: 250 hamburger.edu Hello crepes.fr, pleased to meet you
        C: MAIL FROM:<a@x>
        C: RCPT TO:<bob@hamburger.edu>
        C: DATA
        C: hello
        C: .
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 503 5.5.1 nothing may be sent behind this command before its reply (RFC 2920)
        ! close";
    assert!(check_whole(&options(), remote_peer(), dialogue).is_empty());
}

#[test]
fn what_comes_behind_starttls_in_the_clear_is_never_a_command() {
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: STARTTLS
        C: EHLO evil.test
        C: MAIL FROM:<evil@evil.test>
        C: RCPT TO:<bob@hamburger.edu>
        S: 220 2.0.0 go ahead
        ! TLS
        C: DATA
        S: 503 5.5.1 say HELO or EHLO first (RFC 5321 section 4.1.4)
        C: RCPT TO:<bob@hamburger.edu>
        S: 503 5.5.1 say HELO or EHLO first (RFC 5321 section 4.1.4)";
    assert!(check_whole(&options(), remote_peer(), dialogue).is_empty());
}

#[test]
fn what_a_browser_sends_is_never_a_command() {
    let dialogue = "S: 220 hamburger.edu ESMTP Doorway
        C: POST / HTTP/1.1
        C: Host: localhost:2525
        C:
        C: EHLO crepes.fr
        S: 500 5.5.1 this is no web server
        ! close";
    check(&options(), remote_peer(), dialogue);
}

#[test]
fn what_is_no_line_ends_the_connection() {
    for wrong in [&b"EHLO x\n"[..], b"\n", b"\x16\x03\x01\x02\0\x01\0", &[b'x'; 13_000]] {
        let mut door = Door::new(options(), remote_peer(), BareNewline::Reject);
        door.receive(wrong);
        assert!(
            door.told.ends_with("S: 500 5.5.2 a line ends with CRLF, before 12288 octets\n! close\n"),
            "{}",
            door.told
        );
    }
}

#[test]
fn long_content_leaves_the_memory() {
    let mut door = Door::new(options(), remote_peer(), BareNewline::Reject);
    door.receive(b"HELO x\r\n");
    door.receive(b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n");
    let content =
        b"0123456789012345678901234567890123456789012345678901234567890123456789012345\r\n".repeat(40_000);
    content.chunks(64 * 1024).for_each(|chunk| door.receive(chunk));
    door.receive(b".\r\n");
    assert!(door.told.ends_with("kept as 0000000000001\n"), "{}", door.told);
    assert!(door.messages[0].1 == content, "as it came");
}

use crate::sasl::{Mechanism, base64};
use crate::smtp::session::Phase;
