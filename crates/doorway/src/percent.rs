//! Percent coding (RFC 3986 §2.1) of names and values in targets of the control socket.

/// `text` with all but unreserved characters as `%XX`.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(octet))
            }
            _ => escaped.push_str(&format!("%{octet:02X}")),
        }
    }
    escaped
}

/// `%XX` becomes its octet; what is no such triple stays as it is.
pub(crate) fn unescape(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                octets.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            None => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_survives_the_way_there_and_back() {
        assert_eq!(escape("port 53 and !dns"), "port%2053%20and%20%21dns");
        for text in ["", "ann", "a/b?c=d&e", "ünïcode", "100%"] {
            assert_eq!(unescape(&escape(text)), text);
        }
    }

    #[test]
    fn what_is_no_triple_stays_as_it_is() {
        for text in ["%", "%4", "%zz", "a%", "%%41"] {
            assert_eq!(unescape(text), text.replace("%41", "A"));
        }
    }
}
