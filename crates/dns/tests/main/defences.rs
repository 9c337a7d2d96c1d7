//! Attacks on the resolver, each with the defence on, when it fails, and off, when it succeeds.
//!
//! RFC 5452 (forged answers), RFC 7873 (cookies), RFC 9520 and the work budgets (NXNSAttack, TsuNAME,
//! alias chains), rebinding, ghost domains, the birthday attack that coalescing prevents.

use core::net::IpAddr;
use std::time::Duration;

use doorway_dns::resolver::{Ask, Config, Input, Send, Transport};
use doorway_dns::wire::{Class, Edns, Message, Question, Rcode, Type};

use super::upstream::{Bench, EVIL, ROOT, authoritative, internet, name, record, referral, refused};

const TRUE_ADDRESS: &str = "198.51.100.1";
const FORGED_ADDRESS: &str = "203.0.113.66";

fn forged(right: &Message) -> Message {
    Message { answers: vec![record("www.example. 300 A 203.0.113.66")], ..right.clone() }
}

fn told(bench: &Bench) -> Option<String> {
    let record = bench.answers.first()?.answers.first()?;
    Some(doorway_dns::wire::rdata::display(record.kind, &record.rdata).to_string())
}

#[test]
fn a_zone_cannot_put_another_zones_data_into_the_cache() {
    for (bailiwick, expected) in [(true, TRUE_ADDRESS), (false, FORGED_ADDRESS)] {
        let mut bench = Bench::new(|config| config.bailiwick = bailiwick);
        bench.servers = |server, question| match question.name.lowered().to_string().as_str() {
            // What the victim's own servers say does not matter once others speak for them.
            "www.example." if server.to_string() == EVIL => {
                authoritative(&["www.example. 300 A 203.0.113.66"])
            }
            _ => internet(server, question),
        };
        assert!(bench.address("trap.evil.").is_some());
        assert_eq!(bench.address("www.example.").as_deref(), Some(expected), "bailiwick {bailiwick}");
    }
}

#[test]
fn guessing_ids_fails_when_they_are_random() {
    for (random_id, expected) in [(true, TRUE_ADDRESS), (false, FORGED_ADDRESS)] {
        let mut bench = Bench::new(|config| (config.random_id, config.random_case) = (random_id, false));
        // The attacker saw the id of an earlier query, to a zone of its own.
        assert!(bench.address("trap.evil.").is_some());
        let seen = 2;
        let (send, right) = bench.until_asked();
        for guess in 1..=u16::MAX {
            let mut message = forged(&right);
            message.id = seen + guess;
            if message.id == right.id && random_id {
                // One in 65536 is the right one; it comes after the query was taken to TCP.
                assert!(guess > 2);
            }
            bench.deliver(&send, send.to, &message);
            if guess == u16::MAX - seen {
                break;
            }
        }
        bench.run_from_last();
        assert_eq!(told(&bench).as_deref(), Some(expected), "random ids {random_id}");
        bench.answers.clear();
    }
}

#[test]
fn a_flood_of_guesses_sends_the_question_over_tcp() {
    let mut bench = Bench::new(|_| ());
    let (send, right) = bench.until_asked();
    for guess in 0..u16::MAX {
        let mut message = forged(&right);
        message.id = right.id.wrapping_add(guess | 1);
        bench.deliver(&send, send.to, &message);
    }
    assert_eq!(bench.sent.last().unwrap().transport, Transport::Tcp);
    assert_eq!(bench.sent.iter().filter(|send| send.transport == Transport::Tcp).count(), 1);
    bench.run_from_last();
    assert_eq!(told(&bench).as_deref(), Some(TRUE_ADDRESS));
}

#[test]
fn an_answer_in_other_letter_case_is_a_forgery() {
    for (random_case, expected) in [(true, TRUE_ADDRESS), (false, FORGED_ADDRESS)] {
        let mut bench = Bench::new(|config| config.random_case = random_case);
        let (send, right) = bench.until_asked();
        let mut message = forged(&right);
        message.questions[0].name = name("www.example.");
        bench.deliver(&send, send.to, &message);
        bench.run_from_last();
        assert_eq!(told(&bench).as_deref(), Some(expected), "random case {random_case}");
    }
}

#[test]
fn an_answer_from_another_address_is_a_forgery() {
    let mut bench = Bench::new(|_| ());
    let (send, right) = bench.until_asked();
    for from in ["192.0.2.66:53", "192.0.2.2:54"] {
        bench.deliver(&send, from.parse().unwrap(), &forged(&right));
    }
    bench.run_from_last();
    assert_eq!(told(&bench).as_deref(), Some(TRUE_ADDRESS));
}

#[test]
fn a_server_that_sends_cookies_cannot_be_forged_without() {
    for (cookies, expected) in [(true, TRUE_ADDRESS), (false, FORGED_ADDRESS)] {
        let mut bench = Bench::new(|config| config.cookies = cookies);
        let with_cookie = |send: &Send, mut message: Message| {
            let theirs = Message::read(&send.octets).unwrap().edns.unwrap().options;
            if let Some(ours) = doorway_dns::wire::options::find(&theirs, 10) {
                let options = [&[0, 10, 0, 16][..], &ours[..8], b"servers!"].concat();
                message.edns = Some(Edns { udp_octets_max: 1232, options, ..Edns::default() });
            }
            message
        };
        // The server has shown its cookie in an earlier answer.
        let (send, right) = bench.until_asked();
        let message = with_cookie(&send, right);
        bench.deliver(&send, send.to, &message);
        bench.answers.clear();
        bench.now = bench.now + Duration::from_secs(1000);
        bench.ask("www.example.");
        let (send, right) = bench.right_answer(bench.sent.len() - 1);
        bench.deliver(&send, send.to, &forged(&right));
        let message = with_cookie(&send, right);
        bench.deliver(&send, send.to, &message);
        assert_eq!(told(&bench).as_deref(), Some(expected), "cookies {cookies}");
    }
}

