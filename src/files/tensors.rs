//! Reading and writing safetensors files, straight from and into the arrays.
//!
//! The header is parsed and checked by the `safetensors` crate. The arrays are read and written
//! here, because the crate's own functions want the whole file in memory a second time.

use super::whole::write_file;
use crate::memory::{self, Room, size};
use crate::{Error, Result};
use bytemuck::Pod;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

// The format is little-endian, and the arrays go out as they lie in memory.
#[cfg(target_endian = "big")]
compile_error!("wgmf reads and writes its files on little-endian machines only");

/// What a tensor can hold.
pub(crate) trait Element: Pod {
    /// Its name in the file.
    const DTYPE: Dtype;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;
}
impl Element for f64 {
    const DTYPE: Dtype = Dtype::F64;
}
impl Element for half::f16 {
    const DTYPE: Dtype = Dtype::F16;
}
impl Element for u32 {
    const DTYPE: Dtype = Dtype::U32;
}
impl Element for i64 {
    const DTYPE: Dtype = Dtype::I64;
}

/// A tensor to be written.
pub(crate) struct Tensor<'a> {
    name: &'a str,
    shape: Vec<usize>,
    dtype: Dtype,
    parts: Vec<&'a [u8]>,
}

impl<'a> Tensor<'a> {
    /// `data` in row-major order of `shape`.
    pub(crate) fn new<T: Element>(name: &'a str, shape: &[usize], data: &'a [T]) -> Self {
        Self::of_parts(name, shape, [data])
    }

    /// The parts one after another, in row-major order of `shape`.
    pub(crate) fn of_parts<T: Element>(
        name: &'a str,
        shape: &[usize],
        parts: impl IntoIterator<Item = &'a [T]>,
    ) -> Self {
        let parts = parts.into_iter().map(bytemuck::cast_slice).collect();
        Tensor { name, shape: shape.to_vec(), dtype: T::DTYPE, parts }
    }
}

/// Writes tensors in the order the `safetensors` crate gives them (widest type first, then by
/// name), with no metadata: equal tensors make equal files.
pub(crate) fn write(path: &Path, mut tensors: Vec<Tensor>) -> Result<()> {
    tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then(a.name.cmp(b.name)));
    let mut end = 0;
    let infos = tensors.iter().map(|t| {
        let start = end;
        end += t.parts.iter().map(|part| part.len()).sum::<usize>();
        let info =
            TensorInfo { dtype: t.dtype, shape: t.shape.clone(), data_offsets: (start, end) };
        (t.name.to_owned(), info)
    });
    let metadata = Metadata::new(None, infos.collect())
        .map_err(|e| Error::file(path, format!("cannot be written: {e}")))?;
    write_file(path, |out| {
        let mut header = serde_json::to_vec(&metadata)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        tensors.iter().flat_map(|t| &t.parts).try_for_each(|part| out.write_all(part))
    })
}

/// An open safetensors file whose header and length agree.
pub(crate) struct TensorFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    start: u64,
}

impl TensorFile {
    /// Opens a file and checks that it is complete.
    pub(crate) fn open(path: &Path) -> Result<TensorFile> {
        let failed = |e| Error::io(path, e);
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut size = [0; 8];
        if length < 8 {
            return Err(cut_short(path, length, 8));
        }
        file.read_exact(&mut size).map_err(failed)?;
        let start = u64::from_le_bytes(size).saturating_add(8);
        // Headers of ours are a few hundred bytes.
        if start > 1 << 20 {
            return Err(Error::file(path, "is not a safetensors file"));
        }
        if length < start {
            return Err(cut_short(path, length, start));
        }
        let mut header = vec![0; (start - 8) as usize];
        file.read_exact(&mut header).map_err(failed)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|e| Error::file(path, format!("is not a safetensors file: {e}")))?;
        let wanted = start.saturating_add(metadata.data_len() as u64);
        if length < wanted {
            return Err(cut_short(path, length, wanted));
        }
        if length > wanted {
            let message = format!("has {} bytes too many; {AGAIN}", length - wanted);
            return Err(Error::file(path, message));
        }
        memory::ensure(length, |room| does_not_fit(path, length, room))?;
        Ok(TensorFile { path: path.to_path_buf(), file, metadata, start })
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The shape of a tensor that must be there and have `D` dimensions.
    pub(crate) fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D]> {
        let shape = &self.info(name)?.shape;
        shape.as_slice().try_into().map_err(|_| {
            let message = format!("\"{name}\" has shape {shape:?}, not {D} dimensions; {AGAIN}");
            Error::file(&self.path, message)
        })
    }

    /// A tensor of the given type and shape: (shape), row-major.
    pub(crate) fn read<T: Element>(&mut self, name: &str, shape: &[usize]) -> Result<Vec<T>> {
        self.read_cut(name, shape, (0, 1))
    }

    /// Part `at` of a tensor of the given type and shape, cut along the first dimension: (shape[1..]),
    /// row-major.
    pub(crate) fn read_part<T: Element>(
        &mut self,
        name: &str,
        shape: &[usize],
        at: usize,
    ) -> Result<Vec<T>> {
        self.read_cut(name, shape, (at, shape[0]))
    }

    fn read_cut<T: Element>(
        &mut self,
        name: &str,
        shape: &[usize],
        (at, of): (usize, usize),
    ) -> Result<Vec<T>> {
        let info = self.info(name)?;
        if info.dtype != T::DTYPE || info.shape != shape {
            let message = format!(
                "\"{name}\" is {:?} of shape {:?} where {:?} of shape {shape:?} belongs; {AGAIN}",
                info.dtype,
                info.shape,
                T::DTYPE
            );
            return Err(Error::file(&self.path, message));
        }
        // The header was checked: the offsets span exactly the shape, and lie inside the file.
        let (from, to) = info.data_offsets;
        let part = (to - from) / of;
        let from = from + at * part;
        let what = format!("{}: \"{name}\"", self.path.display());
        let mut data = memory::zeroed::<T>(part / size_of::<T>(), &what)?;
        self.file
            .seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| self.file.read_exact(bytemuck::cast_slice_mut(&mut data)))
            .map_err(|e| Error::io(&self.path, e))?;
        Ok(data)
    }

    /// Whether the tensor of this name holds `T`.
    pub(crate) fn is<T: Element>(&self, name: &str) -> bool {
        self.metadata.info(name).is_some_and(|info| info.dtype == T::DTYPE)
    }

    /// The file itself, wherever it was read to.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        let missing = || Error::file(&self.path, format!("has no tensor \"{name}\"; {AGAIN}"));
        self.metadata.info(name).ok_or_else(missing)
    }
}

/// What is said of a file that memory does not hold.
pub(crate) fn does_not_fit(path: &Path, bytes: u64, room: &Room) -> String {
    format!(
        "{}: takes {} of memory, and {} are left",
        path.display(),
        size(bytes),
        size(room.left.unwrap_or(0))
    )
}

/// What to do about a damaged file.
pub(crate) const AGAIN: &str = "copy the model again, or train it again";

fn cut_short(path: &Path, length: u64, wanted: u64) -> Error {
    Error::file(path, format!("is cut short ({length} of {wanted} bytes); {AGAIN}"))
}
