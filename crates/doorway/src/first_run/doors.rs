//! The table of doors that `up` prints, each with the command to try it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use doorway_base::trace::Transport;
use serde_json::{Value, json};

use crate::screen::Table;
use crate::services::{DOORS, INTERFACE_DOORS};

/// A door that was opened for `table`.`key` of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenDoor {
    /// The config table, such as `dns`.
    pub(crate) table: &'static str,
    /// The key in it.
    pub(crate) key: &'static str,
    /// What carries its messages.
    pub(crate) transport: Transport,
    /// The address and port that were bound.
    pub(crate) local: SocketAddr,
    /// The interface whose link is listened on too, for clients that have no address yet.
    pub(crate) interface: Option<String>,
}

impl OpenDoor {
    /// The word that people know the service by.
    fn service(&self) -> &'static str {
        match (self.table, self.key) {
            // The doors of mail speak different protocols, and are called by those.
            ("mail.listen", key) | ("dhcp", key @ "tftp") => key,
            (table, _) => table,
        }
    }

    fn address(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{} on {interface}", self.local),
            None => self.local.to_string(),
        }
    }

    /// For programs.
    pub(crate) fn document(&self) -> Value {
        json!({
            "service": self.table,
            "key": self.key,
            "protocol": self.transport.name(),
            "local": self.local.to_string(),
            "interface": self.interface,
        })
    }
}

/// One row for each of `doors`, in their order. `zone` is one that the name server serves.
pub(crate) fn table(doors: &[OpenDoor], zone: &str) -> Table {
    let mut rows = Table::new(&["service", "protocol", "address", "try"]);
    for door in doors {
        rows.row([
            door.service().to_owned(),
            door.transport.name().to_owned(),
            door.address(),
            command(door, zone).unwrap_or_default(),
        ]);
    }
    rows
}

fn command(door: &OpenDoor, zone: &str) -> Option<String> {
    let mut declared = DOORS.iter().chain(INTERFACE_DOORS);
    let declared = declared.find(|declared| declared.table == door.table && declared.key == door.key)?;
    let (_, command) = declared.transports.iter().find(|(transport, _)| *transport == door.transport)?;
    // An address to type: nobody can connect to "every address".
    let address = match door.local.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    let host = if address.is_ipv6() && command.contains("://") {
        format!("[{address}]")
    } else {
        address.to_string()
    };
    let port = door.local.port().to_string();
    Some(command.replace("ADDRESS", &host).replace("PORT", &port).replace("ZONE", zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_door_has_a_command_that_can_be_typed() {
        for (service, local, typed) in [
            ("metrics", "127.0.0.1:9464", "curl http://127.0.0.1:9464/metrics"),
            ("metrics", "0.0.0.0:80", "curl http://127.0.0.1:80/metrics"),
            ("metrics", "[::]:80", "curl http://[::1]:80/metrics"),
            ("dns", "0.0.0.0:53", "dig +tcp @127.0.0.1 -p 53 example.org SOA"),
        ] {
            let local = local.parse().unwrap();
            let door =
                OpenDoor { table: service, key: "listen", transport: Transport::Tcp, local, interface: None };
            assert_eq!(command(&door, "example.org").as_deref(), Some(typed));
            assert!(table(&[door], "example.org").render().contains(typed));
        }
    }
    #[test]
    fn a_door_on_a_link_names_its_interface() {
        for (table_name, key, port, line) in [
            ("dhcp", "interfaces", 67, "dhcp udp 10.9.0.1:67 on s0 doorway dhcp leases"),
            ("dhcp", "tftp", 69, "tftp udp 10.9.0.1:69 curl -O tftp://10.9.0.1/FILE"),
        ] {
            let door = OpenDoor {
                table: table_name,
                key,
                transport: Transport::Udp,
                local: SocketAddr::from(([10, 9, 0, 1], port)),
                interface: (key == "interfaces").then(|| "s0".to_owned()),
            };
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let rendered = table(&[door], "example.org").render();
            assert_eq!(rendered.lines().last().map(words), Some(words(line)), "{rendered}");
        }
    }
}
