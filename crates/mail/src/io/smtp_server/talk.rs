//! One connection's task: reads through the worker's shared buffer, does the conversation's tasks, and writes
//! replies in one go before it reads again. While it waits for a command it owns no buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorway_base::trace::{Direction, EventId};
use doorway_base::{Instant, Session as _, UnixTime};
use doorway_net::tcp::Watching;
use doorway_net::{BoxFuture, Connection, Stream, World};
use doorway_store::{Attempt, BlobWriter, Durability, LoginRefused, User};
use tokio::io::AsyncWrite;

use super::{Setup, SmtpCounters, SmtpServer};
use crate::id::MessageId;
use crate::io::bodies::Content;
use crate::io::intake::Arrival;
use crate::reply::Reply;
use crate::sasl::{account_name, base64};
use crate::smtp::Conversation;
use crate::smtp::conversation::{Said, Task};
use crate::smtp::session::{Input, LoginOutcome, Verifier};

/// How long a TLS handshake behind STARTTLS may take.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(60);
/// How long a client that was told to go may still send, so that it reads why.
const LINGER_WAIT: Duration = Duration::from_secs(2);
/// A buffer that grew beyond this is given back when it is empty, in octets.
const BUFFER_OCTETS_KEPT: usize = 4096;
/// Replies that wait for one write, in octets: beyond this they leave at once.
const REPLIES_OCTETS_MAX: usize = 64 * 1024;
/// Octets of randomness in a nonce.
const NONCE_OCTETS: usize = 18;
/// The protocol by which app passwords may be bound to what is done here.
const PROTOCOL: &str = "smtp";

/// Why there is nothing more to say.
enum Over {
    /// The client is gone, or nobody can hear us.
    Lost,
    /// We said goodbye.
    Closed,
    /// It goes on under TLS.
    StartTls,
}

/// Who hears what is said.
struct Ears {
    watching: Watching,
    counters: Arc<SmtpCounters>,
    /// The command that replies are replies to.
    cause: Option<EventId>,
    /// The code of the last reply.
    code: u16,
}

/// A message on its way in.
struct Incoming {
    id: MessageId,
    at: UnixTime,
    /// Where the content goes once it is too long for memory.
    writer: Option<Box<dyn BlobWriter>>,
}

