//! Commands of SMTP and LMTP, read from their lines (RFC 5321 §4.1, RFC 3030, RFC 3207, RFC 4954, RFC 2033).
//!
//! Upper and lower case are alike in verbs and keywords, and white space at the end of a line, or behind the
//! colon of MAIL and RCPT, is passed over. Beyond that a command is what the standard says, or it is refused
//! with the rule that it breaks.

use crate::address::{Address, Domain};
use crate::envelope::{BodyType, Notify, Return};
use crate::reply::{Enhanced, Reply};

use super::xtext;

/// Longest command line with its end, in octets (RFC 5321 §4.5.3.1.4).
pub const COMMAND_OCTETS_MAX: usize = 512;
/// The same for MAIL and RCPT, which RFC 1870, 3461, 4954, 6152 and 6531 make longer.
pub const PATH_COMMAND_OCTETS_MAX: usize = 2048;
/// Longest path between its brackets, in octets (RFC 5321 §4.5.3.1.3 has 256 with them).
const PATH_OCTETS_MAX: usize = 254;
/// Longest name that a client may give itself, in octets.
const GREETING_OCTETS_MAX: usize = 255;
/// Longest ENVID, in octets as they are meant (RFC 3461 §4.4).
const ENVID_OCTETS_MAX: usize = 100;
/// Longest ORCPT, in octets as they come (RFC 3461 §4.2).
const ORCPT_OCTETS_MAX: usize = 500;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// HELO, with what the client calls itself.
    Helo(&'a str),
    /// EHLO.
    Ehlo(&'a str),
    /// LHLO.
    Lhlo(&'a str),
    /// MAIL FROM.
    Mail(Mail),
    /// RCPT TO.
    Rcpt(Rcpt),
    /// DATA.
    Data,
    /// BDAT: so many octets follow.
    Bdat {
        /// Octets behind the line.
        octets: u64,
        /// They are the last of the message.
        last: bool,
    },
    /// RSET.
    Rset,
    /// VRFY.
    Vrfy,
    /// EXPN.
    Expn,
    /// HELP.
    Help,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// STARTTLS.
    StartTls,
    /// The first line of an HTTP request, whose other lines must not be taken for commands.
    Web,
    /// AUTH, with the mechanism's name and what the client says at once.
    Auth(&'a str, Option<&'a str>),
}

/// MAIL FROM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// The reverse-path; `None` for `<>`.
    pub from: Option<Address>,
    /// SIZE=; 0 when it was not said.
    pub octets: u64,
    /// BODY=.
    pub body: BodyType,
    /// SMTPUTF8.
    pub smtputf8: bool,
    /// RET=.
    pub ret: Option<Return>,
    /// ENVID=.
    pub envid: Option<String>,
}

/// RCPT TO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// The forward-path; `None` for `<postmaster>`, who needs no domain (RFC 5321 §4.1.1.3).
    pub to: Option<Address>,
    /// NOTIFY=.
    pub notify: Notify,
    /// ORCPT=, decoded.
    pub orcpt: Option<String>,
}

impl<'a> Command<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// The reply to give.
    pub fn read(line: &'a [u8]) -> Result<Self, Reply> {
        let text =
            core::str::from_utf8(line).map_err(|_| syntax("octets that are neither ASCII nor UTF-8"))?;
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(syntax("a control character in a command"));
        }
        let text = text.trim_end_matches([' ', '\t']);
        let (verb, rest) = match text.find([' ', '\t']) {
            Some(at) => (&text[..at], text[at..].trim_start_matches([' ', '\t'])),
            None => (text, ""),
        };
        let is = |word: &str| verb.eq_ignore_ascii_case(word);
        let max = if is("MAIL") || is("RCPT") { PATH_COMMAND_OCTETS_MAX } else { COMMAND_OCTETS_MAX };
        if line.len() + 2 > max && !is("AUTH") {
            return Err(Reply::new(
                500,
                Enhanced(5, 5, 2),
                "the line is too long (RFC 5321 section 4.5.3.1.4)",
            ));
        }
        let alone = |command| {
            if rest.is_empty() { Ok(command) } else { Err(arguments("nothing behind the command")) }
        };
        match () {
            () if is("MAIL") => mail(rest).map(Self::Mail),
            () if is("RCPT") => rcpt(rest).map(Self::Rcpt),
            () if is("DATA") => alone(Self::Data),
            () if is("BDAT") => bdat(rest),
            () if is("EHLO") => greeting(rest).map(Self::Ehlo),
            () if is("HELO") => greeting(rest).map(Self::Helo),
            () if is("LHLO") => greeting(rest).map(Self::Lhlo),
            () if is("RSET") => alone(Self::Rset),
            () if is("QUIT") => alone(Self::Quit),
            () if is("NOOP") => Ok(Self::Noop),
            () if is("HELP") => Ok(Self::Help),
            () if is("VRFY") && rest.is_empty() => Err(arguments("a name behind VRFY")),
            () if is("VRFY") => Ok(Self::Vrfy),
            () if is("EXPN") => Ok(Self::Expn),
            () if is("STARTTLS") => alone(Self::StartTls),
            () if is("AUTH") => auth(rest),
            () if rest.contains("HTTP/") => Ok(Self::Web),
            () => Err(Reply::new(500, Enhanced(5, 5, 1), "there is no such command")),
        }
    }

    /// Whether nothing may come behind the command before its reply (RFC 2920 §3.1), because what it means
    /// depends on that: for who sends more the two ends would be at different places of the dialogue.
    #[must_use]
    pub const fn ends_a_group(&self) -> bool {
        matches!(self, Self::Helo(_) | Self::Ehlo(_) | Self::Lhlo(_) | Self::Data)
    }
}

