//! The options we know: number, name, form, and how a value is written as text. RFC 2132 and those after it.
//!
//! The names are those of the standards, in small letters with hyphens; config, commands and the readers of
//! other servers' files use them. Not here: what an option means to a server or a client.

use core::net::Ipv4Addr;
use std::fmt;

use super::hardware::{hex, read_hex};
use super::routes::{self, Route};
use super::search;

/// Most octets of one option's value that we write.
pub const VALUE_OCTETS_MAX: usize = 1024;

/// The numbers of options.
#[allow(missing_docs, reason = "each is the option that OPTIONS names")]
pub mod code {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTERS: u8 = 3;
    pub const NAME_SERVERS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const INTERFACE_MTU: u8 = 26;
    pub const BROADCAST_ADDRESS: u8 = 28;
    pub const NTP_SERVERS: u8 = 42;
    pub const VENDOR_INFORMATION: u8 = 43;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_SECONDS: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETERS: u8 = 55;
    pub const REASON: u8 = 56;
    pub const MESSAGE_OCTETS_MAX: u8 = 57;
    pub const RENEWAL_SECONDS: u8 = 58;
    pub const REBINDING_SECONDS: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const BOOT_SERVER_NAME: u8 = 66;
    pub const BOOT_FILE_NAME: u8 = 67;
    pub const USER_CLASS: u8 = 77;
    pub const RAPID_COMMIT: u8 = 80;
    pub const CLIENT_FQDN: u8 = 81;
    pub const AGENT: u8 = 82;
    pub const ARCHITECTURE: u8 = 93;
    pub const NETWORK_INTERFACE: u8 = 94;
    pub const MACHINE_ID: u8 = 97;
    pub const IPV6_ONLY: u8 = 108;
    pub const CAPTIVE_PORTAL: u8 = 114;
    pub const AUTO_CONFIGURE: u8 = 116;
    pub const SUBNET_SELECTION: u8 = 118;
    pub const DOMAIN_SEARCH: u8 = 119;
    pub const CLASSLESS_ROUTES: u8 = 121;
    pub const PRIVATE_CLASSLESS_ROUTES: u8 = 249;
    pub const PROXY_AUTO_CONFIG: u8 = 252;
    pub const END: u8 = 255;
}

/// The form of an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One IPv4 address.
    Address,
    /// One or more IPv4 addresses.
    Addresses,
    /// Pairs of IPv4 addresses: with masks, or with routers.
    AddressPairs,
    /// A time in seconds, four octets; all ones is for ever.
    Seconds,
    /// Four octets with a sign: seconds before or behind UTC.
    SignedSeconds,
    /// One octet.
    U8,
    /// Two octets.
    U16,
    /// One or more numbers of two octets.
    U16List,
    /// One octet, 0 or 1.
    Bool,
    /// Characters without a NUL.
    Text,
    /// Names in DNS form: RFC 3397.
    DomainList,
    /// Destinations with routers: RFC 3442.
    Routes,
    /// Numbers of options.
    Codes,
    /// Anything else, written in hexadecimal.
    Octets,
}

/// An option that we know by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionKind {
    /// Its number.
    pub code: u8,
    /// Its name.
    pub name: &'static str,
    /// The form of its value.
    pub shape: Shape,
}

const fn option(code: u8, name: &'static str, shape: Shape) -> OptionKind {
    OptionKind { code, name, shape }
}

