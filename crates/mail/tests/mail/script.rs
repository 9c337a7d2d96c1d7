//! Dialogues as the RFCs print them, played against a door of a simulated network.
//!
//! `C:` is sent with CRLF behind it, lines that follow one another in one go; `S:` is what came back until
//! it was silent for a second; `S: (closed)` is the end of the connection; `T+30s` lets time pass; `#` is
//! a remark. `UPDATE=1` writes down what came.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use doorway_net::{Stream, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SILENCE: Duration = Duration::from_secs(1);

/// Everything that comes until a second of silence, and whether the connection has ended.
pub(crate) async fn hear(world: &World, stream: &mut Stream) -> (Vec<u8>, bool) {
    let mut heard = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match world.timeout(SILENCE, stream.read(&mut piece)).await {
            None => return (heard, false),
            Some(Ok(0) | Err(_)) => return (heard, true),
            Some(Ok(count)) => heard.extend_from_slice(&piece[..count]),
        }
    }
}

async fn listen(world: &World, stream: &mut Stream, told: &mut String) -> bool {
    let (heard, closed) = hear(world, stream).await;
    for line in String::from_utf8_lossy(&heard).lines() {
        writeln!(told, "S: {line}").unwrap();
    }
    if closed {
        told.push_str("S: (closed)\n");
    }
    closed
}

/// Plays a script; what was really said.
pub(crate) async fn play(world: &World, mut stream: Stream, script: &str) -> String {
    let mut told = String::new();
    let mut lines = script.lines().peekable();
    let mut greeted = false;
    while let Some(line) = lines.next() {
        if !greeted && !line.starts_with('#') {
            greeted = true;
            listen(world, &mut stream, &mut told).await;
        }
        if let Some(command) = line.strip_prefix("C:") {
            let mut octets = command.strip_prefix(' ').unwrap_or(command).to_owned() + "\r\n";
            writeln!(told, "{line}").unwrap();
            while let Some(line) = lines.next_if(|line| line.starts_with("C:")) {
                octets = octets + line[2..].strip_prefix(' ').unwrap_or_default() + "\r\n";
                writeln!(told, "{line}").unwrap();
            }
            // The server may have ended it already: that is heard next.
            let _ = stream.write_all(octets.as_bytes()).await;
        } else if let Some(seconds) = line.strip_prefix("T+").and_then(|rest| rest.strip_suffix('s')) {
            writeln!(told, "{line}").unwrap();
            world.sleep(Duration::from_secs(seconds.parse().unwrap())).await;
        } else if line.starts_with('#') || line.is_empty() {
            writeln!(told, "{line}").unwrap();
            continue;
        } else {
            assert!(line.starts_with("S:"), "{line}: neither C:, S:, T+ nor a remark");
            continue;
        }
        if listen(world, &mut stream, &mut told).await {
            break;
        }
    }
    told
}

/// Where a script lies.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(name)
}

/// Compares what was said with the script, or writes it down with `UPDATE=1`.
pub(crate) fn compare(name: &str, script: &str, told: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(name), told).unwrap();
    } else {
        assert_eq!(told, script, "{name}: UPDATE=1 writes down what was said");
    }
}
