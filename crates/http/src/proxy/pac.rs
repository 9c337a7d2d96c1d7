//! The file by which browsers configure themselves to use a proxy: a function in JavaScript that says for each
//! URL whom to ask (Proxy Auto-Config; found by WPAD as `/wpad.dat`).

/// Its media type.
pub const MEDIA_TYPE: &str = "application/x-ns-proxy-autoconfig";
/// Paths under which it is asked for.
pub const PATHS: [&str; 2] = ["/proxy.pac", "/wpad.dat"];

/// The file for a proxy at `proxy` (host and port). Plain names, this machine, private addresses and the domains
/// in `direct` are asked directly.
#[must_use]
pub fn write(proxy: &str, direct: &[String]) -> String {
    let mut conditions = vec![
        "isPlainHostName(host)".to_owned(),
        "/^(127|10|169\\.254|192\\.168|172\\.(1[6-9]|2[0-9]|3[01]))\\.[0-9.]+$/.test(host)".to_owned(),
        "/^\\[?(::1|f[cde][0-9a-f]*:)/i.test(host)".to_owned(),
        "dnsDomainIs(host, \".local\")".to_owned(),
    ];
    for domain in direct {
        let name = domain.trim_start_matches("*.");
        conditions.push(format!(
            "host == {0} || dnsDomainIs(host, {1})",
            text(name),
            text(&format!(".{name}"))
        ));
    }
    format!(
        "function FindProxyForURL(url, host) {{\n  if ({}) return \"DIRECT\";\n  return {};\n}}\n",
        conditions.join("\n      || "),
        text(&format!("PROXY {proxy}"))
    )
}

/// A text as JavaScript writes it. What could end it or is not ASCII is escaped.
fn text(plain: &str) -> String {
    let mut written = String::from("\"");
    for unit in plain.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some(letter) if letter.is_ascii_alphanumeric() || " .-:[]_".contains(letter) => {
                written.push(letter)
            }
            _ => written.push_str(&format!("\\u{unit:04x}")),
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_whom_to_ask() {
        let file = write("gate.lan:3128", &["example.lan".to_owned()]);
        assert!(file.contains("return \"PROXY gate.lan:3128\";"), "{file}");
        assert!(file.contains("host == \"example.lan\" || dnsDomainIs(host, \".example.lan\")"), "{file}");
    }

    #[test]
    fn no_name_breaks_out_of_its_text() {
        let file = write("a\"; alert(1); \"\\", &["</script>\u{2028}".to_owned()]);
        assert!(!file.contains("alert(1)") && !file.contains("</") && file.is_ascii(), "{file}");
    }
}
