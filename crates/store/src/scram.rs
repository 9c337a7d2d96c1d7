//! What proves a password by SCRAM-SHA-256 without anybody sending it (RFC 5802 §3, RFC 7677): keys that
//! are made from it, and those of them that a server keeps. The messages are the protocols' own.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use doorway_base::Malformed;
use unicode_normalization::UnicodeNormalization;

/// Fewest iterations that anybody should use (RFC 7677 §4).
pub const SCRAM_ITERATIONS_MIN: u32 = 4096;
/// Default of iterations. They are what a guess costs whoever stole the store, in place of argon2id's
/// memory; but every client pays them too, at each login, and 100 000 are some 30 ms of a computer and a
/// third of a second of a small device.
pub const SCRAM_ITERATIONS: u32 = 100_000;
/// Octets of the salt.
pub const SCRAM_SALT_OCTETS: usize = 16;
/// Octets of a key.
const KEY_OCTETS: usize = 32;

/// The two keys that follow from a password (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// With it a client proves the password.
    pub client: [u8; KEY_OCTETS],
    /// With it a server proves that it knows the verifier.
    pub server: [u8; KEY_OCTETS],
}

impl ScramKeys {
    /// Makes the keys. Takes as long as `iterations` take; 0 counts as 1.
    #[must_use]
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut salted = [0; KEY_OCTETS];
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let prepared = prepared(password);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared.as_bytes(), &mut salted);
        Self { client: sign(&salted, b"Client Key"), server: sign(&salted, b"Server Key") }
    }
}

/// What a server keeps of a password for SCRAM-SHA-256. Nobody can log in with it, but it can be guessed
/// against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// The salt, which is told to whoever asks.
    pub salt: [u8; SCRAM_SALT_OCTETS],
    /// How often it was hashed.
    pub iterations: u32,
    stored_key: [u8; KEY_OCTETS],
    server_key: [u8; KEY_OCTETS],
}

impl ScramVerifier {
    /// The verifier of a password. Takes as long as `iterations` take.
    #[must_use]
    pub fn derive(password: &str, salt: [u8; SCRAM_SALT_OCTETS], iterations: u32) -> Self {
        let keys = ScramKeys::derive(password, &salt, iterations);
        Self { salt, iterations, stored_key: hash(&keys.client), server_key: keys.server }
    }

    /// One for a user who does not exist: nobody knows its password, and the salt is the same each time.
    pub(crate) fn of_nobody(key: &[u8], name: &str, iterations: u32) -> Self {
        let seed = sign(key, name.as_bytes());
        let mut salt = [0; SCRAM_SALT_OCTETS];
        salt.copy_from_slice(&seed[..SCRAM_SALT_OCTETS]);
        let client = sign(&seed, b"Client Key of nobody");
        Self { salt, iterations, stored_key: hash(&client), server_key: sign(&seed, b"Server Key of nobody") }
    }

    /// Checks a client's proof over the messages of an exchange, `auth_message` in RFC 5802 §3; gives the
    /// server's own signature when it is right.
    #[must_use]
    pub fn verify(&self, auth_message: &[u8], proof: &[u8]) -> Option<[u8; KEY_OCTETS]> {
        let proof: &[u8; KEY_OCTETS] = proof.try_into().ok()?;
        let mut client_key = sign(&self.stored_key, auth_message);
        client_key.iter_mut().zip(proof).for_each(|(octet, proof)| *octet ^= proof);
        constant_time::verify_slices_are_equal(&hash(&client_key), &self.stored_key).ok()?;
        Some(sign(&self.server_key, auth_message))
    }

    /// The stored form: iterations (4), salt (16), StoredKey (32), ServerKey (32).
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.iterations.to_be_bytes()[..], &self.salt, &self.stored_key, &self.server_key].concat()
    }

    pub(crate) fn decode(octets: &[u8]) -> Result<Self, Malformed> {
        let what = "a verifier of SCRAM";
        let (iterations, rest) = octets.split_first_chunk().ok_or(Malformed::new(what, 0))?;
        let (salt, rest) = rest.split_first_chunk().ok_or(Malformed::new(what, 4))?;
        let (stored_key, rest) = rest.split_first_chunk().ok_or(Malformed::new(what, 20))?;
        let server_key = rest.try_into().map_err(|_| Malformed::new(what, 52))?;
        let iterations = u32::from_be_bytes(*iterations);
        Ok(Self { salt: *salt, iterations, stored_key: *stored_key, server_key })
    }
}

/// The proof that a client sends, and the signature that it has to get back.
#[must_use]
pub fn scram_proof(keys: &ScramKeys, auth_message: &[u8]) -> ([u8; KEY_OCTETS], [u8; KEY_OCTETS]) {
    let mut proof = sign(&hash(&keys.client), auth_message);
    proof.iter_mut().zip(&keys.client).for_each(|(octet, key)| *octet ^= key);
    (proof, sign(&keys.server, auth_message))
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramKeys").finish_non_exhaustive()
    }
}

/// A password as it is hashed: compatibility characters and the order of accents made alike, spaces of all
/// kinds one (the steps of SASLprep that change anything, RFC 4013 §2).
fn prepared(password: &str) -> String {
    if password.is_ascii() {
        return password.to_owned();
    }
    let space = |c: char| if c != ' ' && c.is_whitespace() && !c.is_control() { ' ' } else { c };
    let kept = |c: &char| !matches!(c, '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}');
    password.chars().map(space).filter(kept).nfkc().collect()
}

fn sign(key: &[u8], message: &[u8]) -> [u8; KEY_OCTETS] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut octets = [0; KEY_OCTETS];
    octets.copy_from_slice(tag.as_ref());
    octets
}

fn hash(octets: &[u8]) -> [u8; KEY_OCTETS] {
    let digest = digest::digest(&digest::SHA256, octets);
    let mut octets = [0; KEY_OCTETS];
    octets.copy_from_slice(digest.as_ref());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_knows_its_password_alone_and_reads_back() {
        let verifier = ScramVerifier::derive("pencil", [7; SCRAM_SALT_OCTETS], SCRAM_ITERATIONS_MIN);
        for (password, right) in [("pencil", true), ("pencils", false), ("", false)] {
            let keys = ScramKeys::derive(password, &verifier.salt, verifier.iterations);
            let (proof, signature) = scram_proof(&keys, b"all messages");
            assert_eq!(verifier.verify(b"all messages", &proof), right.then_some(signature), "{password}");
            assert_eq!(verifier.verify(b"other messages", &proof), None);
            assert_eq!(verifier.verify(b"all messages", &proof[1..]), None);
        }
        let record = verifier.encode();
        assert_eq!(ScramVerifier::decode(&record), Ok(verifier));
        for length in 0..record.len() {
            assert!(ScramVerifier::decode(&record[..length]).is_err());
        }
    }

    #[test]
    fn passwords_that_look_alike_are_alike() {
        // RFC 4013 §3.
        for (one, other) in [("I\u{AD}X", "IX"), ("\u{AA}", "a"), ("\u{2168}", "IX"), ("a\u{A0}b", "a b")] {
            assert_eq!(prepared(one), other);
        }
        assert_eq!(prepared("USER"), "USER");
    }

    #[test]
    fn nobody_has_the_same_salt_each_time_and_each_nobody_another() {
        let of = |name| ScramVerifier::of_nobody(b"key", name, SCRAM_ITERATIONS_MIN);
        assert_eq!(of("ann"), of("ann"));
        assert_ne!(of("ann").salt, of("bob").salt);
    }
}
