//! The client's engine against servers of all kinds, as dialogues: `S:` what the server says, `C:` what the
//! client says, `!` what it tells its shell. A line of content stands for all of it.

use proptest::prelude::*;

use super::*;
use crate::address::Address;
use crate::envelope::{BodyType, Notify, Recipient, Return};

fn envelope(recipients: &[&str]) -> Envelope {
    let address = |text: &str| Address::parse(text).expect("an address of the test");
    Envelope {
        from: Some(address("alice@crepes.fr")),
        recipients: recipients.iter().map(|text| Recipient::new(address(text))).collect(),
        ..Envelope::default()
    }
}

/// Plays the lines of `S:` to the client and gives the whole dialogue.
fn play(settings: Settings, envelopes: &[Envelope], server: &[&str], cut: usize) -> String {
    let mut now = Instant::ZERO;
    let mut client = Client::new(now, settings, "nonce".to_owned(), false);
    let (mut told, mut next) = (String::new(), envelopes.iter());
    let mut server = server.iter();
    loop {
        let mut asked = false;
        while let Some(output) = client.poll_output() {
            match output {
                Output::Write(octets) => {
                    let text = String::from_utf8(octets).expect("commands are text");
                    text.split_terminator("\r\n").for_each(|line| told.push_str(&format!("C: {line}\n")));
                }
                Output::StartTls => {
                    told.push_str("! TLS\n");
                    client.handle(now, Input::Secured);
                    asked = true;
                    break;
                }
                Output::Content { chunked } => {
                    told.push_str(if chunked { "C: content, chunked\n" } else { "C: content\nC: .\n" });
                    client.handle(now, Input::Sent);
                    client.handle(now, Input::ContentSent);
                }
                Output::Ready => told.push_str("! ready\n"),
                Output::Done(replies) => {
                    replies.iter().for_each(|reply| told.push_str(&format!("! {reply}\n")));
                }
                Output::Failed(failure) => told.push_str(&format!("! failed {failure}\n")),
                Output::Close => {
                    told.push_str("! close\n");
                    return told;
                }
            }
        }
        if asked {
            continue;
        }
        if client.is_idle() && !told.ends_with("C: QUIT\n") {
            match next.next() {
                Some(envelope) => client.handle(now, Input::Send(envelope, 40)),
                None => client.handle(now, Input::Quit),
            }
            continue;
        }
        match server.next() {
            Some(&"(silence)") => {
                now = client.next_timeout().expect("somebody waits");
                client.handle(now, Input::Timeout);
            }
            Some(line) => {
                told.push_str(&format!("S: {line}\n"));
                let octets = format!("{}\r\n", line.replace('|', "\r\n"));
                let (one, other) = octets.as_bytes().split_at(cut.min(octets.len()));
                for piece in [one, other].into_iter().filter(|piece| !piece.is_empty()) {
                    client.handle(now, Input::Octets(piece));
                }
            }
            None => client.handle(now, Input::Closed("the end".to_owned())),
        }
    }
}

/// The dialogue, told line by line, must be this one, for every cut of what the server says.
fn check(settings: &Settings, envelopes: &[Envelope], dialogue: &str) {
    let dialogue: String = dialogue.lines().map(|line| format!("{}\n", line.trim_start())).collect();
    let server: Vec<&str> = dialogue
        .lines()
        .filter_map(|line| line.strip_prefix("S: ").or(line.starts_with('(').then_some(line)))
        .collect();
    let told: String =
        dialogue.lines().filter(|line| !line.starts_with('(')).map(|line| format!("{line}\n")).collect();
    for cut in [0, 1, 5, 30] {
        assert_eq!(play(settings.clone(), envelopes, &server, cut), told, "cut at {cut}");
    }
}

fn settings() -> Settings {
    Settings::new("crepes.fr")
}