/// Every option that we know, by number.
pub const OPTIONS: &[OptionKind] = &[
    option(1, "subnet-mask", Shape::Address),
    option(2, "time-offset", Shape::SignedSeconds),
    option(3, "routers", Shape::Addresses),
    option(4, "time-servers", Shape::Addresses),
    option(5, "ien116-name-servers", Shape::Addresses),
    option(6, "domain-name-servers", Shape::Addresses),
    option(7, "log-servers", Shape::Addresses),
    option(8, "cookie-servers", Shape::Addresses),
    option(9, "lpr-servers", Shape::Addresses),
    option(10, "impress-servers", Shape::Addresses),
    option(11, "resource-location-servers", Shape::Addresses),
    option(12, "host-name", Shape::Text),
    option(13, "boot-size", Shape::U16),
    option(14, "merit-dump", Shape::Text),
    option(15, "domain-name", Shape::Text),
    option(16, "swap-server", Shape::Address),
    option(17, "root-path", Shape::Text),
    option(18, "extensions-path", Shape::Text),
    option(19, "ip-forwarding", Shape::Bool),
    option(20, "non-local-source-routing", Shape::Bool),
    option(21, "policy-filter", Shape::AddressPairs),
    option(22, "max-dgram-reassembly", Shape::U16),
    option(23, "default-ip-ttl", Shape::U8),
    option(24, "path-mtu-aging-timeout", Shape::Seconds),
    option(25, "path-mtu-plateau-table", Shape::U16List),
    option(26, "interface-mtu", Shape::U16),
    option(27, "all-subnets-local", Shape::Bool),
    option(28, "broadcast-address", Shape::Address),
    option(29, "perform-mask-discovery", Shape::Bool),
    option(30, "mask-supplier", Shape::Bool),
    option(31, "router-discovery", Shape::Bool),
    option(32, "router-solicitation-address", Shape::Address),
    option(33, "static-routes", Shape::AddressPairs),
    option(34, "trailer-encapsulation", Shape::Bool),
    option(35, "arp-cache-timeout", Shape::Seconds),
    option(36, "ieee802-3-encapsulation", Shape::Bool),
    option(37, "default-tcp-ttl", Shape::U8),
    option(38, "tcp-keepalive-interval", Shape::Seconds),
    option(39, "tcp-keepalive-garbage", Shape::Bool),
    option(40, "nis-domain", Shape::Text),
    option(41, "nis-servers", Shape::Addresses),
    option(42, "ntp-servers", Shape::Addresses),
    option(43, "vendor-encapsulated-options", Shape::Octets),
    option(44, "netbios-name-servers", Shape::Addresses),
    option(45, "netbios-dd-servers", Shape::Addresses),
    option(46, "netbios-node-type", Shape::U8),
    option(47, "netbios-scope", Shape::Text),
    option(48, "font-servers", Shape::Addresses),
    option(49, "x-display-managers", Shape::Addresses),
    option(50, "requested-address", Shape::Address),
    option(51, "lease-time", Shape::Seconds),
    option(52, "option-overload", Shape::U8),
    option(53, "message-type", Shape::U8),
    option(54, "server-identifier", Shape::Address),
    option(55, "parameter-request-list", Shape::Codes),
    option(56, "message", Shape::Text),
    option(57, "max-message-size", Shape::U16),
    option(58, "renewal-time", Shape::Seconds),
    option(59, "rebinding-time", Shape::Seconds),
    option(60, "vendor-class-identifier", Shape::Text),
    option(61, "client-identifier", Shape::Octets),
    option(64, "nisplus-domain", Shape::Text),
    option(65, "nisplus-servers", Shape::Addresses),
    option(66, "tftp-server-name", Shape::Text),
    option(67, "boot-file-name", Shape::Text),
    option(68, "mobile-ip-home-agents", Shape::Addresses),
    option(69, "smtp-servers", Shape::Addresses),
    option(70, "pop-servers", Shape::Addresses),
    option(71, "nntp-servers", Shape::Addresses),
    option(72, "www-servers", Shape::Addresses),
    option(73, "finger-servers", Shape::Addresses),
    option(74, "irc-servers", Shape::Addresses),
    option(75, "streettalk-servers", Shape::Addresses),
    option(76, "streettalk-directory-assistance-servers", Shape::Addresses),
    option(77, "user-class", Shape::Octets),
    option(80, "rapid-commit", Shape::Octets),
    option(81, "client-fqdn", Shape::Octets),
    option(82, "relay-agent-information", Shape::Octets),
    option(93, "client-architecture", Shape::U16List),
    option(94, "client-network-interface", Shape::Octets),
    option(97, "client-machine-identifier", Shape::Octets),
    option(100, "posix-timezone", Shape::Text),
    option(101, "tzdb-timezone", Shape::Text),
    option(108, "ipv6-only-preferred", Shape::Seconds),
    option(114, "captive-portal", Shape::Text),
    option(116, "auto-configure", Shape::U8),
    option(118, "subnet-selection", Shape::Address),
    option(119, "domain-search", Shape::DomainList),
    option(120, "sip-servers", Shape::Octets),
    option(121, "classless-static-routes", Shape::Routes),
    option(124, "vendor-identifying-class", Shape::Octets),
    option(125, "vendor-identifying-options", Shape::Octets),
    option(138, "capwap-controllers", Shape::Addresses),
    option(150, "tftp-server-addresses", Shape::Addresses),
    option(208, "pxelinux-magic", Shape::Octets),
    option(209, "configuration-file", Shape::Text),
    option(210, "path-prefix", Shape::Text),
    option(211, "reboot-time", Shape::Seconds),
    option(249, "microsoft-classless-routes", Shape::Routes),
    option(252, "proxy-auto-config", Shape::Text),
];

