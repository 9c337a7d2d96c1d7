//! Builds messages: text, HTML with images in it, files of any kind, names and texts in any language
//! (RFC 5322, RFC 2045 to RFC 2047, RFC 2183, RFC 2231, RFC 2387).

use std::fmt::Write as _;

use doorway_base::{Random, UnixTime};
use memchr::memmem;

use super::address_list::Mailbox;
use super::down::{fold, mostly_text, phrase};
use super::{base64, date, parameter, quoted_printable, word};

/// Longest line that is sent as it is; longer ones are encoded.
const LINE_OCTETS_MAX: usize = 900;

/// A file that goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attachment {
    /// Its name, in any letters; empty for none.
    pub name: String,
    /// What it is, such as `image/png`; empty when that is not known.
    pub media_type: String,
    /// Its octets.
    pub content: Vec<u8>,
    /// What HTML names it by, in `cid:`; only for what is shown inside HTML (RFC 2392).
    pub content_id: String,
}

/// A message that is being written. Line ends and NUL in what becomes a header field are turned into
/// blanks, so that no text can add a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// Who wrote it.
    pub from: Vec<Mailbox>,
    /// To whom.
    pub to: Vec<Mailbox>,
    /// Who also gets it, and everybody may know.
    pub cc: Vec<Mailbox>,
    /// To whom answers go, if not to the writer.
    pub reply_to: Vec<Mailbox>,
    /// What it is about.
    pub subject: String,
    /// When it was written.
    pub date: UnixTime,
    /// Its name for others, without angle brackets.
    pub message_id: String,
    /// The name of the message that it answers; empty for none.
    pub in_reply_to: String,
    /// The names of the messages before it, the first one first.
    pub references: Vec<String>,
    /// Other fields: names, and values in any letters.
    pub fields: Vec<(String, String)>,
    /// Its text.
    pub text: Option<String>,
    /// The same in HTML.
    pub html: Option<String>,
    /// What is shown inside the HTML.
    pub inline: Vec<Attachment>,
    /// What goes with it.
    pub attachments: Vec<Attachment>,
}

/// A part: header fields that say what it is, and its body.
struct Piece {
    header: String,
    body: Vec<u8>,
}

impl Draft {
    /// Whether some address needs SMTPUTF8 on the way (RFC 6531).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        let lists = [&self.from, &self.to, &self.cc, &self.reply_to];
        lists.into_iter().flatten().any(|mailbox| !mailbox.address().is_ascii())
    }

    /// Writes the message, lines ending in CRLF, all of it in ASCII but for addresses that are not. `random`
    /// makes boundaries.
    #[must_use]
    pub fn write(&self, random: &mut Random) -> Vec<u8> {
        let mut head = String::new();
        for (name, mailboxes) in
            [("From", &self.from), ("To", &self.to), ("Cc", &self.cc), ("Reply-To", &self.reply_to)]
        {
            if !mailboxes.is_empty() {
                let shown: Vec<_> = mailboxes.iter().map(show).collect();
                head.push_str(&fold(name, &shown.join(", ")));
            }
        }
        head.push_str(&fold("Subject", &word::encode(&self.subject)));
        head.push_str(&fold("Date", &date::write(self.date)));
        let named = |id: &String| format!("<{}>", graphic(id));
        for (name, ids) in [
            ("Message-ID", std::slice::from_ref(&self.message_id)),
            ("In-Reply-To", std::slice::from_ref(&self.in_reply_to)),
            ("References", &self.references[..]),
        ] {
            let ids: Vec<_> = ids.iter().filter(|id| !id.is_empty()).map(named).collect();
            if !ids.is_empty() {
                head.push_str(&fold(name, &ids.join(" ")));
            }
        }
        for (name, value) in &self.fields {
            let is_name = |c: char| c.is_ascii_graphic() && c != ':';
            if !name.is_empty() && name.chars().all(is_name) {
                head.push_str(&fold(name, &word::encode(value)));
            }
        }
        head.push_str("MIME-Version: 1.0\r\n");
        let Piece { header, body } = self.content(random);
        head.push_str(&header);
        head.push_str("\r\n");
        let mut message = head.into_bytes();
        message.extend_from_slice(&body);
        message
    }

    /// Text and HTML side by side, images with the HTML, files round both.
    fn content(&self, random: &mut Random) -> Piece {
        let mut content = self.html.as_ref().map(|html| {
            let html = text("html", html);
            if self.inline.is_empty() {
                return html;
            }
            let images = self.inline.iter().map(|image| file(image, "inline"));
            multipart("related", Some("text/html"), std::iter::once(html).chain(images).collect(), random)
        });
        if let Some(plain) = &self.text {
            let plain = text("plain", plain);
            content = Some(match content {
                Some(html) => multipart("alternative", None, vec![plain, html], random),
                None => plain,
            });
        }
        let mut pieces: Vec<_> = content.into_iter().collect();
        if self.html.is_none() {
            pieces.extend(self.inline.iter().map(|image| file(image, "inline")));
        }
        pieces.extend(self.attachments.iter().map(|attachment| file(attachment, "attachment")));
        if pieces.len() > 1 || !self.attachments.is_empty() {
            return multipart("mixed", None, pieces, random);
        }
        pieces.pop().unwrap_or_else(|| text("plain", ""))
    }
}

