use super::announced;
use crate::rules::{DomainContext, Outcome, Violation, rule, short};

rule! {
    /// The policy of MTA-STS has another content type than text/plain.
    ///
    /// ## What it checks
    ///
    /// The policy host names another content type than `text/plain`, or none.
    ///
    /// ## Why it matters
    ///
    /// Senders are advised to check it, so that no page that users may write passes for a policy. Those that do take no
    /// policy.
    ///
    /// ## Remedy
    ///
    /// Have `.txt` files served as `text/plain`.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.3
    Domain "sts-policy-content-type" { practice: EnforceableTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let response = match announced(context).and_then(|()| super::response(context)) {
        Ok(response) => response,
        Err(outcome) => return outcome,
    };
    let kind = response.content_type.as_ref().map(|kind| kind.as_str());
    match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
        Some(kind) if kind.eq_ignore_ascii_case("text/plain") => Outcome::Passed(String::new()),
        Some(kind) => Outcome::Violated(vec![Violation::new(format!("the policy of MTA-STS comes as {} and not as text/plain", short(kind)))]),
        None => Outcome::Violated(vec![Violation::new("the policy of MTA-STS comes without a content type")]),
    }
}