/// Other names that people and other servers' files use, with the number each stands for.
const ALIASES: &[(&str, u8)] = &[
    ("router", 3),
    ("gateway", 3),
    ("dns", 6),
    ("dns-server", 6),
    ("name-servers", 6),
    ("domain", 15),
    ("mtu", 26),
    ("broadcast", 28),
    ("ntp", 42),
    ("ntp-server", 42),
    ("dhcp-lease-time", 51),
    ("lease", 51),
    ("dhcp-renewal-time", 58),
    ("dhcp-rebinding-time", 59),
    ("vendor-class", 60),
    ("client-id", 61),
    ("dhcp-client-identifier", 61),
    ("bootfile-name", 67),
    ("boot-file", 67),
    ("v6-only-preferred", 108),
    ("v4-captive-portal", 114),
    ("search", 119),
    ("routes", 121),
    ("classless-static-route", 121),
    ("rfc3442-classless-static-routes", 121),
    ("wpad", 252),
    ("wpad-url", 252),
    ("static-route", 33),
    ("netbios-ns", 44),
    ("netbios-dd", 45),
    ("domain-name-server", 6),
];

impl OptionKind {
    /// The option of this number, if we know it.
    #[must_use]
    pub fn of(code: u8) -> Option<&'static Self> {
        OPTIONS.binary_search_by_key(&code, |kind| kind.code).ok().map(|index| &OPTIONS[index])
    }

    /// The option of this name: of the table, in the spelling of other servers, or its number in digits.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let number = name.strip_prefix("option:").unwrap_or(name);
        if let Ok(code @ 1..=254) = number.parse::<u8>() {
            return Some(Self::of(code).copied().unwrap_or(option(code, "unknown", Shape::Octets)));
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == number).and_then(|&(_, code)| Self::of(code));
        OPTIONS.iter().find(|kind| kind.name == number).or(alias).copied()
    }
}

/// The name of an option, or its number in words when we do not know it: `option-200`.
#[must_use]
pub fn name(code: u8) -> String {
    OptionKind::of(code).map_or_else(|| format!("option-{code}"), |kind| kind.name.to_owned())
}

/// A text that is no value of an option's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAValue(String);

impl fmt::Display for NotAValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAValue {}

impl Shape {
    /// Reads a value as people write it: lists with commas or spaces between; routes as
    /// `10.0.0.0/8 192.0.2.1`; octets in hexadecimal.
    ///
    /// # Errors
    /// [`NotAValue`] with the form that is wanted.
    pub fn read(self, text: &str) -> Result<Vec<u8>, NotAValue> {
        let text = text.trim();
        let value = self.octets_of(text).filter(|value| value.len() <= VALUE_OCTETS_MAX);
        value.ok_or_else(|| NotAValue(format!("`{text}` is not {}", self.wanted())))
    }

