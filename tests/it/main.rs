//! Everything that is tested from outside the modules, but for the corpus itself.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod broken;
mod catalogue;
mod cli;
#[cfg(feature = "docker")]
mod docker;
mod fetching;
mod floods;
mod generated;
mod hostile;
mod matrix;
mod outside;
mod probing;
#[cfg(feature = "docker")]
mod remedies;
mod seed;
mod story;
mod tidy;
mod words;
