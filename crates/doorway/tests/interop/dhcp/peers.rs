//! Servers of other people: Kea, dnsmasq and ISC dhcpd, for the networks 10.9.0.0/24 and 10.8.0.0/24.

use super::support::{Host, Running};
use crate::folder::Folder;

/// Seconds of a lease of Kea and dhcpd; it is to be renewed after a tenth of that. dnsmasq gives no less than 120.
pub(super) const LEASE_SECONDS: u32 = 20;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    Kea,
    Dnsmasq,
    Isc,
}

impl Maker {
    pub(super) const ALL: [Self; 3] = [Self::Kea, Self::Dnsmasq, Self::Isc];

    /// Starts one on a host, for clients at `interface` and behind relay agents, and waits until it serves.
    pub(super) fn start(self, host: &Host, folder: &Folder, interface: &str) -> Running {
        let (running, ready) = match self {
            Self::Kea => (kea(host, folder, interface), "DHCP4_STARTED"),
            Self::Dnsmasq => (dnsmasq(host, folder), "IP range"),
            Self::Isc => (isc(host, folder, interface), "Server starting service"),
        };
        running.until_it_says(ready, 1);
        running
    }

    /// Its lease file, in the folder that it is started in. What is there at the start is read.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Kea => "kea.csv",
            Self::Dnsmasq => "dnsmasq.leases",
            Self::Isc => "dhcpd.leases",
        }
    }

    /// What `doorway dhcp import` and `export` call the form of that.
    pub(super) fn format(self) -> &'static str {
        match self {
            Self::Kea => "kea",
            Self::Dnsmasq => "dnsmasq",
            Self::Isc => "isc",
        }
    }

    /// What its lease file says of an address last.
    pub(super) fn lease(self, folder: &Folder, address: &str) -> Lease {
        let text = String::from_utf8_lossy(&folder.read(self.file())).into_owned();
        let held = match self {
            Self::Kea => {
                let mut rows = text.lines().filter(|row| row.split(',').next() == Some(address));
                // address,hwaddr,client_id,valid_lifetime,…
                rows.next_back().and_then(|row| row.split(',').nth(3)).map(|seconds| seconds != "0")
            }
            Self::Dnsmasq => {
                let mut rows = text.lines().map(|row| row.split_whitespace().nth(2));
                Some(rows.any(|own| own == Some(address)))
            }
            Self::Isc => {
                let last = text.rsplit_once(&format!("lease {address} {{"));
                last.and_then(|(_, rest)| rest.split('}').next())
                    .map(|lease| lease.contains("\n  binding state active;"))
            }
        };
        match held {
            Some(true) => Lease::Held,
            Some(false) | None => Lease::Free,
        }
    }
}

/// How an address stands in a lease file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lease {
    Held,
    Free,
}

fn kea(host: &Host, folder: &Folder, interface: &str) -> Running {
    let renew = LEASE_SECONDS / 10;
    let subnet = |id: u32, third: u32| {
        format!(
            r#"{{ "id": {id}, "subnet": "10.{third}.0.0/24", "pools": [{{ "pool": "10.{third}.0.50-10.{third}.0.60" }}],
                "option-data": [{{ "name": "routers", "data": "10.{third}.0.1" }}] }}"#
        )
    };
    let config = format!(
        r#"{{ "Dhcp4": {{ "interfaces-config": {{ "interfaces": ["*"], "dhcp-socket-type": "raw" }},
            "lease-database": {{ "type": "memfile", "persist": true, "name": "{}", "lfc-interval": 0 }},
            "valid-lifetime": {LEASE_SECONDS}, "renew-timer": {renew}, "rebind-timer": 15, "authoritative": true,
            "subnet4": [{}, {}],
            "loggers": [{{ "name": "kea-dhcp4", "severity": "INFO",
                "output_options": [{{ "output": "stdout", "flush": true }}] }}] }} }}"#,
        folder.word("kea.csv"),
        subnet(1, 9),
        subnet(2, 8),
    );
    folder.write("kea.json", config.replace("\"*\"", &format!("\"{interface}\"")));
    host.start(folder, "kea-dhcp4", &["-c", "kea.json"])
}

fn dnsmasq(host: &Host, folder: &Folder) -> Running {
    let leases = format!("--dhcp-leasefile={}", folder.word("dnsmasq.leases"));
    let words = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
        "--log-dhcp",
        "--dhcp-authoritative",
        "--dhcp-circuitid=set:marked,r0",
        "--dhcp-range=10.9.0.50,10.9.0.60,255.255.255.0,2m",
        "--dhcp-range=10.8.0.50,10.8.0.60,255.255.255.0,2m",
        &leases,
    ];
    host.start(folder, "dnsmasq", &words)
}

fn isc(host: &Host, folder: &Folder, interface: &str) -> Running {
    let renew = LEASE_SECONDS / 10;
    let subnet = |third: u32| {
        format!(
            "subnet 10.{third}.0.0 netmask 255.255.255.0 {{ range 10.{third}.0.50 10.{third}.0.60; \
             option routers 10.{third}.0.1; }}\n"
        )
    };
    let config = format!(
        "authoritative;\nping-check false;\ndefault-lease-time {LEASE_SECONDS};\nmax-lease-time {LEASE_SECONDS};\n\
         option dhcp-renewal-time {renew};\noption dhcp-rebinding-time 15;\n\
         subnet 10.7.0.0 netmask 255.255.255.0 {{ }}\n{}{}",
        subnet(9),
        subnet(8)
    );
    folder.write("dhcpd.conf", config);
    let leases = folder.word(Maker::Isc.file());
    if !std::fs::exists(&leases).unwrap() {
        // It begins with none, but not without the file.
        folder.write(Maker::Isc.file(), "");
    }
    let config = folder.word("dhcpd.conf");
    host.start(folder, "dhcpd", &["-4", "-f", "-d", "-cf", &config, "-lf", &leases, "--no-pid", interface])
}
