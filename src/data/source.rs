//! Where the bytes come from: a file or standard input, decompressed by content, in chunks that
//! end at line borders.

use super::encoding::{self, Decoded, Encoding, Judge, Returns, Text};
use super::form::Doubt;
use super::formats;
use super::quoted::{self, Shape};
use crate::files::stop;
use crate::progress::Progress;
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What a chunk aims at: large enough to amortise a task, small enough for the caches' next level.
pub(super) const CHUNK: usize = 4 << 20;
/// A line beyond this is taken for a file that is not text.
const LONGEST_LINE: usize = 256 << 20;
/// How many bytes are looked at to tell what a file is.
const HEAD: usize = 16 << 10;

/// An opened input.
pub(crate) struct Source<'a> {
    /// The file as the user named it.
    pub name: String,
    /// Bytes of a file that is not compressed.
    pub size: Option<u64>,
    /// `gzip`, `zstd` or nothing.
    pub compression: Option<&'static str>,
    /// Lines that were given back, tidy already.
    back: Vec<u8>,
    /// How its bytes become characters, where that is known from the beginning.
    encoding: Option<Encoding>,
    text: Text,
    /// Of what is read in another encoding.
    judge: Arc<Mutex<Judge>>,
    /// Whether the encoding is another file's, which this one need not be in.
    remembered: bool,
    /// Whether its lines end in carriage returns alone.
    pub returns: bool,
    reader: Box<dyn Read + Send + 'a>,
    carry: Vec<u8>,
    ended: bool,
}

impl<'a> Source<'a> {
    /// Opens `path` (`-` is standard input), tells `progress` its size, and looks at its first
    /// bytes. Without an encoding that is recognised.
    pub(crate) fn open(
        path: &Path,
        encoding: Option<Encoding>,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let name = path.display().to_string();
        let step = format!("reading {name}");
        let mut size = None;
        let raw: Box<dyn Read + Send> = if name == "-" {
            progress.start(&step, None, "bytes");
            standard_input().map_err(|e| Error::io(path, e))?
        } else {
            let file = File::open(path).map_err(|e| Error::io(path, e))?;
            let meta = file.metadata().map_err(|e| Error::io(path, e))?;
            if meta.is_dir() {
                return Err(Error::file(path, "is a directory; name a file of ratings"));
            }
            size = meta.is_file().then_some(meta.len());
            progress.start(&step, size, "bytes");
            waiting(file)
        };
        let source = Self::new(name, encoding, Counted { inner: raw, progress })?;
        Ok(Source { size: size.filter(|_| source.compression.is_none()), ..source })
    }

    /// An input in memory.
    pub(crate) fn bytes(name: &str, encoding: Option<Encoding>, bytes: &'a [u8]) -> Result<Self> {
        Self::new(name.to_owned(), encoding, bytes)
    }

