//! POP3 as clients see it, over the virtual network.

use std::sync::Arc;
use std::time::Duration;

use doorway_mail::io::bodies::INLINE_OCTETS_MAX;
use doorway_mail::io::{Pop3Options, Pop3Server};
use doorway_mail::mailbox::{FolderId, UidSet};
use doorway_mail::sasl::{Client, Mechanism, base64};
use doorway_net::{Stream, World, tcp};
use doorway_sim::{Link, Node, Simulation};
use doorway_store::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::script::{compare, hear, path, play};
use crate::support::{House, gate};

const SERVER: &str = "10.0.0.1:110";

struct Post {
    sim: Simulation,
    client: Node,
    server: Node,
    house: Arc<House>,
    pop3: Arc<Pop3Server>,
}

/// A server with the user bob, whose password is hungry.
fn post(clear_passwords: bool) -> Post {
    let house = Arc::new(House::new());
    let gate = gate(&house, &[("bob", "hungry"), ("eve", "thirsty-too")]);
    let domains = vec!["hamburger.edu".to_owned()];
    let options = Pop3Options { clear_passwords, domains, ..Pop3Options::default() };
    let pop3 = Arc::new(Pop3Server::new(Arc::clone(&house.mailboxes), gate, options));
    let mut sim = Simulation::new(7);
    let server = sim.node("server", "10.0.0.1");
    let client = sim.node("client", "10.0.0.2");
    sim.link(server, client, Link { delay: Duration::from_millis(10), ..Link::default() });
    let booted = Arc::clone(&pop3);
    sim.boot(server, move |world, _| {
        tcp::serve(world, SERVER.parse().unwrap(), &booted.tcp_options(false), &booted).unwrap();
    });
    Post { sim, client, server, house, pop3 }
}

impl Post {
    fn deliver(&self, content: &[u8]) {
        self.house.deliver(&[(&self.house.account(1), None)], content);
    }

    fn left(&self) -> usize {
        self.house.rows("mail.message/").len()
    }

    fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &mut self,
        talk: impl FnOnce(World) -> F,
    ) -> T {
        let world = self.sim.world(self.client);
        self.sim.run(self.client, talk(world)).unwrap()
    }

    fn script(&mut self, name: &'static str) {
        let name = format!("pop3/{name}.txt");
        let script = std::fs::read_to_string(path(&name)).unwrap();
        let played = script.clone();
        let told = self.run(|world| async move { play(&world, dial(&world).await, &played).await });
        compare(&name, &script, &told);
    }
}

async fn dial(world: &World) -> Stream {
    world.connect(SERVER.parse().unwrap()).await.unwrap()
}

/// Sends lines in one go and hears what comes.
async fn say(world: &World, stream: &mut Stream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    String::from_utf8_lossy(&hear(world, stream).await.0).into_owned()
}

async fn log_in(world: &World) -> Stream {
    let mut stream = dial(world).await;
    let told = say(world, &mut stream, "USER bob\r\nPASS hungry\r\n").await;
    assert!(told.contains("successfully"), "{told}");
    stream
}

/// A message of exactly so many octets.
fn message(octets: usize) -> Vec<u8> {
    let mut message = b"From: alice@crepes.fr\r\nSubject: Picnic\r\n\r\n".to_vec();
    while message.len() < octets - 42 {
        message.extend_from_slice(b"Do you like ketchup? How about pickles?\r\n");
    }
    message.resize(octets - 2, b'.');
    message.extend_from_slice(b"\r\n");
    message
}

#[test]
fn the_dialogue_of_the_course_notes_passes() {
    let mut post = post(true);
    post.deliver(&message(498));
    post.deliver(&message(912));
    post.script("notes");
    assert_eq!(post.left(), 0);
}

#[test]
fn every_command_answers_in_every_state() {
    let mut post = post(true);
    post.deliver(b"Subject: one\r\n\r\n.a\r\nb\r\n");
    post.deliver(b"Subject: two\r\n\r\n");
    post.script("commands");
    assert_eq!(post.left(), 1);
}

