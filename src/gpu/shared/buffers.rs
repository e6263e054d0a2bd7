//! Buffers: making, filling, reading back.

use super::device::{Device, PATIENCE};
use crate::{Error, Result};
use bytemuck::Pod;
use std::sync::mpsc;

/// What every storage buffer may be used for.
const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// Bytes of an upload that wait to be copied at a time.
const PIECE: usize = 32 << 20;

/// The smallest buffer: a binding must not be empty.
const SMALLEST: u64 = 16;

impl Device {
    /// A storage buffer of zeros.
    pub fn storage(&self, label: &str, bytes: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(SMALLEST).next_multiple_of(4),
            usage: STORAGE,
            mapped_at_creation: false,
        })
    }

    /// A storage buffer of these values.
    pub fn upload<T: Pod>(&self, label: &str, values: &[T]) -> wgpu::Buffer {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let buffer = self.storage(label, bytes.len() as u64);
        self.fill(&buffer, bytes);
        buffer
    }

    /// Writes bytes, a piece at a time so that what waits to be copied stays small. Nothing where
    /// the device has failed already, as for lack of memory: [`Device::check`] says so.
    fn fill(&self, buffer: &wgpu::Buffer, bytes: &[u8]) {
        self.write(buffer, 0, bytes);
    }

    /// The same from a byte `first` on.
    pub fn write(&self, buffer: &wgpu::Buffer, first: u64, bytes: &[u8]) {
        for (piece, at) in bytes.chunks(PIECE).zip((first..).step_by(PIECE)) {
            if self.check().is_err() {
                return;
            }
            self.queue.write_buffer(buffer, at, piece);
            if bytes.len() > PIECE {
                let submission = self.queue.submit([]);
                // A failure is kept for `check`.
                let _ = self.poll(Some(submission));
            }
        }
    }

    /// Reads `count` values back, from value `first` on.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn read<T: Pod>(
        &self,
        buffer: &wgpu::Buffer,
        first: usize,
        count: usize,
    ) -> Result<Vec<T>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes = (count * size_of::<T>()) as u64;
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let offset = (first * size_of::<T>()) as u64;
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
        let submission = self.queue.submit([encoder.finish()]);
        let (send, receive) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            // The receiver is gone only where the wait below failed.
            let _ = send.send(mapped);
        });
        self.wait(Some(submission)).await?;
        let failed = |what: String| Error::device(format!("reading back failed: {what}"));
        // Another thread's poll may have found it mapped, and be about to say so.
        match receive.recv_timeout(PATIENCE) {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Err(e) => return Err(failed(e.to_string())),
        }
        let view = staging.get_mapped_range(..).map_err(|e| failed(e.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }
}

/// Parameters of many dispatches in one uniform buffer.
pub struct Uniforms {
    bytes: Vec<u8>,
    align: usize,
}

impl Uniforms {
    pub fn new(device: &Device) -> Self {
        Self {
            bytes: Vec::new(),
            align: device.limits.min_uniform_buffer_offset_alignment as usize,
        }
    }

    /// Appends one dispatch's parameters; the slot binds them once the buffer is made.
    pub fn push<T: Pod>(&mut self, params: &T) -> Slot {
        let slot = Slot::at(self.bytes.len(), size_of::<T>());
        self.bytes.extend_from_slice(bytemuck::bytes_of(params));
        self.bytes.resize(((slot.offset + slot.size) as usize).next_multiple_of(self.align), 0);
        slot
    }

    /// Makes the buffer.
    pub fn finish(self, device: &Device) -> wgpu::Buffer {
        let buffer = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: (self.bytes.len() as u64).max(SMALLEST),
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        device.fill(&buffer, &self.bytes);
        buffer
    }
}

/// Where parameters lie in their buffer.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    offset: u64,
    size: u64,
}

impl Slot {
    /// Parameters of `size` bytes at `offset`.
    pub fn at(offset: usize, size: usize) -> Self {
        Self { offset: offset as u64, size: size.next_multiple_of(16) as u64 }
    }

    /// A binding of these parameters.
    pub fn of(self, buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding {
            buffer,
            offset: self.offset,
            size: std::num::NonZeroU64::new(self.size),
        }
    }
}

/// A binding of a whole buffer.
pub fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    buffer.as_entire_buffer_binding()
}
