//! What a server offers in its reply to EHLO or LHLO (RFC 5321 §4.1.1.1), as its client reads it.

use crate::sasl::Mechanism;

/// What a server offers. Without EHLO, nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Commands may be sent before the replies to those in front of them came (RFC 2920).
    pub pipelining: bool,
    /// The longest message taken, in octets; 0 when there is no fixed bound (RFC 1870). `None` when the
    /// parameter SIZE= is not known.
    pub size: Option<u64>,
    /// Octets above 127 (RFC 6152).
    pub eightbitmime: bool,
    /// UTF-8 in addresses and header fields (RFC 6531).
    pub smtputf8: bool,
    /// BDAT (RFC 3030).
    pub chunking: bool,
    /// Octets without lines (RFC 3030).
    pub binarymime: bool,
    /// Reports as the sender wishes (RFC 3461).
    pub dsn: bool,
    /// Enhanced status codes in replies (RFC 2034).
    pub enhanced_status_codes: bool,
    /// TLS on request (RFC 3207).
    pub starttls: bool,
    /// Ways to log in that we know (RFC 4954), in the server's order.
    pub auth: Vec<Mechanism>,
    /// Most recipients of one message (RFC 9422).
    pub recipients_max: Option<u32>,
    /// Most messages of one connection (RFC 9422).
    pub messages_max: Option<u32>,
}

impl Capabilities {
    /// Reads the lines of a reply to EHLO; the first one is the server's name. What is unknown or broken
    /// is passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.split('\n').skip(1) {
            // Some old servers write `AUTH=LOGIN`.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            let Some(keyword) = words.next() else { continue };
            match &*keyword.to_ascii_uppercase() {
                "PIPELINING" => found.pipelining = true,
                "SIZE" => found.size = Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0)),
                "8BITMIME" => found.eightbitmime = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "CHUNKING" => found.chunking = true,
                "BINARYMIME" => found.binarymime = true,
                "DSN" => found.dsn = true,
                "ENHANCEDSTATUSCODES" => found.enhanced_status_codes = true,
                "STARTTLS" => found.starttls = true,
                "AUTH" => {
                    for mechanism in words.filter_map(Mechanism::named) {
                        if !found.auth.contains(&mechanism) {
                            found.auth.push(mechanism);
                        }
                    }
                }
                "LIMITS" => found.read_limits(line),
                _ => {}
            }
        }
        found
    }

    fn read_limits(&mut self, line: &str) {
        for limit in line.split(' ').skip(1) {
            let Some((name, value)) = limit.split_once('=') else { continue };
            let value = value.parse().ok().filter(|value| *value > 0);
            match &*name.to_ascii_uppercase() {
                "RCPTMAX" => self.recipients_max = value,
                "MAILMAX" => self.messages_max = value,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_found_whatever_stands_around_it() {
        let text = "mx.test greets you\npipelining\nSIZE 1000\n8BITMIME\nX-ODD a=b\nAUTH PLAIN NTLM LOGIN\n\
                    AUTH=LOGIN\nLIMITS RCPTMAX=5 MAILMAX=x ODD\n\nDSN";
        let found = Capabilities::read(text);
        let wanted = Capabilities {
            pipelining: true,
            size: Some(1000),
            eightbitmime: true,
            dsn: true,
            auth: vec![Mechanism::Plain, Mechanism::Login],
            recipients_max: Some(5),
            ..Capabilities::default()
        };
        assert_eq!(found, wanted);
        assert_eq!(Capabilities::read("PIPELINING"), Capabilities::default(), "the first line is a name");
        assert_eq!(Capabilities::read("mx\nSIZE").size, Some(0));
    }
}
