//! Laying text out in a terminal: bounded, wrapped, aligned, and in colour where wanted.
//!
//! Everything that came from outside goes through [`clean`] before its width is measured.

use anstyle::{AnsiColor, Style};
use textwrap::{
    WordSeparator,
    core::{Word, display_width},
    wrap_algorithms::wrap_first_fit,
};

use crate::wire::{WireText, whole};

/// Narrower than this, verdicts do not fit beside their practices.
pub(super) const MIN_WIDTH: usize = 60;

/// The last column of a table is the least important one; this much of it stays.
const MIN_LAST_COLUMN: usize = 14;

/// A cell of a table has as many lines at the most; what is longer is cut.
const MAX_CELL_LINES: usize = 4;

/// The styles of a report. None of them carries a meaning that the words do not.
pub(super) mod style {
    use super::{AnsiColor, Style};

    pub(in crate::report) const HEADING: Style = Style::new().bold();
    pub(in crate::report) const DIM: Style = Style::new().dimmed();
    pub(in crate::report) const RULE: Style = AnsiColor::Cyan.on_default();
    pub(in crate::report) const PASS: Style = AnsiColor::Green.on_default();
    pub(in crate::report) const WARN: Style = AnsiColor::Yellow.on_default();
    pub(in crate::report) const FAIL: Style = AnsiColor::Red.on_default().bold();
    pub(in crate::report) const DOUBT: Style = AnsiColor::Magenta.on_default();
}

/// Makes a text printable and bounds it to `max` columns. Texts of the probe are escaped
/// already; a report that was read back may hold anything.
pub(super) fn clean(text: &str, max: usize) -> String {
    let text = WireText::from(text.to_owned());
    match text.as_str().chars().any(is_right_to_left) {
        true => clip(&text.as_str().chars().map(turned_around).collect::<String>(), max),
        false => clip(text.as_str(), max),
    }
}

/// Letters that are written from right to left would put what stands beside them in another order on a terminal. Isolates
/// are not known to every one of them, so the letters are shown by their numbers; JSON has them as they came.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}')
}

fn turned_around(c: char) -> String {
    if is_right_to_left(c) { c.escape_unicode().to_string() } else { c.to_string() }
}

/// Cuts a printable text at `max` columns and marks the cut.
pub(super) fn clip(text: &str, max: usize) -> String {
    if display_width(text) <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += display_width(c.encode_utf8(&mut [0; 4]));
        if used >= max {
            break;
        }
        out.push(c);
    }
    out.truncate(whole(text, out.len()));
    let mut out = out.trim_end().to_owned();
    out.push('…');
    out
}

/// The first `max` items joined, and how many were left out.
pub(super) fn join_some<T: AsRef<str>>(items: &[T], max: usize, separator: &str) -> String {
    let mut shown: Vec<String> = items.iter().take(max).map(|item| item.as_ref().to_owned()).collect();
    if items.len() > max {
        shown.push(format!("… and {} more", items.len() - max));
    }
    shown.join(separator)
}

/// Text that grows line by line, none wider than its page.
pub(super) struct Page {
    out: String,
    width: usize,
    colour: bool,
}

impl Page {
    pub(super) fn new(width: usize, colour: bool) -> Self {
        Self { out: String::new(), width: width.max(MIN_WIDTH), colour }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// One line from styled pieces; the caller keeps it within the width.
    pub(super) fn line(&mut self, pieces: &[(Style, &str)]) {
        let mut line = String::new();
        for (style, text) in pieces {
            line.push_str(&self.paint(*style, text));
        }
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.blank();
        self.line(&[(style::HEADING, text)]);
    }

    /// Wrapped text; `first` stands before the first line, `rest` before the others.
    pub(super) fn wrapped(&mut self, style: Style, first: &str, rest: &str, text: &str) {
        for (i, line) in self.wrap(text, display_width(first).max(display_width(rest))).iter().enumerate() {
            let lead = if i == 0 { first } else { rest };
            self.line(&[(Style::new(), lead), (style, line)]);
        }
    }

    /// Wrapped text, all of it indented.
    pub(super) fn paragraph(&mut self, indent: usize, text: &str) {
        let lead = " ".repeat(indent);
        self.wrapped(Style::new(), &lead, &lead, text);
    }

    /// A bullet with a hanging indent.
    pub(super) fn bullet(&mut self, indent: usize, text: &str) {
        let lead = " ".repeat(indent);
        self.wrapped(Style::new(), &format!("{lead}- "), &format!("{lead}  "), text);
    }

    /// A key and its value, values aligned at column `at`.
    pub(super) fn field(&mut self, indent: usize, at: usize, key: &str, value: &str) {
        let lead = format!("{}{key}", " ".repeat(indent));
        let gap = " ".repeat(at.saturating_sub(display_width(&lead)).max(1));
        for (i, line) in self.wrap(value, at).iter().enumerate() {
            if i == 0 {
                self.line(&[(style::DIM, &lead), (Style::new(), &gap), (Style::new(), line)]);
            } else {
                self.line(&[(Style::new(), &" ".repeat(at)), (Style::new(), line)]);
            }
        }
    }

    /// An aligned table; the first row is its head. Where it does not fit, the last column is
    /// wrapped first, down to [`MIN_LAST_COLUMN`], then whichever is widest.
    pub(super) fn table(&mut self, indent: usize, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width_of = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| display_width(cell)).max();
        let mut widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or_default()).collect();
        let room = self.width.saturating_sub(indent + 2 * columns.saturating_sub(1));
        let excess = widths.iter().sum::<usize>().saturating_sub(room);
        if let Some(last) = widths.last_mut() {
            *last -= excess.min(last.saturating_sub(MIN_LAST_COLUMN));
        }
        while widths.iter().sum::<usize>() > room {
            let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > 1) else { break };
            *widest -= 1;
        }
        for (i, row) in rows.iter().enumerate() {
            let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| in_cell(cell, *width)).collect();
            let style = if i == 0 { style::DIM } else { Style::new() };
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
                let piece = |(cell, width): (&Vec<String>, &usize)| pad(cell.get(line).map_or("", String::as_str), *width);
                let text = cells.iter().zip(&widths).map(piece).collect::<Vec<_>>().join("  ");
                self.line(&[(Style::new(), &" ".repeat(indent)), (style, text.trim_end())]);
            }
        }
    }

    fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        wrapped(text, self.width.saturating_sub(indent))
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && style != Style::new() && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// The lines of a text, none wider than `width`; at least one.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    // Names, rule ids and commands are copied from a report: they are never split at a hyphen.
    let words: Vec<Word> = WordSeparator::AsciiSpace.find_words(text).flat_map(|word| pieces(word, width.max(1))).collect();
    // The optimal algorithm lets lines overflow by a little.
    #[expect(clippy::cast_precision_loss, reason = "no terminal has so many columns")]
    let lines = wrap_first_fit(&words, &[width.max(1) as f64]);
    let line = |words: &[Word]| {
        let all: String = words.iter().flat_map(|word| [word.word, word.whitespace]).collect();
        all.trim_end_matches(' ').to_owned()
    };
    let lines: Vec<String> = lines.into_iter().map(line).collect();
    if lines.is_empty() { vec![String::new()] } else { lines }
}

