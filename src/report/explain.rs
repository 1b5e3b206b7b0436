//! The pages of the rules: one in the terminal, all as a list, all as Markdown.

use anstyle::Style;

use super::layout::{Page, pad, style};
use crate::{
    finding::{Practice, Severity},
    rules::{
        self, Rule,
        policy::{self, Policy},
    },
};

/// A rule's page for the terminal.
pub fn page(rule: &Rule, width: usize, colour: bool) -> String {
    let mut page = Page::new(width, colour);
    page.line(&[(style::RULE, rule.id)]);
    page.paragraph(0, rule.title());
    page.blank();
    page.field(2, 14, "practice", &format!("{} {}", rule.practice.number(), rule.practice.title()));
    page.field(2, 14, "severity", severity_word(rule.severity));
    let changes = changes(rule);
    if !changes.is_empty() {
        page.field(2, 14, "policies", &changes.join(", "));
    }
    if let Some(result) = rule.result_type {
        page.field(2, 14, "RFC 8460", &format!("{}, as a sender would report it", result.id()));
    }
    for block in blocks(rule.page).iter().skip_while(|block| !matches!(block, Block::Heading(_))) {
        match block {
            Block::Heading(text) => page.heading(text),
            Block::Paragraph(text) => page.paragraph(2, text),
            Block::Bullet(text) => page.bullet(2, text),
            Block::Code(line) => page.paragraph(4, line),
        }
    }
    page.finish()
}

/// `fail under ncsc-nl-2025`: what policies make of the rule that is not what it says itself.
fn changes(rule: &Rule) -> Vec<String> {
    let change = |policy: &Policy| {
        let word = policy.change(rule)?.severity().map_or("off", severity_word);
        Some(format!("{word} under {}", policy.name))
    };
    policy::all().iter().filter_map(change).collect()
}

/// The policies, each with its title and its source.
pub fn policies(policies: &[Policy], width: usize, colour: bool) -> String {
    let mut page = Page::new(width, colour);
    for policy in policies {
        page.line(&[(style::RULE, &policy.name)]);
        page.paragraph(2, &policy.title);
        page.field(2, 10, "source", &policy.source);
    }
    page.finish()
}

/// The list of these rules by practice.
pub fn list(rules: &[&Rule], width: usize, colour: bool) -> String {
    let mut page = Page::new(width, colour);
    let id_width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    for (i, practice) in Practice::ALL.into_iter().enumerate() {
        if i > 0 {
            page.blank();
        }
        page.line(&[(style::HEADING, &format!("{} {}", practice.number(), practice.title()))]);
        let mut of_practice = rules.iter().filter(|rule| rule.practice == practice).peekable();
        if of_practice.peek().is_none() {
            page.paragraph(2, "no rule of this version judges it");
        }
        for rule in of_practice {
            let word = pad(severity_word(rule.severity), 6);
            let first = format!("  {word}  {}  ", pad(rule.id, id_width));
            // A title beside a long id would be a thread of single words.
            if page.width().saturating_sub(first.len()) >= rule.title().len() {
                page.line(&[
                    (Style::new(), "  "),
                    (severity_style(rule.severity), &word),
                    (Style::new(), &first[2 + word.len()..]),
                    (Style::new(), rule.title()),
                ]);
            } else {
                page.line(&[
                    (Style::new(), "  "),
                    (severity_style(rule.severity), &word),
                    (Style::new(), "  "),
                    (Style::new(), rule.id),
                ]);
                page.paragraph(10, rule.title());
            }
        }
    }
    page.finish()
}

/// The catalogue as a Markdown page: every rule's text under its practice.
pub fn markdown_catalogue() -> String {
    markdown(rules::catalogue())
}

fn markdown(rules: &[&Rule]) -> String {
    let mut out = String::from(
        "# The rules\n\nGenerated from the doc comments in `src/rules`; do not edit. `mtalab explain RULE` shows one of them.\n",
    );
    for practice in Practice::ALL {
        out.push_str(&format!("\n## {} {}\n", practice.number(), practice.title()));
        let of_practice: Vec<_> = rules.iter().filter(|rule| rule.practice == practice).collect();
        if of_practice.is_empty() {
            out.push_str("\nNo rule of this version judges it.\n");
        }
        for rule in of_practice {
            let result = rule.result_type.map_or("none".to_owned(), |result| format!("`{}`", result.id()));
            let severity = severity_word(rule.severity);
            out.push_str(&format!("\n### `{}`\n\n{}.\n", rule.id, rule.title()));
            let changes = match changes(rule) {
                changes if changes.is_empty() => String::new(),
                changes => format!(" ({})", changes.join(", ")),
            };
            out.push_str(&format!("\nSeverity: {severity}{changes}. Result type (RFC 8460, 4.3): {result}.\n\n"));
            let lines = rule.page.lines().map(unindented).skip_while(|line| !line.starts_with("## "));
            let body: Vec<String> =
                lines.map(|line| line.strip_prefix("## ").map_or(line.to_owned(), |h| format!("#### {h}"))).collect();
            out.push_str(body.join("\n").trim());
            out.push('\n');
        }
    }
    out
}

