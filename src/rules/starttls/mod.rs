//! Practice 4: opportunistic TLS for everyone.

pub static RULES: &[&crate::rules::Rule] = &[];
