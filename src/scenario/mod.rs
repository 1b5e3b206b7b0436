//! Declarative scenarios: a correct world plus one named fault, and the truth about it.
//!
//! A scenario is one TOML file, `scenarios/<topic>/<case>.toml`. [`parse`](parse::parse) reports every
//! mistake in it at once; what it returns is consistent.

mod types;

pub use types::{
    CertificateSpec, DurationText, Expect, ExpectFrom, Faults, Key, Knob, RefusedReply, Scenario, ServerSpec, TlsSpec,
    TlsVersion, VantageSpec, WeakHash,
};