fn syntax(what: &'static str) -> Reply {
    Reply::new(500, Enhanced(5, 5, 2), format!("syntax error: {what}"))
}

fn arguments(wanted: &str) -> Reply {
    Reply::new(501, Enhanced(5, 5, 4), format!("syntax error: expected {wanted}"))
}

fn greeting(name: &str) -> Result<&str, Reply> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if name.is_empty() || name.len() > GREETING_OCTETS_MAX || !name.chars().all(fits) {
        return Err(arguments("the client's host name or [address]"));
    }
    Ok(name)
}

fn bdat<'a>(rest: &str) -> Result<Command<'a>, Reply> {
    let mut words = rest.split_ascii_whitespace();
    let digits = words.next().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let octets = digits.and_then(|digits| digits.parse().ok());
    let last = match words.next() {
        None => Some(false),
        Some(word) => word.eq_ignore_ascii_case("LAST").then_some(true),
    };
    match (octets, last, words.next()) {
        (Some(octets), Some(last), None) => Ok(Command::Bdat { octets, last }),
        _ => Err(arguments("a number of octets, and LAST behind it or nothing")),
    }
}

fn auth(rest: &str) -> Result<Command<'_>, Reply> {
    let mut words = rest.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => Ok(Command::Auth(mechanism, initial)),
        _ => Err(arguments("a mechanism, and an initial response or nothing")),
    }
}

fn mail(rest: &str) -> Result<Mail, Reply> {
    let (path, parameters) = path(rest, "FROM")?;
    let mut mail = Mail {
        from: if path.is_empty() { None } else { Some(address(path, Enhanced(5, 1, 7))?) },
        ..Mail::default()
    };
    let mut said = [false; 6];
    for parameter in parameters.split_ascii_whitespace() {
        let (keyword, value) = split(parameter);
        let known = ["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"];
        let index = known.iter().position(|known| keyword.eq_ignore_ascii_case(known));
        let index = index.ok_or_else(|| unknown(keyword))?;
        if std::mem::replace(&mut said[index], true) {
            return Err(arguments("each parameter once"));
        }
        match (known[index], value) {
            ("SIZE", Some(size)) => {
                mail.octets = number(size).ok_or_else(|| arguments("SIZE= and digits"))?
            }
            ("BODY", Some(body)) => mail.body = body_type(body)?,
            ("SMTPUTF8", None) => mail.smtputf8 = true,
            ("RET", Some(ret)) if ret.eq_ignore_ascii_case("FULL") => mail.ret = Some(Return::Full),
            ("RET", Some(ret)) if ret.eq_ignore_ascii_case("HDRS") => mail.ret = Some(Return::Headers),
            ("ENVID", Some(envid)) => {
                let envid = xtext::decode(envid).ok().filter(|envid| !envid.is_empty());
                let envid = envid.filter(|envid| envid.len() <= ENVID_OCTETS_MAX);
                mail.envid = Some(envid.ok_or_else(|| arguments("ENVID= and up to 100 octets of xtext"))?);
            }
            // Who first submitted the message is nothing that anybody would believe (RFC 4954 §5).
            ("AUTH", Some(_)) => {}
            (known, _) => return Err(arguments(&format!("a value that {known} has"))),
        }
    }
    if !mail.smtputf8 && mail.from.as_ref().is_some_and(|from| !from.is_ascii()) {
        return Err(needs_utf8());
    }
    Ok(mail)
}

