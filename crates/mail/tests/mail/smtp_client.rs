//! Our client at our own doors, over the virtual network: TLS, logins, long messages, reuse.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use doorway_mail::io::{Content, Link as Line, Place, SmtpClient, SmtpParts, Source, Target};
use doorway_mail::smtp::session::Options;
use doorway_mail::smtp::{Cause, Credentials, Dialect, Failure, Security, Settings, Stage};
use doorway_mail::{Address, BodyType, Envelope, MessageId, Recipient, Reply};
use doorway_net::World;
use doorway_net::tls::TlsDialler;
use doorway_sim::{Link, Node, Simulation};
use doorway_store::{Batch, wait};

use crate::mailroom::{DOOR, Mailroom, acceptor, bodies, gatekeeper, open, options, parts};
use crate::support::House;

struct Post {
    sim: Simulation,
    client: Node,
    server: Node,
    room: Arc<Mailroom>,
    parts: SmtpParts,
}

fn post(options: Options) -> Post {
    let room = Mailroom::new();
    let (_, gate) = gatekeeper();
    let parts = SmtpParts { gate: Some(gate), tls: Some(acceptor()), ..parts(&room) };
    let mut sim = Simulation::new(5);
    let server = sim.node("server", "10.0.0.1");
    let client = sim.node("client", "10.0.0.2");
    sim.link(server, client, Link { delay: Duration::from_millis(10), ..Link::default() });
    open(&sim.world(server), &room, options, &parts);
    Post { sim, client, server, room, parts }
}

impl Post {
    fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &mut self,
        talk: impl FnOnce(World) -> F,
    ) -> T {
        let world = self.sim.world(self.client);
        self.sim.run(self.client, talk(world)).unwrap()
    }
}

fn settings() -> Settings {
    Settings { security: Security::Never, ..Settings::new("crepes.fr") }
}

async fn dial(world: &World, settings: &Settings) -> Result<Line, Failure> {
    let client = SmtpClient::new(world, Arc::new(TlsDialler::new(None, &[]).unwrap()));
    let target = Target { name: "hamburger.edu".to_owned(), place: Place::Tcp(DOOR.parse().unwrap()) };
    client.open(&target, settings).await
}

fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        from: Some(Address::parse("alice@crepes.fr").unwrap()),
        recipients: recipients.iter().map(|to| Recipient::new(Address::parse(to).unwrap())).collect(),
        ..Envelope::default()
    }
}

fn source(content: &[u8]) -> Source {
    Source::Memory(content.chunks(1000).map(Bytes::copy_from_slice).collect())
}

fn codes(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.code).collect()
}

#[test]
fn messages_follow_one_another_over_one_connection() {
    let mut post = post(options());
    let told = post.run(|world| async move {
        let mut link = dial(&world, &settings()).await.unwrap();
        let mut told = Vec::new();
        let to = ["bob@hamburger.edu", "full@hamburger.edu", "eve@elsewhere.test"];
        told.push(codes(&link.send(&envelope(&to), &source(b".\r\nbare\nline\rends\r\n.")).await.unwrap()));
        told.push(codes(&link.send(&envelope(&to[1..]), &source(b"nobody")).await.unwrap()));
        told.push(codes(&link.send(&envelope(&to[..1]), &source(b"")).await.unwrap()));
        assert!(link.is_open());
        link.quit().await;
        told
    });
    assert_eq!(told, [vec![250, 452, 550], vec![452, 550], vec![250]]);
    let came: Vec<_> = post.room.came().into_iter().map(|came| came.content).collect();
    assert_eq!(came, [b".\r\nbare\r\nline\r\nends\r\n.\r\n".to_vec(), Vec::new()]);
}