    fn octets_of(self, text: &str) -> Option<Vec<u8>> {
        let words = || text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let addresses = || -> Option<Vec<u8>> {
            let addresses: Option<Vec<_>> = words().map(|word| word.parse::<Ipv4Addr>().ok()).collect();
            Some(addresses?.iter().flat_map(Ipv4Addr::octets).collect())
                .filter(|all: &Vec<u8>| !all.is_empty())
        };
        match self {
            Self::Address => addresses().filter(|octets| octets.len() == 4),
            Self::Addresses => addresses(),
            Self::AddressPairs => addresses().filter(|octets| octets.len().is_multiple_of(8)),
            Self::Seconds => Some(seconds(text)?.to_be_bytes().to_vec()),
            Self::SignedSeconds => Some(text.parse::<i32>().ok()?.to_be_bytes().to_vec()),
            Self::U8 => Some(vec![text.parse().ok()?]),
            Self::U16 => Some(text.parse::<u16>().ok()?.to_be_bytes().to_vec()),
            Self::U16List => {
                let numbers: Option<Vec<u16>> = words().map(|word| word.parse().ok()).collect();
                Some(numbers?.iter().flat_map(|number| number.to_be_bytes()).collect())
                    .filter(|all: &Vec<u8>| !all.is_empty())
            }
            Self::Bool => match text {
                "true" | "yes" | "on" | "1" => Some(vec![1]),
                "false" | "no" | "off" | "0" => Some(vec![0]),
                _ => None,
            },
            Self::Text => {
                (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.as_bytes().to_vec())
            }
            Self::DomainList => {
                let names: Vec<&str> = words().collect();
                search::write(&names).ok().filter(|value| !value.is_empty())
            }
            Self::Routes => {
                let words: Vec<&str> = words().collect();
                let pairs = words.chunks(2).map(|pair| match pair {
                    [destination, gateway] => Route::read(destination, gateway),
                    _ => None,
                });
                let routes: Option<Vec<Route>> = pairs.collect();
                Some(routes::write(&routes?)).filter(|value| !value.is_empty())
            }
            Self::Codes => {
                let codes = words().map(|word| OptionKind::named(word).map(|kind| kind.code));
                codes.collect::<Option<Vec<u8>>>().filter(|codes| !codes.is_empty())
            }
            Self::Octets => read_hex(text),
        }
    }

    /// Writes a value as people read it. One that does not keep to the form is written in hexadecimal.
    #[must_use]
    pub fn print(self, value: &[u8]) -> String {
        self.text_of(value).unwrap_or_else(|| hex(value))
    }

    fn text_of(self, value: &[u8]) -> Option<String> {
        let addresses = || {
            let all: Vec<String> = value
                .chunks_exact(4)
                .map(|octets| Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).to_string())
                .collect();
            (!all.is_empty() && value.len().is_multiple_of(4)).then(|| all.join(", "))
        };
        match self {
            Self::Address => addresses().filter(|_| value.len() == 4),
            Self::Addresses => addresses(),
            Self::AddressPairs => addresses().filter(|_| value.len().is_multiple_of(8)),
            Self::Seconds => Some(u32::from_be_bytes(value.try_into().ok()?).to_string()),
            Self::SignedSeconds => Some(i32::from_be_bytes(value.try_into().ok()?).to_string()),
            Self::U8 => match value {
                [number] => Some(number.to_string()),
                _ => None,
            },
            Self::U16 => Some(u16::from_be_bytes(value.try_into().ok()?).to_string()),
            Self::U16List => {
                let numbers =
                    value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]).to_string());
                let numbers: Vec<String> = numbers.collect();
                (!numbers.is_empty() && value.len().is_multiple_of(2)).then(|| numbers.join(", "))
            }
            Self::Bool => match value {
                [0] => Some("false".to_owned()),
                [1] => Some("true".to_owned()),
                _ => None,
            },
            Self::Text => {
                let text = std::str::from_utf8(value).ok()?.trim_end_matches('\0');
                (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
            }
            Self::DomainList => search::read(value).ok().map(|names| names.join(", ")),
            Self::Routes => {
                let routes = routes::read(value).ok()?;
                let routes: Vec<String> = routes.iter().map(Route::to_string).collect();
                Some(routes.join(", "))
            }
            Self::Codes => {
                let names: Vec<String> = value.iter().map(|&number| name(number)).collect();
                Some(names.join(", "))
            }
            Self::Octets => None,
        }
    }

    const fn wanted(self) -> &'static str {
        match self {
            Self::Address => "an IPv4 address",
            Self::Addresses => "a list of IPv4 addresses",
            Self::AddressPairs => "a list of pairs of IPv4 addresses",
            Self::Seconds => "a number of seconds, or `infinite`",
            Self::SignedSeconds => "a number of seconds, which may be below zero",
            Self::U8 => "a number up to 255",
            Self::U16 => "a number up to 65535",
            Self::U16List => "a list of numbers up to 65535",
            Self::Bool => "true or false",
            Self::Text => "text of one line",
            Self::DomainList => "a list of domain names",
            Self::Routes => "a list of routes, each as `10.0.0.0/8 192.0.2.1`",
            Self::Codes => "a list of options, by name or number",
            Self::Octets => "octets in hexadecimal",
        }
    }
}

/// A number of seconds, or the word for what never ends.
fn seconds(text: &str) -> Option<u32> {
    match text {
        "infinite" | "infinity" | "forever" => Some(u32::MAX),
        _ => text.parse().ok(),
    }
}
