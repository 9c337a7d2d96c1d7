//! Octets put together to lines. A line that is too long is passed over to its end and told as such, so that
//! no client makes us keep more than its bound.

/// Longest command with its CRLF, in octets (RFC 2449 §4).
pub(super) const COMMAND_OCTETS_MAX: usize = 255;

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its octets.
    Whole(&'a [u8]),
    /// It was longer than allowed.
    TooLong,
}

/// Octets that were received and not used. Owns no memory while there are none.
#[derive(Debug, Default)]
pub struct Lines {
    octets: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// The line that is coming was too long already.
    overlong: bool,
}

impl Lines {
    /// Adds octets behind those there are.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.drain(..self.at);
        self.at = 0;
        self.octets.extend_from_slice(octets);
    }

    /// The next line, if it is whole; it ends with LF, and a CR before that does not belong to it. With its
    /// end it has at most `octets_max` octets.
    pub fn next(&mut self, octets_max: usize) -> Option<Line<'_>> {
        let rest = &self.octets[self.at..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            if rest.len() >= octets_max {
                self.overlong = true;
            }
            if self.overlong || rest.is_empty() {
                self.clear();
            } else if self.at > 0 {
                // Only the beginning of a line stays.
                (self.octets, self.at) = (self.octets[self.at..].to_vec(), 0);
            }
            return None;
        };
        let start = self.at;
        self.at += end + 1;
        if std::mem::take(&mut self.overlong) || end + 1 > octets_max {
            return Some(Line::TooLong);
        }
        let line = &self.octets[start..start + end];
        Some(Line::Whole(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// Forgets everything, as when encryption begins (RFC 2595 §4).
    pub fn clear(&mut self) {
        // A line that is being passed over goes on to be.
        (self.octets, self.at) = (Vec::new(), 0);
    }

    /// True when no octet waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.octets.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]], max: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next(max) {
                found.push(match line {
                    Line::Whole(line) => Some(line.to_vec()),
                    Line::TooLong => None,
                });
            }
            assert!(lines.octets.len() <= max, "no more than a line is kept");
        }
        found
    }

    #[test]
    fn a_line_too_long_is_one_line_however_long_and_the_next_one_is_read() {
        let long = [b'x'; 600];
        assert_eq!(lines(&[&long, &long, b"\r\nSTAT\r\n"], 255), [None, Some(b"STAT".to_vec())]);
        let mut exact = vec![b'x'; 253];
        exact.extend_from_slice(b"\r\n");
        assert_eq!(lines(&[&exact], 255), [Some(exact[..253].to_vec())]);
        exact.insert(0, b'x');
        assert_eq!(lines(&[&exact], 255), [None]);
        assert_eq!(
            lines(&[b"a\nb\r", b"\n\r\n"], 255),
            [Some(b"a".into()), Some(b"b".into()), Some(b"".into())]
        );
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(
            octets in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a')], 0..80),
            cuts in proptest::collection::vec(0..80usize, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(octets.len())).collect();
            cuts.extend([0, octets.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|two| &octets[two[0]..two[1]]).collect();
            prop_assert_eq!(lines(&chunks, 10), lines(&[&octets], 10));
        }
    }
}
