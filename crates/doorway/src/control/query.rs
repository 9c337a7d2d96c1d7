//! The part of a target behind its `?`, as forms write it.

/// Names and values in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits at `&` and `=` and undoes the percent coding (RFC 3986 §2.1).
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (unescape(name), unescape(value)))
                .collect(),
        )
    }

    /// The first value of `name`.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// `%XX` becomes its octet; what is no such triple stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                octets.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            None => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were_escaped() {
        let filter = "port 53 && !dns and ünïcode=1&2%";
        let query = Query::parse(&format!("format=text&filter={}&flag", super::super::escape(filter)));
        assert_eq!(query.value("filter"), Some(filter));
        assert_eq!(query.value("flag"), Some(""));
        assert_eq!(query.value("none"), None);
    }

    #[test]
    fn what_is_no_triple_stays_as_it_is() {
        for text in ["%", "%4", "%zz", "a%", "%%41"] {
            assert_eq!(unescape(text), text.replace("%41", "A"));
        }
    }
}
