//! A connection's octets: plain or TLS, over the operating system or a simulated network.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio_rustls::TlsStream;

use self::feed::Feed;
use crate::ground::VirtualStream;
use crate::pulse::Pulse;

mod feed;

/// Octets one [`Stream::poll_read_with`] can deliver: the size of the worker's shared read buffer.
pub const READ_OCTETS: usize = 64 * 1024;

thread_local! {
    // Idle connections own no read buffer: whoever is ready borrows this one.
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One connection. Implements tokio's [`AsyncRead`] and [`AsyncWrite`], which need no tokio runtime.
#[derive(Debug)]
pub struct Stream {
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Plain(PlainStream),
    Tls(Box<TlsStream<PlainStream>>),
}

/// The octets below TLS, counted.
pub(crate) struct PlainStream {
    socket: Socket,
    /// Octets that were read too far (behind a PROXY header) and come first.
    unread: Vec<u8>,
    watch: Option<Watch>,
    /// What is on its way from a file to the socket.
    feed: Option<Box<Feed>>,
}

/// Where a stream reports that it moved.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) tick: Arc<AtomicU32>,
}

#[allow(clippy::disallowed_types, reason = "this is the one place where sockets become streams")]
enum Socket {
    /// Accepted, and not registered with the worker yet. One that is over before it has to wait never is.
    Fresh {
        socket: Option<std::net::TcpStream>,
        /// Operations that may still be tried at once.
        tries: u8,
    },
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
    Virtual(Box<dyn VirtualStream>),
}

/// Operations that are tried on a new connection without waiting; one that is never short of octets takes its turn
/// with the others after that.
const TRIES: u8 = 4;

#[allow(clippy::disallowed_types, reason = "this is the one place where sockets become streams")]
impl Socket {
    /// Tries an operation on a new connection; `None` when it has to wait, or the connection is not new, and goes
    /// the usual way.
    fn at_once<T>(
        &mut self,
        operation: impl FnOnce(&mut &std::net::TcpStream) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let Self::Fresh { socket, tries } = self else { return Ok(None) };
        if let (Some(socket), Some(left)) = (socket.as_ref(), tries.checked_sub(1)) {
            *tries = left;
            match operation(&mut &*socket) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                outcome => return outcome.map(Some),
            }
        }
        self.register()?;
        Ok(None)
    }

    /// Has the worker watch a new connection from now on.
    fn register(&mut self) -> io::Result<()> {
        if let Self::Fresh { socket, .. } = self {
            let socket = socket.take().ok_or(io::ErrorKind::NotConnected)?;
            *self = Self::Tcp(tokio::net::TcpStream::from_std(socket)?);
        }
        Ok(())
    }
}

impl std::fmt::Debug for PlainStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.socket {
            Socket::Fresh { .. } | Socket::Tcp(_) => "tcp",
            Socket::Unix(_) => "unix",
            Socket::Virtual(_) => "virtual",
        };
        f.debug_tuple("PlainStream").field(&kind).finish()
    }
}

impl Stream {
    #[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
    pub(crate) fn tcp(socket: tokio::net::TcpStream) -> Self {
        Self::plain(Socket::Tcp(socket))
    }

    /// A connection that was just accepted and does not block.
    #[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
    pub(crate) fn accepted(socket: std::net::TcpStream) -> Self {
        Self::plain(Socket::Fresh { socket: Some(socket), tries: TRIES })
    }

    pub(crate) fn unix(socket: tokio::net::UnixStream) -> Self {
        Self::plain(Socket::Unix(socket))
    }

    /// A connection of a simulated network.
    #[must_use]
    pub fn virtual_stream(stream: Box<dyn VirtualStream>) -> Self {
        Self::plain(Socket::Virtual(stream))
    }

    fn plain(socket: Socket) -> Self {
        Self { carrier: Carrier::Plain(PlainStream { socket, unread: Vec::new(), watch: None, feed: None }) }
    }

    pub(crate) fn tls(stream: TlsStream<PlainStream>) -> Self {
        Self { carrier: Carrier::Tls(Box::new(stream)) }
    }

    pub(crate) fn watched(mut self, watch: Watch) -> Self {
        if let Carrier::Plain(plain) = &mut self.carrier {
            plain.watch = Some(watch);
        }
        self
    }

    /// The octets below TLS, to put TLS on them; `None` when there is TLS already.
    pub(crate) fn into_plain(self) -> Option<PlainStream> {
        match self.carrier {
            Carrier::Plain(plain) => Some(plain),
            Carrier::Tls(_) => None,
        }
    }