#[test]
fn a_hundred_messages_are_enough_for_one_connection() {
    let mut post = post(options());
    let sent = post.run(|world| async move {
        let mut link = dial(&world, &settings()).await.unwrap();
        let mut sent = 0;
        while link.is_open() {
            assert_eq!(
                codes(&link.send(&envelope(&["bob@hamburger.edu"]), &source(b"x")).await.unwrap()),
                [250]
            );
            sent += 1;
        }
        let over = link.send(&envelope(&["bob@hamburger.edu"]), &source(b"x")).await.unwrap_err();
        assert_eq!(over.stage, Stage::Idle);
        sent
    });
    assert_eq!(sent, 100);
}

#[test]
fn a_kept_message_is_sent_from_where_it_is_wanted() {
    let house = House::new();
    let body = b"Return-Path: <>\r\n".iter().copied().chain(b"long enough for the disk\r\n".repeat(80_000));
    let all: Vec<u8> = body.collect();
    let bodies = house.mailboxes.bodies().clone();
    let (kept, sent) = (bodies.clone(), all[17..].to_vec());
    let content = Content::Memory(vec![all.into()]);
    let prepared = wait(bodies.prepare(b"", &content)).unwrap();
    let batch = bodies.keep(Batch::new(), MessageId(1), &prepared, 1);
    wait(async { doorway_store::Store::commit(&*house.store, batch).await }).unwrap();
    let body = wait(kept.body(MessageId(1))).unwrap().unwrap();
    let mut post = post(options());
    post.run(|world| async move {
        let mut link = dial(&world, &settings()).await.unwrap();
        let source = Source::Kept { bodies: kept, body, skip: 17 };
        assert_eq!(codes(&link.send(&envelope(&["bob@hamburger.edu"]), &source).await.unwrap()), [250]);
    });
    assert!(post.room.came()[0].content == sent);
}

#[test]
fn what_cannot_be_read_is_never_taken_for_whole() {
    let mut post = post(options());
    let failure = post.run(|world| async move {
        let mut link = dial(&world, &settings()).await.unwrap();
        let missing = doorway_mail::io::Body::Blob { id: doorway_store::BlobId([7; 32]), octets: 100 };
        let source = Source::Kept { bodies: bodies(), body: missing, skip: 0 };
        let failure = link.send(&envelope(&["bob@hamburger.edu"]), &source).await.unwrap_err();
        world.sleep(Duration::from_secs(5)).await;
        failure
    });
    assert!(matches!(failure.cause, Cause::Content(_)), "{failure}");
    assert!(!failure.allows_next_host());
    assert_eq!(post.room.came(), []);
}

#[test]
fn tls_is_used_where_it_is_offered() {
    let mut post = post(options());
    post.run(|world| async move {
        let opportunistic = Settings::new("crepes.fr");
        let mut link = dial(&world, &opportunistic).await.unwrap();
        assert!(link.is_tls());
        assert!(!link.capabilities().starttls && !link.capabilities().auth.is_empty());
        assert_eq!(codes(&link.send(&envelope(&["bob@hamburger.edu"]), &source(b"x")).await.unwrap()), [250]);
        link.quit().await;
        let verified = Settings { security: Security::Verified, ..opportunistic };
        let failure = dial(&world, &verified).await.unwrap_err();
        assert_eq!(failure.stage, Stage::Tls, "nobody vouches for this certificate: {failure}");
    });
    assert_eq!(post.room.came()[0].origin.protocol, "ESMTPS");
    assert_eq!(post.parts.counters.starttls.load(Relaxed), 1);
}

#[test]
fn without_tls_a_server_is_used_or_not_as_is_wished() {
    let mut post = post(Options { starttls: false, ..options() });
    post.run(|world| async move {
        let required = Settings { security: Security::Required, ..settings() };
        let failure = dial(&world, &required).await.unwrap_err();
        assert_eq!(failure, Failure::new(Stage::Tls, Cause::Missing("STARTTLS")));
        assert_eq!(failure.reply().code, 451);
        let link = dial(&world, &Settings::new("crepes.fr")).await.unwrap();
        assert!(!link.is_tls());
    });
}

