//! Who sees STARTTLS, and what becomes of it.

use super::{MAX_NAME, MAX_SENTENCE, Text};
use crate::{
    facts::Turns,
    rules::{State, Visible},
};

impl Text<'_> {
    /// One sentence, and where several looked one table. A single view in which it works says so itself.
    pub(super) fn visibility(&mut self) {
        let visibility = &self.report.visibility;
        if matches!(visibility.rows.as_slice(), [] | [Visible { state: State::Works, .. }]) {
            return;
        }
        self.page.heading("Who sees STARTTLS");
        let meaning = self.show(&visibility.meaning, MAX_SENTENCE);
        self.page.paragraph(2, &meaning);
        if visibility.rows.len() < 2 {
            return;
        }
        let mut rows = vec![["from", "so it", "listed", "TLS", "reply to STARTTLS"].map(str::to_owned).to_vec()];
        for row in &visibility.rows {
            let from = self.report.facts.views.get(row.view).map(|view| self.view_name(view)).unwrap_or_default();
            let tls = if row.is_encrypted { "yes" } else { "no" };
            let reply = match (&row.reply, row.accepted) {
                (None, _) => "none".to_owned(),
                (Some(_), _) if let Some(Turns { yes, no }) = row.handshakes => format!("TLS broke off in {no} of {}", yes + no),
                (Some(_), _) if let Some(turns) = row.put_off => format!("put off in {} of {}", turns.no, turns.all()),
                (Some(_), Turns { yes, no }) if yes > 0 && no > 0 => format!("accepted in {yes} of {}", yes + no),
                (Some(reply), _) => reply.to_string(),
            };
            rows.push(vec![
                self.show(&from, MAX_NAME),
                row.state.word().to_owned(),
                times(row.advertised),
                tls.to_owned(),
                self.show(&reply, MAX_NAME),
            ]);
        }
        self.page.table(2, &rows);
    }
}

/// In how many connections it was listed. No reply to EHLO is no "no".
fn times(turns: Turns) -> String {
    match turns {
        Turns { yes: 0, no: 0 } => "?".to_owned(),
        Turns { yes: 0, .. } => "no".to_owned(),
        Turns { no: 0, .. } => "yes".to_owned(),
        Turns { yes, no } => format!("{yes} of {}", yes + no),
    }
}
