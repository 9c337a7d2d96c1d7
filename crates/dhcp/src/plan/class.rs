//! Classes: clients that share a trait, and what they are given for it.
//!
//! The trait is an expression: `vendor-class starts 'PXEClient' and not arch == 0`. Fields are `vendor-class`,
//! `user-class`, `arch`, `mac`, `client-id`, `host-name`, `giaddr`, `circuit-id`, `remote-id` and `option[N]`;
//! they are compared by `==`, `!=`, `starts` and, for `giaddr`, `in`. A field alone asks whether it is there.

use core::net::Ipv4Addr;
use std::borrow::Cow;
use std::fmt;

use super::PlanFault;
use super::network::Network;
use super::options::{Boot, OptionSet};
use super::times::LeaseTimes;
use crate::wire::hardware::read_hex;
use crate::wire::option::code;
use crate::wire::{Agent, Message, OptionKind, Shape};

/// Most octets of an expression.
pub const EXPRESSION_OCTETS_MAX: usize = 2048;
/// How deep parentheses and `not` may stand within each other.
const DEPTH_MAX: usize = 32;

/// Clients that share a trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name, by which pools speak of it.
    pub name: String,
    /// Who belongs to it.
    pub when: Expression,
    /// Options for its clients.
    pub options: OptionSet,
    /// Where its clients boot from.
    pub boot: Boot,
    /// How long their leases last, if not as long as those of their subnet.
    pub lease: Option<LeaseTimes>,
    /// Whether they get no answer at all.
    pub refuse: bool,
}

impl Class {
    /// A class that gives nothing yet.
    #[must_use]
    pub fn new(name: impl Into<String>, when: Expression) -> Self {
        Self {
            name: name.into(),
            when,
            options: OptionSet::default(),
            boot: Boot::default(),
            lease: None,
            refuse: false,
        }
    }

    pub(super) fn check(&self) -> Result<(), PlanFault> {
        match &self.lease {
            Some(lease) => lease.check(&format!("class `{}`", self.name)),
            None => Ok(()),
        }
    }
}

/// What an expression is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'m, 'a> {
    /// The message.
    pub message: &'m Message<'a>,
    /// What a relay agent that is believed says of the client.
    pub agent: Option<&'m Agent<'a>>,
}

/// Which clients belong to a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(Term);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Exists(Field),
    Equals(Field, Vec<u8>),
    Starts(Field, Vec<u8>),
    Within(Field, Network),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Option(u8),
    UserClass,
    Architecture,
    Hardware,
    Giaddr,
    CircuitId,
    RemoteId,
}

impl Expression {
    /// Whether the client belongs to the class.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_, '_>) -> bool {
        self.0.holds(facts)
    }
}

impl Term {
    fn holds(&self, facts: &Facts<'_, '_>) -> bool {
        match self {
            Self::All(terms) => terms.iter().all(|term| term.holds(facts)),
            Self::Any(terms) => terms.iter().any(|term| term.holds(facts)),
            Self::Not(term) => !term.holds(facts),
            Self::Exists(field) => field.value(facts).is_some(),
            Self::Equals(field, wanted) => field.some(facts, |value| value == &wanted[..]),
            Self::Starts(field, wanted) => field.some(facts, |value| value.starts_with(wanted)),
            Self::Within(field, network) => field.some(facts, |value| {
                <[u8; 4]>::try_from(value).is_ok_and(|octets| network.contains(Ipv4Addr::from(octets)))
            }),
        }
    }
}

impl Field {
    fn value<'m>(self, facts: &Facts<'m, '_>) -> Option<Cow<'m, [u8]>> {
        let message = facts.message;
        match self {
            Self::Option(number) => message.option(number),
            Self::UserClass => message.option(code::USER_CLASS),
            Self::Architecture => message.architecture().map(|number| number.to_be_bytes().to_vec().into()),
            Self::Hardware => Some(message.chaddr().into()),
            Self::Giaddr => {
                let giaddr = message.giaddr();
                (!giaddr.is_unspecified()).then(|| giaddr.octets().to_vec().into())
            }
            Self::CircuitId => facts.agent?.circuit_id().map(Cow::Borrowed),
            Self::RemoteId => facts.agent?.remote_id().map(Cow::Borrowed),
        }
    }

