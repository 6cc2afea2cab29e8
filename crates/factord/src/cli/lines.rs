//! Files that hardware is imported from: a line for each, its values between commas. All that is wrong is said at once, each
//! thing with its line.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use zeroize::Zeroizing;

/// The lines of a file that hold something, each with its number.
pub struct Lines {
    text: Zeroizing<String>,
}

/// The values of one line.
pub struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    /// The values, without the blanks around them.
    pub values: Vec<&'a str>,
}

impl Lines {
    /// Reads a file, or standard input where it is called `-`.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let read = || {
            if path == Path::new("-") {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            } else {
                std::fs::read_to_string(path)
            }
        };
        let text = read().with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { text: text.into() })
    }

    /// What each line says. Empty lines, those that begin with `#` and one with the names of the columns are passed over.
    ///
    /// # Errors
    /// All that `parse` did not understand, and that a file with nothing in it has nothing to import.
    pub fn parse<T>(
        &self,
        heading: &str,
        parse: impl Fn(&Line<'_>) -> Result<T, String>,
    ) -> anyhow::Result<Vec<(usize, T)>> {
        let mut problems = Problems::default();
        let mut parsed = Vec::new();
        for (index, text) in self.text.lines().enumerate() {
            let text = text.trim_start_matches('\u{feff}').trim();
            let is_heading = text.to_ascii_lowercase().starts_with(heading);
            if text.is_empty() || text.starts_with('#') || is_heading {
                continue;
            }
            let line = Line {
                number: index + 1,
                values: text.split(',').map(str::trim).collect(),
            };
            match parse(&line) {
                Ok(value) => parsed.push((line.number, value)),
                Err(problem) => problems.add(line.number, &problem),
            }
        }
        problems.check()?;
        anyhow::ensure!(!parsed.is_empty(), "the file has nothing in it to import");
        Ok(parsed)
    }
}

/// What is wrong with a file, line by line.
#[derive(Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Adds what is wrong with a line, in words that hold no secret.
    pub fn add(&mut self, line: usize, problem: &str) {
        self.0.push(format!("line {line}: {problem}"));
    }

    /// Notes every name that stands on two lines.
    pub fn require_once(&mut self, names: impl IntoIterator<Item = (usize, String)>) {
        let mut seen = std::collections::HashMap::new();
        for (line, name) in names {
            if let Some(first) = seen.get(&name) {
                self.add(line, &format!("{name} stands on line {first} too"));
            } else {
                seen.insert(name, line);
            }
        }
    }

    /// Passes if nothing is wrong.
    ///
    /// # Errors
    /// The first of the problems, and how many more there are.
    pub fn check(self) -> anyhow::Result<()> {
        let more = self.0.len().saturating_sub(SHOWN);
        let mut shown: Vec<_> = self.0.into_iter().take(SHOWN).collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        anyhow::ensure!(
            shown.is_empty(),
            "nothing was imported: {}",
            shown.join("; ")
        );
        Ok(())
    }
}

/// `1 key`, `2 keys`.
pub fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Problems that are shown: a file of another form has one on each of its lines.
const SHOWN: usize = 10;
