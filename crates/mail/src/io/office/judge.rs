//! Who may send to whom, and for whom an address stands: what the office asks the user list and the mailboxes
//! before it takes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use doorway_base::UnixTime;
use doorway_store::{Result as StoreResult, Role};

use super::{
    DESTINATIONS_MAX, Destinations, Expansion, FULL_PAUSE, NAMES_KNOWN_MAX, Office, POSTMASTER, TARGETS_MAX,
    lock, unknown,
};
use crate::address::{Address, Domain};
use crate::directory::{ALWAYS, Lookup, Target};
use crate::envelope::{Envelope, Notify, Recipient};
use crate::io::intake::Origin;
use crate::io::mailboxes::Room;
use crate::office::submission;
use crate::queue::report::Action;
use crate::reply::{Enhanced, Reply};

impl Office {
    /// The numbers of the users called `name`, one or none; with `@` before it, of those with that role.
    async fn numbers(&self, name: &str) -> StoreResult<Arc<[u64]>> {
        if let Some(numbers) = lock(&self.known).get(name) {
            return Ok(Arc::clone(numbers));
        }
        let numbers: Arc<[u64]> = match name.strip_prefix('@').map(str::parse::<Role>) {
            Some(role) => {
                let users = self.means.users.list().await?;
                let has = |user: &&doorway_store::User| role.as_ref().is_ok_and(|role| user.has(*role));
                users.iter().filter(has).map(|user| user.id).collect()
            }
            None => self.means.users.user(name).await?.iter().map(|user| user.id).collect(),
        };
        let mut known = lock(&self.known);
        if known.len() >= NAMES_KNOWN_MAX {
            known.pop_first();
        }
        known.insert(name.to_owned(), Arc::clone(&numbers));
        Ok(numbers)
    }

    /// For whom an address stands; nobody for one that no user has.
    pub(super) async fn expand(&self, address: &Address) -> Result<Expansion, Reply> {
        let mut expansion = Expansion::default();
        let mut seen = BTreeSet::new();
        let mut targets = vec![Target::Address(address.clone())];
        while let Some(target) = targets.pop() {
            if expansion.len() + targets.len() > TARGETS_MAX {
                return Err(Reply::new(550, Enhanced(5, 2, 4), "this address stands for too many others"));
            }
            if !seen.insert(target.clone()) {
                continue;
            }
            match &target {
                Target::User(name) => expansion.users.extend(self.known(name).await?.iter()),
                Target::Role(role) => expansion.users.extend(self.known(&format!("@{role}")).await?.iter()),
                Target::Address(address) => match self.directory.look_up(address) {
                    Lookup::Elsewhere => {
                        expansion.elsewhere.insert(address.clone());
                    }
                    Lookup::Alias(others) => targets.extend_from_slice(others),
                    Lookup::Nobody { otherwise } => targets.extend_from_slice(otherwise),
                    Lookup::User { name, otherwise, .. } => match &*self.known(&name).await? {
                        [] => targets.extend_from_slice(otherwise),
                        numbers => expansion.users.extend(numbers),
                    },
                },
            }
        }
        let local = address.local.to_ascii_lowercase();
        if expansion.len() == 0 && self.directory.is_here(&address.domain) && ALWAYS.contains(&local.as_str())
        {
            expansion.users.insert(POSTMASTER);
        }
        Ok(expansion)
    }

    async fn known(&self, name: &str) -> Result<Arc<[u64]>, Reply> {
        self.numbers(name).await.map_err(|error| self.trouble(&error))
    }

    /// Whether this client may send to other domains.
    fn may_relay(&self, origin: &Origin) -> bool {
        let listed = |remote| self.config.relay_networks.iter().any(|network| network.contains(remote));
        origin.user.is_some() || origin.remote.is_some_and(listed)
    }

    /// Whether a user may write as this address: it stands for them, or they run this server.
    pub(super) async fn owns(&self, user: &str, address: &Address) -> Result<bool, Reply> {
        let numbers = self.known(user).await?;
        let Some(number) = numbers.first() else { return Ok(false) };
        if self.expand(address).await.is_ok_and(|expansion| expansion.users.contains(number)) {
            return Ok(true);
        }
        Ok(self.known("@admin").await?.contains(number))
    }

