//! The arrays of batches on their way to the device: one after another in one buffer, each at an offset that a
//! binding may have.

use crate::gpu::shared::device::Device;
use crate::{Error, Result};
use bytemuck::Pod;
use std::num::NonZeroU64;

/// Bytes of an array at least: of the largest element that a kernel reads.
const LEAST: usize = 32;

/// Arrays in the making.
pub(super) struct Arena {
    bytes: Vec<u8>,
    align: usize,
    binding: usize,
}

/// Where an array lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    offset: u64,
    size: u64,
}

impl Arena {
    pub fn new(device: &Device) -> Self {
        Self {
            bytes: Vec::new(),
            align: device.limits.min_storage_buffer_offset_alignment as usize,
            binding: device.limits.max_storage_buffer_binding_size as usize,
        }
    }

    /// Appends an array; `what` it is, of a batch.
    ///
    /// # Errors
    /// If no binding holds it.
    pub fn push<T: Pod>(&mut self, what: &str, values: &[T]) -> Result<Part> {
        let mut list = self.list(what);
        list.extend(values);
        list.finish()
    }

    /// Begins an array that is appended to bit by bit.
    pub fn list<'a>(&'a mut self, what: &'a str) -> List<'a> {
        let from = self.bytes.len();
        List { arena: self, what, from }
    }

    /// How much there is.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes all of it to the device, into a larger buffer where it has to be.
    pub fn upload(self, device: &Device, buffer: &mut Option<wgpu::Buffer>) -> wgpu::Buffer {
        let bytes = self.bytes.len() as u64;
        let large_enough = buffer.take().filter(|buffer| buffer.size() >= bytes);
        let buffer =
            buffer.insert(large_enough.unwrap_or_else(|| device.storage("batches", bytes)));
        device.write(buffer, 0, &self.bytes);
        buffer.clone()
    }
}

/// An array in the making.
pub(super) struct List<'a> {
    arena: &'a mut Arena,
    what: &'a str,
    from: usize,
}

impl List<'_> {
    /// Appends values.
    pub fn extend<T: Pod>(&mut self, values: &[T]) {
        self.arena.bytes.extend_from_slice(bytemuck::cast_slice(values));
    }

    /// Values of four bytes so far.
    pub fn len(&self) -> usize {
        (self.arena.bytes.len() - self.from) / 4
    }

    /// Ends the array.
    ///
    /// # Errors
    /// If no binding holds it.
    pub fn finish(self) -> Result<Part> {
        let (bytes, align) = (&mut self.arena.bytes, self.arena.align);
        let size = (bytes.len() - self.from).max(LEAST).next_multiple_of(16);
        if size > self.arena.binding {
            return Err(Error::device(format!(
                "{} of a batch take {size} bytes, and the bindings of this device have {}; lower \
                 `batch_size` or `negatives`, or use `backend` cpu",
                self.what, self.arena.binding
            )));
        }
        let part = Part { offset: self.from as u64, size: size as u64 };
        bytes.resize((self.from + size).next_multiple_of(align), 0);
        Ok(part)
    }
}

impl Part {
    /// A binding of the array.
    pub fn of(self, buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding { buffer, offset: self.offset, size: NonZeroU64::new(self.size) }
    }
}
