//! Content of files sent without being read: every octet in its place, whatever the socket takes at a time.

use std::fs::File;
use std::future::poll_fn;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use doorway_net::World;
use doorway_net::os::Runtime;
use doorway_net::tcp::{self, Connection, TcpOptions, TcpService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Octets of each file: more than a pipe and a socket hold.
const OCTETS: usize = 3_000_000;

/// Sends what a line asks for: the number of a file, the first octet, how many.
struct Files([File; 2]);

impl TcpService for Files {
    async fn serve(&self, mut connection: Connection) {
        while let Ok(file) = connection.stream.read_u32().await {
            let (Ok(mut at), Ok(mut left)) =
                (connection.stream.read_u32().await, connection.stream.read_u32().await)
            else {
                return;
            };
            let file = &self.0[file as usize];
            while left > 0 {
                let (stream, octets) = (&mut connection.stream, left as usize);
                let sent = poll_fn(|cx| stream.poll_send_file(cx, file, at.into(), octets)).await;
                match sent {
                    // At the end of the file.
                    Ok(Some(0)) => break,
                    Ok(Some(count)) => (at, left) = (at + count as u32, left - count as u32),
                    Ok(None) => panic!("a socket of the system sends files"),
                    Err(_) => return,
                }
            }
        }
    }
}

fn octet(file: u32, at: usize) -> u8 {
    // No period that fits pages.
    ((at % 251) as u8) ^ (at >> 16) as u8 ^ (file as u8) << 7
}

fn file(number: u32, test: &str) -> File {
    let path = std::env::temp_dir().join(format!("doorway-sent-{}-{test}-{number}", std::process::id()));
    let content: Vec<u8> = (0..OCTETS).map(|at| octet(number, at)).collect();
    File::create(&path).unwrap().write_all(&content).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

/// Asks for parts of files over one connection and compares each octet.
fn check(runtime: &Runtime, to: SocketAddr, parts: &'static [(u32, usize, usize)]) {
    let world = runtime.world().clone();
    let compared = runtime.block_on(async move {
        let mut stream = world.connect(to).await.unwrap();
        for &(file, at, octets) in parts {
            ask(&mut stream, file, at, octets).await;
            let mut content = vec![0; octets.min(OCTETS - at)];
            stream.read_exact(&mut content).await.unwrap();
            let wrong = content.iter().enumerate().find(|(index, found)| **found != octet(file, at + index));
            assert_eq!(wrong, None, "file {file} from {at} on");
        }
    });
    compared.unwrap();
}

async fn ask(stream: &mut (impl AsyncWriteExt + Unpin), file: u32, at: usize, octets: usize) {
    let words = [file, at as u32, octets as u32].map(u32::to_be_bytes).concat();
    stream.write_all(&words).await.unwrap();
}

fn serve(world: &World, test: &str) -> SocketAddr {
    let files = Arc::new(Files([file(0, test), file(1, test)]));
    tcp::serve(world, super::loopback(), &TcpOptions::new("files", "files", 0), &files)
        .unwrap()
        .local()
        .unwrap()
}

#[test]
fn parts_of_files_arrive_as_they_are() {
    let (runtime, world) = super::start();
    let to = serve(&world, "parts");
    check(&runtime, to, &[(0, 0, OCTETS), (1, 0, OCTETS), (0, 0, OCTETS)]);
    check(&runtime, to, &[(0, 1, 1), (1, 4095, 2), (0, 65_536, 262_144), (1, 65_535, 262_147)]);
    check(&runtime, to, &[(0, OCTETS - 1, 1), (1, OCTETS - 70_000, 1_000_000), (0, 7, 100_000)]);
}

#[test]
fn what_one_connection_leaves_behind_no_other_gets() {
    let (runtime, world) = super::start();
    let to = serve(&world, "left");
    for _ in 0..20 {
        let world = runtime.world().clone();
        let left = runtime.block_on(async move {
            let mut stream = world.connect(to).await.unwrap();
            ask(&mut stream, 1, 0, OCTETS).await;
            stream.read_exact(&mut [0; 1000]).await.unwrap();
        });
        left.unwrap();
        check(&runtime, to, &[(0, 100, 500_000)]);
    }
}
