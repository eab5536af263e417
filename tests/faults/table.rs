//! The table as text, and as it is checked in.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use camunda_admin::Outcome;

use crate::run::{Class, Seen};

const HEAD: &str = "\
# What goes wrong, and what callers see

Made by `tests/faults`, which meets a server that misbehaves with one call of each kind; do not edit.
`CAMUNDA_ADMIN_REFRESH=1 cargo test --test faults` writes it anew.

- **get** is `get cluster`, a safe operation; **set** is `set IP allowlist`, a repeatable one;
  **create** is `create cluster`, one that must not happen twice; **token** is a `get cluster` for
  which a token has to be asked for first, where it is the token endpoint that misbehaves.
- A cell says what the caller gets (the answer; or the error's kind and, of the operation, its
  outcome), how often the server was asked, counted there, and how long it took: *at once*, *after
  retries*, *when it had come* (for answers that are slow), *at the deadline*.
- *The first time only*: the fault strikes the first request, and the server is well afterwards.
  Where there is none the fault is no matter of single requests.

What holds in every row, and is checked with it: nothing that must not happen twice was sent twice
after a byte of it may have arrived; no call outlived its deadline by more than 100 ms (one that did
was made again, ten times at most, since a slow machine is late now and then); the outcome that an
error tells is what became of the cluster at the service; no error shows a secret or a token.
";

/// What was seen of one fault.
pub(crate) struct Block {
    group: String,
    name: String,
    rows: Vec<Row>,
}

struct Row {
    class: Class,
    first: Option<Seen>,
    every: Option<Seen>,
}

impl Block {
    pub(crate) fn new(group: &str, name: &str) -> Block {
        Block {
            group: group.to_owned(),
            name: name.to_owned(),
            rows: Vec::new(),
        }
    }

    /// Adds what a class saw; of the same class, what it saw where `times` is another.
    pub(crate) fn add(&mut self, class: Class, times: Option<u32>, seen: Seen) {
        if self.rows.last().is_none_or(|row| row.class != class) {
            self.rows.push(Row {
                class,
                first: None,
                every: None,
            });
        }
        let row = self.rows.last_mut().expect("just pushed");
        match times {
            Some(_) => row.first = Some(seen),
            None => row.every = Some(seen),
        }
    }

    /// Outcome that a class reports when the fault strikes every time; `None` where it succeeds.
    pub(crate) fn outcome_of(&self, class: Class) -> Option<Outcome> {
        let row = self.rows.iter().find(|row| row.class == class)?;
        row.every.as_ref()?.failed.as_ref().map(|failed| failed.1)
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.contains(&self.render())
    }

    /// A line for all classes that saw the same.
    fn render(&self) -> String {
        let mut lines: Vec<(String, String)> = Vec::new();
        for row in &self.rows {
            let seen = [&row.first, &row.every].into_iter().flatten();
            let message = seen.filter_map(|seen| seen.message.as_deref()).next_back();
            let message = message
                .map(|message| format!("`{}`", message.replace('|', "\\|").replace('`', "'")));
            let cells = format!(
                "{} | {} | {}",
                cell(row.first.as_ref()),
                cell(row.every.as_ref()),
                message.unwrap_or_default()
            );
            let class = match row.class {
                Class::Safe => "get",
                Class::Idempotent => "set",
                Class::NonIdempotent => "create",
                Class::Token => "token",
            };
            match lines.iter_mut().find(|(_, known)| *known == cells) {
                Some((classes, _)) => *classes += &format!(", {class}"),
                None => lines.push((class.to_owned(), cells)),
            }
        }
        let mut text = String::new();
        let mut name = self.name.replace('|', "\\|");
        for (classes, cells) in lines {
            writeln!(text, "| {name} | {classes} | {cells} |").unwrap();
            name.clear();
        }
        text
    }
}

fn cell(seen: Option<&Seen>) -> String {
    let Some(seen) = seen else {
        return "–".to_owned();
    };
    let what = match &seen.failed {
        None => "the answer".to_owned(),
        Some((kind, outcome)) => {
            let outcome = match outcome {
                Outcome::NotSent => "not sent",
                Outcome::Rejected => "refused",
                Outcome::Unknown => "unknown",
                Outcome::Completed => "done",
                other => unreachable!("{other:?} is new"),
            };
            format!("**{kind}**, {outcome}")
        }
    };
    format!("{what}; asked {}; {}", seen.asked, seen.took)
}

pub(crate) fn render(blocks: &[Block]) -> String {
    let mut text = HEAD.to_owned();
    let mut group = "";
    for block in blocks {
        if block.group != group {
            group = &block.group;
            writeln!(
                text,
                "\n## {group}\n\n\
                 | fault | call | the first time only | every time | the error's words |\n\
                 |---|---|---|---|---|"
            )
            .unwrap();
        }
        text += &block.render();
    }
    text
}

pub(crate) fn known() -> String {
    fs::read_to_string(path()).unwrap_or_default()
}

/// Whether the table is to be written anew.
pub(crate) fn refreshing() -> bool {
    std::env::var_os("CAMUNDA_ADMIN_REFRESH").is_some()
}

pub(crate) fn compare(known: &str, found: &str) {
    if known == found {
        return;
    }
    if refreshing() {
        fs::create_dir_all(path().parent().unwrap()).unwrap();
        fs::write(path(), found).unwrap();
        return;
    }
    let differences: Vec<String> = found
        .lines()
        .filter(|line| !known.lines().any(|known| known == *line))
        .map(|line| format!("+ {line}"))
        .chain(
            known
                .lines()
                .filter(|line| !found.lines().any(|found| found == *line))
                .map(|line| format!("- {line}")),
        )
        .collect();
    panic!(
        "docs/failure-modes.md lags; `CAMUNDA_ADMIN_REFRESH=1 cargo test --test faults` writes it anew:\n{}",
        differences.join("\n")
    );
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/failure-modes.md")
}
