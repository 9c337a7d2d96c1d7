//! What of a request matters to a cache, read in one pass over its fields.

use super::control::RequestControl;
use super::lines::FieldLines;
use crate::wire::Method;

/// What of a request matters to a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// What the client wants of caches.
    pub control: RequestControl,
    /// Whether it has Authorization (RFC 9111 §3.5).
    pub authorized: bool,
    /// Whether it has If-None-Match or If-Modified-Since, which a cache can answer (RFC 9111 §4.3.2).
    pub conditional: bool,
    /// Whether it has If-Match or If-Unmodified-Since, which only an origin can.
    pub guarded: bool,
    /// Whether it has Range.
    pub ranged: bool,
}

impl Request {
    /// Reads the fields of a request.
    #[must_use]
    pub fn read(method: Method, fields: &impl FieldLines) -> Self {
        let mut request = Self {
            method,
            control: RequestControl::default(),
            authorized: false,
            conditional: false,
            guarded: false,
            ranged: false,
        };
        let (mut controlled, mut pragma) = (false, false);
        for (name, value) in fields.lines() {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            // Most names are told apart by their length alone.
            match name.len() {
                5 => request.ranged |= is("range"),
                6 => pragma |= is("pragma") && has_no_cache(value),
                8 => request.guarded |= is("if-match"),
                13 if is("cache-control") => {
                    controlled = true;
                    request.control.add(value);
                }
                13 => {
                    request.authorized |= is("authorization");
                    request.conditional |= is("if-none-match");
                }
                17 => request.conditional |= is("if-modified-since"),
                19 => request.guarded |= is("if-unmodified-since"),
                _ => {}
            }
        }
        request.control.no_cache |= pragma && !controlled;
        request
    }

    /// Whether its method asks for something that may be stored.
    #[must_use]
    pub const fn reads(&self) -> bool {
        matches!(self.method, Method::Get | Method::Head)
    }
}

/// Whether a line of Pragma has the one directive that it can have (RFC 9111 §5.4).
fn has_no_cache(value: &[u8]) -> bool {
    super::lines::members(value).any(|member| member.eq_ignore_ascii_case(b"no-cache"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorway_net::web::Fields;

    fn read(lines: &[(&str, &str)]) -> Request {
        let mut fields = Fields::new();
        lines.iter().for_each(|(name, value)| fields.add(*name, *value));
        Request::read(Method::Get, &fields)
    }

    #[test]
    fn each_field_that_matters_is_found_in_any_case_of_letters() {
        assert!(read(&[("Authorization", "Basic x")]).authorized);
        assert!(read(&[("IF-NONE-MATCH", "*")]).conditional);
        assert!(read(&[("if-modified-since", "x")]).conditional);
        assert!(read(&[("If-Match", "*")]).guarded);
        assert!(read(&[("If-Unmodified-Since", "x")]).guarded);
        assert!(read(&[("range", "bytes=0-1")]).ranged);
        let plain = read(&[("Authorizatiom", "x"), ("If-Nine-Match", "*"), ("Ronge", "x"), ("", "")]);
        assert!(!plain.authorized && !plain.conditional && !plain.guarded && !plain.ranged);
    }

    #[test]
    fn pragma_counts_where_there_is_no_cache_control() {
        assert!(read(&[("Pragma", "no-cache")]).control.no_cache);
        assert!(read(&[("Pragma", "x, No-Cache")]).control.no_cache);
        assert!(!read(&[("Pragma", "x")]).control.no_cache);
        assert!(!read(&[("Pragma", "no-cache"), ("Cache-Control", "max-age=9")]).control.no_cache);
    }
}
