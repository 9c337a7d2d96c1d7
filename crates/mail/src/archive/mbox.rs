//! mbox: messages one behind the other in a file, each begun by a `From ` line and ended by an empty one. Lines
//! of a message that look so are quoted with `>` (mboxrd). Flags are header fields: `Status`, `X-Status`,
//! `X-Keywords`.

use doorway_base::UnixTime;

use crate::mailbox::{Flags, SystemFlag};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Signs of quoting at the start of a line that are looked at; more are text.
const QUOTES_MAX: usize = 1000;

/// The line that begins a message, with its LF.
#[must_use]
pub fn from_line(sender: Option<&str>, at: UnixTime) -> String {
    let sender = sender.filter(|sender| !sender.is_empty() && !sender.contains(char::is_whitespace));
    let civil = at.civil();
    let (day, month) = (DAYS[usize::from(civil.weekday)], MONTHS[usize::from(civil.month) - 1]);
    format!(
        "From {} {day} {month} {:>2} {:02}:{:02}:{:02} {}\n",
        sender.unwrap_or("MAILER-DAEMON"),
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
        civil.year
    )
}

/// When the message behind this line came; `None` when the line does not begin one: without a date it is
/// text. A zone is not believed, since it is missing as a rule.
#[must_use]
pub fn parse_from_line(line: &[u8]) -> Option<UnixTime> {
    let rest = line.strip_prefix(b"From ")?;
    let text = String::from_utf8_lossy(rest);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.windows(5).find_map(|words| {
        let [_, month, day, time, year] = words else { return None };
        let month = MONTHS.iter().position(|known| known.eq_ignore_ascii_case(month))? as u8 + 1;
        let mut parts = time.split(':').map(|part| part.parse::<u8>().ok());
        let (hour, minute) = (parts.next()??, parts.next()??);
        let second = parts.next().flatten().unwrap_or(0);
        UnixTime::from_civil(year.parse().ok()?, month, day.parse().ok()?, hour, minute, second)
    })
}

/// Quotes the lines of a message, which comes with LF, piece by piece.
#[derive(Debug, Clone)]
pub struct Quoting {
    /// The beginning of a line that may yet have to be quoted; `None` within a line.
    start: Option<Vec<u8>>,
}

impl Default for Quoting {
    fn default() -> Self {
        Self { start: Some(Vec::new()) }
    }
}

/// Whether a line that begins so is to be quoted; `None` when more of it must be seen.
fn is_from(start: &[u8]) -> Option<bool> {
    let quotes = start.iter().take_while(|octet| **octet == b'>').count();
    let rest = &start[quotes..];
    let seen = rest.len().min(5);
    if quotes > QUOTES_MAX || rest[..seen] != b"From "[..seen] {
        return Some(false);
    }
    (seen == 5).then_some(true)
}

impl Quoting {
    /// Adds a piece to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for part in piece.split_inclusive(|octet| *octet == b'\n') {
            let ends = part.ends_with(b"\n");
            match &mut self.start {
                None => out.extend_from_slice(part),
                Some(start) => {
                    start.extend_from_slice(part);
                    match is_from(start) {
                        None if !ends => continue,
                        Some(true) => out.push(b'>'),
                        _ => {}
                    }
                    out.append(start);
                    self.start = None;
                }
            }
            if ends {
                self.start = Some(Vec::new());
            }
        }
    }

    /// Adds what is left.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.start.unwrap_or_default());
    }
}

/// A line of a message without the quoting that [`Quoting`] added.
#[must_use]
pub fn unquoted(line: &[u8]) -> &[u8] {
    match line.strip_prefix(b">") {
        Some(rest) if is_from(rest) == Some(true) => rest,
        _ => line,
    }
}

