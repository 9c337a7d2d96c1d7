//! Each problem with its line, a caret and what to write instead.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::{At, Excerpt, Place, Problem, Severity, Source};
use crate::screen::{BOLD, PLAIN, RED, YELLOW};

/// All `problems` for people, in colour; a stream that is no terminal strips it.
pub(crate) fn render(source: Option<&Source>, problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&one(source, problem));
        text.push_str("\n\n");
    }
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let counts: Vec<String> = [(errors, "error"), (warnings, "warning")]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| format!("{count} {noun}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    if !counts.is_empty() {
        text.push_str(&counts.join(", "));
    }
    text
}

fn one(source: Option<&Source>, problem: &Problem) -> String {
    let (path, text, line, at) = match (&problem.at, source) {
        (At::Config(at), Some(source)) => (source.path().to_string_lossy(), source.text(), 1, at),
        (At::File(Excerpt { path, line, text, span }), _) => (path.into(), text.as_str(), *line, span),
        (At::Nowhere | At::Config(_), _) => return without_place(problem),
    };
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let at = at.start.min(text.len())..at.end.min(text.len());
    let annotation = AnnotationKind::Primary.span(at);
    let annotation = if problem.fix.is_empty() { annotation } else { annotation.label(&problem.fix) };
    let snippet = Snippet::source(text).line_start(line).path(path.as_ref()).annotation(annotation);
    Renderer::styled().render(&[level.primary_title(&problem.what).element(snippet)])
}

/// A problem that no line of the file is to blame for, in the form of a [`crate::failure::Failure`].
fn without_place(problem: &Problem) -> String {
    let (colour, word) = match problem.severity {
        Severity::Error => (RED, "error"),
        Severity::Warning => (YELLOW, "warning"),
    };
    let fix = if problem.fix.is_empty() { String::new() } else { format!("\n  fix: {}", problem.fix) };
    format!("{colour}{word}{PLAIN}{BOLD}: {}{PLAIN}{fix}", problem.what)
}

/// All `problems` for programs.
pub(crate) fn document(source: Option<&Source>, problems: &[Problem]) -> Value {
    let problems: Vec<Value> = problems
        .iter()
        .map(|problem| {
            let (file, place) = match (&problem.at, source) {
                (At::Config(at), Some(source)) => {
                    (Some(source.path().display().to_string()), Some(source.place(at.start)))
                }
                (At::File(Excerpt { path, line, text, span }), _) => {
                    let column = text.get(..span.start).map_or(0, |before| before.chars().count()) + 1;
                    (Some(path.clone()), Some(Place { line: *line, column }))
                }
                (At::Nowhere | At::Config(_), _) => (None, None),
            };
            json!({
                "severity": match problem.severity { Severity::Error => "error", Severity::Warning => "warning" },
                "file": file,
                "line": place.map(|Place { line, .. }| line),
                "column": place.map(|Place { column, .. }| column),
                "what": problem.what,
                "fix": problem.fix,
            })
        })
        .collect();
    json!({ "file": source.map(|source| source.path().display().to_string()), "problems": problems })
}
