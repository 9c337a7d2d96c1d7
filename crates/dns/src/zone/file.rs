//! The zone file reader: RFC 1035 §5 (`$ORIGIN`, `$INCLUDE`), RFC 2308 §4 (`$TTL`), RFC 3597 §5;
//! `$GENERATE` as BIND has it.
//!
//! A file is read to its end whatever is wrong with it, so that every fault is told at once; a single
//! error refuses the zone. Not here: where included files come from, which is for the caller to say.

use std::sync::Arc;

use super::Zone;
use super::draft::{Draft, NodeId};
use super::fault::{Fault, Faults, Severity};
use super::generate::{Range, expand};
use super::scan::{Scanner, Token, WORDS_MAX};
use super::table::HashKey;
use crate::wire::rdata::{self, Word};
use crate::wire::{Class, Name, Type};

/// Octets of a zone file at most.
pub const FILE_OCTETS_MAX: usize = u32::MAX as usize;
/// Files that may be included in one another, the zone's own file not counted.
pub const INCLUDE_DEPTH_MAX: usize = 10;
/// Files included by one zone at most.
pub const INCLUDES_MAX: usize = 1000;
/// Octets of a faulty line that are kept to be shown.
const SHOWN_OCTETS_MAX: usize = 200;

/// Gives the octets of the file that `$INCLUDE` names, or says why not.
///
/// A name is relative to the folder of the zone's own file, whatever file it stands in. Whoever reads
/// it must not leave that folder.
pub type Include<'i> = dyn FnMut(&str) -> Result<Vec<u8>, String> + 'i;

/// Reads the zone file `text` of the zone `apex`; `file` is what faults call it.
///
/// Relative names are relative to `apex` until an `$ORIGIN` says otherwise. The list beside the zone
/// holds warnings. No file is included.
///
/// # Errors
/// Every error found, and the warnings.
pub fn read(apex: &Name, file: &str, text: &[u8], secret: HashKey) -> Result<(Zone, Faults), Faults> {
    read_including(apex, file, text, secret, &mut |_| Err("no file is included here".into()))
}

/// Reads a zone file as [`read`] does, with the files that it includes.
///
/// # Errors
/// Every error found, and the warnings.
pub fn read_including(
    apex: &Name,
    file: &str,
    text: &[u8],
    secret: HashKey,
    include: &mut Include<'_>,
) -> Result<(Zone, Faults), Faults> {
    let main = Source { file: file.into(), text, lines_before: 0, numbers_before: 0 };
    let mut reader = FileReader {
        include,
        draft: Draft::with_room(apex, secret, text.len()),
        faults: Faults::default(),
        origin: apex.clone(),
        default_ttl: None,
        last_ttl: None,
        owner: None,
        data: Vec::new(),
        main: &main,
        included: Vec::new(),
        includes: 0,
        depth: 0,
        numbers: 0,
    };
    if text.len() > FILE_OCTETS_MAX {
        reader.fault(&main, None, Severity::Error, "expected a file of at most 4 GiB".into());
        return Err(reader.faults);
    }
    reader.entries(&main);
    let FileReader { draft, mut faults, included, .. } = reader;
    let syntax_errors = faults.has_errors();
    let zone = draft.render(&mut |number, severity, message| {
        // What a zone with holes in it lacks may stand on the lines at fault.
        if !syntax_errors || (severity == Severity::Error && number > 0) {
            faults.push(severity, || {
                let of = included.iter().rfind(|(source, _)| source.numbers_before < number);
                match of {
                    Some((source, text)) => source.with(text).on_line(number, severity, message),
                    None => main.on_line(number, severity, message),
                }
            });
        }
    });
    match zone {
        Some(zone) if !faults.has_errors() => Ok((zone, faults)),
        _ => Err(faults),
    }
}

// One file, or the record that a `$GENERATE` made.
#[derive(Clone)]
struct Source<'t> {
    file: Arc<str>,
    text: &'t [u8],
    // Added to a line's number in the text for its number in the file.
    lines_before: u32,
    // Added to that for a number that no line of another file of this zone has.
    numbers_before: u32,
}

struct FileReader<'a, 'i> {
    include: &'a mut Include<'i>,
    draft: Draft,
    faults: Faults,
    origin: Name,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    // The owner before; the inner `None` is one outside the zone.
    owner: Option<Option<NodeId>>,
    data: Vec<u8>,
    main: &'a Source<'a>,
    // Files that were included, with their text, in order of the numbers of their lines.
    included: Vec<(Source<'static>, Vec<u8>)>,
    includes: usize,
    depth: usize,
    // Line numbers taken so far; 0 until the first file is included.
    numbers: u32,
}

impl Source<'_> {
    fn with<'t>(&self, text: &'t [u8]) -> Source<'t> {
        Source { file: Arc::clone(&self.file), text, ..*self }
    }

    fn word(&self, token: &Token) -> &[u8] {
        &self.text[token.start..token.end]
    }

    fn number(&self, token: &Token) -> u32 {
        self.numbers_before + self.lines_before + token.line
    }

    fn on_line(&self, number: u32, severity: Severity, message: String) -> Fault {
        let line = number - self.numbers_before.min(number);
        let nth = (line as usize).wrapping_sub(1);
        let text = self.text.split(|&octet| octet == b'\n').nth(nth).unwrap_or_default();
        let text = line_text(text);
        let length = text.len().max(1) as u32;
        Fault { file: Arc::clone(&self.file), line, column: 1, length, text, severity, message }
    }
}

