//! The whole server as a resolver of the small internet.

use std::time::Duration;

use doorway_dns::Server;
use doorway_dns::io::Surroundings;
use doorway_dns::wire::{Class, Flags, Message, Question, Rcode, Type};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_sim::Link;

use super::doors::octets;
use super::internet::{Internet, RESOLVER};

/// Asks the resolver once and waits for the answer.
async fn ask(world: &World, name: &str, kind: Type) -> Option<Message> {
    let socket = world.udp("10.53.9.2:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let socket = socket.start().unwrap();
    let mut query = octets(name, kind);
    query[2] |= (Flags::RD >> 8) as u8;
    socket.send(&query, RESOLVER.parse().unwrap()).await.unwrap();
    let mut room = [0; 4096];
    let received = world.timeout(Duration::from_secs(10), socket.receive(&mut room)).await?;
    Some(Message::read(&room[..received.unwrap().0]).unwrap())
}

fn shown(message: &Message) -> String {
    let records: Vec<_> = message.answers.iter().map(ToString::to_string).collect();
    format!("{} {}", message.rcode(), records.join(" | "))
}

#[test]
fn every_corner_of_the_small_internet_is_found_from_the_root() {
    let mut internet = Internet::new(1, Duration::from_millis(20), |_| {});
    let world = internet.sim.world(internet.client);
    let asked = internet.sim.run(internet.client, async move {
        let mut shown_all = Vec::new();
        for (name, kind) in [
            ("www.engr.sc.edu", Type::A),
            ("engr.sc.edu", Type::MX),
            ("far.example.com", Type::A),
            ("www.example.org", Type::A),
            ("www.ustc.edu.cn", Type::A),
            ("www.bookshop.com.cn", Type::A),
            ("hello.club", Type::A),
            ("www.ships.co.uk", Type::A),
            ("x.y.wild.example.com", Type::A),
            ("nonterminal.example.com", Type::A),
            ("nobody.example.com", Type::A),
            ("nobody.nowhere", Type::A),
            ("video.netcinema.com", Type::A),
            ("1.2.53.10.in-addr.arpa", Type::PTR),
        ] {
            let answer = ask(&world, name, kind).await.expect("an answer");
            shown_all.push(format!("{name} {kind}: {}", shown(&answer)));
        }
        shown_all
    });
    let expected = "\
www.engr.sc.edu A: NOERROR www.engr.sc.edu. 86400 IN CNAME web.engr.sc.edu. | web.engr.sc.edu. 86400 IN A 10.53.10.4
engr.sc.edu MX: NOERROR engr.sc.edu. 86400 IN MX 10 mail.engr.sc.edu.
far.example.com A: NOERROR far.example.com. 3600 IN CNAME www.tea.jp. | www.tea.jp. 3600 IN A 10.53.10.44
www.example.org A: NOERROR www.example.org. 3600 IN A 10.53.10.15
www.ustc.edu.cn A: NOERROR www.ustc.edu.cn. 3600 IN A 10.53.10.43
www.bookshop.com.cn A: NOERROR www.bookshop.com.cn. 3600 IN A 10.53.10.42
hello.club A: NOERROR hello.club. 3600 IN A 10.53.10.46
www.ships.co.uk A: NOERROR www.ships.co.uk. 3600 IN A 10.53.10.45
x.y.wild.example.com A: NOERROR x.y.wild.example.com. 3600 IN A 10.53.10.14
nonterminal.example.com A: NOERROR \n\
nobody.example.com A: NXDOMAIN \n\
nobody.nowhere A: NXDOMAIN \n\
video.netcinema.com A: NOERROR video.netcinema.com. 3600 IN CNAME a1105.kingcdn.com. | a1105.kingcdn.com. 20 IN A 10.53.10.21 | a1105.kingcdn.com. 20 IN A 10.53.10.22
1.2.53.10.in-addr.arpa PTR: NOERROR 1.2.53.10.in-addr.arpa. 86400 IN PTR ns.sc.edu.";
    assert_eq!(asked.unwrap().join("\n"), expected);
}

#[test]
fn with_every_root_down_what_is_below_known_domains_goes_on() {
    let mut internet = Internet::new(2, Duration::from_millis(5), |_| {});
    let world = internet.sim.world(internet.client);
    let before = world.clone();
    let warmed = internet.sim.run(internet.client, async move {
        for name in ["www.example.com", "www.tea.jp"] {
            assert_eq!(ask(&before, name, Type::A).await.unwrap().rcode(), Rcode::NOERROR, "{name}");
        }
    });
    warmed.unwrap();
    for root in internet.nodes("-root") {
        internet.sim.crash(root);
    }
    let asked = internet.sim.run(internet.client, async move {
        let mut rcodes = Vec::new();
        // Known; unknown below a domain that is known; below one that is not.
        for name in ["www.example.com", "www.kingcdn.com", "ns.tea.jp", "www.post.org"] {
            let since = world.now();
            let answer = ask(&world, name, Type::A).await.expect("an answer");
            rcodes.push((answer.rcode(), world.now() - since < Duration::from_millis(500)));
        }
        rcodes
    });
    assert_eq!(
        asked.unwrap(),
        [(Rcode::NOERROR, true), (Rcode::NXDOMAIN, true), (Rcode::NOERROR, true), (Rcode::SERVFAIL, false)]
    );
}

#[test]
fn with_the_uplink_cut_zones_and_cache_answer_at_once_and_old_data_in_time() {
    let mut internet = Internet::new(3, Duration::from_millis(5), |_| {});
    let world = internet.sim.world(internet.client);
    let before = world.clone();
    let warmed = internet.sim.run(internet.client, async move {
        for name in ["www.example.com", "short.example.com"] {
            ask(&before, name, Type::A).await.unwrap();
        }
    });
    warmed.unwrap();
    let everybody: Vec<_> = internet.servers.iter().map(|(_, node)| *node).collect();
    internet.sim.partition(&[internet.resolver], &everybody);
    internet.sim.run_for(Duration::from_secs(10));
    let asked = internet.sim.run(internet.client, async move {
        let mut heard = Vec::new();
        // A zone served here, a record that is still good, and one whose five seconds are over.
        for name in ["www.home.arpa", "www.example.com", "short.example.com"] {
            let since = world.now();
            let answer = ask(&world, name, Type::A).await.expect("an answer");
            let took = world.now() - since;
            heard.push((answer.rcode(), answer.answers.last().map(|record| record.ttl), took.as_millis()));
        }
        heard
    });
    let asked = asked.unwrap();
    let [zone, good, old] = asked[..] else { panic!("three answers") };
    assert_eq!((zone.0, zone.2), (Rcode::NOERROR, 10), "{asked:?}");
    assert_eq!((good.0, good.1, good.2), (Rcode::NOERROR, Some(290), 10), "{asked:?}");
    // RFC 8767 §5: after 1.8 s with a TTL of 30 s.
    assert_eq!((old.0, old.1), (Rcode::NOERROR, Some(30)), "{asked:?}");
    assert!((1800..1900).contains(&old.2), "{asked:?}");
}

#[test]
fn equal_seeds_resolve_alike_over_links_that_lose_and_reorder() {
    let run = |seed| {
        let mut internet = Internet::new(seed, Duration::from_millis(20), |_| {});
        let link = Link {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(15),
            loss: 0.3,
            duplicate: 0.05,
            ..Link::default()
        };
        let resolver = internet.resolver;
        for (_, node) in internet.servers.clone() {
            internet.sim.link(resolver, node, link);
        }
        let world = internet.sim.world(internet.client);
        let asked = internet.sim.run(internet.client, async move {
            for name in ["www.engr.sc.edu", "far.example.com", "www.ustc.edu.cn", "hello.xyz"] {
                // What a client does that got no answer: it asks again.
                let mut tries = 0;
                while ask(&world, name, Type::A).await.is_none_or(|got| got.rcode() != Rcode::NOERROR) {
                    tries += 1;
                    assert!(tries < 4, "{name}");
                }
            }
        });
        asked.unwrap();
        internet.sim.trace().hash()
    };
    let first = run(11);
    assert_eq!(run(11), first);
    assert_ne!(run(12), first);
}

#[test]
fn an_answer_that_takes_too_long_tells_whom_it_waited_for() {
    let mut internet = Internet::new(5, Duration::from_millis(5), |_| {});
    for root in internet.nodes("-root") {
        internet.sim.crash(root);
    }
    let world = internet.sim.world(internet.resolver);
    let asked = internet.sim.run(internet.resolver, async move {
        let mut config = super::internet::recursive("10.53.9.1:5353", |_| {});
        config.resolver.as_mut().unwrap().engine.wall = Duration::from_secs(4);
        let server = Server::start(&world, &config, &Surroundings::default()).unwrap();
        let question = Question { name: "www.tea.jp".parse().unwrap(), kind: Type::A, class: Class::IN };
        server.recursion().unwrap().resolve(question, false, true).await.unwrap()
    });
    let steps: Vec<String> = asked.unwrap().steps.into_iter().map(|step| step.what).collect();
    let told = steps.iter().filter(|step| step.starts_with("asks 10.53.0.")).count();
    assert!(told > 3, "{steps:#?}");
}
