//! Every frame of a test, recorded on each of its links from the first moment and dissected at its end. No test
//! asks for it: whoever links hosts has it.

use std::sync::Mutex;
use std::time::Duration;

use super::support::{Host, Running};
use crate::folder::Folder;
use crate::programs;

/// How long the system may keep frames before it hands them to whoever records; an unfinished block of them is
/// lost when the recording ends.
const HANDED_OVER_AFTER: Duration = Duration::from_millis(300);
/// What no frame may be: broken, or wrong in the eyes of the dissectors.
const BROKEN: &str = "_ws.malformed || _ws.expert.severity >= 0x800000";
/// What a frame shows when it is broken.
const SHOWN: [&str; 10] = [
    "-T",
    "fields",
    "-e",
    "frame.number",
    "-e",
    "_ws.col.Protocol",
    "-e",
    "_ws.col.Info",
    "-e",
    "_ws.expert.message",
];

/// What is recorded of the links between the hosts of one test.
#[derive(Default)]
pub(super) struct Recording {
    links: Mutex<Vec<Link>>,
}

/// The link that an interface ends.
struct Link {
    interface: String,
    recorder: Running,
    folder: Folder,
}

/// The file in the folder of a link.
const FILE: &str = "frames.pcapng";

impl Recording {
    /// Records the link of a host's interface from now on.
    pub(super) fn begin(&self, host: &Host, interface: &str) {
        let folder = Folder::new();
        let recorder = host.start(&folder, "dumpcap", &["-q", "-i", interface, "-w", &folder.word(FILE)]);
        recorder.until_it_says("File: ", 1);
        self.links.lock().unwrap().push(Link { interface: interface.to_owned(), recorder, folder });
    }

    /// Ends it, and says what is wrong with the frames. The second time there is nothing to say.
    pub(super) fn end(&self) -> String {
        let links = std::mem::take(&mut *self.links.lock().unwrap());
        // A test that has failed has told why.
        if links.is_empty() || std::thread::panicking() {
            return String::new();
        }
        std::thread::sleep(HANDED_OVER_AFTER);
        links.into_iter().map(Link::dissected).collect()
    }
}

impl Link {
    fn dissected(self) -> String {
        let Self { interface, recorder, folder } = self;
        recorder.interrupt();
        let file = folder.word(FILE);
        let read = |filter: &str| {
            let words = [&["-n", "-r", &file, "-Y", filter][..], &SHOWN].concat();
            programs::run("tshark", &words).done()
        };
        if read("dhcp").is_empty() {
            return format!("no frame of DHCP was recorded on the link of {interface}\n");
        }
        let broken = read(BROKEN);
        if broken.is_empty() {
            broken
        } else {
            format!("broken frames on the link of {interface}:\n{broken}")
        }
    }
}
