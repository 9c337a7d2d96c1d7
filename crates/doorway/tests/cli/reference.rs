//! The reference page is what the declarations say.

use std::fs;
use std::path::Path;

use super::Folder;

#[test]
fn the_reference_page_is_what_the_declarations_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    let made = Folder::new("reference").doorway(&["config", "reference"]).stdout;
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    } else {
        let page = fs::read(&path).unwrap();
        assert!(page == made, "docs/reference/config.md is old: UPDATE=1 cargo test -p doorway writes it");
    }
}

#[test]
fn the_file_that_init_writes_is_right_and_changes_nothing() {
    let folder = Folder::new("init");
    let before = folder.doorway(&["config", "show", "--json"]).stdout;
    assert!(folder.doorway(&["init"]).status.success());
    assert_eq!(folder.doorway(&["config", "show", "--json"]).stdout, before);
    // Each key, once its comment sign is taken off, is right too.
    let text = fs::read_to_string(folder.0.join("doorway.toml")).unwrap();
    let is_key = |line: &&str| line.starts_with("# ") && line.contains(" = ") && !line.contains("`");
    assert!(text.lines().filter(is_key).count() > 20);
    let on: Vec<&str> = text
        .lines()
        .map(|line| if is_key(&line) || line.starts_with("# [[") { &line[2..] } else { line })
        .collect();
    folder.write("doorway.toml", &on.join("\n"));
    let shown = folder.doorway(&["config", "show"]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
}