#[test]
fn passwords_in_clear_are_refused_from_other_machines() {
    let mut post = post(false);
    post.script("clear");
}

#[test]
fn wrong_passwords_are_told_as_such_and_too_many_errors_end_it() {
    let mut post = post(true);
    post.script("wrong");
    assert_eq!(post.pop3.metrics().logins, 0);
}

#[test]
fn auth_takes_plain_and_login_and_can_be_cancelled() {
    let mut post = post(true);
    post.script("auth");
    let post = &mut self::post(true);
    let told = post.run(|world| async move {
        let mut stream = dial(&world).await;
        let told = say(&world, &mut stream, "AUTH PLAIN\r\nAGJvYkBoYW1idXJnZXIuZWR1AGh1bmdyeQ==\r\n").await;
        told + &say(&world, &mut stream, "STAT\r\n").await
    });
    assert!(
        told.ends_with("+ \r\n+OK user successfully logged on\r\n+OK 0 0\r\n"),
        "bob@hamburger.edu: {told}"
    );
}

/// Logs in by SCRAM; the last reply.
fn scram(password: &'static str) -> String {
    post(true).run(move |world| async move {
        let mut exchange = Client::new(Mechanism::ScramSha256, "bob", password, "rOprNGfwEbeRWgbNEkqO");
        let mut stream = dial(&world).await;
        let first = base64::encode(&exchange.initial().unwrap());
        let mut told = say(&world, &mut stream, &format!("AUTH SCRAM-SHA-256 {first}\r\n")).await;
        while let Some(challenge) = told.lines().last().unwrap().strip_prefix("+ ") {
            let response = exchange.respond(&base64::decode(challenge).unwrap()).unwrap();
            told = say(&world, &mut stream, &format!("{}\r\n", base64::encode(&response))).await;
        }
        told
    })
}

#[test]
fn scram_logs_in_who_knows_the_password_and_nobody_else() {
    assert_eq!(scram("hungry"), "+OK user successfully logged on\r\n");
    assert_eq!(scram("thirsty"), "-ERR [AUTH] wrong name or password\r\n");
}

#[test]
fn commands_may_come_all_at_once() {
    let mut post = post(true);
    post.deliver(b"Subject: one\r\n\r\n");
    post.script("pipelined");
    assert_eq!(post.left(), 0);
}

#[test]
fn a_second_session_hears_in_use_until_the_first_has_gone() {
    let mut post = post(true);
    let (during, after) = post.run(|world| async move {
        let first = log_in(&world).await;
        let mut second = dial(&world).await;
        let during = say(&world, &mut second, "USER bob\r\nPASS hungry\r\n").await;
        drop(first);
        world.sleep(Duration::from_secs(1)).await;
        (during, say(&world, &mut second, "USER bob\r\nPASS hungry\r\n").await)
    });
    assert!(during.contains("-ERR [IN-USE]"), "{during}");
    assert!(after.contains("+OK user"), "the second may try again: {after}");
    assert_eq!(post.pop3.metrics().in_use, 1);
}

#[test]
fn silence_never_deletes() {
    let mut post = post(true);
    post.deliver(b"\r\n");
    let (told, closed) = post.run(|world| async move {
        let mut stream = log_in(&world).await;
        say(&world, &mut stream, "DELE 1\r\n").await;
        world.sleep(Duration::from_secs(9 * 60)).await;
        let told = say(&world, &mut stream, "NOOP\r\n").await;
        world.sleep(Duration::from_secs(11 * 60)).await;
        (told, hear(&world, &mut stream).await.1)
    });
    assert_eq!(told, "+OK\r\n", "nine minutes of silence are borne");
    assert!(closed, "eleven are not");
    assert_eq!(post.left(), 1);
    assert_eq!(post.pop3.open_maildrops(), 0);
}

