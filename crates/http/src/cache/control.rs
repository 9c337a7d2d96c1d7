//! Cache-Control, of responses and of requests (RFC 9111 §5.2), and the Pragma of old clients (§5.4).
//!
//! Directives that contradict each other count as the most restrictive of them. A lifetime that is no number
//! makes a response stale at once (§4.2.1); a number too large is as large as can be (§1.2.2). Directives that
//! nobody here knows are passed over (§5.2.3). Targeted fields are read in `targeted.rs` and end up in the
//! same type.

use std::time::Duration;

use super::lines::{FieldLines, members, quoted_octets};
use super::targeted;

/// The longest time that a directive can name (RFC 9111 §1.2.2).
pub const DELTA_MAX: Duration = Duration::from_secs(1 << 31);

/// What a response says about its use by caches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseControl {
    /// Whether a targeted field said it, so that Expires does not count (RFC 9213 §2.2).
    pub targeted: bool,
    /// `max-age`.
    pub max_age: Option<Duration>,
    /// `s-maxage`.
    pub s_maxage: Option<Duration>,
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache` without field names.
    pub no_cache: bool,
    /// The field names of `no-cache="…"`, in lower case.
    pub no_cache_fields: Vec<String>,
    /// `private` without field names.
    pub private: bool,
    /// The field names of `private="…"`, in lower case.
    pub private_fields: Vec<String>,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `proxy-revalidate`.
    pub proxy_revalidate: bool,
    /// `must-understand`.
    pub must_understand: bool,
    /// `immutable` (RFC 8246).
    pub immutable: bool,
    /// `stale-while-revalidate` (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// `stale-if-error` (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

/// What a directive has behind its `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// Nothing, not even the `=`.
    None,
    /// A text, its quotes taken off.
    Text(&'a [u8]),
    /// A text that is meant as names, and never as a number.
    Names(&'a [u8]),
    /// A number.
    Seconds(u64),
    /// Something that cannot be what any directive means.
    Unfit,
}

impl Argument<'_> {
    /// The number of seconds that it is (RFC 9111 §1.2.2), if it is one.
    fn seconds(self) -> Option<Duration> {
        match self {
            Self::Text(digits) => seconds(digits),
            Self::Seconds(number) => Some(Duration::from_secs(number).min(DELTA_MAX)),
            Self::None | Self::Names(_) | Self::Unfit => None,
        }
    }
}

/// Digits as a time; one that is too long is as long as can be (RFC 9111 §1.2.2).
pub(super) fn seconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |number, digit| {
        digit.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })?;
    Some(Duration::from_secs(number).min(DELTA_MAX))
}

impl ResponseControl {
    /// Reads the first of the fields in `targets` that is well-formed and not empty, else Cache-Control.
    #[must_use]
    #[doc(alias = "Cache-Control")]
    pub fn read(fields: &impl FieldLines, targets: &[&'static str]) -> Self {
        if let Some(targeted) = targets.iter().find_map(|name| targeted::read(fields, name)) {
            return targeted;
        }
        let mut control = Self::default();
        for value in fields.values("cache-control") {
            for (name, argument) in directives(value) {
                control.apply(name, argument);
            }
        }
        control
    }

    /// Adds one directive to those that are known already.
    pub(super) fn apply(&mut self, name: &[u8], argument: Argument<'_>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("max-age") {
            shorten(&mut self.max_age, argument.seconds());
        } else if is("s-maxage") {
            shorten(&mut self.s_maxage, argument.seconds());
        } else if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            qualify(&mut self.no_cache, &mut self.no_cache_fields, argument);
        } else if is("private") {
            qualify(&mut self.private, &mut self.private_fields, argument);
        } else if is("public") {
            self.public = true;
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if is("must-understand") {
            self.must_understand = true;
        } else if is("immutable") {
            self.immutable = true;
        } else if is("stale-while-revalidate") {
            shorten(&mut self.stale_while_revalidate, argument.seconds());
        } else if is("stale-if-error") {
            shorten(&mut self.stale_if_error, argument.seconds());
        }
    }

