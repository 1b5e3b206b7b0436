//! From a scenario to everything that is needed to start it: certificates, keys, the
//! server's behaviour. Decided here, once, for both backends.

mod server;

use time::OffsetDateTime;

pub use server::{Answer, Credentials, GreetingPlan, Offer, ServerPlan};

use crate::trust::TrustStore;

/// A resolved scenario for one kind of server, ready to be started by any backend.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's id, `certificate/expired`.
    pub scenario: String,
    /// The moment that all times are relative to.
    pub now: OffsetDateTime,
    /// What a checker is to trust.
    pub trust: TrustStore,
    /// The names of the vantage points, in order; at least one.
    pub vantages: Vec<String>,
    /// The server.
    pub server: ServerPlan,
}
