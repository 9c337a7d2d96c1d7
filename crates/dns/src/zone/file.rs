//! The zone file reader: RFC 1035 §5, RFC 2308 §4 (`$TTL`), RFC 3597 §5.
//!
//! A file is read to its end whatever is wrong with it, so that every fault is told at once; a single
//! error refuses the zone. Not here: `$INCLUDE` and `$GENERATE`.

use std::sync::Arc;

use super::Zone;
use super::draft::{Draft, NodeId};
use super::fault::{Fault, Faults, Severity};
use super::scan::{Scanner, Token};
use super::table::HashKey;
use crate::wire::rdata::{self, Word};
use crate::wire::{Class, Name, Type};

/// Octets of a zone file at most.
pub const FILE_OCTETS_MAX: usize = u32::MAX as usize;
/// Octets of a faulty line that are kept to be shown.
const SHOWN_OCTETS_MAX: usize = 200;

/// Reads the zone file `text` of the zone `apex`; `file` is what faults call it.
///
/// Relative names are relative to `apex` until an `$ORIGIN` says otherwise. The list beside the zone
/// holds warnings.
///
/// # Errors
/// Every error found, and the warnings.
pub fn read(apex: &Name, file: &str, text: &[u8], secret: HashKey) -> Result<(Zone, Faults), Faults> {
    let mut reader = FileReader {
        file: file.into(),
        text,
        draft: Draft::new(apex, secret),
        faults: Faults::default(),
        origin: apex.clone(),
        default_ttl: None,
        last_ttl: None,
        owner: None,
        words: Vec::new(),
        data: Vec::new(),
    };
    if text.len() > FILE_OCTETS_MAX {
        reader.fault(None, Severity::Error, "expected a file of at most 4 GiB".into());
        return Err(reader.faults);
    }
    reader.entries();
    let FileReader { file, draft, mut faults, .. } = reader;
    let syntax_errors = faults.has_errors();
    let zone = draft.render(&mut |line, severity, message| {
        // What a zone with holes in it lacks may stand on the lines at fault.
        if !syntax_errors || (severity == Severity::Error && line > 0) {
            faults.push(severity, || on_line(&file, text, line, severity, message));
        }
    });
    match zone {
        Some(zone) if !faults.has_errors() => Ok((zone, faults)),
        _ => Err(faults),
    }
}

struct FileReader<'a> {
    file: Arc<str>,
    text: &'a [u8],
    draft: Draft,
    faults: Faults,
    origin: Name,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    // The owner before; the inner `None` is one outside the zone.
    owner: Option<Option<NodeId>>,
    words: Vec<Word<'a>>,
    data: Vec<u8>,
}

impl<'a> FileReader<'a> {
    fn entries(&mut self) {
        let mut scanner = Scanner::new(self.text);
        let mut tokens = Vec::new();
        loop {
            match scanner.entry(&mut tokens) {
                Ok(Some(blank)) => {
                    if let Err((token, message)) = self.entry(&tokens, blank) {
                        self.fault(Some(token), Severity::Error, message);
                    }
                }
                Ok(None) => return,
                Err(fault) => {
                    self.fault(Some(fault.token), Severity::Error, format!("expected {}", fault.expected));
                }
            }
        }
    }