#[test]
fn a_lost_connection_deletes_nothing() {
    let mut post = post(true);
    post.deliver(b"\r\n");
    post.run(|world| async move {
        let mut stream = log_in(&world).await;
        say(&world, &mut stream, "DELE 1\r\n").await;
    });
    post.sim.run_for(Duration::from_secs(5));
    assert_eq!((post.left(), post.pop3.open_maildrops()), (1, 0));
    assert_eq!(post.pop3.metrics().broken_off, 1);
}

#[test]
fn a_server_that_dies_has_deleted_nothing() {
    let mut post = post(true);
    post.deliver(b"\r\n");
    let stream = post.run(|world| async move {
        let mut stream = log_in(&world).await;
        say(&world, &mut stream, "DELE 1\r\n").await;
        stream
    });
    post.sim.crash(post.server);
    post.sim.restart(post.server);
    drop(stream);
    post.sim.run_for(Duration::from_secs(5));
    assert_eq!(post.left(), 1);
}

#[test]
fn what_arrives_during_a_session_is_seen_by_the_next() {
    let mut post = post(true);
    post.deliver(b"1\r\n");
    let mut stream = post.run(|world| async move { log_in(&world).await });
    post.deliver(b"2\r\n");
    let told = post.run(|world| async move {
        let told = say(&world, &mut stream, "STAT\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n").await;
        world.sleep(Duration::from_secs(1)).await;
        let mut next = log_in(&world).await;
        told + &say(&world, &mut next, "UIDL\r\n").await
    });
    let validity = post.house.account(1).uid_validity;
    let expected =
        "+OK 1 3\r\n-ERR no such message\r\n+OK message 1 deleted\r\n+OK POP3 server signing off\r\n";
    assert_eq!(told, format!("{expected}+OK names follow\r\n1 {validity}.2\r\n.\r\n"));
}

#[test]
fn a_message_that_somebody_else_removed_is_told_and_the_session_goes_on() {
    let mut post = post(true);
    post.deliver(b"1\r\n");
    post.deliver(b"2\r\n");
    let mut stream = post.run(|world| async move { log_in(&world).await });
    wait(post.house.mailboxes.expunge(1, FolderId::INBOX, &UidSet::range(1, 1))).unwrap();
    let told = post.run(|world| async move {
        say(&world, &mut stream, "RETR 1\r\nRETR 2\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n").await
    });
    assert!(told.starts_with("-ERR [SYS/PERM]"), "{told}");
    assert!(
        told.ends_with(
            "2\r\n.\r\n+OK message 1 deleted\r\n+OK message 2 deleted\r\n+OK POP3 server signing off\r\n"
        ),
        "{told}"
    );
    assert_eq!(post.left(), 0);
}

#[test]
fn an_empty_maildrop_is_listed_as_empty() {
    let told = post(true).run(|world| async move {
        let mut stream = log_in(&world).await;
        say(&world, &mut stream, "STAT\r\nLIST\r\nUIDL\r\nLIST 1\r\nQUIT\r\n").await
    });
    let expected =
        "+OK 0 0\r\n+OK 0 messages (0 octets)\r\n.\r\n+OK names follow\r\n.\r\n-ERR no such message\r\n";
    assert_eq!(told, format!("{expected}+OK POP3 server signing off\r\n"));
}

/// The names that UIDL tells, after `commands`.
fn names(post: &mut Post, commands: &'static str) -> Vec<String> {
    let told = post.run(move |world| async move {
        let mut stream = log_in(&world).await;
        say(&world, &mut stream, commands).await
    });
    let lines = told.lines().skip_while(|line| *line != "+OK names follow").skip(1);
    let names = lines.take_while(|line| *line != ".").filter_map(|line| line.split_once(' '));
    names.map(|(_, name)| name.to_owned()).collect()
}

