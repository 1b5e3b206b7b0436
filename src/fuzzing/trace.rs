//! The reader of Received lines.

use crate::trace::{MAX_HOPS, Trace};

/// How many bytes of JSON a byte of a message may become: a byte that is escaped is four, and JSON doubles backslashes.
const MOST_PER_BYTE: usize = 16;
/// What is written of each hop whatever it says.
const FRAME: usize = 512;

/// A message, whatever it is.
pub fn received(input: &[u8]) {
    let trace = Trace::read(input);
    assert!(trace.hops.len() <= MAX_HOPS);
    assert_eq!(trace.hops.is_empty(), trace.worst().is_none());
    // The first hop comes from nobody, and each other one from the one before it, or not.
    assert!(trace.hops.iter().enumerate().all(|(number, hop)| hop.is_continuous.is_some() == (number > 0)));
    let json = serde_json::to_string(&trace).expect("texts and numbers");
    assert!(json.len() <= MOST_PER_BYTE * input.len() + FRAME * (trace.hops.len() + 1), "{} of {}", json.len(), input.len());
    // The body says nothing, whatever stands in it.
    let head = [input, b"\r\n\r\n"].concat();
    let with_body = [&head[..], b"Received: from a by b with ESMTPS; Thu, 1 Jan 2026 00:00:00 +0000\r\n"].concat();
    assert_eq!(Trace::read(&head).hops, Trace::read(&with_body).hops);
}
