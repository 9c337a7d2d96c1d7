//! Submission: what a user's program left out is added, what others must not see is taken out, and nobody
//! writes in another user's name (RFC 6409 §6 and §8, RFC 5322 §3.6).

use doorway_base::UnixTime;

use crate::address::Address;
use crate::id::MessageId;
use crate::mime::{address_list, date, header};

/// A header put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// What stands in place of the first octets.
    pub header: Vec<u8>,
    /// How many octets of the message that replaces.
    pub replaces: usize,
}

/// Puts right the header at the start of `message`: Date and Message-ID are added where they are missing, Bcc
/// is taken out. `None` when nothing is to be done.
#[must_use]
pub fn fix(message: &[u8], id: MessageId, at: UnixTime, hostname: &str) -> Option<Fixed> {
    let mut fields = header::fields(message);
    let (mut has_date, mut has_id, mut blind) = (false, false, Vec::new());
    let mut starts = None;
    for field in fields.by_ref() {
        starts.get_or_insert(field.at);
        has_date |= field.is("Date");
        has_id |= field.is("Message-ID");
        if field.is("Bcc") || field.is("Resent-Bcc") {
            blind.push(field.at..field.at + field.whole.len());
        }
    }
    if has_date && has_id && blind.is_empty() {
        return None;
    }
    // Without any field the message begins with its body, or with the empty line before that.
    let first = starts.unwrap_or(0);
    let end = if starts.is_some() { fields.position() } else { 0 };
    let mut fixed = Vec::with_capacity(end + 160);
    if !has_date {
        fixed.extend_from_slice(format!("Date: {}\r\n", date::write(at)).as_bytes());
    }
    if !has_id {
        fixed.extend_from_slice(format!("Message-ID: <{id}@{hostname}>\r\n").as_bytes());
    }
    let mut from = first;
    for blind in blind {
        fixed.extend_from_slice(&message[from..blind.start]);
        from = blind.end;
    }
    fixed.extend_from_slice(&message[from..end.max(from)]);
    let begins_with_empty_line = message.starts_with(b"\r\n") || message.starts_with(b"\n");
    if starts.is_none() && !begins_with_empty_line {
        fixed.extend_from_slice(b"\r\n");
    }
    Some(Fixed { header: fixed, replaces: end.max(from) })
}

/// Whom From and Sender name as authors, as far as they are addresses.
#[must_use]
pub fn authors(message: &[u8]) -> Vec<Address> {
    let fields = header::fields(message).filter(|field| field.is("From") || field.is("Sender"));
    let mailboxes = fields.flat_map(|field| address_list::mailboxes(field.value));
    mailboxes.filter_map(|mailbox| Address::parse(&mailbox.address()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(message: &str) -> String {
        let at = UnixTime::from_secs(1_795_000_000);
        match fix(message.as_bytes(), MessageId(1), at, "mx.test") {
            Some(fixed) => {
                let mut all = fixed.header;
                all.extend_from_slice(&message.as_bytes()[fixed.replaces..]);
                String::from_utf8(all).expect("text")
            }
            None => message.to_owned(),
        }
    }

    const DATE: &str = "Date: Wed, 18 Nov 2026 11:06:40 +0000\r\n";
    const ID: &str = "Message-ID: <0000000000001@mx.test>\r\n";

    #[test]
    fn what_is_missing_is_added_and_blind_copies_are_hidden() {
        let whole = "Date: x\r\nMessage-Id: <y>\r\nTo: a@b\r\n\r\nbody\r\n";
        assert_eq!(fixed(whole), whole);
        let blind =
            "Date: x\r\nbCC: secret@b,\r\n other@b\r\nMessage-Id: <y>\r\nBcc: third@b\r\n\r\nBcc: body\r\n";
        assert_eq!(fixed(blind), "Date: x\r\nMessage-Id: <y>\r\n\r\nBcc: body\r\n");
        assert_eq!(fixed("To: a@b\r\n\r\nbody\r\n"), format!("{DATE}{ID}To: a@b\r\n\r\nbody\r\n"));
        assert_eq!(fixed("Do you like ketchup?\r\n"), format!("{DATE}{ID}\r\nDo you like ketchup?\r\n"));
        assert_eq!(fixed("\r\nbody\r\n"), format!("{DATE}{ID}\r\nbody\r\n"));
        assert_eq!(fixed("Bcc: only@b\r\n"), format!("{DATE}{ID}"));
        assert_eq!(fixed(""), format!("{DATE}{ID}\r\n"));
    }

    #[test]
    fn every_author_is_found() {
        let authors = |message: &str| {
            let found = super::authors(message.as_bytes());
            found.iter().map(Address::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            authors("From: Ann <ann@here.test>, \"B\" <bob@here.test>\r\n\r\nFrom: x@y\r\n"),
            "ann@here.test bob@here.test"
        );
        assert_eq!(
            authors("Subject: x\r\nSender: root@here.test\r\nfrom: g: a@x, b@x;\r\n\r\n"),
            "root@here.test a@x b@x"
        );
        assert_eq!(authors("From: nobody at all\r\n\r\n"), "");
    }
}
