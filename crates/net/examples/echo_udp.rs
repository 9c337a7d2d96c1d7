//! Upper-case echo over UDP on port 8888.
//!
//! ```text
//! cargo run -p doorway-net --example echo_udp -- serve
//! cargo run -p doorway-net --example echo_udp -- short hello you   a socket for each datagram
//! cargo run -p doorway-net --example echo_udp -- long hello you    one socket that waits for more
//! ```
//!
//! There is no connection: each datagram names its destination, and the server answers to the
//! address it finds on it. "Short" and "long" are only how long the client keeps its socket, which
//! shows in its port: a new one each time, or always the same.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::time::Duration;

use doorway_base::{Datagram, Instant, Responder, Trace, Verdict, Writer};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::os::Runtime;
use doorway_net::udp::{self, UdpClient, UdpOptions};

const ADDRESS: &str = "127.0.0.1:8888";
/// How long an answer may take before it counts as lost.
const WAIT: Duration = Duration::from_secs(1);

struct UpperCase;

impl Responder for UpperCase {
    fn answer(&mut self, _: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict {
        for octet in query.octets {
            reply.put_u8(octet.to_ascii_uppercase());
        }
        Verdict::Reply
    }
}

fn socket(world: &World) -> std::io::Result<UdpClient> {
    let any = "127.0.0.1:0".parse().map_err(std::io::Error::other)?;
    world.udp(any, &ListenOptions { share: false, ..ListenOptions::default() })?.start()
}

async fn ask(world: World, lines: Vec<String>, long: bool) -> std::io::Result<()> {
    let server = ADDRESS.parse().map_err(std::io::Error::other)?;
    let mut client = socket(&world)?;
    for line in lines {
        client.send(line.as_bytes(), server).await?;
        let mut answer = [0; 1500];
        match world.timeout(WAIT, client.receive(&mut answer)).await {
            Some(received) => {
                let (count, from) = received?;
                let text = String::from_utf8_lossy(&answer[..count]).into_owned();
                println!("{text}  (to {}, from {from})", client.local()?);
            }
            None => println!("no answer to `{line}`: lost, or nobody is there"),
        }
        if !long {
            client = socket(&world)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let runtime = Runtime::start("echo", 0, Trace::off())?;
    let world = runtime.world().clone();
    let kind = words.next().unwrap_or_default();
    match kind.as_str() {
        "serve" => {
            udp::serve(&world, ADDRESS.parse()?, &UdpOptions::new("echo", "echo", 0), |_, _| UpperCase)?;
            println!("listening on {ADDRESS}");
            runtime.block_on(std::future::pending::<()>());
        }
        "short" | "long" => {
            let lines: Vec<String> = words.collect();
            runtime.block_on(ask(world, lines, kind == "long")).transpose()?;
        }
        _ => eprintln!("echo_udp serve | short LINE... | long LINE..."),
    }
    Ok(())
}
