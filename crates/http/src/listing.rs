//! The files of a folder, as a page for people and as JSON for programs.
//!
//! Pure: reading the folder is in `io`. The page needs nothing from anywhere else and no script: a click on
//! a column's name asks for the page in that order.

use std::cmp::Ordering;
use std::fmt::Write as _;

use doorway_base::UnixTime;

use crate::wire::date::{write_date, write_rfc3339};
use crate::wire::path::FilePath;

/// Most files of one folder that are listed; the page says when there are more.
pub const ITEMS_MAX: usize = 10_000;

const STYLE: &str = include_str!("listing.css");

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name, without slashes.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its length in octets; 0 for a folder.
    pub octets: u64,
    /// When it last changed.
    pub modified: UnixTime,
}

/// By what a listing is sorted. Folders always come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Column {
    /// By name, in the order of its characters without regard to case.
    #[default]
    Name,
    /// By length.
    Size,
    /// By time of change.
    Time,
}

/// The order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    /// By what.
    pub column: Column,
    /// The greatest first.
    pub descending: bool,
}

impl Column {
    const ALL: [(Self, &'static str, &'static str); 3] =
        [(Self::Name, "name", "Name"), (Self::Size, "size", "Size"), (Self::Time, "time", "Changed")];
}

impl Order {
    /// Reads a query such as `sort=size&order=desc`; what is not understood is passed over.
    #[must_use]
    pub fn read(query: Option<&[u8]>) -> Self {
        let mut order = Self::default();
        for parameter in query.unwrap_or_default().split(|&octet| octet == b'&') {
            match parameter {
                b"order=desc" => order.descending = true,
                b"order=asc" => order.descending = false,
                _ => {
                    let named = |(_, name, _): &&(Column, &str, &str)| {
                        parameter.strip_prefix(b"sort=") == Some(name.as_bytes())
                    };
                    if let Some((column, ..)) = Column::ALL.iter().find(named) {
                        order.column = *column;
                    }
                }
            }
        }
        order
    }

    fn compare(self, a: &Item, b: &Item) -> Ordering {
        let names = || a.name.to_lowercase().cmp(&b.name.to_lowercase()).then_with(|| a.name.cmp(&b.name));
        let order = match self.column {
            Column::Name => names(),
            Column::Size => a.octets.cmp(&b.octets).then_with(names),
            Column::Time => a.modified.cmp(&b.modified).then_with(names),
        };
        b.folder.cmp(&a.folder).then(if self.descending { order.reverse() } else { order })
    }
}

/// Sorts a listing.
pub fn sort(items: &mut [Item], order: Order) {
    items.sort_by(|a, b| order.compare(a, b));
}

/// Whether a client that sends these Accept fields asks for JSON rather than for a page.
#[must_use]
pub fn wants_json<'v>(accept: impl Iterator<Item = &'v [u8]>) -> bool {
    // The first of the two that is named: nobody weighs them against each other.
    for member in accept.flat_map(|value| value.split(|&octet| octet == b',')) {
        match member.split(|&octet| octet == b';').next().unwrap_or_default().trim_ascii() {
            b"application/json" => return true,
            b"text/html" | b"text/*" | b"application/xhtml+xml" => return false,
            _ => {}
        }
    }
    false
}

/// The listing for programs: an array with an object for each file.
#[must_use]
pub fn json(items: &[Item]) -> String {
    let mut text = String::with_capacity(96 * items.len() + 4);
    text.push('[');
    for (place, item) in items.iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        text.push_str("{\"name\":");
        push_json(&mut text, &item.name);
        let kind = if item.folder { "folder" } else { "file" };
        let _ = write!(text, ",\"type\":\"{kind}\",\"changed\":\"{}\"", write_rfc3339(item.modified));
        if !item.folder {
            let _ = write!(text, ",\"octets\":{}", item.octets);
        }
        text.push('}');
    }
    text.push_str("\n]\n");
    text
}

