//! The few fields of a POSIX tar archive (ustar, IEEE 1003.1) that a backup in one file needs: plain
//! files with short names. Any tar can unpack it.

use doorway_base::Malformed;

/// Headers and contents fill whole blocks of this many octets.
pub(crate) const BLOCK_OCTETS: usize = 512;
/// Longest name of a file in the archive.
const NAME_OCTETS_MAX: usize = 100;
/// Lengths from here on do not fit the eleven octal digits and stand in base 256.
const OCTAL_END: u64 = 1 << 33;

/// The header of a file of `octets` octets; `None` for a name that is too long.
pub(crate) fn header(name: &str, octets: u64) -> Option<[u8; BLOCK_OCTETS]> {
    let mut block = [0; BLOCK_OCTETS];
    if name.is_empty() || name.len() > NAME_OCTETS_MAX {
        return None;
    }
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000600\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    if octets < OCTAL_END {
        block[124..136].copy_from_slice(format!("{octets:011o}\0").as_bytes());
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&octets.to_be_bytes());
    }
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// Name and length of the file that follows; `None` at the archive's end.
pub(crate) fn parse(block: &[u8; BLOCK_OCTETS]) -> Result<Option<(String, u64)>, Malformed> {
    if block.iter().all(|octet| *octet == 0) {
        return Ok(None);
    }
    if octal(&block[148..155]) != Some(u64::from(checksum(block))) {
        return Err(Malformed::new("a tar header with its checksum", 148));
    }
    if block[156] != b'0' {
        return Err(Malformed::new("a plain file", 156));
    }
    let name = block[..NAME_OCTETS_MAX].split(|octet| *octet == 0).next().unwrap_or_default();
    let name =
        std::str::from_utf8(name).map_err(|error| Malformed::new("a name in UTF-8", error.valid_up_to()))?;
    let octets = if block[124] == 0x80 {
        block[128..136].iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet))
    } else {
        octal(&block[124..136]).ok_or(Malformed::new("a length", 124))?
    };
    Ok(Some((name.to_owned(), octets)))
}

/// Octets that fill up the last block of a file of this length.
pub(crate) fn padding(octets: u64) -> usize {
    (octets.next_multiple_of(BLOCK_OCTETS as u64) - octets) as usize
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(field).ok()?.trim_end_matches(['\0', ' ']);
    u64::from_str_radix(digits, 8).ok()
}

/// The sum of the header's octets, with those of the sum itself as blanks.
fn checksum(block: &[u8; BLOCK_OCTETS]) -> u32 {
    let octets =
        block.iter().enumerate().map(|(at, octet)| if (148..156).contains(&at) { b' ' } else { *octet });
    octets.map(u32::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_for_every_length() {
        for octets in [0, 1, 511, 512, OCTAL_END - 1, OCTAL_END, u64::MAX] {
            let block = header("segments/00000001.segment", octets).unwrap();
            assert_eq!(parse(&block), Ok(Some(("segments/00000001.segment".to_owned(), octets))));
        }
        assert_eq!(parse(&[0; BLOCK_OCTETS]), Ok(None));
        assert_eq!((padding(0), padding(1), padding(512)), (0, 511, 0));
    }

    #[test]
    fn a_header_with_any_other_octet_is_refused_or_the_same() {
        let block = header("store.db", 7).unwrap();
        for at in 0..BLOCK_OCTETS {
            let mut harmed = block;
            harmed[at] ^= 1;
            assert!(parse(&harmed).is_err() || parse(&harmed) == parse(&block), "octet {at}");
        }
    }
}