#[test]
fn the_dialogue_of_the_course_notes_works_with_a_server_that_knows_helo_alone() {
    let dialogue = "S: 220 hamburger.edu
        C: EHLO crepes.fr
        S: 502 what?
        C: HELO crepes.fr
        S: 250 Hello crepes.fr, pleased to meet you
        ! ready
        C: MAIL FROM:<alice@crepes.fr>
        S: 250 alice@crepes.fr... Sender ok
        C: RCPT TO:<bob@hamburger.edu>
        S: 250 bob@hamburger.edu ... Recipient ok
        C: DATA
        S: 354 Enter mail, end with \".\" on a line by itself
        C: content
        C: .
        S: 250 Message accepted for delivery
        ! 250 Message accepted for delivery
        C: QUIT
        S: 221 hamburger.edu closing connection
        ! close";
    check(&settings(), &[envelope(&["bob@hamburger.edu"])], dialogue);
}

#[test]
fn commands_leave_together_and_each_recipient_has_its_own_verdict() {
    let mut message = envelope(&["bob@hamburger.edu", "nobody@hamburger.edu"]);
    message.ret = Some(Return::Headers);
    message.envid = Some("a+b".to_owned());
    message.recipients[0].notify = Notify { success: true, failure: true, delay: false };
    message.recipients[0].orcpt = Some("rfc822;Bob@hamburger.edu".to_owned());
    message.recipients[1].notify = Notify::NEVER;
    let dialogue = "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250-PIPELINING|250-DSN|250 SIZE 1000
        ! ready
        C: MAIL FROM:<alice@crepes.fr> SIZE=40 RET=HDRS ENVID=a+2Bb
        C: RCPT TO:<bob@hamburger.edu> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@hamburger.edu
        C: RCPT TO:<nobody@hamburger.edu> NOTIFY=NEVER
        C: DATA
        S: 250 2.1.0 ok|250 2.1.5 ok
        S: 550 5.1.1 no such user|354 go
        C: content
        C: .
        S: 250 2.0.0 taken
        ! 250 2.0.0 taken
        ! 550 5.1.1 no such user
        C: QUIT
        S: 221 bye
        ! close";
    check(&settings(), &[message], dialogue);
}

#[test]
fn nothing_is_sent_for_nobody() {
    let two = [envelope(&["a@x", "b@x"]), envelope(&["c@x"])];
    check(
        &settings(),
        &two,
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 PIPELINING
        ! ready
        C: MAIL FROM:<alice@crepes.fr>
        C: RCPT TO:<a@x>
        C: RCPT TO:<b@x>
        C: DATA
        S: 250 ok|550 a|450 b|354 go
        C: .
        S: 554 no recipients
        ! 550 a
        ! 450 b
        C: MAIL FROM:<alice@crepes.fr>
        C: RCPT TO:<c@x>
        C: DATA
        S: 550 not you|503 mail?|503 mail?
        ! 550 not you
        C: QUIT
        S: 221 bye
        ! close",
    );
    check(
        &settings(),
        &two,
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250 mx
        ! ready
        C: MAIL FROM:<alice@crepes.fr>
        S: 250 ok
        C: RCPT TO:<a@x>
        S: 550 a
        C: RCPT TO:<b@x>
        S: 450 b
        ! 550 a
        ! 450 b
        C: RSET
        S: 250 ok
        C: MAIL FROM:<alice@crepes.fr>
        S: 250 ok
        C: RCPT TO:<c@x>
        S: 250 ok
        C: DATA
        S: 451 later
        ! 451 later
        C: QUIT
        S: 221 bye
        ! close",
    );
}

#[test]
fn lmtp_answers_for_each_recipient_that_it_took() {
    let lmtp = Settings { dialect: Dialect::Lmtp, ..settings() };
    check(
        &lmtp,
        &[envelope(&["a@x", "b@x", "c@x"])],
        "S: 220 mx
        C: LHLO crepes.fr
        S: 250-mx|250 PIPELINING
        ! ready
        C: MAIL FROM:<alice@crepes.fr>
        C: RCPT TO:<a@x>
        C: RCPT TO:<b@x>
        C: RCPT TO:<c@x>
        C: DATA
        S: 250 ok|250 ok|550 no b|250 ok|354 go
        C: content
        C: .
        S: 250 a has it
        S: 452 c is full
        ! 250 a has it
        ! 550 no b
        ! 452 c is full
        C: QUIT
        S: 221 bye
        ! close",
    );
}

