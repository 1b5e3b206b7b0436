//! Practice 1: a certificate from a public CA.

pub static RULES: &[&crate::rules::Rule] = &[];
