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

/// A set of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(u16);

impl Methods {
    /// No method.
    pub const NONE: Self = Self(0);

    /// In the order in which Allow lists them.
    const ORDER: [Method; 9] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Patch,
        Method::Options,
        Method::Trace,
        Method::Connect,
    ];

    /// The same with one more.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | 1 << method as u16)
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `method` is in the set.
    #[must_use]
    pub const fn has(self, method: Method) -> bool {
        self.0 & 1 << method as u16 != 0
    }

    /// The methods with these names, GET with HEAD; `None` when there is none.
    pub fn named<'n>(names: impl Iterator<Item = &'n str>) -> Option<Self> {
        let set =
            names.map(|name| Method::parse(name.as_bytes())).fold(Self::NONE, |set, method| match method {
                Method::Get => set.with(Method::Get).with(Method::Head),
                method => set.with(method),
            });
        (set != Self::NONE).then_some(set)
    }
}

impl core::fmt::Display for Methods {
    /// As Allow has it (RFC 9110 §10.2.1).
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut between = "";
        for method in Self::ORDER.into_iter().filter(|method| self.has(*method)) {
            write!(f, "{between}{}", method.name())?;
            between = ", ";
        }
        Ok(())
    }
}
