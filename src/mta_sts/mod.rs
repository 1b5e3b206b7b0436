//! MTA-STS (RFC 8461): the record in DNS that announces a policy, and the policy itself.

mod policy;
mod record;

pub use policy::{Lapse, MAX_AGE, MAX_POLICY_BYTES, Mode, MxPattern, Policy, PolicyError, PolicyFault};
pub use record::{Record, RecordError, VERSION};

use crate::name::Name;

/// Where the record stands.
pub fn record_name(domain: &Name) -> String {
    format!("_mta-sts.{domain}")
}

/// The policy host (RFC 8461, 3.2).
pub fn policy_host(domain: &Name) -> String {
    format!("mta-sts.{domain}")
}

/// The path of the policy on it.
pub const POLICY_PATH: &str = "/.well-known/mta-sts.txt";
