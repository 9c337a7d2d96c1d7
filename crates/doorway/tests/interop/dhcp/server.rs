//! Our server under clients and relay agents of other people.

use serde_json::Value;

use super::clients::Program;
use super::support::{DOORWAY, Host, Running};
use crate::dns::peer::wait;
use crate::folder::Folder;
use crate::programs;
use crate::server::{Server, Setup};

/// The name of a client, in the domain that it is told.
const NAME: &str = "tower.home.arpa";

/// What is between the clients and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// Nothing.
    Link,
    /// The relay agent of ISC.
    Isc,
    /// Our own.
    Ours,
}

/// A server of ours with a name server at the same address.
fn serve(host: &Host, address: &str, keys: &[(&str, &str)]) -> Server {
    set_up(host, address, keys).start()
}

/// What it is to be started with.
pub(super) fn set_up(host: &Host, address: &str, keys: &[(&str, &str)]) -> Setup {
    let mut enter = host.enter();
    enter.env_clear();
    let mut setup = Setup::new()
        .key("dns.listen", &format!("\"{address}:53\""))
        .key("dhcp.interfaces", "[\"s0\"]")
        .key("dhcp.lease", "\"1h\"");
    for (key, value) in keys {
        setup = setup.key(key, value);
    }
    setup.launched_by(enter)
}

/// What a client shows of the names at `server`.
fn dig(host: &Host, server: &str, words: &[&str]) -> String {
    let at = format!("@{server}");
    let words = [&["+short", "+tries=1", "+time=2", &at], words].concat();
    host.run(std::path::Path::new("/"), "dig", &words).text().trim().to_owned()
}

/// A client is told all that it needs, what it was told is so, and its name goes with its address.
fn check(program: Program, path: Path) {
    let Some([server, relay, client]) = Host::several() else { return };
    let folder = Folder::new();
    let (mut agent, mut our_agent) = (None::<Running>, None::<Server>);
    let (ours, running) = if path == Path::Link {
        server.link("s0", "10.9.0.1/24", &client, "c0", "");
        ("10.9.0.1", serve(&server, "10.9.0.1", &[("dhcp.routers", "[\"10.9.0.1\"]")]))
    } else {
        server.link("s0", "10.7.0.1/24", &relay, "r1", "10.7.0.2/24");
        relay.link("r0", "10.8.0.1/24", &client, "c0", "");
        server.ip(&["route", "add", "10.8.0.0/24", "via", "10.7.0.2"]);
        relay.forward();
        let subnet = "[{ network = \"10.8.0.0/24\", relays = [\"10.8.0.1\"], routers = [\"10.8.0.1\"], \
                      dns = [\"10.7.0.1\"] }]";
        ("10.7.0.1", serve(&server, "10.7.0.1", &[("dhcp.subnet", subnet)]))
    };
    match path {
        Path::Link => {}
        Path::Isc => {
            let words = ["-4", "-d", "-a", "--no-pid", "-id", "r0", "-iu", "r1", "10.7.0.1"];
            let started = relay.start(&folder, "dhcrelay", &words);
            started.until_it_says("Sending on   Socket/fallback", 1);
            agent = Some(started);
        }
        Path::Ours => {
            let mut enter = relay.enter();
            enter.env_clear();
            let setup = Setup::new()
                .key("dhcp.relay.interfaces", "[\"r0\"]")
                .key("dhcp.relay.servers", "[\"10.7.0.1\"]");
            our_agent = Some(setup.launched_by(enter).start());
        }
    }
    let mut asking = program.start(&client);
    let told = asking.until("BO");
    let [_, address, mask, router, dns, domain, seconds] = &told[..] else {
        panic!("{program:?}, {path:?}: {told:?}\n{}", asking.log())
    };
    let (network, own_router) = match path {
        Path::Link => ("10.9.0.", "10.9.0.1"),
        Path::Isc | Path::Ours => ("10.8.0.", "10.8.0.1"),
    };
    assert!(address.starts_with(network), "{program:?}, {path:?}: {address}");
    let all = [mask, router, dns, domain, seconds].map(String::as_str);
    assert_eq!(all, ["255.255.255.0", own_router, ours, "home.arpa", "3600"], "{program:?}, {path:?}");
    // At once: the name is there as soon as the client has its address.
    assert_eq!(dig(&client, ours, &[NAME]), *address, "{program:?}, {path:?}: {}", running.log());
    assert_eq!(dig(&client, ours, &["-x", address]), format!("{NAME}."), "{program:?}, {path:?}");
    client.run(folder.path(), "busybox", &["ping", "-c", "1", "-W", "2", ours]).done();
    asking.release();
    let is_gone = || dig(&server, ours, &[NAME]).is_empty();
    wait(is_gone, || format!("{program:?}, {path:?}: the name stayed\n{}", running.log()));
    assert_eq!(dig(&server, ours, &["-x", address]), "", "{program:?}, {path:?}");
    drop((agent, our_agent));
    running.stop();
}

