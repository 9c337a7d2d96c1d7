//! The table of doors that `up` prints, each with the command to try it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use doorway_base::trace::Transport;

use crate::screen::Table;
use crate::services::DOORS;

/// A door that was opened for `table`.`key` of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenDoor {
    /// The config table, such as `dns`.
    pub(crate) table: &'static str,
    /// The key in it.
    pub(crate) key: &'static str,
    /// What carries its messages.
    pub(crate) transport: Transport,
    /// The address and port that were bound.
    pub(crate) local: SocketAddr,
}

/// One row for each of `doors`, in their order. `zone` is one that the name server serves.
pub(crate) fn table(doors: &[OpenDoor], zone: &str) -> Table {
    let mut rows = Table::new(&["service", "protocol", "address", "try"]);
    for door in doors {
        rows.row([
            // The doors of mail speak different protocols, and are called by those.
            if door.table == "mail.listen" { door.key } else { door.table }.to_owned(),
            door.transport.name().to_owned(),
            door.local.to_string(),
            command(door, zone).unwrap_or_default(),
        ]);
    }
    rows
}

fn command(door: &OpenDoor, zone: &str) -> Option<String> {
    let declared = DOORS.iter().find(|declared| declared.table == door.table && declared.key == door.key)?;
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
            let door = OpenDoor { table: service, key: "listen", transport: Transport::Tcp, local };
            assert_eq!(command(&door, "example.org").as_deref(), Some(typed));
            assert!(table(&[door], "example.org").render().contains(typed));
        }
    }
}
