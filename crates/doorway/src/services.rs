//! The protocols that this program serves, one line each.

use doorway_base::config::Section;
use doorway_base::trace::Transport;

/// The config tables of the protocols, each declared in its own crate.
pub(crate) const SECTIONS: &[Section] = &[
    doorway_dns::config::SECTIONS[0],
    doorway_dns::config::SECTIONS[1],
    doorway_dns::config::SECTIONS[2],
    doorway_dns::config::SECTIONS[3],
    doorway_http::config::SECTION,
    doorway_http::config::forward::SECTION,
    doorway_http::session::SESSIONS_SECTION,
    doorway_http::session::LOGIN_SECTION,
    doorway_mail::config::SECTIONS[0],
    doorway_mail::config::SECTIONS[1],
    doorway_mail::config::SECTIONS[2],
    doorway_dhcp::config::SECTION,
    doorway_dhcp::config::relay::SECTION,
    doorway_dhcp::config::client::SECTION,
];

/// The parts of the program that a route of the web server can mount; `wiring` hands them over.
pub(crate) const MOUNTS: &[&str] = &[];

/// A config key that says where to listen, and what listens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DoorKey {
    /// The table, such as `dns`.
    pub(crate) table: &'static str,
    /// The key in it.
    pub(crate) key: &'static str,
    /// What carries its messages, each with what to type to try it. `ADDRESS` and `PORT` stand for
    /// what they say, `ZONE` for the name of a zone that is served.
    pub(crate) transports: &'static [(Transport, &'static str)],
}

impl DoorKey {
    /// The key with its table, as `config explain` takes it.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }
}

/// Every key of kind `listen`.
pub(crate) const DOORS: &[DoorKey] = &[
    DoorKey {
        table: "dns",
        key: "listen",
        transports: &[
            (Transport::Udp, "dig @ADDRESS -p PORT ZONE SOA"),
            (Transport::Tcp, "dig +tcp @ADDRESS -p PORT ZONE SOA"),
        ],
    },
    DoorKey {
        table: "dns",
        key: "listen_tls",
        transports: &[(Transport::Tcp, "kdig +tls @ADDRESS -p PORT ZONE SOA")],
    },
    DoorKey { table: "http", key: "listen", transports: &[(Transport::Tcp, "curl -i http://ADDRESS:PORT/")] },
    DoorKey {
        table: "http",
        key: "listen_tls",
        transports: &[(Transport::Tcp, "curl -k https://ADDRESS:PORT/")],
    },
    DoorKey {
        table: "http.forward",
        key: "listen",
        transports: &[(Transport::Tcp, "curl -x http://ADDRESS:PORT http://example.org/")],
    },
    DoorKey {
        table: "mail.listen",
        key: "smtp",
        transports: &[(Transport::Tcp, "swaks --server ADDRESS:PORT --to admin@ZONE")],
    },
    DoorKey {
        table: "mail.listen",
        key: "submission",
        transports: &[(Transport::Tcp, "swaks --server ADDRESS:PORT -tls -au admin --to admin@ZONE")],
    },
    DoorKey {
        table: "mail.listen",
        key: "submissions",
        transports: &[(Transport::Tcp, "swaks --server ADDRESS:PORT -tlsc -au admin --to admin@ZONE")],
    },
    DoorKey {
        table: "mail.listen",
        key: "lmtp",
        transports: &[(Transport::Tcp, "swaks --protocol LMTP --server ADDRESS:PORT --to admin@ZONE")],
    },
    DoorKey {
        table: "mail.listen",
        key: "pop3",
        transports: &[(Transport::Tcp, "curl pop3://ADDRESS:PORT --user admin")],
    },
    DoorKey {
        table: "mail.listen",
        key: "pop3s",
        transports: &[(Transport::Tcp, "curl -k pop3s://ADDRESS:PORT --user admin")],
    },
    DoorKey {
        table: "metrics",
        key: "listen",
        transports: &[(Transport::Tcp, "curl http://ADDRESS:PORT/metrics")],
    },
];

/// What is served at the addresses of interfaces that the config names.
pub(crate) const INTERFACE_DOORS: &[DoorKey] = &[
    DoorKey { table: "dhcp", key: "interfaces", transports: &[(Transport::Udp, "doorway dhcp leases")] },
    DoorKey { table: "dhcp", key: "tftp", transports: &[(Transport::Udp, "curl -O tftp://ADDRESS/FILE")] },
    DoorKey {
        table: "dhcp.relay",
        key: "interfaces",
        transports: &[(Transport::Udp, "doorway trace --filter 'dhcp and host ADDRESS'")],
    },
];

#[cfg(test)]
mod tests {
    use doorway_base::config::Kind;

    use super::*;
    use crate::config::all_sections;

    #[test]
    fn every_listen_key_has_a_door_and_every_door_a_listen_key() {
        let mut declared = Vec::new();
        for section in all_sections() {
            let listens = section.keys.iter().filter(|key| matches!(key.kind, Kind::Listen));
            declared.extend(listens.map(|key| (section.name, key.name)));
        }
        let mut doors: Vec<_> = DOORS.iter().map(|door| (door.table, door.key)).collect();
        declared.sort_unstable();
        doors.sort_unstable();
        assert_eq!(doors, declared);
    }
}