#[test]
fn dhclient_is_served_on_the_link_and_behind_relay_agents() {
    [Path::Link, Path::Isc, Path::Ours].into_iter().for_each(|path| check(Program::Dhclient, path));
}

#[test]
fn udhcpc_is_served_on_the_link_and_behind_relay_agents() {
    [Path::Link, Path::Isc, Path::Ours].into_iter().for_each(|path| check(Program::Udhcpc, path));
}

#[test]
fn dhcpcd_is_served_on_the_link_and_behind_relay_agents() {
    [Path::Link, Path::Isc, Path::Ours].into_iter().for_each(|path| check(Program::Dhcpcd, path));
}

/// How many messages of a kind the server has sent or received, and how many offers it keeps.
fn counts(server: &Server, kind: &str) -> (u64, usize) {
    let read = |words: &[&str]| -> Value {
        serde_json::from_str(&server.doorway(&[&["--json"], words].concat()).done()).unwrap()
    };
    let stats = read(&["dhcp", "stats"]);
    let messages = stats["messages"][kind].as_u64();
    let offers = read(&["dhcp", "offers"])["offers"].as_array().map(Vec::len);
    (messages.unwrap_or_else(|| panic!("no {kind}: {stats}")), offers.unwrap())
}

/// Two servers of ours and a client on one bridge, each server with a pool of its own, so that it shows whose address
/// is taken; `None` where there can be no such hosts.
fn two_servers() -> Option<([Server; 2], [Host; 4])> {
    let [switch, one, two, client] = Host::several()?;
    switch.ip(&["link", "add", "br0", "type", "bridge"]);
    switch.ip(&["link", "set", "br0", "up"]);
    let hosts =
        [("p1", &one, "s0", "10.9.0.1/24"), ("p2", &two, "s0", "10.9.0.2/24"), ("p3", &client, "c0", "")];
    for (port, host, interface, address) in hosts {
        switch.link(port, "", host, interface, address);
        switch.ip(&["link", "set", port, "master", "br0"]);
    }
    let subnet = |pool: &str| {
        format!("[{{ network = \"10.9.0.0/24\", routers = [\"10.9.0.1\"], pools = [\"{pool}\"] }}]")
    };
    let off = ("dhcp.rogue_check", "\"off\"");
    let [first, second] = [subnet("10.9.0.100-10.9.0.119"), subnet("10.9.0.200-10.9.0.219")];
    let first = serve(&one, "10.9.0.1", &[off, ("dhcp.subnet", &first)]);
    let second = serve(&two, "10.9.0.2", &[off, ("dhcp.subnet", &second)]);
    Some(([first, second], [client, one, two, switch]))
}

/// Whether the first server's address was taken.
fn is_of_first(address: &str) -> bool {
    address.starts_with("10.9.0.1")
}

#[test]
fn two_servers_offer_and_the_one_that_is_not_chosen_frees_its_offer() {
    let Some(([first, second], hosts)) = two_servers() else { return };
    let asking = Program::Udhcpc.start(&hosts[0]);
    let told = asking.until("BO");
    let (chosen, other) = if is_of_first(&told[1]) { (&first, &second) } else { (&second, &first) };
    let is_free = || matches!(counts(other, "DHCPOFFER"), (1.., 0));
    wait(is_free, || format!("{:?}\n{}", counts(other, "DHCPOFFER"), other.log()));
    assert_eq!(counts(other, "DHCPACK").0, 0);
    assert_eq!(counts(chosen, "DHCPACK"), (1, 0));
}

