//! From the bytes of a file to UTF-8 with line feeds.
//!
//! A byte order mark says what a file is. Without one, text that is not UTF-8 is taken for
//! Windows-1252 (which Latin-1 is a part of) if all before its first such byte is ASCII; text that
//! has UTF-8 before it is damaged, which no encoding mends.

use crate::{Error, Result};
use encoding_rs::{DecoderResult, UTF_8, WINDOWS_1252};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// How bytes are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8.
    pub const UTF_8: Encoding = Encoding(UTF_8);

    pub(super) fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }
}

impl FromStr for Encoding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        encoding_rs::Encoding::for_label(text.as_bytes()).map(Encoding).ok_or_else(|| {
            Error::settings(
                "an encoding is a label of the WHATWG Encoding Standard, such as utf-8, latin1, \
                 windows-1252, utf-16le, shift_jis, gb18030",
            )
        })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

impl TryFrom<String> for Encoding {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Encoding> for String {
    fn from(encoding: Encoding) -> Self {
        encoding.to_string()
    }
}

/// What the first bytes of a text say of its encoding, and how many of them are a mark.
pub(super) fn marked(head: &[u8]) -> Option<(Encoding, usize)> {
    encoding_rs::Encoding::for_bom(head).map(|(encoding, length)| (Encoding(encoding), length))
}

/// UTF-16 without a mark, by its NUL bytes: every other one.
pub(super) fn looks_like_utf16(head: &[u8]) -> Option<&'static str> {
    let nuls = |odd: usize| head.iter().skip(odd).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd, half) = (nuls(0), nuls(1), head.len() / 2);
    match half >= 4 {
        true if odd * 10 > half * 8 && even * 10 < half => Some("utf-16le"),
        true if even * 10 > half * 8 && odd * 10 < half => Some("utf-16be"),
        _ => None,
    }
}

/// Whether bytes that are read as something else are UTF-8, and more than ASCII: text of another encoding
/// hardly ever is by chance.
#[derive(Debug)]
pub(super) struct Judge {
    valid: bool,
    ascii: bool,
    /// The beginning of a character that goes on in what comes next.
    open: Vec<u8>,
}

impl Default for Judge {
    fn default() -> Self {
        Judge { valid: true, ascii: true, open: Vec::new() }
    }
}

impl Judge {
    fn hear(&mut self, bytes: &[u8]) {
        self.ascii &= bytes.is_ascii();
        if self.ascii || !self.valid {
            return;
        }
        let mut text = std::mem::take(&mut self.open);
        text.extend_from_slice(bytes);
        if let Err(error) = std::str::from_utf8(&text) {
            // What is cut is at the end.
            self.valid = error.error_len().is_none();
            self.open = text.split_off(error.valid_up_to());
        }
    }

    /// Whether all that was heard is.
    pub(super) fn is_utf8(&self) -> bool {
        self.valid && !self.ascii && self.open.is_empty()
    }
}

/// A stream of text in another encoding, as UTF-8.
pub(super) struct Decoded<R> {
    inner: R,
    /// Of the bytes, where ASCII is a part of the encoding.
    judge: Arc<Mutex<Judge>>,
    decoder: encoding_rs::Decoder,
    name: Encoding,
    input: Vec<u8>,
    output: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(inner: R, encoding: Encoding, judge: Arc<Mutex<Judge>>) -> Self {
        Decoded {
            inner,
            judge,
            decoder: encoding.0.new_decoder_without_bom_handling(),
            name: encoding,
            input: vec![0; 1 << 16],
            output: Vec::new(),
            at: 0,
            ended: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let count = self.inner.read(&mut self.input)?;
        self.ended = count == 0;
        if self.name.0.is_ascii_compatible() {
            let mut judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
            judge.hear(&self.input[..count]);
        }
        self.at = 0;
        self.output.resize(4 * self.input.len(), 0);
        let (result, _, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.input[..count],
            &mut self.output,
            self.ended,
        );
        self.output.truncate(written);
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::OutputFull | DecoderResult::Malformed(..) => {
                let text = format!("is not {} text; name its `encoding`", self.name);
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.output.len() && !self.ended {
            self.refill()?;
        }
        let count = into.len().min(self.output.len() - self.at);
        into[..count].copy_from_slice(&self.output[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// A stream of lines that end in a carriage return alone, with line feeds.
pub(super) struct Returns<R> {
    pub inner: R,
    /// Whether the last byte was a carriage return.
    pub after: bool,
}

impl<R: Read> Read for Returns<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.inner.read(into)?;
            let mut kept = 0;
            for at in 0..count {
                let byte = into[at];
                // A pair is one line end.
                if !(byte == b'\n' && self.after) {
                    into[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
                self.after = byte == b'\r';
            }
            if kept > 0 || count == 0 {
                return Ok(kept);
            }
        }
    }
}

/// Whether lines end in a carriage return alone: where these outnumber the line feeds.
pub(super) fn ends_in_returns(head: &[u8]) -> bool {
    let feeds = memchr::memchr_iter(b'\n', head).count();
    let returns = memchr::memchr_iter(b'\r', head);
    // What the head ends in may be half a pair.
    returns.filter(|&at| head.get(at + 1).is_some_and(|&b| b != b'\n')).count() > feeds
}

/// What the text of a source was up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// ASCII, which is the same in all encodings.
    Ascii,
    /// UTF-8.
    Utf8,
    /// Windows-1252.
    Latin,
}

impl Text {
    /// Makes UTF-8 of a chunk of whole lines, and takes byte order marks out that joined files left
    /// at the beginning of lines.
    pub(super) fn tidy(&mut self, chunk: &mut Vec<u8>) {
        if *self == Text::Ascii && !chunk.is_ascii() {
            *self = match std::str::from_utf8(chunk) {
                Err(error) if chunk[..error.valid_up_to()].is_ascii() => Text::Latin,
                _ => Text::Utf8,
            };
        }
        match self {
            Text::Ascii => {}
            Text::Latin => {
                if let (Cow::Owned(text), _) = WINDOWS_1252.decode_without_bom_handling(chunk) {
                    *chunk = text.into_bytes();
                }
            }
            Text::Utf8 => {
                const MARK: &[u8] = "\u{feff}".as_bytes();
                let found = memchr::memmem::find_iter(chunk, MARK);
                let begins = |&at: &usize| at == 0 || chunk[at - 1] == b'\n';
                let marks: Vec<usize> = found.filter(begins).collect();
                for at in marks.into_iter().rev() {
                    chunk.drain(at..at + MARK.len());
                }
            }
        }
    }
}