/// A word that is wider than a line, in pieces that are not; no escape is split, or it would read as another.
fn pieces(word: Word<'_>, width: usize) -> Vec<Word<'_>> {
    let mut pieces = Vec::new();
    let mut rest = word.word;
    while display_width(rest) > width {
        let fits = |end: &usize| display_width(&rest[..*end]) <= width;
        let end = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(fits).last().unwrap_or_default();
        // Where not even one escape fits, it is split all the same.
        let end = [whole(rest, end), end, rest.chars().next().map_or(0, char::len_utf8)].into_iter().find(|end| *end > 0);
        let (piece, behind) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(Word { whitespace: "", penalty: "", ..Word::from(piece) });
        rest = behind;
    }
    pieces.push(Word { whitespace: word.whitespace, penalty: "", ..Word::from(rest) });
    pieces
}

/// The lines of a table's cell.
fn in_cell(text: &str, width: usize) -> Vec<String> {
    let mut lines = wrapped(text, width);
    if lines.len() > MAX_CELL_LINES {
        lines.truncate(MAX_CELL_LINES);
        // Something was cut, though it may have ended with a word.
        lines[MAX_CELL_LINES - 1] = clip(&format!("{:width$}…", lines[MAX_CELL_LINES - 1]), width);
    }
    lines
}

/// Fills a text up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(display_width(text))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("short", 10, "short")]
    #[case("exactly ten", 11, "exactly ten")]
    #[case("cut at the end", 8, "cut at…")]
    #[case("漢字漢字", 6, "漢字…")]
    #[case("220 \u{5d0}\u{635} mx", 80, r"220 \u{5d0}\u{635} mx")]
    #[case("\x1b[31mred", 80, r"\x1b[31mred")]
    #[case("a\x1b\x1b\x1b", 8, r"a\x1b…")]
    fn values_are_bounded_and_printable(#[case] text: &str, #[case] max: usize, #[case] shown: &str) {
        assert_eq!(clean(text, max), shown);
    }

    #[test]
    fn a_long_word_is_split_between_escapes() {
        assert_eq!(wrapped(r"name\x00\u{9b}\x00.example and more", 9), [r"name\x00", r"\u{9b}", r"\x00.exam", "ple and", "more"]);
        assert_eq!(wrapped("漢字漢字 x", 3), ["漢", "字", "漢", "字", "x"]);
        assert_eq!(wrapped(r"\u{9b}", 2), [r"\u", "{9", "b}"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn a_table_that_does_not_fit_wraps_its_last_column_first() {
        let mut page = Page::new(60, false);
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        page.table(2, &[row("from", "greeting"), row("partner", &"x".repeat(60))]);
        page.table(2, &[row("from", "greeting"), row(&"y".repeat(50), &"x".repeat(100))]);
        let first = format!("  from     greeting\n  partner  {}\n           {}\n", "x".repeat(49), "x".repeat(11));
        let (ys, xs) = ("y".repeat(42), "x".repeat(14));
        let second = format!("  from{}greeting\n  {ys}  {xs}\n  {}  {xs}\n", " ".repeat(40), "y".repeat(8) + &" ".repeat(34));
        let second = second + &format!("  {0:42}  {xs}\n  {0:42}  {1}…\n", "", "x".repeat(13));
        assert_eq!(page.finish(), first + &second);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_the_page(text: String, width in MIN_WIDTH..120, indent in 0usize..20) {
            let text = clean(&text, 2000);
            let mut page = Page::new(width, false);
            page.paragraph(indent, &text);
            page.bullet(indent, &text);
            page.field(indent, indent + 12, "key", &text);
            page.table(indent, &[vec![text.clone(), text.clone()], vec![text.clone(), "x".to_owned()]]);
            for line in page.finish().lines() {
                prop_assert!(display_width(line) <= width, "{line:?}");
            }
        }
    }
}
