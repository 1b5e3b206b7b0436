//! The mistakes in a scenario file, shown with the lines that hold them.

use std::{ops::Range, path::Path};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::{nearest::nearest, wire::WireText};

/// A file with more mistakes than this is not a scenario, and nobody reads on.
const MAX_SHOWN: usize = 40;

/// Every mistake in one scenario file. Displays as [`render`](Self::render) without colour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct ScenarioErrors {
    name: String,
    text: String,
    errors: Vec<ScenarioError>,
}

impl ScenarioErrors {
    /// Sorts the mistakes by place.
    pub(super) fn new(name: &str, text: &str, mut errors: Vec<ScenarioError>) -> Self {
        errors.sort_by_key(|error| error.span.as_ref().map(|span| span.start));
        Self { name: name.to_owned(), text: text.to_owned(), errors }
    }

    /// How many mistakes there are; at least one.
    pub fn count(&self) -> usize {
        self.errors.len()
    }

    /// Each mistake with `file:line:column`, the line, and what to do about it. Nothing in the
    /// file can act on the terminal: what is not printable is shown as `\u{fffd}` or as an escape.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let name = WireText::from(self.name.as_str()).to_string();
        let shown = self.errors.iter().take(MAX_SHOWN).map(|error| renderer.render(&[error.group(&name, &self.text)]));
        let mut blocks: Vec<String> = shown.collect();
        if let hidden @ 1.. = self.errors.len().saturating_sub(MAX_SHOWN) {
            blocks.push(renderer.render(&[Group::with_title(Level::ERROR.primary_title(format!("{name}: {hidden} more")))]));
        }
        blocks.join("\n\n")
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScenarioError {
    message: String,
    label: String,
    /// In bytes of the text; none if the mistake is the file itself.
    span: Option<Range<usize>>,
    /// A second place that the mistake is about, with its label.
    other: Option<(Range<usize>, String)>,
    help: Vec<String>,
}

impl ScenarioError {
    /// A mistake at a place of the text.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), label: String::new(), span: Some(span), other: None, help: Vec::new() }
    }

    /// A mistake that has no place.
    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self { message: message.into(), label: String::new(), span: None, other: None, help: Vec::new() }
    }

    /// The words under the place.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// A second place.
    pub(super) fn other(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.other = Some((span, label.into()));
        self
    }

    /// What to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// What to do about it, if that is known.
    pub(super) fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    fn group<'a>(&self, name: &'a str, text: &str) -> Group<'a> {
        let title = Level::ERROR.primary_title(self.message.clone());
        let group = match &self.span {
            None => title.element(Origin::path(name)),
            Some(span) => {
                let excerpt = Excerpt::new(text, span, self.other.as_ref().map(|(span, _)| span));
                let primary = AnnotationKind::Primary.span(excerpt.place(span)).label(self.label.clone());
                let other = self
                    .other
                    .as_ref()
                    .map(|(span, label)| AnnotationKind::Context.span(excerpt.place(span)).label(label.clone()));
                let snippet = Snippet::source(excerpt.shown()).line_start(excerpt.line).path(name);
                title.element(snippet.annotation(primary).annotations(other))
            }
        };
        group.elements(self.help.iter().map(|help| Level::HELP.message(help.clone())))
    }
}

/// The lines of a text from the first to the last place that is shown.
struct Excerpt<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    /// The number of the first line, from 1.
    line: usize,
}

impl<'a> Excerpt<'a> {
    fn new(text: &'a str, span: &Range<usize>, other: Option<&Range<usize>>) -> Self {
        let first = other.map_or(span.start, |other| other.start.min(span.start));
        let last = other.map_or(span.start, |other| other.start.max(span.start));
        let start = text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let line = 1 + text.get(..start).map_or(0, |before| before.matches('\n').count());
        Self { text, start, end: line_end(text, last), line }
    }