#[test]
fn a_user_logs_in_under_tls_and_may_send_anywhere() {
    let mut post = post(Options { auth_required: true, ..options() });
    let credentials = |name: &str, password: &str| {
        Some(Credentials { name: name.to_owned(), password: password.to_owned() })
    };
    let right =
        Settings { credentials: credentials("User@hamburger.edu", "pencil"), ..Settings::new("crepes.fr") };
    let wrong = Settings { credentials: credentials("user", "pencils"), ..right.clone() };
    post.run(|world| async move {
        let mut link = dial(&world, &right).await.unwrap();
        assert_eq!(
            codes(&link.send(&envelope(&["eve@elsewhere.test"]), &source(b"x")).await.unwrap()),
            [250]
        );
        for attempt in 0..6 {
            let failure = dial(&world, &wrong).await.unwrap_err();
            let Cause::Refused(reply) = failure.cause else { panic!("{failure}") };
            assert_eq!(reply.code, if attempt < 5 { 535 } else { 454 });
        }
        let in_clear = Settings { security: Security::Never, ..right };
        let failure = dial(&world, &in_clear).await.unwrap_err();
        assert_eq!(failure.stage, Stage::Auth);
    });
    let came = &post.room.came()[0];
    assert_eq!((came.origin.protocol, came.origin.user.as_deref()), ("ESMTPSA", Some("user")));
    let counters = &post.parts.counters;
    assert_eq!((counters.logins.load(Relaxed), counters.logins_denied.load(Relaxed)), (1, 5));
}

#[test]
fn binary_and_utf8_messages_arrive_as_they_are() {
    let mut post = post(options());
    let octets: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let sent = octets.clone();
    post.run(|world| async move {
        let mut link = dial(&world, &settings()).await.unwrap();
        let binary = Envelope { body: BodyType::BinaryMime, ..envelope(&["bob@hamburger.edu"]) };
        assert_eq!(codes(&link.send(&binary, &source(&sent)).await.unwrap()), [250]);
        let utf8 = Envelope { smtputf8: true, ..envelope(&["鲍勃@hamburger.edu"]) };
        assert_eq!(codes(&link.send(&utf8, &source("主题: 你好\r\n".as_bytes())).await.unwrap()), [250]);
    });
    let came = post.room.came();
    assert_eq!(came[0].content, octets);
    assert_eq!(came[1].origin.protocol, "UTF8SMTP");
    assert_eq!(came[1].envelope.recipients[0].address.local, "鲍勃");
}

#[test]
fn lmtp_gives_each_recipient_its_word() {
    let mut post = post(Options::new("hamburger.edu", Dialect::Lmtp));
    let told = post.run(|world| async move {
        let mut link = dial(&world, &Settings { dialect: Dialect::Lmtp, ..settings() }).await.unwrap();
        let to = ["bob@hamburger.edu", "full@hamburger.edu", "ann@hamburger.edu"];
        codes(&link.send(&envelope(&to), &source(b"x")).await.unwrap())
    });
    assert_eq!(told, [250, 452, 250]);
}

#[test]
fn a_server_that_is_not_there_or_falls_silent_is_told_apart() {
    let mut post = post(options());
    post.sim.crash(post.server);
    let began = post.sim.now();
    let failure = post.run(|world| async move { dial(&world, &settings()).await.unwrap_err() });
    assert_eq!((failure.stage, failure.allows_next_host()), (Stage::Connect, true));
    assert!(post.sim.now() - began <= Duration::from_secs(30));
    post.sim.restart(post.server);
    open(&post.sim.world(post.server), &post.room, options(), &post.parts);
    let world = post.sim.world(post.client);
    let mut link = post.run(|world| async move { dial(&world, &settings()).await.unwrap() });
    post.sim.partition(&[post.server], &[post.client]);
    let failure = post.run(|_| async move {
        link.send(&envelope(&["bob@hamburger.edu"]), &source(b"x")).await.unwrap_err()
    });
    assert_eq!(failure.stage, Stage::Envelope, "{failure}");
    assert!(failure.allows_next_host());
    drop(world);
}
