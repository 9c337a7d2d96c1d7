//! `doorway trace --sequence`: messages gathered into exchanges, each drawn as arrows between its hosts. What
//! several servers saw of the same exchange is one figure.
//!
//! A message belongs to the exchange that its protocol says, as the number and the client of DHCP do, and else to
//! its flow. Not here: how a figure looks, see `figure`.

mod figure;

use std::io::BufRead;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use serde_json::Value;

use self::figure::Figure;
use crate::screen::Screen;

/// How long an exchange has been quiet when it is drawn.
const QUIET: Duration = Duration::from_secs(2);
/// Messages of one figure; more begin another.
const MESSAGES_MAX: usize = 100;
/// Exchanges that go on at one time; beyond that the oldest is drawn.
const EXCHANGES_MAX: usize = 1000;
/// Messages that were read and not yet looked at.
const WAITING_MAX: usize = 1000;

/// Messages that belong together, each with the number of the server that saw it.
struct Exchange {
    key: String,
    messages: Vec<(usize, Value)>,
    last_nanos: u64,
}

/// Draws what the streams tell, until they end or `count` figures are drawn.
pub(super) fn follow(streams: Vec<impl BufRead + Send + 'static>, count: Option<u64>, screen: &mut Screen) {
    let (send, receive) = sync_channel(WAITING_MAX);
    for (server, stream) in streams.into_iter().enumerate() {
        let send = send.clone();
        // It ends with the stream, or with the command.
        std::thread::spawn(move || read(server, stream, &send));
    }
    drop(send);
    screen.note(format!("an exchange is drawn when it has been quiet for {} seconds", QUIET.as_secs()));
    let mut gathered = Gathered::default();
    let mut left = count.unwrap_or(u64::MAX);
    let mut goes_on = true;
    while goes_on {
        let ready = match receive.recv_timeout(QUIET) {
            Ok((server, message)) => gathered.add(server, message),
            Err(RecvTimeoutError::Timeout) => gathered.all(),
            Err(RecvTimeoutError::Disconnected) => {
                goes_on = false;
                gathered.all()
            }
        };
        for exchange in ready {
            if left == 0 || !show(&exchange, screen) {
                return;
            }
            left -= 1;
        }
        goes_on &= left > 0;
    }
}

fn read(server: usize, stream: impl BufRead, send: &SyncSender<(usize, Value)>) {
    for line in stream.lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str(&line) else { continue };
        if send.send((server, message)).is_err() {
            return;
        }
    }
}

/// Returns whether anybody still reads.
fn show(exchange: &Exchange, screen: &mut Screen) -> bool {
    let figure = Figure::new(&exchange.messages);
    if screen.is_json() {
        return screen.text(&format!("{}\n", figure.document()));
    }
    screen.text(&format!("{}\n", figure.text()))
}

/// Exchanges that may go on, the oldest first.
#[derive(Default)]
struct Gathered(Vec<Exchange>);

impl Gathered {
    /// Adds a message, and takes the exchanges that are over by its time.
    fn add(&mut self, server: usize, message: Value) -> Vec<Exchange> {
        // What was lost on the way has no time.
        let Some(now) = message["unix_nanos"].as_u64() else { return Vec::new() };
        let key = match (message["exchange"].as_str(), message["client"].as_str()) {
            (Some(exchange), Some(client)) => format!("{exchange} {client}"),
            _ => format!("{server} {}", message["flow"]),
        };
        let quiet = QUIET.as_nanos() as u64;
        let mut ready: Vec<Exchange> =
            self.0.extract_if(.., |exchange| exchange.last_nanos.saturating_add(quiet) < now).collect();
        match self.0.iter_mut().position(|exchange| exchange.key == key) {
            Some(place) => {
                let exchange = &mut self.0[place];
                exchange.messages.push((server, message));
                exchange.last_nanos = exchange.last_nanos.max(now);
                if exchange.messages.len() == MESSAGES_MAX {
                    ready.push(self.0.remove(place));
                }
            }
            None => {
                if self.0.len() == EXCHANGES_MAX {
                    ready.push(self.0.remove(0));
                }
                self.0.push(Exchange { key, messages: vec![(server, message)], last_nanos: now });
            }
        }
        ready
    }

    /// Takes all of them.
    fn all(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(exchange: &str, millis: u64) -> Value {
        json!({ "exchange": exchange, "client": "02:00:00:00:00:01", "unix_nanos": millis * 1_000_000 })
    }

    /// Messages one after another: the exchange, milliseconds, and the number of messages of each that is ready.
    #[track_caller]
    fn check(gathered: &mut Gathered, steps: &[(&str, u64, &[usize])]) {
        for (exchange, millis, ready) in steps {
            let found = gathered.add(0, message(exchange, *millis));
            let found: Vec<usize> = found.iter().map(|exchange| exchange.messages.len()).collect();
            assert_eq!(found, *ready, "{exchange} at {millis}");
        }
    }

    #[test]
    fn an_exchange_is_ready_when_it_is_quiet_and_another_of_its_number_begins_anew() {
        let mut gathered = Gathered::default();
        check(&mut gathered, &[("a", 0, &[]), ("a", 1500, &[]), ("b", 3000, &[]), ("a", 3600, &[2])]);
        assert_eq!(gathered.all().len(), 2);
        assert!(gathered.all().is_empty());
    }

    #[test]
    fn neither_messages_nor_exchanges_are_kept_without_end() {
        let mut gathered = Gathered::default();
        (1..MESSAGES_MAX).for_each(|_| check(&mut gathered, &[("a", 0, &[])]));
        check(&mut gathered, &[("a", 0, &[MESSAGES_MAX])]);
        (0..EXCHANGES_MAX).for_each(|number| check(&mut gathered, &[(&number.to_string(), 0, &[])]));
        check(&mut gathered, &[("one more", 0, &[1])]);
    }

    #[test]
    fn what_several_servers_saw_of_one_exchange_is_one() {
        let mut gathered = Gathered::default();
        gathered.add(0, message("a", 0));
        gathered.add(1, message("a", 1));
        gathered.add(0, json!({ "flow": 7, "unix_nanos": 5 }));
        gathered.add(1, json!({ "flow": 7, "unix_nanos": 5 }));
        gathered.add(1, json!({ "lost": 3 }));
        let sizes: Vec<usize> = gathered.all().iter().map(|exchange| exchange.messages.len()).collect();
        assert_eq!(sizes, [2, 1, 1]);
    }
}
