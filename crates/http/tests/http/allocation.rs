//! A file that is in the hot cache is sent without a single allocation, over HTTP/1 and over HTTP/2.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use doorway_net::ground::{VirtualListener, VirtualStream};
use doorway_net::tcp::{self, TcpOptions};
use doorway_net::{Listener, Stream};
use doorway_sim::Simulation;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::support::{Folder, config, serve};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "a global allocator is unsafe by nature; this one only counts and passes on")]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter left, and no test to count for.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a client sends, one item at a read, and what it sees of the server.
#[derive(Default)]
struct Script {
    items: Vec<Vec<u8>>,
    at: usize,
    /// Whether the next read finds nothing yet.
    dry: bool,
    /// Octets that the server wrote.
    written: usize,
    /// When the server last got something: allocations until then, octets until then.
    before: (usize, usize),
    /// For each item but the last: allocations and octets that its answer took.
    took: Vec<(usize, usize)>,
}

/// The server's end of a connection with a script behind it, which allocates nothing itself.
struct Scripted(Arc<Mutex<Script>>);

const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000);
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut script = self.0.lock().unwrap();
        let script = &mut *script;
        script.dry = !script.dry;
        if script.dry {
            // The simulation's own list of what is ready is not the server's doing.
            let before = ALLOCATIONS.get();
            cx.waker().wake_by_ref();
            script.before.0 += ALLOCATIONS.get() - before;
            return Poll::Pending;
        }
        if script.at > 0 {
            let now = (ALLOCATIONS.get(), script.written);
            script.took.push((now.0 - script.before.0, now.1 - script.before.1));
        }
        if let Some(item) = script.items.get(script.at) {
            buffer.put_slice(item);
        }
        script.at += 1;
        script.before = (ALLOCATIONS.get(), script.written);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().written += octets.len();
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl VirtualStream for Scripted {
    fn local(&self) -> SocketAddr {
        SERVER
    }

    fn remote(&self) -> SocketAddr {
        CLIENT
    }
}

/// Lets the one client in.
struct Once(Mutex<Option<Scripted>>);

impl VirtualListener for Once {
    fn local(&self) -> SocketAddr {
        SERVER
    }

    fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<(Stream, SocketAddr)>> {
        match self.0.lock().unwrap().take() {
            Some(scripted) => Poll::Ready(Ok((Stream::virtual_stream(Box::new(scripted)), CLIENT))),
            None => Poll::Pending,
        }
    }
}

/// Items until a worker's own buffers have the size that the requests need.
const WARM_UP: usize = 8;

/// The first items may take memory that is kept; what follows must answer with at least
/// `octets_min` octets and no allocation.
fn check(first: Vec<u8>, later: impl Fn(u32) -> Vec<u8>, octets_min: usize) {
    let folder = Folder::new();
    let items: Vec<_> = [first].into_iter().chain((1..50).map(later)).collect();
    let count = items.len();
    let script = Arc::new(Mutex::new(Script { took: Vec::with_capacity(count), items, ..Script::default() }));
    let mut sim = Simulation::new(1);
    let node = sim.node("server", "10.0.0.1");
    let world = sim.world(node);
    let (config, connection) = (config(Some(&folder.public())), Scripted(Arc::clone(&script)));
    sim.run(node, async move {
        let (server, _) = serve(&world, &config);
        let listener = Listener::Virtual(Arc::new(Once(Mutex::new(Some(connection)))));
        // A simulation writes everything down, which takes memory.
        let options = TcpOptions { traced: false, ..server.tcp_options(false) };
        tcp::open(&world, vec![listener], &options, &server);
        world.sleep(Duration::from_millis(500)).await;
    })
    .unwrap();
    let script = script.lock().unwrap();
    assert_eq!(script.took.len(), count, "each item was read");
    for (at, (allocations, octets)) in script.took.iter().enumerate().skip(WARM_UP) {
        assert!(*octets >= octets_min, "answer {at} has {octets} octets");
        assert_eq!(*allocations, 0, "answer {at}");
    }
}

const REQUEST: &[u8] = b"GET /plain.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n";

#[test]
fn an_http1_request_for_a_hot_file_allocates_nothing() {
    check(REQUEST.to_vec(), |_| REQUEST.to_vec(), 100);
    check(REQUEST.to_vec(), |_| REQUEST.repeat(10), 1000);
}

#[test]
fn a_request_for_what_a_cache_has_in_memory_allocates_nothing() {
    const REQUEST: &[u8] = b"GET /kept/short HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n";
    check(REQUEST.to_vec(), |_| REQUEST.to_vec(), 200);
    let first = [PREFACE, &headers(1, b"/kept/short", b"\x41\x01a")[..]].concat();
    check(first, |n| headers(2 * n + 1, b"/kept/short", b"\xbe"), 200);
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// GET of `path` as one HEADERS frame; `authority` is a literal at first and then comes from the dynamic table.
fn headers(stream: u32, path: &[u8], authority: &[u8]) -> Vec<u8> {
    let block = [b"\x82\x86\x04", &[path.len() as u8][..], path, authority].concat();
    let start = [0, 0, block.len() as u8, 1, 5];
    [&start[..], &stream.to_be_bytes(), &block].concat()
}

#[test]
fn an_http2_request_for_a_hot_file_allocates_nothing() {
    for (path, octets_min) in [(&b"/plain.txt"[..], 50), (b"/sub/", 50)] {
        let first = || [PREFACE, &headers(1, path, b"\x41\x01a")[..]].concat();
        check(first(), |n| headers(2 * n + 1, path, b"\xbe"), octets_min);
        let ten = |n: u32| (0..10).flat_map(|more| headers(20 * n + 2 * more + 1, path, b"\xbe")).collect();
        check(first(), ten, 10 * octets_min);
    }
}
