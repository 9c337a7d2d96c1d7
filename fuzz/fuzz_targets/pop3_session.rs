//! A session of POP3 answers any octets, and a message comes out of its stuffing whole, in whatever pieces.
#![no_main]
use std::sync::Arc;

use doorway_mail::MessageId;
use doorway_mail::mailbox::{Maildrop, MaildropEntry};
use doorway_mail::pop3::{Input, Lines, Output, Policy, Refusal, Session, Stuffing};

fn stuffed(octets: &[u8], step: usize) -> Vec<u8> {
    let (mut stuffing, mut out) = (Stuffing::whole(), Vec::new());
    octets.chunks(step).for_each(|piece| assert!(stuffing.push(piece, &mut out)));
    stuffing.finish(&mut out);
    out
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    assert_eq!(stuffed(octets, 1), stuffed(octets, octets.len().max(1)));
    let entry = MaildropEntry { uid: 1, id: MessageId(1), octets: 2 };
    let maildrop = Maildrop { uid_validity: 1, entries: Arc::new(vec![entry; 3]), octets: 6 };
    let mut session = Session::new(Policy { stls: true, tls: false, clear: true });
    while session.poll_output().is_some() {}
    let mut lines = Lines::default();
    lines.push(octets);
    while let Some(line) = lines.next(session.line_octets_max()) {
        session.handle(Input::Line(line));
        while let Some(output) = session.poll_output() {
            match output {
                Output::Login { .. } | Output::Proven(_) => session.handle(Input::LoggedIn(Ok(()))),
                Output::Verify { .. } => session.handle(Input::Verifier(Err(Refusal::Denied))),
                Output::Open => session.handle(Input::Opened(Ok(maildrop.clone()))),
                Output::Delete(uids) => {
                    assert_eq!(uids.len(), 1, "all three have one UID here");
                    session.handle(Input::Deleted(Ok(())));
                }
                Output::Secure => session.handle(Input::Secured),
                Output::Close => return,
                Output::Octets(_) | Output::Retrieve { .. } => {}
            }
        }
    }
});
