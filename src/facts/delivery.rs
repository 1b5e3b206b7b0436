//! A test message on its way.

use serde::{Deserialize, Serialize};

use super::{Failure, Observed, Session};
use crate::smtp::Reply;

/// One test message on its way to a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The dialog up to the message.
    pub session: Session,
    /// Whether the message went, or was to go, inside TLS.
    pub inside: bool,
    /// The reply to MAIL.
    pub mail: Observed<Reply>,
    /// The reply to RCPT.
    pub recipient: Observed<Reply>,
    /// The reply to DATA.
    pub data: Observed<Reply>,
    /// The reply to the end of the message: from then on it is the server's.
    pub message: Observed<Reply>,
}

impl Delivery {
    /// Nothing was said yet.
    pub fn begun() -> Self {
        let not = || Observed::NotAttempted("it did not get that far".to_owned());
        let session = Session::not_attempted("it did not get that far");
        Self { session, inside: false, mail: not(), recipient: not(), data: not(), message: not() }
    }

    /// Whether the server has taken the message; none where it was sent and the answer is missing.
    pub fn is_taken(&self) -> Option<bool> {
        match &self.message {
            Observed::Seen(reply) => Some(reply.is_positive()),
            Observed::Failed(Failure::Throttled(_)) => Some(false),
            Observed::Failed(_) => None,
            Observed::NotAttempted(_) => Some(false),
        }
    }
}