/// The header fields that tell flags, with LF; nothing for none but "not seen".
#[must_use]
pub fn status_fields(flags: &Flags) -> String {
    let mut fields = String::from(if flags.has(SystemFlag::Seen) { "Status: RO\n" } else { "Status: O\n" });
    let letters = [
        (SystemFlag::Answered, 'A'),
        (SystemFlag::Flagged, 'F'),
        (SystemFlag::Draft, 'T'),
        (SystemFlag::Deleted, 'D'),
    ];
    let letters: String =
        letters.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, letter)| *letter).collect();
    if !letters.is_empty() {
        fields += &format!("X-Status: {letters}\n");
    }
    if !flags.keywords().is_empty() {
        fields += &format!("X-Keywords: {}\n", flags.keywords().join(" "));
    }
    fields
}

/// Adds to `flags` what a header line tells of them; false when it is about something else.
pub fn read_status(line: &[u8], flags: &mut Flags) -> bool {
    let text = String::from_utf8_lossy(line);
    let Some((name, value)) = text.split_once(':') else { return false };
    let letters: &[(char, SystemFlag)] = match name.to_ascii_lowercase().as_str() {
        "status" => &[('R', SystemFlag::Seen)],
        "x-status" => &[
            ('A', SystemFlag::Answered),
            ('F', SystemFlag::Flagged),
            ('T', SystemFlag::Draft),
            ('D', SystemFlag::Deleted),
        ],
        "x-keywords" => {
            for keyword in value.split_ascii_whitespace() {
                // A keyword that is none is not taken over.
                let _ = flags.add_keyword(keyword);
            }
            return true;
        }
        _ => return false,
    };
    for (_, flag) in letters.iter().filter(|(letter, _)| value.contains(*letter)) {
        *flags = flags.clone().with(*flag);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_line_tells_who_and_when() {
        let at = UnixTime::from_secs(1_790_000_000);
        let line = from_line(Some("ann@example.test"), at);
        assert_eq!(line, "From ann@example.test Mon Sep 21 14:13:20 2026\n");
        assert_eq!(parse_from_line(line.as_bytes()), Some(at));
        assert_eq!(from_line(None, UnixTime::default()), "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n");
        for (line, seconds) in [
            ("From x Sat Jan  3 01:05:34 1996", 820_631_134),
            ("From x@y Sat Jan  3 01:05 1996 +0100", 820_631_100),
        ] {
            assert_eq!(parse_from_line(line.as_bytes()), Some(UnixTime::from_secs(seconds)), "{line}");
        }
        assert_eq!(parse_from_line(b"From: x"), None);
        assert_eq!(parse_from_line(b"From here on it is text"), None);
    }

    #[test]
    fn flags_are_fields_and_back() {
        let mut flags = SystemFlag::ALL.into_iter().fold(Flags::NONE, Flags::with);
        flags.add_keyword("work").expect("an atom");
        let fields = status_fields(&flags);
        assert_eq!(fields, "Status: RO\nX-Status: AFTD\nX-Keywords: work\n");
        let mut read = Flags::NONE;
        assert!(fields.lines().all(|line| read_status(line.as_bytes(), &mut read)));
        assert_eq!(read, flags);
        assert!(!read_status(b"Subject: Status: R", &mut read));
    }

    fn quoted(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut quoting, mut out) = (Quoting::default(), Vec::new());
        pieces.iter().for_each(|piece| quoting.push(piece, &mut out));
        quoting.finish(&mut out);
        out
    }

    #[test]
    fn lines_that_would_begin_a_message_are_quoted() {
        let text = b"From a\n>From b\n>>From c\nFromage\n From d\nFrom".as_slice();
        assert_eq!(quoted(&[text]), b">From a\n>>From b\n>>>From c\nFromage\n From d\nFrom");
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_unquoted(text in "([>F\n]|From |x){0,30}", cut in 0..60usize) {
            let octets = text.as_bytes();
            let (one, two) = octets.split_at(cut.min(octets.len()));
            let file = quoted(&[one, two]);
            prop_assert_eq!(&file, &quoted(&[octets]));
            let lines: Vec<&[u8]> = file.split_inclusive(|octet| *octet == b'\n').collect();
            prop_assert!(lines.iter().all(|line| !line.starts_with(b"From ")));
            prop_assert_eq!(lines.into_iter().map(unquoted).collect::<Vec<_>>().concat(), octets);
        }
    }
}