impl FileReader<'_, '_> {
    fn entries(&mut self, source: &Source<'_>) {
        let mut scanner = Scanner::new(source.text);
        let mut tokens = Vec::new();
        let mut words = Vec::new();
        loop {
            match scanner.entry(&mut tokens) {
                Ok(Some(blank)) => {
                    if let Err((token, message)) = self.entry(source, &tokens, blank, &mut words) {
                        self.fault(source, Some(token), Severity::Error, message);
                    }
                }
                Ok(None) => return,
                Err(fault) => {
                    let message = format!("expected {}", fault.expected);
                    self.fault(source, Some(fault.token), Severity::Error, message);
                }
            }
        }
    }

    fn entry<'t>(
        &mut self,
        source: &Source<'t>,
        tokens: &[Token],
        blank: bool,
        words: &mut Vec<Word<'t>>,
    ) -> Result<(), (Token, String)> {
        let [first, rest @ ..] = tokens else { return Ok(()) };
        let word = source.word(first);
        if !blank && !first.quoted && word.starts_with(b"$") {
            return self.directive(source, first, rest);
        }
        if blank {
            return match self.owner {
                Some(owner) => self.record(source, owner, first, tokens, words),
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
            self.fault(source, Some(*first), Severity::Warning, message);
        }
        self.record(source, owner, first, rest, words)
    }

    fn directive(
        &mut self,
        source: &Source<'_>,
        directive: &Token,
        rest: &[Token],
    ) -> Result<(), (Token, String)> {
        let word = source.word(directive).to_ascii_uppercase();
        let (known, arguments_max) = match word.as_slice() {
            b"$ORIGIN" => ("a name after $ORIGIN", 1),
            b"$TTL" => ("a time after $TTL, such as 3600 or 1h", 1),
            b"$INCLUDE" => ("a file after $INCLUDE", 2),
            b"$GENERATE" => ("a range after $GENERATE, such as 1-100", WORDS_MAX),
            _ => {
                return Err((
                    *directive,
                    "expected $ORIGIN, $TTL, $INCLUDE or $GENERATE, or an owner name".into(),
                ));
            }
        };
        let Some((argument, after)) = rest.split_first() else {
            return Err((*directive, format!("expected {known}")));
        };
        if let Some(extra) = rest.get(arguments_max) {
            return Err((*extra, "expected the end of the line".into()));
        }
        let text = source.word(argument);
        match word.as_slice() {
            b"$ORIGIN" => self.origin = self.name(source, argument)?,
            b"$TTL" => {
                let seconds = rdata::seconds(text);
                self.default_ttl = Some(seconds.ok_or_else(|| (*argument, format!("expected {known}")))?);
            }
            b"$INCLUDE" => {
                let origin = after.first().map(|token| self.name(source, token)).transpose()?;
                self.include(source, argument, origin)?;
            }
            _ => {
                let range = Range::read(text).map_err(|fault| (*argument, fault.into()))?;
                self.generate(source, directive, range, after)?;
            }
        }
        Ok(())
    }

    fn name(&self, source: &Source<'_>, token: &Token) -> Result<Name, (Token, String)> {
        let name = rdata::name_from_text(source.word(token), &self.origin);
        name.map_err(|fault| (*token, format!("expected {fault}")))
    }

    // RFC 1035 §5.1: origin and owner are afterwards as they were before.
    fn include(
        &mut self,
        source: &Source<'_>,
        argument: &Token,
        origin: Option<Name>,
    ) -> Result<(), (Token, String)> {
        let fail = |message: String| Err((*argument, message));
        if self.depth >= INCLUDE_DEPTH_MAX {
            return fail(format!("expected at most {INCLUDE_DEPTH_MAX} files included in one another"));
        }
        if self.includes >= INCLUDES_MAX {
            return fail(format!("expected at most {INCLUDES_MAX} included files"));
        }
        let Ok(name) = std::str::from_utf8(source.word(argument)) else {
            return fail("expected the name of a file in UTF-8".into());
        };
        let text = match (self.include)(name) {
            Ok(text) => text,
            Err(why) => return fail(format!("cannot include `{name}`: {why}")),
        };
        let lines = |text: &[u8]| text.iter().filter(|&&octet| octet == b'\n').count() + 1;
        if self.numbers == 0 {
            self.numbers = lines(self.main.text) as u32;
        }
        let Some(numbers) =
            u32::try_from(lines(&text)).ok().and_then(|lines| self.numbers.checked_add(lines))
        else {
            return fail("expected at most 4294967295 lines in all files of a zone".into());
        };
        let folder = self.main.file.rfind('/').map_or("", |slash| &self.main.file[..=slash]);
        let file: Arc<str> = format!("{folder}{name}").into();
        let included = Source { file, text: &[], lines_before: 0, numbers_before: self.numbers };
        self.numbers = numbers;
        self.includes += 1;
        self.depth += 1;
        let before = (self.origin.clone(), self.owner);
        if let Some(origin) = origin {
            self.origin = origin;
        }
        self.entries(&included.with(&text));
        (self.origin, self.owner) = before;
        self.depth -= 1;
        let at = self.included.partition_point(|(other, _)| other.numbers_before < included.numbers_before);
        self.included.insert(at, (included, text));
        Ok(())
    }

    // Each number of the range makes a record of the words that follow it.
    fn generate(
        &mut self,
        source: &Source<'_>,
        directive: &Token,
        range: Range,
        words: &[Token],
    ) -> Result<(), (Token, String)> {
        // As in BIND, data between quotes is data without them, so that it may have several words.
        let bare = match words {
            [.., kind, data] if data.quoted && Type::from_text(source.word(kind)).is_some() => {
                Some(data.start)
            }
            _ => None,
        };
        let mut line = Vec::new();
        for number in range {
            line.clear();
            for token in words {
                let quote: &[u8] = if token.quoted && bare != Some(token.start) { b"\"" } else { b"" };
                line.extend_from_slice(quote);
                expand(source.word(token), number, &mut line)
                    .map_err(|expected| (*token, format!("expected {expected}")))?;
                line.extend_from_slice(quote);
                line.push(b' ');
            }
            let lines_before = source.lines_before + directive.line - 1;
            let made = Source { lines_before, ..source.with(&line) };
            let (mut tokens, mut words) = (Vec::new(), Vec::new());
            let entry = Scanner::new(&line).entry(&mut tokens);
            let entry = entry.map_err(|fault| (fault.token, format!("expected {}", fault.expected)));
            if let Err((token, message)) = entry.and_then(|_| self.entry(&made, &tokens, false, &mut words)) {
                // One record at fault tells enough; the others have the same form.
                self.fault(&made, Some(token), Severity::Error, message);
                break;
            }
        }
        Ok(())
    }

    // [TTL] [class] type RDATA, or [class] [TTL] type RDATA.
    fn record<'t>(
        &mut self,
        source: &Source<'t>,
        owner: Option<NodeId>,
        before: &Token,
        rest: &[Token],
        words: &mut Vec<Word<'t>>,
    ) -> Result<(), (Token, String)> {
        let text = source.text;
        let mut rest = rest;
        let (mut ttl, mut class) = (None, None);
        let (kind, named) = loop {
            let Some((token, after)) = rest.split_first() else {
                return Err((*before, "expected a type, such as A or MX, and its data after this".into()));
            };
            let word = &text[token.start..token.end];
            rest = after;
            // A class is told from a type sooner than a type from all others.
            if class.is_none()
                && let Some(named) = Class::from_text(word)
            {
                if named != Class::IN {
                    return Err((*token, format!("expected class IN; {named} is not served")));
                }
                class = Some(named);
                continue;
            }
            if let Some(kind) = Type::from_text(word).filter(|_| !token.quoted) {
                if kind.is_meta() {
                    return Err((*token, format!("expected a type that a zone can hold; {kind} is none")));
                }
                break (kind, token);
            }
            match rdata::seconds(word).filter(|_| !token.quoted && ttl.is_none()) {
                Some(seconds) => ttl = Some(seconds),
                None => {
                    let word = String::from_utf8_lossy(word);
                    return Err((*token, format!("expected a type, such as A or MX, not `{word}`")));
                }
            }
        };
        words.clear();
        words.extend(
            rest.iter().map(|token| Word { text: &text[token.start..token.end], quoted: token.quoted }),
        );
        self.data.clear();
        if let Err(fault) = rdata::parse(kind, words, &self.origin, &mut self.data) {
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
            Some(node) if !self.draft.add(node, kind, ttl, &self.data, source.number(before)) => {
                Err((*before, "expected fewer records: this zone is too large".into()))
            }
            _ => Ok(()),
        }
    }

    fn fault(&mut self, source: &Source<'_>, token: Option<Token>, severity: Severity, message: String) {
        self.faults.push(severity, || {
            let Some(token) = token else { return source.on_line(0, severity, message) };
            // A quoted word is shown with its quotes.
            let start = token.start - usize::from(token.quoted);
            Fault {
                file: Arc::clone(&source.file),
                line: source.lines_before + token.line,
                column: (start - token.line_start + 1) as u32,
                length: (token.end + usize::from(token.quoted) - start).max(1) as u32,
                text: line_text(&source.text[token.line_start..]),
                severity,
                message,
            }
        });
    }
}

fn line_text(from: &[u8]) -> String {
    let end = from.iter().position(|&octet| octet == b'\n').unwrap_or(from.len()).min(SHOWN_OCTETS_MAX);
    String::from_utf8_lossy(&from[..end]).trim_end().to_owned()
}
