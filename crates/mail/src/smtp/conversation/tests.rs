//! Doors against clients of all kinds, as dialogues: `C:` what the client says (lines that follow one another
//! leave in one write), `S:` what the door says, `!` what happens beside it, `T+` how time passes.

mod dialogues;
mod relaying;
mod smuggling;

use std::time::Duration;

use doorway_store::ScramVerifier;

use super::*;
use crate::address::{Address, Domain};
use crate::envelope::Envelope;
use crate::id::MessageId;
use crate::reply::Enhanced;
use crate::smtp::Dialect;
use crate::smtp::session::{LoginOutcome, Verifier};

/// A door with a simple mind behind it, and what it was told.
struct Door {
    now: Instant,
    conversation: Conversation,
    unused: Vec<u8>,
    told: String,
    messages: Vec<(Envelope, Vec<u8>)>,
    closed: bool,
    /// Parts of the content at hand that left the memory.
    spilt: Vec<u8>,
}

fn options() -> Options {
    Options { starttls: true, auth: true, ..Options::new("hamburger.edu", Dialect::Smtp) }
}

fn remote_peer() -> Peer {
    Peer { tls: false, clear_password: false, chunking: true }
}

fn is_ours(address: &Address) -> bool {
    matches!(&address.domain, Domain::Name(name) if name == "hamburger.edu" || name == "例子.测试")
}

impl Door {
    fn new(options: Options, peer: Peer, bare_newline: BareNewline) -> Self {
        let options = Arc::new(options);
        let conversation = Conversation::new(Instant::ZERO, &options, peer, None, bare_newline);
        let mut door = Self {
            now: Instant::ZERO,
            conversation,
            unused: Vec::new(),
            told: String::new(),
            messages: Vec::new(),
            closed: false,
            spilt: Vec::new(),
        };
        let mut out = Vec::new();
        let task = door.conversation.go_on(&mut out, &mut |_| ());
        door.perform(task, out);
        door
    }

    fn tell(&mut self, out: &[u8]) {
        for line in String::from_utf8_lossy(out).split_terminator("\r\n") {
            self.told.push_str(&format!("S: {line}\n"));
        }
    }

    /// Hands over octets that come in one read.
    fn receive(&mut self, octets: &[u8]) {
        let mut octets = [&std::mem::take(&mut self.unused)[..], octets].concat();
        while !self.closed {
            let mut out = Vec::new();
            let (used, task) = self.conversation.take(self.now, &octets, &mut out, &mut |_| ());
            octets.drain(..used);
            let more = task.is_some();
            self.perform(task, out);
            if !more {
                break;
            }
        }
        self.unused = octets;
    }