fn show(mailbox: &Mailbox) -> String {
    let address = graphic(&mailbox.address());
    // Blanks alone name nobody.
    match mailbox.name.as_deref().filter(|name| !name.trim().is_empty()) {
        Some(name) => format!("{} <{address}>", phrase(name)),
        None => address,
    }
}

/// Text without what would end a line or a bracket.
fn graphic(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect()
}

/// Text with CRLF for every line end, in the lightest encoding that holds it.
fn text(subtype: &str, text: &str) -> Piece {
    let lines = text.replace("\r\n", "\n").replace(['\r', '\n'], "\r\n");
    let mut octets = lines.into_bytes();
    if !octets.is_empty() && !octets.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
    let charset = if octets.is_ascii() { "us-ascii" } else { "utf-8" };
    let short = octets.split(|octet| *octet == b'\n').all(|line| line.len() <= LINE_OCTETS_MAX);
    let from = octets.starts_with(b"From ") || memmem::find(&octets, b"\nFrom ").is_some();
    let mut header = format!("Content-Type: text/{subtype}; charset={charset}\r\n");
    if octets.is_ascii() && short && !from && !octets.contains(&0) {
        return Piece { header, body: octets };
    }
    let mut body = Vec::new();
    if mostly_text(&octets) {
        header.push_str("Content-Transfer-Encoding: quoted-printable\r\n");
        quoted_printable::encode(&octets, &mut body);
    } else {
        header.push_str("Content-Transfer-Encoding: base64\r\n");
        base64::encode_lines(&octets, &mut body);
    }
    Piece { header, body }
}

fn file(attachment: &Attachment, disposition: &str) -> Piece {
    let wanted = attachment.media_type.trim().to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-/".contains(c);
    let well_formed = wanted.split('/').count() == 2 && wanted.chars().all(plain);
    let composite = wanted.starts_with("multipart/") || wanted.starts_with("message/");
    let octets = &attachment.content;
    // A message travels as it is (RFC 2046 §5.2.1); one that cannot is a file like any other.
    let as_it_is = wanted == "message/rfc822"
        && octets.is_ascii()
        && octets.split(|octet| *octet == b'\n').all(|line| line.len() <= LINE_OCTETS_MAX)
        && octets.iter().filter(|octet| **octet == b'\r').count()
            == memmem::find_iter(octets, b"\r\n").count()
        && octets.iter().filter(|octet| **octet == b'\n').count()
            == memmem::find_iter(octets, b"\r\n").count();
    let media_type =
        if well_formed && (!composite || as_it_is) { &*wanted } else { "application/octet-stream" };
    let mut header = format!("Content-Type: {media_type}");
    if !attachment.name.is_empty() {
        parameter::write("name", &attachment.name, &mut header);
    }
    // Writing to a string cannot fail.
    let _ = write!(header, "\r\nContent-Disposition: {disposition}");
    if !attachment.name.is_empty() {
        parameter::write("filename", &attachment.name, &mut header);
    }
    header.push_str("\r\n");
    if !attachment.content_id.is_empty() {
        let _ = write!(header, "Content-ID: <{}>\r\n", graphic(&attachment.content_id));
    }
    if as_it_is {
        return Piece { header, body: octets.clone() };
    }
    header.push_str("Content-Transfer-Encoding: base64\r\n");
    let mut body = Vec::new();
    base64::encode_lines(octets, &mut body);
    Piece { header, body }
}

