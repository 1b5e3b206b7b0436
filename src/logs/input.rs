//! Lines out of files of any size: unpacked where gzip packed them, cut at the newlines, and none longer than a bound.

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Chain, Cursor, Read},
    rc::Rc,
};

use flate2::bufread::MultiGzDecoder;
use memchr::memchr;

/// No MTA writes longer lines; more of one is skipped.
pub(super) const MAX_LINE: usize = 64 * 1024;
const BUFFER: usize = 1024 * 1024;
/// What unpacks to more than so many times its size is no log: one of the same line over and over has less than half.
const MAX_RATIO: u64 = 500;
/// So much may unpack from however little.
const FREE: u64 = 64 * 1024 * 1024;

/// Why a file cannot be read as a log.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The system's words.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Packed otherwise.
    #[error("is packed with {0}: unpack it and give the lines, `{1} FILE | mtalab logs -`")]
    Packed(&'static str, &'static str),
    /// The files of the journal itself.
    #[error("is a file of the journal: give its lines, `journalctl --file FILE --output export | mtalab logs -`")]
    Journal,
    /// Written by Windows programs.
    #[error("is UTF-16 text: convert it to UTF-8, `iconv -f UTF-16 -t UTF-8 FILE | mtalab logs -`")]
    Utf16,
}

/// How a file ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// The bytes of lines, unpacked.
    pub(super) bytes: u64,
    /// Lines that were longer than [`MAX_LINE`] and are skipped.
    pub(super) too_long: u64,
    /// The last line has no end: the file was cut off, or is being written.
    pub(super) is_cut_off: bool,
    /// Why reading stopped before the end.
    pub(super) stopped: Option<String>,
}

/// What was read of a packed file so far.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// Gives every line to `each`, without its end. What cannot be unpacked any more ends the file, and is told.
pub(super) fn lines(mut input: impl Read, mut each: impl FnMut(&[u8])) -> Result<Ended, InputError> {
    let mut head = Vec::new();
    (&mut input).take(8).read_to_end(&mut head)?;
    match *head.as_slice() {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => return Err(InputError::Packed("xz", "xzcat")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Err(InputError::Packed("zstd", "zstdcat")),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => return Err(InputError::Packed("bzip2", "bzcat")),
        [b'L', b'P', b'K', b'S', b'H', b'H', b'R', b'H'] => return Err(InputError::Journal),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(InputError::Utf16),
        _ => {}
    }
    let is_packed = head.starts_with(&[0x1f, 0x8b]);
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(head).chain(input);
    if !is_packed {
        return plain(whole, None, &mut each);
    }
    let read = Rc::new(Cell::new(0));
    let packed = BufReader::with_capacity(BUFFER / 8, Counted { inner: whole, read: Rc::clone(&read) });
    plain(MultiGzDecoder::new(packed), Some(&read), &mut each)
}

fn plain(input: impl Read, packed: Option<&Cell<u64>>, each: &mut impl FnMut(&[u8])) -> Result<Ended, InputError> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut ended = Ended::default();
    // The part of a line that went over the end of the buffer.
    let mut part: Vec<u8> = Vec::new();
    let mut is_skipping = false;
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if packed.is_some() || ended.bytes > 0 => {
                ended.stopped = Some(format!("after {} bytes it cannot be read any more: {error}", ended.bytes));
                break;
            }
            Err(error) => return Err(error.into()),
        };
        if buffer.is_empty() {
            break;
        }
        let length = buffer.len();
        ended.bytes += u64::try_from(length).unwrap_or(u64::MAX);
        let mut rest = buffer;
        while let Some(at) = memchr(b'\n', rest) {
            let (line, behind) = (&rest[..at], &rest[at + 1..]);
            rest = behind;
            if is_skipping || part.len() + line.len() > MAX_LINE {
                ended.too_long += 1;
                is_skipping = false;
                part.clear();
            } else if part.is_empty() {
                each(trimmed(line));
            } else {
                part.extend_from_slice(line);
                each(trimmed(&part));
                part.clear();
            }
        }
        if is_skipping || part.len() + rest.len() > MAX_LINE {
            is_skipping = true;
            part.clear();
        } else {
            part.extend_from_slice(rest);
        }
        input.consume(length);
        if let Some(packed) = packed
            && ended.bytes > FREE
            && ended.bytes / MAX_RATIO > packed.get()
        {
            ended.stopped =
                Some(format!("it unpacks to more than {MAX_RATIO} times its size, which no log does: the rest is not read"));
            return Ok(ended);
        }
    }
    if is_skipping {
        ended.too_long += 1;
    } else if !part.is_empty() {
        ended.is_cut_off = true;
        each(trimmed(&part));
    }
    Ok(ended)
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Ended) {
        let mut found = Vec::new();
        let ended = lines(bytes, |line| found.push(line.to_vec())).unwrap();
        (found, ended)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn packed_and_plain_are_the_same() {
        let text = b"one\r\ntwo\n\nthree";
        assert_eq!(read(text).0, read(&packed(text)).0);
        assert_eq!(read(text).0, [&b"one"[..], b"two", b"", b"three"]);
        assert!(read(text).1.is_cut_off);
        // Rotated logs are appended to each other.
        assert_eq!(read(&[packed(b"a\n"), packed(b"b\n")].concat()).0, [b"a", b"b"]);
    }

    #[test]
    fn what_is_cut_off_is_told() {
        let whole = packed(&b"a line that stands here\n".repeat(1000));
        let (_, ended) = read(&whole[..whole.len() - 12]);
        assert!(ended.stopped.is_some());
    }

    #[test]
    fn a_bomb_is_left() {
        let bomb = packed(&vec![b'a'; 256 * 1024 * 1024]);
        let (_, ended) = read(&bomb);
        assert!(ended.stopped.unwrap().contains("500 times"));
        assert!(ended.bytes < 80 * 1024 * 1024);
    }

    #[test]
    fn long_lines_are_skipped() {
        let text = [b"a\n".to_vec(), vec![b'x'; 3 * BUFFER], b"\nb\n".to_vec(), vec![b'y'; MAX_LINE + 1]].concat();
        let (found, ended) = read(&text);
        assert_eq!(found, [b"a", b"b"]);
        assert_eq!(ended.too_long, 2);
    }

    #[test]
    fn what_is_packed_otherwise_says_how_to_read_it() {
        assert!(matches!(lines(&b"\xfd7zXZ\0\0\0"[..], |_| ()), Err(InputError::Packed("xz", _))));
        assert!(matches!(lines(&b"LPKSHHRH...."[..], |_| ()), Err(InputError::Journal)));
        assert!(matches!(lines(&b"\xff\xfea\0"[..], |_| ()), Err(InputError::Utf16)));
    }

    proptest! {
        #[test]
        fn lines_are_what_is_between_newlines(text in "[a-c\n]{0,200}") {
            let mut expected: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b'\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            prop_assert_eq!(read(text.as_bytes()).0, expected);
        }
    }
}
