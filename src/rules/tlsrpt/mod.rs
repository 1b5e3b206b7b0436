//! Practice 6: whether somebody is told when TLS fails (RFC 8460).

use super::rules;

rules! {
    tlsrpt_missing,
    tlsrpt_invalid,
}
