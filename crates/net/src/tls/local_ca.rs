//! The local certificate authority: made at first start, for networks that no public one can see.
//!
//! Its root may only vouch for the configured zones and for private addresses (name constraints,
//! RFC 5280 §4.2.1.10), so trusting it cannot be turned against the rest of the web. Leaves live
//! [`LEAF_DAYS`] days and are renewed when two thirds of that have passed.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use doorway_base::UnixTime;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SerialNumber,
};

use crate::entropy;
use crate::error::Error;
use crate::tls::Certificates;

/// Life of a leaf certificate in days.
pub const LEAF_DAYS: u64 = 90;
/// Life of the root certificate in days.
pub const ROOT_DAYS: u64 = 3653;
/// How long before "now" certificates begin, so that a client whose clock is behind accepts them.
const HEAD_START: Duration = Duration::from_secs(3600);

/// The authority in a data folder.
#[derive(Debug)]
pub struct LocalCa {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    zones: Vec<String>,
}

impl LocalCa {
    /// Opens the authority in `folder`, or makes it when the folder has none.
    ///
    /// `zones` are the domain names that the root may vouch for, each with everything below it;
    /// `localhost` and private addresses are always among them.
    ///
    /// # Errors
    /// [`Error::File`] when its files cannot be read or written, [`Error::Local`] when they do not
    /// hold what they should.
    pub fn open(folder: &Path, zones: &[&str], now: UnixTime) -> Result<Self, Error> {
        let (root_path, key_path) = (folder.join("ca.pem"), folder.join("ca.key"));
        let name_path = folder.join("ca.name");
        if !root_path.exists() {
            let name = authority_name();
            let (root_pem, key) = make_root(&name, zones, now)?;
            // A leaf of an authority that was moved away is no use to whoever trusts this one.
            remove(&folder.join("leaf.txt"))?;
            write_secret(&key_path, &key.serialize_pem())?;
            write_public(&name_path, &format!("{name}\n{}\n", zones.join("\n")))?;
            write_public(&root_path, &root_pem)?; // last: its presence says that the others are there
        }
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| unreadable(path, error));
        let root_pem = read(&root_path)?;
        let key = KeyPair::from_pem(&read(&key_path)?)
            .map_err(|error| Error::local("use the local authority's key", error))?;
        let about = read(&name_path)?;
        let mut lines = about.lines();
        let issuer = Issuer::new(authority_params(lines.next().unwrap_or_default()), key);
        let zones = lines.map(str::to_owned).collect();
        Ok(Self { folder: folder.to_owned(), issuer, root_pem, zones })
    }

    /// Whether clients that trust the root will accept a certificate for `name`: the root is limited
    /// to the zones it was made for.
    #[must_use]
    pub fn may_vouch_for(&self, name: &str) -> bool {
        let below =
            |zone: &str| name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        name.parse::<IpAddr>().is_ok() || name == "localhost" || self.zones.iter().any(|zone| below(zone))
    }

    /// The root certificate, to be trusted by clients.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Where the root certificate stands.
    #[must_use]
    pub fn root_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Adds a leaf for `names` (host names and IP addresses) to `certificates`: the one on disk when
    /// it is for these names and not due, else a new one.
    ///
    /// Names that the root may not vouch for are left out: for a single one of them clients would
    /// refuse the whole certificate (RFC 5280 §6.1.3).
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written, [`Error::Local`] when it cannot be made.
    pub fn leaf(
        &self,
        certificates: &mut Certificates,
        names: &[String],
        now: UnixTime,
    ) -> Result<(), Error> {
        let names: Vec<String> = names.iter().filter(|name| self.may_vouch_for(name)).cloned().collect();
        let (chain_path, key_path) = (self.folder.join("leaf.pem"), self.folder.join("leaf.key"));
        let note_path = self.folder.join("leaf.txt");
        let note = fs::read_to_string(&note_path).unwrap_or_default();
        let due = |text: &str| {
            let (since, listed) = text.split_once('\n')?;
            let since = UnixTime::from_secs(since.parse().ok()?);
            let fresh = now >= since && now - since < Duration::from_secs(LEAF_DAYS * 86_400 * 2 / 3);
            (fresh && listed.trim_end() == names.join("\n")).then_some(())
        };
        if due(&note).is_none() {
            let (pem, key) = self.make_leaf(&names, now)?;
            // The note goes first and comes last: with it, the key and the chain belong together.
            remove(&note_path)?;
            write_secret(&key_path, &key.serialize_pem())?;
            write_public(&chain_path, &format!("{pem}{}", self.root_pem))?;
            write_public(&note_path, &format!("{}\n{}\n", now.as_secs(), names.join("\n")))?;
        }
        certificates.add_files(&names, &chain_path, &key_path)
    }

    fn make_leaf(&self, names: &[String], now: UnixTime) -> Result<(String, KeyPair), Error> {
        let key = KeyPair::generate().map_err(|error| Error::local("make a key", error))?;
        let mut params =
            CertificateParams::new(names).map_err(|error| Error::local("name a certificate", error))?;
        params.distinguished_name = named(names.first().map_or("doorway", String::as_str));
        params.serial_number = Some(serial());
        (params.not_before, params.not_after) = validity(now, LEAF_DAYS)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|error| Error::local("sign a certificate", error))?;
        Ok((certificate.pem(), key))
    }
}

