//! The jar: which cookies a client keeps, and which it sends with a request (RFC 6265bis §5.7, §5.8).

use std::collections::BTreeMap;
use std::time::Duration;

use doorway_base::UnixTime;

use super::domain::{
    begins_with, canonical, default_path, domain_matches, is_address, is_public_suffix, path_matches,
};
use super::received::Received;
use super::set::SameSite;

/// Most cookies of one domain.
pub const COOKIES_PER_DOMAIN_MAX: usize = 50;
/// Most cookies in all.
pub const COOKIES_MAX: usize = 3000;
/// The longest that a cookie lasts, whatever it says: 400 days.
pub const LIFETIME_MAX: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Where a request goes, as far as cookies are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Whether it goes over TLS.
    pub secure: bool,
    /// The host of its URL: a name, with A-labels, or an address.
    pub host: &'a str,
    /// The path of its URL, with its percent coding.
    pub path: &'a str,
}

/// Who caused a request (RFC 6265bis §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Crossing {
    /// The site itself, or a person who typed the address.
    #[default]
    SameSite,
    /// Another site, whose link or form took the person here; `safe` for GET, HEAD, OPTIONS and TRACE.
    Navigation {
        /// Whether the method changes nothing.
        safe: bool,
    },
    /// Another site, for a part of its page.
    CrossSite,
}

/// A cookie in the jar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The name; empty when it has none.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// The host it came from, or the Domain it asked for.
    pub domain: String,
    /// Whether it is for that host alone, and not for those below it.
    pub host_only: bool,
    /// The path at and below which it is sent.
    pub path: String,
    /// Sent over TLS alone.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
    /// What it says about other sites; `None` counts as [`SameSite::Lax`].
    pub same_site: Option<SameSite>,
    /// When it ends; `None` ends with the client's run.
    pub expires: Option<UnixTime>,
    /// When it was first set.
    pub created: UnixTime,
    /// When it was last set or sent.
    pub used: UnixTime,
    /// Order among those created at the same moment.
    order: u64,
}

/// Why a Set-Cookie field left no cookie behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unkept {
    /// It holds no cookie, or one that is too long.
    Malformed,
    /// Its Domain is a public suffix, such as `co.uk`.
    PublicSuffix,
    /// Its Domain is not that of the host that set it.
    Domain,
    /// It is Secure and did not come over TLS.
    Secure,
    /// It did not come over TLS and would hide one that did.
    Overlay,
    /// A part of another site's page set it, and it does not say SameSite=None.
    SameSite,
    /// It says SameSite=None and is not Secure.
    SameSiteNone,
    /// Its name begins with `__Secure-` or `__Host-` and it does not keep that promise.
    Prefix,
    /// It was over when it came; one of the same name is removed by it.
    Expired,
}

/// The cookies of one client.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    /// By domain; none is empty.
    domains: BTreeMap<String, Vec<Kept>>,
    count: usize,
    order: u64,
}

