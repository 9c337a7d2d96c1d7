//! Zone files, read as the name server would read them.

use std::fs;

use doorway_base::Random;
use doorway_base::config::Values;
use doorway_dns::io::{ReadAhead, include};
use doorway_dns::wire::Name;
use doorway_dns::zone::fault::Faults;
use doorway_dns::zone::{Fault, HashKey, Severity as Grade, file};

use super::error;
use crate::config::{At, Excerpt, Problem, Severity};

/// What is wrong with those zones of `[dns]` whose names `wanted` takes, each fault with its line in its
/// zone file. Those without errors are kept in `ahead`.
pub(crate) fn problems(
    dns: &Values,
    wanted: impl Fn(&str) -> bool,
    mut ahead: Option<&mut ReadAhead>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for zone in dns.tables("zone") {
        let name = zone.text("name");
        if !wanted(name) {
            continue;
        }
        if names.contains(&name) {
            problems.push(error(
                zone.at("name"),
                format!("the zone {name} is configured twice"),
                "keep one of them",
            ));
            continue;
        }
        names.push(name);
        let apex: Name = match name.parse() {
            Ok(apex) => apex,
            Err(why) => {
                problems.push(error(
                    zone.at("name"),
                    format!("`{name}` is no name for a zone"),
                    format!("expected {why}"),
                ));
                continue;
            }
        };
        // A secondary has no file.
        let Some(path) = zone.optional("file", Values::path) else { continue };
        match fs::read(path) {
            Err(why) => problems.push(error(
                zone.at("file"),
                format!("the zone file {} cannot be read: {why}", path.display()),
                "name a file that this user may read; a relative one starts at the config file's folder",
            )),
            Ok(text) => {
                // Without anybody to keep the zone, the key only spreads names over the table.
                let secret =
                    ahead.as_ref().map_or_else(|| HashKey::new(&mut Random::new(0)), |ahead| ahead.secret());
                let name = path.to_string_lossy();
                let read = file::read_including(&apex, &name, &text, secret, &mut include::beneath(path));
                match (read, &mut ahead) {
                    (Ok((zone, warnings)), Some(ahead)) => {
                        problems.extend(told(&warnings));
                        ahead.keep(path, zone, warnings);
                    }
                    (Ok((_, faults)) | Err(faults), _) => problems.extend(told(&faults)),
                }
            }
        }
    }
    problems
}

fn told(faults: &Faults) -> Vec<Problem> {
    let mut problems: Vec<Problem> = faults.list.iter().map(one).collect();
    if faults.left_out > 0
        && let Some(last) = problems.last_mut()
    {
        last.what.push_str(&format!(" (and {} more faults in this file)", faults.left_out));
    }
    problems
}

fn one(fault: &Fault) -> Problem {
    let severity = match fault.severity {
        Grade::Error => Severity::Error,
        Grade::Warning => Severity::Warning,
    };
    let at = if fault.line == 0 {
        At::Nowhere
    } else {
        let start = (fault.column as usize).saturating_sub(1);
        At::File(Excerpt {
            path: fault.file.to_string(),
            line: fault.line as usize,
            text: fault.text.clone(),
            span: start..start + fault.length as usize,
        })
    };
    let what = match at {
        At::Nowhere => format!("{}: {}", fault.file, fault.message),
        _ => fault.message.clone(),
    };
    Problem { severity, at, what, fix: String::new() }
}
