//! A path never leads out of its root, and what it resolves to is written as a path to the same place.
#![no_main]
use doorway_http::wire::path::FilePath;

libfuzzer_sys::fuzz_target!(|path: &[u8]| {
    // A head with a bare NUL in its target is refused before anybody looks for a file.
    if path.contains(&0) {
        return;
    }
    let Ok(file) = FilePath::resolve(path) else { return };
    assert!(!file.name.starts_with('/') && !file.name.contains('\0'));
    assert!(file.name.is_empty() || file.name.split('/').all(|part| !matches!(part, "" | "." | "..")));
    let again = FilePath::resolve(file.to_target().as_bytes());
    assert_eq!(again.map(|again| again.name), Ok(file.name));
});
