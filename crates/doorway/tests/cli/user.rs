//! Users and the store, from the shell, while no server runs.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::{Folder, printed};

/// Runs `doorway` with `password` on its standard input.
pub(super) fn with_password(folder: &Folder, words: &[&str], password: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorway"))
        .args(words)
        .current_dir(&folder.0)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn names(folder: &Folder, data: &str) -> Vec<String> {
    let list = folder.doorway(&["user", "list", "--data", data, "--json"]).stdout;
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    list["users"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_user_is_added_changed_listed_and_removed() {
    let folder = Folder::new("user");
    let told = printed(&folder.doorway(&["user", "list", "--data", "data"]));
    assert!(told.starts_with("error: there is no store in data yet"), "{told}");
    let words = ["user", "add", "ann", "--role", "admin", "--password-stdin", "--data", "data"];
    let told = printed(&with_password(&folder, &words, "correct-horse\n"));
    assert_eq!(told, "added  ann\nexit 0\n", "a password that was given is not shown");
    let told = printed(&with_password(&folder, &words, "correct-horse\n"));
    assert!(told.starts_with("error: there is a user `ann` already") && told.ends_with("exit 2\n"), "{told}");
    let told = printed(&folder.doorway(&["user", "add", "bob", "--data", "data"]));
    assert!(told.contains("(shown this once)"), "{told}");
    assert_eq!(names(&folder, "data"), ["ann", "bob"]);
    let told = printed(&folder.doorway(&["user", "passwd", "ann", "--data", "data"]));
    assert!(told.starts_with("changed  ann\npassword  "), "{told}");
    assert_eq!(
        printed(&folder.doorway(&["user", "remove", "ann", "--data", "data"])),
        "removed  ann\nexit 0\n"
    );
    assert_eq!(names(&folder, "data"), ["bob"]);
}

#[test]
fn a_backup_is_restored_into_an_empty_place_and_nowhere_else() {
    let folder = Folder::new("backup");
    folder.doorway(&["user", "add", "ann", "--data", "data"]);
    for backup in ["backup", "backup.tar"] {
        assert!(folder.doorway(&["store", "backup", backup, "--data", "data"]).status.success(), "{backup}");
        let told = printed(&folder.doorway(&["store", "backup", backup, "--data", "data"]));
        assert!(told.ends_with("exit 1\n"), "a backup does not overwrite another: {told}");
        let told = printed(&folder.doorway(&["store", "restore", backup, "--data", "data"]));
        assert!(told.contains("is not empty"), "{told}");
        let other = format!("data-of-{backup}");
        let told = printed(&folder.doorway(&["store", "restore", backup, "--data", &other]));
        assert!(told.ends_with("exit 0\n"), "{told}");
        assert_eq!(names(&folder, &other), ["ann"]);
        let told = printed(&folder.doorway(&["store", "verify", "--data", &other]));
        assert!(told.starts_with("sound  ") && told.ends_with("exit 0\n"), "{told}");
    }
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing_behind() {
    let folder = Folder::new("damage");
    folder.doorway(&["user", "add", "ann", "--data", "data"]);
    folder.doorway(&["store", "backup", "backup.tar", "--data", "data"]);
    let path = folder.0.join("backup.tar");
    let mut octets = std::fs::read(&path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0xff;
    std::fs::write(&path, octets).unwrap();
    let told = printed(&folder.doorway(&["store", "restore", "backup.tar", "--data", "other"]));
    assert!(told.starts_with("error: cannot restore the backup") && told.ends_with("exit 1\n"), "{told}");
    let told = printed(&folder.doorway(&["store", "verify", "--data", "other"]));
    assert!(told.contains("there is no store in other yet"), "{told}");
}
