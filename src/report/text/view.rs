//! What one view saw: the dialog, the certificates, the transcript.

use anstyle::Style;

use super::{
    DATE, MAX_CERTIFICATES, MAX_ITEMS, MAX_LINES, MAX_NAME, MAX_SENTENCE, MAX_VALUE, Text, days, join_some, moment, style,
};
use crate::{
    facts::{Certificate, ClientCertificate, Injection, Observed, Possession, Session, Speaker, Transaction},
    smtp::{Ehlo, Keyword, Reply},
};

impl Text<'_> {
    /// What one view saw, in the order of the dialog.
    pub(super) fn view(&mut self, index: usize) {
        let view = &self.report.facts.views[index];
        let session = &view.session;
        let heading = self.show(&format!("{} seen from {}", view.address, view.vantage_text()), MAX_NAME);
        self.page.blank();
        self.page.wrapped(style::HEADING, "", "  ", &heading);
        let mut unasked = Unasked::default();
        if session.connection.seen().is_none() {
            self.observed("connection", &session.connection, &mut unasked, |_, _| String::new());
        } else {
            self.dialog_rows(session, &mut unasked);
            self.certificates(index, &mut unasked);
        }
        if let Observed::Seen(ClientCertificate::Requested { ca_bytes }) = view.client_certificate() {
            self.field(2, "client cert.", &format!("asked for, with {ca_bytes} bytes of CA names"));
        }
        if !matches!(view.mail_in_clear, Observed::NotAttempted(_)) {
            self.observed("MAIL, no TLS", &view.mail_in_clear, &mut unasked, |text, reply| text.reply(reply));
        }
        let is_active = !matches!(view.injection, Observed::NotAttempted(_));
        if is_active || !matches!(view.transaction, Observed::NotAttempted(_)) {
            self.observed("transaction", &view.transaction, &mut unasked, |text, transaction| match transaction {
                Transaction::Forgotten => "one that was begun before TLS was forgotten".to_owned(),
                Transaction::NotBegun(reply) => format!("none can be begun before TLS: {}", text.reply(reply)),
                Transaction::Unclear(reply) => {
                    format!("whether one from before TLS is open inside it is unclear: {}", text.reply(reply))
                }
                Transaction::Kept(reply) => format!("one that was begun before TLS is open inside it: {}", text.reply(reply)),
                Transaction::NoTls(reply) => format!("TLS cannot be begun within one: {}", text.reply(reply)),
            });
        }
        if is_active {
            self.observed("injection", &view.injection, &mut unasked, |text, injection| match injection {
                Injection::Discarded => "a command that came with STARTTLS was forgotten".to_owned(),
                Injection::BrokeOff => "the server went no further when a command came with STARTTLS".to_owned(),
                Injection::AnsweredInClear(answer) => text.show(&format!("answered in the clear: {answer}"), MAX_VALUE),
                Injection::AnsweredInTls(answer) => text.show(&format!("answered inside TLS: {answer}"), MAX_VALUE),
            });
        }
        self.offers(view);
        for (why, keys) in &unasked.0 {
            let value = self.show(&format!("{}: {why}", keys.join(", ")), MAX_VALUE);
            self.field(2, "not asked", &value);
        }
        for (number, earlier) in view.earlier.iter().enumerate() {
            let ended = if earlier.is_repeated_by(session) {
                "the same answers".to_owned()
            } else {
                self.show(&earlier.ended(), MAX_VALUE)
            };
            self.field(2, "another try", &format!("{} of {}: {ended}", number + 1, view.earlier.len()));
        }
        if self.options.transcript {
            let others = view.earlier.iter().filter(|earlier| !earlier.is_repeated_by(session));
            for session in others.chain([session]) {
                self.transcript(session);
            }
        }
    }

    fn dialog_rows(&mut self, session: &Session, unasked: &mut Unasked) {
        self.observed("greeting", &session.greeting, unasked, |text, reply| text.reply(reply));
        self.observed("EHLO", &session.ehlo, unasked, |text, ehlo| text.show(ehlo.domain.as_str(), MAX_NAME));
        if let Some(ehlo) = session.ehlo.seen() {
            let keywords = self.keywords(ehlo);
            self.field(2, "keywords", &keywords);
            if !ehlo.offers("STARTTLS") && !self.report.facts.target.is_implicit() {
                self.field(2, "STARTTLS", "not offered to this client");
            }
        }
        if !matches!(&session.help, Observed::NotAttempted(_)) {
            self.observed("HELP", &session.help, unasked, |text, reply| {
                format!("{} (proves nothing about STARTTLS)", text.reply(reply))
            });
        }
        // Where HELP was asked, the command was due after it.
        let is_helped = !matches!(session.help, Observed::NotAttempted(_));
        for (what, reply, is_due) in [("HELO", &session.helo, false), ("STARTTLS anyway", &session.unoffered_starttls, is_helped)]
        {
            if is_due || !matches!(reply, Observed::NotAttempted(_)) {
                self.observed(what, reply, unasked, |text, reply| text.reply(reply));
            }
        }
        let is_offered = session.ehlo.seen().is_none_or(|ehlo| ehlo.offers("STARTTLS"));
        if is_offered || !matches!(&session.starttls, Observed::NotAttempted(_)) {
            self.observed("STARTTLS", &session.starttls, unasked, |text, reply| text.reply(reply));
        }
        self.observed("TLS", &session.tls, unasked, |text, tls| {
            let group = tls.group.iter().map(String::as_str);
            text.show(
                &[tls.version.as_str(), tls.suite.as_str()].into_iter().chain(group).collect::<Vec<_>>().join(", "),
                MAX_VALUE,
            )
        });
        self.observed("key proof", &session.possession, unasked, |text, possession| {
            let words = match possession {
                Possession::Proven(scheme) => format!("proven, {scheme}"),
                Possession::Refuted(why) => format!("refuted: {why}"),
                Possession::NotVerified(scheme) => format!("not verified, {scheme}"),
            };
            text.show(&words, MAX_VALUE)
        });
        self.observed("EHLO in TLS", &session.ehlo_after, unasked, |text, after| match session.ehlo.seen() {
            Some(before) if is_same_but_starttls(before, after) => "the same without STARTTLS".to_owned(),
            _ => format!("{}: {}", text.show(after.domain.as_str(), MAX_NAME), text.keywords(after)),
        });
        self.observed("QUIT", &session.quit, unasked, |text, reply| text.reply(reply));
    }

    /// A row for what was seen or failed; what was not asked is collected.
    fn observed<T>(
        &mut self,
        key: &'static str,
        what: &Observed<T>,
        unasked: &mut Unasked,
        words: impl FnOnce(&Self, &T) -> String,
    ) {
        let value = match what {
            Observed::Seen(value) => words(self, value),
            Observed::Failed(failure) => self.show(&format!("failed: {failure}"), MAX_VALUE),
            Observed::NotAttempted(why) => return unasked.add(key, why),
        };
        self.field(2, key, &value);
    }

    fn certificates(&mut self, index: usize, unasked: &mut Unasked) {
        let views = &self.report.facts.views;
        let session = &views[index].session;
        let Observed::Seen(chain) = &session.certificates else {
            return self.observed("certificates", &session.certificates, unasked, |_, _| String::new());
        };
        if chain.is_empty() {
            return self.field(2, "certificates", "none: the server sent an empty certificate message");
        }
        if let Some(earlier) = views[..index].iter().find(|view| view.session.certificates.seen() == Some(chain)) {
            let earlier = self.show(&self.view_name(earlier), MAX_NAME);
            return self.field(2, "certificates", &format!("the same as from {earlier}"));
        }
        let number = if views.len() > 1 { format!(" (chain {})", self.chain_number(chain)) } else { String::new() };
        self.field(2, "certificates", &format!("{} sent{number}", chain.len()));
        for (i, certificate) in chain.iter().take(MAX_CERTIFICATES).enumerate() {
            self.certificate(i + 1, certificate);
        }
        if chain.len() > MAX_CERTIFICATES {
            self.page.paragraph(4, &format!("… and {} more", chain.len() - MAX_CERTIFICATES));
        }
    }

    pub(super) fn certificate(&mut self, number: usize, certificate: &Certificate) {
        let details = match certificate.details() {
            Ok(details) => details,
            Err(why) => {
                let why = self.show(&format!("cannot be read: {why}"), MAX_VALUE);
                return self.field(4, &format!("{number} subject"), &why);
            }
        };
        let subject = self.show(details.subject.as_str(), MAX_VALUE);
        let issuer = self.show(details.issuer.as_str(), MAX_VALUE);
        self.field(4, &format!("{number} subject"), if subject.is_empty() { "(empty)" } else { &subject });
        self.field(4, "  issuer", if issuer.is_empty() { "(empty)" } else { &issuer });
        let names = self.show_all(&details.subject_alt_names, MAX_NAME);
        if !names.is_empty() {
            self.field(4, "  names", &join_some(&names, MAX_ITEMS, ", "));
        }
        let key = self.show(&format!("{}, signed with {}", details.key, details.signature_algorithm), MAX_VALUE);
        self.field(4, "  key", &key);
        let (from, to) = (details.not_before, details.not_after);
        let validity = format!("{} to {}, {}", moment(from, DATE), moment(to, DATE), days(from, to, self.report.now));
        let validity = self.show(&validity, MAX_VALUE);
        self.field(4, "  valid", &validity);
        if number == 1 {
            let sha256 = self.show(&details.sha256, MAX_NAME);
            self.field(4, "  SHA-256", &sha256);
        }
    }

    fn transcript(&mut self, session: &Session) {
        if session.transcript.is_empty() {
            return;
        }
        let timed = if self.options.timings { ", milliseconds" } else { "" };
        self.page.line(&[(style::DIM, &format!("  dialog (C client, S server{timed})"))]);
        for line in session.transcript.iter().take(MAX_LINES) {
            let (speaker, style) = match line.from {
                Speaker::Client => ("C", Style::new()),
                Speaker::Server => ("S", Style::new()),
                Speaker::Event => ("*", style::DIM),
            };
            let first =
                if self.options.timings { format!("  {:>7}  {speaker}  ", line.millis) } else { format!("    {speaker}  ") };
            let text = self.show(line.text.as_str(), MAX_SENTENCE);
            self.page.wrapped(style, &first, &" ".repeat(first.len()), &text);
        }
        if session.transcript.len() > MAX_LINES {
            self.page.paragraph(4, &format!("… and {} more lines", session.transcript.len() - MAX_LINES));
        }
    }

    fn reply(&self, reply: &Reply) -> String {
        let bare = if reply.bare_lf { " (a line ends in LF alone)" } else { "" };
        format!("{}{bare}", self.show(reply.to_string().trim_end(), MAX_VALUE))
    }

    fn keywords(&self, ehlo: &Ehlo) -> String {
        let words = |keyword: &Keyword| {
            let parameters = keyword.parameters.iter().map(|p| p.as_str());
            std::iter::once(keyword.name.as_str()).chain(parameters).collect::<Vec<_>>().join(" ")
        };
        let keywords = self.show_all(ehlo.keywords.iter().map(words), MAX_NAME);
        if keywords.is_empty() { "none".to_owned() } else { join_some(&keywords, MAX_ITEMS, ", ") }
    }
}

/// What a view did not ask, by the reason.
#[derive(Default)]
struct Unasked<'a>(Vec<(String, Vec<&'a str>)>);

impl<'a> Unasked<'a> {
    fn add(&mut self, key: &'a str, why: &str) {
        match self.0.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, keys)) => keys.push(key),
            None => self.0.push((why.to_owned(), vec![key])),
        }
    }
}

fn is_same_but_starttls(before: &Ehlo, after: &Ehlo) -> bool {
    before.offers("STARTTLS")
        && before.domain == after.domain
        && before.keywords.iter().filter(|keyword| !keyword.is("STARTTLS")).eq(&after.keywords)
}
