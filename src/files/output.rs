//! Files that appear whole or not at all.

use super::beside::{Beside, Lock};
use super::disk::{self, Written};
use super::stop;
use super::temporary::Temporary;
use crate::{Error, Result};
use std::fs;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

/// A file in the making: written under a temporary name beside its own, which it gets once the disk has
/// all of it. Dropped before that, it leaves nothing behind. A stream (standard output, a pipe, a device) gets
/// what is written as it comes.
pub struct Output {
    path: PathBuf,
    force: bool,
    /// Nothing of a stream.
    making: Option<Making>,
    sink: Option<Sink>,
    /// Those that were made for it; they go last, if nothing is in them.
    _folders: Option<Folders>,
}

/// What there is until the file has its name.
struct Making {
    // In the order in which they are to go.
    temporary: Temporary,
    beside: Beside,
    _lock: Lock,
}

/// Folders made on the way to an output. Dropped, those go that are empty still, as they are after
/// a failure.
#[derive(Debug)]
pub(crate) struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes `folder` and the parents that it lacks.
    ///
    /// # Errors
    /// One that cannot be made.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let named = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
        if named.clone().any(|path| path.exists() && !path.is_dir()) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let missing: Vec<PathBuf> =
            named.take_while(|path| !path.exists()).map(Path::to_owned).collect();
        // Dropped on an error, so that a part of them does not stay either.
        let folders = Folders(missing);
        if !folders.0.is_empty() {
            disk::create_directories(folder)?;
        }
        Ok(folders)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Refused where the folder holds something, as after a success.
            let _ = disk::remove_directory(folder);
        }
    }
}

/// Where the bytes go: plain, or through a compressor.
pub enum Sink {
    /// As they are, to standard output.
    Standard(BufWriter<Stdout>),
    /// As they are, to a file.
    Plain(BufWriter<Written>),
    /// Through gzip.
    Gzip(flate2::write::GzEncoder<BufWriter<Written>>),
    /// Through zstd.
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<Written>>),
}

impl Sink {
    /// Writes what is still to be written; the file, where it is one.
    fn finish(self) -> io::Result<Option<Written>> {
        let buffer = match self {
            Sink::Standard(mut sink) => return sink.flush().map(|()| None),
            Sink::Plain(sink) => sink,
            Sink::Gzip(sink) => sink.finish()?,
            Sink::Zstd(sink) => sink.finish()?,
        };
        buffer.into_inner().map(Some).map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Standard(sink) => sink.write(bytes),
            Sink::Plain(sink) => sink.write(bytes),
            Sink::Gzip(sink) => sink.write(bytes),
            Sink::Zstd(sink) => sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Standard(sink) => sink.flush(),
            Sink::Plain(sink) => sink.flush(),
            Sink::Gzip(sink) => sink.flush(),
            Sink::Zstd(sink) => sink.flush(),
        }
    }
}

/// Whether what is written there goes on to somebody at once: a pipe, a device.
pub(super) fn is_stream(path: &Path) -> bool {
    Output::is_standard(path)
        || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The file that a path leads to, over links, also where there is none yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    /// As many as systems follow.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links, one after another"))
}

/// Says that something is in the way. Nothing is in the way of a stream.
///
/// # Errors
/// `path` exists and `force` is not set.
pub(crate) fn check_free(path: &Path, force: bool) -> Result<()> {
    if is_stream(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(Error::file(path, "is a directory; name a file"));
    }
    match !force && path.symlink_metadata().is_ok() {
        true => Err(in_the_way(path)),
        false => Ok(()),
    }
}

fn in_the_way(path: &Path) -> Error {
    Error::file(path, "exists already; use `force` to replace it")
}

impl Output {
    /// Whether a path is standard output, by one of its names: it has them even where it is a file.
    pub fn is_standard(path: &Path) -> bool {
        let names = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
        names.iter().any(|name| path.as_os_str() == *name)
    }

