//! What a place demands of those who come: the realm, who they are, and how they may show it.

use std::fmt;

use doorway_store::{Role, user_name};

use super::verdicts::Person;

/// Somebody who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Every user.
    Anyone,
    /// The user of this name.
    User(String),
    /// Whoever has this role.
    Role(Role),
}

/// How a client may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Name and password in each request (RFC 7617).
    pub basic: bool,
    /// An app password in each request (RFC 6750).
    pub bearer: bool,
    /// A page with a form, and a session after it.
    pub form: bool,
}

/// What a place demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The name of what is protected, for people (RFC 9110 §11.5).
    pub realm: String,
    /// Who may come in; nobody when it is empty.
    pub users: Vec<Who>,
    /// How they may log in.
    pub ways: Ways,
}

/// A demand that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongDemand {
    /// Neither a user's name nor `@` and a role nor `*`.
    User(String),
    /// No way to log in of this name.
    Way(String),
}

impl fmt::Display for WrongDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(text) => {
                let roles = Role::ALL.map(|role| format!("@{role}")).join(", ");
                write!(f, "`{text}` is neither a user's name nor one of {roles}, nor `*` for every user")
            }
            Self::Way(text) if text == "digest" => f.write_str(
                "there is no digest: it needs a password's equal in the store, which keeps argon2id alone; use basic over TLS",
            ),
            Self::Way(text) => write!(f, "`{text}` is no way to log in; there are basic, bearer and form"),
        }
    }
}

impl std::error::Error for WrongDemand {}

impl Demand {
    /// Reads a demand as the config has it: names, `@role`s and `*` for every user, and the ways `basic`, `bearer` and `form`.
    ///
    /// # Errors
    /// [`WrongDemand`] for the first word that means nothing.
    pub fn read<T: AsRef<str>>(realm: &str, users: &[T], ways: &[T]) -> Result<Self, WrongDemand> {
        let who = |text: &T| {
            let text = text.as_ref();
            let wrong = || WrongDemand::User(text.to_owned());
            match text.strip_prefix('@') {
                None if text == "*" => Ok(Who::Anyone),
                Some(role) => role.parse().map(Who::Role).map_err(|_| wrong()),
                None => user_name(text).map(Who::User).map_err(|_| wrong()),
            }
        };
        let mut demand = Self {
            realm: realm.to_owned(),
            users: users.iter().map(who).collect::<Result<_, _>>()?,
            ways: Ways { basic: false, bearer: false, form: false },
        };
        for way in ways {
            match way.as_ref() {
                "basic" => demand.ways.basic = true,
                "bearer" => demand.ways.bearer = true,
                "form" => demand.ways.form = true,
                other => return Err(WrongDemand::Way(other.to_owned())),
            }
        }
        Ok(demand)
    }

    /// Whether somebody is among those who may come in.
    #[must_use]
    pub fn admits(&self, person: &Person) -> bool {
        self.users.iter().any(|who| match who {
            Who::Anyone => true,
            Who::User(name) => **name == *person.name,
            Who::Role(role) => person.roles.contains(role),
        })
    }

    /// The value of WWW-Authenticate (RFC 9110 §11.6.1); `None` where only the form is a way. `refused` says that a
    /// token was shown and did not hold.
    #[must_use]
    pub fn challenge(&self, refused: bool) -> Option<String> {
        let realm = self.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let mut challenges = Vec::new();
        if self.ways.basic {
            challenges.push(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
        }
        if self.ways.bearer {
            let error = if refused { ", error=\"invalid_token\"" } else { "" };
            challenges.push(format!("Bearer realm=\"{realm}\"{error}"));
        }
        (!challenges.is_empty()).then(|| challenges.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_admits_those_it_names() {
        let person = |name: &str, roles: &[Role]| Person { name: name.into(), roles: roles.to_vec() };
        let check = |users: &[&str], person: &Person, expected| {
            let demand = Demand::read("r", users, &["basic"]).unwrap();
            assert_eq!(demand.admits(person), expected, "{users:?} {person:?}");
        };
        check(&["*"], &person("bob", &[]), true);
        check(&[], &person("bob", &[Role::Admin]), false);
        check(&["ann"], &person("ann", &[]), true);
        check(&["Ann"], &person("ann", &[]), true);
        check(&["ann"], &person("bob", &[Role::Admin]), false);
        check(&["@operator"], &person("bob", &[Role::Operator]), true);
        check(&["@operator", "ann"], &person("carl", &[Role::User]), false);
    }

    #[test]
    fn words_that_mean_nothing_are_told() {
        let wrong = |users: &[&str], ways: &[&str]| Demand::read("r", users, ways).unwrap_err().to_string();
        assert!(wrong(&["@staff"], &[]).contains("@admin"));
        assert!(wrong(&["a b"], &[]).starts_with("`a b` is neither"));
        assert!(wrong(&[], &["digest"]).contains("argon2id"));
        assert!(wrong(&[], &["oauth"]).contains("basic, bearer and form"));
    }

    #[test]
    fn challenges_are_those_of_the_ways() {
        let challenge = |ways: &[&str]| Demand::read("a \"b\"", &[], ways).unwrap().challenge(true);
        assert_eq!(challenge(&["basic"]).unwrap(), r#"Basic realm="a \"b\"", charset="UTF-8""#);
        let both = r#"Basic realm="a \"b\"", charset="UTF-8", Bearer realm="a \"b\"", error="invalid_token""#;
        assert_eq!(challenge(&["basic", "bearer", "form"]).unwrap(), both);
        assert_eq!(challenge(&["form"]), None);
    }
}