#[test]
fn what_does_not_fit_the_server_is_not_sent() {
    let mut utf8 = envelope(&["用户@x"]);
    utf8.smtputf8 = true;
    let eight = Envelope { body: BodyType::EightBitMime, ..envelope(&["a@x"]) };
    let binary = Envelope { body: BodyType::BinaryMime, ..envelope(&["a@x"]) };
    check(
        &settings(),
        &[utf8.clone(), eight.clone(), binary.clone(), envelope(&["a@x"])],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 SIZE 39
        ! ready
        ! 553 5.6.7 the next server does not take UTF-8 in addresses and header fields (SMTPUTF8)
        ! 554 5.6.3 the next server does not take the octets of this message (8BITMIME, BINARYMIME)
        ! 554 5.6.3 the next server does not take the octets of this message (8BITMIME, BINARYMIME)
        ! 552 5.3.4 the message is longer than the next server takes
        C: QUIT
        S: 221 bye
        ! close",
    );
    check(
        &settings(),
        &[utf8, eight, binary],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250-SMTPUTF8|250-8BITMIME|250-CHUNKING|250-BINARYMIME|250-PIPELINING|250 LIMITS MAILMAX=2
        ! ready
        C: MAIL FROM:<alice@crepes.fr> SMTPUTF8
        C: RCPT TO:<用户@x>
        C: DATA
        S: 250 ok|250 ok|354 go
        C: content
        C: .
        S: 250 taken
        ! 250 taken
        C: MAIL FROM:<alice@crepes.fr> BODY=8BITMIME
        C: RCPT TO:<a@x>
        C: DATA
        S: 250 ok|250 ok|354 go
        C: content
        C: .
        S: 250 taken
        ! 250 taken
        S: 421 too many
        ! failed between messages: 421 too many
        ! close",
    );
}

#[test]
fn binary_content_goes_in_one_chunk_if_anybody_is_to_have_it() {
    let binary = Envelope { body: BodyType::BinaryMime, ..envelope(&["a@x"]) };
    check(
        &settings(),
        &[binary.clone(), binary],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250-CHUNKING|250-BINARYMIME|250 PIPELINING
        ! ready
        C: MAIL FROM:<alice@crepes.fr> BODY=BINARYMIME
        C: RCPT TO:<a@x>
        S: 250 ok|550 no
        ! 550 no
        C: RSET
        C: MAIL FROM:<alice@crepes.fr> BODY=BINARYMIME
        C: RCPT TO:<a@x>
        S: 250 ok|250 ok|250 ok
        C: BDAT 40 LAST
        C: content, chunked
        S: 250 taken
        ! 250 taken
        C: QUIT
        S: 221 bye
        ! close",
    );
}

#[test]
fn tls_is_taken_and_what_was_offered_before_is_forgotten() {
    check(
        &settings(),
        &[],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250-STARTTLS|250 SIZE 10
        C: STARTTLS
        S: 220 go
        ! TLS
        C: EHLO crepes.fr
        S: 250-mx|250-STARTTLS|250 AUTH PLAIN
        ! ready
        C: QUIT
        S: 221 bye
        ! close",
    );
    let required = Settings { security: Security::Required, ..settings() };
    check(
        &required,
        &[],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250 mx
        ! failed agreeing on TLS: the server does not offer STARTTLS
        ! close",
    );
    check(
        &required,
        &[],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 STARTTLS
        C: STARTTLS
        S: 454 4.7.0 not today
        ! failed agreeing on TLS: 454 4.7.0 not today
        ! close",
    );
}

#[test]
fn octets_behind_the_reply_to_starttls_are_an_attack() {
    let server = ["220 mx", "250-mx|250 STARTTLS", "220 go|250 mx"];
    let told = play(settings(), &[], &server, 0);
    assert!(told.ends_with("! failed agreeing on TLS: what came is no reply: expected nothing behind the reply to STARTTLS at octet 0\n! close\n"), "{told}");
}