    /// Opens `path` for writing; `-` is standard output, `.gz` and `.zst` are compressed. Folders that are
    /// missing on the way are made. A file that is replaced keeps its rights, and a link to it goes on
    /// leading there. What runs that were killed had in the making there is removed.
    ///
    /// # Errors
    /// A file that exists, unless `force`; one that another process writes; one that cannot be created.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        if Self::is_standard(path) {
            let sink = Sink::Standard(BufWriter::with_capacity(BUFFER, io::stdout()));
            let path = PathBuf::from("standard output");
            return Ok(Output { path, force, making: None, sink: Some(sink), _folders: None });
        }
        check_free(path, force)?;
        let failed = |e| Error::io(path, e);
        let name = path.to_owned();
        if is_stream(path) {
            let sink = sink(path, Written::stream(path).map_err(failed)?).map_err(failed)?;
            return Ok(Output {
                path: name,
                force,
                making: None,
                sink: Some(sink),
                _folders: None,
            });
        }
        let own = behind_links(path).map_err(failed)?;
        let folder = own.parent().filter(|folder| !folder.as_os_str().is_empty());
        let _folders = folder.map(Folders::create).transpose().map_err(failed)?;
        let beside = Beside::of(&own).map_err(failed)?;
        let lock = Lock::take(&beside, path)?;
        beside.tidy(&lock).map_err(failed)?;
        let (temporary, file) = Temporary::file(&beside).map_err(failed)?;
        let making = Some(Making { temporary, beside, _lock: lock });
        if let Ok(replaced) = fs::metadata(&own) {
            file.set_permissions(replaced.permissions()).map_err(failed)?;
        }
        let sink = sink(path, file).map_err(failed)?;
        Ok(Output { path: name, force, making, sink: Some(sink), _folders })
    }

    /// Writes, with failures named after the file.
    pub fn write(&mut self, work: impl FnOnce(&mut Sink) -> io::Result<()>) -> Result<()> {
        match &mut self.sink {
            Some(sink) => work(sink).map_err(|e| Error::io(&self.path, e)),
            None => Ok(()),
        }
    }

    /// Finishes the file, waits until the disk has it, and gives it its name.
    pub fn commit(mut self) -> Result<()> {
        let failed = |e| Error::io(&self.path, e);
        let finished = self.sink.take().map_or(Ok(None), Sink::finish).map_err(failed)?;
        let (Some(Making { temporary, beside, _lock }), Some(file)) =
            (self.making.take(), finished)
        else {
            return Ok(());
        };
        file.sync().map_err(failed)?;
        let swapping = stop::swapping().map_err(failed)?;
        if self.force {
            disk::rename(temporary.path(), &beside.path()).map_err(failed)?;
        } else {
            // Asked again: someone may have put something there while we wrote.
            disk::rename_new(temporary.path(), &beside.path()).map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => in_the_way(&self.path),
                _ => failed(e),
            })?;
        }
        temporary.keep();
        let synced = disk::sync_directory(&beside.parent);
        drop(swapping);
        synced.map_err(failed)
    }
}

const BUFFER: usize = 1 << 18;

/// Writes to `file` as the name at `path` says.
fn sink(path: &Path, file: Written) -> io::Result<Sink> {
    let buffer = BufWriter::with_capacity(BUFFER, file);
    Ok(match path.extension().and_then(|e| e.to_str()).unwrap_or("") {
        "gz" => Sink::Gzip(flate2::write::GzEncoder::new(buffer, flate2::Compression::new(6))),
        "zst" => Sink::Zstd(zstd::stream::write::Encoder::new(buffer, 3)?),
        _ => Sink::Plain(buffer),
    })
}

impl Drop for Output {
    fn drop(&mut self) {
        // A compressor that is dropped writes its end first, which nobody needs; then the file goes.
        self.sink = None;
        self.making = None;
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.as_mut().map_or(Ok(bytes.len()), |sink| sink.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.as_mut().map_or(Ok(()), Write::flush)
    }
}
