//! What senders do: one line for each thing that happens, with all to whom it does.

use super::{MAX_ITEMS, MAX_NAME, MAX_SENTENCE, Text, and_join, domain::DomainText, style};
use crate::{
    facts::View,
    finding::ResultType,
    report::layout::Page,
    senders::{DomainRow, Fate, Row, Told, names},
};

/// Where the senders begin.
const SENDERS: usize = 28;

impl Text<'_> {
    /// Who delivers, how, and who does not.
    pub(super) fn senders(&mut self) {
        let rows = &self.report.senders;
        if rows.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(&[(style::HEADING, "  what senders do, as far as this host")]);
        let of_senders = self.of_senders();
        let place = |row: &Row| {
            (row.views.len() < of_senders).then(|| {
                let views: Vec<&View> = row.views.iter().filter_map(|view| self.report.facts.views.get(*view)).collect();
                let places: Vec<String> = views.iter().map(|view| self.show(&view.vantage_text(), MAX_NAME)).collect();
                format!(", from {}", and_join(&places))
            })
        };
        let lines = lines(rows, |row| row.result_type, place);
        write(&mut self.page, lines, |text| super::shown(self.redactor, text, MAX_SENTENCE));
    }

    /// How many views say what senders do.
    fn of_senders(&self) -> usize {
        let mut views: Vec<usize> = self.report.senders.iter().flat_map(|row| row.views.iter().copied()).collect();
        views.sort_unstable();
        views.dedup();
        views.len()
    }
}

impl DomainText<'_> {
    /// The same for the domain, with the host that decides where there are several.
    pub(super) fn senders(&mut self) {
        let rows = &self.report.senders;
        if rows.is_empty() {
            return;
        }
        self.page.heading("What senders do");
        let has_several = self.report.facts.hosts.len() > 1;
        let place = |row: &DomainRow| {
            let host = row.host.as_ref().filter(|_| has_several || row.address.is_some());
            let host = host.map(|host| match row.address {
                Some(address) => format!(", at {host} ({address})"),
                None => format!(", at {host}"),
            });
            let from = row.from.as_ref().map(|from| format!(", from {from}"));
            let or: Vec<&str> = row.or.iter().map(|fate| fate.word()).collect();
            let or = (!or.is_empty()).then(|| format!(", or {} at others of its preference", or.join(", or ")));
            Some([host, from, or].into_iter().flatten().collect())
        };
        let lines = lines(rows, |row| row.result_type, place);
        let redactor = self.redactor;
        write(&mut self.page, lines, |text| super::shown(redactor, text, MAX_SENTENCE));
    }
}

/// What happens, and to whom: why somebody sends encrypted or waits is told, and those with one reason are told together.
fn lines<R: Told>(
    rows: &[R],
    result_type: impl Fn(&R) -> Option<ResultType>,
    place: impl Fn(&R) -> Option<String>,
) -> Vec<(Fate, String)> {
    let mut lines = Vec::new();
    for fate in Fate::ALL {
        let mut groups: Vec<(String, Vec<&R>)> = Vec::new();
        for row in rows.iter().filter(|row| row.fate() == fate) {
            let mut what = place(row).unwrap_or_default();
            if !row.why().is_empty() {
                what.push_str(&format!(": {}", row.why()));
            }
            if let Some(result) = result_type(row) {
                what.push_str(&format!(" ({})", result.id()));
            }
            match groups.iter_mut().find(|(known, _)| *known == what) {
                Some((_, same)) => same.push(row),
                None => groups.push((what, vec![row])),
            }
        }
        lines.extend(groups.iter().take(MAX_ITEMS).map(|(what, same)| (fate, format!("{}{what}", names(same)))));
    }
    lines
}

fn write(page: &mut Page, lines: Vec<(Fate, String)>, show: impl Fn(&str) -> String) {
    for (fate, text) in lines {
        page.field(2, SENDERS, fate.word(), &show(&text));
    }
}
