//! The session without a door: what it wishes, and when.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::id::MessageId;
use crate::mailbox::MaildropEntry;

const POLICY: Policy = Policy { stls: true, tls: false, clear: true };

fn maildrop(count: u32) -> Maildrop {
    let entries = (1..=count).map(|uid| MaildropEntry { uid: uid * 3, id: MessageId(1), octets: 100 });
    Maildrop { uid_validity: 7, entries: Arc::new(entries.collect()), octets: 100 * u64::from(count) }
}

/// Hands a line in and does everything that is wished; what was said, and what was to be deleted.
fn hand_in(session: &mut Session, input: Input<'_>, count: u32) -> (String, Option<UidSet>, bool) {
    session.handle(input);
    let (mut said, mut deleted, mut closed) = (String::new(), None, false);
    while let Some(output) = session.poll_output() {
        match output {
            Output::Octets(octets) => said += &String::from_utf8(octets).expect("replies are text"),
            Output::Login { name, .. } if name == "bob" => session.handle(Input::LoggedIn(Ok(()))),
            Output::Login { .. } | Output::Proven(_) => {
                session.handle(Input::LoggedIn(Err(Refusal::Denied)));
            }
            Output::Verify { .. } => session.handle(Input::Verifier(Err(Refusal::Temporary))),
            Output::Open => session.handle(Input::Opened(Ok(maildrop(count)))),
            Output::Retrieve { reply, .. } => said += &(reply + ".\r\n"),
            Output::Delete(uids) => {
                deleted = Some(uids);
                session.handle(Input::Deleted(Ok(())));
            }
            Output::Secure => session.handle(Input::Secured),
            Output::Close => closed = true,
        }
    }
    (said, deleted, closed)
}

fn opened(count: u32) -> Session {
    let mut session = Session::new(POLICY);
    while session.poll_output().is_some() {}
    for line in [&b"USER bob"[..], b"PASS x"] {
        hand_in(&mut session, Input::Line(Line::Whole(line)), count);
    }
    session
}

#[test]
fn messages_that_could_not_be_deleted_are_told_at_quit() {
    let mut session = opened(2);
    hand_in(&mut session, Input::Line(Line::Whole(b"DELE 2")), 2);
    session.handle(Input::Line(Line::Whole(b"QUIT")));
    assert_eq!(session.poll_output(), Some(Output::Delete(UidSet::range(6, 6))));
    assert_eq!(session.poll_output(), None);
    session.handle(Input::Deleted(Err(Refusal::Temporary)));
    let Some(Output::Octets(octets)) = session.poll_output() else { panic!("a reply") };
    assert!(octets.starts_with(b"-ERR [SYS/TEMP]"));
    assert_eq!(session.poll_output(), Some(Output::Close));
}

#[test]
fn too_many_errors_end_a_session_without_deleting() {
    let mut session = opened(2);
    hand_in(&mut session, Input::Line(Line::Whole(b"DELE 1")), 2);
    let mut last = (String::new(), None, false);
    for _ in 0..ERRORS_MAX {
        assert!(!last.2);
        last = hand_in(&mut session, Input::Line(Line::Whole(b"WHAT")), 2);
    }
    assert_eq!(last, ("-ERR unknown command\r\n-ERR too many errors\r\n".to_owned(), None, true));
}

#[test]
fn tls_that_began_forgets_who_had_begun_to_log_in() {
    let mut session = Session::new(POLICY);
    while session.poll_output().is_some() {}
    hand_in(&mut session, Input::Line(Line::Whole(b"USER bob")), 0);
    hand_in(&mut session, Input::Line(Line::Whole(b"STLS")), 0);
    let (said, ..) = hand_in(&mut session, Input::Line(Line::Whole(b"PASS x")), 0);
    assert_eq!(said, "-ERR say USER first\r\n");
    let (said, ..) = hand_in(&mut session, Input::Line(Line::Whole(b"STLS")), 0);
    assert_eq!(said, "-ERR TLS is there already\r\n");
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        (1..7u32).prop_map(|number| format!("DELE {number}")),
        (1..7u32).prop_map(|number| format!("RETR {number}")),
        Just("RSET".to_owned()),
        Just("LIST".to_owned()),
        Just("UIDL".to_owned()),
        Just("STAT".to_owned()),
        Just("CAPA".to_owned()),
        Just("NOOP".to_owned()),
        "[A-Z]{1,5} [ -~]{0,8}",
    ]
}

proptest! {
    #[test]
    fn nothing_but_what_is_marked_is_deleted_and_only_at_quit(lines in proptest::collection::vec(line(), 0..19)) {
        let mut session = opened(5);
        let mut marked = std::collections::BTreeSet::new();
        for line in &lines {
            prop_assume!(!line.starts_with("QUIT"));
            let (said, deleted, _) = hand_in(&mut session, Input::Line(Line::Whole(line.as_bytes())), 5);
            prop_assert_eq!(deleted, None);
            let number = line.strip_prefix("DELE ").and_then(|rest| rest.trim_end().parse::<u32>().ok());
            if said.starts_with("+OK message") {
                marked.extend(number);
            } else if line.trim_end() == "RSET" {
                marked.clear();
            }
            let status = said.split("\r\n").next().unwrap_or_default();
            prop_assert!(status.starts_with("+OK") || status.starts_with("-ERR"), "{}", status);
            prop_assert!(said.split("\r\n").all(|line| line.len() <= 510), "RFC 1939 §3: 512 octets with CRLF");
        }
        let (_, deleted, closed) = hand_in(&mut session, Input::Line(Line::Whole(b"QUIT")), 5);
        let expected: UidSet = marked.iter().map(|number| number * 3).collect();
        prop_assert_eq!(deleted.unwrap_or_default(), expected);
        prop_assert!(closed);
    }

    #[test]
    fn any_octets_are_answered(octets in proptest::collection::vec(any::<u8>(), 0..300), max in 1..40usize) {
        let mut session = Session::new(POLICY);
        while session.poll_output().is_some() {}
        let mut lines = super::super::lines::Lines::default();
        for chunk in octets.chunks(max) {
            lines.push(chunk);
            while let Some(line) = lines.next(session.line_octets_max()) {
                let (said, _, closed) = hand_in(&mut session, Input::Line(line), 3);
                prop_assert!(said.ends_with("\r\n"));
                if closed {
                    return Ok(());
                }
            }
        }
    }
}
