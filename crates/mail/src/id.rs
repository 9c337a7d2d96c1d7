//! Names of messages in one store: they rise with time, are in the Received line, the log and the queue,
//! and a person can read them aloud.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use doorway_base::{Malformed, UnixTime};

/// Digits and letters that are not taken for one another (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Digits of a name.
const LENGTH: usize = 13;

/// Names a message. A store has at most one message of this name: all who write some draw their names from
/// one [`MessageIds`], which begins above the last name in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

impl fmt::Display for MessageId {
    /// 13 digits of base 32.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LENGTH];
        for (at, digit) in text.iter_mut().rev().enumerate() {
            *digit = DIGITS[(self.0 >> (5 * at)) as usize & 31];
        }
        f.write_str(core::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for MessageId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let what = "13 digits of a message's name";
        if text.len() != LENGTH {
            return Err(Malformed::new(what, text.len()));
        }
        let mut id: u64 = 0;
        for (at, octet) in text.bytes().enumerate() {
            let digit = DIGITS.iter().position(|digit| *digit == octet.to_ascii_lowercase());
            let digit = digit.ok_or(Malformed::new(what, at))?;
            id = id.checked_mul(32).ok_or(Malformed::new(what, at))? | digit as u64;
        }
        Ok(Self(id))
    }
}

/// Makes names: microseconds since 1970, each higher than the one before.
#[derive(Debug, Default)]
pub struct MessageIds(AtomicU64);

impl MessageIds {
    /// Names above this one, whatever the clock says.
    #[must_use]
    pub const fn above(last: MessageId) -> Self {
        Self(AtomicU64::new(last.0))
    }

    /// The next name.
    pub fn next(&self, now: UnixTime) -> MessageId {
        let micros = now.as_nanos() / 1000;
        let last = self.0.fetch_update(Relaxed, Relaxed, |last| Some(micros.max(last + 1)));
        MessageId(micros.max(last.unwrap_or_default() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_rise_and_read_back() {
        let far = MessageIds::above(MessageId(u64::MAX / 2));
        assert!(far.next(UnixTime::from_secs(5)) > MessageId(u64::MAX / 2));
        let ids = MessageIds::default();
        let now = UnixTime::from_secs(1_790_000_000);
        let (first, second) = (ids.next(now), ids.next(now));
        assert!(first < second);
        assert!(second < ids.next(UnixTime::from_secs(1_000_000_000)), "a clock set back");
        for id in [first, second, MessageId(0), MessageId(u64::MAX)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "0", "zzzzzzzzzzzzz", "00000000000u0", "00000000000000"] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }
}