#[test]
fn a_password_is_sent_under_tls_alone() {
    let credentials = Some(Credentials { name: "tim".to_owned(), password: "tanstaaftanstaaf".to_owned() });
    let login = Settings { credentials, ..settings() };
    check(
        &login,
        &[],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 AUTH LOGIN PLAIN
        ! failed logging in: the server does not offer a way to log in that may be used here
        ! close",
    );
    // RFC 4954 §4.1.
    check(
        &login,
        &[],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 STARTTLS
        C: STARTTLS
        S: 220 go
        ! TLS
        C: EHLO crepes.fr
        S: 250-mx|250 AUTH LOGIN PLAIN
        C: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm
        S: 235 2.7.0 welcome
        ! ready
        C: QUIT
        S: 221 bye
        ! close",
    );
    let local = Settings { clear_password: true, security: Security::Never, ..login };
    check(
        &local,
        &[],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250-STARTTLS|250 AUTH LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dGlt
        S: 334 UGFzc3dvcmQ6
        C: dGFuc3RhYWZ0YW5zdGFhZg==
        S: 535 5.7.8 no
        ! failed logging in: 535 5.7.8 no
        ! close",
    );
    check(
        &local,
        &[],
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 AUTH SCRAM-SHA-256 PLAIN
        C: AUTH SCRAM-SHA-256 biwsbj10aW0scj1ub25jZQ==
        S: 235 2.7.0 believe me
        ! failed logging in: what came is no reply: expected proof that the server knows the password at octet 0
        ! close",
    );
}

#[test]
fn servers_that_leave_are_believed() {
    let one = [envelope(&["a@x", "b@x"])];
    check(
        &settings(),
        &one,
        "S: 554 5.7.1 go away\n! failed waiting for the greeting: 554 5.7.1 go away\n! close",
    );
    check(&settings(), &one, "(silence)\n! failed waiting for the greeting: no answer in 300 s\n! close");
    check(
        &settings(),
        &one,
        "S: hello\n! failed waiting for the greeting: what came is no reply: expected three digits at octet 0\n! close",
    );
    check(
        &settings(),
        &one,
        "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 PIPELINING
        ! ready
        C: MAIL FROM:<alice@crepes.fr>
        C: RCPT TO:<a@x>
        C: RCPT TO:<b@x>
        C: DATA
        S: 250 ok|550 no
        S: 421 going down
        ! 550 no
        ! 421 going down
        ! close",
    );
    let lost = "S: 220 mx
        C: EHLO crepes.fr
        S: 250 mx
        ! ready
        C: MAIL FROM:<alice@crepes.fr>
        ! failed naming sender and recipients: the connection failed: the end
        ! close";
    check(&settings(), &one, lost);
    let silent = "S: 220 mx
        C: EHLO crepes.fr
        S: 250-mx|250 PIPELINING
        ! ready
        C: MAIL FROM:<alice@crepes.fr>
        C: RCPT TO:<a@x>
        C: RCPT TO:<b@x>
        C: DATA
        S: 250 ok|250 ok|250 ok|354 go
        C: content
        C: .
        (silence)
        ! failed sending the content: no answer in 600 s
        ! close";
    check(&settings(), &one, silent);
}

proptest! {
    #[test]
    fn whatever_a_server_says_is_borne(lines in proptest::collection::vec("(2[0-9]0|250|354|334|421|550)[- ](PIPELINING|AUTH PLAIN|x|)|[ -~]{0,6}", 0..12)) {
        let credentials = Some(Credentials { name: "tim".to_owned(), password: "p".to_owned() });
        let settings = Settings { credentials, clear_password: true, ..settings() };
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let told = play(settings.clone(), &[envelope(&["a@x", "b@x"])], &lines, 0);
        prop_assert!(told.ends_with("! close\n"));
        prop_assert_eq!(play(settings, &[envelope(&["a@x", "b@x"])], &lines, 2), told);
    }
}
