//! Doors of SMTP and LMTP as clients see them, over the virtual network.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use doorway_mail::io::{DoorSetup, SmtpParts};
use doorway_mail::smtp::Dialect;
use doorway_mail::smtp::session::Options;
use doorway_net::tcp::TcpDoor;
use doorway_net::{Stream, World};
use doorway_sim::{Link, Node, Simulation};
use tokio::io::AsyncWriteExt;

use crate::mailroom::{DOOR, Mailroom, acceptor, gatekeeper, open_as, options, parts};
use crate::script::{compare, hear, path, play};

struct Post {
    sim: Simulation,
    client: Node,
    room: Arc<Mailroom>,
    parts: SmtpParts,
    door: TcpDoor,
}

fn post(options: Options) -> Post {
    post_as(DoorSetup::new(options))
}

fn post_as(setup: DoorSetup) -> Post {
    let room = Mailroom::new();
    let (_, gate) = gatekeeper();
    let parts = SmtpParts { gate: Some(gate), tls: Some(acceptor()), ..parts(&room) };
    let mut sim = Simulation::new(5);
    let node = sim.node("server", "10.0.0.1");
    let client = sim.node("client", "10.0.0.2");
    sim.link(node, client, Link { delay: Duration::from_millis(10), ..Link::default() });
    let door = open_as(&sim.world(node), &room, setup, &parts);
    Post { sim, client, room, parts, door }
}

impl Post {
    fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &mut self,
        talk: impl FnOnce(World) -> F,
    ) -> T {
        let world = self.sim.world(self.client);
        self.sim.run(self.client, talk(world)).unwrap()
    }

    fn script(&mut self, name: &'static str) {
        let name = format!("smtp/{name}.txt");
        let script = std::fs::read_to_string(path(&name)).unwrap();
        let played = script.clone();
        let told = self.run(|world| async move { play(&world, dial(&world).await, &played).await });
        compare(&name, &script, &told);
    }
}

async fn dial(world: &World) -> Stream {
    world.connect(DOOR.parse().unwrap()).await.unwrap()
}

/// Sends octets in one go and hears what comes.
async fn say(world: &World, stream: &mut Stream, octets: &[u8]) -> String {
    stream.write_all(octets).await.unwrap();
    String::from_utf8_lossy(&hear(world, stream).await.0).into_owned()
}

#[test]
fn the_course_notes_send_their_message() {
    let mut post = post(options());
    post.script("course_notes");
    let [came] = &post.room.came()[..] else { panic!("one message") };
    assert_eq!(came.content, b"Do you like ketchup?\r\nHow about pickles?\r\n");
    assert_eq!(came.envelope.from.as_ref().unwrap().to_string(), "alice@crepes.fr");
    assert_eq!((came.origin.protocol, came.origin.greeting.as_str()), ("SMTP", "crepes.fr"));
    assert_eq!(came.origin.remote, Some("10.0.0.2".parse().unwrap()));
    let counters = &post.parts.counters;
    assert_eq!((counters.messages.load(Relaxed), counters.octets.load(Relaxed)), (1, 45));
}

#[test]
fn clients_of_all_kinds_are_answered() {
    post(options()).script("pipelined");
    post(options()).script("refusals");
    post(Options::new("hamburger.edu", Dialect::Lmtp)).script("lmtp");
    let submission = Options { submission: true, auth_required: true, ..options() };
    post(submission).script("submission");
}

#[test]
fn replies_to_one_read_leave_in_one_write() {
    let mut post = post(options());
    let lines = post.run(|world| async move {
        let mut stream = dial(&world).await;
        hear(&world, &mut stream).await;
        let told = say(&world, &mut stream, b"HELO x\r\n").await;
        assert!(told.starts_with("250 "));
        let group =
            b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\nRCPT TO:<eve@hamburger.edu>\r\nDATA\r\n";
        stream.write_all(group).await.unwrap();
        // What one write brings comes in one read: the link delays, and does not part it.
        let mut piece = [0; 4096];
        let count = tokio::io::AsyncReadExt::read(&mut stream, &mut piece).await.unwrap();
        String::from_utf8_lossy(&piece[..count]).lines().count()
    });
    assert_eq!(lines, 4);
}

