//! Declarative scenarios: a correct world plus one named fault, and the truth about it.
//!
//! A scenario is one TOML file, `scenarios/<topic>/<case>.toml`. [`Corpus`] finds the files,
//! [`parse`](parse()) reports every mistake in one of them at once; what it returns is consistent.

mod certificate;
mod contradictions;
mod corpus;
mod dialog;
mod domain;
mod domain_contradictions;
mod error;
mod knob;
mod parse;
mod relay;
mod revocation;
mod schema;
mod structure;
mod tls;
mod types;
mod vantage;

pub use certificate::{
    AnchorFault, CertificateSpec, ChainFault, DefaultCertificate, ExtensionFault, FormFault, IssuerFault, Key, NameKind,
    NamesFault, OddKey, SignatureScheme, Usage, ValidityFault, WeakHash,
};
pub use corpus::{Corpus, CorpusError, Entry};
pub use dialog::{Break, BreakKind, Delay, DialogFault, InTurn, LineEnds, PairFault, Stage, TurnsFault};
pub use domain::{
    DnssecFault, DomainSpec, FaultPlace, LookupAnswer, LookupFault, MtaStsSpec, MxSpec, Nsec3Spec, PolicyEnd, PolicyEnds,
    PolicyFault, PolicyHostFault, PolicyMode, RecordsFault, TlsaFault, Unreachable, ZoneMistake, rrset, tlsa_parameters,
    zone_line,
};
pub use error::ScenarioErrors;
pub use knob::Knob;
pub use parse::{MAX_FILE_BYTES, ReadError, SourceFile, parse, read_file};
pub use relay::{RelayAction, RelayFault, RelayStage};
pub use revocation::{PublishingFault, RevocationSource, Revoked, StapleFault};
pub use schema::{Known, schema};
pub use tls::{
    ClientCertificateFault, DhGroupName, Flight, HandshakeEnd, HandshakeFault, HelloKind, IntoleranceFault, Order, SniFault,
    StackFault, TlsSpec, TlsVersion,
};
pub use types::{DurationError, DurationText, Expect, ExpectFrom, Faults, RefusedReply, Scenario, ServerSpec};
pub use vantage::{IpVersion, VantageSpec};