    /// Whether the field's value passes; of several user classes (RFC 3004 §4), any of them.
    fn some(self, facts: &Facts<'_, '_>, test: impl Fn(&[u8]) -> bool) -> bool {
        // The usual fields are looked at in place.
        match self {
            Self::Architecture => {
                return facts.message.architecture().is_some_and(|number| test(&number.to_be_bytes()));
            }
            Self::Giaddr => {
                let giaddr = facts.message.giaddr();
                return !giaddr.is_unspecified() && test(&giaddr.octets());
            }
            _ => {}
        }
        let Some(value) = self.value(facts) else { return false };
        if test(&value) {
            return true;
        }
        let mut rest = &value[..];
        while self == Self::UserClass
            && let Some((&length, behind)) = rest.split_first()
            && let Some((class, next)) = behind.split_at_checked(usize::from(length))
        {
            if test(class) {
                return true;
            }
            rest = next;
        }
        false
    }

    fn named(word: &str) -> Option<Self> {
        if let Some(name) = word.strip_prefix("option[") {
            let (name, form) = name.split_once(']')?;
            let kind = OptionKind::named(name)?;
            return ["", ".hex", ".text", ".exists"].contains(&form).then_some(Self::Option(kind.code));
        }
        Some(match word {
            "vendor-class" => Self::Option(code::VENDOR_CLASS),
            "client-id" => Self::Option(code::CLIENT_ID),
            "host-name" => Self::Option(code::HOST_NAME),
            "user-class" => Self::UserClass,
            "arch" => Self::Architecture,
            "mac" | "chaddr" => Self::Hardware,
            "giaddr" => Self::Giaddr,
            "circuit-id" => Self::CircuitId,
            "remote-id" => Self::RemoteId,
            _ => return None,
        })
    }

    /// The octets that a word without quotes stands for beside this field.
    fn literal(self, word: &str) -> Option<Vec<u8>> {
        if let Some(digits) = word.strip_prefix("0x") {
            let whole = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
            let octets = read_hex(&whole)?;
            return match self {
                Self::Architecture => Some([&[0; 2][octets.len().min(2)..], &octets].concat()),
                _ => Some(octets),
            };
        }
        let shape = match self {
            Self::Architecture => Shape::U16,
            Self::Giaddr => Shape::Address,
            Self::Option(number) => match OptionKind::of(number).map(|kind| kind.shape) {
                Some(Shape::Text) | None => Shape::Octets,
                Some(shape) => shape,
            },
            Self::UserClass | Self::Hardware | Self::CircuitId | Self::RemoteId => Shape::Octets,
        };
        shape.read(word).ok()
    }
}

/// A text that is no expression: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnExpression {
    /// What was expected.
    pub what: &'static str,
    /// The octet of the text where it was expected.
    pub at: usize,
}

impl fmt::Display for NotAnExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at character {}", self.what, self.at + 1)
    }
}

impl std::error::Error for NotAnExpression {}

impl std::str::FromStr for Expression {
    type Err = NotAnExpression;

