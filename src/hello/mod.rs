//! The first flight of TLS without any crypto and without I/O: a ClientHello of any version and shape, and a
//! strict, bounded reader of what a server answers to it.
//!
//! A server shows its version, suite, group, chain and signed key exchange in the clear up to TLS 1.2, and its
//! version, suite and group in a HelloRetryRequest of TLS 1.3; so no handshake has to be finished to see them.

mod answer;
mod client;
mod cursor;
mod key_exchange;

pub use answer::{Flight, FlightReader, MAX_BYTES, MAX_CERTIFICATES, ReadError, ServerHello, Ssl2Hello};
pub use client::{ClientHello, Extra, goodbye};
pub use key_exchange::{KeyExchange, Parameters, Signature};
#[cfg(any(test, fuzzing))]
pub(crate) use key_exchange::{past_identity_hint, read as read_key_exchange};