/// Tells this authority from that of another machine in a list of trusted ones.
fn authority_name() -> String {
    let mut mark = [0; 3];
    entropy::fill(&mut mark);
    let [a, b, c] = mark;
    format!("Doorway local authority {a:02x}{b:02x}{c:02x}")
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn make_root(name: &str, zones: &[&str], now: UnixTime) -> Result<(String, KeyPair), Error> {
    let key = KeyPair::generate().map_err(|error| Error::local("make the local authority's key", error))?;
    let mut params = authority_params(name);
    params.serial_number = Some(serial());
    (params.not_before, params.not_after) = validity(now, ROOT_DAYS)?;
    let mut names: Vec<&str> = zones.iter().copied().chain(["localhost"]).collect();
    names.sort_unstable();
    names.dedup();
    let mut permitted: Vec<_> =
        names.iter().map(|zone| GeneralSubtree::DnsName((*zone).to_owned())).collect();
    for (network, prefix) in private_networks() {
        permitted.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(network, prefix)));
    }
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
    let certificate =
        params.self_signed(&key).map_err(|error| Error::local("sign the local authority", error))?;
    Ok((certificate.pem(), key))
}

/// Loopback, private (RFC 1918), link-local and unique local (RFC 4193) networks.
fn private_networks() -> [(IpAddr, u8); 8] {
    [
        (Ipv4Addr::new(127, 0, 0, 0).into(), 8),
        (Ipv4Addr::new(10, 0, 0, 0).into(), 8),
        (Ipv4Addr::new(172, 16, 0, 0).into(), 12),
        (Ipv4Addr::new(192, 168, 0, 0).into(), 16),
        (Ipv4Addr::new(169, 254, 0, 0).into(), 16),
        (Ipv6Addr::LOCALHOST.into(), 128),
        (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0).into(), 7),
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), 10),
    ]
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// 127 random bits: RFC 5280 §4.1.2.2 wants a positive number that is not reused.
fn serial() -> SerialNumber {
    let mut octets = [0; 16];
    entropy::fill(&mut octets);
    octets[0] &= 0x7f;
    SerialNumber::from_slice(&octets)
}

fn validity(now: UnixTime, days: u64) -> Result<(time::OffsetDateTime, time::OffsetDateTime), Error> {
    let date = |moment: UnixTime| {
        time::OffsetDateTime::from_unix_timestamp(moment.as_secs() as i64)
            .map_err(|error| Error::local("date a certificate", error))
    };
    let begin = UnixTime::from_nanos(now.as_nanos().saturating_sub(HEAD_START.as_nanos() as u64));
    Ok((date(begin)?, date(now + Duration::from_secs(days * 86_400))?))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::File { path: path.to_owned(), doing: "read", source: error.into() }
}

fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o600)
}

fn write_public(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o644)
}

fn remove(path: &Path) -> Result<(), Error> {
    remove_if_there(path).map_err(|error| Error::File {
        path: path.to_owned(),
        doing: "remove",
        source: error.into(),
    })
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Writes beside the file and renames, so that a crash leaves the old file or the new one.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        // Made anew each time: one that a crash left behind may be open to others, or be a link.
        remove_if_there(&beside)?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| Error::File { path: path.to_owned(), doing: "write", source: error.into() })
}
