//! Real clients and peers, from Debian packages.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{Failed, Outcome, has_program};

/// What interoperability tests need: a program, or the path of a file, and the packages that have it and what
/// goes with it.
pub const INTEROP: &[(&str, &str)] = &[
    ("curl", "curl"),
    ("dig", "bind9-dnsutils"),
    ("host", "bind9-host"),
    ("named", "bind9"),
    ("drill", "ldnsutils"),
    ("kdig", "knot-dnsutils"),
    ("knotd", "knot"),
    ("nsd", "nsd"),
    ("dnsperf", "dnsperf"),
    ("tshark", "tshark"),
    ("dumpcap", "wireshark-common"),
    ("wget", "wget"),
    ("openssl", "openssl"),
    ("aria2c", "aria2"),
    ("fetchmail", "fetchmail"),
    ("getmail", "getmail6"),
    ("mpop", "mpop"),
    ("mutt", "mutt"),
    ("script", "bsdutils"),
    ("w3m", "w3m"),
    ("lynx", "lynx"),
    ("nginx", "nginx-light"),
    ("/usr/bin/python3", "python3"),
    ("/usr/lib/python3/dist-packages/h2", "python3-h2"),
    ("/usr/lib/python3/dist-packages/httpx", "python3-httpx"),
    ("/usr/lib/python3/dist-packages/requests", "python3-requests"),
    ("/usr/lib/python3/dist-packages/selenium", "python3-selenium"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("nghttp", "nghttp2-client"),
    ("node", "nodejs"),
    ("h2load", "nghttp2-client"),
    ("ip", "iproute2"),
    ("/usr/sbin/apache2", "apache2-bin"),
    ("/usr/bin/gunicorn", "gunicorn"),
    ("haproxy", "haproxy"),
    ("npm", "npm"),
    ("git", "git"),
    ("/usr/lib/python3/dist-packages/pip", "python3-pip"),
    ("kea-dhcp4", "kea-dhcp4-server"),
    ("kea-admin", "kea-admin"),
    ("dhcpd", "isc-dhcp-server"),
    ("dhcrelay", "isc-dhcp-relay"),
    ("dhclient", "isc-dhcp-client"),
    ("dhcpcd", "dhcpcd-base"),
    ("udhcpc", "udhcpc"),
    ("busybox", "busybox"),
    ("dnsmasq", "dnsmasq-base"),
    ("swaks", "swaks libnet-ssleay-perl libio-socket-ssl-perl"),
    ("msmtp", "msmtp"),
    ("s-nail", "s-nail"),
    ("/usr/sbin/smtp-source", "postfix"),
    ("/usr/sbin/dovecot", "dovecot-core"),
    ("/usr/lib/dovecot/lmtp", "dovecot-lmtpd"),
    ("/usr/share/nodejs/nodemailer", "node-nodemailer"),
];

/// What benchmarks need.
pub const BENCH: &[(&str, &str)] = &[
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("openssl", "openssl"),
    ("nginx", "nginx-light"),
    ("h2o", "h2o"),
    ("caddy", "caddy"),
    ("curl", "curl"),
    ("varnishd", "varnish"),
    ("haproxy", "haproxy"),
    ("traffic_server", "trafficserver"),
    ("squid", "squid"),
    ("knotd", "knot"),
    ("nsd", "nsd"),
    ("gdnsd", "gdnsd"),
    ("named", "bind9"),
    ("unbound", "unbound"),
    ("kresd", "knot-resolver"),
    ("pdns_recursor", "pdns-recursor"),
    ("pdns_server", "pdns-server"),
    ("/usr/sbin/postfix", "postfix"),
    ("/usr/sbin/dovecot", "dovecot-core"),
    ("/usr/lib/dovecot/lmtp", "dovecot-lmtpd"),
    ("/usr/lib/dovecot/pop3", "dovecot-pop3d"),
    ("/usr/sbin/kea-dhcp4", "kea-dhcp4-server"),
    ("/usr/sbin/perfdhcp", "kea-admin"),
    ("/usr/sbin/dnsmasq", "dnsmasq-base"),
    ("/usr/sbin/dhcpd", "isc-dhcp-server"),
    ("ip", "iproute2"),
    ("taskset", "util-linux"),
];

/// Installs the packages whose programs are missing; when not root, says what to install.
pub fn ensure(wanted: &[(&str, &str)]) -> Outcome {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| !is_there(program))
        .flat_map(|(_, packages)| packages.split(' '))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !is_root() || !has_program("apt-get") {
        return Err(Failed(format!("these programs are missing; as root: {line}")));
    }
    println!("   {line}");
    // A package may start its daemon on the standard port when it is installed. This file, which the
    // packages ask, forbids it; one that is there already is not ours to change.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let ours = !policy.exists();
    if ours {
        let _ = std::fs::write(policy, "#!/bin/sh\nexit 101\n");
        let _ = Command::new("chmod").args(["755", "/usr/sbin/policy-rc.d"]).status();
    }
    let quiet = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&missing);
    let installed = quiet(&install) || (quiet(&["update", "-qq"]) && quiet(&install));
    if ours {
        let _ = std::fs::remove_file(policy);
    }
    if installed { Ok(()) } else { Err(Failed(format!("`{line}` failed"))) }
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') { Path::new(program).exists() } else { has_program(program) }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status.lines().any(|line| {
            line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packages that every Debian machine has.
    const EVERYWHERE: [&str; 6] = ["apt", "coreutils", "dpkg", "libc-bin", "tar", "util-linux"];

    #[test]
    fn every_program_that_a_test_runs_is_installed_for_it() {
        let programs = include_str!("../../crates/doorway/tests/interop/programs.rs");
        let rows = programs.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),"));
        let packages: Vec<&str> = rows.filter_map(|row| Some(row.split_once("\", \"")?.1)).collect();
        assert!(packages.len() > 20, "{packages:?}");
        for package in packages {
            let installed = INTEROP.iter().any(|(_, names)| names.split(' ').any(|name| name == package));
            assert!(installed || EVERYWHERE.contains(&package), "{package} is missing in INTEROP");
        }
    }
}
