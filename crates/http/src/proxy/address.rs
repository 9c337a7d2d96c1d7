//! A server of an upstream as the config writes it: `http://10.0.0.5:8080 weight=3`.

use core::str::FromStr;

use crate::url::Url;

/// Largest weight.
pub const WEIGHT_MAX: u32 = 1000;

/// Where a server is and how much of the work it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// As it was written, without what follows the address.
    pub name: String,
    /// Where it listens.
    pub place: ServerPlace,
    /// Whether the way there is encrypted.
    pub secure: bool,
    /// Whether it speaks HTTP/2 without TLS (RFC 9113 §3.3).
    pub prior_knowledge: bool,
    /// Its share of the requests against that of the others, 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// Whether it is asked only when none of the others can be.
    pub backup: bool,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerPlace {
    /// At a host, an IPv6 address in its brackets; and a port.
    Host(String, u16),
    /// At a Unix socket.
    Unix(String),
}

impl ServerAddress {
    /// Whether a text is meant as an address and not as the name of an upstream.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains("://") || text.starts_with("unix:")
    }

    /// Host and port as they stand in Host, when the server is to see its own name.
    #[must_use]
    pub fn authority(&self) -> (String, Option<u16>) {
        let usual = if self.secure { 443 } else { 80 };
        match &self.place {
            ServerPlace::Host(host, port) => (host.clone(), Some(*port).filter(|port| *port != usual)),
            ServerPlace::Unix(_) => ("localhost".to_owned(), None),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = String;

    /// `http://`, `https://` or `h2c://` with host and port, or `unix:/path`; then `weight=N` and `backup`.
    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str =
            "write \"http://host:port\", \"https://host\", \"h2c://host:port\" or \"unix:/path\"";
        let mut words = text.split_ascii_whitespace();
        let address = words.next().ok_or(FORMS)?;
        let (mut weight, mut backup) = (1, false);
        for word in words {
            match word.split_once('=') {
                Some(("weight", number)) => {
                    let number = number.parse().ok().filter(|number| (1..=WEIGHT_MAX).contains(number));
                    weight = number.ok_or_else(|| format!("a weight is a number from 1 to {WEIGHT_MAX}"))?;
                }
                None if word == "backup" => backup = true,
                _ => return Err(format!("`{word}` is neither weight=N nor backup")),
            }
        }
        if let Some(path) = address.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err("a Unix socket is named by its whole path: \"unix:/run/app.sock\"".to_owned());
            }
            let place = ServerPlace::Unix(path.to_owned());
            let name = address.to_owned();
            return Ok(Self { name, place, secure: false, prior_knowledge: false, weight, backup });
        }
        let (scheme, rest) = address.split_once("://").ok_or(FORMS)?;
        let (secure, prior_knowledge, like) = match scheme {
            "http" => (false, false, "http"),
            "https" => (true, false, "https"),
            "h2c" => (false, true, "http"),
            _ => return Err(FORMS.to_owned()),
        };
        let url = Url::parse(&format!("{like}://{rest}")).map_err(|fault| fault.to_string())?;
        if url.path != "/" || url.query.is_some() || url.fragment.is_some() || url.user.is_some() {
            return Err("a server has no path: the path of the request is handed on as it is".to_owned());
        }
        let port = url.port_or_default().unwrap_or_default();
        let place = ServerPlace::Host(url.host, port);
        Ok(Self {
            name: address.trim_end_matches('/').to_owned(),
            place,
            secure,
            prior_knowledge,
            weight,
            backup,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let told = match text.parse::<ServerAddress>() {
            Ok(ServerAddress { name, place, secure, prior_knowledge, weight, backup }) => {
                let place = match place {
                    ServerPlace::Host(host, port) => format!("{host} {port}"),
                    ServerPlace::Unix(path) => path,
                };
                format!("{name} {place} {secure} {prior_knowledge} {weight} {backup}")
            }
            Err(error) => error,
        };
        assert!(told.contains(expected), "{text}: {told} lacks {expected}");
    }

    #[test]
    fn a_server_is_written_as_a_url_without_a_path() {
        check("http://10.0.0.5:8080", "http://10.0.0.5:8080 10.0.0.5 8080 false false 1 false");
        check(
            "https://app.example/ weight=3 backup",
            "https://app.example app.example 443 true false 3 true",
        );
        check("h2c://[::1]:81", "h2c://[::1]:81 [::1] 81 false true 1 false");
        check("unix:/run/app.sock", "unix:/run/app.sock /run/app.sock false false 1 false");
        check("10.0.0.5:8080", "write \"http://");
        check("ftp://a", "write \"http://");
        check("http://a/b", "has no path");
        check("http://a weight=0", "1 to 1000");
        check("http://a slow", "neither weight");
        check("unix:app.sock", "whole path");
        check("", "write \"http://");
    }
}
