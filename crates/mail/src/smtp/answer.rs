//! Replies of a server, read from octets as they come (RFC 5321 §4.2). A reply is for people and may be
//! printed: what is not printable in it becomes a question mark.

use doorway_base::Malformed;

use crate::reply::{Enhanced, Reply};

/// Longest line of a reply, in octets: more than the 512 of RFC 5321 §4.5.3.1.5, which many pass.
pub const LINE_OCTETS_MAX: usize = 4096;
/// Most lines of a reply.
pub const LINES_MAX: usize = 100;

/// Reads replies. Any cut of the octets gives the same replies.
#[derive(Debug, Default)]
pub struct Answers {
    /// The line that is not whole yet.
    line: Vec<u8>,
    /// The lines of the reply that is not whole yet.
    lines: Vec<String>,
    code: u16,
}

impl Answers {
    /// Reads on: how many octets were used, and a reply if one became whole. Call again with the rest.
    ///
    /// # Errors
    /// [`Malformed`] when the octets are no reply, or one that is too long.
    pub fn read(&mut self, octets: &[u8]) -> Result<(usize, Option<Reply>), Malformed> {
        let mut used = 0;
        while let Some(length) = octets[used..].iter().position(|octet| *octet == b'\n') {
            self.extend(&octets[used..used + length])?;
            used += length + 1;
            let line = std::mem::take(&mut self.line);
            if let Some(reply) = self.line(line.strip_suffix(b"\r").unwrap_or(&line))? {
                return Ok((used, Some(reply)));
            }
        }
        self.extend(&octets[used..])?;
        Ok((octets.len(), None))
    }

    /// Whether part of a reply has come.
    #[must_use]
    pub fn is_amid(&self) -> bool {
        !self.line.is_empty() || !self.lines.is_empty()
    }

    fn extend(&mut self, octets: &[u8]) -> Result<(), Malformed> {
        if self.line.len() + octets.len() > LINE_OCTETS_MAX {
            return Err(Malformed::new("the end of the line", LINE_OCTETS_MAX));
        }
        self.line.extend_from_slice(octets);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, Malformed> {
        let digits = line.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let digits = digits.ok_or(Malformed::new("three digits", 0))?;
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        if !(200..600).contains(&code) {
            return Err(Malformed::new("a code from 200 to 599", 0));
        }
        if !self.lines.is_empty() && code != self.code {
            return Err(Malformed::new("the code of the first line", 0));
        }
        let more = match line.get(3) {
            None | Some(b' ') => false,
            Some(b'-') => true,
            Some(_) => return Err(Malformed::new("a space or a hyphen", 3)),
        };
        if self.lines.len() == LINES_MAX {
            return Err(Malformed::new("the last line of the reply", 3));
        }
        self.code = code;
        let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default());
        self.lines.push(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect());
        if more {
            return Ok(None);
        }
        let lines = std::mem::take(&mut self.lines);
        Ok(Some(whole(code, &lines)))
    }
}

/// Puts the lines together, with the enhanced code taken off each if the first has one.
fn whole(code: u16, lines: &[String]) -> Reply {
    let class = (code / 100) as u8;
    let enhanced = lines.first().and_then(|line| enhanced(line)).filter(|(code, _)| code.0 == class);
    let Some((enhanced, _)) = enhanced else { return Reply::plain(code, lines.join("\n")) };
    let texts: Vec<&str> = lines
        .iter()
        .map(|line| match self::enhanced(line) {
            Some((other, text)) if other == enhanced => text,
            _ => line,
        })
        .collect();
    Reply::new(code, enhanced, texts.join("\n"))
}

/// The enhanced code that a line begins with (RFC 2034 §4), and the rest.
fn enhanced(line: &str) -> Option<(Enhanced, &str)> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut numbers = word.split('.');
    let mut number = || {
        let digits = numbers.next().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        digits.parse::<u16>().ok().filter(|number| *number < 1000)
    };
    let class = number().filter(|class| matches!(class, 2 | 4 | 5))?;
    let code = Enhanced(class as u8, number()?, number()?);
    numbers.next().is_none().then_some((code, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(octets: &[u8]) -> Result<Vec<Reply>, Malformed> {
        let mut answers = Answers::default();
        let (mut at, mut replies) = (0, Vec::new());
        loop {
            let (used, reply) = answers.read(&octets[at..])?;
            at += used;
            match reply {
                Some(reply) => replies.push(reply),
                None => return Ok(replies),
            }
        }
    }

    #[test]
    fn replies_are_read_with_all_their_lines() {
        let octets =
            b"220 hamburger.edu\r\n250-mx\r\n250-SIZE 7\r\n250 DSN\r\n250-2.1.5 one\r\n250 2.1.5 two\r\n\
                       421\r\n550 5.1.1\r\n550 4.1.1 another class\r\n250 2.0.0.1 x\n250 caf\xc3\xa9\x07\r\n";
        let replies = vec![
            Reply::plain(220, "hamburger.edu"),
            Reply::plain(250, "mx\nSIZE 7\nDSN"),
            Reply::new(250, Enhanced(2, 1, 5), "one\ntwo"),
            Reply::plain(421, ""),
            Reply::new(550, Enhanced(5, 1, 1), ""),
            Reply::plain(550, "4.1.1 another class"),
            Reply::plain(250, "2.0.0.1 x"),
            Reply::plain(250, "café?"),
        ];
        assert_eq!(check(octets), Ok(replies));
        for wrong in [
            &b"hello\r\n"[..],
            b"25\r\n",
            b"250+x\r\n",
            b"199 x\r\n",
            b"600 x\r\n",
            b"250-a\r\n251 b\r\n",
            b"\r\n",
        ] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        assert!(check(&[b'2'; LINE_OCTETS_MAX + 1]).is_err());
        assert!(check(&b"250-x\r\n".repeat(LINES_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_replies(octets in "(25[0-9][- ][a-z0-9. ]{0,9}\r?\n|[ -~]{0,9}\r\n){0,5}", cut in 0..100usize) {
            let octets = octets.as_bytes();
            let cut = cut.min(octets.len());
            let mut answers = Answers::default();
            let mut replies = Ok(Vec::new());
            for piece in [&octets[..cut], &octets[cut..]] {
                let mut at = 0;
                while let Ok(found) = &mut replies {
                    match answers.read(&piece[at..]) {
                        Ok((used, Some(reply))) => {
                            at += used;
                            found.push(reply);
                        }
                        Ok(_) => break,
                        Err(error) => replies = Err(error),
                    }
                }
            }
            prop_assert_eq!(replies, check(octets));
        }
    }
}
