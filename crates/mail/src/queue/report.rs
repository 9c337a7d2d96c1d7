//! Reports on what became of a message: multipart/report with a part for people, one for programs, and the
//! message or its header (RFC 3464, RFC 6522; RFC 3461 §6 for what goes into it).
//!
//! Whether a report is made at all is decided before: never about a message with the null reverse-path,
//! so that reports do not answer reports.

use std::fmt::Write as _;

use doorway_base::UnixTime;
use memchr::memmem;

use crate::address::Address;
use crate::envelope::Recipient;
use crate::id::MessageId;
use crate::mime::{date, quoted_printable};
use crate::reply::{Enhanced, Reply};

/// What became of a message at one recipient (Action, RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It will never arrive.
    Failed,
    /// It has not arrived yet.
    Delayed,
    /// It is in the recipient's mailbox.
    Delivered,
    /// It was handed to a server that does not report what it does with it.
    Relayed,
    /// It went to the several addresses that the recipient stands for.
    Expanded,
}

impl Action {
    /// The word in the report.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Failed => "Your message could not be delivered",
            Self::Delayed => "Your message is delayed",
            Self::Delivered => "Your message was delivered",
            Self::Relayed => "Your message was passed on",
            Self::Expanded => "Your message went to a list",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Failed => "could not be delivered to:",
            Self::Delayed => "has not been delivered yet to:",
            Self::Delivered => "was delivered to:",
            Self::Relayed => "was passed on to a server that does not confirm delivery, for:",
            Self::Expanded => "was passed on to the addresses behind:",
        }
    }
}

/// What is reported of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate<'a> {
    /// The recipient.
    pub recipient: &'a Recipient,
    /// What became of it.
    pub action: Action,
    /// The server that said so; empty when it was us.
    pub host: &'a str,
    /// What it said.
    pub reply: &'a Reply,
    /// When that was.
    pub at: UnixTime,
    /// Until when it is tried, where it is delayed.
    pub retry_until: Option<UnixTime>,
}

/// How much of the message comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned<'a> {
    /// These octets are all of it.
    Message(&'a [u8]),
    /// These octets are its header.
    Header(&'a [u8]),
    /// None of it could be read.
    Nothing,
}

/// All that a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Our host name.
    pub hostname: &'a str,
    /// The message that it is about.
    pub id: MessageId,
    /// When that came.
    pub arrived: UnixTime,
    /// Its reverse-path, whom the report is for.
    pub from: &'a Address,
    /// Its ENVID.
    pub envid: Option<&'a str>,
    /// What became of it; at least one.
    pub fates: &'a [Fate<'a>],
    /// What comes along.
    pub returned: Returned<'a>,
    /// When the report is made.
    pub at: UnixTime,
}

/// Writes a report, lines ending in CRLF. Only what is returned may hold octets above 127.
#[must_use]
pub fn write(facts: &Facts<'_>) -> Vec<u8> {
    let worst = facts.fates.iter().map(|fate| fate.action).min().unwrap_or(Action::Failed);
    let boundary = boundary(facts);
    let mut head = String::new();
    let (host, id, at) = (facts.hostname, facts.id, facts.at);
    // Writing to a string cannot fail.
    let _ = write!(
        head,
        "From: Mail delivery <MAILER-DAEMON@{host}>\r\n\
         To: <{}>\r\n\
         Subject: {}\r\n\
         Date: {}\r\n\
         Message-ID: <{id}.{}.report@{host}>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\
         \r\n\
         --{boundary}\r\n",
        facts.from,
        worst.subject(),
        date::write(at),
        at.as_nanos() / 1_000_000,
    );
    let mut report = head.into_bytes();
    write_human(facts, &mut report);
    let _ = write!(Text(&mut report), "--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n");
    write_status(facts, &mut report);
    match facts.returned {
        Returned::Message(octets) => write_returned("message/rfc822", octets, &boundary, &mut report),
        Returned::Header(octets) => write_returned("text/rfc822-headers", octets, &boundary, &mut report),
        Returned::Nothing => {}
    }
    let _ = write!(Text(&mut report), "--{boundary}--\r\n");
    report
}

/// Octets that text is written to.
struct Text<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A boundary that does not occur in what is returned.
fn boundary(facts: &Facts<'_>) -> String {
    let octets = match facts.returned {
        Returned::Message(octets) | Returned::Header(octets) => octets,
        Returned::Nothing => b"",
    };
    let mut boundary = format!("=_{}_{}", facts.id, facts.at.as_nanos());
    while memmem::find(octets, boundary.as_bytes()).is_some() {
        boundary.push('_');
    }
    boundary
}

