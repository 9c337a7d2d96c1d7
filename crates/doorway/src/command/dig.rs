//! `doorway dig`: questions to name servers, and what they say in the form of BIND's `dig`.

use doorway_dns::client::delegations::{Delegations, Server as Delegated, Step};
use doorway_dns::client::{Lookup, Query, Transport, report, words};
use doorway_dns::wire::{Message, Name, Rcode, Record, Type, rdata};
use serde_json::{Value, json};

use super::annotated;
use super::asking::{Asking, Got, Server, failed};
use crate::cli::Options;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Screen;

/// Messages of one transfer at most.
const TRANSFER_MESSAGES_MAX: usize = 10_000_000;

/// Asks what the words say.
pub(super) fn dig(options: &Options, words: &[String], screen: &mut Screen) -> Result<Exit, Failure> {
    // What stands behind the first word of `dig` is `dig`'s own.
    let (json, words): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| *word == "--json");
    let mut lookups =
        words::parse(&words).map_err(|wrong| Failure::new(wrong.what).fix(wrong.fix).exit(Exit::Wrong))?;
    for lookup in &mut lookups {
        lookup.json |= screen.is_json() || !json.is_empty();
    }
    let line = words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
    let asking = Asking::start(options)?;
    let mut dig = Dig { asking, screen, replies: Vec::new(), line, greeted: false };
    let mut exit = Exit::Done;
    for lookup in &lookups {
        if !dig.look_up(lookup)? {
            exit = Exit::NoAnswer;
        }
    }
    if lookups.iter().any(|lookup| lookup.json) {
        let replies = std::mem::take(&mut dig.replies);
        dig.screen.document(&json!({ "replies": replies }));
    }
    Ok(exit)
}

struct Dig<'s> {
    asking: Asking,
    screen: &'s mut Screen,
    replies: Vec<Value>,
    line: String,
    greeted: bool,
}

