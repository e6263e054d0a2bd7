//! Files that appear whole or not at all.

use super::temporary as temporary_files;
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file in the making: written under a temporary name beside its own, which it gets at the end.
/// Dropped before that, it leaves nothing behind.
pub struct Output {
    path: PathBuf,
    /// Nothing for standard output.
    temporary: Option<PathBuf>,
    sink: Option<Sink>,
}

/// Folders made on the way to an output. Dropped, those go that are empty still, as they are after
/// a failure.
pub(crate) struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes `folder` and the parents that it lacks.
    ///
    /// # Errors
    /// One that cannot be made.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let named = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
        let missing: Vec<PathBuf> =
            named.take_while(|path| !path.exists()).map(Path::to_owned).collect();
        // Dropped on an error, so that a part of them does not stay either.
        let folders = Folders(missing);
        fs::create_dir_all(folder)?;
        Ok(folders)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Refused where the folder holds something, as after a success.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Where the bytes go: plain, or through a compressor.
pub enum Sink {
    /// As they are.
    Plain(BufWriter<Box<dyn Write + Send>>),
    /// Through gzip.
    Gzip(flate2::write::GzEncoder<BufWriter<File>>),
    /// Through zstd.
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<File>>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Plain(sink) => sink.write(bytes),
            Sink::Gzip(sink) => sink.write(bytes),
            Sink::Zstd(sink) => sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Plain(sink) => sink.flush(),
            Sink::Gzip(sink) => sink.flush(),
            Sink::Zstd(sink) => sink.flush(),
        }
    }
}

/// Says that something is in the way.
///
/// # Errors
/// `path` exists and `force` is not set.
pub(crate) fn check_free(path: &Path, force: bool) -> Result<()> {
    if path.is_dir() {
        return Err(Error::file(path, "is a directory; name a file"));
    }
    match !force && path.symlink_metadata().is_ok() {
        true => Err(Error::file(path, "exists already; use `force` to replace it")),
        false => Ok(()),
    }
}

impl Output {
    /// Opens `path` for writing; `-` is standard output, `.gz` and `.zst` are compressed.
    ///
    /// # Errors
    /// A file that exists, unless `force`; one that cannot be created.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        if path.as_os_str() == "-" {
            let sink = BufWriter::with_capacity(1 << 18, Box::new(io::stdout()) as Box<_>);
            let path = PathBuf::from("standard output");
            return Ok(Output { path, temporary: None, sink: Some(Sink::Plain(sink)) });
        }
        check_free(path, force)?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(|e| Error::io(path, e))?;
        temporary_files::note(&temporary);
        let mut output = Output { path: path.to_owned(), temporary: Some(temporary), sink: None };
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let buffered = |file| BufWriter::with_capacity(1 << 18, file);
        output.sink = Some(match extension {
            "gz" => {
                let level = flate2::Compression::new(6);
                Sink::Gzip(flate2::write::GzEncoder::new(buffered(file), level))
            }
            "zst" => {
                let encoder = zstd::stream::write::Encoder::new(buffered(file), 3);
                Sink::Zstd(encoder.map_err(|e| Error::io(path, e))?)
            }
            _ => Sink::Plain(BufWriter::with_capacity(1 << 18, Box::new(file))),
        });
        Ok(output)
    }

    /// Writes, with failures named after the file.
    pub fn write(&mut self, work: impl FnOnce(&mut Sink) -> io::Result<()>) -> Result<()> {
        match &mut self.sink {
            Some(sink) => work(sink).map_err(|e| Error::io(&self.path, e)),
            None => Ok(()),
        }
    }

    /// Finishes the file and gives it its name.
    pub fn commit(mut self) -> Result<()> {
        let finished = match self.sink.take() {
            Some(Sink::Plain(mut sink)) => sink.flush(),
            Some(Sink::Gzip(sink)) => sink.finish().and_then(|mut sink| sink.flush()),
            Some(Sink::Zstd(sink)) => sink.finish().and_then(|mut sink| sink.flush()),
            None => Ok(()),
        };
        finished.map_err(|e| Error::io(&self.path, e))?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.path).map_err(|e| Error::io(&self.path, e))?;
            temporary_files::forget(temporary);
            self.temporary = None;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // A compressor that is dropped writes its end first, which nobody needs; then the file
        // goes. A failure to remove it has no one to be told.
        self.sink = None;
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
            temporary_files::forget(temporary);
        }
    }
}
