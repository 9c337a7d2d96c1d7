//! Connections to servers, by SMTP or LMTP: TCP or a Unix socket, TLS, one message after the other. What is
//! said and what it means is decided by [`crate::smtp::Client`].

use core::net::SocketAddr;
use std::future::{Future, poll_fn};
use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use doorway_base::Session;
use doorway_base::trace::{Direction, Event, EventId, Flow, Step, Transport};
use doorway_net::tls::TlsDialler;
use doorway_net::{BoxFuture, Stream, World};
use doorway_store::READ_OCTETS_MAX;
use tokio::io::AsyncWrite;

use super::bodies::{Bodies, Body};
use crate::envelope::Envelope;
use crate::reply::Reply;
use crate::sasl::base64;
use crate::smtp::client::{Input, Output};
use crate::smtp::data::Stuffer;
use crate::smtp::{Capabilities, Cause, Client, Dialect, Failure, Security, Settings, Stage};

/// How long a connection may take to open.
const CONNECT_WAIT: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(60);
/// Octets of a body that are read and sent at a time.
const PIECE_OCTETS: u64 = 64 * 1024;
/// Octets of randomness in a nonce.
const NONCE_OCTETS: usize = 18;
/// The port that the trace calls SMTP.
const PORT: u16 = 25;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At this address.
    Tcp(SocketAddr),
    /// At this Unix socket.
    Unix(PathBuf),
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its host name, which its certificate has to be good for where that is asked.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// The octets of a message that is to be sent.
#[derive(Debug, Clone)]
pub enum Source {
    /// In memory, in pieces that follow one another.
    Memory(Vec<Bytes>),
    /// In the store.
    Kept {
        /// Where bodies are.
        bodies: Bodies,
        /// Which one.
        body: Body,
        /// Octets at its start that are not sent.
        skip: u64,
    },
}

impl Source {
    /// How many octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self {
            Self::Memory(pieces) => pieces.iter().map(|piece| piece.len() as u64).sum(),
            Self::Kept { body, skip, .. } => body.octets().saturating_sub(*skip),
        }
    }

    /// A piece from `offset` on; empty at the end.
    async fn read(&self, offset: u64) -> Result<Bytes, String> {
        match self {
            Self::Memory(pieces) => {
                let mut skip = offset;
                for piece in pieces {
                    let length = piece.len() as u64;
                    if skip < length {
                        let end = length.min(skip + PIECE_OCTETS);
                        return Ok(piece.slice(skip as usize..end as usize));
                    }
                    skip -= length;
                }
                Ok(Bytes::new())
            }
            Self::Kept { bodies, body, skip } => {
                let octets = PIECE_OCTETS.min(READ_OCTETS_MAX);
                bodies.read(body, skip + offset, octets).await.map_err(|error| error.to_string())
            }
        }
    }
}

/// Opens connections to servers. Clones are the same.
#[derive(Debug, Clone)]
pub struct SmtpClient {
    world: World,
    dialler: Arc<TlsDialler>,
}

impl SmtpClient {
    /// A client in this world.
    #[must_use]
    pub fn new(world: &World, dialler: Arc<TlsDialler>) -> Self {
        Self { world: world.clone(), dialler }
    }

    /// Connects, greets, agrees on TLS and logs in, as far as the settings ask for it. Where TLS is only
    /// wished for and its handshake fails, a second connection goes without.
    ///
    /// # Errors
    /// [`Failure`], with the stage that was not passed.
    pub async fn open(&self, target: &Target, settings: &Settings) -> Result<Link, Failure> {
        match self.open_once(target, settings.clone()).await {
            Err(Failure { stage: Stage::Tls, cause }) if settings.security == Security::Opportunistic => {
                tracing::debug!(server = %target.name, ?cause, "TLS failed, going on without");
                self.open_once(target, Settings { security: Security::Never, ..settings.clone() }).await
            }
            outcome => outcome,
        }
    }