impl Dig<'_> {
    // False when no server answered.
    fn look_up(&mut self, lookup: &Lookup) -> Result<bool, Failure> {
        let servers = self.asking.servers(lookup)?;
        let count = lookup.server.as_ref().map(|_| servers.len());
        let greeting = if lookup.json || lookup.annotate || std::mem::replace(&mut self.greeted, true) {
            String::new()
        } else {
            report::greeting(lookup, &self.line, count)
        };
        if lookup.trace {
            self.screen.text(&greeting);
            return self.trace(lookup, &servers);
        }
        if lookup.is_transfer() {
            self.screen.text(&greeting);
            return self.transfer(lookup, &servers);
        }
        let (screen, json) = (&mut *self.screen, lookup.json);
        let mut note = |line: &str| {
            if !json {
                screen.text(line);
            }
        };
        let got = self.asking.ask(lookup, &servers, &mut note)?;
        self.screen.text(&greeting);
        let Some(got) = got else {
            self.unanswered(lookup);
            return Ok(false);
        };
        self.show(lookup, &got);
        Ok(true)
    }

    fn unanswered(&mut self, lookup: &Lookup) {
        if lookup.json {
            self.replies
                .push(json!({ "name": lookup.name.to_string(), "error": "no servers could be reached" }));
        } else {
            self.screen.text(";; no servers could be reached\n");
        }
    }

    fn show(&mut self, lookup: &Lookup, got: &Got) {
        let Got { octets, message, arrival, cookie, query } = got;
        if lookup.json {
            self.replies.push(document(got));
        } else if lookup.annotate {
            self.screen.text(&annotated::exchange(query, octets, arrival));
        } else if lookup.short {
            self.screen.text(&report::short(message, lookup, arrival));
        } else {
            let mut text = String::new();
            if lookup.show.query
                && let Ok(sent) = Message::read(query)
            {
                text.push_str(&report::message(&sent, query, lookup, true, &[]));
                text.push_str(&format!(";; QUERY SIZE: {}\n\n", query.len()));
            }
            text.push_str(&report::message(message, octets, lookup, false, cookie));
            if lookup.show.statistics {
                text.push_str(&report::statistics(arrival, octets.len()));
            }
            self.screen.text(&text);
        }
    }

    // RFC 5936, RFC 1995: records until the SOA comes back.
    fn transfer(&mut self, lookup: &Lookup, servers: &[Server]) -> Result<bool, Failure> {
        let lookup = &Lookup {
            transport: match &lookup.transport {
                Transport::Udp => Transport::Tcp,
                stream => stream.clone(),
            },
            ..lookup.clone()
        };
        for server in servers {
            let since = self.asking.world().now();
            let mut connection = match self.asking.connect(lookup, server)? {
                Ok(connection) => connection,
                Err(error) => {
                    self.screen.text(&failed(lookup, server, &error));
                    continue;
                }
            };
            let now = self.asking.world().wall();
            let query = Query::new(lookup, &mut self.asking.world().random(), now)
                .ok_or_else(|| Failure::new("the options do not fit into a message"))?;
            let mut chain = query.chain;
            let (mut end, mut messages, mut octets) = (End::default(), 0, 0);
            let mut outgoing = Some(query.octets);
            while messages < TRANSFER_MESSAGES_MAX {
                let (world, span) = (self.asking.world().clone(), lookup.time);
                let send = outgoing.take();
                let (back, came) = self.asking.run(async move {
                    let came = async {
                        if let Some(send) = send {
                            connection.send(&send).await?;
                        }
                        connection.receive(&world, span).await
                    };
                    let came = came.await;
                    (connection, came)
                })?;
                connection = back;
                let mut came = match came {
                    Ok(came) => came,
                    Err(error) => {
                        self.screen.text(&failed(lookup, server, &error));
                        return Ok(false);
                    }
                };
                messages += 1;
                octets += came.len();
                if let Some(chain) = &mut chain
                    && let Err(why) = chain.verify(&mut came, self.asking.world().wall())
                {
                    self.screen.text(&format!(";; Couldn't verify signature: {why}\n; Transfer failed.\n"));
                    return Ok(false);
                }
                let message = Message::read(&came).ok().filter(|message| message.id == query.id);
                let Some(message) = message.filter(|message| message.rcode() == Rcode::NOERROR) else {
                    self.screen.text("; Transfer failed.\n");
                    return Ok(true);
                };
                for record in &message.answers {
                    self.screen.text(&report::record_line(record, &lookup.show));
                }
                let mut is_over = false;
                message.answers.iter().for_each(|record| is_over |= end.take(record));
                if is_over || message.answers.is_empty() || end.is_current(lookup.serial, messages) {
                    break;
                }
            }
            if lookup.show.statistics {
                let arrival = self.asking.arrival(lookup, server, since);
                self.screen.text(&report::transfer_statistics(&arrival, end.records, messages, octets));
            }
            return Ok(true);
        }
        self.screen.text(";; no servers could be reached\n");
        Ok(false)
    }

    fn trace(&mut self, lookup: &Lookup, servers: &[Server]) -> Result<bool, Failure> {
        let roots = Lookup { name: Name::root(), kind: Type::NS, recursion: true, ..lookup.clone() };
        let first = self.asking.ask(&roots, servers, &mut |_| {})?;
        let mut delegated = match &first {
            Some(got) => {
                self.step(lookup, got, got.message.answers.iter().filter(|record| !is_proof(record)));
                Delegations::roots(&got.message)
            }
            None => Vec::new(),
        };
        if delegated.is_empty() {
            let hints = doorway_dns::resolver::hints::built_in();
            delegated = hints.into_iter().map(|(name, addresses)| Delegated { name, addresses }).collect();
        }
        let mut way = Delegations::new(lookup.name.clone());
        loop {
            let mut next = None;
            for server in &delegated {
                let Some(got) = self.ask_delegated(lookup, server, servers)? else { continue };
                match way.step(&got.message) {
                    Step::Lame => {
                        let said = format!(";; {} knows no more: {}\n", server.name, got.message.rcode());
                        self.note(lookup, &said);
                    }
                    Step::Answer => {
                        let records = got.message.answers.iter().chain(&got.message.authorities);
                        self.step(lookup, &got, records);
                        return Ok(true);
                    }
                    Step::Down(servers) => {
                        self.step(lookup, &got, got.message.authorities.iter());
                        next = Some(servers);
                        break;
                    }
                }
            }
            match next {
                Some(servers) => delegated = servers,
                None => {
                    self.unanswered(lookup);
                    return Ok(false);
                }
            }
        }
    }

    // `resolvers` find the addresses of a server that came without.
    fn ask_delegated(
        &mut self,
        lookup: &Lookup,
        server: &Delegated,
        resolvers: &[Server],
    ) -> Result<Option<Got>, Failure> {
        let right = |address: &core::net::IpAddr| {
            let to = core::net::SocketAddr::new(*address, lookup.port());
            lookup.v6.is_none_or(|v6| v6 == address.is_ipv6()) && self.asking.world().reaches(to)
        };
        let mut addresses: Vec<_> = server.addresses.iter().copied().filter(right).collect();
        if server.addresses.is_empty() {
            addresses =
                self.asking.lookup_addresses(&server.name, resolvers).into_iter().filter(right).collect();
        }
        addresses.sort_by_key(core::net::IpAddr::is_ipv6);
        let typed = server.name.to_string().trim_end_matches('.').to_owned();
        let place = |address| Server {
            typed: typed.clone(),
            address: core::net::SocketAddr::new(address, lookup.port()),
        };
        let servers: Vec<Server> = addresses.into_iter().map(place).collect();
        let (screen, quiet) = (&mut *self.screen, lookup.json || lookup.short);
        let mut note = |line: &str| {
            if !quiet {
                screen.text(line);
            }
        };
        let once = Lookup { tries: 1, ..lookup.clone() };
        self.asking.ask(&once, &servers, &mut note)
    }

    fn note(&mut self, lookup: &Lookup, line: &str) {
        if !lookup.json && !lookup.short {
            self.screen.text(line);
        }
    }

    fn step<'r>(&mut self, lookup: &Lookup, got: &Got, records: impl Iterator<Item = &'r Record>) {
        if lookup.json {
            self.replies.push(document(got));
            return;
        }
        if lookup.annotate {
            self.screen.text(&annotated::exchange(&got.query, &got.octets, &got.arrival));
            return;
        }
        if lookup.short {
            for record in &got.message.answers {
                let data = report::data(record, lookup.show.split);
                let from = &got.arrival.server;
                let millis = got.arrival.took.as_millis();
                self.screen.line(format!("{} {data} from server {} in {millis} ms.", record.kind, from.ip()));
            }
            return;
        }
        let mut text: String = records.map(|record| report::record_line(record, &lookup.show)).collect();
        text.push_str(&report::received(&got.arrival, got.octets.len()));
        self.screen.text(&text);
    }
}

