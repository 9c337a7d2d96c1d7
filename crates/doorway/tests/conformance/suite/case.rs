//! Dialogues, read from text.
//!
//! ```text
//! == max-age-is-obeyed | optional | RFC 9111 §5.2.2.1 | a response is used until its max-age
//! with x = 1 ;; 2              the case is there for each value, {x} stands for it
//! C: GET /path|Name: value     a client asks; the path is optional
//! O: |Name: value|-Name        what the origin is to be asked: these fields are there, those are not
//! o: 200|Name: value||content  what it answers; `{now-60}` is a date
//! S: 200 hit|Name|Name: value|-Name||content
//! T+1s                         time passes
//! ```
//!
//! An answer's status may be followed by words: `chunked`, `trailer`, `short` (ends before its length), `slow`,
//! `slower`, `early` (103 before it). `fails` closes the connection, each time. A 304 to a request without conditions is sent as
//! the last 200 with the fields of the 304. An expectation's status (or `any`, or `5xx`) is
//! followed by what the origin was asked: `hit` nothing, `asked` something, `valid` a conditional request, `once`
//! exactly one request for all, `taken` something, unless the cache refuses the request, which ends the case;
//! `question` a conditional request, without which the case ends. `C*5:` asks five times at once. `B:` in place of `O:` expects
//! the request within two seconds after the answer.

/// How much a standard demands something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A MUST or MUST NOT.
    Required,
    /// A SHOULD or SHOULD NOT.
    Recommended,
    /// A MAY, or what a cache is for.
    Optional,
}

impl Kind {
    /// Every kind, the hardest first.
    pub const ALL: [Self; 3] = [Self::Required, Self::Recommended, Self::Optional];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Recommended => "recommended",
            Self::Optional => "optional",
        }
    }
}

/// A dialogue and why it should go as it says.
#[derive(Debug, Clone)]
pub struct Case {
    pub id: String,
    /// The same for all that differ in one value.
    pub group: String,
    pub kind: Kind,
    /// Such as `RFC 9111 §4.1`.
    pub section: String,
    pub says: String,
    pub steps: Vec<Step>,
}

/// One line of a dialogue, taken apart.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pub words: Vec<String>,
    pub fields: Vec<(String, String)>,
    /// Names that are to be there, whatever their value.
    pub present: Vec<String>,
    /// Names that are not to be there.
    pub absent: Vec<String>,
    pub content: Option<String>,
}

/// A request and all that belongs to it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Seconds to wait before it.
    pub wait_seconds: u64,
    /// How many clients ask at once.
    pub clients: usize,
    pub ask: Line,
    /// What the origin is to be asked, and answers.
    pub origin: Vec<(Option<Line>, Line)>,
    /// Whether the origin's last part comes after the answer.
    pub is_beside: bool,
    pub expected: Line,
}

impl Line {
    /// Reads what stands behind the letter of a line.
    pub fn read(text: &str) -> Self {
        let (head, content) = match text.split_once("||") {
            Some((head, content)) => (head, Some(content.to_owned())),
            None => (text, None),
        };
        let mut parts = head.split('|');
        let words = parts.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let mut line = Self { words, content, ..Self::default() };
        for part in parts.filter(|part| !part.trim().is_empty()) {
            if let Some((name, value)) = part.split_once(':') {
                let value = value.strip_prefix(' ').unwrap_or(value);
                line.fields.push((name.trim_start().to_owned(), value.to_owned()));
            } else if let Some(name) = part.strip_prefix('-') {
                line.absent.push(name.to_owned());
            } else {
                line.present.push(part.to_owned());
            }
        }
        line
    }

