//! Replies of SMTP and LMTP: three digits (RFC 5321 §4.2), an enhanced status code (RFC 3463), a text.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

/// An enhanced status code: class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What a server says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// The enhanced code; greetings and replies to HELO and EHLO have none (RFC 2034 §4).
    pub enhanced: Option<Enhanced>,
    /// The text; several lines are parted by LF.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply with an enhanced code.
    #[must_use]
    pub fn new(code: u16, enhanced: Enhanced, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: Some(enhanced), text: text.into() }
    }

    /// A reply without one.
    #[must_use]
    pub fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, text: text.into() }
    }

    /// What a peer hears of our own trouble: try later.
    #[must_use]
    pub const fn trouble(error: &doorway_store::Error) -> Self {
        let (code, enhanced, text) = match error {
            doorway_store::Error::Full { .. } => (452, Enhanced(4, 3, 1), "there is no room now, try later"),
            _ => (451, Enhanced(4, 3, 0), "something went wrong here, try later"),
        };
        Self { code, enhanced: Some(enhanced), text: Cow::Borrowed(text) }
    }

    /// 2xx: done.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        matches!(self.code, 200..=299)
    }

    /// 4xx: try later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.code, 400..=499)
    }

    /// 5xx: do not try again.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self.code, 500..=599)
    }

    /// Writes its lines, each with its end.
    pub fn write(&self, into: &mut Vec<u8>) {
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let between = if lines.peek().is_some() { b'-' } else { b' ' };
            let digit = |unit: u16| b'0' + (self.code / unit % 10) as u8;
            into.extend_from_slice(&[digit(100), digit(10), digit(1), between]);
            if let Some(enhanced) = self.enhanced {
                // Writing into memory does not fail.
                let _ = write!(into, "{enhanced} ");
            }
            into.extend_from_slice(line.as_bytes());
            into.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// In one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, "{enhanced} ")?;
        }
        f.write_str(&self.text.replace('\n', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_but_the_last_has_a_hyphen() {
        let written = |reply: Reply| {
            let mut octets = Vec::new();
            reply.write(&mut octets);
            String::from_utf8(octets).expect("replies are text")
        };
        assert_eq!(
            written(Reply::plain(250, "mx.test\nPIPELINING\nSIZE 9")),
            "250-mx.test\r\n250-PIPELINING\r\n250 SIZE 9\r\n"
        );
        let twice = Reply::new(550, Enhanced(5, 1, 1), "no such user\nask the postmaster");
        assert_eq!(written(twice.clone()), "550-5.1.1 no such user\r\n550 5.1.1 ask the postmaster\r\n");
        assert_eq!(twice.to_string(), "550 5.1.1 no such user ask the postmaster");
    }
}