#[test]
fn two_servers_and_a_client_are_drawn_as_a_sequence() {
    let Some(([first, second], hosts)) = two_servers() else { return };
    let folder = Folder::new();
    let (one, two) = (first.folder().word("data"), second.folder().word("data"));
    let draw = |words: &[&str]| {
        let words = [&["trace", "--filter", "dhcp", "--sequence", "--count", "1"][..], words].concat();
        let drawing = hosts[1].start(&folder, DOORWAY, &words);
        drawing.until_it_says("an exchange is drawn when", 1);
        drawing
    };
    let both = draw(&["--data", &one, "--also", &two]);
    let alone = [draw(&["--data", &one]), draw(&["--data", &two])];
    let for_programs = draw(&["--json", "--data", &one, "--also", &two]);
    let asking = Program::Udhcpc.start(&hosts[0]);
    let chosen = usize::from(!is_of_first(&asking.until("BO")[1]));
    let other = 1 - chosen;
    // The note at its start, the title, the hosts, then the messages, each after its time.
    let messages = |drawing: Running| {
        let log = drawing.ended();
        let lines = log.lines().skip(3).filter_map(|line| line.split_once(" ms "));
        lines.map(|(_, drawn)| drawn.to_owned()).collect::<Vec<_>>()
    };
    let (server, offered) = (["10.9.0.1", "10.9.0.2"], ["10.9.0.100", "10.9.0.200"]);
    let gives = |from: usize| format!("gives {} server {}", offered[from], server[from]);
    let wants = format!("wants {} server {}", offered[chosen], server[chosen]);
    let freed = format!("({}: offer_freed)", server[other]);

    let offers = ["|<----- DHCPOFFER --|                   |", "|<------------------------- DHCPOFFER --|"];
    let ack = ["|<------- DHCPACK --|                   |", "|<--------------------------- DHCPACK --|"];
    let mut expected = [
        "|-- DHCPDISCOVER -->|------------------>|".to_owned(),
        format!("{}  {}", offers[0], gives(0)),
        format!("{}  {}", offers[1], gives(1)),
        format!("|-- DHCPREQUEST --->|------------------>|  {wants}  {freed}"),
        format!("{}  {}", ack[chosen], gives(chosen)),
    ];
    let mut drawn = messages(both);
    // Which of them offers first is chance.
    drawn[1..3].sort();
    expected[1..3].sort();
    assert_eq!(drawn, expected);

    let mut alone = alone.map(messages);
    let [ours, others] = [chosen, other].map(|place| std::mem::take(&mut alone[place]));
    let offer = |from| format!("|<----- DHCPOFFER --|  {}", gives(from));
    let discover = "|-- DHCPDISCOVER -->|".to_owned();
    let request = format!("|-- DHCPREQUEST --->|  {wants}");
    let ack = format!("|<------- DHCPACK --|  {}", gives(chosen));
    assert_eq!(ours, [discover.clone(), offer(chosen), request.clone(), ack]);
    assert_eq!(others, [discover, offer(other), format!("{request}  {freed}")]);

    let told = for_programs.ended();
    let told: Value = serde_json::from_str(told.lines().nth(1).unwrap()).unwrap();
    let request = &told["messages"][3];
    assert_eq!(request["what"], format!("DHCPREQUEST {wants}"), "{told}");
    assert_eq!(request["to"], serde_json::json!(server));
    assert_eq!(request["notes"][0]["host"], server[other]);
}

#[test]
fn an_interface_that_gets_another_network_gives_its_addresses_names_without_a_reload() {
    let Some([server, client]) = Host::several() else { return };
    server.ip(&["address", "add", "10.7.0.1/32", "dev", "lo"]);
    server.link("s0", "10.9.0.1/24", &client, "c0", "");
    let keys = [("dhcp.routers", "[\"10.8.0.1\"]"), ("dhcp.tftp", "\"public\"")];
    let running = serve(&server, "10.7.0.1", &keys);
    for door in ["10.9.0.1:67 on s0", "curl -O tftp://10.9.0.1/FILE"] {
        assert!(running.table.contains(door), "{}", running.table);
    }
    server.ip(&["address", "del", "10.9.0.1/24", "dev", "s0"]);
    server.ip(&["address", "add", "10.8.0.1/24", "dev", "s0"]);
    let stats = || running.doorway(&["dhcp", "stats"]).text();
    wait(|| stats().contains("10.8.0.0/24"), || format!("{}{}", stats(), running.log()));
    let asking = Program::Udhcpc.start(&client);
    let address = &asking.until("BO")[1];
    assert!(address.starts_with("10.8.0."), "{address}");
    assert_eq!(dig(&server, "10.7.0.1", &[NAME]), *address);
    assert_eq!(dig(&server, "10.7.0.1", &["-x", address]), format!("{NAME}."), "{}", running.log());
}

