//! The program as a shell sees it: what it prints and how it exits.
//!
//! Each file in `tests/scripts/` is a scene: `== NAME` is a file that is there, `== $ doorway …` a
//! command and below it what it prints (standard output, then standard error) and its exit code.
//! `UPDATE=1 cargo test -p doorway` writes what the program prints now into the scripts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod find;
mod ports;
mod reference;
mod up;
mod user;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("doorway-cli-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.join(name), content).unwrap();
    }

    /// Runs `doorway` with these words after it, in this folder and with an empty environment.
    fn doorway(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_doorway"))
            .args(words)
            .current_dir(&self.0)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn printed(output: &Output) -> String {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    let mut all = text(&output.stdout);
    all.push_str(&text(&output.stderr));
    all.push_str(&format!("exit {}\n", output.status.code().unwrap()));
    all
}

/// Plays the script and compares it with itself.
fn check(path: &Path) {
    let script = fs::read_to_string(path).unwrap();
    let folder = Folder::new(path.file_stem().unwrap().to_str().unwrap());
    let (before, scenes) = script.split_once("== ").unwrap();
    let mut played = before.to_owned();
    for scene in scenes.split("\n== ") {
        let (title, content) = scene.split_once('\n').unwrap_or((scene, ""));
        let content = content.trim_end();
        let now = match title.strip_prefix("$ doorway") {
            Some(words) => printed(&folder.doorway(&words.split_whitespace().collect::<Vec<_>>())),
            None => {
                folder.write(title, &format!("{content}\n"));
                content.to_owned()
            }
        };
        played.push_str(&format!("== {title}\n{}\n\n", now.trim_end()));
    }
    played.truncate(played.trim_end().len() + 1);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, played).unwrap();
    } else {
        assert!(script == played, "{} differs; now it is\n{played}", path.display());
    }
}

#[test]
fn every_script_plays_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().for_each(|path| check(path));
}
