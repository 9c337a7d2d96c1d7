//! A door of SMTP says the same however a client's octets are cut into reads.
#![no_main]
use std::sync::Arc;

use doorway_base::Instant;
use doorway_mail::MessageId;
use doorway_mail::smtp::Dialect;
use doorway_mail::smtp::conversation::{Conversation, Task};
use doorway_mail::smtp::data::BareNewline;
use doorway_mail::smtp::session::{Input, LoginOutcome, Options, Peer};

fn said(octets: &[u8], step: usize) -> (Vec<u8>, Vec<u8>) {
    let options = Arc::new(Options { auth: true, ..Options::new("mx.test", Dialect::Smtp) });
    let peer = Peer { tls: true, clear_password: true, chunking: true };
    let mut door = Conversation::new(Instant::ZERO, &options, peer, None, BareNewline::Normalize);
    let (mut out, mut kept, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    door.go_on(&mut out, &mut |_| ());
    for part in octets.chunks(step) {
        waiting.extend_from_slice(part);
        loop {
            let (used, mut task) = door.take(Instant::ZERO, &waiting, &mut out, &mut |_| ());
            waiting.drain(..used);
            if task.is_none() {
                break;
            }
            while let Some(some) = task.take() {
                let input = match some {
                    Task::Sender => Input::Sender(Ok(())),
                    Task::Recipient => Input::Recipient(Ok(())),
                    Task::Begin => break,
                    Task::Spill => {
                        kept.extend(door.take_pieces().concat());
                        break;
                    }
                    Task::Message => {
                        kept.extend(door.take_pieces().concat());
                        Input::Accepted(Ok(MessageId(1)))
                    }
                    Task::Login { name, .. } => Input::Login(LoginOutcome::User(name)),
                    Task::Scram { .. } => Input::Verifier(Err(LoginOutcome::Denied)),
                    Task::StartTls | Task::Proven(_) | Task::Close => return (out, kept),
                };
                task = door.answer(Instant::ZERO, input, &mut out, &mut |_| ());
            }
        }
    }
    (out, kept)
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let (whole, cut) = (said(octets, octets.len().max(1)), said(octets, 1));
    // Who sends more behind DATA or EHLO is told apart by the cut alone.
    if !whole.0.windows(8).any(|eight| eight == b"RFC 2920") {
        assert_eq!(whole, cut);
    }
});
