//! Whose address it is: domains, users, aliases, groups, subaddresses, and what takes the rest. Pure: who
//! is a user is asked by the caller, step by step.

use std::collections::{BTreeMap, BTreeSet};

use doorway_store::{Role, user_name};

use crate::address::{Address, Domain};
use crate::config::{AliasConfig, Config};

/// Local parts that every domain has (RFC 5321 §4.5.1, RFC 2142 §2).
pub const ALWAYS: [&str; 2] = ["postmaster", "abuse"];

/// Who is meant by an alias.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A user here.
    User(String),
    /// An address, here or elsewhere.
    Address(Address),
    /// Every active user who has the role.
    Role(Role),
}

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'d> {
    /// Not of a domain that is kept here.
    Elsewhere,
    /// It stands for these.
    Alias(&'d [Target]),
    /// It is this user's, if there is one; else it is for those.
    User {
        /// The name, as users are called.
        name: String,
        /// What stands behind the separator.
        detail: Option<String>,
        /// Who takes what is nobody's; empty for none.
        otherwise: &'d [Target],
    },
    /// Of a domain here, and no user can have it; else it is for those.
    Nobody {
        /// Who takes what is nobody's; empty for none.
        otherwise: &'d [Target],
    },
}

/// The addresses kept here.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    domains: BTreeSet<String>,
    /// By local part and domain, in lower case; the domain is empty for all of them.
    aliases: BTreeMap<(String, String), Vec<Target>>,
    catch_alls: BTreeMap<String, Vec<Target>>,
    postmaster: Vec<Target>,
    subaddress: Option<char>,
}

impl Directory {
    /// The directory that the config describes for these domains, in ASCII. What [`Config::wrong`] tells
    /// of is left out.
    #[must_use]
    pub fn new(config: &Config, domains: &[String]) -> Self {
        let mut directory = Self {
            domains: domains.iter().cloned().collect(),
            postmaster: config.postmaster.iter().filter_map(|to| target(to)).collect(),
            subaddress: config.subaddress,
            ..Self::default()
        };
        for AliasConfig { address, to } in &config.aliases {
            let targets: Vec<Target> = to.iter().filter_map(|to| target(to)).collect();
            let address = address.to_lowercase();
            match address.rsplit_once('@') {
                Some(("", domain)) => {
                    directory.catch_alls.entry(ascii(domain)).or_default().extend(targets);
                }
                Some((local, domain)) => {
                    directory.aliases.entry((local.to_owned(), ascii(domain))).or_default().extend(targets);
                }
                None => directory.aliases.entry((address, String::new())).or_default().extend(targets),
            }
        }
        directory
    }

    /// Whether mail for this domain is kept here.
    #[must_use]
    pub fn is_here(&self, domain: &Domain) -> bool {
        domain.ascii().is_some_and(|domain| self.domains.contains(&domain))
    }

    /// The domains kept here, in ASCII.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(String::as_str)
    }

    /// What an address is. Letters' case does not matter in the local parts of these domains.
    #[must_use]
    pub fn look_up(&self, address: &Address) -> Lookup<'_> {
        let Some(domain) = address.domain.ascii().filter(|domain| self.domains.contains(domain)) else {
            return Lookup::Elsewhere;
        };
        let local = address.local.to_lowercase();
        let (base, detail) = match self.subaddress.and_then(|separator| local.split_once(separator)) {
            Some((base, detail)) if !base.is_empty() => (base.to_owned(), Some(detail.to_owned())),
            _ => (local.clone(), None),
        };
        for name in [&local, &base] {
            let of = |domain: &str| self.aliases.get(&(name.clone(), domain.to_owned()));
            if let Some(targets) = of(&domain).or_else(|| of("")) {
                return Lookup::Alias(targets);
            }
        }
        if ALWAYS.contains(&base.as_str()) {
            return Lookup::Alias(&self.postmaster);
        }
        let otherwise = self.catch_alls.get(&domain).map_or(&[][..], Vec::as_slice);
        match user_name(&base) {
            Ok(name) => Lookup::User { name, detail, otherwise },
            Err(_) => Lookup::Nobody { otherwise },
        }
    }

    /// Whether everything for postmaster, whose address may lack its domain (RFC 5321 §4.5.1).
    #[must_use]
    pub fn postmaster(&self) -> &[Target] {
        &self.postmaster
    }
}

fn ascii(domain: &str) -> String {
    Domain::parse(domain).ok().and_then(|domain| domain.ascii()).unwrap_or_else(|| domain.to_owned())
}

fn target(to: &str) -> Option<Target> {
    match to.strip_prefix('@') {
        Some(role) => role.parse().ok().map(Target::Role),
        None if to.contains('@') => Address::parse(to).ok().map(Target::Address),
        None => user_name(to).ok().map(Target::User),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let alias = |address: &str, to: &[&str]| AliasConfig {
            address: address.into(),
            to: to.iter().map(|to| (*to).to_owned()).collect(),
        };
        let aliases = vec![
            alias("Sales@example.test", &["ann", "bob@elsewhere.test"]),
            alias("all", &["@user"]),
            alias("@catch.test", &["ann"]),
            alias("ann+lists@example.test", &["bob"]),
        ];
        let config = Config { aliases, ..Config::default() };
        let domains = ["example.test", "catch.test", "xn--fsqu00a.xn--0zwm56d"].map(str::to_owned);
        Directory::new(&config, &domains)
    }

    #[track_caller]
    fn check(address: &str, expected: &str) {
        let directory = directory();
        let address = Address::parse(address).expect("an address");
        let found = match directory.look_up(&address) {
            Lookup::Elsewhere => "elsewhere".to_owned(),
            Lookup::Alias(targets) => format!("alias of {}", targets.len()),
            Lookup::User { name, detail, otherwise } => {
                let detail = detail.map(|detail| format!("+{detail}")).unwrap_or_default();
                format!("{name}{detail} or {}", otherwise.len())
            }
            Lookup::Nobody { otherwise } => format!("nobody or {}", otherwise.len()),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_address_is_an_alias_before_it_is_a_user() {
        check("ANN@Example.Test", "ann or 0");
        check("ann+news@example.test", "ann+news or 0");
        check("ann+lists@example.test", "alias of 1");
        check("sales@example.test", "alias of 2");
        check("sales@catch.test", "sales or 1");
        check("sales+2026@example.test", "alias of 2");
        check("all@catch.test", "alias of 1");
        check("用户@例子.测试", "nobody or 0");
        check("ann@例子.测试", "ann or 0");
        check("ann@elsewhere.test", "elsewhere");
        check("ann@[127.0.0.1]", "elsewhere");
        check("Postmaster@example.test", "alias of 1");
        check("abuse+x@catch.test", "alias of 1");
    }

    #[test]
    fn no_spelling_of_an_address_here_leads_elsewhere() {
        check("\"bob@elsewhere.test\"@example.test", "nobody or 0");
        check("bob%elsewhere.test@example.test", "nobody or 0");
        check("elsewhere.test!bob@example.test", "nobody or 0");
        check("+ann@example.test", "nobody or 0");
    }
}
