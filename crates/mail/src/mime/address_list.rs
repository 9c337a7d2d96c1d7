//! Addresses in header fields: display names, groups, comments, the obsolete forms (RFC 5322 §3.4, §4.4),
//! for showing, replying and IMAP's envelope. What is not an address is kept as it is written.
//!
//! The addresses of envelopes are stricter: `address.rs`.

use super::charset;
use super::header::unfold;
use super::word;

/// Most addresses of one field; more are left out.
pub const ADDRESSES_MAX: usize = 10_000;

/// One address of a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// The display name, decoded; a comment behind the address when there is no other.
    pub name: Option<String>,
    /// What is before the last `@`, without quotes.
    pub local: String,
    /// What is behind it; empty when there is no `@`.
    pub domain: String,
}

impl Mailbox {
    /// `local@domain`, with quotes where they are needed.
    #[must_use]
    pub fn address(&self) -> String {
        let plain = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let local = if self.local.chars().all(plain) {
            self.local.clone()
        } else {
            format!("\"{}\"", self.local.replace('\\', "\\\\").replace('"', "\\\""))
        };
        if self.domain.is_empty() { local } else { format!("{local}@{}", self.domain) }
    }
}

/// Addresses, in a group or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// One address.
    Mailbox(Mailbox),
    /// A named list, possibly empty.
    Group {
        /// Its name, decoded.
        name: String,
        /// Its addresses.
        members: Vec<Mailbox>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Characters without meaning of their own, blanks before them noted.
    Text {
        text: String,
        spaced: bool,
        quoted: bool,
    },
    Comment(String),
    /// One of `<>,;:@`.
    Mark(char),
}

/// Reads the addresses of a field.
#[must_use]
pub fn parse(value: &[u8]) -> Vec<Entry> {
    let value = charset::guess(&unfold(value));
    let mut parser = Parser::default();
    let tokens = Tokens { rest: &value };
    for token in tokens {
        parser.take(token);
        if parser.count > ADDRESSES_MAX {
            break;
        }
    }
    parser.finish()
}

/// All addresses of a field, those of groups among them.
#[must_use]
pub fn mailboxes(value: &[u8]) -> Vec<Mailbox> {
    let flat = |entry| match entry {
        Entry::Mailbox(mailbox) => vec![mailbox],
        Entry::Group { members, .. } => members,
    };
    parse(value).into_iter().flat_map(flat).collect()
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let trimmed = self.rest.trim_start_matches([' ', '\t']);
        let spaced = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        let first = trimmed.chars().next()?;
        Some(match first {
            '<' | '>' | ',' | ';' | ':' | '@' => {
                self.rest = &trimmed[1..];
                Token::Mark(first)
            }
            '"' => Token::Text { text: self.delimited('"'), spaced, quoted: true },
            '(' => Token::Comment(self.comment()),
            '[' => {
                let end = trimmed.find(']').map_or(trimmed.len(), |end| end + 1);
                self.rest = &trimmed[end..];
                Token::Text { text: trimmed[..end].to_owned(), spaced, quoted: false }
            }
            _ => {
                let end = trimmed.find([' ', '\t', '<', '>', ',', ';', ':', '@', '"', '(']);
                let end = end.unwrap_or(trimmed.len());
                self.rest = &trimmed[end..];
                Token::Text { text: trimmed[..end].to_owned(), spaced, quoted: false }
            }
        })
    }
}

impl Tokens<'_> {
    /// Text up to `end`, backslashes taken off.
    fn delimited(&mut self, end: char) -> String {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c if c == end => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return text;
                }
                c => text.push(c),
            }
        }
        self.rest = "";
        text
    }

    /// A comment, possibly with comments in it.
    fn comment(&mut self) -> String {
        let mut text = String::new();
        let mut depth = 0_u32;
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                '(' => {
                    if depth > 0 {
                        text.push(c);
                    }
                    depth += 1;
                }
                ')' => {
                    depth -= 1;
                    if depth == 0 {
                        self.rest = &self.rest[at + 1..];
                        return text;
                    }
                    text.push(c);
                }
                c => text.push(c),
            }
        }
        self.rest = "";
        text
    }
}

#[derive(Default)]
struct Parser {
    entries: Vec<Entry>,
    group: Option<(String, Vec<Mailbox>)>,
    /// Tokens since the last comma, outside angle brackets.
    words: Vec<Token>,
    /// Tokens inside them.
    route: Option<Vec<Token>>,
    closed: bool,
    count: usize,
}

impl Parser {
    fn take(&mut self, token: Token) {
        match token {
            Token::Mark('<') if self.route.is_none() => self.route = Some(Vec::new()),
            Token::Mark('>') if self.route.is_some() => self.closed = true,
            Token::Mark(',') if self.route.is_none() || self.closed => self.end_address(),
            Token::Mark(';') if self.route.is_none() || self.closed => {
                self.end_address();
                self.end_group();
            }
            Token::Mark(':') if self.route.is_none() && self.group.is_none() => {
                let name = phrase(&std::mem::take(&mut self.words));
                self.group = Some((name, Vec::new()));
            }
            token => match &mut self.route {
                Some(route) if !self.closed => route.push(token),
                _ => self.words.push(token),
            },
        }
    }