#[test]
fn long_messages_go_by_the_disk_and_a_full_disk_refuses_them_at_their_end() {
    let mut post = post(options());
    let content = b"All work and no play makes Jack a dull boy, and this line is a line.\r\n".repeat(40_000);
    let sent = content.clone();
    let room = Arc::clone(&post.room);
    post.run(|world| async move {
        let mut stream = dial(&world).await;
        hear(&world, &mut stream).await;
        say(&world, &mut stream, b"HELO x\r\n").await;
        for wanted in ["250", "452", "250"] {
            room.disk.set_capacity(if wanted == "452" { 1_000_000 } else { u64::MAX });
            let told =
                say(&world, &mut stream, b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n").await;
            assert!(told.lines().last().unwrap().starts_with("354"), "{told}");
            let told = say(&world, &mut stream, &[wanted.as_bytes(), &sent, b".\r\n"].concat()).await;
            assert!(told.starts_with(wanted), "{wanted}: {told}");
        }
        room.is_full.store(true, Relaxed);
        let told = say(&world, &mut stream, b"MAIL FROM:<a@x>\r\n").await;
        assert!(told.starts_with("452 4.3.1"), "{told}");
    });
    let came = post.room.came();
    assert_eq!(came.len(), 2);
    assert!(came.iter().all(|came| came.was_spilt && came.content[3..] == content));
}

#[test]
fn a_door_that_closes_lets_messages_finish() {
    let mut post = post(options());
    let door = post.door.clone();
    let (idle, closed, busy) = post.run(|world| async move {
        let mut idle = dial(&world).await;
        let mut busy = dial(&world).await;
        hear(&world, &mut idle).await;
        hear(&world, &mut busy).await;
        say(&world, &mut busy, b"HELO x\r\n").await;
        say(&world, &mut busy, b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n").await;
        door.close();
        let (idle, closed) = hear(&world, &mut idle).await;
        let busy = say(&world, &mut busy, b"hello\r\n.\r\n").await;
        (String::from_utf8_lossy(&idle).into_owned(), closed, busy)
    });
    assert_eq!(idle, "421 4.3.2 the server is closing, come back later\r\n");
    assert!(closed);
    assert!(busy.starts_with("250 2.0.0 kept as ") && busy.contains("\r\n421 4.3.2 "), "{busy}");
    assert_eq!(post.room.came().len(), 1);
}

#[test]
fn who_goes_away_amid_a_message_has_sent_nothing() {
    let mut post = post(options());
    post.run(|world| async move {
        for cut in [b"DATA\r\nhello".as_slice(), b"DATA\r\nhello\r\n.", b"BDAT 20 LAST\r\nhello\r\n"] {
            let mut stream = dial(&world).await;
            hear(&world, &mut stream).await;
            say(&world, &mut stream, b"EHLO x\r\n").await;
            say(&world, &mut stream, b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\n").await;
            let at = cut.iter().position(|octet| *octet == b'\n').unwrap() + 1;
            say(&world, &mut stream, &cut[..at]).await;
            say(&world, &mut stream, &cut[at..]).await;
        }
        world.sleep(Duration::from_secs(10)).await;
    });
    assert_eq!(post.room.came(), []);
}

#[test]
fn a_slow_message_is_cut_off_but_silence_between_commands_is_not() {
    let mut post = post(options());
    let door = post.door.clone();
    post.run(|world| async move {
        let mut stream = dial(&world).await;
        hear(&world, &mut stream).await;
        say(&world, &mut stream, b"HELO x\r\n").await;
        for content in [&b"bare\nLF\r\n.\r\n"[..], b"fine\r\n.\r\n"] {
            say(&world, &mut stream, b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n").await;
            say(&world, &mut stream, content).await;
            world.sleep(Duration::from_secs(200)).await;
            assert!(say(&world, &mut stream, b"NOOP\r\n").await.starts_with("250 "));
        }
        say(&world, &mut stream, b"MAIL FROM:<a@x>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n").await;
        let slow = || door.door().counts().ended.iter().any(|(why, count)| *why == "slow" && *count == 1);
        let mut dripped = 0;
        while !slow() && dripped < 1000 {
            stream.write_all(b"x\r\n").await.unwrap();
            world.sleep(Duration::from_secs(1)).await;
            dripped += 1;
        }
        assert!(dripped < 40, "{dripped} lines of one octet in as many seconds");
    });
    assert_eq!(post.room.came().len(), 1);
}

#[test]
fn no_password_is_in_the_trace() {
    let mut post = post_as(DoorSetup { clear_passwords: true, ..DoorSetup::new(options()) });
    let seen = post.sim.trace().clone();
    let began = seen.events().len();
    post.run(|world| async move {
        let mut stream = dial(&world).await;
        hear(&world, &mut stream).await;
        for lines in ["EHLO x", "AUTH LOGIN", "dXNlcg==", "cGVuY2ls", "AUTH PLAIN AHVzZXIAcGVuY2ls"] {
            say(&world, &mut stream, format!("{lines}\r\n").as_bytes()).await;
        }
    });
    assert_eq!(post.parts.counters.logins.load(Relaxed), 1);
    for event in &seen.events()[began..] {
        let octets = String::from_utf8_lossy(&event.octets);
        assert!(!octets.contains("cGVuY2ls") && !event.summary.contains("cGVuY2ls"), "{}", event.summary);
    }
}
