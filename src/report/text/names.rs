//! Two tables: what the server is called, and when what ends.

use super::{MAX_ITEMS, MAX_NAME, Text, moment};
use crate::rules;

/// How many names of one kind are shown; the JSON report holds all.
const MAX_OF_A_KIND: usize = 10;

impl Text<'_> {
    /// Every name that the server goes by, and what decides whether it is the right one.
    pub(super) fn names(&mut self) {
        // The name that was asked for is there in any case, and alone says nothing.
        if self.report.names.len() < 2 {
            return;
        }
        let mut rows = vec![["names", "", "", "decided by"].map(str::to_owned).to_vec()];
        for kind in self.report.names.chunk_by(|a, b| a.source == b.source) {
            for row in kind.iter().take(MAX_OF_A_KIND) {
                let name = self.show(row.name.as_str(), MAX_NAME);
                rows.push(vec![row.source.word().to_owned(), name, row.relation.word().to_owned(), row.decided_by.to_owned()]);
            }
            if let (more @ 1.., Some(first)) = (kind.len().saturating_sub(MAX_OF_A_KIND), kind.first()) {
                rows.push(vec![first.source.word().to_owned(), format!("and {more} more"), String::new(), String::new()]);
            }
        }
        self.page.blank();
        self.page.table(2, &rows);
    }

    /// When which certificate ends, and what breaks then.
    pub(super) fn endings(&mut self) {
        if self.report.endings.is_empty() {
            return;
        }
        let mut rows = vec![["ends", "left", "what breaks then", "certificate"].map(str::to_owned).to_vec()];
        for ending in self.report.endings.iter().take(MAX_ITEMS) {
            let date = self.show(&moment(ending.at, super::DATE), MAX_NAME);
            let over = if ending.at < self.report.now { "over for " } else { "" };
            let left = self.show(&format!("{over}{}", rules::span(ending.at - self.report.now)), MAX_NAME);
            let what = self.show(ending.certificate.as_str(), MAX_NAME);
            rows.push(vec![date, left, ending.breaks.to_owned(), what]);
        }
        self.page.blank();
        self.page.table(2, &rows);
    }
}