/// A connection with everything that belongs to it.
struct Talk<'s> {
    server: &'s SmtpServer,
    setup: Arc<Setup>,
    world: World,
    stream: Stream,
    ears: Ears,
    conversation: Conversation,
    /// Replies that were not sent.
    out: Vec<u8>,
    /// Octets that came and were not taken.
    unused: Vec<u8>,
    /// The conversation has seen all of `unused` and waits for more.
    shown: bool,
    incoming: Option<Incoming>,
    /// A login by SCRAM that is being tried, and the user it is for, if there is one.
    attempt: Option<(Attempt<'s>, Option<User>)>,
    drained: bool,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

/// Serves one connection to its end.
pub(super) async fn serve(server: &SmtpServer, connection: Connection) {
    let (stream, world, watching) = connection.into_parts();
    let setup = server.setup();
    let remote = stream.local().map(|_| watching.pulse().ends().remote.ip());
    let peer = setup.door.peer(remote, stream.is_tls());
    let bare_newline = setup.door.bare_newline(remote);
    let conversation = Conversation::new(world.now(), &setup.options, peer, remote, bare_newline);
    SmtpCounters::count(&server.parts.counters.connections);
    let counters = Arc::clone(&server.parts.counters);
    let mut talk = Talk {
        server,
        setup,
        world,
        stream,
        ears: Ears { watching, counters, cause: None, code: 0 },
        conversation,
        out: Vec::new(),
        unused: Vec::new(),
        shown: true,
        incoming: None,
        attempt: None,
        drained: false,
        timer: None,
    };
    let mut task = talk.greet();
    loop {
        match talk.run(task).await {
            Over::Lost => return,
            Over::Closed => return Box::pin(talk.end()).await,
            Over::StartTls => {
                let secured = Box::pin(secure(server, &talk.world, talk.stream)).await;
                let Some(stream) = secured else { return };
                talk.stream = stream;
                task = talk.answer(Input::Secured);
            }
        }
    }
}

/// Agrees on TLS behind STARTTLS.
async fn secure(server: &SmtpServer, world: &World, stream: Stream) -> Option<Stream> {
    let tls = server.parts.tls.as_ref()?;
    match world.timeout(HANDSHAKE_WAIT, tls.accept(stream)).await? {
        Ok(stream) => {
            SmtpCounters::count(&server.parts.counters.starttls);
            Some(stream)
        }
        Err(error) => {
            tracing::debug!(%error, "the TLS handshake behind STARTTLS failed");
            None
        }
    }
}

impl Talk<'_> {
    fn greet(&mut self) -> Option<Task> {
        let Self { conversation, out, ears, .. } = self;
        conversation.go_on(out, &mut |said| ears.hear(&said))
    }

    /// Takes octets and does what follows from them.
    async fn run(&mut self, mut task: Option<Task>) -> Over {
        loop {
            let next = match task {
                Some(task) => self.perform(task).await,
                None => self.receive().await,
            };
            match next {
                Ok(next) => task = next,
                Err(over) => return over,
            }
        }
    }

    /// Takes what waits, or reads; gives the next task if that made one.
    async fn receive(&mut self) -> Result<Option<Task>, Over> {
        if !self.shown {
            let unused = std::mem::take(&mut self.unused);
            let Self { conversation, out, ears, .. } = self;
            let (used, task) =
                conversation.take(self.world.now(), &unused, out, &mut |said| ears.hear(&said));
            self.keep(unused, used, task.is_some());
            return Ok(task);
        }
        self.flush().await?;
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// Keeps what was not used. Behind a task it has to be looked at again.
    fn keep(&mut self, mut octets: Vec<u8>, used: usize, task: bool) {
        octets.drain(..used);
        self.shown = !task;
        self.unused = if octets.is_empty() { Vec::new() } else { octets };
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Task>, Over>> {
        if self.ears.watching.is_draining() && !std::mem::replace(&mut self.drained, true) {
            return Poll::Ready(Ok(self.answer(Input::Drain)));
        }
        let (pulse, tick) = (self.ears.watching.pulse(), self.ears.watching.tick());
        // A message has to keep the least rate; whoever thinks about the next command has not.
        if self.conversation.is_amid_content() {
            pulse.begin_message(tick)
        } else {
            pulse.end_message()
        }
        let now = self.world.now();
        let Self { stream, conversation, out, ears, unused, shown, .. } = self;
        let read = stream.poll_read_with(cx, |octets| {
            if octets.is_empty() {
                return Err(Over::Lost);
            }
            let mut hear = |said: Said<'_>| ears.hear(&said);
            if unused.is_empty() {
                let (used, task) = conversation.take(now, octets, out, &mut hear);
                unused.extend_from_slice(&octets[used..]);
                *shown = task.is_none();
                return Ok(task);
            }
            unused.extend_from_slice(octets);
            let (used, task) = conversation.take(now, unused, out, &mut hear);
            unused.drain(..used);
            *shown = task.is_none();
            Ok(task)
        });
        match read {
            Poll::Ready(Ok(outcome)) => Poll::Ready(outcome),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Over::Lost)),
            Poll::Pending => self.poll_timer(cx),
        }
    }

    /// Waits for the session's deadline.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Task>, Over>> {
        loop {
            let Some(due) = self.conversation.session().next_timeout() else { return Poll::Pending };
            let (at, timer) = match &mut self.timer {
                // An earlier timer is left alone: when it rings, it is set anew.
                Some((at, timer)) if *at <= due => (*at, timer),
                _ => {
                    let (_, timer) = self.timer.insert((due, self.world.sleep_until(due)));
                    (due, timer)
                }
            };
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if at >= due {
                return Poll::Ready(Ok(self.answer(Input::Timeout)));
            }
        }
    }

    fn answer(&mut self, input: Input<'_>) -> Option<Task> {
        let now = self.world.now();
        let Self { conversation, out, ears, .. } = self;
        let task = conversation.answer(now, input, out, &mut |said| ears.hear(&said));
        self.shown = self.unused.is_empty();
        task
    }

    async fn perform(&mut self, task: Task) -> Result<Option<Task>, Over> {
        if self.out.len() > REPLIES_OCTETS_MAX {
            self.flush().await?;
        }
        let intake = &self.server.parts.intake;
        let session = self.conversation.session();
        let input = match task {
            Task::Sender => {
                let from = session.envelope().from.as_ref();
                Input::Sender(intake.sender(session.origin(), from, session.announced()).await)
            }
            Task::Recipient => {
                let from = session.envelope().from.as_ref();
                let Some(recipient) = session.candidate() else { return Ok(None) };
                Input::Recipient(intake.recipient(session.origin(), from, recipient).await)
            }
            Task::Begin => {
                self.incoming = Some(Incoming { id: intake.draw(), at: self.world.wall(), writer: None });
                self.shown = false;
                return Ok(None);
            }
            // Boxed, so that a connection that waits does not carry the room for them.
            Task::Spill => {
                Box::pin(self.spill()).await;
                self.shown = false;
                return Ok(None);
            }
            Task::Message => Input::Accepted(Box::pin(self.accept()).await),
            Task::StartTls => {
                self.unused = Vec::new();
                self.flush().await?;
                return Err(Over::StartTls);
            }
            Task::Login { name, password } => Input::Login(Box::pin(self.login(&name, &password)).await),
            Task::Scram { name } => Input::Verifier(Box::pin(self.verifier(&name)).await),
            Task::Proven(proven) => Input::Login(self.proven(proven)),
            Task::Close => {
                self.flush().await?;
                return Err(Over::Closed);
            }
        };
        Ok(self.answer(input))
    }

    /// Moves content out of memory.
    async fn spill(&mut self) {
        let Some(incoming) = &mut self.incoming else { return };
        let blobs = self.server.parts.intake.blobs();
        let writer = incoming.writer.get_or_insert_with(|| blobs.writer(Durability::Disk));
        for piece in self.conversation.take_pieces() {
            if let Err(error) = writer.write(piece).await {
                tracing::warn!(%error, "content of a message could not be put aside");
                incoming.writer = None;
                return self.conversation.lose(Reply::trouble(&error));
            }
        }
    }

    /// Has the message kept.
    async fn accept(&mut self) -> Result<MessageId, Reply> {
        self.ears.watching.pulse().end_message();
        let Some(Incoming { id, at, writer }) = self.incoming.take() else {
            return Err(Reply::trouble(&doorway_store::Error::Closed));
        };
        let pieces = self.conversation.take_pieces();
        let content = match writer {
            None => Content::Memory(pieces),
            Some(mut writer) => {
                let write = async {
                    for piece in pieces {
                        writer.write(piece).await?;
                    }
                    writer.finish().await
                };
                Content::Blob(write.await.map_err(|error| Reply::trouble(&error))?)
            }
        };
        let envelope = self.conversation.session_mut().take_envelope();
        let origin = self.conversation.session().origin().clone();
        let accepted = self.server.parts.intake.accept(Arrival { id, at, origin, envelope, content }).await;
        if accepted.is_ok() {
            SmtpCounters::count(&self.server.parts.counters.messages);
        }
        accepted
    }

    async fn login(&mut self, name: &str, password: &str) -> LoginOutcome {
        let Some(gate) = &self.server.parts.gate else { return LoginOutcome::Unavailable };
        let remote = self.conversation.session().origin().remote;
        let name = account_name(name, &self.setup.door.domains);
        match gate.login(name, password, PROTOCOL, remote, self.world.now(), self.world.wall()).await {
            Ok(login) => LoginOutcome::User(login.user.name),
            Err(LoginRefused::Denied) => LoginOutcome::Denied,
            Err(LoginRefused::Limited(wait)) => LoginOutcome::Limited(wait),
            Err(LoginRefused::Unavailable(error)) => {
                tracing::warn!(%error, "a login could not be checked");
                LoginOutcome::Unavailable
            }
        }
    }

    async fn verifier(&mut self, name: &str) -> Result<Verifier, LoginOutcome> {
        let Some(gate) = &self.server.parts.gate else { return Err(LoginOutcome::Unavailable) };
        let remote = self.conversation.session().origin().remote;
        let name = account_name(name, &self.setup.door.domains);
        // From here on the attempt counts, also if the client goes away.
        let attempt = gate.begin(name, remote, self.world.now()).map_err(LoginOutcome::Limited)?;
        match gate.users().scram(name).await {
            Ok((verifier, user)) => {
                self.attempt = Some((attempt, user));
                let mut nonce = [0; NONCE_OCTETS];
                self.world.random().fill(&mut nonce);
                Ok(Verifier { verifier, nonce: base64::encode(&nonce) })
            }
            Err(error) => {
                attempt.unchecked();
                tracing::warn!(%error, "a login could not be checked");
                Err(LoginOutcome::Unavailable)
            }
        }
    }

    fn proven(&mut self, proven: bool) -> LoginOutcome {
        match self.attempt.take() {
            Some((attempt, Some(user))) if proven => {
                attempt.succeeded();
                LoginOutcome::User(user.name)
            }
            Some((attempt, _)) => {
                attempt.denied();
                LoginOutcome::Denied
            }
            None => LoginOutcome::Denied,
        }
    }

    /// Sends the replies that wait.
    async fn flush(&mut self) -> Result<(), Over> {
        if self.out.is_empty() {
            return Ok(());
        }
        let Self { stream, out, .. } = self;
        let mut sent = 0;
        let written = poll_fn(|cx| {
            while sent < out.len() {
                match ready!(Pin::new(&mut *stream).poll_write(cx, &out[sent..])) {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Ok(count) => sent += count,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            if stream.is_tls() { Pin::new(&mut *stream).poll_flush(cx) } else { Poll::Ready(Ok(())) }
        });
        written.await.map_err(|_| Over::Lost)?;
        self.out.clear();
        if self.out.capacity() > BUFFER_OCTETS_KEPT {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// Closes. Who did not ask for it may still be sending, and would lose our last words to a reset.
    async fn end(mut self) {
        let asked = self.ears.code == 221;
        let stream = &mut self.stream;
        let goodbye = async {
            poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await?;
            while !asked && poll_fn(|cx| stream.poll_read_with(cx, |octets| !octets.is_empty())).await? {}
            io::Result::Ok(())
        };
        // Whether it went well or not, nobody is left to be told.
        let _ = self.world.timeout(LINGER_WAIT, goodbye).await;
    }
}

impl Ears {
    fn hear(&mut self, said: &Said<'_>) {
        self.counters.hear(said);
        match said {
            Said::Line(line) => {
                self.watching.pulse().count_requests(1);
                self.cause = self
                    .watching
                    .record(Direction::In, line, None, || String::from_utf8_lossy(line).into_owned());
            }
            Said::Secret => {
                self.watching.pulse().count_requests(1);
                self.cause = self.watching.record(Direction::In, b"AUTH", None, || "AUTH …".to_owned());
            }
            Said::Content(octets) => {
                let summary = || format!("content, {} octets", octets.len());
                self.cause = self.watching.record(Direction::In, octets, None, summary);
            }
            Said::Reply(reply, octets) => {
                self.code = reply.code;
                self.watching.record(Direction::Out, octets, self.cause, || reply.to_string());
            }
        }
    }
}
