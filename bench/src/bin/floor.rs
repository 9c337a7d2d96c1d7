//! Floor programs: the least work that the kernel allows for a job, with no protocol in it.
//!
//! `floor udp PORT` echoes datagrams in batches. `floor http PORT FILE` answers anything that ends a
//! request head with the same ready-made response, over raw epoll.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use doorway_bench::Batch;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["udp", port] => udp(port),
        ["http", port, file] => http(port, file),
        _ => {
            eprintln!("floor udp PORT | floor http PORT FILE");
            std::process::exit(2)
        }
    }
}

fn udp(port: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind(format!("127.0.0.1:{port}"))?;
    receive_buffer(socket.as_raw_fd());
    let mut batch = Batch::new();
    loop {
        let count = batch.receive(socket.as_raw_fd(), true)?;
        let mut sent = 0;
        while sent < count {
            sent += batch.send(socket.as_raw_fd(), count, true)?.max(1);
        }
    }
}

fn receive_buffer(socket: RawFd) {
    let octets: libc::c_int = 4 << 20;
    // SAFETY: the option takes an int, and its address and size are passed.
    unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, (&raw const octets).cast(), 4);
    }
}

fn http(port: &str, file: &str) -> std::io::Result<()> {
    let body = std::fs::read(file)?;
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    let mut last = response[..response.len() - 2].to_vec();
    last.extend(b"Connection: close\r\n\r\n");
    last.extend(&body);
    response.extend(body);
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    listener.set_nonblocking(true)?;
    // SAFETY: plain system calls on descriptors that this function owns.
    let epoll = unsafe { libc::epoll_create1(0) };
    let watch = |descriptor: RawFd, edge: bool| {
        let events = libc::EPOLLIN as u32 | if edge { libc::EPOLLET as u32 } else { 0 };
        let mut event = libc::epoll_event { events, u64: descriptor as u64 };
        // SAFETY: `event` lives through the call.
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, descriptor, &mut event) };
    };
    watch(listener.as_raw_fd(), false);
    let mut streams: HashMap<RawFd, TcpStream> = HashMap::new();
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];
    let mut octets = vec![0; 65_536];
    loop {
        // SAFETY: the array has room for the 256 events asked for.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 256, -1) }.max(0) as usize;
        for event in &events[..count] {
            let descriptor = event.u64 as RawFd;
            if descriptor == listener.as_raw_fd() {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    watch(stream.as_raw_fd(), true);
                    streams.insert(stream.as_raw_fd(), stream);
                }
                continue;
            }
            let Some(stream) = streams.get_mut(&descriptor) else { continue };
            let mut over = false;
            match stream.read(&mut octets) {
                Ok(0) => over = true,
                Ok(count) => {
                    let requests = octets[..count].windows(4).filter(|end| *end == b"\r\n\r\n").count();
                    let close = octets[..count].windows(7).any(|word| word == b": close");
                    for _ in 0..requests {
                        let answer = if close { &last } else { &response };
                        over |= stream.write_all(answer).is_err() || close;
                    }
                }
                Err(error) => over = error.kind() != std::io::ErrorKind::WouldBlock,
            }
            if over {
                streams.remove(&descriptor);
            }
        }
    }
}
