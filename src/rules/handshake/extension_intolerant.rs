use super::each_intolerance;
use crate::{
    facts::HelloTrait,
    rules::{Context, Outcome, rule},
};

rule! {
    /// An extension is not borne.
    ///
    /// ## What it checks
    ///
    /// A hello with an extension that no standard defines is refused, reset or dropped, and the same without it
    /// is answered. So is one that is padded, or has one of the usual extensions which a server that does not want
    /// them must pass over: session_ticket, status_request, encrypt_then_mac, extended_master_secret; or
    /// more than 16 groups or signature schemes.
    ///
    /// ## Why it matters
    ///
    /// A server must ignore what it does not know; else no new extension can ever be used. Senders whose
    /// library adds one, as many do to keep servers honest, get no TLS.
    ///
    /// ## Remedy
    ///
    /// Look first at what stands before the server: load balancers, firewalls and mail filters that look into
    /// TLS are more often at fault than the server.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: not known of any; update OpenSSL or GnuTLS.
    /// - Exchange: not known of Schannel; update or replace the appliance before it.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.1.2
    /// - RFC 8701
    "extension-intolerant" { practice: OpportunisticTls, severity: Warn, result_type: None }
}

const EXTENSIONS: [HelloTrait; 8] = [
    HelloTrait::UnknownExtension,
    HelloTrait::Padding,
    HelloTrait::SessionTicket,
    HelloTrait::StatusRequest,
    HelloTrait::EncryptThenMac,
    HelloTrait::ExtendedMasterSecret,
    HelloTrait::ManySchemes,
    HelloTrait::ManyGroups,
];

fn judge(context: &Context) -> Outcome {
    each_intolerance(context, &EXTENSIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Intolerance, Observed, Offers},
        rules::test_facts::{World, kind, messages},
    };

    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_offers(&RULE, offers)
    }

    #[test]
    fn only_what_a_plainer_hello_proved_counts() {
        let of = |of| Offers::good().with(|offers| {
            offers.intolerance = Observed::Seen(vec![Intolerance { of, how: Observed::Seen("connection closed by the server".to_owned()) }]);
        });
        assert_eq!(messages(&judged(of(HelloTrait::UnknownExtension))), ["the server cannot bear a hello with an extension that it does not know"]);
        let others = [HelloTrait::Tls13, HelloTrait::Large, HelloTrait::UnknownExtension, HelloTrait::ManySuites];
        let violated = others.into_iter().filter(|other| kind(&judged(of(*other))) == "violated").count();
        assert_eq!(violated, 1);
        assert!(EXTENSIONS.into_iter().all(|extension| kind(&judged(of(extension))) == "violated"));
        // No sender of mail offers it.
        assert_eq!(kind(&judged(of(HelloTrait::Compression))), "passed");
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