pub(super) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Warn => "warn",
        Severity::Fail => "fail",
    }
}

pub(super) fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Notice => style::DIM,
        Severity::Warn => style::WARN,
        Severity::Fail => style::FAIL,
    }
}

/// A piece of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    Heading(String),
    Paragraph(String),
    Bullet(String),
    /// One line of a fenced block, as it stands.
    Code(String),
}

impl Block {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Heading(text) | Self::Paragraph(text) | Self::Bullet(text) | Self::Code(text) => text,
        }
    }
}

/// The servers that remedies have lines for.
const SERVERS: [&str; 5] = ["Postfix", "Exim", "Sendmail", "OpenSMTPD", "Exchange"];

impl Block {
    /// The servers that a bullet is for: `Postfix, Exim: ...`; none where it is for no server alone.
    pub(super) fn servers(&self) -> Option<Vec<&'static str>> {
        let Self::Bullet(text) = self else { return None };
        // `Exim with GnuTLS` is for Exim.
        let named = |name: &str| SERVERS.into_iter().find(|server| name.split(' ').next() == Some(server));
        text.split_once(':')?.0.split(", ").map(named).collect()
    }

    /// Whether a bullet is for that server.
    pub(super) fn is_for(&self, server: &str) -> bool {
        self.servers().is_some_and(|servers| servers.contains(&server))
    }
}

/// Reads the little Markdown that pages use: `##` headings, paragraphs, bullets, fences.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false; // Whether the next line may go on with the last block.
    let mut is_code = false;
    for line in text.lines().map(unindented) {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            is_code = !is_code;
            is_open = false;
        } else if is_code {
            blocks.push(Block::Code(line.trim_end().to_owned()));
        } else if trimmed.is_empty() {
            is_open = false;
        } else if let Some(heading) = line.strip_prefix("## ") {
            blocks.push(Block::Heading(heading.trim().to_owned()));
            is_open = false;
        } else if let Some(bullet) = trimmed.strip_prefix("- ") {
            blocks.push(Block::Bullet(bullet.to_owned()));
            is_open = true;
        } else {
            match blocks.last_mut() {
                Some(Block::Paragraph(open) | Block::Bullet(open)) if is_open => {
                    open.push(' ');
                    open.push_str(trimmed);
                }
                _ => blocks.push(Block::Paragraph(trimmed.to_owned())),
            }
            is_open = true;
        }
    }
    blocks
}

/// A doc comment's lines begin with one space.
fn unindented(line: &str) -> &str {
    line.strip_prefix(' ').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use textwrap::core::display_width;

    use super::*;
    use crate::report::samples;

    #[test]
    fn pages_are_read_block_by_block() {
        let text = " A title.\n\n ## Remedy\n\n Renew\n it.\n\n - Postfix: `a`,\n   then `b`.\n - Exim\n\n ```\n   code\n ```\n";
        let paragraph = |text: &str| Block::Paragraph(text.to_owned());
        let bullet = |text: &str| Block::Bullet(text.to_owned());
        let expected = [
            paragraph("A title."),
            Block::Heading("Remedy".to_owned()),
            paragraph("Renew it."),
            bullet("Postfix: `a`, then `b`."),
            bullet("Exim"),
            Block::Code("  code".to_owned()),
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn a_page_reads_well_in_a_terminal() {
        insta::assert_snapshot!("explain", page(&samples::EXPIRED, 60, false));
    }

    #[test]
    fn what_policies_change_is_said() {
        let text = page(rules::find("tls10-offered").unwrap(), 80, false);
        assert!(text.contains("fail under ncsc-nl-2025, fail under mozilla-intermediate"), "{text}");
        let text = policies(policy::all(), 60, false);
        assert!(text.contains("ncsc-nl-2025") && text.lines().all(|line| display_width(line) <= 60), "{text}");
    }

    #[test]
    fn the_list_is_grouped_by_practice() {
        insta::assert_snapshot!("list", list(&[&samples::OLD_HASH, &samples::ADDRESS_RESTRICTED, &samples::EXPIRED], 60, false));
    }

    #[test]
    fn the_markdown_holds_every_rule() {
        insta::assert_snapshot!("markdown", markdown(&[&samples::EXPIRED]));
        let all = markdown_catalogue();
        for rule in rules::catalogue() {
            assert!(all.contains(&format!("### `{}`", rule.id)), "{} is missing", rule.id);
        }
    }

    #[test]
    fn the_real_pages_fit_the_terminal() {
        for rule in rules::catalogue() {
            for line in page(rule, 60, false).lines() {
                assert!(display_width(line) <= 60, "{}: {line:?}", rule.id);
            }
        }
        assert!(list(rules::catalogue(), 60, false).lines().all(|line| display_width(line) <= 60));
    }
}
