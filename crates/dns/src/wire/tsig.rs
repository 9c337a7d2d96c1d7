//! TSIG, a signature over a whole message with a secret that two hosts share: RFC 8945.
//!
//! A server [opens](open) a request and answers through the [`Chain`] that comes out of it; a client
//! [signs](Chain::request) its query and checks each response against the chain. Every message of a
//! long answer is signed; of a peer's answer, up to [`UNSIGNED_MAX`] messages in a row may lack it.
//!
//! Only whole MACs are taken (RFC 8945 §5.2.2.1 leaves this to policy). Not here: where keys come from,
//! which key may do what, and TKEY.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use doorway_base::{Malformed, Reader, UnixTime};

use super::answer;
use super::code::{Class, Rcode};
use super::header::Header;
use super::message::{Question, RawRecord};
use super::name::Name;
use super::rtype::Type;

/// How far two clocks may be apart, in seconds: RFC 8945 §10 recommends this.
pub const FUDGE_SECONDS: u16 = 300;
/// Messages of one answer in a row that may come without a signature: RFC 8945 §5.3.1.
pub const UNSIGNED_MAX: u32 = 99;
/// Octets of a key's secret at most; a longer one is no stronger.
pub const SECRET_OCTETS_MAX: usize = 512;

/// The time signed and the fudge.
const TIMERS_OCTETS: usize = 8;

/// The hash beneath the HMAC: RFC 8945 §6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha1`: taken from peers that know no better, never used for requests of our own.
    Sha1,
    /// `hmac-sha224`.
    Sha224,
    /// `hmac-sha256`, which everybody has.
    Sha256,
    /// `hmac-sha384`.
    Sha384,
    /// `hmac-sha512`.
    Sha512,
}

impl Algorithm {
    /// Every one, with its name as people and messages write it.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("hmac-sha256", Self::Sha256),
        ("hmac-sha384", Self::Sha384),
        ("hmac-sha512", Self::Sha512),
        ("hmac-sha224", Self::Sha224),
        ("hmac-sha1", Self::Sha1),
    ];

    /// The algorithm called `text`, without the final dot.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, found)| found)
    }

    fn name(self) -> Name {
        let text = Self::NAMES.into_iter().find(|&(_, each)| each == self).map_or("", |(name, _)| name);
        Name::from_labels([text.as_bytes()]).unwrap_or_default()
    }

    const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => hmac::HMAC_SHA224,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// Octets of a whole MAC.
    #[must_use]
    pub const fn mac_octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A secret that is shared with a peer, with the name both know it by.
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: hmac::Key,
}

impl fmt::Debug for Key {
    /// The secret does not print itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("algorithm", &self.algorithm).finish()
    }
}

impl Key {
    /// The key called `name`.
    #[must_use]
    pub fn new(name: &Name, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { name: name.lowered(), algorithm, secret: hmac::Key::new(algorithm.hmac(), secret) }
    }

    /// The name, in lower case.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The algorithm it is used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Octets that a signature adds to a message.
    #[must_use]
    pub fn record_octets(&self) -> usize {
        // Type, class, TTL, RDLENGTH; then time, fudge, sizes of MAC and other data, id, error.
        let fixed = 10 + TIMERS_OCTETS + 8;
        let names = self.name.as_octets().len() + self.algorithm.name().as_octets().len();
        fixed + names + self.algorithm.mac_octets()
    }
}

/// A TSIG record as it stands in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tsig {
    /// The key's name: the owner of the record.
    pub key: Name,
    /// Its algorithm, as a name.
    pub algorithm: Name,
    /// When it was signed, in seconds since 1970; 48 bits.
    pub time_signed: u64,
    /// How many seconds the clocks may be apart.
    pub fudge: u16,
    /// The message authentication code.
    pub mac: Vec<u8>,
    /// The id of the message when it was signed; forwarders change the other one.
    pub original_id: u16,
    /// What was wrong with the request.
    pub error: Rcode,
    /// Empty, or with BADTIME the server's time in six octets.
    pub other: Vec<u8>,
}

