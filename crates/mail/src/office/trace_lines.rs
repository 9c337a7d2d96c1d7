//! Trace lines: Return-Path and Received (RFC 5321 §4.4), and loops that they show (§6.3).

use std::fmt::Write as _;

use doorway_base::UnixTime;

use crate::address::Address;
use crate::envelope::Envelope;
use crate::id::MessageId;
use crate::io::Origin;
use crate::mime::{date, header};

/// Received lines above which a message goes round in circles.
pub const RECEIVED_MAX: usize = 50;

/// The lines that are put before a message: Return-Path, and behind it Received. Gives the text and how many
/// octets of it are Return-Path, which is for local copies alone.
#[must_use]
pub fn head(
    id: MessageId,
    at: UnixTime,
    hostname: &str,
    origin: &Origin,
    envelope: &Envelope,
) -> (String, usize) {
    let mut text = return_path(envelope.from.as_ref());
    let skip = text.len();
    let greeting: String = origin.greeting.chars().filter(|c| is_plain(*c)).collect();
    let _ = write!(text, "Received: from {}", if greeting.is_empty() { "unknown" } else { &greeting });
    match origin.remote {
        Some(remote) if remote.to_canonical().is_ipv6() => {
            let _ = write!(text, " ([IPv6:{remote}])");
        }
        Some(remote) => {
            let _ = write!(text, " ([{}])", remote.to_canonical());
        }
        None => {}
    }
    let _ = write!(text, "\r\n\tby {hostname} with {} id {id}", origin.protocol);
    // With several recipients, a line that names one would tell the others of them.
    if let [only] = &envelope.recipients[..] {
        let _ = write!(text, "\r\n\tfor <{}>", only.address);
    }
    let _ = write!(text, ";\r\n\t{}\r\n", date::write(at));
    (text, skip)
}

/// The line that says whom a report would go to.
#[must_use]
pub fn return_path(from: Option<&Address>) -> String {
    from.map_or_else(|| "Return-Path: <>\r\n".to_owned(), |from| format!("Return-Path: <{from}>\r\n"))
}

fn is_plain(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !matches!(c, '(' | ')' | '<' | '>' | '\\' | '"' | ';')
}

/// Whether so many servers have passed this message on that it must go round in circles.
#[must_use]
pub fn is_loop(header: &[u8]) -> bool {
    header::fields(header).filter(|field| field.is("Received")).count() > RECEIVED_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Recipient;

    #[test]
    fn the_lines_say_where_a_message_came_from_and_hide_other_recipients() {
        let address = |text: &str| Address::parse(text).expect("an address");
        let origin = Origin {
            remote: Some("192.0.2.7".parse().expect("an address")),
            greeting: "crepes.fr (\r\nX: y)".into(),
            protocol: "ESMTPS",
            tls: true,
            user: None,
            submission: false,
        };
        let mut envelope = Envelope {
            from: Some(address("alice@crepes.fr")),
            recipients: vec![Recipient::new(address("bob@hamburger.edu"))],
            ..Envelope::default()
        };
        let write = |envelope: &Envelope| {
            head(MessageId(1), UnixTime::from_secs(1_795_000_000), "mx.hamburger.edu", &origin, envelope)
        };
        let (text, skip) = write(&envelope);
        assert_eq!(
            text,
            "Return-Path: <alice@crepes.fr>\r\nReceived: from crepes.frX:y ([192.0.2.7])\r\n\tby mx.hamburger.edu with \
             ESMTPS id 0000000000001\r\n\tfor <bob@hamburger.edu>;\r\n\tWed, 18 Nov 2026 11:06:40 +0000\r\n"
        );
        assert_eq!(&text[..skip], "Return-Path: <alice@crepes.fr>\r\n");
        envelope.recipients.push(Recipient::new(address("carol@hamburger.edu")));
        envelope.from = None;
        let (text, _) = write(&envelope);
        assert!(text.starts_with("Return-Path: <>\r\nReceived:") && !text.contains("for <"), "{text}");
    }

    #[test]
    fn a_message_that_fifty_servers_have_seen_is_not_passed_on() {
        let seen = |times: usize| format!("{}\r\nReceived: no more\r\n", "received: x\r\n".repeat(times));
        assert!(!is_loop(seen(RECEIVED_MAX).as_bytes()));
        assert!(is_loop(seen(RECEIVED_MAX + 1).as_bytes()));
    }
}