    fn end_address(&mut self) {
        let words = std::mem::take(&mut self.words);
        let route = self.route.take();
        self.closed = false;
        let comment = words.iter().rev().find_map(|token| match token {
            Token::Comment(text) => Some(word::decode(text)),
            _ => None,
        });
        let mailbox = match route {
            Some(route) => {
                // `<@a,@b:c@d>`: a source route, which means nothing any more (RFC 5322 §4.4).
                let start = route.iter().rposition(|token| *token == Token::Mark(':')).map_or(0, |at| at + 1);
                let name = Some(phrase(&words)).filter(|name| !name.is_empty()).or(comment);
                Mailbox { name, ..specification(&route[start..]) }
            }
            None if words.iter().all(|token| matches!(token, Token::Comment(_))) => return,
            None => Mailbox { name: comment, ..specification(&words) },
        };
        self.count += 1;
        match &mut self.group {
            Some((_, members)) => members.push(mailbox),
            None => self.entries.push(Entry::Mailbox(mailbox)),
        }
    }

    fn end_group(&mut self) {
        if let Some((name, members)) = self.group.take() {
            self.count += 1;
            self.entries.push(Entry::Group { name, members });
        }
    }

    fn finish(mut self) -> Vec<Entry> {
        self.end_address();
        self.end_group();
        self.entries
    }
}

/// A display name: words parted by single blanks.
fn phrase(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        let (piece, spaced) = match token {
            Token::Text { text, spaced, .. } => (text.as_str(), *spaced),
            Token::Mark('@') => ("@", false),
            _ => continue,
        };
        if spaced && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(piece);
    }
    word::decode(&text)
}

/// `local@domain`; blanks and comments inside count for nothing.
fn specification(tokens: &[Token]) -> Mailbox {
    let at = tokens.iter().rposition(|token| *token == Token::Mark('@')).unwrap_or(tokens.len());
    let joined = |tokens: &[Token], blanks: bool| {
        let mut joined = String::new();
        for token in tokens {
            match token {
                Token::Text { text, spaced, .. } => {
                    if *spaced && blanks && !joined.is_empty() {
                        joined.push(' ');
                    }
                    joined.push_str(text);
                }
                Token::Mark(mark) => joined.push(*mark),
                Token::Comment(_) => {}
            }
        }
        joined
    };
    let has_domain = at < tokens.len();
    let local = joined(&tokens[..at], !has_domain);
    let domain = tokens.get(at + 1..).map(|rest| joined(rest, false)).unwrap_or_default();
    Mailbox { name: None, local, domain }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: &str, expected: &[&str]) {
        let shown = |mailbox: &Mailbox| match &mailbox.name {
            Some(name) => format!("[{name}] {}", mailbox.address()),
            None => mailbox.address(),
        };
        let found: Vec<_> = parse(value.as_bytes())
            .iter()
            .map(|entry| match entry {
                Entry::Mailbox(mailbox) => shown(mailbox),
                Entry::Group { name, members } => {
                    format!("{name}: {};", members.iter().map(shown).collect::<Vec<_>>().join(", "))
                }
            })
            .collect();
        assert_eq!(found, expected, "{value:?}");
    }

    #[test]
    fn addresses_are_read_as_the_rfc_shows() {
        // RFC 5322 appendix A.
        check("John Doe <jdoe@machine.example>", &["[John Doe] jdoe@machine.example"]);
        check(
            "\"Joe Q. Public\" <john.q.public@example.com>",
            &["[Joe Q. Public] john.q.public@example.com"],
        );
        check(
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            &["[Mary Smith] mary@x.test", "jdoe@example.org", "[Who?] one@y.test"],
        );
        check(
            "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            &["boss@nil.test", "[Giant; \"Big\" Box] sysservices@example.net"],
        );
        check(
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            &["A Group: [Ed Jones] c@a.test, joe@where.test, [John] jdoe@one.test;"],
        );
        check("Undisclosed recipients:;", &["Undisclosed recipients: ;"]);
        check("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", &["[Pete] pete@silly.test"]);
        check(
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            &["[Mary Smith] mary@example.net", "jdoe@test.example"],
        );
    }

    #[test]
    fn what_is_broken_is_kept_as_it_is() {
        check("", &[]);
        check(",,", &[]);
        check("alice", &["alice"]);
        check("alice@crepes.fr (Alice)", &["[Alice] alice@crepes.fr"]);
        check("=?utf-8?q?Andr=C3=A9?= <a@b.test>", &["[André] a@b.test"]);
        check("\"=?utf-8?q?Andr=C3=A9?=\" <a@b.test>", &["[André] a@b.test"]);
        check("<a@b.test", &["a@b.test"]);
        check("a@b.test>", &["a@b.test>"]);
        check("\"unfinished <a@b.test>", &["\"unfinished <a@b.test>\""]);
        check("\"a b\"@c.test", &["\"a b\"@c.test"]);
        check("a@[192.0.2.1]", &["a@[192.0.2.1]"]);
        check("me@home <me@home.test>", &["[me@home] me@home.test"]);
        check("用户@例子.测试", &["用户@例子.测试"]);
        check("<>", &[""]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(value in "[<>,;:@\"()\\\\ a\\[\\]=?]{0,60}|\\PC{0,60}") {
            let _ = parse(value.as_bytes());
        }
    }
}
