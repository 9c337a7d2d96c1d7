//! The Cookie field, as a server reads it (RFC 6265bis §4.2, §5.8).

/// Most pairs that are read from one field; a browser sends at most 50 for a domain, and some more for the
/// domains above it.
pub const PAIRS_MAX: usize = 256;

/// Names and values of a Cookie field, in the order in which the client sent them: the one with the longest
/// path first.
///
/// Nothing is decoded, and quotes belong to the value. A piece without `=` is a value without a name. What lies
/// behind the first [`PAIRS_MAX`] pairs is left unread.
pub fn pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field
        .split(|&octet| octet == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
        .take(PAIRS_MAX)
        .map(|pair| match pair.iter().position(|&octet| octet == b'=') {
            Some(equals) => (pair[..equals].trim_ascii_end(), pair[equals + 1..].trim_ascii_start()),
            None => (&pair[..0], pair),
        })
}

/// The value of the first cookie with this name in `fields`, the values of all Cookie fields of a request.
///
/// The first is the one with the longest path, so a cookie that was planted for the whole site does not hide
/// the one that was set for this page.
#[must_use]
pub fn value<'f>(fields: impl IntoIterator<Item = &'f [u8]>, name: &str) -> Option<&'f [u8]> {
    fields.into_iter().flat_map(pairs).find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
}
