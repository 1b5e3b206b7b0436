//! Everything that is tested from outside the modules, but for the corpus itself.

mod catalogue;
mod cli;
mod generated;
mod hostile;
mod matrix;
mod tidy;
