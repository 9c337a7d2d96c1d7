//! A UDP pinger: sends numbered datagrams to an echo server and counts what is lost.
//!
//! ```text
//! cargo run -p doorway-net --example ping_udp -- serve 30        an echo that forgets 30 %
//! cargo run -p doorway-net --example ping_udp -- 10              ten pings
//! ```
//!
//! UDP promises nothing, so the sender has to decide how long to wait: here one second.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::time::Duration;

use doorway_base::{Datagram, Instant, Random, Responder, Trace, Verdict, Writer};
use doorway_net::World;
use doorway_net::ground::ListenOptions;
use doorway_net::os::Runtime;
use doorway_net::udp::{self, UdpOptions};

const ADDRESS: &str = "127.0.0.1:8888";
const WAIT: Duration = Duration::from_secs(1);

/// Sends datagrams back, except those it loses on purpose.
struct LossyEcho {
    loss: f64,
    random: Random,
}

impl Responder for LossyEcho {
    fn answer(&mut self, _: Instant, query: Datagram<'_>, reply: &mut Writer<'_>) -> Verdict {
        if self.random.chance(self.loss) {
            return Verdict::Drop("lost on purpose");
        }
        reply.put(query.octets);
        Verdict::Reply
    }
}

async fn ping(world: World, count: u32) -> std::io::Result<()> {
    let any = "127.0.0.1:0".parse().map_err(std::io::Error::other)?;
    let server = ADDRESS.parse().map_err(std::io::Error::other)?;
    let socket = world.udp(any, &ListenOptions { share: false, ..ListenOptions::default() })?.start()?;
    let mut times = Vec::new();
    for number in 1..=count {
        let sent = world.now();
        socket.send(&number.to_be_bytes(), server).await?;
        let answer = world.timeout(WAIT, async {
            let mut octets = [0; 16];
            loop {
                // A late answer to an earlier ping is not the answer to this one.
                match socket.receive(&mut octets).await {
                    Ok((4, _)) if octets[..4] == number.to_be_bytes() => return Ok(()),
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
        });
        match answer.await {
            Some(answered) => {
                answered?;
                let time = world.now() - sent;
                println!("ping {number}: {:.3} ms", time.as_secs_f64() * 1000.0);
                times.push(time);
            }
            None => println!("ping {number}: lost"),
        }
    }
    let lost = count as usize - times.len();
    let share = 100.0 * lost as f64 / f64::from(count.max(1));
    println!("{count} sent, {} answered, {lost} lost ({share:.0} %)", times.len());
    if let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) {
        let mean = times.iter().sum::<Duration>() / times.len() as u32;
        let millis = |time: &Duration| time.as_secs_f64() * 1000.0;
        println!(
            "round trip: least {:.3}, mean {:.3}, most {:.3} ms",
            millis(least),
            millis(&mean),
            millis(most)
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let runtime = Runtime::start("ping", 1, Trace::off())?;
    let world = runtime.world().clone();
    match words.next().as_deref() {
        Some("serve") => {
            let loss = words.next().and_then(|word| word.parse().ok()).unwrap_or(30.0) / 100.0;
            let options = UdpOptions::new("ping", "echo", 0);
            udp::serve(&world, ADDRESS.parse()?, &options, |_, _| LossyEcho {
                loss,
                random: world.random(),
            })?;
            println!("listening on {ADDRESS}, losing {:.0} %", loss * 100.0);
            runtime.block_on(std::future::pending::<()>());
        }
        Some(count) => {
            runtime.block_on(ping(world, count.parse()?)).transpose()?;
        }
        None => eprintln!("ping_udp serve [LOSS_PERCENT] | COUNT"),
    }
    Ok(())
}