    async fn open_once(&self, target: &Target, settings: Settings) -> Result<Link, Failure> {
        let connect = async {
            match &target.place {
                Place::Tcp(remote) => self.world.connect(*remote).await,
                Place::Unix(path) => self.world.connect_unix(path).await,
            }
        };
        let lost = |cause| Failure::new(Stage::Connect, cause);
        let mut stream = match self.world.timeout(CONNECT_WAIT, connect).await {
            Some(stream) => stream.map_err(|error| lost(Cause::Lost(error.to_string())))?,
            None => return Err(lost(Cause::Silent(CONNECT_WAIT))),
        };
        let flow = self.flow(&stream, target);
        if settings.implicit_tls {
            stream = self.secure(stream, target, settings.security).await?;
        }
        let mut nonce = [0; NONCE_OCTETS];
        self.world.random().fill(&mut nonce);
        let protocol = if settings.dialect == Dialect::Lmtp { "lmtp" } else { "smtp" };
        let is_tls = stream.is_tls();
        let security = settings.security;
        let engine = Client::new(self.world.now(), settings, base64::encode(&nonce), is_tls);
        let mut link = Link {
            client: self.clone(),
            target: target.clone(),
            security,
            stream: Some(stream),
            engine,
            flow,
            protocol,
        };
        match link.drive(None).await? {
            Output::Ready => Ok(link),
            _ => Err(Failure::new(Stage::Greeting, Cause::Lost("the connection was closed".to_owned()))),
        }
    }

    async fn secure(&self, stream: Stream, target: &Target, security: Security) -> Result<Stream, Failure> {
        let remote = match &target.place {
            Place::Tcp(remote) => *remote,
            Place::Unix(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let name = (security == Security::Verified).then_some(&*target.name);
        let handshake = self.dialler.secure(stream, remote, name);
        let lost = |cause| Failure::new(Stage::Tls, cause);
        match self.world.timeout(HANDSHAKE_WAIT, handshake).await {
            Some(stream) => stream.map_err(|error| lost(Cause::Lost(error.to_string()))),
            None => Err(lost(Cause::Silent(HANDSHAKE_WAIT))),
        }
    }

    fn flow(&self, stream: &Stream, target: &Target) -> Flow {
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let remote = match &target.place {
            Place::Tcp(remote) => *remote,
            Place::Unix(_) => none,
        };
        Flow {
            id: self.world.trace().next_flow(),
            transport: Transport::Tcp,
            local: stream.local().unwrap_or(none),
            remote,
            canonical_port: PORT,
            serving: false,
        }
    }
}

/// A connection to a server that takes messages.
#[derive(Debug)]
pub struct Link {
    client: SmtpClient,
    target: Target,
    security: Security,
    /// Gone once the connection is over.
    stream: Option<Stream>,
    engine: Client,
    flow: Flow,
    protocol: &'static str,
}

impl Link {
    /// What the server offers.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        self.engine.capabilities()
    }

    /// The server.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the octets are encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.engine.is_tls()
    }

