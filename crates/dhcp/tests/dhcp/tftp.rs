//! Files by TFTP, over sockets of the operating system, since files are real too.

#![allow(clippy::disallowed_types, reason = "the client is a stranger")]

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use doorway_base::Trace;
use doorway_dhcp::io::tftp::Tftp;
use doorway_net::os::Runtime;

struct Home {
    folder: PathBuf,
    tftp: Tftp,
    _runtime: Runtime,
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn home(name: &str) -> Home {
    let folder = std::env::temp_dir().join(format!("doorway-tftp-{}-{name}", std::process::id()));
    std::fs::create_dir_all(folder.join("public/sub")).unwrap();
    std::fs::write(folder.join("secret"), "not for you").unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("public/link")).unwrap();
    std::fs::write(folder.join("public/text"), "one\ntwo\r\n").unwrap();
    std::fs::write(folder.join("public/sub/image"), image()).unwrap();
    let runtime = Runtime::start("test", 1, Trace::off()).unwrap();
    let tftp =
        Tftp::start(runtime.world(), &["127.0.0.1:0".parse().unwrap()], &folder.join("public")).unwrap();
    Home { folder, tftp, _runtime: runtime }
}

fn image() -> Vec<u8> {
    (0..100_000_u32).map(|index| (index % 251) as u8).collect()
}

/// A client that asks for a file and acknowledges every `window` blocks.
fn get(
    home: &Home,
    name: &str,
    mode: &str,
    options: &[(&str, &str)],
    window: u16,
) -> Result<Vec<u8>, (u8, String)> {
    let door = home.tftp.doors()[0].local().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut request = format!("\0\x01{name}\0{mode}\0");
    for (name, value) in options {
        request += &format!("{name}\0{value}\0");
    }
    socket.send_to(request.as_bytes(), door).unwrap();
    let (mut got, mut due, mut octets, mut full) = (Vec::new(), 1_u16, [0; 2048], 512);
    loop {
        let (count, from) = socket.recv_from(&mut octets).unwrap();
        let acknowledge = |number: u16, to: SocketAddr| {
            socket.send_to(&[&[0, 4], &number.to_be_bytes()[..]].concat(), to).unwrap();
        };
        match octets[1] {
            3 => {
                assert_ne!(from, door, "data comes from a port of its own");
                if u16::from_be_bytes([octets[2], octets[3]]) == due {
                    got.extend_from_slice(&octets[4..count]);
                    due = due.wrapping_add(1);
                }
                let over = count < full + 4;
                if over || (due - 1).is_multiple_of(window) {
                    acknowledge(due - 1, from);
                }
                if over {
                    return Ok(got);
                }
            }
            5 => return Err((octets[3], String::from_utf8_lossy(&octets[4..count - 1]).into_owned())),
            6 => {
                let text = String::from_utf8_lossy(&octets[2..count]).into_owned();
                let words: Vec<&str> = text.split('\0').collect();
                if let Some(at) = words.iter().position(|word| *word == "blksize") {
                    full = words[at + 1].parse().unwrap();
                }
                acknowledge(0, from);
            }
            other => panic!("operation {other}"),
        }
    }
}

#[test]
fn a_file_arrives_whole_with_and_without_options() {
    let home = home("whole");
    assert_eq!(get(&home, "sub/image", "octet", &[], 1), Ok(image()));
    let options = [("blksize", "1468"), ("tsize", "0"), ("windowsize", "8")];
    assert_eq!(get(&home, "/sub\\image", "octet", &options, 8), Ok(image()));
    assert_eq!(get(&home, "text", "netascii", &[], 1), Ok(b"one\r\ntwo\r\0\r\n".to_vec()));
    let counters = home.tftp.counters();
    assert_eq!(counters.requests.load(Relaxed), 3);
}

#[test]
fn nothing_outside_the_folder_is_sent_and_nothing_is_written() {
    let home = home("inside");
    for (name, code) in [
        ("../secret", 2),
        ("link", 2),
        ("sub/../../secret", 2),
        ("/etc/passwd", 1),
        ("missing", 1),
        ("sub", 1),
        ("", 1),
    ] {
        let refused = get(&home, name, "octet", &[], 1).unwrap_err();
        assert_eq!(refused.0, code, "{name}: {}", refused.1);
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(b"\0\x02text\0octet\0", home.tftp.doors()[0].local().unwrap()).unwrap();
    let mut answer = [0; 100];
    socket.recv_from(&mut answer).unwrap();
    assert_eq!(answer[..4], [0, 5, 0, 2]);
}
