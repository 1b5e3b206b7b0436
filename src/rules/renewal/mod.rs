//! Practice 7: renewal reminders.

use super::rules;

rules! { certificate_expired }
