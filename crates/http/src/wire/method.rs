//! Request methods (RFC 9110 §9, RFC 5789). Names are case-sensitive.

/// The nine methods that the server knows, and all the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Transfer a representation of the target.
    Get,
    /// The same without the body.
    Head,
    /// Process the body as the target sees fit.
    Post,
    /// Replace the target by the body.
    Put,
    /// Remove the target.
    Delete,
    /// Open a tunnel to the target.
    Connect,
    /// Say how one can speak with the target.
    Options,
    /// Send back what was received.
    Trace,
    /// Change part of the target (RFC 5789).
    Patch,
    /// A well-formed name that nobody here knows: answered 501.
    Unknown,
}

impl Method {
    /// Reads a method name.
    #[must_use]
    pub const fn parse(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Unknown,
        }
    }

    /// The name on the wire; `?` for an unknown one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Unknown => "?",
        }
    }
}
