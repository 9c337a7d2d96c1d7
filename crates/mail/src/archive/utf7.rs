//! Names of folders in ASCII: runs of other letters as UTF-16 in a base64 of their own, between `&` and `-`
//! (RFC 3501 §5.1.3). Maildir++ names its folders so.

/// `A` to `Z`, `a` to `z`, `0` to `9`, `+`, `,`.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Writes a name. Of ASCII, those letters are coded too that `coded` says, though they need not be.
#[must_use]
pub fn encode(name: &str, coded: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(name.len());
    let mut run: Vec<u16> = Vec::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') && !coded(c) {
            end_run(&mut run, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            run.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }
    end_run(&mut run, &mut out);
    out
}

fn end_run(run: &mut Vec<u16>, out: &mut String) {
    if run.is_empty() {
        return;
    }
    out.push('&');
    let octets: Vec<u8> = run.drain(..).flat_map(u16::to_be_bytes).collect();
    for three in octets.chunks(3) {
        let mut bits = 0u32;
        for at in 0..3 {
            bits = bits << 8 | three.get(at).map_or(0, |octet| u32::from(*octet));
        }
        for digit in 0..=three.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out.push('-');
}

/// Reads a name; `None` when it is not one.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, coded)) = rest.split_once('&') {
        out.push_str(plain);
        let (run, behind) = coded.split_once('-')?;
        rest = behind;
        if run.is_empty() {
            out.push('&');
            continue;
        }
        let (mut bits, mut count, mut octets) = (0u32, 0, Vec::new());
        for digit in run.bytes() {
            let value = DIGITS.iter().position(|known| *known == digit)? as u32;
            bits = bits << 6 | value;
            count += 6;
            if count >= 8 {
                count -= 8;
                octets.push((bits >> count) as u8);
            }
        }
        let units: Vec<u16> =
            octets.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        out.push_str(&String::from_utf16(&units).ok()?);
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_written_as_imap_has_them() {
        for (name, coded) in [
            ("Sent Mail", "Sent Mail"),
            ("A & B", "A &- B"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("台北", "&U,BTFw-"),
            ("日本語", "&ZeVnLIqe-"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(encode(name, |_| false), coded);
            assert_eq!(decode(coded).as_deref(), Some(name));
        }
        assert_eq!(encode("v1.2", |c| c == '.'), "v1&AC4-2");
        assert_eq!(decode("v1&AC4-2").as_deref(), Some("v1.2"));
        for wrong in ["&", "a&b", "&2D0-", "&!-"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_name_reads_back(name in "\\PC{0,30}") {
            let coded = encode(&name, |c| c == '.');
            prop_assert!(coded.is_ascii() && !coded.contains('.'));
            prop_assert_eq!(decode(&coded), Some(name));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[&-a-z+,=\\PC]{0,20}") {
            let _ = decode(&text);
        }
    }
}
