//! Passwords: argon2id for what people choose (RFC 9106), random app passwords for programs.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use doorway_base::{Malformed, UnixTime};

use crate::fields::{FieldWriter, fields};
use crate::key::Key;

/// Fewest characters of a password that a person chooses: default of `auth.password_min`.
pub const PASSWORD_MIN: usize = 10;
/// Longest password that is looked at, in octets.
pub const PASSWORD_OCTETS_MAX: usize = 1024;
/// Octets of the random salt of a password.
pub(crate) const SALT_OCTETS: usize = 16;
/// Octets of an app password: 128 bits nobody can guess, so a fast hash is enough.
pub(crate) const APP_PASSWORD_OCTETS: usize = 16;

/// What one check of a password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Preset {
    /// 19 MiB, 2 passes: about 30 ms of one core.
    pub const NORMAL: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
    /// 64 MiB, 3 passes: about 200 ms of one core.
    pub const STRONG: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    fn argon2(self) -> Option<Argon2<'static>> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None).ok()?;
        Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

impl Default for Preset {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// The password's hash as a PHC string; `None` for a preset that argon2 does not allow.
pub(crate) fn hash(password: &str, salt: &[u8; SALT_OCTETS], preset: Preset) -> Option<String> {
    let salt = SaltString::encode_b64(salt).ok()?;
    let hash = preset.argon2()?.hash_password(password.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

/// Whether the password is the one that was hashed. Costs what the stored preset costs.
pub(crate) fn verify(password: &str, stored: &str) -> bool {
    let Ok(hash) = PasswordHash::new(stored) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// Whether a hash was made with other costs than `preset` asks for.
pub(crate) fn is_outdated(stored: &str, preset: Preset) -> bool {
    let Ok(hash) = PasswordHash::new(stored) else { return true };
    let Ok(params) = Params::try_from(&hash) else { return true };
    let found = Preset { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
    hash.algorithm != Algorithm::Argon2id.ident() || found != preset
}

/// A password of a program's own, as kept and shown in lists; the secret itself is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Names it in lists and for removal: 16 octets of the secret's hash, in hexadecimal.
    pub id: String,
    /// What it is for, in the user's words.
    pub label: String,
    /// Protocols it opens, such as `imap`; all of them when empty.
    pub protocols: Vec<String>,
    /// When it was made.
    pub created: UnixTime,
    /// When it ends; never when `None`.
    pub expires: Option<UnixTime>,
    /// When it was last used, to the minute.
    pub last_use: Option<UnixTime>,
}

impl AppPassword {
    /// Whether it opens `protocol` at `now`.
    #[must_use]
    pub fn opens(&self, protocol: &str, now: UnixTime) -> bool {
        let in_time = self.expires.is_none_or(|expires| now < expires);
        in_time && (self.protocols.is_empty() || self.protocols.iter().any(|allowed| allowed == protocol))
    }

    pub(crate) fn encode(&self, hash: &[u8; 32]) -> Vec<u8> {
        let mut record = FieldWriter::default().octets(1, hash).text(2, &self.label).time(3, self.created);
        if let Some(expires) = self.expires {
            record = record.time(4, expires);
        }
        for protocol in &self.protocols {
            record = record.text(5, protocol);
        }
        record.finish()
    }

    /// The app password and the hash of its secret.
    pub(crate) fn decode(record: &[u8]) -> Result<(Self, [u8; 32]), Malformed> {
        let mut hash = None;
        let mut password = Self {
            id: String::new(),
            label: String::new(),
            protocols: Vec::new(),
            created: UnixTime::default(),
            expires: None,
            last_use: None,
        };
        for field in fields(record) {
            let field = field?;
            match field.tag {
                1 => hash = <[u8; 32]>::try_from(field.octets).ok(),
                2 => password.label = field.text()?,
                3 => password.created = field.time()?,
                4 => password.expires = Some(field.time()?),
                5 => password.protocols.push(field.text()?),
                _ => {}
            }
        }
        let hash = hash.ok_or(Malformed::new("an app password's hash", 0))?;
        password.id = hex(&hash[..16]);
        Ok((password, hash))
    }
}

/// Rows `user.app/NAME/ID`.
pub(crate) const APP_PASSWORDS: &str = "user.app/";

/// Those of one user.
pub(crate) fn app_prefix(name: &str) -> Key {
    Key::from(APP_PASSWORDS).join(name).join("/")
}

/// Rows `user.app.used/NAME/ID`: when it was used last, in nanoseconds since 1970.
pub(crate) fn app_used_prefix(name: &str) -> Key {
    Key::from("user.app.used/").join(name).join("/")
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The secret as people copy it: base32 (RFC 4648 §6) in lower case, 26 letters and digits in four groups.
pub(crate) fn app_secret(random: &[u8; APP_PASSWORD_OCTETS]) -> String {
    let bits = u128::from_be_bytes(*random);
    // 26 letters of 5 bits are 130 bits: the last letter has two bits of nothing, as in base32.
    let letters = (0..26u32).map(|at| {
        let shift = 123i32 - 5 * at.cast_signed();
        let five = if shift >= 0 { bits >> shift } else { bits << -shift };
        char::from(BASE32[(five & 31) as usize])
    });
    let mut text = String::with_capacity(29);
    for (at, letter) in letters.enumerate() {
        if at == 7 || at == 14 || at == 20 {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

/// The hash of what might be an app password, however it was typed; `None` when it cannot be one.
pub(crate) fn app_hash(secret: &str) -> Option<[u8; 32]> {
    if secret.len() > 64 {
        return None;
    }
    let letters: String =
        secret.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    let plausible = letters.len() == 26 && letters.bytes().all(|letter| BASE32.contains(&letter));
    plausible.then(|| blake3::derive_key("doorway app password 1", letters.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Preset = Preset { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn a_password_verifies_against_its_hash_only() {
        let stored = hash("correct horse", &[1; 16], CHEAP).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert!(verify("correct horse", &stored));
        assert!(!verify("correct horsf", &stored));
        assert!(!verify("correct horse", "not a hash"));
        assert!(!is_outdated(&stored, CHEAP));
        assert!(is_outdated(&stored, Preset::NORMAL));
    }

    #[test]
    fn an_app_password_is_128_bits_in_four_groups() {
        assert_eq!(app_secret(&[0; 16]), "aaaaaaa-aaaaaaa-aaaaaa-aaaaaa");
        assert_eq!(app_secret(&[0xff; 16]), "7777777-7777777-777777-777774");
        let secret = app_secret(b"0123456789abcdef");
        assert_eq!(secret.replace('-', ""), "gaytemzugu3doobzmfrggzdfmy");
        assert_eq!(app_hash(&secret), app_hash(&secret.replace('-', " ").to_uppercase()));
        assert!(app_hash(&secret).is_some());
        assert_eq!(app_hash("a password of a person"), None);
    }

    #[test]
    fn an_app_password_opens_its_protocols_until_it_ends() {
        let hash = [7; 32];
        let password = AppPassword {
            id: hex(&hash[..16]),
            label: "phone".into(),
            protocols: vec!["imap".into()],
            created: UnixTime::from_secs(1),
            expires: Some(UnixTime::from_secs(100)),
            last_use: None,
        };
        assert_eq!(AppPassword::decode(&password.encode(&hash)), Ok((password.clone(), hash)));
        assert!(password.opens("imap", UnixTime::from_secs(99)));
        assert!(!password.opens("imap", UnixTime::from_secs(100)));
        assert!(!password.opens("smtp", UnixTime::from_secs(99)));
    }
}
