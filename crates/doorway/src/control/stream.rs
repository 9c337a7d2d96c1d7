//! The trace as a response body that goes on until somebody stops it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorway_base::trace::{Event, Filter, Note, Subscription, pcapng};
use doorway_dhcp::wire::Message;
use doorway_net::web::{BodyStream, Bytes};
use doorway_net::{BoxFuture, World};
use serde_json::json;

/// Messages that wait for a slow reader; later ones are dropped and counted.
const WAITING_MAX: usize = 10_000;

/// How messages are written.
pub(super) enum Encoding {
    /// A line for people.
    Text,
    /// A JSON object a line, of a world that began so many nanoseconds after 1970.
    Json(u64),
    /// Packets; `None` once the file's header is written.
    Pcapng(Box<pcapng::PcapngWriter>, Option<Vec<u8>>),
}

impl Encoding {
    /// A capture whose world began `epoch_nanos` after 1970.
    pub(super) fn pcapng(options: pcapng::Options, epoch_nanos: u64) -> Self {
        let writer = pcapng::PcapngWriter::new(options, epoch_nanos);
        let header = writer.header(concat!("doorway ", env!("CARGO_PKG_VERSION")));
        Self::Pcapng(Box::new(writer), Some(header))
    }

    fn event(&mut self, event: &Event, into: &mut Vec<u8>) {
        match self {
            Self::Text => into.extend_from_slice(format!("{event}\n").as_bytes()),
            Self::Json(epoch) => {
                into.extend_from_slice(format!("{}\n", document(event, *epoch)).as_bytes());
            }
            Self::Pcapng(writer, _) => into.extend(writer.event(event)),
        }
    }

    fn lost(&self, count: u64, into: &mut Vec<u8>) {
        match self {
            Self::Text => {
                into.extend_from_slice(
                    format!("-- {count} messages were lost: the reader is too slow\n").as_bytes(),
                );
            }
            Self::Json(_) => into.extend_from_slice(format!("{}\n", json!({ "lost": count })).as_bytes()),
            Self::Pcapng(..) => {}
        }
    }
}

/// Whether a message belongs to a Unix socket, which has no port.
fn is_unix(event: &Event) -> bool {
    event.flow.local.port() == 0
}

fn document(event: &Event, epoch_nanos: u64) -> serde_json::Value {
    // A client without an address is known by its hardware, and its messages belong together by a number.
    let dhcp = if event.protocol == "dhcp" { Message::parse(&event.octets).ok() } else { None };
    json!({
        "id": event.id.0,
        "at_nanos": event.at.as_nanos(),
        "unix_nanos": epoch_nanos.saturating_add(event.at.as_nanos()),
        "node": &*event.node,
        "protocol": event.protocol,
        "transport": event.flow.transport.name(),
        "flow": event.flow.id,
        "local": event.flow.local.to_string(),
        "remote": event.flow.remote.to_string(),
        "serving": event.flow.serving,
        "exchange": dhcp.as_ref().map(|message| format!("{:08x}", message.xid())),
        "client": dhcp.as_ref().map(|message| message.hardware().to_string()),
        "direction": format!("{:?}", event.direction).to_lowercase(),
        "step": format!("{:?}", event.step).to_lowercase(),
        "summary": event.summary,
        "octets": event.octets.len(),
        "cause": event.cause.map(|cause| cause.0),
        "note": event.note.as_ref().map(|Note { code, text }| json!({ "code": code, "text": text })),
    })
}

/// A body that follows the trace.
pub(super) struct TraceStream {
    subscription: Subscription,
    waker: Arc<Mutex<Option<Waker>>>,
    encoding: Encoding,
    left: Option<u64>,
    end: Option<BoxFuture<'static, ()>>,
}

impl TraceStream {
    /// Follows the trace of `world` from now on, for `count` messages and for `length` at the most.
    pub(super) fn follow(
        world: &World,
        filter: Filter,
        encoding: Encoding,
        count: Option<u64>,
        length: Option<Duration>,
    ) -> Self {
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let wake = Arc::clone(&waker);
        let subscription = world.trace().subscribe(filter, WAITING_MAX, move || {
            let waiting = wake.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waiting {
                waker.wake();
            }
        });
        Self { subscription, waker, encoding, left: count, end: length.map(|length| world.sleep(length)) }
    }

    fn remember(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl BodyStream for TraceStream {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = &mut *self;
        if let Encoding::Pcapng(_, header) = &mut this.encoding
            && let Some(header) = header.take()
        {
            return Poll::Ready(Some(Ok(header.into())));
        }
        if this.left == Some(0) {
            return Poll::Ready(None);
        }
        // First, because on a busy server there is always another message.
        if this.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
            this.left = Some(0);
            return Poll::Ready(None);
        }
        // Before looking, so that a message between the look and the sleep still wakes.
        this.remember(cx.waker());
        let (events, lost) = this.subscription.drain();
        let mut piece = Vec::new();
        // This very answer travels over a Unix socket: following it would never end.
        for event in events.iter().filter(|event| !is_unix(event)) {
            if this.left == Some(0) {
                break;
            }
            this.left = this.left.map(|left| left - 1);
            this.encoding.event(event, &mut piece);
        }
        if lost > 0 {
            this.encoding.lost(lost, &mut piece);
        }
        if !piece.is_empty() {
            return Poll::Ready(Some(Ok(piece.into())));
        }
        Poll::Pending
    }
}
