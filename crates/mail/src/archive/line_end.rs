//! Ends of lines: messages have CRLF here, files have LF. Both ways take octets piece by piece.

use memchr::memchr_iter;

/// Makes CRLF of each LF that has no CR.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToCrlf {
    last_is_cr: bool,
}

impl ToCrlf {
    /// Adds a piece to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut from = 0;
        for at in memchr_iter(b'\n', piece) {
            let after_cr = if at == 0 { self.last_is_cr } else { piece[at - 1] == b'\r' };
            if !after_cr {
                out.extend_from_slice(&piece[from..at]);
                out.push(b'\r');
                from = at;
            }
        }
        out.extend_from_slice(&piece[from..]);
        self.last_is_cr = piece.last().map_or(self.last_is_cr, |last| *last == b'\r');
    }
}

/// Makes LF of each CRLF.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToLf {
    /// A CR that was not written yet: it depends on what follows.
    held: bool,
}

impl ToLf {
    /// Adds a piece to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        if std::mem::take(&mut self.held) && piece[0] != b'\n' {
            out.push(b'\r');
        }
        let mut from = 0;
        for at in memchr_iter(b'\n', piece) {
            if at > from && piece[at - 1] == b'\r' {
                out.extend_from_slice(&piece[from..at - 1]);
                from = at;
            }
        }
        let mut rest = &piece[from..];
        if let Some(before) = rest.strip_suffix(b"\r") {
            (rest, self.held) = (before, true);
        }
        out.extend_from_slice(rest);
    }

    /// Adds what is left.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.held {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_crlf(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut made, mut out) = (ToCrlf::default(), Vec::new());
        pieces.iter().for_each(|piece| made.push(piece, &mut out));
        out
    }

    fn to_lf(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut made, mut out) = (ToLf::default(), Vec::new());
        pieces.iter().for_each(|piece| made.push(piece, &mut out));
        made.finish(&mut out);
        out
    }

    #[test]
    fn line_ends_are_changed_once() {
        assert_eq!(to_crlf(&[b"a\nb\r\nc\r", b"\nd", b"\n\n"]), b"a\r\nb\r\nc\r\nd\r\n\r\n");
        assert_eq!(to_lf(&[b"a\r\nb\nc\r", b"\nd\r", b"e\r"]), b"a\nb\nc\nd\re\r");
    }

    proptest! {
        #[test]
        fn what_went_out_comes_back_whatever_the_pieces(
            text in "([ab]|\r\n){0,40}", cut in 0..60usize,
        ) {
            let octets = text.as_bytes();
            let (one, two) = octets.split_at(cut.min(octets.len()));
            let file = to_lf(&[one, two]);
            prop_assert_eq!(&file, &text.replace("\r\n", "\n").into_bytes());
            let (one, two) = file.split_at(cut.min(file.len()));
            prop_assert_eq!(to_crlf(&[one, two]), octets);
        }
    }
}