fn write_human(facts: &Facts<'_>, report: &mut Vec<u8>) {
    let mut text = String::new();
    let _ = write!(text, "This is the mail server at {}.\r\n\r\n", facts.hostname);
    let mut actions: Vec<Action> = facts.fates.iter().map(|fate| fate.action).collect();
    actions.sort_unstable();
    actions.dedup();
    for action in actions {
        let _ = write!(
            text,
            "Your message, which came in on {}, {}\r\n\r\n",
            date::write(facts.arrived),
            action.sentence()
        );
        for fate in facts.fates.iter().filter(|fate| fate.action == action) {
            let _ = write!(text, "  <{}>\r\n", fate.recipient.address);
            let said = fate.reply.text.replace('\n', "\r\n    ");
            let by = if fate.host.is_empty() { "this server" } else { fate.host };
            let _ = write!(text, "    {by}: {}", fate.reply.code);
            let _ = match fate.reply.enhanced {
                Some(enhanced) => write!(text, " {enhanced} {said}\r\n"),
                None => write!(text, " {said}\r\n"),
            };
            if let Some(until) = fate.retry_until {
                let until = date::write(until);
                let _ =
                    write!(text, "    It is tried again until {until}. There is nothing you need to do.\r\n");
            }
            text.push_str("\r\n");
        }
    }
    if facts.fates.iter().any(|fate| fate.action == Action::Failed) {
        text.push_str("It is not tried again for the recipients that failed.\r\n\r\n");
    }
    let long = text.split("\r\n").any(|line| line.len() > 900);
    if text.is_ascii() && !long {
        report.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii\r\n\r\n");
        report.extend_from_slice(text.as_bytes());
    } else {
        report.extend_from_slice(
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
        );
        quoted_printable::encode(text.as_bytes(), report);
    }
}

/// RFC 3464 §2.
fn write_status(facts: &Facts<'_>, report: &mut Vec<u8>) {
    let mut text = String::new();
    if let Some(envid) = facts.envid {
        field(&mut text, "Original-Envelope-Id", envid);
    }
    field(&mut text, "Reporting-MTA", &format!("dns; {}", facts.hostname));
    field(&mut text, "Arrival-Date", &date::write(facts.arrived));
    for fate in facts.fates {
        text.push_str("\r\n");
        if let Some(orcpt) = &fate.recipient.orcpt {
            field(&mut text, "Original-Recipient", &orcpt.replacen(';', "; ", 1));
        }
        let kind = if fate.recipient.address.is_ascii() { "rfc822" } else { "utf-8" };
        field(&mut text, "Final-Recipient", &format!("{kind}; {}", fate.recipient.address));
        field(&mut text, "Action", fate.action.word());
        field(&mut text, "Status", &status(fate).to_string());
        if !fate.host.is_empty() {
            field(&mut text, "Remote-MTA", &format!("dns; {}", fate.host));
        }
        field(&mut text, "Diagnostic-Code", &format!("smtp; {}", fate.reply));
        field(&mut text, "Last-Attempt-Date", &date::write(fate.at));
        if let Some(until) = fate.retry_until {
            field(&mut text, "Will-Retry-Until", &date::write(until));
        }
    }
    text.push_str("\r\n");
    report.extend_from_slice(text.as_bytes());
}

/// The code that says what became of it: the server's own when its class fits the action (RFC 3464 §2.3.4).
fn status(fate: &Fate<'_>) -> Enhanced {
    let class = match fate.action {
        Action::Failed => 5,
        Action::Delayed => 4,
        Action::Delivered | Action::Relayed | Action::Expanded => 2,
    };
    match fate.reply.enhanced {
        // Given up after many temporary refusals: that is what failed (RFC 3463 §3.5).
        Some(Enhanced(4, _, _)) if class == 5 => Enhanced(5, 4, 7),
        Some(Enhanced(given, subject, detail)) if given == class => Enhanced(given, subject, detail),
        _ => Enhanced(class, 0, 0),
    }
}

/// Writes a field, folded where it is long; what is not ASCII is written as RFC 6533 §3 wants it.
fn field(text: &mut String, name: &str, value: &str) {
    let mut line = name.len() + 1;
    let _ = write!(text, "{name}:");
    for word in value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        if line + word.len() > 75 && line > name.len() + 1 {
            text.push_str("\r\n");
            line = 0;
        }
        text.push(' ');
        line += 1;
        for c in word.chars() {
            if c.is_ascii_graphic() {
                text.push(c);
                line += 1;
            } else {
                let _ = write!(text, "\\x{{{:X}}}", u32::from(c));
                line += 8;
            }
        }
    }
    text.push_str("\r\n");
}

