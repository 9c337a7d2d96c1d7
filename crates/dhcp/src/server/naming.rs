//! What a client is called, and what it is told about it: host name, option 81. RFC 4702 §4.

use std::borrow::Cow;

use super::Server;
use super::asked::{Asked, reservation};
use crate::lease::TEXT_OCTETS_MAX;
use crate::plan::Plan;
use crate::wire::ClientFqdn;
use crate::wire::fqdn::{DNS_FORM, NO_UPDATE, OVERRIDDEN, SERVER_UPDATES};
use crate::wire::option::code;

/// What follows from what a client says of its name.
#[derive(Debug, Default)]
pub(super) struct Naming<'a> {
    /// What the host is called; empty when it does not say.
    pub(super) host: Cow<'a, str>,
    /// Whether the server is to make it a name.
    pub(super) wanted: bool,
    /// Option 81 of the reply, if the client sent one.
    pub(super) reply: Option<ClientFqdn>,
}

impl Server {
    /// Decides about the client's name: that of its reservation, else of option 81, else of option 12.
    pub(super) fn naming<'a>(&self, plan: &Plan, asked: &Asked<'_, 'a>) -> Naming<'a> {
        let said = if asked.message.has(code::CLIENT_FQDN) { asked.message.fqdn() } else { None };
        let reserved = reservation(plan, asked).and_then(|known| known.host_name.as_deref());
        let by_fqdn = said.as_ref().map(|said| said.name.clone()).filter(|name| !name.is_empty());
        let host: Cow<'a, str> = match (reserved, by_fqdn, asked.message.host_name()) {
            (Some(name), _, _) => name.to_owned().into(),
            (None, Some(name), _) => name.into(),
            (None, None, Some(name)) => name.into(),
            (None, None, None) => "".into(),
        };
        let host = if host.len() > TEXT_OCTETS_MAX { "".into() } else { host };
        let names = asked.plan_subnet(plan).names.as_ref();
        let (mut flags, mut wanted) = (0, names.is_some());
        if let Some(said) = &said {
            let (server, none) = (said.has(SERVER_UPDATES), said.has(NO_UPDATE));
            let overrides = names.is_some_and(|names| names.override_client);
            // What the client leaves to us we do; what it keeps for itself is its own, unless the plan says no.
            wanted = names.is_some() && (overrides || server && !none);
            flags = if wanted { SERVER_UPDATES } else { NO_UPDATE };
            if wanted != server {
                flags |= OVERRIDDEN;
            }
        }
        wanted &= names.is_some_and(|names| names.nameless || !host.is_empty());
        let reply = said.map(|said| {
            let label = host.split('.').next().unwrap_or_default();
            let full = names
                .filter(|_| wanted && !label.is_empty())
                .map(|names| format!("{label}.{}", names.domain));
            let is_full = full.is_some() || said.is_full;
            ClientFqdn { flags: flags | said.flags & DNS_FORM, name: full.unwrap_or(said.name), is_full }
        });
        Naming { host, wanted, reply }
    }
}
