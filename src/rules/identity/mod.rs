//! Practice 3: CN and SAN match the name that senders look up, and so does the greeting.

pub static RULES: &[&crate::rules::Rule] = &[];