    /// Whether stale use is forbidden, whoever else might allow it (RFC 9111 §4.2.4). For a shared cache
    /// `s-maxage` implies `proxy-revalidate` (§5.2.2.10).
    #[must_use]
    pub const fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some() || self.no_cache
    }
}

/// Keeps the shorter of two times; one that cannot be read is none at all.
fn shorten(kept: &mut Option<Duration>, found: Option<Duration>) {
    let found = found.unwrap_or_default();
    *kept = Some(kept.map_or(found, |kept| kept.min(found)));
}

/// A directive that is about the whole response, or about some of its fields.
fn qualify(whole: &mut bool, fields: &mut Vec<String>, argument: Argument<'_>) {
    let before = fields.len();
    if let Argument::Text(names) | Argument::Names(names) = argument {
        let names = members(names).filter(|name| name.iter().all(|&octet| is_token(octet)));
        fields.extend(names.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()));
    }
    // What names no field can only be meant for all.
    *whole |= fields.len() == before;
}

const fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// What a client wants of caches. These are advice, which a cache need not follow (RFC 9111 §5.2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// `no-cache`, or Pragma with it where there is no Cache-Control (RFC 9111 §5.4).
    pub no_cache: bool,
    /// `no-store`.
    pub no_store: bool,
    /// `max-age`.
    pub max_age: Option<Duration>,
    /// `min-fresh`.
    pub min_fresh: Option<Duration>,
    /// `max-stale`; without a number it is [`Duration::MAX`].
    pub max_stale: Option<Duration>,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// `stale-if-error` (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

impl RequestControl {
    /// Adds the directives of a line of Cache-Control.
    pub(super) fn add(&mut self, value: &[u8]) {
        for (name, argument) in directives(value) {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("no-cache") {
                self.no_cache = true;
            } else if is("no-store") {
                self.no_store = true;
            } else if is("only-if-cached") {
                self.only_if_cached = true;
            } else if is("max-age") {
                shorten(&mut self.max_age, argument.seconds());
            } else if is("min-fresh") {
                self.min_fresh = self.min_fresh.max(argument.seconds());
            } else if is("max-stale") {
                let most = if argument == Argument::None { Some(Duration::MAX) } else { argument.seconds() };
                shorten(&mut self.max_stale, most);
            } else if is("stale-if-error") {
                shorten(&mut self.stale_if_error, argument.seconds());
            }
        }
    }
}

