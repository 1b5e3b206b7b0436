use crate::rules::{Context, Outcome, Violation, each_path, known_path, rule};

/// How many intermediates rustls-webpki climbs through.
const MOST: usize = 6;

rule! {
    /// The certification path is too long for some senders.
    ///
    /// ## What it checks
    ///
    /// More than six intermediates stand between the server's certificate and the root. Public CAs have one or two.
    ///
    /// ## Why it matters
    ///
    /// Senders built on rustls follow six intermediates, those on GnuTLS sixteen certificates in all, and
    /// Postfix and others with OpenSSL about a hundred. Each certificate takes bytes in every handshake.
    ///
    /// ## Remedy
    ///
    /// Get a certificate from a CA with a shorter path, and send no more than what leads to its root.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1
    "long-path" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |_, judgement| {
        let intermediates = judgement.intermediates().len();
        let outcome = if intermediates > MOST {
            let message = format!("{intermediates} intermediates stand above the server's certificate; some senders follow {MOST}");
            Outcome::Violated(vec![Violation::new(message)])
        } else {
            Outcome::Passed(String::new())
        };
        known_path(judgement, outcome)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[rstest]
    #[case(1, "passed")]
    #[case(6, "passed")]
    #[case(7, "violated")]
    #[case(18, "violated")]
    fn the_intermediates_are_counted(#[case] intermediates: usize, #[case] expected: &str) {
        let mut world = World::correct();
        let mut line = vec![world.root.clone()];
        for step in 0..intermediates {
            line.push(line[step].intermediate(&format!("CA {step}")));
        }
        world.chain = vec![line[intermediates].leaf(|_| {})];
        world.chain.extend(line[1..].iter().rev().map(|authority| authority.certificate.clone()));
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }
}