impl Tsig {
    fn read(record: &RawRecord<'_>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(record.rdata);
        let algorithm = Name::read(&mut reader)?;
        let high = reader.u16("a time signed")?;
        let low = reader.u32("a time signed")?;
        let fudge = reader.u16("a fudge")?;
        let mac_octets = reader.u16("a MAC size")?;
        let mac = reader.take(usize::from(mac_octets), "the octets of a MAC")?.to_vec();
        let original_id = reader.u16("an original id")?;
        let error = Rcode(reader.u16("an error")?);
        let other_octets = reader.u16("the length of the other data")?;
        let other = reader.take(usize::from(other_octets), "the other data")?.to_vec();
        reader.finish("the end of the TSIG record")?;
        let time_signed = u64::from(high) << 32 | u64::from(low);
        Ok(Self { key: record.name.clone(), algorithm, time_signed, fudge, mac, original_id, error, other })
    }

    fn timers(&self) -> [u8; TIMERS_OCTETS] {
        let mut timers = [0; TIMERS_OCTETS];
        timers[..6].copy_from_slice(&self.time_signed.to_be_bytes()[2..]);
        timers[6..].copy_from_slice(&self.fudge.to_be_bytes());
        timers
    }

    // RFC 8945 §4.3.3: what is signed beside the message.
    fn digest_variables(&self, digest: &mut hmac::Context) {
        digest.update(self.key.lowered().as_octets());
        digest.update(&Class::ANY.0.to_be_bytes());
        digest.update(&0_u32.to_be_bytes());
        digest.update(self.algorithm.lowered().as_octets());
        digest.update(&self.timers());
        digest.update(&self.error.0.to_be_bytes());
        digest.update(&(self.other.len() as u16).to_be_bytes());
        digest.update(&self.other);
    }

    // Puts the record at the end of `message` and counts it.
    fn append(&self, message: &mut Vec<u8>) {
        message.extend_from_slice(self.key.as_octets());
        message.extend(Type::TSIG.0.to_be_bytes());
        message.extend(Class::ANY.0.to_be_bytes());
        message.extend(0_u32.to_be_bytes());
        let length_at = message.len();
        message.extend([0; 2]);
        message.extend_from_slice(self.algorithm.as_octets());
        message.extend(self.timers());
        message.extend((self.mac.len() as u16).to_be_bytes());
        message.extend_from_slice(&self.mac);
        message.extend(self.original_id.to_be_bytes());
        message.extend(self.error.0.to_be_bytes());
        message.extend((self.other.len() as u16).to_be_bytes());
        message.extend_from_slice(&self.other);
        let length = (message.len() - length_at - 2) as u16;
        message[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        add_to_additionals(message, 1);
    }
}

fn add_to_additionals(message: &mut [u8], count: u16) {
    if let Some(two) = message.get_mut(10..12).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *two = u16::from_be_bytes(*two).wrapping_add(count).to_be_bytes();
    }
}

/// The TSIG record of a message and the octet it begins at; `None` when there is none.
///
/// # Errors
/// A message whose records cannot be walked, and a TSIG record that is malformed or stands anywhere
/// but at the end.
pub fn find(message: &[u8]) -> Result<Option<(Tsig, usize)>, Malformed> {
    let mut reader = Reader::new(message);
    let header = Header::read(&mut reader)?;
    for _ in 0..header.counts[0] {
        Question::read(&mut reader)?;
    }
    let records: u32 = header.counts[1..].iter().map(|&count| u32::from(count)).sum();
    let mut found = None;
    for index in 0..records {
        let at = reader.position();
        let record = RawRecord::read(&mut reader)?;
        if record.kind == Type::TSIG {
            if index + 1 != records || header.counts[3] == 0 || record.class != Class::ANY || record.ttl != 0
            {
                return Err(Malformed::new("the TSIG record at the end", at));
            }
            found = Some((Tsig::read(&record)?, at));
        }
    }
    reader.finish("the end of the message")?;
    Ok(found)
}

/// What a server makes of a request's signature.
#[derive(Debug)]
pub enum Opened {
    /// There is none.
    Plain,
    /// It is right.
    Signed {
        /// The request without the signature.
        message: Vec<u8>,
        /// Signs the answer.
        chain: Chain,
    },
    /// It is wrong; the answer says how.
    Refused(Box<Refusal>),
}

/// A request whose signature is wrong.
#[derive(Debug)]
pub struct Refusal {
    tsig: Tsig,
    chain: Option<Chain>,
}

