//! Starts the servers of a plan.

#[cfg(feature = "docker")]
pub mod docker;