fn is_proof(record: &Record) -> bool {
    matches!(record.kind, Type::NSEC | Type::NSEC3)
}

// Where a transfer ends.
#[derive(Default)]
struct End {
    records: usize,
    newest: Option<u32>,
    seen: u32,
    incremental: bool,
}

impl End {
    // Whether this record is the last.
    fn take(&mut self, record: &Record) -> bool {
        self.records += 1;
        if record.kind != Type::SOA {
            return false;
        }
        let serial = serial(record);
        if self.records == 2 && serial != self.newest {
            self.incremental = true;
        }
        let newest = *self.newest.get_or_insert(serial.unwrap_or_default());
        self.seen += u32::from(serial == Some(newest));
        self.seen >= if self.incremental { 3 } else { 2 }
    }

    // RFC 1995 §2: one SOA alone says that there is nothing newer.
    fn is_current(&self, known: u32, messages: usize) -> bool {
        messages == 1 && self.records == 1 && self.newest.is_some_and(|newest| newest == known)
    }
}

fn serial(record: &Record) -> Option<u32> {
    let mut numbers = Vec::new();
    rdata::for_each_field(record.kind, &record.rdata, |_, octets| {
        numbers.extend(
            octets.first_chunk::<4>().filter(|_| octets.len() == 4).map(|four| u32::from_be_bytes(*four)),
        );
    });
    // MNAME and RNAME may be four octets long as well: count from the end.
    numbers.len().checked_sub(5).and_then(|at| numbers.get(at).copied())
}

/// A reply for programs.
fn document(got: &Got) -> Value {
    let Got { message, arrival, octets, .. } = got;
    let mut flags = Vec::new();
    for (flag, name) in report::FLAGS {
        if message.flags.has(flag) {
            flags.push(name);
        }
    }
    let question = message.questions.first();
    json!({
        "server": arrival.server.to_string(),
        "transport": arrival.carrier.to_lowercase(),
        "milliseconds": arrival.took.as_secs_f64() * 1000.0,
        "octets": octets.len(),
        "id": message.id,
        "opcode": message.flags.opcode().to_string(),
        "status": message.rcode().to_string(),
        "flags": flags,
        "question": question.map(|question| json!({
            "name": question.name.to_string(),
            "class": question.class.to_string(),
            "type": question.kind.to_string(),
        })),
        "edns": message.edns.as_ref().map(|edns| json!({
            "version": edns.version,
            "flags": edns.flags,
            "udp": edns.udp_octets_max,
            "options": doorway_dns::wire::options::options(&edns.options)
                .flatten()
                .map(|option| option.to_string())
                .collect::<Vec<_>>(),
        })),
        "answer": records(&message.answers),
        "authority": records(&message.authorities),
        "additional": records(&message.additionals),
    })
}

/// Records for programs.
pub(super) fn records(records: &[Record]) -> Vec<Value> {
    let record = |record: &Record| {
        json!({
            "name": record.name.to_string(),
            "ttl": record.ttl,
            "class": record.class.to_string(),
            "type": record.kind.to_string(),
            "data": report::data(record, 0),
        })
    };
    records.iter().map(record).collect()
}