/// Checks the signature of a request at the time `now`: RFC 8945 §5.2.
///
/// # Errors
/// A message that cannot be walked, or a TSIG record that breaks its format; the answer is FORMERR.
pub fn open(message: &[u8], keys: &[Arc<Key>], now: UnixTime) -> Result<Opened, Malformed> {
    let Some((tsig, at)) = find(message)? else { return Ok(Opened::Plain) };
    let refused = |error, chain| {
        let tsig = Tsig { error, mac: Vec::new(), other: Vec::new(), ..tsig.clone() };
        Ok(Opened::Refused(Box::new(Refusal { tsig, chain })))
    };
    let known = keys.iter().find(|key| key.name == tsig.key && key.algorithm.name() == tsig.algorithm);
    let Some(key) = known else { return refused(Rcode::BADKEY, None) };
    let mut bare = message[..at].to_vec();
    add_to_additionals(&mut bare, u16::MAX);
    if let Some(id) = bare.first_chunk_mut::<2>() {
        *id = tsig.original_id.to_be_bytes();
    }
    let mut digest = hmac::Context::with_key(&key.secret);
    digest.update(&bare);
    tsig.digest_variables(&mut digest);
    let mac = digest.sign();
    let whole = key.algorithm.mac_octets();
    // RFC 8945 §5.2.2.1: neither longer than the hash nor shorter than half of it.
    if tsig.mac.len() > whole || tsig.mac.len() < 10.max(whole / 2) {
        return Err(Malformed::new("a MAC of the size of the algorithm", at));
    }
    if verify_slices_are_equal(&mac.as_ref()[..tsig.mac.len()], &tsig.mac).is_err() {
        return refused(Rcode::BADSIG, None);
    }
    let chain = Chain::after(Arc::clone(key), &tsig.mac);
    if !is_near(&tsig, now) {
        return refused(Rcode::BADTIME, Some(chain));
    }
    if tsig.mac.len() < whole {
        return refused(Rcode::BADTRUNC, Some(chain));
    }
    // The header goes on with the id that the sender waits for.
    bare[..2].copy_from_slice(&message[..2]);
    Ok(Opened::Signed { message: bare, chain })
}

fn is_near(tsig: &Tsig, now: UnixTime) -> bool {
    now.as_secs().abs_diff(tsig.time_signed) <= u64::from(tsig.fudge)
}

impl Refusal {
    /// What the signature failed: BADKEY, BADSIG, BADTIME or BADTRUNC.
    #[must_use]
    pub const fn error(&self) -> Rcode {
        self.tsig.error
    }

    /// The name of the key that was used.
    #[must_use]
    pub const fn key(&self) -> &Name {
        &self.tsig.key
    }

    /// The answer to `request`, which says NOTAUTH; signed where the MAC itself was right (RFC 8945 §5.2).
    #[must_use]
    pub fn answer(self, request: &[u8], now: UnixTime) -> Vec<u8> {
        let mut answer = answer::without_records(request, Rcode::NOTAUTH);
        let Self { mut tsig, chain } = self;
        tsig.original_id = request.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
        if tsig.error == Rcode::BADTIME {
            // RFC 8945 §5.2.3: the client learns our time, and the reply still verifies under its own.
            tsig.other = now.as_secs().to_be_bytes()[2..].to_vec();
        }
        match chain {
            Some(mut chain) => chain.sign_as(&mut answer, tsig),
            None => tsig.append(&mut answer),
        }
        answer
    }
}

/// Why a response is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untrusted {
    /// Its records cannot be walked, or its TSIG record is malformed.
    Malformed(Malformed),
    /// It has no signature where one is due.
    Unsigned,
    /// It is signed with another key.
    Key,
    /// The signature is wrong.
    Signature,
    /// The time signed is too far from now.
    Time,
    /// The peer refused our signature with this code.
    Refused(Rcode),
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Unsigned => f.write_str("expected a signature on the answer; it has none"),
            Self::Key => f.write_str("the answer is signed with another key"),
            Self::Signature => f.write_str("the signature of the answer is wrong"),
            Self::Time => f.write_str("the answer was signed at a time too far from now; compare the clocks"),
            Self::Refused(code) => {
                let name = match *code {
                    Rcode::BADSIG => "BADSIG",
                    Rcode::BADKEY => "BADKEY",
                    Rcode::BADTIME => "BADTIME",
                    Rcode::BADTRUNC => "BADTRUNC",
                    _ => return write!(f, "the peer refuses our signature with code {}", code.0),
                };
                write!(f, "the peer refuses our signature: {name}")
            }
        }
    }
}

impl std::error::Error for Untrusted {}

