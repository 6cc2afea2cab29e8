//! Results on standard output: a table for people, JSON for programs.

use std::io::{self, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::{
    arguments::Format,
    exit::{Exit, Failure, Outcome},
};

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
}

impl Output {
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// A list: JSON as it is, or a table with these columns.
    pub(crate) fn list<T: Serialize, const N: usize>(
        self,
        items: &[T],
        heads: [&str; N],
        row: impl Fn(&T) -> [String; N],
    ) -> Outcome<()> {
        if self.is_json() {
            return json(&items);
        }
        let mut rows = vec![heads.map(str::to_owned)];
        rows.extend(
            items
                .iter()
                .map(|item| row(item).map(|cell| printable(&cell))),
        );
        let widths: [usize; N] = std::array::from_fn(|column| {
            rows.iter()
                .map(|row| row[column].width())
                .max()
                .unwrap_or(0)
        });
        let mut text = String::new();
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width - cell.width() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        print(&text)
    }

    /// One thing: JSON as it is, or a line for each field that is there.
    pub(crate) fn one<T: Serialize>(self, item: &T, fields: &[(&str, String)]) -> Outcome<()> {
        if self.is_json() {
            return json(item);
        }
        let shown = || fields.iter().filter(|(_, value)| !value.is_empty());
        let width = shown().map(|(name, _)| name.width()).max().unwrap_or(0);
        let lines: Vec<_> = shown()
            .map(|(name, value)| format!("{name:width$}  {}\n", printable(value)))
            .collect();
        print(&lines.concat())
    }
}

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// What of a text may reach a terminal: a name that the service sends must not move the cursor.
pub(crate) fn printable(text: &str) -> String {
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

/// What is not there prints as nothing.
pub(crate) fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn json<T: Serialize>(item: &T) -> Outcome<()> {
    let text = serde_json::to_string_pretty(item)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    print(&format!("{text}\n"))
}
