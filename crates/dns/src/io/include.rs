//! Files that a zone file includes, read from the folder of the zone file and nowhere else.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use crate::zone::file::FILE_OCTETS_MAX;

/// Reads included files beneath the folder of `zone_file`.
///
/// Neither `..`, nor an absolute name, nor a symbolic link leads out of it; only ordinary files are
/// read. The error says what the system said.
pub fn beneath(zone_file: &Path) -> impl FnMut(&str) -> Result<Vec<u8>, String> + use<> {
    let folder = zone_file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    move |name| {
        // A FIFO must not make anybody wait for its other end.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let folder = openat(CWD, &folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|why| why.to_string())?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&folder, name, flags, Mode::empty(), resolve).map_err(|why| match why {
            rustix::io::Errno::XDEV => "it is not in the folder of the zone file".to_owned(),
            why => why.to_string(),
        })?;
        let stat = fstat(&file).map_err(|why| why.to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("it is not an ordinary file".to_owned());
        }
        let mut text = Vec::new();
        let read = File::from(file).take(FILE_OCTETS_MAX as u64).read_to_end(&mut text);
        read.map(|_| text).map_err(|why| why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folder_of_the_zone_is_read() {
        let folder = std::env::temp_dir().join(format!("doorway-dns-include-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("zones/inner")).unwrap();
        std::fs::write(folder.join("secret"), "secret").unwrap();
        std::fs::write(folder.join("zones/inner/hosts"), "hosts").unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("zones/way-out")).unwrap();
        let absolute = folder.join("zones/inner/hosts");
        let mut read = beneath(&folder.join("zones/main"));
        assert_eq!(read("inner/hosts"), Ok(b"hosts".to_vec()));
        assert_eq!(read("inner/../inner/hosts"), Ok(b"hosts".to_vec()));
        for name in
            ["../secret", "way-out", "inner/../../secret", absolute.to_str().unwrap(), "/etc/hostname"]
        {
            assert_eq!(read(name), Err("it is not in the folder of the zone file".into()), "{name}");
        }
        assert_eq!(read("inner"), Err("it is not an ordinary file".into()));
        assert!(read("none").is_err() && read("").is_err() && read("a\0b").is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
