//! Practice 2: strong keys.

pub static RULES: &[&crate::rules::Rule] = &[];
