//! Everything that is tested from outside the modules, but for the corpus itself.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod broken;
mod catalogue;
mod cli;
#[cfg(feature = "docker")]
mod docker;
#[cfg(feature = "docker")]
mod domains;
#[cfg(feature = "docker")]
mod engine;
mod fetching;
mod floods;
mod generated;
mod hostile;
mod logs;
mod matrix;
mod outside;
mod probing;
#[cfg(feature = "docker")]
mod remedies;
mod remind;
mod seed;
#[cfg(feature = "docker")]
mod senders;
mod sending;
mod story;
mod tidy;
mod words;
