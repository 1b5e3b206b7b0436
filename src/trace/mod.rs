//! The way of a message by its Received lines (RFC 5321, 4.4): which hop was inside TLS, and where nobody says.
//!
//! Each line is what one server says of the connection that brought it the message. Nothing proves it: whoever had the
//! message may have written or changed every line that was there before. And a hop inside TLS says nothing of the next.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod received;

use schemars::JsonSchema;
use serde::Serialize;

use crate::wire::WireText;
pub use received::{Protection, Received};

/// How much of a message is looked at: its header is there or nowhere.
pub const MAX_HEADER: usize = 1 << 20;
/// How many hops are told; no message has as many (RFC 5321, 6.3: loops are assumed from 100 on).
pub const MAX_HOPS: usize = 100;
/// The longest line, unfolded, that is read to its end.
const MAX_FIELD: usize = 16 << 10;

/// The way of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trace {
    /// The hops, the first one first.
    pub hops: Vec<Hop>,
    /// What a reader must know of the whole, one sentence each.
    pub notes: Vec<String>,
}

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hop {
    /// What its line says.
    #[serde(flatten)]
    pub received: Received,
    /// Whether the line before it was written by the host that this one had the message from, by their names; none for the
    /// first.
    pub is_continuous: Option<bool>,
}

impl Trace {
    /// Reads the header of a message, whatever it is.
    pub fn read(message: &[u8]) -> Self {
        let cut = &message[..message.len().min(MAX_HEADER)];
        let (fields, is_ended) = fields(cut);
        let mut notes = Vec::new();
        if !is_ended && message.len() > MAX_HEADER {
            notes.push(format!("the header is longer than {MAX_HEADER} bytes; what follows is not looked at"));
        }
        let mut received: Vec<Received> = Vec::new();
        let mut more = 0usize;
        for value in fields.iter().filter_map(|field| received_value(field)) {
            if received.len() < MAX_HOPS { received.push(Received::read(&value)) } else { more += 1 }
        }
        if more > 0 {
            notes.push(format!("{more} more Received lines are not shown: a message with more than {MAX_HOPS} goes in circles"));
        }
        // Each server writes its line above the others.
        received.reverse();
        let mut hops: Vec<Hop> = Vec::new();
        for received in received {
            let before = hops.last().and_then(|hop| hop.received.by.clone());
            let is_continuous = hops.last().map(|_| received.is_from(before.as_ref()));
            hops.push(Hop { received, is_continuous });
        }
        if hops.is_empty() {
            notes.push("there is no Received line: the message was not delivered by SMTP, or the lines were removed".to_owned());
        }
        Self { hops, notes }
    }

    /// The worst of the hops between hosts; none where there is none.
    pub fn worst(&self) -> Option<Protection> {
        self.hops.iter().map(|hop| hop.received.protection).filter(|protection| *protection != Protection::Local).max()
    }
}

/// The fields of a header, unfolded (RFC 5322, 2.2.3), and whether its end was seen.
fn fields(bytes: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return (fields, true);
        }
        // The envelope line of an mbox file is no field.
        if number == 0 && line.starts_with(b"From ") {
            continue;
        }
        match fields.last_mut() {
            Some(field) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                let room = MAX_FIELD.saturating_sub(field.len());
                field.push(b' ');
                field.extend(line.trim_ascii_start().iter().take(room));
            }
            _ => fields.push(line[..line.len().min(MAX_FIELD)].to_vec()),
        }
    }
    (fields, false)
}

/// What stands behind `Received:`.
fn received_value(field: &[u8]) -> Option<WireText> {
    let colon = field.iter().position(|byte| *byte == b':')?;
    let name = field[..colon].trim_ascii_end();
    name.eq_ignore_ascii_case(b"received").then(|| WireText::from_bytes(field[colon + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn hops_are_told_from_the_first_to_the_last() {
        let message = b"Return-Path: <a@b>\r\nReceived: from mx.b.test (mx.b.test [192.0.2.2])\r\n\tby in.c.test (Postfix) with ESMTPS id 2\r\n\t\
            (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\tfor <x@c.test>; Sat, 1 Mar 2025 00:00:02 +0000\r\n\
            Received: from pc (unknown [192.0.2.1]) by mx.b.test (Postfix) with ESMTP id 1; Sat, 1 Mar 2025 00:00:01 +0000\r\n\
            Subject: Received: by nobody\r\n\r\nReceived: from body by body with ESMTPS\r\n";
        let trace = Trace::read(message);
        let seen: Vec<_> = trace.hops.iter().map(|hop| (hop.received.protection, hop.is_continuous)).collect();
        assert_eq!(seen, [(Protection::Clear, None), (Protection::Tls, Some(true))]);
        assert_eq!(trace.worst(), Some(Protection::Clear));
        assert_eq!(trace.hops[1].received.version.as_deref(), Some("TLSv1.3"));
    }

    #[rstest]
    #[case(b"", 0)]
    #[case(b"\r\n\r\nReceived: by x", 0)]
    #[case(b"From me Sat Mar  1\nReceived: by x with local\n\n", 1)]
    #[case(b"RECEIVED : by x with ESMTPS\n\n", 1)]
    #[case(b"Received:\n\n", 1)]
    #[case(b"\tReceived: by x\n", 0)]
    fn only_the_header_counts(#[case] message: &[u8], #[case] hops: usize) {
        assert_eq!(Trace::read(message).hops.len(), hops, "{:?}", Trace::read(message));
    }

    #[test]
    fn endless_headers_are_cut_and_said_to_be() {
        let many = "Received: by x with ESMTPS id 1\r\n".repeat(5000);
        let trace = Trace::read(many.as_bytes());
        assert_eq!(trace.hops.len(), MAX_HOPS);
        assert!(trace.notes[0].contains("goes in circles"), "{:?}", trace.notes);
        let long = [b"Received: by ".to_vec(), vec![b'x'; 4 << 20]].concat();
        let trace = Trace::read(&long);
        assert!(trace.hops[0].received.by.as_ref().unwrap().as_str().len() < 300);
        assert!(trace.notes[0].contains("longer than"), "{:?}", trace.notes);
        let folded = [&b"Received: by x\r\n"[..], &b" (comment)\r\n".repeat(50_000)].concat();
        assert_eq!(Trace::read(&folded).hops.len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let trace = Trace::read(&bytes);
            let shown = format!("{trace:?}");
            prop_assert!(!shown.chars().any(char::is_control));
            let mut with = b"Received: ".to_vec();
            with.extend(bytes.iter().filter(|byte| **byte != b'\n'));
            prop_assert!(Trace::read(&with).hops.len() <= 1);
        }
    }
}