/// The directives of a line of Cache-Control, each with its argument.
fn directives(value: &[u8]) -> impl Iterator<Item = (&[u8], Argument<'_>)> {
    members(value).map(|member| {
        let Some(equals) = member.iter().position(|&octet| octet == b'=') else {
            return (member, Argument::None);
        };
        let (name, argument) = (&member[..equals], &member[equals + 1..]);
        let plain = name.trim_ascii_end();
        let argument = if plain.len() != name.len() {
            Argument::Unfit
        } else if argument.first() == Some(&b'"') {
            match quoted_octets(argument) {
                Some(octets) if octets == argument.len() => Argument::Text(&argument[1..octets - 1]),
                _ => Argument::Unfit,
            }
        } else {
            Argument::Text(argument)
        };
        (plain, argument)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorway_net::web::Fields;
    use proptest::prelude::*;

    fn response(lines: &[&str]) -> ResponseControl {
        let mut fields = Fields::new();
        lines.iter().for_each(|line| fields.add("Cache-Control", *line));
        ResponseControl::read(&fields, &[])
    }

    #[track_caller]
    fn check_max_age(lines: &[&str], seconds: Option<u64>) {
        assert_eq!(response(lines).max_age, seconds.map(Duration::from_secs), "{lines:?}");
    }

    #[test]
    fn a_lifetime_is_read_as_digits_alone() {
        check_max_age(&["max-age=3600"], Some(3600));
        check_max_age(&["MaX-aGe=3600"], Some(3600));
        check_max_age(&["public, max-age=003600"], Some(3600));
        check_max_age(&["max-age=\"3600\""], Some(3600));
        check_max_age(&["max-age=2147483648"], Some(1 << 31));
        check_max_age(&["max-age=2147483649"], Some(1 << 31));
        check_max_age(&["max-age=99999999999999999999999"], Some(1 << 31));
        check_max_age(&["s-maxage=10"], None);
        check_max_age(&["xmax-age=10", "max-agex=10"], None);
        for unfit in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=x", "max-age=3600x"] {
            check_max_age(&[unfit], Some(0));
        }
        for unfit in ["max-age =3600", "max-age= 3600", "max-age='3600'", "max-age=\"3600", "max-age=+1"] {
            check_max_age(&[unfit], Some(0));
        }
    }

    #[test]
    fn of_directives_that_contradict_each_other_the_most_restrictive_counts() {
        check_max_age(&["max-age=1, max-age=3600"], Some(1));
        check_max_age(&["max-age=3600", "max-age=1"], Some(1));
        check_max_age(&["max-age=3600, max-age=x"], Some(0));
        let control = response(&["private=\"a\", private", "public"]);
        assert!(control.private && control.public);
    }

    #[test]
    fn what_stands_in_a_quoted_string_is_no_directive() {
        check_max_age(&["x=\"max-age=3600, y\", max-age=1"], Some(1));
        check_max_age(&["x=\"a\\\", max-age=3600\", max-age=1"], Some(1));
        let control = response(&["x=\"no-store"]);
        assert!(!control.no_store);
        // A quote without an end hides nothing.
        assert!(response(&["x=\"a, no-store"]).no_store);
    }

    #[test]
    fn every_directive_is_found_in_any_case_among_ones_that_nobody_knows() {
        let control = response(&[
            "No-Store, x, NO-CACHE, ,private , public,y=z, must-revalidate",
            "proxy-revalidate,must-understand,immutable,stale-while-revalidate=5,Stale-If-Error=6,s-maxage=7",
        ]);
        let expected = ResponseControl {
            no_store: true,
            no_cache: true,
            private: true,
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            immutable: true,
            stale_while_revalidate: Some(Duration::from_secs(5)),
            stale_if_error: Some(Duration::from_secs(6)),
            s_maxage: Some(Duration::from_secs(7)),
            ..ResponseControl::default()
        };
        assert_eq!(control, expected);
    }

    #[test]
    fn directives_with_field_names_are_about_those_fields() {
        let control = response(&["private=\"Set-Cookie, X-User\", no-cache=X-One"]);
        assert!(!control.private && !control.no_cache);
        assert_eq!(control.private_fields, ["set-cookie", "x-user"]);
        assert_eq!(control.no_cache_fields, ["x-one"]);
        // Names that are none say nothing about what may be kept.
        assert!(response(&["private=\"\""]).private);
        assert!(response(&["no-cache=\"a b\""]).no_cache);
        assert!(response(&["no-cache="]).no_cache);
    }

    #[test]
    fn clients_directives_are_read_in_the_same_way() {
        let mut control = RequestControl::default();
        control.add("no-cache, NO-STORE, max-age=10, max-stale, min-fresh=3, only-if-cached".as_bytes());
        control.add("max-age=5, min-fresh=4, max-stale=7, stale-if-error=9".as_bytes());
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let expected = RequestControl {
            no_cache: true,
            no_store: true,
            max_age: seconds(5),
            min_fresh: seconds(4),
            max_stale: seconds(7),
            only_if_cached: true,
            stale_if_error: seconds(9),
        };
        assert_eq!(control, expected);
        let mut control = RequestControl::default();
        control.add(b"max-stale");
        assert_eq!(control.max_stale, Some(Duration::MAX));
        control.add(b"max-stale=x");
        assert_eq!(control.max_stale, Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic_and_more_of_them_never_make_a_lifetime_longer(
            one in "[a-z=\",0-9 \\\\-]{0,30}",
            age in 0u64..5000,
        ) {
            let one: String = one;
            let alone = response(&[&format!("max-age={age}")]);
            let both = response(&[&format!("max-age={age}"), &one]);
            prop_assert!(both.max_age <= alone.max_age);
            let mut control = RequestControl::default();
            control.add(one.as_bytes());
        }
    }
}
