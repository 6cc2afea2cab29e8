//! What a command prints: tables for people, JSON for programs, errors with their causes.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

/// How a command prints what it gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table for people
    #[default]
    Table,
    /// JSON for programs
    Json,
}

impl Output {
    /// Prints a list: `records` as a JSON array, or one line for each of `rows` beneath `headings`.
    pub fn list<T: Serialize>(
        self,
        records: &[T],
        headings: &[&str],
        rows: &[Vec<String>],
    ) -> anyhow::Result<()> {
        match self {
            Self::Json => json(&records),
            Self::Table => table(headings, rows),
        }
    }

    /// Prints one thing: `record` as a JSON object, or a line for each of `fields`.
    pub fn one<T: Serialize>(self, record: &T, fields: &[(&str, String)]) -> anyhow::Result<()> {
        match self {
            Self::Json => json(record),
            Self::Table => {
                let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                let mut out = io::stdout().lock();
                for (name, value) in fields {
                    writeln!(out, "{name:width$}  {}", printable(value))?;
                }
                Ok(())
            }
        }
    }

    /// Says what was done: `record` as a JSON object, or a sentence that is not part of the output.
    pub fn done<T: Serialize>(self, record: &T, sentence: &str) -> anyhow::Result<()> {
        match self {
            Self::Json => json(record),
            Self::Table => {
                note(sentence);
                Ok(())
            }
        }
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut widths: Vec<_> = headings.iter().map(|heading| heading.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = io::stdout().lock();
    let headings: Vec<_> = headings
        .iter()
        .map(|heading| (*heading).to_owned())
        .collect();
    for row in std::iter::once(&headings).chain(rows) {
        let line: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{:width$}", printable(cell)))
            .collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

/// Without control characters, so that what a stranger named something cannot drive a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

/// Prints an error and its causes, and gives the exit status for it.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    // Nothing can be done where even this cannot be printed.
    drop(writeln!(io::stderr(), "error: {error:#}"));
    ExitCode::FAILURE
}

/// Prints a line that is not part of the output.
pub fn note(line: &str) {
    // A note that cannot be printed is no reason to fail.
    drop(writeln!(io::stderr(), "{line}"));
}

/// Asks before something that cannot be undone. `--yes` answers for scripts.
///
/// # Errors
/// If the answer is no, or nobody is there to ask.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    anyhow::ensure!(
        io::stdin().is_terminal(),
        "{question}: say --yes to do it without being asked"
    );
    write!(io::stderr(), "{question}? Type yes to go on: ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    anyhow::ensure!(answer.trim() == "yes", "not done");
    Ok(())
}
