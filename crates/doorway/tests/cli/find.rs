//! Which config file is read.

use std::process::Command;

use super::Folder;

#[test]
fn the_option_goes_before_the_variable_and_the_variable_before_the_folder() {
    let folder = Folder::new("find");
    for (name, idle) in [("option.toml", "1s"), ("variable.toml", "2s"), ("doorway.toml", "3s")] {
        folder.write(name, &format!("[limits]\nidle = \"{idle}\"\n"));
    }
    let idle = |words: &[&str], variable: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorway"));
        command.args(words).args(["config", "show"]).current_dir(&folder.0).env_clear();
        if let Some(variable) = variable {
            command.env("DOORWAY_CONFIG", variable);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find(|line| line.contains("idle = ") && !line.contains("session")).map(str::to_owned)
    };
    assert_eq!(idle(&["--config", "option.toml"], Some("variable.toml")).as_deref(), Some("idle = \"1s\""));
    assert_eq!(idle(&[], Some("variable.toml")).as_deref(), Some("idle = \"2s\""));
    assert_eq!(idle(&[], Some("")).as_deref(), Some("idle = \"3s\""));
    assert_eq!(idle(&[], Some("gone.toml")), None, "a file that was named has to be there");
    std::fs::remove_file(folder.0.join("doorway.toml")).unwrap();
    let expected = if std::path::Path::new("/etc/doorway/doorway.toml").exists() {
        None
    } else {
        Some("# idle = \"5m\"")
    };
    if expected.is_some() {
        assert_eq!(idle(&[], None).as_deref(), expected);
    }
}

#[test]
fn colour_is_left_out_when_nobody_sees_it() {
    let folder = Folder::new("colour");
    folder.write("doorway.toml", "[servr]\n");
    let plain = folder.doorway(&["check"]);
    assert!(!plain.stderr.contains(&0x1b));
    let run = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorway"));
        command.arg("check").current_dir(&folder.0).env_clear().env("CLICOLOR_FORCE", "1");
        if !name.is_empty() {
            command.env(name, "1");
        }
        command.output().unwrap().stderr.contains(&0x1b)
    };
    assert!(run(""), "colour can be asked for");
    assert!(!run("NO_COLOR"), "NO_COLOR goes before it");
}