#[test]
fn equal_questions_make_one_target_not_many() {
    for (coalescing, queries) in [(true, 1), (false, 100)] {
        let mut bench = Bench::new(|config| config.coalescing = coalescing);
        bench.address("ftp.example.");
        for _ in 0..100 {
            bench.ask("www.example.");
        }
        assert_eq!(bench.sent.len(), queries, "each open query is one more for a forged answer to hit");
    }
}

#[test]
fn a_page_cannot_reach_into_the_network_it_is_read_in() {
    for (rebinding, expected) in [(true, None), (false, Some("192.168.1.1"))] {
        let mut bench = Bench::new(|config| config.rebinding_protection = rebinding);
        assert_eq!(bench.address("home.evil.").as_deref(), expected);
    }
}

#[test]
fn a_referral_to_missing_names_is_not_amplified() {
    let cost = |change: fn(&mut Config)| {
        let mut bench = Bench::new(change);
        bench.ask("x.nxns.evil.");
        bench.run()
    };
    let defended = cost(|_| ());
    let open = cost(|config| (config.server_names_per_delegation, config.server_names_max) = (255, 255));
    assert!(defended <= 10, "{defended} queries");
    assert!(open >= 20, "{open} queries");
}

#[test]
fn a_chain_of_aliases_is_cut() {
    let cost = |change: fn(&mut Config)| {
        let mut bench = Bench::new(change);
        bench.ask("c1.evil.");
        let queries = bench.run();
        assert_eq!(bench.answers[0].rcode, Rcode::SERVFAIL);
        queries
    };
    let defended = cost(|_| ());
    let open = cost(|config| (config.aliases_max, config.upstream_queries_max) = (200, u16::MAX));
    assert!(defended <= 20, "{defended} queries");
    assert!(open >= 200, "{open} queries");
}

#[test]
fn a_question_has_a_budget_of_queries() {
    let mut bench = Bench::new(|config| (config.aliases_max, config.upstream_queries_max) = (250, 30));
    bench.ask("c1.evil.");
    assert_eq!(bench.run(), 30);
    assert_eq!(bench.answers[0].rcode, Rcode::SERVFAIL);
    assert!(bench.answers[0].extended_error[0].1.contains("too many queries"));
}

#[test]
fn zones_that_need_each_other_end_at_once() {
    let mut bench = Bench::new(|_| ());
    bench.servers = |_, question| {
        let first = question.name.is_within(&name("a."));
        if first { referral(&["a. 60 NS ns.b."], &[]) } else { referral(&["b. 60 NS ns.a."], &[]) }
    };
    bench.ask("www.a.");
    let queries = bench.run();
    assert!(queries <= 10, "{queries} queries");
    assert_eq!(bench.answers[0].rcode, Rcode::SERVFAIL);
    assert_eq!(bench.resolver.load().jobs, 0);
}

#[test]
fn a_dropped_zone_cannot_keep_itself_alive() {
    for (ghost_protection, alive) in [(true, false), (false, true)] {
        let mut bench = Bench::new(|config| config.ghost_protection = ghost_protection);
        fn before(server: IpAddr, question: &Question) -> Message {
            match (server.to_string().as_str(), question.kind) {
                (ROOT, _) => referral(&["evil. 100 NS ns.evil."], &["ns.evil. 86400 A 192.0.2.66"]),
                (_, Type::NS) => authoritative(&["evil. 86400 NS ns.evil."]),
                _ => authoritative(&[&format!("{} 1 A 203.0.113.1", question.name.lowered())]),
            }
        }
        bench.servers = before;
        assert!(bench.address("www.evil.").is_some());
        // Just before the end its own server is asked for the NS records.
        bench.now = bench.now + Duration::from_secs(90);
        let question = Question { name: name("evil."), kind: Type::NS, class: Class::IN };
        bench.handle(Input::Ask(Ask::new(1, question)));
        bench.run();
        // The parent drops the zone.
        bench.servers =
            |server, question| if server.to_string() == ROOT { refused() } else { before(server, question) };
        bench.now = bench.now + Duration::from_secs(60);
        bench.answers.clear();
        assert_eq!(bench.address("new.evil.").is_some(), alive, "ghost protection {ghost_protection}");
    }
}

#[test]
fn silence_of_every_server_ends_within_the_wall() {
    let mut bench = Bench::new(|_| ());
    bench.ask("www.example.");
    let start = bench.now;
    while let Some(at) = bench.resolver.next_timeout().filter(|_| bench.answers.is_empty()) {
        bench.now = at;
        bench.handle(Input::Timeout);
    }
    assert_eq!(bench.answers[0].rcode, Rcode::SERVFAIL);
    assert!(bench.now - start <= Duration::from_secs(8));
    assert_eq!((bench.resolver.load().jobs, bench.resolver.load().queries), (0, 0));
}
