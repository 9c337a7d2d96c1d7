//! The manifest of a backup: what is in it, as text.
//!
//! ```text
//! doorway backup 1
//! format 1
//! seq 4711
//! file 5891b5b5…(64 digits) 40960 store.db
//! ```

use std::fmt;
use std::str::FromStr;

use doorway_base::Malformed;

use crate::blob::BlobId;
use crate::store::{Manifest, ManifestFile};

const FIRST_LINE: &str = "doorway backup 1";

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nformat {}\nseq {}", self.format, self.seq)?;
        for file in &self.files {
            writeln!(f, "file {} {} {}", BlobId(file.hash), file.octets, file.path)?;
        }
        writeln!(f, "end")
    }
}

impl FromStr for Manifest {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut manifest = Self::default();
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(Malformed::new("a manifest of a backup", 0));
        }
        for line in lines {
            let at = line.as_ptr() as usize - text.as_ptr() as usize;
            let number = |text: &str| text.parse().map_err(|_| Malformed::new("a number", at));
            match line.split_once(' ') {
                None if line == "end" => return Ok(manifest),
                Some(("format", format)) => manifest.format = number(format)? as u32,
                Some(("seq", seq)) => manifest.seq = number(seq)?,
                Some(("file", file)) => {
                    let mut parts = file.splitn(3, ' ');
                    let mut part = || parts.next().ok_or(Malformed::new("hash, length and path", at));
                    let hash = part()?.parse::<BlobId>().map_err(|_| Malformed::new("a hash", at))?.0;
                    let octets = number(part()?)?;
                    let path = part()?.to_owned();
                    if !is_plain(&path) {
                        return Err(Malformed::new("a path inside the backup", at));
                    }
                    manifest.files.push(ManifestFile { path, octets, hash });
                }
                _ => return Err(Malformed::new("format, seq, file or end", at)),
            }
        }
        Err(Malformed::new("the manifest's end", text.len()))
    }
}

/// A path that cannot lead out of the folder it is joined to.
pub(crate) fn is_plain(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(plain) && path.split('/').count() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_back_and_every_prefix_is_refused() {
        let file = ManifestFile { path: "segments/1".into(), octets: 7, hash: [9; 32] };
        let manifest = Manifest { format: 1, seq: 4711, files: vec![file.clone(), file] };
        let text = manifest.to_string();
        assert_eq!(text.parse(), Ok(manifest));
        for length in 0..text.len() - 1 {
            assert!(text[..length].parse::<Manifest>().is_err(), "{length}");
        }
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for path in ["../x", "/etc/passwd", "a/../../b", "a//b", ".", "", "a/b/c"] {
            assert!(!is_plain(path), "{path}");
        }
        assert!(is_plain("store.db") && is_plain("bodies/abc"));
    }
}
