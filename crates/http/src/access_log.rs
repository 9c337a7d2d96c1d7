//! One line for each response, in the forms that other programs read: Common Log Format, the combined form
//! with Referer and User-Agent, and JSON.
//!
//! Pure: where the lines go is in `io`.

use core::net::IpAddr;
use std::io::Write as _;

use crate::wire::date::DATE_OCTETS;

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `host - user [date] "request" status octets`
    Common,
    /// The same with Referer and User-Agent.
    #[default]
    Combined,
    /// An object a line.
    Json,
}

/// What is told of one response.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Who asked.
    pub remote: IpAddr,
    /// As whom, where a login was needed.
    pub user: Option<&'a str>,
    /// When, as Date has it.
    pub date: &'a [u8; DATE_OCTETS],
    /// The method as it came.
    pub method: &'a [u8],
    /// The target as it came.
    pub target: &'a [u8],
    /// The protocol, such as `HTTP/1.1`.
    pub protocol: &'static str,
    /// The host asked for.
    pub host: &'a [u8],
    /// The status of the response.
    pub status: u16,
    /// Octets of its content; `None` when that was not known as it began.
    pub octets: Option<u64>,
    /// The request's Referer.
    pub referer: Option<&'a [u8]>,
    /// The request's User-Agent.
    pub user_agent: Option<&'a [u8]>,
}

impl Line<'_> {
    /// Appends the line.
    pub fn write(&self, format: LogFormat, out: &mut Vec<u8>) {
        if format == LogFormat::Json {
            return self.write_json(out);
        }
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{} - ", self.remote);
        match self.user {
            Some(user) => escape(out, user.as_bytes()),
            None => out.push(b'-'),
        }
        // `Sun, 06 Nov 1994 08:49:37 GMT` as `06/Nov/1994:08:49:37 +0000`
        let date = self.date;
        out.extend_from_slice(b" [");
        for (part, after) in [(5..7, b'/'), (8..11, b'/'), (12..16, b':'), (17..25, b' ')] {
            out.extend_from_slice(&date[part]);
            out.push(after);
        }
        out.extend_from_slice(b"+0000] \"");
        escape(out, self.method);
        out.push(b' ');
        escape(out, self.target);
        let _ = write!(out, " {}\" {} ", self.protocol, self.status);
        match self.octets {
            Some(octets) => drop(write!(out, "{octets}")),
            None => out.push(b'-'),
        }
        if format == LogFormat::Combined {
            for field in [self.referer, self.user_agent] {
                out.extend_from_slice(b" \"");
                escape(out, field.unwrap_or(b"-"));
                out.push(b'"');
            }
        }
        out.push(b'\n');
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "{{\"remote\":\"{}\"", self.remote);
        let mut text = |name: &str, value: &[u8]| {
            let _ = write!(out, ",\"{name}\":\"");
            escape_json(out, value);
            out.push(b'"');
        };
        text("date", self.date);
        if let Some(user) = self.user {
            text("user", user.as_bytes());
        }
        text("host", self.host);
        text("method", self.method);
        text("target", self.target);
        text("protocol", self.protocol.as_bytes());
        for (name, value) in [("referer", self.referer), ("user_agent", self.user_agent)] {
            if let Some(value) = value {
                text(name, value);
            }
        }
        let _ = write!(out, ",\"status\":{}", self.status);
        if let Some(octets) = self.octets {
            let _ = write!(out, ",\"octets\":{octets}");
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Appends octets of a client so that they can end neither the field nor the line.
fn escape(out: &mut Vec<u8>, octets: &[u8]) {
    for &octet in octets {
        match octet {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
            0x20..=0x7e => out.push(octet),
            _ => drop(write!(out, "\\x{octet:02x}")),
        }
    }
}

/// The same within JSON, for text in UTF-8; other octets are shown as what they are in Latin-1.
fn escape_json(out: &mut Vec<u8>, octets: &[u8]) {
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                c if c.is_control() => drop(write!(out, "\\u{:04x}", u32::from(c))),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for octet in chunk.invalid() {
            let _ = write!(out, "\\u{octet:04x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line<'static> = Line {
        remote: IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)),
        user: None,
        date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        method: b"GET",
        target: b"/a?b",
        protocol: "HTTP/1.1",
        host: b"example.org",
        status: 200,
        octets: Some(15),
        referer: None,
        user_agent: Some(b"curl/8.5"),
    };

    #[track_caller]
    fn check(line: Line<'_>, format: LogFormat, expected: &str) {
        let mut out = Vec::new();
        line.write(format, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn each_format_is_the_one_that_other_programs_read() {
        let common = "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 200 15";
        check(LINE, LogFormat::Common, common);
        check(LINE, LogFormat::Combined, &format!("{common} \"-\" \"curl/8.5\""));
        let ann = Line { user: Some("ann"), octets: None, status: 304, ..LINE };
        check(
            ann,
            LogFormat::Common,
            "192.0.2.1 - ann [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 304 -",
        );
        check(
            ann,
            LogFormat::Json,
            "{\"remote\":\"192.0.2.1\",\"date\":\"Sun, 06 Nov 1994 08:49:37 GMT\",\"user\":\"ann\",\
             \"host\":\"example.org\",\"method\":\"GET\",\"target\":\"/a?b\",\"protocol\":\"HTTP/1.1\",\
             \"user_agent\":\"curl/8.5\",\"status\":304}",
        );
    }

    #[test]
    fn no_client_can_forge_a_line() {
        let forged = Line { user_agent: Some(b"x\" 200 1\n1.2.3.4 \x1b[31m \xff\xc3\xa9\\"), ..LINE };
        let mut out = Vec::new();
        forged.write(LogFormat::Combined, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.ends_with("\"x\\\" 200 1\\x0a1.2.3.4 \\x1b[31m \\xff\\xc3\\xa9\\\\\"\n"), "{text}");
        let mut out = Vec::new();
        forged.write(LogFormat::Json, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\"x\\\" 200 1\\u000a1.2.3.4 \\u001b[31m \\u00ffé\\\\\""), "{text}");
    }
}
