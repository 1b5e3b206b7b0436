//! mtalab: the test lab and the checker for SMTP over TLS.
//!
//! A declarative scenario starts a mail server with a generated certificate and one thing wrong; the
//! checker looks at it; the verdict is compared with the truth that the scenario's author wrote down.
//!
//! ```text
//! scenario file ──parse──> Scenario ──resolve──> Plan ──start──> Running server
//!                                                                      │
//!                          Target ──observe──> Facts ──judge──> Findings ──render──> Report
//! ```
//!
//! One scenario of the built-in corpus, on a server in this process:
//!
//! ```
//! use mtalab::{lab::Backend, scenario::Corpus, verify::{self, CaseOutcome}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cases = verify::load(&Corpus::embedded()?, &["certificate/expired".to_owned()])?;
//! let outcome = verify::run_case(&cases[0], &Backend::Embedded, mtalab::plan::Issuance::now()).await;
//! let CaseOutcome::Passed(seen) = outcome else { panic!("{outcome:?}") };
//! let report = seen.report.server().expect("the case is of one server");
//! assert_eq!(report.findings[0].rule, "certificate-expired");
//! # Ok(())
//! # }
//! ```
//!
//! ARCHITECTURE.md in the repository says which module may know which.

pub mod check;
pub mod cli;
pub mod dane;
pub mod facts;
pub mod finding;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod hello;
pub mod lab;
pub mod logs;
pub mod mta_sts;
pub mod name;
pub mod nearest;
pub mod plan;
pub mod practice;
pub mod probe;
#[cfg(feature = "docker")]
pub mod proof;
pub mod remind;
pub mod report;
pub mod rules;
pub mod scenario;
pub mod senders;
pub mod sink;
pub mod smtp;
pub mod tagged;
pub mod tls;
pub mod tlsrpt;
pub mod trace;
pub mod trust;
pub mod verify;
pub mod wire;
