//! One HTTP/1 connection as seen by the client: responses come in the order of the requests, of which
//! several may be under way (RFC 9112 §9.3.2).
//!
//! Pure, and shaped like the server's: octets are shown, decisions pulled. Not here: sending, time-outs.

use std::collections::VecDeque;

use crate::wire::chunked::{Chunked, Piece};
use crate::wire::{
    FieldSpans, HeadLimits, Method, Refusal, ResponseFraming, ResponseHead, parse_response, rule,
};

/// Requests that may wait for their responses on one connection, so that the other side need not hold more.
pub const PIPELINED_MAX: usize = 32;
/// Informational responses before a final one, at most.
const INFORMATIONAL_MAX: u32 = 64;

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Connection {
    waiting: VecDeque<Method>,
    state: State,
    informational: u32,
    ends: bool,
}

#[derive(Debug, Default)]
enum State {
    /// A head comes next.
    #[default]
    Head,
    Length(u64),
    Chunked(Chunked),
    /// A body that ends with the connection.
    Close,
    Over,
}

/// What comes next on the connection.
#[derive(Debug)]
pub enum Decision<'b> {
    /// Nothing more can be said about these octets. What was not used must be shown again, in front
    /// of those that follow.
    More,
    /// A 1xx response; the final one follows.
    Informational(ResponseHead<'b>),
    /// A final response; its body follows, up to [`Decision::End`].
    Response(ResponseHead<'b>),
    /// Data of the body.
    Data(&'b [u8]),
    /// The response is whole; [`Connection::persists`] tells whether the connection goes on.
    End,
    /// The response breaks a rule, and nothing that follows can be trusted.
    Broken(Refusal),
    /// Octets came that nobody asked for, or the connection is no longer HTTP/1.
    Over,
}

impl Connection {
    /// Notes that a request went out.
    pub fn sent(&mut self, method: Method) {
        self.waiting.push_back(method);
    }

    /// Says that no request goes out after those that did.
    pub const fn end(&mut self) {
        self.ends = true;
    }

    /// Requests whose responses are not whole.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether another request may go out.
    #[must_use]
    pub fn persists(&self) -> bool {
        !self.ends && !matches!(self.state, State::Over | State::Close)
    }

    /// Decides about the octets that wait, and says how many of them are done with.
    pub fn next<'b>(
        &mut self,
        octets: &'b [u8],
        limits: &HeadLimits,
        spans: &'b mut FieldSpans,
    ) -> (usize, Decision<'b>) {
        match &mut self.state {
            State::Head => self.next_head(octets, limits, spans),
            State::Length(0) => self.whole(0),
            _ if octets.is_empty() => (0, Decision::More),
            State::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                *left -= taken as u64;
                (taken, Decision::Data(&octets[..taken]))
            }
            State::Close => (octets.len(), Decision::Data(octets)),
            State::Chunked(chunked) => match chunked.decode(octets) {
                Ok((used, Piece::Data(data))) => (used, Decision::Data(data)),
                Ok((used, Piece::More)) => (used, Decision::More),
                Ok((used, Piece::End)) => self.whole(used),
                Err(refusal) => self.broken(refusal),
            },
            State::Over => (0, Decision::Over),
        }
    }

    /// Decides what it means that the other side has ended the connection.
    pub fn closed(&mut self) -> Decision<'static> {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.ends = true;
        match state {
            State::Close => self.whole(0).1,
            _ => Decision::Over,
        }
    }

    fn next_head<'b>(
        &mut self,
        octets: &'b [u8],
        limits: &HeadLimits,
        spans: &'b mut FieldSpans,
    ) -> (usize, Decision<'b>) {
        if octets.is_empty() {
            return (0, Decision::More);
        }
        let Some(&method) = self.waiting.front() else {
            self.state = State::Over;
            return (0, Decision::Over);
        };
        let (head, used) = match parse_response(octets, method, limits, spans) {
            Ok(Some(found)) => found,
            Ok(None) => return (0, Decision::More),
            Err(refusal) => return self.broken(refusal),
        };
        if head.status.code() < 200 && head.body != ResponseFraming::Tunnel {
            self.informational += 1;
            if self.informational > INFORMATIONAL_MAX {
                return self.broken(Refusal::new(&rule::STATUS_LINE, 0));
            }
            return (used, Decision::Informational(head));
        }
        self.informational = 0;
        self.ends |= !head.persistent;
        self.state = match head.body {
            ResponseFraming::None => State::Length(0),
            ResponseFraming::Length(octets) => State::Length(octets),
            ResponseFraming::Chunked => State::Chunked(Chunked::default()),
            ResponseFraming::Close => State::Close,
            ResponseFraming::Tunnel => State::Over,
        };
        (used, Decision::Response(head))
    }

    fn whole(&mut self, used: usize) -> (usize, Decision<'static>) {
        self.waiting.pop_front();
        self.state = if self.ends { State::Over } else { State::Head };
        (used, Decision::End)
    }

    fn broken(&mut self, refusal: Refusal) -> (usize, Decision<'static>) {
        self.state = State::Over;
        self.ends = true;
        (0, Decision::Broken(refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a client sees of `octets`, shown in pieces of `step`, to requests of these methods.
    fn seen(octets: &[u8], methods: &[Method], step: usize) -> Vec<String> {
        let mut connection = Connection::default();
        methods.iter().for_each(|method| connection.sent(*method));
        let (limits, mut spans) = (HeadLimits::default(), FieldSpans::default());
        let (mut told, mut body) = (Vec::new(), Vec::new());
        let mut start = 0;
        for end in (0..octets.len()).step_by(step).skip(1).chain([octets.len()]) {
            loop {
                let (used, decision) = connection.next(&octets[start..end], &limits, &mut spans);
                start += used;
                match decision {
                    Decision::More => break,
                    Decision::Informational(head) => told.push(format!("({})", head.status.code())),
                    Decision::Response(head) => told.push(head.status.code().to_string()),
                    Decision::Data(data) => body.extend_from_slice(data),
                    Decision::End => {
                        told.push(format!("{:?}", String::from_utf8(std::mem::take(&mut body)).unwrap()));
                    }
                    Decision::Broken(refusal) => {
                        told.push(refusal.rule.code.to_owned());
                        return told;
                    }
                    Decision::Over => {
                        told.push(format!("over {}", octets.len() - start));
                        return told;
                    }
                }
            }
        }
        match connection.closed() {
            Decision::End => told.push(format!("{:?}", String::from_utf8(body).unwrap())),
            _ => told.push(if connection.waiting() == 0 { "closed".into() } else { "cut".into() }),
        }
        told
    }

    #[track_caller]
    fn check(octets: &str, methods: &[Method], expected: &[&str]) {
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(seen(octets.as_bytes(), methods, step), expected, "{octets:?} by {step}");
        }
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    #[test]
    fn responses_belong_to_requests_in_their_order() {
        use Method::{Get, Head};
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        let chunked =
            "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
        let all = format!("{OK}{head}{chunked}");
        check(&all, &[Get, Head, Get], &["200", "\"ok\"", "200", "\"\"", "404", "\"ab\"", "closed"]);
        check(&format!("HTTP/1.1 103 Early\r\n\r\n{OK}"), &[Get], &["(103)", "200", "\"ok\"", "closed"]);
        check(OK, &[], &["over 40"]);
        check(&format!("{OK}x"), &[Get], &["200", "\"ok\"", "over 1"]);
    }

    #[test]
    fn a_body_may_end_with_the_connection_but_not_be_cut() {
        use Method::Get;
        check("HTTP/1.1 200 OK\r\n\r\nall of it", &[Get], &["200", "\"all of it\""]);
        check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", &[Get], &["200", "cut"]);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", &[Get], &["200", "cut"]);
        check("HTTP/1.1 200", &[Get], &["cut"]);
        check(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nxHTTP",
            &[Get, Get],
            &["200", "\"x\"", "over 4"],
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz", &[Get], &["200", "chunk_size"]);
        check("HTTP/1.1 101 Switching Protocols\r\n\r\nhi", &[Get], &["101", "over 2"]);
    }

    #[test]
    fn a_server_cannot_say_wait_for_ever() {
        let again = "HTTP/1.1 102 Processing\r\n\r\n".repeat(1000);
        assert_eq!(seen(again.as_bytes(), &[Method::Get], 1000).last().unwrap(), "status_line");
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic_and_cuts_change_nothing(
            text in "(HTTP/1.[01] [12345][0-9]{2} x\r\n)?((Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|Connection: close)\r\n){0,2}\r\n[0-9a-f\r\n]{0,30}",
            step in 1usize..20,
        ) {
            let methods = [Method::Get, Method::Head, Method::Get];
            prop_assert_eq!(seen(text.as_bytes(), &methods, step), seen(text.as_bytes(), &methods, 4096));
        }
    }
}
