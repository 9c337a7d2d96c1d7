//! What a delivery costs with the body in a row and with the body in a segment file.
//!
//! `cargo run --release -p doorway-mail --example body_bench -- DIR [SECONDS]` delivers messages of 4, 16 and
//! 60 KB to 20 users, each durable before the next of its writer, by 1, 20 and 64 writers, both ways in turn.

#![allow(clippy::disallowed_methods, reason = "the real program is measured with the real clock")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement stops where it fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorway_base::{Random, UnixTime};
use doorway_mail::MessageId;
use doorway_mail::io::{Bodies, Content, Delivered, Mailboxes, Quota};
use doorway_mail::mailbox::Flags;
use doorway_store::{Batch, Durability, Embedded, Options, Store, wait};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const ROUNDS: u32 = 3;

/// Processor time of this process so far, in microseconds: user and system, in steps of 10 ms.
fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10_000
}

struct House {
    store: Arc<Embedded>,
    mailboxes: Mailboxes,
    next: AtomicU64,
}

impl House {
    fn open(folder: &Path) -> Self {
        let store = Arc::new(Embedded::open(Options::new(folder)).unwrap());
        let blobs = store.blobs(2).unwrap();
        let bodies = Bodies::new(Arc::clone(&store) as Arc<dyn Store>, Arc::new(blobs));
        Self { store, mailboxes: Mailboxes::new(bodies, Quota::default()), next: AtomicU64::new(1) }
    }

    /// Delivers messages for `time`; how many.
    fn deliver(&self, octets: usize, writers: u64, inline: bool, time: Duration) -> u64 {
        let count = AtomicU64::new(0);
        let end = Instant::now() + time;
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let count = &count;
                scope.spawn(move || {
                    let account = wait(self.mailboxes.open_account(writer % 20 + 1, NOW)).unwrap();
                    let bodies = self.mailboxes.bodies();
                    let mut octets = vec![b'x'; octets];
                    while Instant::now() < end {
                        let id = MessageId(self.next.fetch_add(1, Relaxed));
                        // No two are alike, so that no segment has one for all of them.
                        Random::new(id.0).fill(&mut octets[..64]);
                        octets.truncate(octets.len() - 2);
                        octets.extend_from_slice(b"\r\n");
                        let piece = Bytes::copy_from_slice(&octets);
                        let content = match inline {
                            true => Content::Memory(vec![piece]),
                            false => {
                                Content::Blob(wait(bodies.blobs().put(piece, Durability::Disk)).unwrap())
                            }
                        };
                        let prepared = wait(bodies.prepare(b"", &content)).unwrap();
                        let batch = bodies.keep(Batch::new(), id, &prepared, 1);
                        let batch = bodies.describe(batch, id, vec![0; 300]);
                        let message =
                            Delivered { id, at: NOW, octets: prepared.octets(), flags: Flags::NONE };
                        let batch = self.mailboxes.deliver(batch, &account, None, &message);
                        self.store.commit(batch).wait().unwrap();
                        count.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        count.into_inner()
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let root = words.next().expect("a folder on the disk that is to be measured");
    let seconds = words.next().map_or(2.0, |seconds| seconds.parse().unwrap());
    let time = Duration::from_secs_f64(seconds);
    println!("octets  writers  way      messages/s (of {ROUNDS} rounds)      CPU µs a message");
    for octets in [4, 16, 60] {
        for writers in [1, 20, 64] {
            // A store of its own for each way, and the rounds in turn.
            let houses = [true, false].map(|inline| {
                let folder = Path::new(&root).join(format!("bodies-{octets}-{writers}-{inline}"));
                (inline, House::open(&folder), folder)
            });
            let mut rows = [(Vec::new(), 0, 0), (Vec::new(), 0, 0)];
            for _ in 0..ROUNDS {
                for ((inline, house, _), row) in houses.iter().zip(&mut rows) {
                    let (began, cpu) = (Instant::now(), cpu_micros());
                    let count = house.deliver(octets * 1000, writers, *inline, time);
                    // What the database takes over afterwards belongs to it too.
                    house.store.flush().wait().unwrap();
                    row.0.push((count as f64 / began.elapsed().as_secs_f64()).round());
                    row.1 += count;
                    row.2 += cpu_micros() - cpu;
                }
            }
            for ((inline, ..), (rates, count, cpu)) in houses.iter().zip(rows) {
                let way = if *inline { "inline" } else { "segment" };
                println!(
                    "{octets:>3} KB  {writers:>7}  {way:<7}  {rates:<30?}  {:.0}",
                    cpu as f64 / count as f64
                );
            }
            for (_, house, folder) in houses {
                drop(house);
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }
}