    fn from_str(text: &str) -> Result<Self, NotAnExpression> {
        if text.len() > EXPRESSION_OCTETS_MAX {
            return Err(NotAnExpression { what: "at most 2048 characters", at: EXPRESSION_OCTETS_MAX });
        }
        let mut parser = Parser { text, at: 0 };
        let term = parser.any(0)?;
        match parser.next()? {
            Token::End => Ok(Self(term)),
            _ => Err(parser.wrong("`and`, `or` or the end")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Quoted(&'a str),
    Open,
    Close,
    Equals,
    Differs,
    End,
}

struct Parser<'a> {
    text: &'a str,
    /// The octet after the token that was read last.
    at: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, what: &'static str) -> NotAnExpression {
        NotAnExpression { what, at: self.at }
    }

    fn next(&mut self) -> Result<Token<'a>, NotAnExpression> {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start();
        self.at = self.text.len() - rest.len();
        let (token, octets) = match rest.as_bytes() {
            [] => (Token::End, 0),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b'=', b'=', ..] => (Token::Equals, 2),
            [b'!', b'=', ..] => (Token::Differs, 2),
            [quote @ (b'\'' | b'"'), ..] => {
                let quote = char::from(*quote);
                let end = rest[1..].find(quote).ok_or_else(|| self.wrong("a closing quote"))?;
                (Token::Quoted(&rest[1..=end]), end + 2)
            }
            _ => {
                let inside = |c: char| c.is_ascii_alphanumeric() || "[].:-_/".contains(c);
                let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(self.wrong("a field, a value or a parenthesis"));
                }
                (Token::Word(&rest[..end]), end)
            }
        };
        self.at += octets;
        Ok(token)
    }

    fn peek(&mut self) -> Result<Token<'a>, NotAnExpression> {
        let at = self.at;
        let token = self.next();
        self.at = at;
        token
    }

    fn any(&mut self, depth: usize) -> Result<Term, NotAnExpression> {
        let mut terms = vec![self.all(depth)?];
        while self.peek()? == Token::Word("or") {
            self.next()?;
            terms.push(self.all(depth)?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Term::Any(terms) })
    }

    fn all(&mut self, depth: usize) -> Result<Term, NotAnExpression> {
        let mut terms = vec![self.one(depth)?];
        while self.peek()? == Token::Word("and") {
            self.next()?;
            terms.push(self.one(depth)?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Term::All(terms) })
    }

    fn one(&mut self, depth: usize) -> Result<Term, NotAnExpression> {
        if depth == DEPTH_MAX {
            return Err(self.wrong("fewer parentheses"));
        }
        match self.next()? {
            Token::Word("not") => Ok(Term::Not(Box::new(self.one(depth + 1)?))),
            Token::Open => {
                let term = self.any(depth + 1)?;
                match self.next()? {
                    Token::Close => Ok(term),
                    _ => Err(self.wrong("a closing parenthesis")),
                }
            }
            Token::Word(word) => {
                let field = Field::named(word).ok_or_else(|| self.wrong("the name of a field"))?;
                self.test(field)
            }
            _ => Err(self.wrong("a field, `not` or a parenthesis")),
        }
    }

    fn test(&mut self, field: Field) -> Result<Term, NotAnExpression> {
        let operator = self.peek()?;
        let known =
            matches!(operator, Token::Equals | Token::Differs | Token::Word("starts" | "in" | "exists"));
        if !known {
            return Ok(Term::Exists(field));
        }
        self.next()?;
        if operator == Token::Word("exists") {
            return Ok(Term::Exists(field));
        }
        let value = self.next()?;
        if operator == Token::Word("in") {
            let (Token::Word(network) | Token::Quoted(network)) = value else {
                return Err(self.wrong("a network"));
            };
            return match network.parse() {
                Ok(network) if field == Field::Giaddr => Ok(Term::Within(field, network)),
                _ => Err(self.wrong("`giaddr in` a network")),
            };
        }
        let octets = match value {
            Token::Quoted(text) => text.as_bytes().to_vec(),
            Token::Word(word) => field.literal(word).ok_or_else(|| self.wrong("a value of this field"))?,
            _ => return Err(self.wrong("a value")),
        };
        Ok(match operator {
            Token::Equals => Term::Equals(field, octets),
            Token::Differs => Term::Not(Box::new(Term::Equals(field, octets))),
            _ => Term::Starts(field, octets),
        })
    }
}
