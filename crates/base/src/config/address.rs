//! Addresses to listen on, and networks.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;
use std::str::FromStr;

/// A place to listen on: one address, or every address of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listen {
    /// The address; `None` for every one, as a bare port says.
    pub address: Option<IpAddr>,
    /// The port; 0 lets the system choose a free one.
    pub port: u16,
}

impl Listen {
    /// The socket addresses to bind. Every address is `0.0.0.0` and `[::]`; the latter may be left
    /// out on a machine without IPv6.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketAddr> {
        match self.address {
            Some(address) => vec![SocketAddr::new(address, self.port)],
            None => [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
                .map(|address| SocketAddr::new(address, self.port))
                .to_vec(),
        }
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.is_some_and(|address| address.is_loopback())
    }
}

impl FromStr for Listen {
    type Err = String;

    /// `"8080"`, `"*:8080"`, `"localhost:8080"` (IPv4), `"127.0.0.1:8080"`, `"[::1]:8080"`.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (host, port) = match text.rsplit_once(':') {
            None => ("*", text),
            Some((host, port)) => (host, port),
        };
        if text.parse::<IpAddr>().is_ok() {
            return Err(if text.contains(':') {
                format!("add the port: \"[{text}]:8080\"")
            } else {
                format!("add the port: \"{text}:8080\"")
            });
        }
        let port = port.parse().map_err(|_| format!("`{port}` is not a port (0 to 65535)"))?;
        let address = match host {
            "*" | "" => None,
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => {
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                Some(match bare {
                    Some(bare) => {
                        IpAddr::V6(bare.parse().map_err(|_| format!("`{bare}` is not an IPv6 address"))?)
                    }
                    None if host.contains(':') => {
                        return Err(format!("an IPv6 address stands in brackets: \"[{host}]:{port}\""));
                    }
                    None => IpAddr::V4(host.parse().map_err(|_| {
                        format!("`{host}` is not an IP address; to listen on every address write only {port}")
                    })?),
                })
            }
        };
        Ok(Self { address, port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}", SocketAddr::new(address, self.port)),
            None => write!(f, "*:{}", self.port),
        }
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// The network of `address` with `prefix_bits` leading bits; `None` when there are not so many,
    /// or when a bit after them is set.
    #[must_use]
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let cidr = Self { address, prefix_bits };
        (prefix_bits <= width(address) && cidr.masked(address) == address).then_some(cidr)
    }

    /// The first address of the network.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits all its addresses share.
    #[must_use]
    pub const fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// Whether `address` belongs to the network. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == self.address
    }

    fn masked(&self, address: IpAddr) -> IpAddr {
        let host_bits = u32::from(width(address).saturating_sub(self.prefix_bits));
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is not an IP address"))?;
        let width = width(address);
        let prefix_bits = match bits {
            None => width,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= width)
                .ok_or_else(|| format!("the prefix length is a number from 0 to {width}"))?,
        };
        let network = Self { address, prefix_bits };
        Self::new(address, prefix_bits).ok_or_else(|| {
            format!(
                "bits are set after the prefix; the network is \"{}/{prefix_bits}\"",
                network.masked(address)
            )
        })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}