    fn word(&self, token: &Token) -> &'a [u8] {
        &self.text[token.start..token.end]
    }

    fn entry(&mut self, tokens: &[Token], blank: bool) -> Result<(), (Token, String)> {
        let [first, rest @ ..] = tokens else { return Ok(()) };
        let word = self.word(first);
        if !blank && !first.quoted && word.starts_with(b"$") {
            return self.directive(first, rest);
        }
        if blank {
            return match self.owner {
                Some(owner) => self.record(owner, first, tokens),
                None => Err((*first, "expected an owner name: no record stands before this one".into())),
            };
        }
        if first.quoted {
            return Err((*first, "expected an owner name, not a quoted text".into()));
        }
        let name = rdata::name_from_text(word, &self.origin);
        let name = name.map_err(|fault| (*first, format!("expected {fault}")))?;
        let owner = self.draft.node(&name);
        self.owner = Some(owner);
        if owner.is_none() {
            let message = format!("{name} is not within {}; the record is left out", self.draft.apex());
            self.fault(Some(*first), Severity::Warning, message);
        }
        self.record(owner, first, rest)
    }

    fn directive(&mut self, directive: &Token, rest: &[Token]) -> Result<(), (Token, String)> {
        let word = self.word(directive).to_ascii_uppercase();
        let known = match word.as_slice() {
            b"$ORIGIN" => "a name after $ORIGIN",
            b"$TTL" => "a time after $TTL, such as 3600 or 1h",
            b"$INCLUDE" | b"$GENERATE" => {
                return Err((
                    *directive,
                    "this directive is not understood here; write the records out".into(),
                ));
            }
            _ => return Err((*directive, "expected $ORIGIN or $TTL, or an owner name".into())),
        };
        let Some((argument, after)) = rest.split_first() else {
            return Err((*directive, format!("expected {known}")));
        };
        if let Some(extra) = after.first() {
            return Err((*extra, "expected the end of the line".into()));
        }
        let text = self.word(argument);
        if word == b"$ORIGIN" {
            let name = rdata::name_from_text(text, &self.origin);
            self.origin = name.map_err(|fault| (*argument, format!("expected {fault}")))?;
        } else {
            let seconds = rdata::seconds(text);
            self.default_ttl = Some(seconds.ok_or_else(|| (*argument, format!("expected {known}")))?);
        }
        Ok(())
    }

    // [TTL] [class] type RDATA, or [class] [TTL] type RDATA.
    fn record(
        &mut self,
        owner: Option<NodeId>,
        before: &Token,
        rest: &[Token],
    ) -> Result<(), (Token, String)> {
        let mut rest = rest;
        let (mut ttl, mut class) = (None, None);
        let (kind, named) = loop {
            let Some((token, after)) = rest.split_first() else {
                return Err((*before, "expected a type, such as A or MX, and its data after this".into()));
            };
            let word = self.word(token);
            rest = after;
            if let Some(kind) = Type::from_text(word).filter(|_| !token.quoted) {
                if kind.is_meta() {
                    return Err((*token, format!("expected a type that a zone can hold; {kind} is none")));
                }
                break (kind, token);
            }
            let number = rdata::seconds(word).filter(|_| !token.quoted && ttl.is_none());
            match (number, Class::from_text(word).filter(|_| class.is_none())) {
                (Some(seconds), _) => ttl = Some(seconds),
                (None, Some(Class::IN)) => class = Some(Class::IN),
                (None, Some(other)) => {
                    return Err((*token, format!("expected class IN; {other} is not served")));
                }
                (None, None) => {
                    let word = String::from_utf8_lossy(word);
                    return Err((*token, format!("expected a type, such as A or MX, not `{word}`")));
                }
            }
        };
        let words =
            rest.iter().map(|token| Word { text: &self.text[token.start..token.end], quoted: token.quoted });
        self.words.clear();
        self.words.extend(words);
        self.data.clear();
        if let Err(fault) = rdata::parse(kind, &self.words, &self.origin, &mut self.data) {
            let (token, lead) = match rest.get(fault.word) {
                Some(token) => (*token, ""),
                None => (*rest.last().unwrap_or(named), " after this"),
            };
            return Err((token, format!("expected {}{lead}", fault.expected)));
        }
        let ttl = match ttl.or(self.default_ttl).or(self.last_ttl) {
            Some(ttl) => ttl,
            // RFC 1035 §3.3.13: what MINIMUM was for before RFC 2308.
            None if kind == Type::SOA => {
                self.data.last_chunk::<4>().map_or(0, |minimum| u32::from_be_bytes(*minimum))
            }
            None => return Err((*before, "expected a TTL in this record, or $TTL above it".into())),
        };
        self.last_ttl = Some(ttl);
        match owner {
            Some(node) if !self.draft.add(node, kind, ttl, &self.data, before.line) => {
                Err((*before, "expected fewer records: this zone is too large".into()))
            }
            _ => Ok(()),
        }
    }

    fn fault(&mut self, token: Option<Token>, severity: Severity, message: String) {
        let Self { file, text, faults, .. } = self;
        faults.push(severity, || {
            let Some(token) = token else { return on_line(file, text, 0, severity, message) };
            // A quoted word is shown with its quotes.
            let start = token.start - usize::from(token.quoted);
            Fault {
                file: Arc::clone(file),
                line: token.line,
                column: (start - token.line_start + 1) as u32,
                length: (token.end + usize::from(token.quoted) - start).max(1) as u32,
                text: line_text(&text[token.line_start..]),
                severity,
                message,
            }
        });
    }
}

fn on_line(file: &Arc<str>, text: &[u8], line: u32, severity: Severity, message: String) -> Fault {
    let at = text.split(|&octet| octet == b'\n').nth((line as usize).wrapping_sub(1)).unwrap_or_default();
    let text = line_text(at);
    Fault {
        file: Arc::clone(file),
        line,
        column: 1,
        length: text.len().max(1) as u32,
        text,
        severity,
        message,
    }
}

fn line_text(from: &[u8]) -> String {
    let end = from.iter().position(|&octet| octet == b'\n').unwrap_or(from.len()).min(SHOWN_OCTETS_MAX);
    String::from_utf8_lossy(&from[..end]).trim_end().to_owned()
}