    /// Puts octets back that were read too far; they come first at the next read. Only below TLS.
    pub(crate) fn unread(&mut self, octets: &[u8]) {
        if let Carrier::Plain(plain) = &mut self.carrier {
            plain.unread.extend_from_slice(octets);
        }
    }

    /// Whether the octets are encrypted on the way.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.carrier, Carrier::Tls(_))
    }

    /// The protocol agreed by ALPN (RFC 7301), such as `h2`.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.carrier {
            Carrier::Tls(tls) => tls.get_ref().1.alpn_protocol(),
            Carrier::Plain(_) => None,
        }
    }

    /// The name the client asked for in the TLS handshake (RFC 6066 §3).
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match &self.carrier {
            Carrier::Tls(tls) => match &**tls {
                TlsStream::Server(server) => server.get_ref().1.server_name(),
                TlsStream::Client(_) => None,
            },
            Carrier::Plain(_) => None,
        }
    }

    /// This end's address; `None` for a Unix socket.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.below().socket {
            Socket::Fresh { socket, .. } => socket.as_ref()?.local_addr().ok(),
            Socket::Tcp(tcp) => tcp.local_addr().ok(),
            Socket::Unix(_) => None,
            Socket::Virtual(stream) => Some(stream.local()),
        }
    }

    fn below(&self) -> &PlainStream {
        match &self.carrier {
            Carrier::Plain(plain) => plain,
            Carrier::Tls(tls) => tls.get_ref().0,
        }
    }

    /// The user of the process at the other end of a Unix socket, as the kernel vouches for it.
    #[must_use]
    pub fn unix_user(&self) -> Option<u32> {
        match &self.below().socket {
            Socket::Unix(unix) => unix.peer_cred().ok().map(|credentials| credentials.uid()),
            _ => None,
        }
    }

    /// Sends up to `octets` octets of `file`, from `at` on, without reading them; `None` when this stream or this
    /// file cannot (it encrypts, or is no socket of the system), and its user has to read and write. Nothing is
    /// sent only at the end of the file. Whoever began goes on with the same file, from where it is.
    ///
    /// # Errors
    /// As the connection and the disk give them.
    pub fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &File,
        at: u64,
        octets: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        if let Carrier::Plain(plain) = &mut self.carrier {
            plain.socket.register()?;
        }
        let Carrier::Plain(PlainStream { socket: Socket::Tcp(socket), watch, feed, .. }) = &mut self.carrier
        else {
            return Poll::Ready(Ok(None));
        };
        if watch.as_ref().is_some_and(|watch| watch.pulse.ends().are_one_machine()) {
            feed.get_or_insert_with(|| Box::new(Feed::new(socket)));
        }
        let is_unsupported = |error: &io::Error| error.kind() == io::ErrorKind::Unsupported;
        let sent = poll_socket(socket, cx, |socket| match feed {
            Some(feed) => match feed.send(socket, file, at, octets) {
                Err(error) if is_unsupported(&error) => send_file(socket, file, at, octets),
                sent => sent,
            },
            None => send_file(socket, file, at, octets),
        });
        report(watch.as_ref(), &sent);
        match sent {
            Poll::Ready(Err(error)) if is_unsupported(&error) => Poll::Ready(Ok(None)),
            sent => sent.map_ok(Some),
        }
    }

    /// Like [`AsyncWrite::poll_write`] for octets that more will follow at once: they may wait to leave
    /// together with those.
    ///
    /// # Errors
    /// As the connection gives them.
    pub fn poll_write_more(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        if let Carrier::Plain(plain) = &mut self.carrier {
            plain.socket.register()?;
        }
        let Carrier::Plain(PlainStream { socket: Socket::Tcp(socket), watch, .. }) = &mut self.carrier else {
            return Pin::new(self).poll_write(cx, octets);
        };
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        let sent = poll_socket(socket, cx, |socket| Ok(rustix::net::send(socket, octets, flags)?));
        report(watch.as_ref(), &sent);
        sent
    }

    /// Reads into the worker's shared buffer and hands the octets to `use_octets` at once; an empty
    /// slice means that the peer has finished sending. An idle connection thus owns no buffer.
    ///
    /// # Errors
    /// As the connection gives them.
    pub fn poll_read_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        use_octets: impl FnOnce(&[u8]) -> R,
    ) -> Poll<io::Result<R>> {
        with_read_buffer(|buffer| {
            let mut read = ReadBuf::new(buffer);
            match Pin::new(self).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(use_octets(read.filled()))),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        })
    }
}

/// Sends octets of a file; `Unsupported` when its file system cannot.
fn send_file(socket: &impl AsFd, file: &File, at: u64, octets: usize) -> io::Result<usize> {
    let mut offset = at;
    match rustix::fs::sendfile(socket, file, Some(&mut offset), octets) {
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
        sent => Ok(sent?),
    }
}

