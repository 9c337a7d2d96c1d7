//! What the resolver does that scripts cannot say: modes, local zones, load, what an answer tells its
//! caller.

use std::sync::Arc;
use std::time::Duration;

use doorway_base::Random;
use doorway_dns::resolver::config::{ForwardZone, Mode, Upstream};
use doorway_dns::resolver::{Ask, Input, Transport};
use doorway_dns::wire::{Class, Edns, Flags, Message, Question, Rcode, Type};
use doorway_dns::zone::{HashKey, file};

use super::upstream::{Bench, ROOT, internet, name};

fn question(text: &str) -> Question {
    Question { name: name(text), kind: Type::A, class: Class::IN }
}

#[test]
fn an_answer_says_how_long_it_may_be_given_again() {
    let mut bench = Bench::new(|_| ());
    bench.ask("www.example.");
    bench.run();
    assert_eq!(bench.answers.pop().unwrap().cacheable_for, Some(Duration::from_secs(300)));
    bench.now = bench.now + Duration::from_secs(100);
    bench.ask("www.example.");
    assert_eq!(bench.answers.pop().unwrap().cacheable_for, Some(Duration::from_secs(200)));
    bench.ask("none.example.");
    bench.run();
    let denied = bench.answers.pop().unwrap();
    assert_eq!((denied.rcode, denied.cacheable_for), (Rcode::NXDOMAIN, Some(Duration::from_secs(60))));
    bench.ask("refused.evil.");
    bench.run();
    let failed = bench.answers.pop().unwrap();
    assert_eq!((failed.rcode, failed.cacheable_for), (Rcode::SERVFAIL, None));
}

#[test]
fn an_explained_answer_tells_each_step() {
    let mut bench = Bench::new(|_| ());
    let mut ask = Ask::new(5, question("www.example."));
    ask.explain = true;
    bench.handle(Input::Ask(ask.clone()));
    bench.run();
    let steps: Vec<String> = bench.answers.pop().unwrap().steps.into_iter().map(|step| step.what).collect();
    assert_eq!(
        steps,
        [
            "the servers of . are to be asked, 1 address from the root hints",
            "asks 192.0.2.1:53 over UDP for example. A",
            "192.0.2.1:53 says: ask the servers of example.",
            "the servers of example. are to be asked, 1 address from the referral",
            "asks 192.0.2.2:53 over UDP for www.example. A",
            "192.0.2.2:53 says: the answer",
        ]
    );
    bench.handle(Input::Ask(ask));
    assert_eq!(
        bench.answers.pop().unwrap().steps[0].what,
        "the cache knows www.example. A, for another 300 s"
    );
}

#[test]
fn a_zone_served_here_is_asked_before_anybody_and_its_aliases_lead_on() {
    let secret = HashKey::new(&mut Random::new(3));
    let text = b"$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.9\nout CNAME www.example.\n";
    let (zone, _) = file::read(&name("lan."), "lan", text, secret).unwrap();
    let mut bench = Bench::with_zones(|_| (), secret, vec![Arc::new(zone)]);
    bench.ask("ns.lan.");
    assert!(bench.sent.is_empty());
    assert!(bench.answers.pop().unwrap().authoritative);
    bench.ask("gone.lan.");
    assert_eq!(bench.answers.pop().unwrap().rcode, Rcode::NXDOMAIN);
    bench.ask("out.lan.");
    bench.run();
    let answer = bench.answers.pop().unwrap();
    let told: Vec<_> = answer.answers.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["out.lan. 60 IN CNAME www.example.", "www.example. 300 IN A 198.51.100.1"]);
}

#[test]
fn in_recursive_mode_the_root_does_all_the_work() {
    let mut bench = Bench::new(|config| config.mode = Mode::Recursive);
    bench.ask("www.example.");
    let query = Message::read(&bench.sent[0].octets).unwrap();
    assert!(query.flags.has(Flags::RD));
    assert_eq!(
        (query.questions[0].name.clone(), bench.sent[0].to.ip().to_string()),
        (name("www.example."), ROOT.to_owned())
    );
    let (send, mut message) = bench.right_answer(0);
    message.authorities.clear();
    message.additionals.clear();
    message.flags = Flags(Flags::QR | Flags::RA);
    message.answers.push(super::upstream::record("www.example. 60 A 198.51.100.9"));
    bench.deliver(&send, send.to, &message);
    assert_eq!(bench.answers[0].answers.len(), 1);
    assert_eq!(bench.sent.len(), 1);
}