    pub(super) async fn judge_sender(&self, origin: &Origin, from: Option<&Address>) -> Result<(), Reply> {
        if origin.submission && !self.may_relay(origin) {
            return Err(Reply::new(530, Enhanced(5, 7, 0), "log in first"));
        }
        let now = self.world.now();
        if lock(&self.full_since).is_some_and(|since| now.since(since) < FULL_PAUSE) {
            self.tally.disk_full.fetch_add(1, Relaxed);
            return Err(Reply::new(452, Enhanced(4, 3, 1), "there is no room for mail now, try later"));
        }
        match (&origin.user, from) {
            (Some(user), Some(from)) if !self.owns(user, from).await? => {
                self.tally.forged.fetch_add(1, Relaxed);
                Err(Reply::new(550, Enhanced(5, 7, 1), "this sender's address is not yours"))
            }
            (None, _) => {
                let remote = origin.remote.filter(|remote| !remote.to_canonical().is_loopback());
                if remote.is_none_or(|remote| lock(&self.addresses_sending).take(&remote.to_string(), now)) {
                    return Ok(());
                }
                self.tally.limited.fetch_add(1, Relaxed);
                Err(Reply::new(451, Enhanced(4, 7, 1), "too many messages from your address, try later"))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn judge_recipient(&self, origin: &Origin, recipient: &Recipient) -> Result<(), Reply> {
        let address = &recipient.address;
        let is_here = self.directory.is_here(&address.domain);
        if !is_here && !self.may_relay(origin) {
            self.tally.relaying_denied.fetch_add(1, Relaxed);
            return Err(Reply::new(
                550,
                Enhanced(5, 7, 1),
                "relaying denied: log in to send to other domains",
            ));
        }
        if let Domain::Literal(_) = address.domain
            && !self.may_relay(origin)
        {
            return Err(unknown());
        }
        let expansion = self.expand(address).await?;
        if expansion.len() == 0 {
            self.tally.unknown.fetch_add(1, Relaxed);
            return Err(unknown());
        }
        if let Some(user) = &origin.user
            && !lock(&self.users_sending).take(user, self.world.now())
        {
            self.tally.limited.fetch_add(1, Relaxed);
            return Err(Reply::new(450, Enhanced(4, 7, 1), "you have sent too much this hour, try later"));
        }
        // One full mailbox of a group does not keep the message from the others.
        let [only] = expansion.users.iter().copied().collect::<Vec<_>>()[..] else { return Ok(()) };
        match self.means.mailboxes.quota(only, 0).await {
            Ok(Room::Enough) => Ok(()),
            Ok(_) => {
                self.tally.over_quota.fetch_add(1, Relaxed);
                Err(Reply::new(452, Enhanced(4, 2, 2), "the mailbox is full"))
            }
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// Where a message goes; each mailbox once, whoever named it.
    pub(super) async fn destinations(
        &self,
        envelope: &Envelope,
        now: UnixTime,
    ) -> Result<Destinations, Reply> {
        let mut destinations = Destinations::default();
        let mut elsewhere = BTreeMap::new();
        for recipient in &envelope.recipients {
            let expansion = self.expand(&recipient.address).await?;
            // Whoever stands for several ends the way of the wish to hear of success (RFC 3461 §5.2.7.3).
            let is_many = expansion.len() > 1;
            if recipient.notify.success && (is_many || !expansion.users.is_empty()) {
                let action = if is_many { Action::Expanded } else { Action::Delivered };
                destinations.told.push((recipient.clone(), action));
            }
            let notify = Notify { success: recipient.notify.success && !is_many, ..recipient.notify };
            for user in expansion.users {
                let account = self.means.mailboxes.open_account(user, now).await;
                destinations.accounts.insert(user, account.map_err(|error| self.trouble(&error))?);
            }
            for address in expansion.elsewhere {
                elsewhere.entry(address.clone()).or_insert(Recipient {
                    address,
                    notify,
                    ..recipient.clone()
                });
            }
        }
        destinations.elsewhere = elsewhere.into_values().collect();
        match destinations.accounts.len() + destinations.elsewhere.len() {
            0 => Err(unknown()),
            count if count > DESTINATIONS_MAX => {
                Err(Reply::new(452, Enhanced(4, 5, 3), "too many mailboxes at once, send to fewer"))
            }
            _ => Ok(destinations),
        }
    }

    /// Nobody writes in the name of another user of this server.
    pub(super) async fn judge_authors(&self, user: &str, start: &[u8]) -> Result<(), Reply> {
        for author in submission::authors(start) {
            if self.directory.is_here(&author.domain) && !self.owns(user, &author).await? {
                self.tally.forged.fetch_add(1, Relaxed);
                return Err(Reply::new(
                    550,
                    Enhanced(5, 7, 1),
                    format!("From names {author}, which is not yours"),
                ));
            }
        }
        Ok(())
    }
}
