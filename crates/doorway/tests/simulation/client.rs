//! A client that does not give up: it asks again over UDP, and connects again over TCP.

use std::future::Future;
use std::io;
use std::time::Duration;

use doorway_dns::wire::{Class, Flags, Message, Name, Question, Type};
use doorway_net::ground::ListenOptions;
use doorway_net::{Stream, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::network::{DNS, HTTP};

/// How long a client waits for a datagram before it asks again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long it waits on a connection before it makes another.
const HANGING: Duration = Duration::from_secs(30);

fn query(name: &str) -> Vec<u8> {
    let name = name.parse::<Name>().unwrap();
    let question = Question { name, kind: Type::A, class: Class::IN };
    Message { id: 4711, flags: Flags(Flags::RD), questions: vec![question], ..Message::default() }
        .to_octets()
        .unwrap()
}

/// Asks over UDP until there is an answer. Also returns how often it asked.
pub(crate) async fn ask_udp(world: &World, name: &str) -> (Message, u32) {
    let here = "10.0.0.2:0".parse().unwrap();
    let socket = world.udp(here, &ListenOptions::default()).unwrap().start().unwrap();
    let query = query(name);
    let mut room = [0; 4096];
    for tries in 1.. {
        // While the server is down the network may say so; asking again is all there is to do.
        let _ = socket.send(&query, DNS.parse().unwrap()).await;
        match world.timeout(AGAIN, socket.receive(&mut room)).await {
            Some(Ok((count, _))) => return (Message::read(&room[..count]).unwrap(), tries),
            Some(Err(_)) => world.sleep(AGAIN).await,
            None => {}
        }
    }
    unreachable!("it asks for ever")
}

/// Does `exchange` on a connection to `address`, and on a new one as long as that fails or hangs.
async fn insist<T, F: Future<Output = io::Result<T>>>(
    world: &World,
    address: &str,
    exchange: impl Fn(Stream) -> F,
) -> T {
    loop {
        let attempt = async { exchange(world.connect(address.parse().unwrap()).await?).await };
        match world.timeout(HANGING, attempt).await {
            Some(Ok(done)) => return done,
            Some(Err(_)) => world.sleep(AGAIN).await,
            None => {}
        }
    }
}

/// Asks `count` questions on one TCP connection, all before the first answer is read.
pub(crate) async fn ask_tcp(world: &World, name: &str, count: usize) -> Vec<Message> {
    let query = query(name);
    let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat().repeat(count);
    insist(world, DNS, |mut stream| {
        let framed = framed.clone();
        async move {
            stream.write_all(&framed).await?;
            let mut answers = Vec::new();
            for _ in 0..count {
                let length = stream.read_u16().await?;
                let mut octets = vec![0; usize::from(length)];
                stream.read_exact(&mut octets).await?;
                answers.push(Message::read(&octets).unwrap());
            }
            Ok(answers)
        }
    })
    .await
}

/// Asks for `path` and waits for the first octet of the response.
pub(crate) async fn begin_to_fetch(world: &World, path: &str) -> Stream {
    insist(world, HTTP, |mut stream| async move {
        let request = format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        assert_eq!(stream.read_u8().await?, b'H');
        Ok(stream)
    })
    .await
}

/// How many octets still come before the connection ends or hangs.
pub(crate) async fn octets_to_the_end(world: &World, mut stream: Stream) -> usize {
    let mut octets = Vec::new();
    let _ = world.timeout(HANGING, stream.read_to_end(&mut octets)).await;
    octets.len()
}

/// Fetches `paths` one after the other on one connection that is kept alive: status and body of each.
pub(crate) async fn fetch(world: &World, paths: &[&str]) -> Vec<(u16, Vec<u8>)> {
    insist(world, HTTP, |mut stream| async move {
        let mut fetched = Vec::new();
        for path in paths {
            let request = format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            fetched.push(response(&mut stream).await?);
        }
        Ok(fetched)
    })
    .await
}

async fn response(stream: &mut Stream) -> io::Result<(u16, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await?;
    Ok((status, body))
}
