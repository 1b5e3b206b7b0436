//! Declarative scenarios: a correct world plus one named fault, and the truth about it.
//!
//! A scenario is one TOML file, `scenarios/<topic>/<case>.toml`. [`Corpus`] finds the files,
//! [`parse`](parse()) reports every mistake in one of them at once; what it returns is consistent.

mod certificate;
mod contradictions;
mod corpus;
mod dialog;
mod error;
mod parse;
mod relay;
mod revocation;
mod schema;
mod structure;
mod tls;
mod types;

pub use certificate::{
    AnchorFault, CertificateSpec, ChainFault, DefaultCertificate, ExtensionFault, FormFault, IssuerFault, Key, NameKind,
    NamesFault, OddKey, SignatureScheme, Usage, ValidityFault, WeakHash,
};
pub use corpus::{Corpus, CorpusError, Entry};
pub use dialog::{Break, BreakKind, Delay, DialogFault, InTurn, LineEnds, PairFault, Stage, TurnsFault};
pub use error::ScenarioErrors;
pub use parse::{MAX_FILE_BYTES, ReadError, SourceFile, parse, read_file};
pub use relay::{RelayAction, RelayFault, RelayStage};
pub use revocation::{PublishingFault, RevocationSource, Revoked, StapleFault};
pub use schema::{Known, schema};
pub use tls::{
    ClientCertificateFault, DhGroupName, Flight, HandshakeEnd, HandshakeFault, HelloKind, IntoleranceFault, Order, SniFault,
    StackFault, TlsSpec, TlsVersion,
};
pub use types::{DurationError, DurationText, Expect, ExpectFrom, Faults, Knob, RefusedReply, Scenario, ServerSpec, VantageSpec};