    fn new(
        name: String,
        encoding: Option<Encoding>,
        mut raw: impl Read + Send + 'a,
    ) -> Result<Self> {
        let mut head = Vec::new();
        let peeked = raw.by_ref().take(4).read_to_end(&mut head);
        peeked.map_err(|e| Error::io(&name, e))?;
        let compression = match head.as_slice() {
            [0x1f, 0x8b, ..] => Some("gzip"),
            [0x28, 0xb5, 0x2f, 0xfd] => Some("zstd"),
            _ => None,
        };
        let raw = Cursor::new(head).chain(raw);
        let reader: Box<dyn Read + Send + 'a> = match compression {
            Some("gzip") => Box::new(flate2::read::MultiGzDecoder::new(raw)),
            Some(_) => {
                Box::new(zstd::stream::read::Decoder::new(raw).map_err(|e| Error::io(&name, e))?)
            }
            None => Box::new(raw),
        };
        let mut source = Source {
            name,
            size: None,
            compression,
            back: Vec::new(),
            encoding,
            text: Text::Ascii,
            judge: Arc::default(),
            remembered: false,
            returns: false,
            reader,
            carry: Vec::new(),
            ended: false,
        };
        source.begin()?;
        Ok(source)
    }

    /// Looks at the first bytes, and puts in front of the rest what makes UTF-8 with line feeds of it.
    fn begin(&mut self) -> Result<()> {
        let mut head = Vec::new();
        self.read_up_to(&mut head, HEAD)?;
        let refuse = |message: &str| Err(Error::file(&self.name, message));
        if let Some(message) = formats::refusal(&head) {
            return refuse(&message);
        }
        let marked = encoding::marked(&head);
        if let (Some((mark, _)), Some(asked)) = (marked, self.encoding)
            && mark != asked
        {
            return refuse(&format!(
                "begins with the byte order mark of {mark}; leave `encoding` {asked} out"
            ));
        }
        if marked.is_none() && self.encoding.is_none_or(Encoding::is_utf8) && head.contains(&0) {
            return refuse(&match encoding::looks_like_utf16(&head) {
                Some(label) => format!("looks like UTF-16 text without its mark; say `encoding` {label}"),
                None => "is not text (it has NUL bytes); give a table of ratings, such as CSV, plain or \
                         compressed by gzip or zstd"
                    .to_owned(),
            });
        }
        if let Some((mark, length)) = marked {
            head.drain(..length);
            self.encoding = Some(mark);
        }
        match self.encoding {
            Some(encoding) if !encoding.is_utf8() => {
                let judge = Arc::clone(&self.judge);
                self.wrap(head, |inner| Box::new(Decoded::new(inner, encoding, judge)));
                head = Vec::new();
                self.read_up_to(&mut head, HEAD)?;
                self.text = Text::Utf8;
            }
            Some(_) => self.text = Text::Utf8,
            None => {}
        }
        self.returns = encoding::ends_in_returns(&head);
        if self.returns {
            self.wrap(head, |inner| Box::new(Returns { inner, after: false }));
        } else {
            self.carry = head;
        }
        Ok(())
    }

    /// Reads from now on through `by`, which first gets what was read too early.
    fn wrap(
        &mut self,
        early: Vec<u8>,
        by: impl FnOnce(Box<dyn Read + Send + 'a>) -> Box<dyn Read + Send + 'a>,
    ) {
        let reader = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = by(Box::new(Cursor::new(early).chain(reader)));
        self.ended = false;
    }

    /// Takes the encoding for one that was remembered: text that is UTF-8 all the same is refused.
    pub(super) fn remembers(mut self, remembered: bool) -> Self {
        self.remembered = remembered;
        self
    }

    /// Whether what was read in another encoding so far could be UTF-8, and is more than ASCII.
    pub(super) fn could_be_utf8(&self) -> bool {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).is_utf8()
    }

    /// The label of the text's encoding, as far as it has been read.
    pub(crate) fn encoding(&self) -> String {
        match (self.encoding, self.text) {
            (Some(encoding), _) => encoding.to_string(),
            (None, Text::Latin) => "windows-1252".to_owned(),
            (None, Text::Ascii | Text::Utf8) => "utf-8".to_owned(),
        }
    }

    /// How its bytes became characters, for people, and how many doubts there are of that; `open` says that no
    /// encoding was asked for.
    pub(super) fn how(&self, open: bool, doubts: &mut Vec<Doubt>) -> (String, usize) {
        let before = doubts.len();
        let encoding = self.encoding();
        let mut how = self.compression.map(|kind| format!("{kind}, ")).unwrap_or_default();
        if encoding != "utf-8" {
            how += &format!("{encoding}, ");
            if open && encoding == "windows-1252" {
                let what = "not UTF-8, so taken for Windows-1252 (`encoding` names another)";
                doubts.push(Doubt::new("encoding", what));
            }
            if self.could_be_utf8() {
                let what = format!("all of it is UTF-8 too (`encoding` utf-8, not {encoding}?)");
                doubts.push(Doubt::new("encoding", what));
            }
        }
        if self.returns {
            how += "lines end in CR, ";
        }
        (how, doubts.len() - before)
    }

    /// Whether all has been taken.
    pub(super) fn ended(&self) -> bool {
        self.ended && self.carry.is_empty() && self.back.is_empty()
    }

    /// Takes the lines of `chunk` from `at` on back, to be the first of the next chunk.
    pub(super) fn give_back(&mut self, chunk: &mut Vec<u8>, at: usize) {
        self.back = chunk.split_off(at);
    }

    /// Fills `chunk` with the next whole lines as UTF-8; the last line of the input gets its line
    /// feed if it has none. False at the end.
    pub(crate) fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
        self.whole_lines(chunk)?;
        if self.ended && self.remembered && self.could_be_utf8() {
            let encoding = self.encoding();
            let message = format!(
                "is UTF-8, and `encoding` {encoding} of training would read other characters; say \
                 `encoding` utf-8, or `encoding` {encoding} if that is meant"
            );
            return Err(Error::file(&self.name, message));
        }
        self.text.tidy(chunk);
        if !self.back.is_empty() {
            let mut all = std::mem::take(&mut self.back);
            all.append(chunk);
            *chunk = all;
        }
        Ok(!chunk.is_empty())
    }

    /// The next lines as they are.
    fn whole_lines(&mut self, chunk: &mut Vec<u8>) -> Result<()> {
        chunk.clear();
        chunk.append(&mut self.carry);
        while !self.ended {
            let before = chunk.len();
            self.read_up_to(chunk, CHUNK)?;
            if self.ended {
                break;
            }
            if let Some(end) = memchr::memrchr(b'\n', &chunk[before..]) {
                self.carry.extend_from_slice(&chunk[before + end + 1..]);
                chunk.truncate(before + end + 1);
                return Ok(());
            }
            if chunk.len() > LONGEST_LINE {
                let message = "has a line longer than 256 MiB; is it text?";
                return Err(Error::file(&self.name, message));
            }
        }
        if chunk.last().is_some_and(|&b| b != b'\n') {
            chunk.push(b'\n');
        }
        Ok(())
    }

    /// Appends up to `limit` bytes; fewer mean the end.
    fn read_up_to(&mut self, into: &mut Vec<u8>, limit: usize) -> Result<()> {
        let read = self.reader.by_ref().take(limit as u64).read_to_end(into);
        let read = read.map_err(|e| self.failure(e))?;
        self.ended = read < limit;
        Ok(())
    }

    fn failure(&self, error: io::Error) -> Error {
        match (self.compression, error.kind()) {
            (_, io::ErrorKind::InvalidData) if self.encoding.is_some_and(|e| !e.is_utf8()) => {
                Error::file(&self.name, error.to_string())
            }
            (Some(kind), io::ErrorKind::UnexpectedEof) => Error::file(
                &self.name,
                format!("the {kind} data ends too early; is the file complete?"),
            ),
            (Some(kind), _) => {
                Error::file(&self.name, format!("the {kind} data is damaged ({error})"))
            }
            (None, _) => Error::io(&self.name, error),
        }
    }

    /// What is left as one stream, for a reader that does its own splitting; ends in a line feed.
    pub(crate) fn rest(&mut self) -> impl Read + '_ {
        Rest { source: self, chunk: Vec::new(), at: 0 }
    }
}

