//! What clients are told: options, and where to boot from. RFC 2131 §4.3.1.

use core::net::Ipv4Addr;

use crate::wire::option::code;

/// The value of one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionValue {
    /// The option's number.
    pub code: u8,
    /// Its value, as it stands in a message.
    pub value: Box<[u8]>,
    /// Whether clients are told that do not ask for it.
    pub always: bool,
}

/// Options by number, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OptionSet(Vec<OptionValue>);

impl OptionSet {
    /// Options that the server decides about itself, or that only clients and relay agents send: setting them
    /// has no effect.
    pub const RESERVED: [u8; 13] = [
        code::PAD,
        code::REQUESTED_ADDRESS,
        code::LEASE_SECONDS,
        code::OVERLOAD,
        code::MESSAGE_TYPE,
        code::SERVER_ID,
        code::PARAMETERS,
        code::RENEWAL_SECONDS,
        code::REBINDING_SECONDS,
        code::CLIENT_ID,
        code::CLIENT_FQDN,
        code::AGENT,
        code::END,
    ];

    /// Sets an option, whatever it was; clients that ask for it are told.
    #[must_use]
    pub fn with(self, code: u8, value: impl Into<Box<[u8]>>) -> Self {
        self.with_value(OptionValue { code, value: value.into(), always: false })
    }

    /// Sets an option of addresses.
    #[must_use]
    pub fn with_addresses(self, code: u8, addresses: &[Ipv4Addr]) -> Self {
        let value: Vec<u8> = addresses.iter().flat_map(Ipv4Addr::octets).collect();
        self.with(code, value)
    }

    /// Sets an option, whatever it was.
    #[must_use]
    pub fn with_value(mut self, value: OptionValue) -> Self {
        if Self::RESERVED.contains(&value.code) {
            return self;
        }
        match self.0.binary_search_by_key(&value.code, |known| known.code) {
            Ok(index) => self.0[index] = value,
            Err(index) => self.0.insert(index, value),
        }
        self
    }

    /// Its options, by number.
    pub fn iter(&self) -> impl Iterator<Item = &OptionValue> {
        self.0.iter()
    }

    /// The value of an option.
    #[must_use]
    pub fn value(&self, code: u8) -> Option<&[u8]> {
        let index = self.0.binary_search_by_key(&code, |known| known.code).ok()?;
        Some(&self.0[index].value)
    }

    /// These options, and those of `nearer` in their place.
    #[must_use]
    pub fn overlaid(mut self, nearer: &Self) -> Self {
        for value in nearer.iter() {
            self = self.with_value(value.clone());
        }
        self
    }

    /// Octets of all values.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.0.iter().map(|value| value.value.len()).sum()
    }
}

/// Where a client boots from: RFC 2131 §2, RFC 2132 §9.4 and §9.5.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// The next server: `siaddr`.
    pub server: Option<Ipv4Addr>,
    /// The server's name: `sname`, and option 66 for those who ask.
    pub server_name: Option<String>,
    /// The file, or the URL of UEFI HTTP boot: `file`, and option 67 for those who ask.
    pub file: Option<String>,
}

impl Boot {
    /// This, and what `nearer` says in its place.
    #[must_use]
    pub fn overlaid(&self, nearer: &Self) -> Self {
        Self {
            server: nearer.server.or(self.server),
            server_name: nearer.server_name.clone().or_else(|| self.server_name.clone()),
            file: nearer.file.clone().or_else(|| self.file.clone()),
        }
    }
}
