//! Cross-origin requests: what pages of other origins may do (Fetch Standard §3.2).

use crate::Status;
use crate::config::CorsConfig;
use crate::wire::response::ResponseWriter;
use crate::wire::{Method, RequestHead};

/// The rules of one route, with its field values made once.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Vec<String>,
    any: bool,
    credentials: bool,
    methods: String,
    fields: String,
    max_age: String,
}

impl Cors {
    /// The rules that the config writes.
    #[must_use]
    pub fn new(config: &CorsConfig) -> Self {
        Self {
            origins: config.origins.clone(),
            any: config.origins.iter().any(|origin| origin == "*"),
            credentials: config.credentials,
            methods: config.methods.join(", "),
            fields: config.fields.join(", "),
            max_age: config.max_age.as_secs().to_string(),
        }
    }

    /// Whether pages of `origin` may read responses.
    #[must_use]
    pub fn lets(&self, origin: &[u8]) -> bool {
        self.any || self.origins.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin))
    }

    /// Whether pages of `origin` may act for the person who looks at them.
    #[must_use]
    pub fn lets_act(&self, origin: &[u8]) -> bool {
        self.credentials && self.lets(origin)
    }

    /// Adds what a response says to a page of `origin`, the request's Origin field.
    pub fn write(&self, writer: &mut ResponseWriter<'_>, origin: Option<&[u8]>) {
        if self.any && !self.credentials {
            writer.field("Access-Control-Allow-Origin", b"*");
            return;
        }
        writer.field("Vary", b"Origin");
        let Some(origin) = origin.filter(|origin| self.lets(origin)) else { return };
        writer.field("Access-Control-Allow-Origin", origin);
        if self.credentials {
            writer.field("Access-Control-Allow-Credentials", b"true");
        }
    }

    /// Adds what a preflight asks for.
    pub fn write_preflight(&self, writer: &mut ResponseWriter<'_>) {
        writer.field("Access-Control-Allow-Methods", self.methods.as_bytes());
        if !self.fields.is_empty() {
            writer.field("Access-Control-Allow-Headers", self.fields.as_bytes());
        }
        writer.field("Access-Control-Max-Age", self.max_age.as_bytes());
    }
}

/// Whether a request asks for leave to make another (Fetch Standard §3.2.3), which is answered with
/// [`PREFLIGHT`] before any login.
#[must_use]
pub fn is_preflight(head: &RequestHead<'_>) -> bool {
    head.method == Method::Options
        && head.fields.first(b"origin").is_some()
        && head.fields.first(b"access-control-request-method").is_some()
}

/// The status that answers a preflight.
pub const PREFLIGHT: Status = Status::NO_CONTENT;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::Form;
    use std::time::Duration;

    #[track_caller]
    fn check(origins: &[&str], credentials: bool, origin: Option<&str>, expected: &str) {
        let cors = Cors::new(&CorsConfig {
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            methods: vec!["GET".to_owned(), "PUT".to_owned()],
            fields: vec![],
            credentials,
            max_age: Duration::from_secs(600),
        });
        let mut out = Vec::new();
        let mut writer = ResponseWriter::begin(&mut out, Form::Http1, Status::OK);
        cors.write(&mut writer, origin.map(str::as_bytes));
        assert_eq!(String::from_utf8(out).unwrap(), format!("HTTP/1.1 200 OK\r\n{expected}"));
    }

    #[test]
    fn only_listed_origins_are_let_in_and_caches_are_told_that_it_matters() {
        const ONE: &str = "https://a.example";
        let let_in = "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.example\r\n";
        check(&["*"], false, Some(ONE), "Access-Control-Allow-Origin: *\r\n");
        check(&["*"], false, None, "Access-Control-Allow-Origin: *\r\n");
        check(&[ONE], false, Some(ONE), let_in);
        check(&[ONE], false, Some("https://b.example"), "Vary: Origin\r\n");
        check(&[ONE], false, Some("https://a.example.b"), "Vary: Origin\r\n");
        check(&[ONE], false, None, "Vary: Origin\r\n");
        check(&[ONE], true, Some(ONE), &format!("{let_in}Access-Control-Allow-Credentials: true\r\n"));
    }
}