fn rcpt(rest: &str) -> Result<Rcpt, Reply> {
    let (path, parameters) = path(rest, "TO")?;
    let to =
        if path.eq_ignore_ascii_case("postmaster") { None } else { Some(address(path, Enhanced(5, 1, 3))?) };
    let mut rcpt = Rcpt { to, notify: Notify::default(), orcpt: None };
    let mut notified = false;
    for parameter in parameters.split_ascii_whitespace() {
        let (keyword, value) = split(parameter);
        let value = value.unwrap_or_default();
        if keyword.eq_ignore_ascii_case("NOTIFY") && !notified {
            notified = true;
            rcpt.notify =
                notify(value).ok_or_else(|| arguments("NOTIFY= and NEVER, or SUCCESS, FAILURE, DELAY"))?;
        } else if keyword.eq_ignore_ascii_case("ORCPT") && rcpt.orcpt.is_none() {
            let orcpt =
                orcpt(value).ok_or_else(|| arguments("ORCPT= and a type, `;` and an address in xtext"))?;
            rcpt.orcpt = Some(orcpt);
        } else if ["NOTIFY", "ORCPT"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
            return Err(arguments("each parameter once"));
        } else {
            return Err(unknown(keyword));
        }
    }
    Ok(rcpt)
}

/// For an address that is not ASCII in a transaction that did not say SMTPUTF8 (RFC 6531 §3.5).
pub(super) fn needs_utf8() -> Reply {
    Reply::new(553, Enhanced(5, 6, 7), "an address that is not ASCII needs SMTPUTF8 in the MAIL command")
}

fn unknown(keyword: &str) -> Reply {
    let shown = if keyword.is_ascii() { keyword } else { "with such a name" };
    Reply::new(555, Enhanced(5, 5, 4), format!("the parameter {shown} is not known here"))
}

fn split(parameter: &str) -> (&str, Option<&str>) {
    match parameter.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (parameter, None),
    }
}

fn number(digits: &str) -> Option<u64> {
    let fits = (1..=20).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn body_type(value: &str) -> Result<BodyType, Reply> {
    let types = [
        ("7BIT", BodyType::SevenBit),
        ("8BITMIME", BodyType::EightBitMime),
        ("BINARYMIME", BodyType::BinaryMime),
    ];
    let found = types.iter().find(|(name, _)| value.eq_ignore_ascii_case(name));
    found.map(|(_, body)| *body).ok_or_else(|| arguments("BODY= and 7BIT, 8BITMIME or BINARYMIME"))
}

fn notify(value: &str) -> Option<Notify> {
    let mut notify = Notify::NEVER;
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(notify);
    }
    for word in value.split(',') {
        match &*word.to_ascii_uppercase() {
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return None,
        }
    }
    Some(notify)
}

fn orcpt(value: &str) -> Option<String> {
    let (kind, address) = value.split_once(';').filter(|_| value.len() <= ORCPT_OCTETS_MAX)?;
    let is_atom = !kind.is_empty() && kind.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    // The type utf-8 may hold UTF-8 as it is (RFC 6533 §3).
    let address = match address.is_ascii() {
        true => xtext::decode(address).ok()?,
        false if kind.eq_ignore_ascii_case("utf-8") => address.to_owned(),
        false => return None,
    };
    (is_atom && !address.is_empty()).then(|| format!("{kind};{address}"))
}

/// The path of MAIL or RCPT without its brackets and without a source route, and the parameters behind it.
fn path<'a>(rest: &'a str, word: &str) -> Result<(&'a str, &'a str), Reply> {
    let wanted = || arguments(&format!("{word}:<address>"));
    let parts = rest.split_at_checked(word.len()).filter(|(start, _)| start.eq_ignore_ascii_case(word));
    let behind = parts.and_then(|(_, behind)| behind.strip_prefix(':')).ok_or_else(wanted)?;
    // RFC 5321 §3.3 wants no space here; half the world has one.
    let inside = behind.trim_start_matches(' ').strip_prefix('<').ok_or_else(wanted)?;
    let end = end_of_path(inside).ok_or_else(|| arguments("`>` behind the address"))?;
    let parameters = &inside[end + 1..];
    if !parameters.is_empty() && !parameters.starts_with([' ', '\t']) {
        return Err(arguments("a space behind the address"));
    }
    if end > PATH_OCTETS_MAX {
        return Err(Reply::new(501, Enhanced(5, 1, 3), "the path is longer than 256 octets"));
    }
    Ok((without_route(&inside[..end])?, parameters))
}

/// Where the bracket is that ends a path; one in a quoted string does not.
fn end_of_path(inside: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in inside.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Takes a source route off, `@one,@two:` in front of the address: it is understood and ignored
/// (RFC 5321 §4.1.1.3, appendix C).
fn without_route(path: &str) -> Result<&str, Reply> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    let wrong =
        || Reply::new(501, Enhanced(5, 1, 3), "a source route is `@domain,@domain:` before the address");
    let (route, address) = path.split_once(':').ok_or_else(wrong)?;
    let is_domain = |hop: &str| hop.strip_prefix('@').is_some_and(|domain| Domain::parse(domain).is_ok());
    if route.split(',').all(is_domain) && !address.is_empty() { Ok(address) } else { Err(wrong()) }
}

fn address(path: &str, enhanced: Enhanced) -> Result<Address, Reply> {
    Address::parse(path).map_err(|malformed| Reply::new(501, enhanced, format!("bad address: {malformed}")))
}

#[cfg(test)]
mod tests;
