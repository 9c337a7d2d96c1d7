//! Users: who they are, what they may do, and how a user is stored. Passwords are in `password.rs`,
//! checking them in `io/users.rs`.

use std::fmt;
use std::str::FromStr;

use doorway_base::{Malformed, UnixTime};

use crate::fields::{FieldWriter, fields};
use crate::key::Key;
use crate::scram::ScramVerifier;

/// Longest user name, in octets.
pub const USER_NAME_OCTETS_MAX: usize = 64;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything but users and keys.
    Operator,
    /// Their own mail, files and pages.
    User,
    /// Looking only.
    Viewer,
    /// A machine that logs in, such as a scanner that sends mail.
    Device,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Operator, Self::User, Self::Viewer, Self::Device];

    /// The name used in commands and on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::User => "user",
            Self::Viewer => "viewer",
            Self::Device => "device",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or(Malformed::new("one of admin, operator, user, viewer, device", 0))
    }
}

/// Whether a user may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserState {
    /// May log in.
    #[default]
    Active,
    /// May not; mail still arrives.
    Suspended,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Number that never names anybody else, even when the name is given to a new user.
    pub id: u64,
    /// The name to log in with, as [`user_name`] allows.
    pub name: String,
    /// The name for people.
    pub display: String,
    /// What they may do, in the order of [`Role::ALL`], each once.
    pub roles: Vec<Role>,
    /// Whether they may log in.
    pub state: UserState,
    /// When the user was added.
    pub created: UnixTime,
    /// When anything about the user changed last, the password included.
    pub changed: UnixTime,
}

impl User {
    /// True when the user has this role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// A user name in its one form: ASCII letters in lower case, digits, and `.`, `_`, `-` between them,
/// beginning and ending with a letter or a digit, at most 64 octets.
///
/// # Errors
/// [`Malformed`] with the octet that is not allowed there.
pub fn user_name(text: &str) -> Result<String, Malformed> {
    if text.is_empty() || text.len() > USER_NAME_OCTETS_MAX {
        return Err(Malformed::new("a user name of 1 to 64 letters and digits", text.len()));
    }
    let name = text.to_ascii_lowercase();
    let octets = name.as_bytes();
    for (at, octet) in octets.iter().enumerate() {
        let edge = at == 0 || at + 1 == octets.len();
        match octet {
            b'a'..=b'z' | b'0'..=b'9' => {}
            b'.' | b'_' | b'-' if !edge && octets[at - 1] != b'.' => {}
            _ => return Err(Malformed::new("a letter or a digit in a user name", at)),
        }
    }
    Ok(name)
}

/// A user as stored: with what proves who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: User,
    /// The password's hash, as a PHC string; `None` when only app passwords open it.
    pub(crate) password: Option<String>,
    /// What SCRAM keeps of the password; `None` for one that was set before it was kept.
    pub(crate) scram: Option<ScramVerifier>,
}

/// Rows `user/NAME`.
pub(crate) const USERS: &str = "user/";
/// The counter of user numbers.
pub(crate) const NEXT_ID: &str = "user.next";
/// The secret from which the salts of unknown users come.
pub(crate) const SCRAM_KEY: &str = "user.scram-key";

pub(crate) fn user_key(name: &str) -> Key {
    Key::from(USERS).join(name)
}

mod tag {
    pub(super) const ID: u8 = 1;
    pub(super) const NAME: u8 = 2;
    pub(super) const DISPLAY: u8 = 3;
    pub(super) const ROLE: u8 = 4;
    pub(super) const SUSPENDED: u8 = 5;
    pub(super) const CREATED: u8 = 6;
    pub(super) const CHANGED: u8 = 7;
    pub(super) const PASSWORD: u8 = 8;
    pub(super) const SCRAM: u8 = 9;
}

impl Account {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let user = &self.user;
        let mut record = FieldWriter::default()
            .number(tag::ID, user.id)
            .text(tag::NAME, &user.name)
            .text(tag::DISPLAY, &user.display)
            .time(tag::CREATED, user.created)
            .time(tag::CHANGED, user.changed);
        for role in &user.roles {
            record = record.text(tag::ROLE, role.name());
        }
        if user.state == UserState::Suspended {
            record = record.octets(tag::SUSPENDED, &[]);
        }
        if let Some(password) = &self.password {
            record = record.text(tag::PASSWORD, password);
        }
        if let Some(scram) = &self.scram {
            record = record.octets(tag::SCRAM, &scram.encode());
        }
        record.finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, Malformed> {
        let mut user = User {
            id: 0,
            name: String::new(),
            display: String::new(),
            roles: Vec::new(),
            state: UserState::Active,
            created: UnixTime::default(),
            changed: UnixTime::default(),
        };
        let (mut password, mut scram) = (None, None);
        for field in fields(record) {
            let field = field?;
            match field.tag {
                tag::ID => user.id = field.number()?,
                tag::NAME => user.name = field.text()?,
                tag::DISPLAY => user.display = field.text()?,
                tag::ROLE => user.roles.push(field.text()?.parse()?),
                tag::SUSPENDED => user.state = UserState::Suspended,
                tag::CREATED => user.created = field.time()?,
                tag::CHANGED => user.changed = field.time()?,
                tag::PASSWORD => password = Some(field.text()?),
                tag::SCRAM => scram = Some(ScramVerifier::decode(field.octets)?),
                _ => {}
            }
        }
        if user.name.is_empty() {
            return Err(Malformed::new("a user's name", record.len()));
        }
        Ok(Self { user, password, scram })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_have_one_form() {
        for (text, name) in [("ann", "ann"), ("Ann.Lee", "ann.lee"), ("a-1_b", "a-1_b"), ("7", "7")] {
            assert_eq!(user_name(text).as_deref(), Ok(name));
        }
        for text in ["", ".ann", "ann.", "a..b", "a b", "a/b", "änn", "a@b", &"a".repeat(65)] {
            assert!(user_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_account_reads_back_and_no_prefix_of_it_panics() {
        let user = User {
            id: 7,
            name: "ann".into(),
            display: "Ann Lee".into(),
            roles: vec![Role::Admin, Role::User],
            state: UserState::Suspended,
            created: UnixTime::from_secs(1),
            changed: UnixTime::from_secs(2),
        };
        let scram = ScramVerifier::derive("secret", [7; 16], 1);
        let account = Account { user, password: Some("$argon2id$".into()), scram: Some(scram) };
        let record = account.encode();
        assert_eq!(Account::decode(&record).as_ref(), Ok(&account));
        for length in 0..record.len() {
            assert_ne!(Account::decode(&record[..length]).ok().as_ref(), Some(&account));
        }
        let newer = FieldWriter::default().octets(200, b"from a newer program").finish();
        assert_eq!(Account::decode(&[newer, record].concat()), Ok(account));
    }
}