/// Fills chunks in order; how many there were.
pub(super) fn fill(
    source: &mut Source<'_>,
    chunks: &mut [Vec<u8>],
    shape: Option<&Shape>,
) -> Result<usize> {
    for (filled, chunk) in chunks.iter_mut().enumerate() {
        if !source.next_chunk(chunk)? {
            return Ok(filled);
        }
        if let Some(shape) = shape {
            whole_records(source, chunk, shape)?;
        }
    }
    Ok(chunks.len())
}

/// Cuts a chunk where its last record may go on, or lengthens it where that is all there is.
pub(super) fn whole_records(
    source: &mut Source<'_>,
    chunk: &mut Vec<u8>,
    shape: &Shape,
) -> Result<()> {
    while !source.ended() {
        match quoted::unfinished(chunk, shape) {
            None => break,
            Some(0) => {
                let mut more = Vec::new();
                source.next_chunk(&mut more)?;
                chunk.append(&mut more);
            }
            Some(at) => {
                source.give_back(chunk, at);
                break;
            }
        }
    }
    Ok(())
}

struct Rest<'s, 'a> {
    source: &'s mut Source<'a>,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Rest<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            self.at = 0;
            self.source.next_chunk(&mut self.chunk).map_err(io::Error::other)?;
        }
        let count = into.len().min(self.chunk.len() - self.at);
        into[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Standard input without its buffer, so that waiting for it is waiting for the pipe.
#[cfg(unix)]
fn standard_input() -> io::Result<Box<dyn Read + Send>> {
    use std::os::fd::AsFd;
    Ok(waiting(File::from(io::stdin().as_fd().try_clone_to_owned()?)))
}

#[cfg(not(unix))]
fn standard_input() -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(io::stdin()))
}

#[cfg(unix)]
fn waiting(file: File) -> Box<dyn Read + Send> {
    Box::new(Waiting(file))
}

#[cfg(not(unix))]
fn waiting(file: File) -> Box<dyn Read + Send> {
    Box::new(file)
}

/// A file, or a pipe that may have nothing to give for long: meanwhile it hears that the program is to
/// end.
#[cfg(unix)]
struct Waiting(File);

#[cfg(unix)]
impl Read for Waiting {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let tenth = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // What cannot be waited for is read all the same, and so is what an interrupted wait may have.
        while poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&tenth)) == Ok(0) {
            stop::check()?;
        }
        self.0.read(into)
    }
}

/// Reports the compressed bytes as they are taken.
struct Counted<'a> {
    inner: Box<dyn Read + Send>,
    progress: &'a dyn Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        stop::check()?;
        let count = self.inner.read(into)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
