//! The whole server as a resolver of the small internet.

use std::time::Duration;

use doorway_dns::wire::{Flags, Message, Type};
use doorway_net::World;
use doorway_net::ground::ListenOptions;

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
