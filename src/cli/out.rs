//! Writing to the terminal: the only place that does.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};

/// What standard output did not take.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output. A reader that has gone (`| head`) is no error; for any other, see [`lost`].
pub(super) fn print(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    match write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => drop(LOST.set(error)),
        _ => {}
    }
}

/// Why something that was printed did not arrive; the program asks at its end.
pub(super) fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// Tells of an error on standard error.
pub(super) fn error(text: &str) {
    let style = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    note(&format!("{style}error:{style:#} {text}"));
}

/// Tells what is going on, on standard error.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
}

/// Whether standard output takes colour: a terminal, and NO_COLOR not set.
pub(super) fn is_coloured() -> bool {
    !matches!(anstream::stdout().current_choice(), ColorChoice::Never)
}

/// Whether a person looks at standard error.
pub(super) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// The width for text: that of the terminal, within what is readable.
pub(super) fn width() -> usize {
    let columns = terminal_size::terminal_size_of(std::io::stdout()).map_or(80, |(columns, _)| usize::from(columns.0));
    columns.clamp(40, 110)
}
