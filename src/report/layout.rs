//! Laying text out in a terminal: bounded, wrapped, aligned, and in colour where wanted.
//!
//! Everything that came from outside goes through [`clean`] before its width is measured.

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::display_width, wrap};

use crate::wire::WireText;

/// Narrower than this, verdicts do not fit beside their practices.
pub(super) const MIN_WIDTH: usize = 60;

/// The last column of a table is the least important one; this much of it stays.
const MIN_LAST_COLUMN: usize = 14;

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
    clip(WireText::from(text.to_owned()).as_str(), max)
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

    /// An aligned table; the first row is its head. Where it does not fit, the last column
    /// is cut first, down to [`MIN_LAST_COLUMN`], then whichever is widest.
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
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(&clip(cell, *width), *width)).collect();
            let style = if i == 0 { style::DIM } else { Style::new() };
            let line = cells.join("  ");
            self.line(&[(Style::new(), &" ".repeat(indent)), (style, line.trim_end())]);
        }
    }

    fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        // Names, rule ids and commands are copied from a report: they are never split at a hyphen.
        let options = Options::new(self.width.saturating_sub(indent).max(1))
            .wrap_algorithm(WrapAlgorithm::FirstFit) // the optimal one lets lines overflow by a little
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        let lines: Vec<String> = wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect();
        if lines.is_empty() { vec![String::new()] } else { lines }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && style != Style::new() && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
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
    #[case("\x1b[31mred", 80, r"\x1b[31mred")]
    fn values_are_bounded_and_printable(#[case] text: &str, #[case] max: usize, #[case] shown: &str) {
        assert_eq!(clean(text, max), shown);
    }

    #[test]
    fn a_table_that_does_not_fit_cuts_its_last_column_first() {
        let mut page = Page::new(60, false);
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        page.table(2, &[row("from", "greeting"), row("partner", &"x".repeat(100))]);
        page.table(2, &[row("from", "greeting"), row(&"y".repeat(50), &"x".repeat(100))]);
        let first = format!("  from     greeting\n  partner  {}…\n", "x".repeat(48));
        let second = format!("  from{}greeting\n  {}…  {}…\n", " ".repeat(40), "y".repeat(41), "x".repeat(13));
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
