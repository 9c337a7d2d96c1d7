//! Where other readers of mail see something else than we do: each difference is listed with its reason in
//! `docs/mime-differences.md`. One that is not listed fails; `UPDATE=1` writes the list anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::corpus::{ASPECTS, Reading, messages, ours};
use crate::mime_reasons::REASONS;

/// Compares our readings with those of `peer`, in the order of the corpus, and holds the differences against
/// the section of that name.
pub(crate) fn check(peer: &str, theirs: &[Reading]) {
    let corpus = messages();
    assert_eq!(corpus.len(), theirs.len(), "a reading for each message");
    let mut rows = String::new();
    let (mut unexplained, mut same) = (Vec::new(), 0);
    for ((name, message), theirs) in corpus.iter().zip(theirs) {
        let ours = ours(message);
        for aspect in ASPECTS {
            let value = |reading: &Reading| {
                let found = reading.iter().find(|(known, _)| *known == aspect);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let (our, their) = (value(&ours), value(theirs));
            // A part that one sees and the other does not has content as well: said once.
            if matches!(aspect, "content" | "names") && ours[0].1 != theirs[0].1 {
                continue;
            }
            if our == their {
                same += 1;
                continue;
            }
            let applies = |(whose, what, of, holds, _): &&(&str, &str, &str, &str, &str)| {
                *whose == peer
                    && name.starts_with(what)
                    && (*of == aspect || *of == "*")
                    && String::from_utf8_lossy(message).contains(holds)
            };
            match REASONS.iter().find(applies) {
                Some((.., reason)) => {
                    let cell = |text: &str| text.replace('|', "\\|").replace('`', "'");
                    let _ = writeln!(
                        rows,
                        "| {name} | {aspect} | `{}` | `{}` | {reason} |",
                        cell(&our),
                        cell(&their)
                    );
                }
                None => unexplained.push(format!("{name}, {aspect}: we {our:?}, {peer} {their:?}")),
            }
        }
    }
    assert!(unexplained.is_empty(), "not explained:\n{}", unexplained.join("\n"));
    let section = format!(
        "## {peer}\n\n{same} values are the same.\n\n| message | what | Doorway | {peer} | why |\n| --- | --- | --- | --- | --- |\n{rows}"
    );
    hold(peer, &section);
}

/// Holds a section against the page, or writes it.
fn hold(peer: &str, section: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mime-differences.md");
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    let mut sections: Vec<&str> = page.split("\n## ").collect();
    let body = section.trim_start_matches("## ").trim_end();
    let known = sections.iter().position(|known| known.starts_with(&format!("{peer}\n")));
    match known {
        Some(at) => sections[at] = body,
        None => sections.push(body),
    }
    let sections: Vec<_> = sections.iter().map(|section| section.trim_end()).collect();
    let wanted = format!("{}\n", sections.join("\n\n## "));
    if wanted == page {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "docs/mime-differences.md is not what was found; UPDATE=1 writes it"
    );
    std::fs::write(path, wanted).unwrap();
}
