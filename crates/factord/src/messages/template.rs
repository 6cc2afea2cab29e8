//! One template: its engine, how it is rendered, and what is wrong with one that somebody wrote.

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, HtmlEscape, Output, State, UndefinedBehavior, Value,
    escape_formatter,
};

use super::kind::{Kind, Part};
use super::language::Language;

/// An engine without templates. A template reads nothing but its variables, writes values into HTML escaped, fails on
/// what is undefined, and ends after so many steps.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_formatter(format);
    environment
}

/// Writes a value. Text that goes into HTML is escaped but for `/`, which needs none (HTML Standard §13.1.2.3) and of
/// which links are full.
fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = value.as_str().filter(|_| !value.is_safe());
    match (state.auto_escape(), text) {
        (AutoEscape::Html, Some(text)) => {
            for (index, part) in text.split('/').enumerate() {
                let slash = if index == 0 { "" } else { "/" };
                write!(out, "{slash}{}", HtmlEscape(part))?;
            }
            Ok(())
        }
        _ => escape_formatter(out, state, value),
    }
}

/// The name of a template: its file, below the directory of the templates.
pub(super) fn name(language: Language, kind: Kind, part: Part) -> String {
    format!("{}/{}.{}", language.tag(), kind.name(), part.ending())
}

/// Renders a template that is in `environment`. White space at its ends is no part of a message.
pub(super) fn render(
    environment: &Environment<'_>,
    name: &str,
    values: &Value,
) -> Result<String, Error> {
    let rendered = environment.get_template(name)?.render(values.clone())?;
    Ok(rendered.trim().to_owned())
}

/// What is wrong with a template, and on which line if that is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl Flaw {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            line: None,
            message: message.into(),
        }
    }

    /// What the engine says; not where, which it says apart.
    pub(super) fn of(error: &Error) -> Self {
        let message = match (error.kind(), error.detail()) {
            (ErrorKind::OutOfFuel, _) => format!("it takes more than {MOST_STEPS} steps"),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        Self {
            line: error.line(),
            message,
        }
    }
}

/// The first variable of a template that its kind of message does not have.
pub(super) fn unknown_variable(
    environment: &Environment<'_>,
    name: &str,
    known: &[&str],
) -> Option<Flaw> {
    let template = environment.get_template(name).ok()?;
    let globals: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
    let mut used: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    used.sort();
    let unknown = used
        .into_iter()
        .find(|used| !known.contains(&used.as_str()) && !globals.contains(&used.as_str()))?;
    let meant = nearest(&unknown, known.iter().copied())
        .map(|meant| format!(" (did you mean {meant}?)"))
        .unwrap_or_default();
    Some(Flaw {
        line: line_of(template.source(), &unknown),
        message: format!(
            "there is no variable {unknown} here{meant}. There are: {}",
            known.join(", ")
        ),
    })
}

/// The known word that `unknown` is most like, if one is like it at all.
pub(super) fn nearest<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::normalized_damerau_levenshtein(unknown, word), word))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

/// The first line on which a variable is used, as far as a look at the text can tell.
fn line_of(source: &str, variable: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has_it = |line: &str| line.split(|c| !is_word(c)).any(|word| word == variable);
    let in_tag = source
        .lines()
        .position(|line| line.contains('{') && has_it(line));
    in_tag
        .or_else(|| source.lines().position(has_it))
        .map(|index| index + 1)
}

/// Steps of the engine: a hundred times what the longest standard template takes.
const MOST_STEPS: u64 = 20_000;
/// The share of letters that two words must have in common to differ by a slip.
const NEAR: f64 = 0.5;