fn write_returned(media_type: &str, octets: &[u8], boundary: &str, report: &mut Vec<u8>) {
    let _ = write!(Text(report), "--{boundary}\r\nContent-Type: {media_type}\r\n");
    if !octets.is_ascii() {
        report.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
    }
    report.extend_from_slice(b"\r\n");
    report.extend_from_slice(octets);
    // The line end before the boundary belongs to that.
    report.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Notify;
    use crate::mime::structure;

    fn recipient(address: &str, orcpt: Option<&str>) -> Recipient {
        Recipient {
            address: Address::parse(address).unwrap(),
            notify: Notify::default(),
            orcpt: orcpt.map(str::to_owned),
        }
    }

    fn report(fates: &[Fate<'_>], returned: Returned<'_>) -> String {
        let from = Address::parse("alice@crepes.fr").unwrap();
        let written = write(&Facts {
            hostname: "mx.crepes.fr",
            id: MessageId(7),
            arrived: UnixTime::from_secs(1_795_413_540),
            from: &from,
            envid: Some("QQ314159"),
            fates,
            returned,
            at: UnixTime::from_secs(1_795_420_000),
        });
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_report_says_what_happened_to_people_and_to_programs() {
        let bob = recipient("bob@hamburger.edu", Some("rfc822;robert@hamburger.edu"));
        let eve = recipient("用户@例子.test", None);
        let no = Reply::new(550, Enhanced(5, 1, 1), "no such user\nask the postmaster");
        let later = Reply::plain(450, "later");
        let at = UnixTime::from_secs(1_795_419_000);
        let fates = [
            Fate {
                recipient: &bob,
                action: Action::Failed,
                host: "mx.hamburger.edu",
                reply: &no,
                at,
                retry_until: None,
            },
            Fate {
                recipient: &eve,
                action: Action::Delayed,
                host: "",
                reply: &later,
                at,
                retry_until: Some(UnixTime::from_secs(1_795_845_540)),
            },
        ];
        let text = report(&fates, Returned::Header(b"Subject: x\r\nFrom: alice\r\n"));
        let expected = "\
            Original-Envelope-Id: QQ314159\r\n\
            Reporting-MTA: dns; mx.crepes.fr\r\n\
            Arrival-Date: Mon, 23 Nov 2026 05:59:00 +0000\r\n\
            \r\n\
            Original-Recipient: rfc822; robert@hamburger.edu\r\n\
            Final-Recipient: rfc822; bob@hamburger.edu\r\n\
            Action: failed\r\n\
            Status: 5.1.1\r\n\
            Remote-MTA: dns; mx.hamburger.edu\r\n\
            Diagnostic-Code: smtp; 550 5.1.1 no such user ask the postmaster\r\n\
            Last-Attempt-Date: Mon, 23 Nov 2026 07:30:00 +0000\r\n\
            \r\n\
            Final-Recipient: utf-8; \\x{7528}\\x{6237}@\\x{4F8B}\\x{5B50}.test\r\n\
            Action: delayed\r\n\
            Status: 4.0.0\r\n\
            Diagnostic-Code: smtp; 450 later\r\n\
            Last-Attempt-Date: Mon, 23 Nov 2026 07:30:00 +0000\r\n\
            Will-Retry-Until: Sat, 28 Nov 2026 05:59:00 +0000\r\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("Subject: Your message could not be delivered\r\n"), "{text}");
        assert!(text.contains("Auto-Submitted: auto-replied\r\n"), "{text}");
        let found = structure(text.as_bytes());
        let types: Vec<_> = found.parts.iter().map(|part| part.media_type.value.as_str()).collect();
        assert_eq!(
            types,
            ["multipart/report", "text/plain", "message/delivery-status", "text/rfc822-headers"]
        );
        assert!(text.is_ascii());
    }

    #[test]
    fn what_is_returned_cannot_end_the_report() {
        let bob = recipient("bob@hamburger.edu", None);
        let reply = Reply::new(451, Enhanced(4, 4, 1), "no answer");
        let at = UnixTime::default();
        let fates = [Fate {
            recipient: &bob,
            action: Action::Failed,
            host: "",
            reply: &reply,
            at,
            retry_until: None,
        }];
        let first = report(&fates, Returned::Nothing);
        assert!(first.contains("Status: 5.4.7\r\n"), "{first}");
        let again = report(&fates, Returned::Message(first.as_bytes()));
        let found = structure(again.as_bytes());
        assert_eq!(found.children(0).count(), 3);
        let returned = found.parts.iter().find(|part| part.media_type.value == "message/rfc822").unwrap();
        assert_eq!(returned.body.of(again.as_bytes()), first.as_bytes());
    }
}
