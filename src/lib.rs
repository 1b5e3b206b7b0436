//! mtalab: the test lab and the checker for SMTP over TLS.

pub mod check;
pub mod cli;
pub mod facts;
pub mod finding;
pub mod lab;
pub mod name;
pub mod plan;
pub mod practice;
pub mod probe;
pub mod report;
pub mod rules;
pub mod scenario;
pub mod smtp;
pub mod trust;
pub mod verify;
pub mod wire;
