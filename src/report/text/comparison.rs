//! Who saw what, where several views looked.

use super::{MAX_NAME, Text, days};
use crate::facts::{Certificate, Observed, View};

impl Text<'_> {
    /// Who saw what, if there are several views.
    pub(super) fn comparison(&mut self) {
        let views = &self.report.facts.views;
        if views.len() < 2 {
            return;
        }
        self.page.heading("Who saw what");
        let summaries: Vec<[String; 2]> = (0..views.len()).map(|index| self.summary(index)).collect();
        // A greeting often holds the time of day: its first words tell servers apart.
        let essence = |s: &[String; 2]| (s[0].split(' ').take(2).collect::<Vec<_>>().join(" "), s[1].clone());
        if summaries.iter().all(|summary| essence(summary) == essence(&summaries[0])) {
            let is_seen = |view: &View| view.session.certificates.seen().is_some();
            // Views that saw nothing are no witnesses of sameness.
            let words = if views.iter().all(is_seen) {
                "Every view saw the same greeting and the same certificate."
            } else if views.iter().any(|view| view.session.greeting.seen().is_some()) {
                // Other hellos than the usual may have been sent one.
                "Every view got equally far and saw the same; none saw a certificate in the usual handshake."
            } else {
                "No view got as far as a greeting."
            };
            self.page.paragraph(2, words);
            return;
        }
        let mut rows = vec![["from", "certificate", "greeting"].map(str::to_owned).to_vec()];
        for (view, [greeting, certificate]) in views.iter().zip(summaries) {
            rows.push(vec![self.show(&self.view_name(view), MAX_NAME), certificate, greeting]);
        }
        self.page.table(2, &rows);
    }

    /// Greeting and certificate of a view, in a few words each.
    fn summary(&self, index: usize) -> [String; 2] {
        let view = &self.report.facts.views[index];
        let session = &view.session;
        let greeting = match (&session.connection, &session.greeting) {
            (Observed::Seen(_), Observed::Seen(reply)) => reply.to_string(),
            (Observed::Seen(_), other) => format!("none: {}", other.why_not()),
            (other, _) => format!("none: {}", other.why_not()),
        };
        let certificate = match &session.certificates {
            Observed::Seen(chain) => match chain.first().map(Certificate::details) {
                Some(Ok(leaf)) => {
                    format!("chain {}, {}", self.chain_number(chain), days(leaf.not_before, leaf.not_after, self.report.now))
                }
                Some(Err(_)) => format!("chain {}, unreadable", self.chain_number(chain)),
                None => "an empty message".to_owned(),
            },
            _ => "none seen".to_owned(),
        };
        [self.show(&greeting, MAX_NAME), certificate]
    }

    /// Equal chains have equal numbers, counted from 1 in the order of the views.
    pub(super) fn chain_number(&self, chain: &[Certificate]) -> usize {
        let mut distinct: Vec<&[Certificate]> = Vec::new();
        for seen in self.report.facts.views.iter().filter_map(|view| view.session.certificates.seen()) {
            if !distinct.contains(&seen.as_slice()) {
                distinct.push(seen);
            }
        }
        distinct.iter().position(|known| *known == chain).map_or(0, |position| position + 1)
    }
}
