//! Whether a request that came to nothing may be sent once more, to another server (RFC 9110 §9.2.2).

use std::time::Duration;

use crate::wire::Method;

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// No server saw it: nobody could be connected to, or it was turned away unread.
    Nobody,
    /// A server may have acted on it.
    Perhaps,
    /// A server has it and is slow: another one would be no faster for sure.
    Waiting,
}

/// How often and how long a request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often it is sent again.
    pub retries: u32,
    /// How long after its first try it may be sent again.
    pub within: Duration,
}

/// A try that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// The request's method.
    pub method: Method,
    /// Whether its content is all here to be sent again, or was not touched.
    pub whole: bool,
    /// How far it came.
    pub reached: Reached,
    /// Tries so far.
    pub tries: u32,
    /// Time since the first.
    pub took: Duration,
}

impl Policy {
    /// Whether to try again.
    #[must_use]
    pub fn again(&self, failed: &Failed) -> bool {
        let safe = match failed.reached {
            Reached::Nobody => true,
            Reached::Perhaps => is_idempotent(failed.method),
            Reached::Waiting => false,
        };
        safe && failed.whole && failed.tries <= self.retries && failed.took < self.within
    }
}

/// Whether several equal requests mean the same as one (RFC 9110 §9.2.2).
#[must_use]
pub const fn is_idempotent(method: Method) -> bool {
    matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Trace | Method::Put | Method::Delete
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_no_harm_is_sent_again() {
        let policy = Policy { retries: 2, within: Duration::from_secs(30) };
        let check = |method, whole, reached, tries, seconds, expected| {
            let failed = Failed { method, whole, reached, tries, took: Duration::from_secs(seconds) };
            assert_eq!(policy.again(&failed), expected, "{failed:?}");
        };
        check(Method::Get, true, Reached::Perhaps, 1, 0, true);
        check(Method::Put, true, Reached::Perhaps, 2, 29, true);
        check(Method::Post, true, Reached::Perhaps, 1, 0, false);
        check(Method::Patch, true, Reached::Perhaps, 1, 0, false);
        check(Method::Unknown, true, Reached::Perhaps, 1, 0, false);
        check(Method::Post, true, Reached::Nobody, 1, 0, true);
        check(Method::Post, false, Reached::Nobody, 1, 0, false);
        check(Method::Get, true, Reached::Waiting, 1, 0, false);
        check(Method::Get, true, Reached::Perhaps, 3, 0, false);
        check(Method::Get, true, Reached::Perhaps, 1, 30, false);
    }
}
