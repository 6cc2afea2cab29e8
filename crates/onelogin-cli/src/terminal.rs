//! Talking with the person at the terminal, on standard error, so that standard output holds results only.

use std::{
    io::{self, IsTerminal, Write},
    thread,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use qrcode::{QrCode, render::unicode::Dense1x2};
use tokio::sync::mpsc;

use crate::{
    exit::{Failure, Outcome},
    output::printable,
};

/// Says something to the person. What cannot be said is not worth failing for.
pub(crate) fn tell(text: &str) {
    let lines: Vec<_> = text.lines().map(printable).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
}

/// Asks for one line: on the terminal with the question, otherwise silently from standard input.
pub(crate) fn ask(question: &str) -> Outcome<String> {
    if io::stdin().is_terminal() {
        let _ = write!(io::stderr().lock(), "{}: ", printable(question));
    }
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(Failure::usage(format!("no answer to {question:?}"))
            .advice("give it as a flag, or as a line of standard input"));
    }
    Ok(line.trim().to_owned())
}

/// The lines that are typed while something else is waited for, each asked for as by [`ask`]. There are no more at the end of
/// the input.
pub(crate) fn typed(question: &'static str) -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    // A thread, and not the runtime's, which would wait at its end for a line that nobody types.
    thread::spawn(move || {
        while let Ok(line) = ask(question) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Whether a person can be asked again.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Asks before something that cannot be undone. Without a terminal the answer is no.
pub(crate) fn confirm(what: &str) -> Outcome<()> {
    if io::stdin().is_terminal() && ask(&format!("{what}? [y/N]"))?.eq_ignore_ascii_case("y") {
        return Ok(());
    }
    Err(Failure::usage("not confirmed, nothing was done").advice("--yes does it without asking"))
}

/// Draws a QR code, on a terminal black on white whatever its colours are. What is too long for one is not drawn.
pub(crate) fn draw_qr(content: &str, even_without_terminal: bool) {
    let terminal = io::stderr().is_terminal();
    if !terminal && !even_without_terminal {
        return;
    }
    let mut err = io::stderr().lock();
    for line in qr_lines(content) {
        let _ = if terminal {
            writeln!(err, "\x1b[30;107m{line}\x1b[0m")
        } else {
            writeln!(err, "{line}")
        };
    }
}

/// The code in lines of half blocks, where a block is dark.
fn qr_lines(content: &str) -> Vec<String> {
    let code = QrCode::new(content).ok();
    let drawing = code
        .map(|code| code.render::<Dense1x2>().quiet_zone(true).build())
        .unwrap_or_default();
    drawing.lines().map(str::to_owned).collect()
}

/// Turns a spinner, where there is a terminal to turn it on, until the work is done.
pub(crate) async fn spin<T>(message: &str, work: impl Future<Output = T>) -> T {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(printable(message));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dark_modules_are_blocks_within_a_quiet_zone() {
        let lines = qr_lines("otpauth://totp/a?secret=GEZDGNBV");
        assert!(
            lines[0].chars().all(|character| character == ' '),
            "{:?}",
            lines[0]
        );
        assert!(lines[2].starts_with("    █▀▀▀▀▀█ "), "{:?}", lines[2]); // the finder pattern
        assert!(qr_lines(&"x".repeat(4000)).is_empty());
    }
}