#[test]
fn names_of_messages_stay_over_sessions_and_restarts_and_never_come_again() {
    let mut post = post(true);
    for _ in 0..3 {
        post.deliver(b"\r\n");
    }
    let first = names(&mut post, "UIDL\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n");
    post.sim.crash(post.server);
    post.sim.restart(post.server);
    post.deliver(b"\r\n");
    let second = names(&mut post, "UIDL\r\nQUIT\r\n");
    assert_eq!(second[0], first[0]);
    assert!(!first.contains(&second[1]), "{first:?} {second:?}");
    let all = first.iter().chain(&second);
    assert!(
        all.into_iter()
            .all(|name| name.len() <= 70 && name.bytes().all(|octet| (0x21..=0x7e).contains(&octet)))
    );
}

/// What a client makes of the response to RETR: the message without doubled dots.
fn received(response: &str) -> Vec<u8> {
    let (_, message) = response.split_once("\r\n").unwrap();
    let message = message.strip_suffix(".\r\n").unwrap();
    let lines = message.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
    lines.collect::<String>().into_bytes()
}

#[test]
fn messages_of_every_length_come_as_they_were_and_as_long_as_was_said() {
    let mut post = post(true);
    let mut messages = vec![b"\r\n".to_vec(), b".\r\n..\r\n".to_vec(), b"\r\n.\r\nno end".to_vec()];
    for octets in [INLINE_OCTETS_MAX, INLINE_OCTETS_MAX + 1, 128 * 1024, 300_001, 9 << 20] {
        let line = b".begins with a dot, as every line of this one does\r\n";
        let mut message: Vec<u8> = line.iter().copied().cycle().take(octets - 2).collect();
        message.extend_from_slice(b"\r\n");
        messages.push(message);
    }
    messages.iter().for_each(|message| post.deliver(message));
    let count = messages.len();
    let (sizes, responses) = post.run(move |world| async move {
        let mut stream = log_in(&world).await;
        let sizes = say(&world, &mut stream, "LIST\r\n").await;
        let mut responses = Vec::new();
        for number in 1..=count {
            responses.push(say(&world, &mut stream, &format!("RETR {number}\r\n")).await);
        }
        (sizes, responses)
    });
    for (number, (message, response)) in messages.iter_mut().zip(&responses).enumerate() {
        if !message.ends_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        assert!(received(response) == *message, "message {}", number + 1);
        assert!(sizes.contains(&format!("\r\n{} {}\r\n", number + 1, message.len())), "{sizes}");
    }
}

#[test]
fn a_mailbox_of_many_messages_is_listed_piece_by_piece() {
    let mut post = post(true);
    for _ in 0..20_000 {
        post.deliver(b"\r\n");
    }
    let listed = post.run(|world| async move {
        let mut stream = log_in(&world).await;
        stream.write_all(b"LIST\r\nUIDL\r\nQUIT\r\n").await.unwrap();
        let mut listed = String::new();
        stream.read_to_string(&mut listed).await.unwrap();
        listed
    });
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2 * 20_002 + 1);
    assert_eq!(lines[20_000], "20000 2");
    assert!(lines[40_002].starts_with("20000 ") && lines[40_002].ends_with(".20000"), "{}", lines[40_002]);
}

#[test]
fn more_messages_than_one_commit_takes_are_deleted_at_quit() {
    let mut post = post(true);
    for _ in 0..1500 {
        post.deliver(b"\r\n");
    }
    post.run(|world| async move {
        let mut stream = log_in(&world).await;
        let deletes: String = (1..=1500).map(|number| format!("DELE {number}\r\n")).collect();
        stream.write_all(deletes.as_bytes()).await.unwrap();
        stream.write_all(b"QUIT\r\n").await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert!(told.ends_with("+OK POP3 server signing off\r\n"), "{told}");
    });
    assert_eq!(post.left(), 0);
    assert_eq!(post.house.rows("mail.body").len(), 0);
}