/// The signatures of one exchange, each made over the one before: RFC 8945 §5.3.1.
#[derive(Clone)]
pub struct Chain {
    key: Arc<Key>,
    // Holds the MAC before, and the messages since that had no signature.
    digest: Box<hmac::Context>,
    first: bool,
    unsigned: u32,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Chain {
    fn after(key: Arc<Key>, mac: &[u8]) -> Self {
        let mut chain =
            Self { digest: Box::new(hmac::Context::with_key(&key.secret)), key, first: true, unsigned: 0 };
        chain.continue_from(mac);
        chain
    }

    fn continue_from(&mut self, mac: &[u8]) {
        *self.digest = hmac::Context::with_key(&self.key.secret);
        self.digest.update(&(mac.len() as u16).to_be_bytes());
        self.digest.update(mac);
        self.unsigned = 0;
    }

    /// Signs a request and gives the chain that its answer continues.
    #[must_use]
    pub fn request(key: &Arc<Key>, message: &mut Vec<u8>, now: UnixTime) -> Self {
        let mut tsig = Self::record(key, message, now);
        let mut digest = hmac::Context::with_key(&key.secret);
        digest.update(message);
        tsig.digest_variables(&mut digest);
        tsig.mac = digest.sign().as_ref().to_vec();
        tsig.append(message);
        Self::after(Arc::clone(key), &tsig.mac)
    }

    fn record(key: &Key, message: &[u8], now: UnixTime) -> Tsig {
        Tsig {
            key: key.name.clone(),
            algorithm: key.algorithm.name(),
            time_signed: now.as_secs() & 0xffff_ffff_ffff,
            fudge: FUDGE_SECONDS,
            mac: Vec::new(),
            original_id: message.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id)),
            error: Rcode::NOERROR,
            other: Vec::new(),
        }
    }

    /// The key of the exchange.
    #[must_use]
    pub const fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Signs the next message of an answer.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: UnixTime) {
        let tsig = Self::record(&self.key, message, now);
        self.sign_as(message, tsig);
    }

    fn sign_as(&mut self, message: &mut Vec<u8>, mut tsig: Tsig) {
        self.digest.update(message);
        tsig.mac = self.finish(&tsig).as_ref().to_vec();
        self.continue_from(&tsig.mac);
        tsig.append(message);
    }

    fn finish(&mut self, tsig: &Tsig) -> hmac::Tag {
        let mut digest = (*self.digest).clone();
        if std::mem::take(&mut self.first) {
            tsig.digest_variables(&mut digest);
        } else {
            digest.update(&tsig.timers());
        }
        digest.sign()
    }

    /// Checks the next message of an answer and takes its signature off. Whoever has read the last
    /// message must ask [`is_complete`](Self::is_complete).
    ///
    /// # Errors
    /// [`Untrusted`]; the exchange is then over.
    pub fn verify(&mut self, message: &mut Vec<u8>, now: UnixTime) -> Result<(), Untrusted> {
        let Some((tsig, at)) = find(message).map_err(Untrusted::Malformed)? else {
            self.unsigned += 1;
            if self.first || self.unsigned > UNSIGNED_MAX {
                return Err(Untrusted::Unsigned);
            }
            self.digest.update(message);
            return Ok(());
        };
        if tsig.key != self.key.name || tsig.algorithm != self.key.algorithm.name() {
            return Err(Untrusted::Key);
        }
        // RFC 8945 §5.3.2: such an answer has no MAC, so it proves nothing but is worth telling.
        if matches!(tsig.error, Rcode::BADSIG | Rcode::BADKEY) && tsig.mac.is_empty() {
            return Err(Untrusted::Refused(tsig.error));
        }
        message.truncate(at);
        add_to_additionals(message, u16::MAX);
        let id = message.first_chunk::<2>().copied().unwrap_or_default();
        if let Some(two) = message.first_chunk_mut::<2>() {
            *two = tsig.original_id.to_be_bytes();
        }
        self.digest.update(message);
        if let Some(two) = message.first_chunk_mut::<2>() {
            *two = id;
        }
        let mac = self.finish(&tsig);
        if verify_slices_are_equal(mac.as_ref(), &tsig.mac).is_err() {
            return Err(Untrusted::Signature);
        }
        if tsig.error != Rcode::NOERROR {
            return Err(Untrusted::Refused(tsig.error));
        }
        if !is_near(&tsig, now) {
            return Err(Untrusted::Time);
        }
        self.continue_from(&tsig.mac);
        Ok(())
    }

    /// Whether the last message had a signature, as it must (RFC 8945 §5.3.1).
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.first && self.unsigned == 0
    }
}

#[cfg(test)]
mod tests;
