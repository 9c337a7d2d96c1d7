//! What the standards call the parts of an RDATA, in the order of the table of `wire/rtype.rs`.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::wire::options::code;
use crate::wire::rdata;
use crate::wire::rtype::{Field, Type};

const SIGNATURE: &[&str] = &[
    "type covered",
    "algorithm",
    "labels",
    "original TTL",
    "expiration",
    "inception",
    "key tag",
    "signer's name",
    "signature",
];
const DIGEST: &[&str] = &["key tag", "algorithm", "digest type", "digest"];
const KEY: &[&str] = &["flags", "protocol", "algorithm", "public key"];
const SERVICE: &[&str] = &["SvcPriority", "TargetName", "SvcParams"];
const ASSOCIATION: &[&str] = &["usage", "selector", "matching type", "association data"];

/// The name of part `index` of an RDATA of `kind`.
#[must_use]
pub fn name(kind: Type, index: usize) -> &'static str {
    let names: &[&str] = match kind.to_string().as_str() {
        "A" | "AAAA" => &["ADDRESS"],
        "NS" => &["NSDNAME"],
        "CNAME" => &["CNAME"],
        "DNAME" => &["target"],
        "PTR" => &["PTRDNAME"],
        "MX" => &["PREFERENCE", "EXCHANGE"],
        "SOA" => &["MNAME", "RNAME", "SERIAL", "REFRESH", "RETRY", "EXPIRE", "MINIMUM"],
        "TXT" | "SPF" => &["TXT-DATA"],
        "HINFO" => &["CPU", "OS"],
        "RP" => &["mbox-dname", "txt-dname"],
        "AFSDB" => &["subtype", "hostname"],
        "SRV" => &["Priority", "Weight", "Port", "Target"],
        "NAPTR" => &["ORDER", "PREFERENCE", "FLAGS", "SERVICES", "REGEXP", "REPLACEMENT"],
        "CAA" => &["flags", "tag", "value"],
        "URI" => &["Priority", "Weight", "Target"],
        "RRSIG" | "SIG" => SIGNATURE,
        "DS" | "CDS" => DIGEST,
        "DNSKEY" | "CDNSKEY" | "KEY" => KEY,
        "NSEC" => &["next domain name", "type bit maps"],
        "NSEC3" => &["hash algorithm", "flags", "iterations", "salt", "next hashed owner", "type bit maps"],
        "NSEC3PARAM" => &["hash algorithm", "flags", "iterations", "salt"],
        "CSYNC" => &["SOA serial", "flags", "type bit map"],
        "ZONEMD" => &["serial", "scheme", "hash algorithm", "digest"],
        "SVCB" | "HTTPS" => SERVICE,
        "TLSA" | "SMIMEA" => ASSOCIATION,
        "SSHFP" => &["algorithm", "fp type", "fingerprint"],
        "CERT" => &["type", "key tag", "algorithm", "certificate"],
        "IPSECKEY" => &["precedence", "gateway", "public key"],
        _ => &[],
    };
    names.get(index).copied().unwrap_or("RDATA")
}

/// What the octets of one part say, in short.
#[must_use]
pub fn value(field: Field, octets: &[u8]) -> String {
    match (field, octets) {
        (Field::U8 | Field::Algorithm, &[a]) => a.to_string(),
        (Field::U16 | Field::CertificateType, &[a, b]) => u16::from_be_bytes([a, b]).to_string(),
        (Field::Type, &[a, b]) => {
            let kind = Type(u16::from_be_bytes([a, b]));
            format!("{} = {kind}", kind.0)
        }
        (Field::U32, &[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]).to_string(),
        (Field::Seconds, &[a, b, c, d]) => format!("{} seconds", u32::from_be_bytes([a, b, c, d])),
        (Field::Moment, &[a, b, c, d]) => {
            let at = u64::from(u32::from_be_bytes([a, b, c, d]));
            doorway_base::UnixTime::from_secs(at).to_string()
        }
        (Field::Address4, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (Field::Address6, _) => {
            <[u8; 16]>::try_from(octets).map(|six| Ipv6Addr::from(six).to_string()).unwrap_or_default()
        }
        // As the only part of a record of text they print as that record does.
        (Field::String | Field::Word | Field::Strings, _) => rdata::display(Type::TXT, octets).to_string(),
        (Field::Text, _) => format!("{:?}", String::from_utf8_lossy(octets)),
        (Field::TypeBitmap, _) => {
            let types: Vec<String> = rdata::bitmap::types(octets).map(|kind| kind.to_string()).collect();
            types.join(" ")
        }
        (Field::ServiceParameters, _) => {
            let keys: Vec<String> = rdata::service::parameters(octets)
                .map(|(key, value)| format!("{key} of {}", value.len()))
                .collect();
            format!("keys {}", keys.join(", "))
        }
        (Field::Salt | Field::Hash, [length, ..]) => format!("{length} octets"),
        _ => format!("{} octets", octets.len()),
    }
}

/// What the registry calls an EDNS option.
#[must_use]
pub const fn option_name(number: u16) -> &'static str {
    match number {
        code::NSID => "NSID",
        code::CLIENT_SUBNET => "edns-client-subnet",
        code::EXPIRE => "EDNS EXPIRE",
        code::COOKIE => "COOKIE",
        code::KEEPALIVE => "edns-tcp-keepalive",
        code::PADDING => "Padding",
        code::EXTENDED_ERROR => "Extended DNS Error",
        code::REPORT_CHANNEL => "Report-Channel",
        code::ZONEVERSION => "ZONEVERSION",
        _ => "unknown",
    }
}
