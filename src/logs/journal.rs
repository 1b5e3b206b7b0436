//! What `journalctl --output export` and `--output json` write, entry by entry.

use std::borrow::Cow;

use serde::Deserialize;
use time::{Date, OffsetDateTime};

use super::{input::MAX_LINE, text::cut, text::number};

/// What a line of a log is made of.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) day: Option<Date>,
    pub(super) host: Vec<u8>,
    pub(super) program: Vec<u8>,
    pub(super) pid: u64,
    pub(super) text: Vec<u8>,
}

/// Gathers the lines of the export format: `NAME=value`, or `NAME` and a value with its length before it; an empty line ends
/// an entry.
#[derive(Debug, Default)]
pub(super) struct Export {
    entry: Entry,
    has_text: bool,
    /// A value with its length before it: the field's name, and the bytes so far.
    binary: Option<(Vec<u8>, Vec<u8>)>,
    /// Entries with a value that is longer than any line of a log.
    pub(super) too_long: u64,
}

impl Export {
    /// The next line; an entry where one is complete.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<Entry> {
        if let Some((name, mut bytes)) = self.binary.take() {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
            let wanted = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
            if bytes.len() > 8 && wanted > MAX_LINE {
                // Its length lies, or it is no line of a log.
                self.too_long += 1;
            } else if bytes.len() > wanted.saturating_add(8) {
                let value = bytes[8..8 + wanted].to_vec();
                self.field(&name, &value);
            } else {
                self.binary = Some((name, bytes));
            }
            return None;
        }
        if line.is_empty() {
            let entry = std::mem::take(&mut self.entry);
            return std::mem::take(&mut self.has_text).then_some(entry);
        }
        match cut(line, b"=") {
            Some((name, value)) => self.field(name, value),
            None => self.binary = Some((line[..line.len().min(64)].to_vec(), Vec::new())),
        }
        None
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let entry = &mut self.entry;
        match name {
            b"MESSAGE" => {
                entry.text = value.to_vec();
                self.has_text = true;
            }
            b"__REALTIME_TIMESTAMP" => entry.day = number::<i64>(value).and_then(day),
            b"_HOSTNAME" => entry.host = value.to_vec(),
            b"SYSLOG_IDENTIFIER" => entry.program = value.to_vec(),
            b"_COMM" if entry.program.is_empty() => entry.program = value.to_vec(),
            b"SYSLOG_PID" => entry.pid = number(value).unwrap_or_default(),
            b"_PID" if entry.pid == 0 => entry.pid = number(value).unwrap_or_default(),
            _ => {}
        }
    }
}

fn day(microseconds: i64) -> Option<Date> {
    OffsetDateTime::from_unix_timestamp(microseconds / 1_000_000).ok().map(OffsetDateTime::date)
}

/// A value of the JSON form: text, bytes as numbers, or several of either.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
    Several(Vec<serde_json::Value>),
}

impl Value<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_owned().into_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Several(values) => values.first().and_then(serde_json::Value::as_str).unwrap_or_default().as_bytes().to_vec(),
        }
    }
}

/// One entry in JSON, as the journal writes it or, with `log` for the message, as Docker does.
pub(super) fn json(line: &[u8]) -> Option<Entry> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(rename = "MESSAGE", borrow)]
        message: Option<Value<'a>>,
        #[serde(rename = "__REALTIME_TIMESTAMP", borrow)]
        moment: Option<Value<'a>>,
        #[serde(rename = "_HOSTNAME", borrow)]
        host: Option<Value<'a>>,
        #[serde(rename = "SYSLOG_IDENTIFIER", borrow)]
        identifier: Option<Value<'a>>,
        #[serde(rename = "SYSLOG_PID", borrow)]
        syslog_pid: Option<Value<'a>>,
        #[serde(rename = "_PID", borrow)]
        pid: Option<Value<'a>>,
    }
    let line: Line = serde_json::from_slice(line).ok()?;
    let bytes = |value: Option<Value>| value.map(Value::bytes).unwrap_or_default();
    let pid = line.syslog_pid.or(line.pid);
    Some(Entry {
        day: number::<i64>(&bytes(line.moment)).and_then(day),
        host: bytes(line.host),
        program: bytes(line.identifier),
        pid: number(&bytes(pid)).unwrap_or_default(),
        text: bytes(Some(line.message?)),
    })
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn export(text: &[u8]) -> (Vec<Entry>, u64) {
        let mut export = Export::default();
        let entries = text.split(|byte| *byte == b'\n').filter_map(|line| export.line(line)).collect();
        (entries, export.too_long)
    }

    #[test]
    fn entries_are_gathered() {
        let mut text =
            b"__CURSOR=x\n__REALTIME_TIMESTAMP=1795939200000000\n_HOSTNAME=mx\nSYSLOG_IDENTIFIER=postfix/smtp\n_PID=7\nMESSAGE\n"
                .to_vec();
        text.extend(5u64.to_le_bytes());
        text.extend(b"a\nb\xffc\n\nMESSAGE=next\n\n");
        let (entries, _) = export(&text);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].text, b"a\nb\xffc");
        assert_eq!((entries[0].program.as_slice(), entries[0].pid), (&b"postfix/smtp"[..], 7));
        assert_eq!(entries[0].day, Some(date!(2026 - 11 - 29)));
        assert_eq!(entries[1].text, b"next");
    }

    #[test]
    fn a_length_that_lies_is_bounded() {
        let mut text = b"MESSAGE\n".to_vec();
        text.extend(u64::MAX.to_le_bytes());
        text.extend(b"abc\nMESSAGE=after\n\n");
        let (entries, too_long) = export(&text);
        assert_eq!((entries.len(), too_long), (1, 1));
        assert_eq!(entries[0].text, b"after");
    }

    #[test]
    fn json_is_read() {
        let line = br#"{"MESSAGE":[97,255],"_HOSTNAME":"mx","SYSLOG_IDENTIFIER":"postfix/smtp","_PID":"7","__REALTIME_TIMESTAMP":"1795939200000000","X":[1,"a"]}"#;
        let entry = json(line).unwrap();
        assert_eq!((entry.text, entry.pid, entry.day), (b"a\xff".to_vec(), 7, Some(date!(2026 - 11 - 29))));
        assert!(json(b"{").is_none() && json(b"{}").is_none());
        // What is too long for it the journal leaves out: that is no line that was read.
        assert!(json(br#"{"MESSAGE":null}"#).is_none());
    }
}
