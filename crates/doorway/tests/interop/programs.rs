//! Runs other people's programs, for a bounded time.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Seconds after which a program is ended: far more than any takes.
const SECONDS_MAX: &str = "60";

/// The programs that are used and the Debian packages that have them.
const PACKAGES: &[(&str, &str)] = &[
    ("apache2", "apache2-bin"),
    ("apt-get", "apt"),
    ("aria2c", "aria2"),
    ("busybox", "busybox"),
    ("chmod", "coreutils"),
    ("chown", "coreutils"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dhclient", "isc-dhcp-client"),
    ("dhcpcd", "dhcpcd-base"),
    ("dhcpd", "isc-dhcp-server"),
    ("dhcrelay", "isc-dhcp-relay"),
    ("dig", "bind9-dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("dnsperf", "dnsperf"),
    ("dpkg", "dpkg"),
    ("dpkg-deb", "dpkg"),
    ("drill", "ldnsutils"),
    ("dumpcap", "wireshark-common"),
    ("fetchmail", "fetchmail"),
    ("getent", "libc-bin"),
    ("getmail", "getmail6"),
    ("git", "git"),
    ("/usr/bin/gunicorn", "gunicorn"),
    ("h2load", "nghttp2-client"),
    ("haproxy", "haproxy"),
    ("host", "bind9-host"),
    ("ip", "iproute2"),
    ("kdig", "knot-dnsutils"),
    ("kea-dhcp4", "kea-dhcp4-server"),
    ("knotd", "knot"),
    ("knsupdate", "knot-dnsutils"),
    ("ldns-keygen", "ldnsutils"),
    ("ldns-signzone", "ldnsutils"),
    ("ldns-verify-zone", "ldnsutils"),
    ("lynx", "lynx"),
    ("msmtp", "msmtp"),
    ("mpop", "mpop"),
    ("mutt", "mutt"),
    ("named", "bind9"),
    ("nghttp", "nghttp2-client"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("nsd", "nsd"),
    ("nsenter", "util-linux"),
    ("nslookup", "bind9-dnsutils"),
    ("nsupdate", "bind9-dnsutils"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("/usr/bin/python3", "python3"),
    ("s-nail", "s-nail"),
    ("script", "bsdutils"),
    ("setpriv", "util-linux"),
    ("sha256sum", "coreutils"),
    ("/usr/sbin/smtp-sink", "postfix"),
    ("/usr/sbin/smtp-source", "postfix"),
    ("swaks", "swaks"),
    ("tar", "tar"),
    ("tee", "coreutils"),
    ("timeout", "coreutils"),
    ("tshark", "tshark"),
    ("udhcpc", "udhcpc"),
    ("unshare", "util-linux"),
    ("w3m", "w3m"),
    ("wget", "wget"),
];

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Standard output of a program that succeeded.
    pub(crate) fn done(self) -> String {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.text(), self.err);
        self.text()
    }
}

/// Where a program is.
///
/// # Panics
/// When it is not installed, with what to install.
pub(crate) fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        let package =
            PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package);
        panic!("`{program}` is not installed; as root: apt-get install {package}")
    })
}

/// A command of `program` that is ended when it takes too long.
fn command(program: &str) -> Command {
    let mut command = Command::new(find("timeout"));
    let program = if program.contains('/') { PathBuf::from(program) } else { find(program) };
    command.args(["--kill-after=5", SECONDS_MAX]).arg(program);
    command.env("LC_ALL", "C").env_remove("http_proxy").env_remove("https_proxy");
    command
}

/// Runs `program` with these words to its end.
pub(crate) fn run(program: &str, words: &[&str]) -> Ran {
    ran(command(program).args(words), b"")
}

/// Runs `program` with these words in this folder, where it finds no variables.
pub(crate) fn run_in(folder: &Path, program: &str, words: &[&str]) -> Ran {
    ran(command(program).args(words).current_dir(folder).env_clear(), b"")
}

/// Runs `program` with these words and this standard input to its end.
pub(crate) fn run_with_input(program: &str, words: &[&str], input: &[u8]) -> Ran {
    ran(command(program).args(words), input)
}

fn ran(command: &mut Command, input: &[u8]) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not want its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { status: output.status, out: output.stdout, err }
}
