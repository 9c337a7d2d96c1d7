//! Which hosts take the mail of a domain (RFC 5321 §5.1): a route that the operator set, an address
//! literal, or the domain's MX records in their order.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use doorway_base::Random;
use doorway_net::resolve::{Exchanger, ResolveError};

use crate::address::Domain;
use crate::reply::{Enhanced, Reply};

/// Most hosts of one domain that are tried.
pub const HOSTS_MAX: usize = 10;

/// Where mail is sent instead of asking DNS. `T` is what the client needs to know to get there.
#[derive(Debug, Clone)]
pub struct Routes<T> {
    domains: BTreeMap<String, Arc<T>>,
    others: Option<Arc<T>>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { domains: BTreeMap::new(), others: None }
    }
}

impl<T> Routes<T> {
    /// Sends the mail of `domain`, or of every domain without a route when that is `*`, this way.
    pub fn add(&mut self, domain: &str, way: T) {
        match domain {
            "*" => self.others = Some(Arc::new(way)),
            domain => drop(self.domains.insert(domain.to_ascii_lowercase(), Arc::new(way))),
        }
    }

    /// The route of a domain, if it has one.
    #[must_use]
    pub fn of(&self, domain: &Domain) -> Option<&Arc<T>> {
        let name = domain.ascii().unwrap_or_else(|| domain.to_string());
        self.domains.get(&name).or(self.others.as_ref())
    }
}

/// Who we are, so that mail is not sent to ourselves for ever.
#[derive(Debug, Clone, Default)]
pub struct Ourselves {
    /// Our host names, in lower case.
    pub names: Vec<String>,
    /// Our addresses.
    pub addresses: Vec<IpAddr>,
}

/// The hosts that take mail for `domain`, best first, given what DNS said of its MX records. Equals come in
/// random order; of the list only what is better than ourselves is left.
///
/// # Errors
/// The reply that ends the message's way, or puts it off.
pub fn hosts(
    domain: &str,
    found: Result<Vec<Exchanger>, ResolveError>,
    ourselves: &Ourselves,
    random: &mut Random,
) -> Result<Vec<String>, Reply> {
    let mut exchangers = match found {
        Ok(found) => found,
        // No MX record: the domain itself is the host.
        Err(ResolveError::NoAddress) => vec![Exchanger { preference: 0, host: domain.to_owned() }],
        Err(error) => return Err(unresolved(domain, &error)),
    };
    if exchangers.iter().all(|exchanger| exchanger.host.is_empty()) {
        return Err(Reply::new(556, Enhanced(5, 1, 10), format!("{domain} takes no mail (null MX)")));
    }
    exchangers.retain(|exchanger| !exchanger.host.is_empty());
    let mut drawn: Vec<(u16, u64, String)> = exchangers
        .into_iter()
        .map(|exchanger| (exchanger.preference, random.next_u64(), exchanger.host.to_ascii_lowercase()))
        .collect();
    drawn.sort();
    let is_us = |host: &str| ourselves.names.iter().any(|name| name == host);
    if let Some(ours) = drawn.iter().find(|(_, _, host)| is_us(host)).map(|(preference, _, _)| *preference) {
        drawn.retain(|(preference, _, _)| *preference < ours);
    }
    if drawn.is_empty() {
        return Err(loops_back(domain));
    }
    Ok(drawn.into_iter().map(|(_, _, host)| host).take(HOSTS_MAX).collect())
}

/// What to answer when DNS had no address for `name`.
#[must_use]
pub fn unresolved(name: &str, error: &ResolveError) -> Reply {
    match error {
        ResolveError::NoSuchName => {
            Reply::new(550, Enhanced(5, 1, 2), format!("the domain {name} does not exist"))
        }
        ResolveError::NoAddress => Reply::new(550, Enhanced(5, 1, 2), format!("{name} has no address")),
        ResolveError::Unavailable(why) => {
            Reply::new(451, Enhanced(4, 4, 3), format!("{name} could not be looked up: {why}"))
        }
    }
}

/// What to answer when the way of `domain` leads to ourselves, who do not know it.
#[must_use]
pub fn loops_back(domain: &str) -> Reply {
    let text = format!("mail for {domain} leads back to this host, which does not take it");
    Reply::new(554, Enhanced(5, 4, 6), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(found: Result<&[(u16, &str)], ResolveError>, seed: u64) -> Result<Vec<String>, String> {
        let found = found.map(|found| {
            let exchanger = |(preference, host): &(u16, &str)| Exchanger {
                preference: *preference,
                host: (*host).to_owned(),
            };
            found.iter().map(exchanger).collect()
        });
        let ourselves = Ourselves { names: vec!["mx.us.test".into()], addresses: Vec::new() };
        hosts("x.test", found, &ourselves, &mut Random::new(seed)).map_err(|reply| reply.to_string())
    }

    fn check(found: Result<&[(u16, &str)], ResolveError>, expected: &str) {
        let got = ask(found, 1).map_or_else(|reply| reply, |hosts| hosts.join(" "));
        assert!(got.starts_with(expected), "{got} is not {expected}");
    }

    #[test]
    fn hosts_are_those_of_the_mx_records_in_their_order() {
        check(Ok(&[(20, "b.test"), (10, "A.test"), (30, "c.test")]), "a.test b.test c.test");
        check(Err(ResolveError::NoAddress), "x.test");
        check(Ok(&[(0, "")]), "556 5.1.10");
        check(Ok(&[(0, ""), (10, "a.test")]), "a.test");
        check(Err(ResolveError::NoSuchName), "550 5.1.2");
        check(Err(ResolveError::Unavailable("SERVFAIL".into())), "451 4.4.3");
    }

    #[test]
    fn mail_goes_only_to_hosts_that_are_better_than_ourselves() {
        check(Ok(&[(10, "a.test"), (20, "MX.us.test"), (20, "b.test"), (30, "c.test")]), "a.test");
        check(Ok(&[(10, "mx.us.test"), (20, "b.test")]), "554 5.4.6");
    }

    #[test]
    fn equals_take_turns() {
        let first =
            |seed| ask(Ok(&[(10, "a.test"), (10, "b.test"), (10, "c.test")]), seed).unwrap()[0].clone();
        let mut firsts: Vec<_> = (0..50).map(first).collect();
        firsts.sort();
        firsts.dedup();
        assert_eq!(firsts, ["a.test", "b.test", "c.test"]);
    }

    #[test]
    fn a_route_is_found_by_domain_and_else_by_the_star() {
        let mut routes = Routes::default();
        routes.add("Partner.test", 1);
        let find =
            |routes: &Routes<i32>, domain: &str| routes.of(&Domain::parse(domain).unwrap()).map(|way| **way);
        assert_eq!(find(&routes, "partner.test"), Some(1));
        assert_eq!(find(&routes, "other.test"), None);
        routes.add("*", 2);
        assert_eq!(find(&routes, "other.test"), Some(2));
        assert_eq!(find(&routes, "[192.0.2.1]"), Some(2));
        routes.add("xn--fsqu00a.test", 3);
        assert_eq!(find(&routes, "例子.test"), Some(3));
    }
}