#[test]
fn a_forwarder_over_tls_is_asked_over_tls() {
    let upstream = Upstream {
        address: "203.0.113.1:853".parse().unwrap(),
        transport: Transport::Tls { name: Some("dns.example".into()) },
    };
    let mut bench = Bench::new(|config| {
        config.forward_zones.push(ForwardZone {
            zone: name("."),
            servers: vec![upstream.clone()],
            server_names: Vec::new(),
            first: false,
            cached: true,
        });
    });
    bench.ask("www.example.");
    assert_eq!((bench.sent[0].to, &bench.sent[0].transport), (upstream.address, &upstream.transport));
}

#[test]
fn a_refresh_asks_although_the_cache_knows() {
    let mut bench = Bench::new(|_| ());
    bench.ask("www.example.");
    bench.run();
    let mut ask = Ask::new(2, question("www.example."));
    ask.refresh = true;
    bench.handle(Input::Ask(ask));
    assert_eq!(bench.run(), 1);
    assert_eq!(bench.answers.len(), 2);
}

#[test]
fn a_client_that_went_away_is_not_answered_but_the_next_one_is() {
    let mut bench = Bench::new(|_| ());
    bench.ask("www.example.");
    bench.handle(Input::Cancel { token: 1 });
    bench.run();
    assert!(bench.answers.is_empty());
    bench.ask("www.example.");
    assert_eq!((bench.answers.len(), bench.sent.len()), (1, 0));
}

#[test]
fn what_is_too_much_is_refused_at_once() {
    let mut bench = Bench::new(|config| (config.jobs_max, config.waiters_max) = (3, 2));
    for index in 0..5 {
        bench.ask(&format!("n{index}.example."));
    }
    assert_eq!(bench.answers.len(), 2, "three are under way");
    assert!(bench.answers.iter().all(|answer| answer.rcode == Rcode::SERVFAIL));
    for _ in 0..3 {
        bench.ask("n0.example.");
    }
    assert_eq!(bench.answers.len(), 4, "two wait for one question");
}

#[test]
fn a_refused_cookie_is_sent_again_with_the_servers_own() {
    let mut bench = Bench::new(|_| ());
    let (send, right) = bench.until_asked();
    let ours = Message::read(&send.octets).unwrap().edns.unwrap().options;
    let options = [&[0, 10, 0, 16][..], &ours[4..12], b"8 octets"].concat();
    let mut refused = right;
    refused.answers.clear();
    refused.flags.0 |= Rcode::BADCOOKIE.0 & 15;
    refused.edns =
        Some(Edns { udp_octets_max: 1232, rcode_high: 1, options: options.clone(), ..Edns::default() });
    bench.deliver(&send, send.to, &refused);
    let (again, mut right) = bench.right_answer(bench.sent.len() - 1);
    assert_eq!(Message::read(&again.octets).unwrap().edns.unwrap().options, options);
    assert_eq!(again.transport, Transport::Udp);
    right.edns = refused.edns.map(|edns| Edns { rcode_high: 0, ..edns });
    bench.deliver(&again, again.to, &right);
    assert_eq!(bench.answers.len(), 1);
}

#[test]
fn the_faster_server_is_preferred_once_both_are_known() {
    let mut bench = Bench::new(|_| ());
    bench.servers = |server, question| {
        if server.to_string() == ROOT {
            super::upstream::referral(
                &["example. 3600 NS ns1.example.", "example. 3600 NS ns2.example."],
                &["ns1.example. 3600 A 192.0.2.2", "ns2.example. 3600 A 192.0.2.3"],
            )
        } else {
            let mut message = internet("192.0.2.2".parse().unwrap(), question);
            message.flags = Flags(Flags::QR | Flags::AA | Rcode::NXDOMAIN.0);
            message.answers.clear();
            message
        }
    };
    let mut slow = 0;
    for index in 0..200 {
        bench.ask(&format!("n{index}.example."));
        let mut next = 0;
        while next < bench.sent.len() {
            let (send, message) = bench.right_answer(next);
            let to = send.to.ip().to_string();
            slow += usize::from(to == "192.0.2.3");
            bench.now = bench.now + Duration::from_millis(if to == "192.0.2.3" { 200 } else { 10 });
            bench.deliver(&send, send.to, &message);
            next += 1;
        }
        bench.sent.clear();
    }
    assert_eq!(bench.answers.len(), 200);
    assert!(slow < 20, "the slow one was asked {slow} times of 200");
}

#[test]
fn types_that_are_no_data_are_not_looked_up() {
    let mut bench = Bench::new(|_| ());
    let (refused, unknown) = (Rcode::REFUSED, Rcode::NOTIMP);
    let kinds = [(Type::AXFR, refused), (Type::IXFR, refused), (Type::OPT, unknown), (Type::TSIG, unknown)];
    for (kind, rcode) in kinds {
        bench.handle(Input::Ask(Ask::new(1, Question { kind, ..question("www.example.") })));
        assert_eq!(bench.answers.pop().unwrap().rcode, rcode);
    }
    assert!(bench.sent.is_empty());
}