    /// What is not as this line says of some fields.
    pub fn differences(&self, fields: &[(String, String)]) -> Vec<String> {
        let named = |name: &str| {
            fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).collect::<Vec<_>>()
        };
        let mut wrong = Vec::new();
        for (name, value) in &self.fields {
            let found = named(name);
            let fits = match value.strip_prefix('~') {
                Some(part) => found.iter().any(|(_, text)| text.contains(part)),
                None => found.iter().any(|(_, text)| text == value),
            };
            if !fits {
                let found: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
                wrong.push(format!("{name} is {found:?}, not {value:?}"));
            }
        }
        wrong.extend(
            self.present.iter().filter(|name| named(name).is_empty()).map(|name| format!("no {name}")),
        );
        wrong.extend(
            self.absent.iter().filter(|name| !named(name).is_empty()).map(|name| format!("there is {name}")),
        );
        wrong
    }
}

/// Reads every case of a text.
///
/// # Panics
/// When the text is no list of cases: it is ours.
pub fn read(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with("== ") {
            blocks.push(vec![line]);
        } else {
            blocks.last_mut().unwrap_or_else(|| panic!("{line} is before any case")).push(line);
        }
    }
    for block in blocks {
        match block.get(1).and_then(|line| line.strip_prefix("with ")) {
            Some(values) => {
                let (name, values) = values.split_once(" = ").expect("with NAME = VALUES");
                for (number, value) in values.split(";;").map(str::trim).enumerate() {
                    let mut lines: Vec<String> = block.iter().map(|line| (*line).to_owned()).collect();
                    lines.remove(1);
                    lines.iter_mut().for_each(|line| *line = line.replace(&format!("{{{name}}}"), value));
                    cases.push(case(&lines, Some((number + 1, value))));
                }
            }
            None => cases.push(case(&block.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), None)),
        }
    }
    cases
}

fn case(lines: &[String], value: Option<(usize, &str)>) -> Case {
    let mut head = lines[0].trim_start_matches("== ").split(" | ").map(str::trim);
    let mut part = || head.next().unwrap_or_else(|| panic!("{} has four parts", lines[0])).to_owned();
    let (mut id, kind, section, mut says) = (part(), part(), part(), part());
    let group = id.clone();
    if let Some((number, value)) = value {
        id.push_str(&format!("-{number}"));
        says.push_str(&format!(": {value}"));
    }
    let kind =
        Kind::ALL.into_iter().find(|known| known.name() == kind).unwrap_or_else(|| panic!("kind {kind}"));
    let mut steps: Vec<Step> = Vec::new();
    let mut wait_seconds = 0;
    for line in &lines[1..] {
        if let Some(seconds) = line.strip_prefix("T+") {
            wait_seconds = seconds.trim_end_matches('s').parse().expect("T+ and seconds");
            continue;
        }
        let (letter, text) = line.split_once(':').unwrap_or_else(|| panic!("{line:?} of {id}"));
        let text = text.trim();
        let step = steps.last_mut();
        match (letter, step) {
            ("C", _) => steps.push(Step::new(text, 1, std::mem::take(&mut wait_seconds))),
            (letter, _) if letter.starts_with("C*") => {
                let clients = letter[2..].parse().expect("a number of clients");
                steps.push(Step::new(text, clients, std::mem::take(&mut wait_seconds)));
            }
            ("O", Some(step)) => step.origin.push((Some(Line::read(text)), Line::default())),
            ("B", Some(step)) => {
                step.is_beside = true;
                step.origin.push((Some(Line::read(text)), Line::default()));
            }
            ("o", Some(step)) => match step.origin.last_mut().filter(|(_, answer)| answer.words.is_empty()) {
                Some((_, answer)) => *answer = Line::read(text),
                None => step.origin.push((None, Line::read(text))),
            },
            ("S", Some(step)) => step.expected = Line::read(text),
            _ => panic!("{line:?} of {id}"),
        }
    }
    assert!(steps.iter().all(|step| !step.expected.words.is_empty()), "every request of {id} has its S:");
    Case { id, group, kind, section, says, steps }
}

impl Step {
    fn new(text: &str, clients: usize, wait_seconds: u64) -> Self {
        let (ask, expected) = (Line::read(text), Line::default());
        Self { wait_seconds, clients, ask, origin: Vec::new(), is_beside: false, expected }
    }
}