/// Puts pieces between boundaries that occur in none of them.
fn multipart(subtype: &str, kind: Option<&str>, pieces: Vec<Piece>, random: &mut Random) -> Piece {
    let boundary = loop {
        let boundary = format!("=_{:016x}{:016x}", random.next_u64(), random.next_u64());
        if pieces.iter().all(|piece| memmem::find(&piece.body, boundary.as_bytes()).is_none()) {
            break boundary;
        }
    };
    let mut header = format!("Content-Type: multipart/{subtype};\r\n boundary=\"{boundary}\"");
    if let Some(kind) = kind {
        let _ = write!(header, ";\r\n type=\"{kind}\"");
    }
    header.push_str("\r\n");
    let mut body = Vec::new();
    for Piece { header, body: inner } in pieces {
        body.extend_from_slice(format!("--{boundary}\r\n{header}\r\n").as_bytes());
        body.extend_from_slice(&inner);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Piece { header, body }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mime::structure::{FieldName, Kind};
    use crate::mime::{Structure, address_list, content, header, structure, text as text_of};

    fn write(draft: &Draft) -> Vec<u8> {
        draft.write(&mut Random::new(1))
    }

    fn types(found: &Structure) -> Vec<&str> {
        found.parts.iter().map(|part| part.media_type.value.as_str()).collect()
    }

    fn attachment(name: &str, media_type: &str, content: &[u8]) -> Attachment {
        Attachment {
            name: name.into(),
            media_type: media_type.into(),
            content: content.into(),
            content_id: String::new(),
        }
    }

    #[test]
    fn a_simple_message_is_simple() {
        let draft = Draft {
            from: vec![Mailbox {
                name: Some("Alice".into()),
                local: "alice".into(),
                domain: "crepes.fr".into(),
            }],
            to: vec![Mailbox { name: None, local: "bob".into(), domain: "hamburger.edu".into() }],
            subject: "Dinner".into(),
            date: UnixTime::from_secs(1_795_413_540),
            message_id: "1@crepes.fr".into(),
            text: Some("Do you like ketchup?\n".into()),
            ..Draft::default()
        };
        let expected = "From: Alice <alice@crepes.fr>\r\nTo: bob@hamburger.edu\r\nSubject: Dinner\r\n\
            Date: Mon, 23 Nov 2026 05:59:00 +0000\r\nMessage-ID: <1@crepes.fr>\r\nMIME-Version: 1.0\r\n\
            Content-Type: text/plain; charset=us-ascii\r\n\r\nDo you like ketchup?\r\n";
        assert_eq!(String::from_utf8(write(&draft)).unwrap(), expected);
    }

    #[test]
    fn text_html_images_and_files_lie_where_readers_look_for_them() {
        let mut image = attachment("logo.png", "image/png", b"\x89PNG");
        image.content_id = "logo@crepes.fr".into();
        let draft = Draft {
            text: Some("text".into()),
            html: Some("<img src=\"cid:logo@crepes.fr\">".into()),
            inline: vec![image],
            attachments: vec![
                attachment("发票.pdf", "application/pdf", b"%PDF"),
                attachment("mail.eml", "message/rfc822", b"Subject: x\r\n\r\ny\r\n"),
                attachment("odd", "not a type", b"\0\xff"),
            ],
            ..Draft::default()
        };
        let message = write(&draft);
        let found = structure(&message);
        assert_eq!(
            types(&found),
            [
                "multipart/mixed",
                "multipart/alternative",
                "text/plain",
                "multipart/related",
                "text/html",
                "image/png",
                "application/pdf",
                "message/rfc822",
                "text/plain",
                "application/octet-stream",
            ]
        );
        assert_eq!(found.parts[6].file_name(), Some("发票.pdf"));
        assert_eq!(content(&found.parts[6], &message), b"%PDF");
        assert_eq!(content(&found.parts[9], &message), b"\0\xff");
        assert_eq!(found.parts[7].kind, Kind::Message);
        let id = found.parts[5].field(FieldName::ContentId).unwrap().of(&message);
        assert_eq!(id, b" <logo@crepes.fr>");
    }

    #[test]
    fn blanks_alone_are_no_name() {
        for name in ["", " ", "\t \u{a0}"] {
            let sender = Mailbox { name: Some(name.into()), local: "a".into(), domain: "x.test".into() };
            let message = write(&Draft { from: vec![sender], ..Draft::default() });
            assert_eq!(header::value(&message, "From").map(header::text).as_deref(), Some("a@x.test"));
        }
    }

    #[test]
    fn no_text_adds_a_field_or_a_recipient() {
        let evil = "x\r\nBcc: eve@x.test\r\n\r\nbody";
        let draft = Draft {
            from: vec![Mailbox {
                name: Some(evil.into()),
                local: "a\r\nb".into(),
                domain: "x.test>, <c@d".into(),
            }],
            subject: evil.into(),
            message_id: evil.into(),
            references: vec![evil.into()],
            fields: vec![("X-Evil".into(), evil.into()), ("X:\r\nY".into(), "z".into())],
            attachments: vec![attachment(evil, evil, b"")],
            ..Draft::default()
        };
        let message = write(&draft);
        let names: Vec<_> = header::fields(&message).map(|field| field.name.to_owned()).collect();
        assert_eq!(
            names,
            ["From", "Subject", "Date", "Message-ID", "References", "X-Evil", "MIME-Version", "Content-Type"]
        );
        assert_eq!(structure(&message).parts.len(), 2);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            subject in "\\PC{0,100}",
            name in "\\PC{1,40}",
            body in "(\\PC{0,120}\n){0,5}",
            file in proptest::collection::vec(any::<u8>(), 0..300),
            file_name in "\\PC{1,60}",
        ) {
            let draft = Draft {
                from: vec![Mailbox { name: Some(name.clone()), local: "a".into(), domain: "x.test".into() }],
                subject: subject.clone(),
                text: Some(body.clone()),
                attachments: vec![attachment(&file_name, "image/png", &file)],
                ..Draft::default()
            };
            let message = write(&draft);
            prop_assert!(message.is_ascii());
            prop_assert!(message.split(|octet| *octet == b'\n').all(|line| line.len() <= 998));
            let found = structure(&message);
            prop_assert_eq!(found.parts.len(), 3);
            prop_assert_eq!(text_of(&found.parts[1], &message), body.replace('\n', "\r\n"));
            prop_assert_eq!(content(&found.parts[2], &message), file);
            prop_assert_eq!(found.parts[2].file_name(), Some(file_name.as_str()));
            prop_assert_eq!(header::value(&message, "Subject").map(header::text), Some(subject));
            let from = address_list::mailboxes(header::value(&message, "From").unwrap());
            let named = Some(name.as_str()).filter(|name| !name.trim().is_empty());
            prop_assert_eq!(from[0].name.as_deref(), named);
        }
    }
}