impl Jar {
    /// An empty jar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many cookies there are, those that have ended and were not yet removed included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Every cookie, by domain and in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.domains.values().flatten()
    }

    /// Takes the value of a Set-Cookie field that came in the response to a request for `place`.
    ///
    /// # Errors
    /// [`Unkept`] when no cookie is kept.
    pub fn set(
        &mut self,
        now: UnixTime,
        place: &Place<'_>,
        crossing: Crossing,
        field: &[u8],
    ) -> Result<(), Unkept> {
        let received = Received::parse(field).ok_or(Unkept::Malformed)?;
        let cookie = self.admit(now, place, crossing, &received)?;
        self.put(now, cookie)
    }

    /// The value of the Cookie field for a request for `place`; `None` when there is nothing to send.
    pub fn header(&mut self, now: UnixTime, place: &Place<'_>, crossing: Crossing) -> Option<Vec<u8>> {
        let host = canonical(place.host);
        let path = if place.path.starts_with('/') { place.path } else { "/" };
        let mut sent: Vec<&mut Kept> = Vec::new();
        for (domain, cookies) in &mut self.domains {
            if domain_matches(&host, domain) {
                sent.extend(cookies.iter_mut().filter(|cookie| {
                    cookie.expires.is_none_or(|expires| now < expires)
                        && (!cookie.host_only || host == *domain)
                        && path_matches(path, &cookie.path)
                        && (place.secure || !cookie.secure)
                        && cookie.crosses(crossing)
                }));
            }
        }
        sent.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.created, cookie.order));
        let mut field = Vec::new();
        for cookie in sent {
            cookie.used = cookie.used.max(now);
            if !field.is_empty() {
                field.extend_from_slice(b"; ");
            }
            if !cookie.name.is_empty() {
                field.extend_from_slice(&cookie.name);
                field.push(b'=');
            }
            field.extend_from_slice(&cookie.value);
        }
        (!field.is_empty()).then_some(field)
    }

    /// Ends the client's run: what has no date to end at ends here.
    pub fn end_session(&mut self) {
        self.retain(|cookie| cookie.expires.is_some());
    }

    // RFC 6265bis §5.7, steps 3 to 21.
    fn admit(
        &self,
        now: UnixTime,
        place: &Place<'_>,
        crossing: Crossing,
        received: &Received<'_>,
    ) -> Result<Kept, Unkept> {
        let host = canonical(place.host);
        let expires = match received.max_age {
            Some(max_age) => Some(now + max_age.min(LIFETIME_MAX)),
            None => received.expires.map(|expires| expires.min(now + LIFETIME_MAX)),
        };
        let mut asked = None;
        if let Some(domain) = &received.domain {
            let domain = std::str::from_utf8(domain).ok().filter(|domain| domain.is_ascii());
            let domain = domain.ok_or(Unkept::Domain)?;
            if domain == host {
                // Where Domain is a public suffix that is a host itself, the cookie is for it alone.
                asked = (!is_public_suffix(domain) && !is_address(domain)).then(|| domain.to_owned());
            } else if is_public_suffix(domain) {
                return Err(Unkept::PublicSuffix);
            } else if domain_matches(&host, domain) {
                asked = Some(domain.to_owned());
            } else {
                return Err(Unkept::Domain);
            }
        }
        let host_only = asked.is_none();
        let domain = asked.unwrap_or(host);
        let path = match received.path {
            Some(path) => String::from_utf8_lossy(path).into_owned(),
            None => default_path(place.path).to_owned(),
        };
        if received.secure && !place.secure {
            return Err(Unkept::Secure);
        }
        if !received.secure && !place.secure && self.hides_secure(received.name, &domain, &path) {
            return Err(Unkept::Overlay);
        }
        if received.same_site != Some(SameSite::None) && crossing == Crossing::CrossSite {
            return Err(Unkept::SameSite);
        }
        if received.same_site == Some(SameSite::None) && !received.secure {
            return Err(Unkept::SameSiteNone);
        }
        let whole = received.secure && host_only && received.path == Some(b"/");
        let promise = if received.name.is_empty() { received.value } else { received.name };
        let kept = if begins_with(promise, b"__Secure-") {
            received.secure && !received.name.is_empty()
        } else if begins_with(promise, b"__Host-") {
            whole && !received.name.is_empty()
        } else {
            true
        };
        if !kept {
            return Err(Unkept::Prefix);
        }
        Ok(Kept {
            name: received.name.to_vec(),
            value: received.value.to_vec(),
            domain,
            host_only,
            path,
            secure: received.secure,
            http_only: received.http_only,
            same_site: received.same_site,
            expires,
            created: now,
            used: now,
            order: 0,
        })
    }

    /// Whether a cookie from an open connection would stand in front of one that came over TLS.
    fn hides_secure(&self, name: &[u8], domain: &str, path: &str) -> bool {
        self.iter().any(|kept| {
            kept.secure
                && kept.name == name
                && (domain_matches(domain, &kept.domain) || domain_matches(&kept.domain, domain))
                && path_matches(path, &kept.path)
        })
    }

    /// Puts a cookie in, in the place of one of the same name, domain and path.
    pub(super) fn put(&mut self, now: UnixTime, mut cookie: Kept) -> Result<(), Unkept> {
        let same = |kept: &Kept| {
            kept.name == cookie.name && kept.host_only == cookie.host_only && kept.path == cookie.path
        };
        self.order += 1;
        cookie.order = self.order;
        let cookies = self.domains.entry(cookie.domain.clone()).or_default();
        let place = cookies.iter().position(same);
        if let Some(place) = place {
            let old = cookies.remove(place);
            self.count -= 1;
            (cookie.created, cookie.order) = (old.created, old.order);
        }
        if cookie.expires.is_some_and(|expires| expires <= now) {
            if cookies.is_empty() {
                self.domains.remove(&cookie.domain);
            }
            return Err(Unkept::Expired);
        }
        let domain = cookie.domain.clone();
        cookies.insert(place.unwrap_or(cookies.len()), cookie);
        self.count += 1;
        self.evict(now, &domain);
        Ok(())
    }

    // RFC 6265bis §5.7, at its end: first what has ended, then what is not Secure of a domain that has too many,
    // then anything of it, then anything; among equals what was used longest ago.
    fn evict(&mut self, now: UnixTime, domain: &str) {
        let too_many =
            |jar: &Self| jar.domains.get(domain).is_some_and(|of| of.len() > COOKIES_PER_DOMAIN_MAX);
        if !too_many(self) && self.count <= COOKIES_MAX {
            return;
        }
        self.retain(|cookie| cookie.expires.is_none_or(|expires| now < expires));
        while too_many(self) {
            let of = &self.domains[domain];
            let oldest = |secure: bool| {
                let candidates = of.iter().filter(|cookie| secure || !cookie.secure);
                candidates.min_by_key(|cookie| (cookie.used, cookie.order)).map(|cookie| cookie.order)
            };
            let Some(order) = oldest(false).or_else(|| oldest(true)) else { return };
            self.retain(|cookie| cookie.order != order);
        }
        while self.count > COOKIES_MAX {
            let oldest =
                self.iter().min_by_key(|cookie| (cookie.used, cookie.order)).map(|cookie| cookie.order);
            let Some(order) = oldest else { return };
            self.retain(|cookie| cookie.order != order);
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&Kept) -> bool) {
        self.domains.retain(|_, cookies| {
            cookies.retain(&mut keep);
            !cookies.is_empty()
        });
        self.count = self.domains.values().map(Vec::len).sum();
    }
}

impl Kept {
    /// Whether it goes along with a request that was caused so.
    fn crosses(&self, crossing: Crossing) -> bool {
        match (crossing, self.same_site.unwrap_or(SameSite::Lax)) {
            (Crossing::SameSite, _)
            | (_, SameSite::None)
            | (Crossing::Navigation { safe: true }, SameSite::Lax) => true,
            (Crossing::Navigation { .. }, SameSite::Lax)
            | (_, SameSite::Strict)
            | (Crossing::CrossSite, SameSite::Lax) => false,
        }
    }

    /// A cookie that was read from a file.
    pub(super) fn from_file(name: &str, value: &str, domain: &str, path: &str, now: UnixTime) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
            domain: canonical(domain),
            host_only: true,
            path: path.to_owned(),
            secure: false,
            http_only: false,
            same_site: None,
            expires: None,
            created: now,
            used: now,
            order: 0,
        }
    }
}
