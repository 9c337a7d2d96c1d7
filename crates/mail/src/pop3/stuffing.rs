//! A message on its way out (RFC 1939 §3): a dot at the beginning of a line is doubled, CRLF.CRLF ends it. TOP
//! ends it earlier, so many lines behind the header (RFC 1939 §7).

use memchr::{memchr_iter, memmem, memrchr};

/// Makes the octets of a multi-line response out of a message that comes piece by piece.
#[derive(Debug, Clone)]
pub struct Stuffing {
    ends: Ends,
    line: LineSoFar,
    last_is_cr: bool,
    /// The line before this one ended with CRLF, not with LF alone.
    after_crlf: bool,
}

/// How much of the message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Never,
    /// The header is not over; so many lines of the body follow.
    InHeader(u64),
    /// So many lines are left.
    After(u64),
}

/// What the line at hand holds in the pieces before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineSoFar {
    Empty,
    Cr,
    Other,
}

impl LineSoFar {
    fn and(self, octets: &[u8]) -> Self {
        match (self, octets) {
            (before, []) => before,
            (Self::Empty, [b'\r']) => Self::Cr,
            _ => Self::Other,
        }
    }
}

impl Stuffing {
    /// The whole message.
    #[must_use]
    pub fn whole() -> Self {
        Self { ends: Ends::Never, line: LineSoFar::Empty, last_is_cr: false, after_crlf: true }
    }

    /// The header, the empty line behind it, and `lines` lines of the body.
    #[must_use]
    pub fn top(lines: u64) -> Self {
        Self { ends: Ends::InHeader(lines), ..Self::whole() }
    }

    /// Adds a piece to `out`. False when nothing that follows goes out any more.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> bool {
        let (piece, goes_on) = if self.ends == Ends::Never { (piece, true) } else { self.cut(piece) };
        out.reserve(piece.len() + piece.len() / 64);
        if self.line == LineSoFar::Empty && piece.first() == Some(&b'.') {
            out.push(b'.');
        }
        // A LF alone begins a line for some clients: none of them may see the end of the response there.
        let mut from = 0;
        for at in memmem::find_iter(piece, b"\n.") {
            out.extend_from_slice(&piece[from..=at]);
            out.push(b'.');
            from = at + 1;
        }
        out.extend_from_slice(&piece[from..]);
        match memrchr(b'\n', piece) {
            Some(0) => self.after_crlf = self.last_is_cr,
            Some(at) => self.after_crlf = piece[at - 1] == b'\r',
            None => {}
        }
        self.line = match memrchr(b'\n', piece) {
            Some(at) => LineSoFar::Empty.and(&piece[at + 1..]),
            None => self.line.and(piece),
        };
        self.last_is_cr = piece.last().map_or(self.last_is_cr, |last| *last == b'\r');
        goes_on
    }

    /// Ends the response. A message without an end of its last line gets one.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.line {
            LineSoFar::Empty if self.after_crlf => b".\r\n",
            _ if self.last_is_cr => b"\n.\r\n",
            _ => b"\r\n.\r\n",
        });
    }

    /// The part of `piece` up to the last line that goes out, and whether more may follow.
    fn cut<'p>(&mut self, piece: &'p [u8]) -> (&'p [u8], bool) {
        if self.ends == Ends::After(0) {
            return (&[], false);
        }
        let (mut line, mut start) = (self.line, 0);
        for end in memchr_iter(b'\n', piece) {
            match &mut self.ends {
                Ends::InHeader(lines) if line.and(&piece[start..end]) != LineSoFar::Other => {
                    self.ends = Ends::After(*lines);
                }
                Ends::After(lines) => *lines -= 1,
                Ends::InHeader(_) | Ends::Never => {}
            }
            if self.ends == Ends::After(0) {
                return (&piece[..=end], false);
            }
            (line, start) = (LineSoFar::Empty, end + 1);
        }
        (piece, true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(mut stuffing: Stuffing, pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        for piece in pieces {
            if !stuffing.push(piece, &mut out) {
                break;
            }
        }
        stuffing.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn dots_that_begin_lines_are_doubled_and_a_dot_alone_ends_it() {
        for (message, response) in [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("a.b\r\n..c\r\n.", "a.b\r\n...c\r\n..\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r", "a\r\n.\r\n"),
            ("a\n", "a\n\r\n.\r\n"),
            ("a\n.\r\n", "a\n..\r\n.\r\n"),
        ] {
            assert_eq!(sent(Stuffing::whole(), &[message.as_bytes()]), response, "{message:?}");
        }
    }

    #[test]
    fn top_gives_the_header_and_some_lines() {
        let message = "A: 1\r\nB: 2\r\n\r\none\r\n.two\r\nthree\r\n";
        for (lines, response) in [
            (0, "A: 1\r\nB: 2\r\n\r\n.\r\n"),
            (1, "A: 1\r\nB: 2\r\n\r\none\r\n.\r\n"),
            (2, "A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n.\r\n"),
            (9, "A: 1\r\nB: 2\r\n\r\none\r\n..two\r\nthree\r\n.\r\n"),
        ] {
            assert_eq!(sent(Stuffing::top(lines), &[message.as_bytes()]), response);
        }
        assert_eq!(sent(Stuffing::top(5), &[b"A: no body"]), "A: no body\r\n.\r\n");
        assert_eq!(sent(Stuffing::top(1), &[b"\r\none\r\ntwo\r\n"]), "\r\none\r\n.\r\n");
    }

    /// What a client makes of a response.
    fn unstuffed(response: &str) -> String {
        let mut message = String::new();
        for line in response.split_inclusive("\r\n") {
            if line == ".\r\n" {
                break;
            }
            message += line.strip_prefix('.').unwrap_or(line);
        }
        message
    }

    proptest! {
        #[test]
        fn a_client_gets_the_message_in_whatever_pieces_it_is_read(
            message in "([a.\r]|\r\n|\n){0,40}", cuts in proptest::collection::vec(0..60usize, 0..5), lines in 0..5u64,
        ) {
            let octets = message.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(octets.len())).collect();
            cuts.extend([0, octets.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|two| &octets[two[0]..two[1]]).collect();
            let whole = sent(Stuffing::whole(), &pieces);
            prop_assert_eq!(&whole, &sent(Stuffing::whole(), &[octets]));
            prop_assert_eq!(sent(Stuffing::top(lines), &pieces), sent(Stuffing::top(lines), &[octets]));
            prop_assert!(whole.ends_with("\r\n.\r\n") || whole == ".\r\n");
            prop_assert_eq!(whole.split("\r\n").filter(|line| *line == ".").count(), 1);
            if !message.replace("\r\n", "").contains('\n') {
                let got = unstuffed(&whole);
                let end = got.strip_prefix(message.as_str());
                prop_assert!(matches!(end, Some("" | "\n" | "\r\n")), "{:?} came as {:?}", message, got);
            }
        }
    }
}
