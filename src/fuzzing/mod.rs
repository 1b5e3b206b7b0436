//! What must hold of every reader of bytes from the wire, whatever the bytes: one function per fuzz target.
//!
//! Compiled for tests and for `fuzz/` only. A function panics where something does not hold; libFuzzer and the
//! replay below call the same ones. `just fuzz` says how to find more.

mod logs;
mod revocation;
mod smtp;
mod tls;
mod trace;
mod x509;

#[cfg(test)]
mod replay;
#[cfg(test)]
mod seeds;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

pub use logs::{logs, tlsrpt};
pub use revocation::revocation;
pub use smtp::{commands, ehlo, reply, wire_text};
pub use tls::{client_hello, flight, key_exchange, messages};
pub use trace::received;
pub use x509::{certificate, judgement, possession};

/// What a fuzz target does with its input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its file in `fuzz/fuzz_targets` and of its folders.
pub const TARGETS: &[(&str, Target)] = &[
    ("certificate", certificate),
    ("client_hello", client_hello),
    ("commands", commands),
    ("ehlo", ehlo),
    ("flight", flight),
    ("judgement", judgement),
    ("key_exchange", key_exchange),
    ("logs", logs),
    ("messages", messages),
    ("possession", possession),
    ("received", received),
    ("reply", reply),
    ("revocation", revocation),
    ("tlsrpt", tlsrpt),
    ("wire_text", wire_text),
];

/// How many bytes at the head of an input say in what pieces the rest arrives.
const SIZES: usize = 4;

/// What arrives, and in pieces of what sizes: they repeat, from one byte to 64 KiB.
struct Pieces<'a> {
    sizes: [u8; SIZES],
    next: usize,
    rest: &'a [u8],
}

impl<'a> Pieces<'a> {
    /// Splits an input; none where it is too short to say the sizes.
    fn of(input: &'a [u8]) -> Option<Self> {
        let (sizes, rest) = input.split_first_chunk()?;
        Some(Self { sizes: *sizes, next: 0, rest })
    }

    /// The next piece, of at most that many bytes.
    fn next_within(&mut self, most: usize) -> Option<&'a [u8]> {
        let size = usize::from(self.sizes[self.next % SIZES]);
        self.next += 1;
        let (piece, rest) = self.rest.split_at((1 + size * size).min(most).min(self.rest.len()));
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.next_within(usize::MAX)
    }
}

/// A connection on which the pieces arrive, and which then ends.
impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(piece) = self.next_within(buffer.remaining()) {
            buffer.put_slice(piece);
        }
        Poll::Ready(Ok(()))
    }
}