    fn shown(&self) -> String {
        show(self.text.get(self.start..self.end).unwrap_or_default())
    }

    /// Where a span of the text is in [`shown`](Self::shown); cut at the end of its first line.
    fn place(&self, span: &Range<usize>) -> Range<usize> {
        let end = span.end.min(line_end(self.text, span.start)).max(span.start);
        let place = |at| self.text.get(self.start..at).map_or(0, |before| show(before).len());
        place(span.start)..place(end)
    }
}

/// The end of the line that holds an offset, without its line break.
fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    at + line.strip_suffix('\r').unwrap_or(line).len()
}

/// One character for one, so that columns stay what they are.
fn show(text: &str) -> String {
    text.chars().map(|c| if is_hostile(c) && !matches!(c, '\n' | '\r' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// Whether a character could act on a terminal, a log or the wire: control characters, line
/// breaks included, and what is not printable: bidirectional overrides, zero-width characters.
pub(super) fn is_hostile(c: char) -> bool {
    match c {
        ' '..='~' => false,
        '\0'..='\u{7f}' => true,
        // After a letter, `escape_debug` leaves combining marks alone.
        _ => format!("a{c}").escape_debug().count() > 2,
    }
}

/// A text of the file in a message: escaped, and cut where it gets boring.
pub(super) fn quote(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let cut: String = text.chars().take(MAX_CHARS).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{dots}`", WireText::from(cut.as_str()))
}

/// A path in a message.
pub(super) fn show_path(path: &Path) -> WireText {
    WireText::from_bytes(path.as_os_str().as_encoded_bytes())
}

/// "did you mean", if one of the names is near enough to be meant.
pub(super) fn did_you_mean<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(text, names).map(|name| format!("did you mean `{name}`?"))
}

/// The valid names, all of them or the closest ones.
pub(super) fn list<'a>(text: &str, what: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    const MAX_LISTED: usize = 30;
    let mut names: Vec<&str> = names.into_iter().collect();
    let total = names.len();
    if total == 0 {
        return format!("there are no {what}");
    }
    if total <= MAX_LISTED {
        return format!("{what}: {}", names.join(", "));
    }
    names.sort_by_key(|name| (1000.0 * (1.0 - strsim::jaro_winkler(text, name))) as u32);
    names.truncate(5);
    format!("the closest of {total} {what}: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case('a', false)]
    #[case('é', false)]
    #[case('\u{301}', false)]
    #[case('\n', true)]
    #[case('\u{7f}', true)]
    #[case('\u{9b}', true)]
    #[case('\u{202e}', true)]
    #[case('\u{200b}', true)]
    #[case('\u{2028}', true)]
    fn characters_that_could_act_are_hostile(#[case] c: char, #[case] expected: bool) {
        assert_eq!(is_hostile(c), expected);
    }

    #[test]
    fn columns_survive_hostile_characters_and_windows_line_ends() {
        let text = "a = 1\r\n\u{202e}\u{1b}é = true\r\n";
        let start = text.find("true").unwrap();
        let errors = ScenarioErrors::new("a\u{1b}.toml", text, vec![ScenarioError::at(start..start + 4, "wrong").label("here")]);
        insta::assert_snapshot!(errors.render(false), @r#"
        error: wrong
         --> a\x1b.toml:2:7
          |
        2 | ��é = true
          |       ^^^^ here
        "#);
        assert!(errors.render(true).contains("\u{1b}["), "colour is asked for");
    }

    #[test]
    fn a_flood_of_mistakes_is_cut() {
        let text = "x\n".repeat(100);
        let errors = (0..100).map(|line| ScenarioError::at(2 * line..2 * line + 1, "wrong")).collect();
        let rendered = ScenarioErrors::new("x.toml", &text, errors).render(false);
        assert_eq!(rendered.matches("x.toml:").count(), MAX_SHOWN + 1);
        assert!(rendered.ends_with("error: x.toml: 60 more"), "{rendered}");
    }
}
