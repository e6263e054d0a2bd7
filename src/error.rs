//! One error type for the whole library: where, what, and what to do next.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of every fallible call of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. One pointer wide; [`Error::kind`] gives the details.
#[derive(Debug)]
pub struct Error(Box<ErrorKind>);

/// The kinds of failure a caller may want to tell apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or directory could not be read or written.
    #[error("{}: {source}{}", shown(&.path.display()), what_next(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line of a text file is not what it should be.
    #[error("{}:{line}: {message}", shown(file))]
    Line {
        /// The file as the user named it (`-` for standard input).
        file: String,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// A file as a whole is not what it should be.
    #[error("{}: {message}", shown(file))]
    File {
        /// The file or directory as the user named it.
        file: String,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// The data as a whole cannot be used (nothing left after a filter, labels all equal, ...).
    #[error("{0}")]
    Data(String),
    /// A setting, or a combination of settings, makes no sense. The command line exits with 2.
    #[error("{0}")]
    Settings(String),
    /// The device is missing, too small, or was lost.
    #[error("{0}")]
    Device(String),
    /// There is not enough memory, or not enough room on the disk.
    #[error("{0}")]
    Memory(String),
    /// Training produced an infinity or a NaN.
    #[error(
        "{side} factors became non-finite in epoch {epoch} (first: {side} \"{}\"); {remedy}",
        shown(id)
    )]
    NonFinite {
        /// `user` or `item`.
        side: &'static str,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The id of the first such row.
        id: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// A text that is no setting, such as an id or a file's name, for a message in which settings stand in
/// backticks: its own have a backslash before them.
///
/// ```
/// use wgmf::core::escaped;
///
/// assert_eq!(escaped("the `epochs`"), "the \\`epochs\\`");
/// assert_eq!(escaped("C:\\music"), "C:\\music");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    match text.contains('`') {
        true => text.replace('`', "\\`").into(),
        false => text.into(),
    }
}

/// The same of what is displayed.
fn shown(name: &impl fmt::Display) -> String {
    escaped(&name.to_string()).into_owned()
}

/// What to do about what the operating system said, where that is plain.
fn what_next(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; choose a path that this user may read and write",
        io::ErrorKind::StorageFull => "; make room, or choose another place",
        io::ErrorKind::ReadOnlyFilesystem => "; choose another place",
        io::ErrorKind::IsADirectory => "; name a file",
        io::ErrorKind::NotADirectory => "; a part of this path is a file, which it cannot be",
        _ => "",
    }
}

impl Error {
    /// The details of this error.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// An input/output failure at `path`.
    pub fn io(path: impl AsRef<Path>, source: io::Error) -> Self {
        ErrorKind::Io { path: path.as_ref().to_path_buf(), source }.into()
    }

    /// A failure at a line of a text file; lines count from 1.
    pub fn line(file: impl fmt::Display, line: u64, message: impl Into<String>) -> Self {
        ErrorKind::Line { file: file.to_string(), line, message: message.into() }.into()
    }

    /// A file that as a whole is not what it should be.
    pub fn file(file: impl AsRef<Path>, message: impl Into<String>) -> Self {
        let file = file.as_ref().display().to_string();
        ErrorKind::File { file, message: message.into() }.into()
    }

    /// Data that cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        ErrorKind::Data(message.into()).into()
    }

    /// A setting that makes no sense.
    pub fn settings(message: impl Into<String>) -> Self {
        ErrorKind::Settings(message.into()).into()
    }

    /// A device that is missing, too small, or lost.
    pub fn device(message: impl Into<String>) -> Self {
        ErrorKind::Device(message.into()).into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error(Box::new(kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