/// The listing for people. `folder` is the path as it was asked for, decoded; `more` says that there are
/// files that are not listed.
#[must_use]
pub fn html(folder: &FilePath, base: &str, items: &[Item], order: Order, more: bool) -> String {
    let mut text = String::with_capacity(320 * items.len() + STYLE.len() + 2048);
    let path = format!("{base}/{}", folder.name);
    text.push_str(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>",
    );
    push_html(&mut text, &path);
    let _ = write!(text, "</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>");
    crumbs(&mut text, folder, base);
    text.push_str("</h1>\n<table>\n<thead><tr>");
    for (column, name, title) in Column::ALL {
        head(&mut text, order, column, name, title);
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    if !(folder.name.is_empty() && base.is_empty()) {
        text.push_str("<tr class=\"folder\"><td><a href=\"../\">..</a></td><td></td><td></td></tr>\n");
    }
    for item in items {
        row(&mut text, item);
    }
    text.push_str("</tbody>\n</table>\n<p>");
    let folders = items.iter().filter(|item| item.folder).count();
    let files = items.len() - folders;
    let octets = items.iter().map(|item| item.octets).sum();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let _ =
        write!(text, "{folders} folder{}, {files} file{}, {}", plural(folders), plural(files), size(octets));
    if more {
        let _ = write!(text, ". There are more than {ITEMS_MAX}; the others are not listed");
    }
    text.push_str("</p>\n</main>\n</body>\n</html>\n");
    text
}

/// The path with a link to each folder on the way.
fn crumbs(text: &mut String, folder: &FilePath, base: &str) {
    let segments: Vec<&str> = folder.name.split('/').filter(|segment| !segment.is_empty()).collect();
    let up = |levels: usize| if levels == 0 { "./".to_owned() } else { "../".repeat(levels) };
    let top = if base.is_empty() { "/" } else { base };
    let _ = write!(text, "<a href=\"{}\">", up(segments.len()));
    push_html(text, top);
    text.push_str("</a>");
    for (place, segment) in segments.iter().enumerate() {
        if place > 0 || !base.is_empty() {
            text.push_str("<span>/</span>");
        }
        let _ = write!(text, "<a href=\"{}\">", up(segments.len() - place - 1));
        push_html(text, segment);
        text.push_str("</a>");
    }
}

fn head(text: &mut String, order: Order, column: Column, name: &str, title: &str) {
    let this = order.column == column;
    let next = if this && !order.descending { "desc" } else { "asc" };
    let sorted = match (this, order.descending) {
        (true, false) => " aria-sort=\"ascending\"",
        (true, true) => " aria-sort=\"descending\"",
        (false, _) => "",
    };
    let _ =
        write!(text, "<th scope=\"col\"{sorted}><a href=\"?sort={name}&amp;order={next}\">{title}</a></th>");
}

fn row(text: &mut String, item: &Item) {
    let target = FilePath { name: item.name.clone(), folder: item.folder }.to_target();
    let class = if item.folder { "folder" } else { "file" };
    // Relative, and never to be taken for a URL with a scheme.
    let _ = write!(text, "<tr class=\"{class}\"><td><a href=\".");
    push_html(text, &target);
    text.push_str("\">");
    push_html(text, &item.name);
    text.push_str(if item.folder { "/</a></td><td></td>" } else { "</a></td>" });
    if !item.folder {
        let _ = write!(text, "<td title=\"{} octets\">{}</td>", item.octets, size(item.octets));
    }
    let date = write_date(item.modified);
    // The IMF form without its weekday, seconds and zone.
    let shown = date.get(5..22).unwrap_or_default();
    let machine = write_rfc3339(item.modified);
    let _ = writeln!(
        text,
        "<td><time datetime=\"{machine}\">{}</time></td></tr>",
        String::from_utf8_lossy(shown)
    );
}

/// A length for people: three digits and a unit.
#[must_use]
pub fn size(octets: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if octets < 1024 {
        return format!("{octets} B");
    }
    let mut value = octets as f64;
    let mut unit = "";
    for next in UNITS {
        value /= 1024.0;
        unit = next;
        // Rounded, it would be four digits.
        if value < 999.5 {
            break;
        }
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

fn push_html(text: &mut String, plain: &str) {
    for c in plain.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            // A name must not turn the text around it or break its line.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                text.push('\u{fffd}');
            }
            c => text.push(c),
        }
    }
}

fn push_json(text: &mut String, plain: &str) {
    text.push('"');
    for c in plain.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, folder: bool, octets: u64, seconds: u64) -> Item {
        Item { name: name.to_owned(), folder, octets, modified: UnixTime::from_secs(seconds) }
    }

    #[track_caller]
    fn check(query: &str, expected: &[&str]) {
        let mut items = [
            item("b", false, 1, 30),
            item("C", false, 9, 10),
            item("a", false, 5, 20),
            item("z", true, 0, 5),
        ];
        sort(&mut items, Order::read(Some(query.as_bytes())));
        assert_eq!(items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), expected, "{query}");
    }

    #[test]
    fn folders_come_first_and_files_in_the_order_asked_for() {
        check("", &["z", "a", "b", "C"]);
        check("sort=name&order=desc", &["z", "C", "b", "a"]);
        check("sort=size", &["z", "b", "a", "C"]);
        check("order=desc&sort=size", &["z", "C", "a", "b"]);
        check("sort=time&order=asc", &["z", "C", "a", "b"]);
        check("sort=colour&x", &["z", "a", "b", "C"]);
    }

    #[test]
    fn names_are_shown_as_they_are_and_do_nothing_else() {
        let names = [
            "<script>alert(1)</script>",
            "a b&c.txt",
            "百度.html",
            "javascript:x",
            "100%.txt",
            "\u{202e}gpj.exe",
        ];
        let items: Vec<_> = names.iter().map(|name| item(name, false, 1, 0)).collect();
        let folder = FilePath { name: "x<y/z".into(), folder: true };
        let page = html(&folder, "", &items, Order::default(), false);
        for unwanted in ["<script>", "x<y", "href=\"javascript", "\u{202e}"] {
            assert!(!page.contains(unwanted), "{unwanted}");
        }
        for wanted in [
            "href=\"./%E7%99%BE%E5%BA%A6.html\">百度.html</a>",
            "href=\"./a%20b&amp;c.txt\">a b&amp;c.txt</a>",
            "href=\"./javascript:x\"",
            "href=\"./100%25.txt\"",
            "<title>/x&lt;y/z</title>",
            "prefers-color-scheme: dark",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
    }

    #[test]
    fn json_names_every_file_with_its_length_and_time() {
        let items = [item("d\"\\", true, 0, 784_111_777), item("\n", false, 7, 0)];
        assert_eq!(
            json(&items),
            "[\n{\"name\":\"d\\\"\\\\\",\"type\":\"folder\",\"changed\":\"1994-11-06T08:49:37Z\"},\n\
             {\"name\":\"\\u000a\",\"type\":\"file\",\"changed\":\"1970-01-01T00:00:00Z\",\"octets\":7}\n]\n"
        );
        assert_eq!(json(&[]), "[\n]\n");
        let wants = |accept: &str| wants_json(std::iter::once(accept.as_bytes()));
        assert!(wants("application/json") && wants("application/json; q=0.9, */*"));
        assert!(!wants("text/html, application/json") && !wants("*/*") && !wants(""));
    }

    #[test]
    fn lengths_are_three_digits_and_a_unit() {
        for (octets, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_239, "10 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 20, "5.0 MiB"),
            (700 << 30, "700 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(octets), expected, "{octets}");
        }
    }
}
