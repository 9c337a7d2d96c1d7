//! The part of a target behind its `?`, as forms write it.

use crate::percent::unescape;

/// Names and values in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits at `&` and `=` and undoes the percent coding (RFC 3986 §2.1).
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (unescape(name), unescape(value)))
                .collect(),
        )
    }

    /// The first value of `name`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were_escaped() {
        let filter = "port 53 && !dns and ünïcode=1&2%";
        let query = Query::parse(&format!("format=text&filter={}&flag", crate::percent::escape(filter)));
        assert_eq!(query.value("filter"), Some(filter));
        assert_eq!(query.value("flag"), Some(""));
        assert_eq!(query.value("none"), None);
    }
}