    fn perform(&mut self, mut task: Option<Task>, mut out: Vec<u8>) {
        while let Some(some) = task.take() {
            let session = self.conversation.session();
            let input = match some {
                Task::Sender => Input::Sender(match &session.envelope().from {
                    Some(from) if from.local == "spammer" => {
                        Err(Reply::new(550, Enhanced(5, 7, 1), "not you"))
                    }
                    _ => Ok(()),
                }),
                Task::Recipient => Input::Recipient(match session.candidate().map(|to| &to.address) {
                    Some(to) if to.local == "full" => Err(Reply::new(452, Enhanced(4, 2, 2), "full")),
                    Some(to) if is_ours(to) || session.origin().user.is_some() => Ok(()),
                    _ => Err(Reply::new(550, Enhanced(5, 7, 1), "not relayed")),
                }),
                Task::Begin => {
                    self.spilt.clear();
                    break;
                }
                Task::Spill => {
                    let pieces = self.conversation.take_pieces();
                    assert!(
                        pieces.iter().map(Bytes::len).sum::<usize>() < MEMORY_OCTETS_MAX + 2 * PIECE_OCTETS
                    );
                    self.spilt.extend(pieces.concat());
                    break;
                }
                Task::Message => {
                    let envelope = self.conversation.session_mut().take_envelope();
                    let content =
                        [std::mem::take(&mut self.spilt), self.conversation.take_pieces().concat()].concat();
                    let spam = content.starts_with(b"SPAM");
                    self.messages.push((envelope, content));
                    let id = MessageId(self.messages.len() as u64);
                    Input::Accepted(if spam {
                        Err(Reply::new(554, Enhanced(5, 7, 1), "spam"))
                    } else {
                        Ok(id)
                    })
                }
                Task::StartTls => {
                    self.tell(&out);
                    out.clear();
                    self.told.push_str("! TLS\n");
                    Input::Secured
                }
                Task::Login { name, password } => Input::Login(match (&*name, &*password) {
                    ("ann", "secret") => LoginOutcome::User(name),
                    ("busy", _) => LoginOutcome::Unavailable,
                    ("eager", _) => LoginOutcome::Limited(Duration::from_secs(30)),
                    _ => LoginOutcome::Denied,
                }),
                Task::Scram { .. } => Input::Verifier(Ok(Verifier {
                    verifier: ScramVerifier::derive("pencil", [1; 16], 4096),
                    nonce: "server".to_owned(),
                })),
                Task::Proven(true) => Input::Login(LoginOutcome::User("user".to_owned())),
                Task::Proven(false) => Input::Login(LoginOutcome::Denied),
                Task::Close => {
                    self.tell(&out);
                    self.told.push_str("! close\n");
                    self.closed = true;
                    return;
                }
            };
            task = self.conversation.answer(self.now, input, &mut out, &mut |_| ());
        }
        self.tell(&out);
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        if self.conversation.session().next_timeout().is_some_and(|due| due <= self.now) {
            let mut out = Vec::new();
            let task = self.conversation.answer(self.now, Input::Timeout, &mut out, &mut |_| ());
            self.perform(task, out);
        }
    }
}

/// Plays a dialogue, with what comes in one write cut at `cut`, and gives it as it went.
fn play(door: &mut Door, dialogue: &str, cut: usize) {
    let mut lines = dialogue.lines().map(str::trim_start).peekable();
    while let Some(line) = lines.next() {
        if let Some(span) = line.strip_prefix("T+") {
            door.told.push_str(&format!("{line}\n"));
            door.wait(Duration::from_secs(span.trim_end_matches('s').parse().expect("seconds")));
        }
        if line == "! drain" {
            door.told.push_str("! drain\n");
            let mut out = Vec::new();
            let task = door.conversation.answer(door.now, Input::Drain, &mut out, &mut |_| ());
            door.perform(task, out);
        }
        let Some(first) = line.strip_prefix("C: ").or(line.strip_prefix("C:")) else { continue };
        let mut group = format!("{first}\r\n");
        door.told.push_str(&format!("{line}\n"));
        while let Some(next) = lines.next_if(|next| next.starts_with("C:")) {
            door.told.push_str(&format!("{next}\n"));
            let next = next.strip_prefix("C: ").unwrap_or(&next[2..]);
            group.push_str(&format!("{next}\r\n"));
        }
        let (one, other) = group.as_bytes().split_at(cut.min(group.len()));
        for piece in [one, other].into_iter().filter(|piece| !piece.is_empty()) {
            door.receive(piece);
        }
    }
}

fn text(dialogue: &str) -> String {
    dialogue.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}

/// The dialogue must go like this, wherever the octets of a write are cut. Gives the messages that came.
fn check(options: &Options, peer: Peer, dialogue: &str) -> Vec<(Envelope, Vec<u8>)> {
    let longest = dialogue.len();
    let mut messages = None;
    for cut in (0..longest.min(120)).chain([longest / 2, longest]) {
        let mut door = Door::new(options.clone(), peer, BareNewline::Reject);
        play(&mut door, dialogue, cut);
        assert_eq!(door.told, text(dialogue), "cut at {cut}");
        let first = messages.get_or_insert_with(|| door.messages.clone());
        assert_eq!(*first, door.messages, "cut at {cut}");
    }
    messages.unwrap_or_default()
}

/// The same without cuts, where it matters what comes together.
fn check_whole(options: &Options, peer: Peer, dialogue: &str) -> Vec<(Envelope, Vec<u8>)> {
    let mut door = Door::new(options.clone(), peer, BareNewline::Reject);
    play(&mut door, dialogue, 0);
    assert_eq!(door.told, text(dialogue));
    door.messages
}