/// Ends the server as a crash does and starts it again after `pause` has come to its end.
fn without(host: &Host, server: Server, pause: impl FnOnce()) -> Server {
    let setup = server.kill();
    pause();
    let mut enter = host.enter();
    enter.env_clear();
    setup.launched_by(enter).start()
}

#[test]
fn a_client_renews_then_asks_anybody_and_then_gives_up_its_address() {
    let Some([server, client]) = Host::several() else { return };
    server.link("s0", "10.9.0.1/24", &client, "c0", "");
    let keys = [
        ("dhcp.lease", "\"20s\""),
        ("dhcp.t1", "\"20%\""),
        ("dhcp.t2", "\"40%\""),
        ("dhcp.routers", "[\"10.9.0.1\"]"),
    ];
    let running = serve(&server, "10.9.0.1", &keys);
    let asking = Program::Dhclient.start(&client);
    let address = asking.until("BOUND")[1].clone();
    // RENEWING, from the fourth second on: by unicast to the server.
    assert_eq!(asking.until("RENEW")[1], address);
    assert!(asking.log().contains("to 10.9.0.1 port 67"), "{}", asking.log());
    // REBINDING, from the eighth on: to anybody, since the server does not answer.
    let before = rebinds(&asking.log());
    let pause = || wait(|| rebinds(&asking.log()) > before, || asking.log());
    let running = without(&server, running, pause);
    // dhclient's script is told RENEW here too; what it says itself is what it asked for, and whom.
    let is_bound = || {
        let log = asking.log();
        let behind = log.rsplit_once(TO_ANYBODY).map(|(_, behind)| behind);
        behind.is_some_and(|behind| behind.contains(&format!("DHCPACK of {address} from 10.9.0.1")))
    };
    wait(is_bound, || format!("{}{}", asking.log(), running.log()));
    assert!(!asking.events().contains("EXPIRE"), "{}", asking.log());
    assert_eq!(dig(&server, "10.9.0.1", &[NAME]), address);
    // Its end: nobody answers for twenty seconds.
    let pause = || drop(asking.until("EXPIRE"));
    let running = without(&server, running, pause);
    assert!(!client.ip(&["-4", "address"]).contains("10.9.0."), "the address stayed");
    // The client begins anew, and gets the address that it had.
    let again = || asking.events().lines().last().is_some_and(|last| last.starts_with("BOUND"));
    wait(again, || format!("{}{}{}", asking.events(), asking.log(), running.log()));
    assert_eq!(asking.until("BOUND")[1], address);
}

/// What dhclient says of a request that goes to every server.
const TO_ANYBODY: &str = "to 255.255.255.255 port 67";

/// How often dhclient has asked every server for an address that it knows.
fn rebinds(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("DHCPREQUEST") && line.ends_with(TO_ANYBODY)).count()
}

#[test]
fn tshark_finds_nothing_malformed_in_what_the_server_says() {
    let Some([server, client]) = Host::several() else { return };
    server.link("s0", "10.9.0.1/24", &client, "c0", "");
    let folder = Folder::new();
    let capture = folder.word("capture.pcapng");
    let words = ["-i", "s0", "-n", "-w", &capture, "-f", "udp port 67 or udp port 68 or arp"];
    let recorder = server.start(&folder, "tshark", &words);
    recorder.until_it_says("Capturing on", 1);
    let keys = [("dhcp.routers", "[\"10.9.0.1\"]"), ("dhcp.ntp", "[\"10.9.0.1\"]")];
    let running = serve(&server, "10.9.0.1", &keys);
    let mut asking = Program::Dhcpcd.start(&client);
    asking.until("BO");
    asking.release();
    // DISCOVER, OFFER, REQUEST, ACK, RELEASE.
    let kinds = || {
        let words = ["-r", &capture, "-n", "-Y", "dhcp", "-T", "fields", "-e", "dhcp.option.dhcp"];
        programs::run("tshark", &words).text().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    wait(|| kinds().iter().any(|own| own == "7"), || format!("{:?}\n{}", kinds(), running.log()));
    recorder.interrupt();
    for kind in ["2", "5"] {
        assert!(kinds().iter().any(|own| own == kind), "{:?}", kinds());
    }
    let strange = "_ws.malformed || _ws.expert.severity >= 0x600000 || ip.checksum.status == 0 || udp.checksum.status == 0";
    let checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];
    let from_us = format!("ip.src == 10.9.0.1 && ({strange})");
    let words = [&["-r", &capture, "-n", "-Y", &from_us][..], &checks].concat();
    assert_eq!(programs::run("tshark", &words).done(), "");
}
