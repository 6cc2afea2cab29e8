//! An operator's templates: read once, and refused with file and line for whatever would only show when somebody waits
//! for a message.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use minijinja::Environment;

use super::examples;
use super::kind::{Kind, Part};
use super::language::Language;
use super::template::{self, Flaw};

/// What is wrong with a template, or with a file that is none.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1, if it is one line that is wrong.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The templates in a directory, compiled and tried.
///
/// # Errors
/// All that is wrong with them.
pub(super) fn read(directory: &Path) -> Result<Environment<'static>, Vec<TemplateProblem>> {
    let mut reading = Reading {
        environment: template::environment(),
        problems: Vec::new(),
    };
    for (name, path) in reading.entries(directory) {
        let language = Language::ALL.into_iter().find(|it| it.tag() == name);
        match language.filter(|_| path.is_dir()) {
            Some(language) => reading.language(language, &path),
            None => reading.refuse(&path, unknown_folder(&name)),
        }
    }
    if reading.problems.is_empty() {
        Ok(reading.environment)
    } else {
        Err(reading.problems)
    }
}

struct Reading {
    environment: Environment<'static>,
    problems: Vec<TemplateProblem>,
}

impl Reading {
    fn language(&mut self, language: Language, folder: &Path) {
        for (name, path) in self.entries(folder) {
            let known = Kind::ALL.into_iter().find_map(|kind| {
                let parts = kind.parts().iter();
                let mut parts = parts.map(|part| (kind, *part));
                parts.find(|(kind, part)| file_name(*kind, *part) == name)
            });
            let flaw = match known {
                Some((kind, part)) => self.template(language, kind, part, &path).err(),
                None => Some(unknown_file(&name)),
            };
            if let Some(flaw) = flaw {
                self.refuse(&path, flaw);
            }
        }
    }

    /// Compiles a template, and renders it with everything that it may be given.
    fn template(
        &mut self,
        language: Language,
        kind: Kind,
        part: Part,
        path: &Path,
    ) -> Result<(), Flaw> {
        let name = template::name(language, kind, part);
        self.environment
            .add_template_owned(name.clone(), text(path)?)
            .map_err(|error| Flaw::of(&error))?;
        let known = kind.variables(part);
        if let Some(flaw) = template::unknown_variable(&self.environment, &name, known) {
            return Err(flaw);
        }
        for example in examples::values(kind) {
            let rendered = template::render(&self.environment, &name, &example.values);
            let rendered = rendered.map_err(|error| Flaw::of(&error))?;
            check(kind, part, &rendered, example.needle)?;
        }
        Ok(())
    }

    /// What is in a folder, by name; hidden entries are nobody's templates.
    fn entries(&mut self, folder: &Path) -> Vec<(String, PathBuf)> {
        let listed = std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries: Vec<_> = match listed {
            Ok(entries) => entries
                .into_iter()
                .map(|entry| {
                    (
                        entry.file_name().to_string_lossy().into_owned(),
                        entry.path(),
                    )
                })
                .filter(|(name, _)| !name.starts_with('.'))
                .collect(),
            Err(error) => {
                self.refuse(folder, Flaw::new(format!("it cannot be read: {error}")));
                Vec::new()
            }
        };
        entries.sort();
        entries
    }

    fn refuse(&mut self, file: &Path, Flaw { line, message }: Flaw) {
        self.problems.push(TemplateProblem {
            file: file.to_owned(),
            line,
            message,
        });
    }
}

fn text(path: &Path) -> Result<String, Flaw> {
    let cannot = |error: io::Error| Flaw::new(format!("it cannot be read: {error}"));
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text))
        .map_err(cannot)?;
    if text.len() as u64 > LONGEST {
        return Err(Flaw::new(format!("it is longer than {LONGEST} bytes")));
    }
    String::from_utf8(text).map_err(|_| Flaw::new("it is not UTF-8"))
}

/// Whether a rendered template can be sent.
fn check(kind: Kind, part: Part, rendered: &str, needle: Option<&str>) -> Result<(), Flaw> {
    if rendered.is_empty() {
        return Err(Flaw::new("it renders to nothing"));
    }
    if part == Part::Subject && rendered.contains(['\n', '\r']) {
        return Err(Flaw::new("a subject is one line"));
    }
    let needed = kind.needs().zip(needle).filter(|_| part != Part::Subject);
    match needed {
        Some((variable, needle)) if !rendered.contains(needle) => {
            Err(Flaw::new(format!("it must say {{{{ {variable} }}}}")))
        }
        _ => Ok(()),
    }
}

fn unknown_folder(name: &str) -> Flaw {
    let languages = Language::ALL.map(Language::tag);
    let language = Language::of_locale(name).map(Language::tag);
    let meant = match language.or_else(|| template::nearest(name, languages)) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => ".".to_owned(),
    };
    Flaw::new(format!(
        "it is not the folder of a language{meant} There are: {}",
        languages.join(", ")
    ))
}

fn unknown_file(name: &str) -> Flaw {
    let files = Kind::ALL.into_iter().flat_map(|kind| {
        let parts = kind.parts().iter();
        parts.map(move |part| file_name(kind, *part))
    });
    let files: Vec<String> = files.collect();
    let meant = template::nearest(name, files.iter().map(String::as_str));
    Flaw::new(match meant {
        Some(meant) => format!("there is no such template; did you mean {meant}?"),
        None => format!("there is no such template. There are: {}", files.join(", ")),
    })
}

fn file_name(kind: Kind, part: Part) -> String {
    format!("{}.{}", kind.name(), part.ending())
}

/// Bytes of a template: some ten times an e-mail with everything in it.
const LONGEST: u64 = 256 * 1024;
