//! Hosts of a test: network namespaces with links between them, gone with the value, and programs that run there.

#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::process::{Pid, Signal, kill_process};

use super::recording::Recording;
use crate::dns::peer::wait;
use crate::folder::Folder;
use crate::programs::{self, Ran};

/// The program that is tested.
pub(crate) const DOORWAY: &str = env!("CARGO_BIN_EXE_doorway");

/// A host of its own: a network namespace. What passes on its links is recorded, and dissected when the first host of
/// the test goes.
pub(crate) struct Host {
    name: String,
    recording: Arc<Recording>,
}

impl Host {
    /// So many hosts without links; `None`, and a line that says why, when this machine lets us make none.
    pub(crate) fn several<const COUNT: usize>() -> Option<[Self; COUNT]> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let recording = Arc::new(Recording::default());
        let mut hosts = Vec::new();
        for _ in 0..COUNT {
            let name = format!("doorway-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
            let made = Command::new(programs::find("ip")).args(["netns", "add", &name]).output().unwrap();
            if !made.status.success() {
                let why = String::from_utf8_lossy(&made.stderr).into_owned();
                eprintln!("left out, since it takes root to make network namespaces: {}", why.trim());
                return None;
            }
            let host = Self { name, recording: Arc::clone(&recording) };
            host.ip(&["link", "set", "lo", "up"]);
            hosts.push(host);
        }
        hosts.try_into().ok()
    }

    /// Changes or tells what the host has: `ip` with these words.
    pub(crate) fn ip(&self, words: &[&str]) -> String {
        let words = [&["-n", &self.name], words].concat();
        programs::run_in(Path::new("/"), "ip", &words).done()
    }

    /// Gives the host an interface, switched on, that is linked with one of another host. An empty address is none.
    pub(crate) fn link(
        &self,
        interface: &str,
        address: &str,
        other: &Self,
        others: &str,
        others_address: &str,
    ) {
        self.ip(&["link", "add", interface, "type", "veth", "peer", "name", others, "netns", &other.name]);
        for (host, interface, address) in [(self, interface, address), (other, others, others_address)] {
            if !address.is_empty() {
                host.ip(&["address", "add", address, "dev", interface]);
            }
            host.ip(&["link", "set", interface, "up"]);
        }
        self.recording.begin(self, interface);
    }

    /// Has the host hand packets on.
    pub(crate) fn forward(&self) {
        self.run(Path::new("/"), "sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]).done();
    }

    /// The addresses and prefixes of IPv4 that an interface has.
    pub(crate) fn addresses(&self, interface: &str) -> Vec<String> {
        let told = self.ip(&["-4", "-o", "address", "show", "dev", interface]);
        told.lines().filter_map(|line| line.split_whitespace().nth(3).map(str::to_owned)).collect()
    }

    /// What enters the host and runs there what follows.
    pub(crate) fn enter(&self) -> Command {
        let mut command = Command::new(programs::find("ip"));
        command.args(["netns", "exec", &self.name]);
        command
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, at: &Path, program: &str, words: &[&str]) -> Ran {
        let program = found(program);
        let words = [&["netns", "exec", &self.name, program.to_str().unwrap()], words].concat();
        programs::run_in(at, "ip", &words)
    }

    /// Runs a command of ours, with data in the folder.
    pub(crate) fn doorway(&self, folder: &Folder, words: &[&str]) -> Ran {
        self.run(folder.path(), DOORWAY, &[words, &["--data", "data"]].concat())
    }

    /// Starts a program that goes on until the value is dropped. What it says goes to a file of the folder.
    pub(crate) fn start(&self, folder: &Folder, program: &str, words: &[&str]) -> Running {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = Path::new(program).file_name().unwrap().to_string_lossy().into_owned();
        let log = folder.path().join(format!("{name}-{}.log", NEXT.fetch_add(1, Relaxed)));
        let out = File::create(&log).unwrap();
        let child = self
            .enter()
            .arg(found(program))
            .args(words)
            .current_dir(folder.path())
            .env("KEA_PIDFILE_DIR", folder.path())
            .env("KEA_LOCKFILE_DIR", folder.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Running { child: Some(child), log }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A link takes what is recorded of it along.
        let wrong = self.recording.end();
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).output();
        assert_eq!(wrong, "");
    }
}

fn found(program: &str) -> PathBuf {
    if program.contains('/') { PathBuf::from(program) } else { programs::find(program) }
}

/// A program that runs on a host. Declare it after the host, so that it ends first.
pub(crate) struct Running {
    child: Option<Child>,
    log: PathBuf,
}

impl Running {
    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said this so often.
    pub(crate) fn until_it_says(&self, what: &str, times: usize) {
        let said = || self.log().matches(what).count() >= times;
        wait(said, || format!("`{what}` is not there {times} times:\n{}", self.log()));
    }

    /// Waits until it ends by itself, and returns what it said.
    pub(crate) fn ended(mut self) -> String {
        if let Some(mut child) = self.child.take() {
            wait(|| child.try_wait().unwrap().is_some(), || self.log());
        }
        self.log()
    }

    /// Stops it as Ctrl-C does, and waits for its end.
    pub(crate) fn interrupt(mut self) -> String {
        if let Some(mut child) = self.child.take() {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
            let status = child.wait().unwrap();
            assert!(status.success(), "{status}\n{}", self.log());
        }
        self.log()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let _ = child.wait();
        }
    }
}
