//! Clients of other people: dhclient, udhcpc and dhcpcd, each with a script that notes what it is told.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::Host;
use crate::dns::peer::wait;
use crate::folder::Folder;
use crate::programs;

/// What each of them runs for each event. dhcpcd has done by then what the script does for the others.
const SCRIPT: &str = r#"#!/bin/sh
address=${new_ip_address:-$ip} router=${new_routers:-$router}
case "${reason:-$1}" in
BOUND | REBOOT | RENEW | REBIND | bound | renew)
    if [ -z "$if_up" ]; then
        ip address replace "$address/24" dev "$interface"
        ip route replace default via "$router"
    fi
    echo "${reason:-$1} $address ${new_subnet_mask:-$subnet} $router ${new_domain_name_servers:-$dns}" \
        "${new_domain_name:-$domain} ${new_dhcp_lease_time:-$lease}" >>EVENTS ;;
EXPIRE | RELEASE | STOP | deconfig)
    [ -n "$if_up" ] || ip -4 address flush dev "$interface"
    echo "${reason:-$1}" >>EVENTS ;;
esac
"#;

/// dhcpcd without what takes seconds: it neither waits before it begins nor asks for its address by ARP.
const DHCPCD: &str =
    "nodelay\nnoarp\nnoipv4ll\noption subnet_mask, routers, domain_name_servers, domain_name\n";
/// dhcpcd keeps its files in these folders and nowhere else; here, its own process alone sees them.
const DHCPCD_FOLDERS: &str =
    "for at in /run /var/lib; do mount -t tmpfs none $at && mkdir $at/dhcpcd; done; exec \"$@\"";

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Dhclient,
    Udhcpc,
    Dhcpcd,
}

/// One that runs on a host. Declare it after the host, so that it ends first.
pub(super) struct Client<'h> {
    program: Program,
    host: &'h Host,
    folder: Folder,
    child: Child,
}

impl Program {
    /// Starts it on interface `c0`. It calls its host `tower`.
    pub(super) fn start(self, host: &Host) -> Client<'_> {
        let folder = Folder::new();
        let script = folder.word("script.sh");
        folder.write("script.sh", SCRIPT.replace("EVENTS", &folder.word("events")));
        folder.write("events", "");
        folder.write("dhclient.leases", "");
        programs::run("chmod", &["755", &script]).done();
        let words = match self {
            Self::Dhclient => {
                folder.write(
                    "dhclient.conf",
                    "send host-name \"tower\";\ninitial-interval 1;\nbackoff-cutoff 2;\nretry 1;\n",
                );
                let mut words = vec!["dhclient", "-4", "-d"];
                words.extend(DHCLIENT_FILES);
                [&words, &["-sf", &script, "c0"][..]].concat()
            }
            Self::Udhcpc => {
                vec!["udhcpc", "-f", "-i", "c0", "-t", "20", "-T", "1", "-x", "hostname:tower", "-s", &script]
            }
            Self::Dhcpcd => {
                folder.write("dhcpcd.conf", DHCPCD);
                vec![
                    "sh",
                    "-c",
                    DHCPCD_FOLDERS,
                    "sh",
                    "dhcpcd",
                    "-4",
                    "-B",
                    "-d",
                    "-h",
                    "tower",
                    "-c",
                    &script,
                ]
            }
        };
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        if self == Self::Dhcpcd {
            words.extend(["-f".to_owned(), folder.word("dhcpcd.conf"), "c0".to_owned()]);
        } else {
            words[0] = programs::find(&words[0]).to_str().unwrap().to_owned();
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = host.enter();
        command.args(&words).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        Client { program: self, host, folder, child }
    }
}

/// Where dhclient keeps its files: in the folder that it is started in.
const DHCLIENT_FILES: [&str; 6] = ["-cf", "dhclient.conf", "-lf", "dhclient.leases", "-pf", "dhclient.pid"];

impl Client<'_> {
    /// What it was told so far, a line for each event.
    pub(super) fn events(&self) -> String {
        String::from_utf8_lossy(&self.folder.read("events")).into_owned()
    }

    /// What it said itself.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&self.folder.read("log")).into_owned()
    }

    /// Waits for an event, given by its first words in upper case, and returns the words of the last one that
    /// begins so.
    pub(super) fn until(&self, event: &str) -> Vec<String> {
        let find = || {
            let events = self.events();
            let line = events.lines().rfind(|line| line.to_uppercase().starts_with(event));
            line.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        };
        wait(
            || find().is_some(),
            || format!("{:?}: no {event}: {}{}", self.program, self.events(), self.log()),
        );
        find().unwrap()
    }

    /// Has it give its address back, and waits for its end.
    pub(super) fn release(&mut self) {
        let pid = self.child.id().to_string();
        match self.program {
            Program::Dhclient => {
                let script = self.folder.word("script.sh");
                let words = [&["-4", "-r"], &DHCLIENT_FILES[..], &["-sf", &script, "c0"]].concat();
                self.host.run(self.folder.path(), "dhclient", &words).done();
            }
            Program::Udhcpc => {
                programs::run("kill", &["-USR2", &pid]).done();
                let is_released = || self.log().contains("entering released state");
                wait(is_released, || format!("udhcpc did not release: {}", self.log()));
                programs::run("kill", &["-TERM", &pid]).done();
            }
            Program::Dhcpcd => {
                let own = programs::find("dhcpcd");
                let words = ["-t", &pid, "-m", "-n", own.to_str().unwrap(), "-4", "-k", "c0"];
                programs::run_in(Path::new("/"), "nsenter", &words).done();
            }
        }
        self.child.wait().unwrap();
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).output();
        let _ = self.child.wait();
    }
}
