//! Upper-case echo over TCP on port 8888: the first program of every course on sockets.
//!
//! ```text
//! cargo run -p doorway-net --example echo_tcp -- serve          a long connection waits for more
//! cargo run -p doorway-net --example echo_tcp -- serve short    a short one closes after the data
//! cargo run -p doorway-net --example echo_tcp -- ask hello ...  one connection, one line after the other
//! ```
//!
//! The server creates its socket on a port, then waits. The client creates its own, connects, sends,
//! reads and closes. Watch it with the capture filter `tcp.port == 8888`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::sync::Arc;

use doorway_base::Trace;
use doorway_net::os::Runtime;
use doorway_net::tcp::{self, Connection, TcpOptions, TcpService};
use doorway_net::{Stream, World};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const ADDRESS: &str = "127.0.0.1:8888";
/// Longest line that is read, in octets.
const LINE_OCTETS_MAX: usize = 4096;

struct UpperCase {
    short: bool,
}

impl TcpService for UpperCase {
    async fn serve(&self, connection: Connection) {
        println!("connection from {}", connection.remote());
        let (stream, _, _watching) = connection.into_parts(); // the trace sees the end when this is dropped
        let mut stream = BufReader::with_capacity(LINE_OCTETS_MAX, stream);
        while let Ok(Some(mut line)) = read_line(&mut stream).await {
            line.make_ascii_uppercase();
            if stream.get_mut().write_all(line.as_bytes()).await.is_err() || self.short {
                return; // dropping the stream closes the connection
            }
        }
    }
}

/// One line with its end; `None` when the other side has finished or wrote too much without one.
async fn read_line(stream: &mut BufReader<Stream>) -> std::io::Result<Option<String>> {
    let mut octets = Vec::new();
    loop {
        let some = stream.fill_buf().await?;
        let end = some.iter().position(|octet| *octet == b'\n');
        let count = end.map_or(some.len(), |end| end + 1);
        octets.extend_from_slice(&some[..count]);
        stream.consume(count);
        if end.is_some() {
            return Ok(Some(String::from_utf8_lossy(&octets).into_owned()));
        }
        if count == 0 || octets.len() > LINE_OCTETS_MAX {
            return Ok(None);
        }
    }
}

async fn ask(world: World, lines: Vec<String>) -> std::io::Result<()> {
    let address = ADDRESS.parse().map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(world.connect(address).await?);
    for line in lines {
        stream.get_mut().write_all(format!("{line}\n").as_bytes()).await?;
        match read_line(&mut stream).await? {
            Some(answer) => print!("{answer}"),
            None => {
                println!("(the server has closed the connection: a short one serves one line)");
                break;
            }
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let runtime = Runtime::start("echo", 0, Trace::off())?;
    let world = runtime.world().clone();
    match words.next().as_deref() {
        Some("serve") => {
            let short = words.next().as_deref() == Some("short");
            let options = TcpOptions::new("echo", "echo", 0);
            tcp::serve(&world, ADDRESS.parse()?, &options, &Arc::new(UpperCase { short }))?;
            println!("listening on {ADDRESS}, {} connections", if short { "short" } else { "long" });
            runtime.block_on(std::future::pending::<()>());
        }
        Some("ask") => {
            let lines: Vec<String> = words.collect();
            runtime.block_on(ask(world, lines)).transpose()?;
        }
        _ => eprintln!("echo_tcp serve [short] | ask LINE..."),
    }
    Ok(())
}