/// Tries `send` until the socket takes something.
#[allow(clippy::disallowed_types, reason = "the boundary to the operating system's sockets")]
fn poll_socket(
    socket: &tokio::net::TcpStream,
    cx: &mut Context<'_>,
    mut send: impl FnMut(&tokio::net::TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        match socket.try_io(Interest::WRITABLE, || send(socket)) {
            // The kernel's buffer is full after all: readiness was cleared, and is waited for anew.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => return Poll::Ready(sent),
        }
    }
}

/// Tells whoever watches the stream how a write went.
fn report(watch: Option<&Watch>, outcome: &Poll<io::Result<usize>>) {
    let Some(watch) = watch else { return };
    match outcome {
        Poll::Ready(Ok(count)) => watch.pulse.sent(*count, watch.tick.load(Relaxed)),
        Poll::Pending => watch.pulse.stalled(watch.tick.load(Relaxed)),
        Poll::Ready(Err(_)) => {}
    }
}

/// Lends the worker's shared buffer of [`READ_OCTETS`] octets.
pub(crate) fn with_read_buffer<R>(use_buffer: impl FnOnce(&mut [u8]) -> R) -> R {
    // Taken out while in use, so that a nested read gets a buffer of its own instead of a panic.
    let mut buffer = READ_BUFFER.take();
    if buffer.len() < READ_OCTETS {
        buffer.resize(READ_OCTETS, 0);
    }
    let used = use_buffer(&mut buffer);
    READ_BUFFER.set(buffer);
    used
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().carrier {
            Carrier::Plain(plain) => Pin::new(plain).poll_read(cx, buffer),
            Carrier::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().carrier {
            Carrier::Plain(plain) => Pin::new(plain).poll_write(cx, octets),
            Carrier::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, octets),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().carrier {
            Carrier::Plain(plain) => Pin::new(plain).poll_write_vectored(cx, slices),
            Carrier::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().carrier {
            Carrier::Plain(plain) => Pin::new(plain).poll_flush(cx),
            Carrier::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().carrier {
            Carrier::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            Carrier::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

impl PlainStream {
    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        report(self.watch.as_ref(), outcome);
    }
}

impl AsyncRead for PlainStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let count = this.unread.len().min(buffer.remaining());
            buffer.put_slice(&this.unread[..count]);
            this.unread.drain(..count);
            if this.unread.is_empty() {
                this.unread = Vec::new(); // give the memory back: this happens once a connection
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let at_once = this.socket.at_once(|socket| socket.read(buffer.initialize_unfilled()))?;
        let outcome = match (at_once, &mut this.socket) {
            (Some(count), _) => {
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
            (None, Socket::Tcp(socket)) => Pin::new(socket).poll_read(cx, buffer),
            (None, Socket::Unix(socket)) => Pin::new(socket).poll_read(cx, buffer),
            (None, Socket::Virtual(stream)) => Pin::new(&mut **stream).poll_read(cx, buffer),
            (None, Socket::Fresh { .. }) => unreachable!("it was registered"),
        };
        ready!(outcome)?;
        if let Some(watch) = &this.watch {
            watch.pulse.received(buffer.filled().len() - before, watch.tick.load(Relaxed));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = match (this.socket.at_once(|socket| socket.write(octets))?, &mut this.socket) {
            (Some(count), _) => Poll::Ready(Ok(count)),
            (None, Socket::Tcp(socket)) => Pin::new(socket).poll_write(cx, octets),
            (None, Socket::Unix(socket)) => Pin::new(socket).poll_write(cx, octets),
            (None, Socket::Virtual(stream)) => Pin::new(&mut **stream).poll_write(cx, octets),
            (None, Socket::Fresh { .. }) => unreachable!("it was registered"),
        };
        this.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let at_once = this.socket.at_once(|socket| socket.write_vectored(slices))?;
        let outcome = match (at_once, &mut this.socket) {
            (Some(count), _) => Poll::Ready(Ok(count)),
            (None, Socket::Tcp(socket)) => Pin::new(socket).poll_write_vectored(cx, slices),
            (None, Socket::Unix(socket)) => Pin::new(socket).poll_write_vectored(cx, slices),
            (None, Socket::Virtual(stream)) => Pin::new(&mut **stream).poll_write_vectored(cx, slices),
            (None, Socket::Fresh { .. }) => unreachable!("it was registered"),
        };
        this.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // nothing is buffered below TLS
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Fresh { socket, .. } => {
                let socket = socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
                Poll::Ready(socket.shutdown(Shutdown::Write))
            }
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Virtual(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
