//! The lab: starts planned servers, in this process or in containers.
//!
//! The lab knows nothing of the checker. It shares only vocabulary with it.

#[cfg(feature = "embedded")]
pub mod embedded;
pub mod persona;

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::plan::ServerPlan;

/// A server to start, with the addresses that its vantage points turned out to have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerOrder {
    /// What the server does.
    pub plan: ServerPlan,
    /// The source address of each vantage point that the plan names.
    pub sources: BTreeMap<String, IpAddr>,
}
