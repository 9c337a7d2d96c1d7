//! A command line, read (RFC 1939 §3 and §9, RFC 2449 §5, RFC 2595 §4, RFC 5034 §4, RFC 6856 §2).

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// `AUTH mechanism [initial-response]`; without a mechanism, a wish to hear which there are.
    Auth(Option<(&'a str, Option<&'a str>)>),
    /// `CAPA`
    Capa,
    /// `DELE n`
    Dele(u64),
    /// `LIST [n]`
    List(Option<u64>),
    /// `NOOP`
    Noop,
    /// `PASS secret`: all behind the space, spaces included.
    Pass(&'a str),
    /// `QUIT`
    Quit,
    /// `RETR n`
    Retr(u64),
    /// `RSET`
    Rset,
    /// `STAT`
    Stat,
    /// `STLS`
    Stls,
    /// `TOP n lines`
    Top(u64, u64),
    /// `UIDL [n]`
    Uidl(Option<u64>),
    /// `USER name`
    User(&'a str),
    /// `UTF8`
    Utf8,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// Nobody knows the keyword.
    Unknown,
    /// The arguments are not those that the command takes; holds how it is written.
    Arguments(&'static str),
}

/// Longest number that is read, in digits: any message's number and size fit.
const DIGITS_MAX: usize = 15;

fn number(text: &str) -> Option<u64> {
    let digits = (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl<'a> Command<'a> {
    /// Reads a line without its end. The keyword may have letters of any case.
    ///
    /// # Errors
    /// [`CommandError`] as its variants say.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError> {
        // A name or a password in another charset is nobody's here: it is refused as an argument.
        let text = core::str::from_utf8(line).map_err(|_| CommandError::Arguments("text in UTF-8"))?;
        let (keyword, rest) = match text.split_once(' ') {
            Some((keyword, rest)) => (keyword, Some(rest)),
            None => (text, None),
        };
        // Blanks behind the last argument are old clients' habit; a password may end in one.
        let trimmed = rest.map(|rest| rest.trim_end_matches(' ')).filter(|rest| !rest.is_empty());
        let nothing = |command: Self, form| match trimmed {
            None => Ok(command),
            Some(_) => Err(CommandError::Arguments(form)),
        };
        let one = |command: fn(u64) -> Self, form| {
            trimmed.and_then(number).map(command).ok_or(CommandError::Arguments(form))
        };
        let maybe = |command: fn(Option<u64>) -> Self, form| match trimmed.map(number) {
            None => Ok(command(None)),
            Some(Some(number)) => Ok(command(Some(number))),
            Some(None) => Err(CommandError::Arguments(form)),
        };
        let mut upper = [0; 4];
        let letters = upper.get_mut(..keyword.len()).ok_or(CommandError::Unknown)?;
        letters.copy_from_slice(keyword.as_bytes());
        letters.make_ascii_uppercase();
        match &*letters {
            b"AUTH" => match trimmed {
                None => Ok(Self::Auth(None)),
                Some(rest) => {
                    let mut words = rest.split(' ');
                    let (mechanism, initial) = (words.next().unwrap_or_default(), words.next());
                    match words.next() {
                        None => Ok(Self::Auth(Some((mechanism, initial)))),
                        Some(_) => Err(CommandError::Arguments("AUTH mechanism [initial-response]")),
                    }
                }
            },
            b"CAPA" => nothing(Self::Capa, "CAPA"),
            b"DELE" => one(Self::Dele, "DELE number"),
            b"LIST" => maybe(Self::List, "LIST [number]"),
            b"NOOP" => nothing(Self::Noop, "NOOP"),
            b"PASS" => rest.map(Self::Pass).ok_or(CommandError::Arguments("PASS password")),
            b"QUIT" => nothing(Self::Quit, "QUIT"),
            b"RETR" => one(Self::Retr, "RETR number"),
            b"RSET" => nothing(Self::Rset, "RSET"),
            b"STAT" => nothing(Self::Stat, "STAT"),
            b"STLS" => nothing(Self::Stls, "STLS"),
            b"TOP" => {
                let numbers = trimmed.and_then(|rest| rest.split_once(' '));
                let numbers = numbers.and_then(|(n, lines)| Some((number(n)?, number(lines)?)));
                numbers
                    .map(|(n, lines)| Self::Top(n, lines))
                    .ok_or(CommandError::Arguments("TOP number lines"))
            }
            b"UIDL" => maybe(Self::Uidl, "UIDL [number]"),
            b"USER" => trimmed.map(Self::User).ok_or(CommandError::Arguments("USER name")),
            b"UTF8" => nothing(Self::Utf8, "UTF8"),
            _ => Err(CommandError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_read_in_any_case() {
        for (line, command) in [
            ("user bob", Command::User("bob")),
            ("USER bob ", Command::User("bob")),
            ("PASS  two  words ", Command::Pass(" two  words ")),
            ("pass ", Command::Pass("")),
            ("STAT", Command::Stat),
            ("sTaT ", Command::Stat),
            ("LIST", Command::List(None)),
            ("LIST 007", Command::List(Some(7))),
            ("RETR 1", Command::Retr(1)),
            ("TOP 1 0", Command::Top(1, 0)),
            ("DELE 999999999999999", Command::Dele(999_999_999_999_999)),
            ("UIDL 2", Command::Uidl(Some(2))),
            ("AUTH", Command::Auth(None)),
            ("AUTH PLAIN", Command::Auth(Some(("PLAIN", None)))),
            ("auth plain AGJvYgBo", Command::Auth(Some(("plain", Some("AGJvYgBo"))))),
            ("CAPA", Command::Capa),
            ("UTF8", Command::Utf8),
            ("STLS", Command::Stls),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_says_how_it_is_written() {
        for line in ["", " ", "HELO", "APOP bob c4c9", "LISTS", "LI ST", "X"] {
            assert_eq!(Command::parse(line.as_bytes()), Err(CommandError::Unknown), "{line}");
        }
        for line in [
            "USER",
            "PASS",
            "RETR",
            "RETR x",
            "RETR -1",
            "RETR 1 2",
            "TOP 1",
            "TOP 1 x",
            "TOP 1 2 3",
            "QUIT now",
            "LIST 9999999999999999",
            "AUTH PLAIN a b",
            "STAT 1",
            "DELE +1",
        ] {
            let refused = Command::parse(line.as_bytes());
            assert!(matches!(refused, Err(CommandError::Arguments(_))), "{line}: {refused:?}");
        }
        assert!(Command::parse(b"USER \xff").is_err());
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Command::parse(&line);
        }
    }
}