    /// Whether it takes another message. A server that went away meanwhile is found out by
    /// [`Link::send`]'s failure, at a [`Stage`] before the content: try a new link then.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.is_some() && self.engine.is_idle()
    }

    /// Sends a message: a reply for each recipient, in the envelope's order, whether from the server or,
    /// where it would refuse the message anyway (SIZE, SMTPUTF8, 8BITMIME), in its place.
    ///
    /// # Errors
    /// [`Failure`] when the connection broke before the verdict. At [`Stage::Content`] the server may have
    /// the message all the same.
    pub async fn send(&mut self, envelope: &Envelope, source: &Source) -> Result<Vec<Reply>, Failure> {
        if !self.is_open() {
            return Err(Failure::new(Stage::Idle, Cause::Lost("the connection is over".to_owned())));
        }
        self.engine.handle(self.client.world.now(), Input::Send(envelope, source.octets()));
        match self.drive(Some(source)).await? {
            Output::Done(replies) => Ok(replies),
            _ => Err(Failure::new(self.engine.stage(), Cause::Lost("the connection was closed".to_owned()))),
        }
    }

    /// Says goodbye and closes.
    pub async fn quit(mut self) {
        if self.stream.is_some() && self.engine.stage() == Stage::Idle {
            self.engine.handle(self.client.world.now(), Input::Quit);
            let _ = self.drive(None).await; // nothing depends on the answer
        }
    }

    /// Does what the engine says until it is ready, done or over.
    async fn drive(&mut self, source: Option<&Source>) -> Result<Output, Failure> {
        let mut outcome = None;
        loop {
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Write(octets) => self.write(&octets, true).await,
                    Output::StartTls => self.start_tls().await?,
                    Output::Content { chunked } => self.content(source, chunked).await?,
                    Output::Failed(failure) => {
                        self.stream = None;
                        return Err(failure);
                    }
                    Output::Close => {
                        self.stream = None;
                        return Ok(outcome.unwrap_or(Output::Close));
                    }
                    output @ (Output::Ready | Output::Done(_)) => outcome = Some(output),
                }
            }
            if let Some(output) = outcome {
                return Ok(output);
            }
            self.read().await;
        }
    }

    async fn start_tls(&mut self) -> Result<(), Failure> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        self.stream = Some(self.client.secure(stream, &self.target, self.security).await?);
        self.engine.handle(self.client.world.now(), Input::Secured);
        Ok(())
    }

    async fn content(&mut self, source: Option<&Source>, chunked: bool) -> Result<(), Failure> {
        let Some(source) = source else { return Ok(()) };
        let total = source.octets();
        let (mut stuffer, mut at, mut out) = (Stuffer::default(), 0, Vec::new());
        while at < total && self.stream.is_some() && self.engine.stage() == Stage::Content {
            let piece = source.read(at).await.and_then(|piece| {
                if piece.is_empty() { Err("it is shorter than it was".to_owned()) } else { Ok(piece) }
            });
            let piece = piece.map_err(|how| {
                // What has left must not be taken for the whole: the connection ends without its end.
                self.stream = None;
                Failure::new(Stage::Content, Cause::Content(how))
            })?;
            at += piece.len() as u64;
            if chunked {
                self.write(&piece, false).await;
            } else {
                stuffer.write(&piece, &mut out);
                if at < total {
                    self.write(&out, false).await;
                    out.clear();
                }
            }
            self.engine.handle(self.client.world.now(), Input::Sent);
        }
        if !chunked && self.engine.stage() == Stage::Content {
            stuffer.finish(&mut out);
            self.write(&out, false).await;
        }
        self.engine.handle(self.client.world.now(), Input::ContentSent);
        Ok(())
    }

    /// Sends octets. When that fails, what the server said before it closed is read first.
    async fn write(&mut self, octets: &[u8], is_command: bool) {
        if is_command && (self.engine.stage() == Stage::Auth) {
            // Whoever reads the trace need not learn the password.
            self.record(Direction::Out, b"AUTH", || "AUTH …".to_owned());
        } else if is_command {
            self.record(Direction::Out, octets, || command_summary(octets));
        } else {
            self.record(Direction::Out, octets, || format!("content, {} octets", octets.len()));
        }
        let Some(stream) = &mut self.stream else { return };
        let mut sent = 0;
        let write = poll_fn(|cx| {
            while sent < octets.len() {
                match std::task::ready!(Pin::new(&mut *stream).poll_write(cx, &octets[sent..])) {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Ok(count) => sent += count,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            Pin::new(&mut *stream).poll_flush(cx)
        });
        match until(&self.client.world, self.engine.next_timeout(), write).await {
            None => self.engine.handle(self.client.world.now(), Input::Timeout),
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.read().await;
                self.engine.handle(self.client.world.now(), Input::Closed(error.to_string()));
            }
        }
    }

    /// Reads once.
    async fn read(&mut self) {
        let Some(stream) = &mut self.stream else {
            return self.engine.handle(self.client.world.now(), Input::Closed("it is over".to_owned()));
        };
        let read = poll_fn(|cx| stream.poll_read_with(cx, <[u8]>::to_vec));
        let read = until(&self.client.world, self.engine.next_timeout(), read).await;
        let now = self.client.world.now();
        match read {
            None => self.engine.handle(now, Input::Timeout),
            Some(Ok(octets)) if octets.is_empty() => {
                self.engine.handle(now, Input::Closed("the server closed it".to_owned()));
            }
            Some(Ok(octets)) => {
                self.record(Direction::In, &octets, || command_summary(&octets));
                self.engine.handle(now, Input::Octets(&octets));
            }
            Some(Err(error)) => self.engine.handle(now, Input::Closed(error.to_string())),
        }
    }

    fn record(&self, direction: Direction, octets: &[u8], summary: impl FnOnce() -> String) {
        let world = &self.client.world;
        if octets.is_empty() || !world.trace().is_on() {
            return;
        }
        world.trace().record(|| Event {
            id: EventId::default(),
            at: world.now(),
            node: Arc::clone(world.node()),
            flow: self.flow,
            direction,
            step: Step::Message,
            protocol: self.protocol,
            summary: summary(),
            octets: octets.into(),
            cause: None,
            note: None,
        });
    }
}

/// Runs `future` up to a deadline; `None` when it came first.
async fn until<F: Future>(world: &World, due: Option<doorway_base::Instant>, future: F) -> Option<F::Output> {
    let Some(due) = due else { return Some(future.await) };
    let mut timer: BoxFuture<'static, ()> = world.sleep_until(due);
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// The first line of what was said.
fn command_summary(octets: &[u8]) -> String {
    let line = octets.split(|octet| *octet == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}
