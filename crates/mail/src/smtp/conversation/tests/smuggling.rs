//! SMTP smuggling: every wrong end of the content, alone and with commands behind it, cut at each octet. What
//! is judged is how many messages there are.

use proptest::prelude::*;

use super::*;

/// Sequences that some server, somewhere, has taken for the end of the content.
pub(crate) const WRONG_ENDS: [&str; 26] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\n\n.\n\n",
    "\r\r.\r\r",
    "\n\r.\r\n",
    "\n\r.\n\r",
    "\r\n.\r\r\n",
    "\r\r\n.\n",
    "\r\n.\n\r\n",
    "\r\n.\0\r\n",
    "\r\n\0.\r\n",
    "\r\n.\r\0\n",
    "\r\0\n.\r\n",
    "\0\r\n.\0\r\n",
    "\n.\0\n",
    "\0\n.\n",
    "\r\n.\n.\n",
    "\r\n..\n",
    "\u{85}.\u{85}",
    "\u{2028}.\u{2028}",
];

const SMUGGLED: &str = "MAIL FROM:<evil@hamburger.edu>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n";

fn opened(bare_newline: BareNewline) -> Door {
    let mut door = Door::new(options(), remote_peer(), bare_newline);
    door.receive(b"EHLO x\r\n");
    door.receive(b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n");
    door
}

#[test]
fn no_wrong_end_lets_a_second_message_through() {
    for wrong in WRONG_ENDS {
        for behind in ["", SMUGGLED] {
            let octets = format!("Subject: one\r\n\r\nfirst{wrong}{behind}\r\n.\r\nQUIT\r\n");
            for bare_newline in [BareNewline::Reject, BareNewline::Normalize] {
                for cut in 0..=octets.len() {
                    let mut door = opened(bare_newline);
                    door.receive(&octets.as_bytes()[..cut]);
                    door.receive(&octets.as_bytes()[cut..]);
                    // With commands behind it, the content ends at their own CRLF.CRLF, and what follows is
                    // an empty line and a dot that are no commands.
                    let bare =
                        wrong.bytes().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) && !wrong.is_empty();
                    let most = usize::from(bare_newline == BareNewline::Normalize || !bare);
                    assert!(door.messages.len() <= most, "{wrong:?} cut at {cut}: {}", door.told);
                    assert!(door.messages.iter().all(|(envelope, _)| {
                        envelope.from.as_ref().is_some_and(|from| from.local == "a")
                    }));
                }
            }
        }
    }
}

#[test]
fn what_is_refused_is_refused_once_and_at_its_true_end() {
    for wrong in WRONG_ENDS.iter().take(24) {
        let mut door = opened(BareNewline::Reject);
        door.told.clear();
        door.receive(format!("first{wrong}second\r\n.\r\n").as_bytes());
        assert_eq!(door.told.lines().count(), 1, "{wrong:?}: {}", door.told);
        assert!(door.told.starts_with("S: 550 5.6.0 "), "{wrong:?}: {}", door.told);
        assert!(door.messages.is_empty());
    }
}

#[test]
fn nothing_is_smuggled_out() {
    for wrong in WRONG_ENDS {
        for behind in ["", SMUGGLED] {
            let content = format!("first{wrong}{behind}");
            let mut stuffer = crate::smtp::data::Stuffer::default();
            let mut octets = Vec::new();
            stuffer.write(content.as_bytes(), &mut octets);
            stuffer.finish(&mut octets);
            // For the strictest reader and for the most careless one there is one end.
            let careless: Vec<u8> = octets.iter().copied().filter(|octet| *octet != b'\r').collect();
            let ends = careless.windows(3).filter(|three| three == b"\n.\n").count();
            assert_eq!(ends, 1, "{wrong:?}");
            let mut door = opened(BareNewline::Reject);
            door.receive(&octets);
            assert_eq!(door.messages.len(), 1, "{wrong:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_cut_of_any_octets_behind_data_gives_the_same_messages(
        pieces in proptest::collection::vec(prop_oneof![
            Just("\r\n"), Just("."), Just("\r"), Just("\n"), Just("\0"), Just("ab"), Just("\r\n.\r\n"),
            Just("MAIL FROM:<c@x>\r\n"), Just("RCPT TO:<bob@hamburger.edu>\r\n"), Just("RSET\r\n"), Just("QUIT\r\n"),
            Just("BDAT 3\r\n"), Just("BDAT 4 LAST\r\n"),
        ], 0..14),
        step in 1..9usize,
    ) {
        let octets = pieces.concat();
        let mut whole = opened(BareNewline::Reject);
        whole.receive(octets.as_bytes());
        let mut cut = opened(BareNewline::Reject);
        octets.as_bytes().chunks(step).for_each(|piece| cut.receive(piece));
        prop_assert_eq!(whole.told, cut.told);
        prop_assert_eq!(whole.messages, cut.messages);
    }
}
