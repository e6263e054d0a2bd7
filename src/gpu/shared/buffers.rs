//! Buffers: making, filling, reading back.

use super::device::Device;
use super::failure::Failed;
use crate::Result;
use bytemuck::Pod;
use std::sync::{PoisonError, mpsc};

/// What every storage buffer may be used for.
const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// Bytes of a piece of an upload, and of the buffers that it goes through.
const PIECE: usize = 8 << 20;

/// An upload of no more bytes than this goes by itself.
const SMALL: usize = 64 << 10;

/// Buffers that uploads go through at most, on all threads together.
const MOST_STAGING: usize = 16;

/// Bytes of all of them.
pub const STAGING_BYTES: u64 = (MOST_STAGING * PIECE) as u64;

/// Buffers that uploads go through, again and again: memory that a device can read is dear to make.
#[derive(Default)]
pub struct Staging {
    /// Mapped, and of use to anyone.
    free: Vec<wgpu::Buffer>,
    made: usize,
}

/// The smallest buffer: a binding must not be empty.
const SMALLEST: u64 = 16;

impl Device {
    /// A storage buffer of zeros.
    pub fn storage(&self, label: &str, bytes: u64) -> wgpu::Buffer {
        self.make(&wgpu::BufferDescriptor {
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
        if bytes.len() <= SMALL {
            return self.queue.write_buffer(buffer, first, bytes);
        }
        for (piece, at) in bytes.chunks(PIECE).zip((first..).step_by(PIECE)) {
            let Some(staging) = self.staging() else { return };
            let size = piece.len() as u64;
            match staging.get_mapped_range_mut(..size) {
                Ok(mut view) => view.copy_from_slice(piece),
                // It is gone with its device.
                Err(_) => return,
            }
            staging.unmap();
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&staging, 0, buffer, at, size);
            self.hand_over(encoder);
            let (all, back) = (self.staging.clone(), staging.clone());
            staging.map_async(wgpu::MapMode::Write, .., move |mapped| {
                if mapped.is_ok() {
                    all.lock().unwrap_or_else(PoisonError::into_inner).free.push(back);
                }
            });
        }
    }

    /// A buffer to write to, mapped; none where the device has failed.
    fn staging(&self) -> Option<wgpu::Buffer> {
        loop {
            self.check().ok()?;
            {
                let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(free) = staging.free.pop() {
                    return Some(free);
                }
                if staging.made < MOST_STAGING {
                    staging.made += 1;
                    return Some(self.make(&wgpu::BufferDescriptor {
                        label: Some("staging"),
                        size: PIECE as u64,
                        usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
                        mapped_at_creation: true,
                    }));
                }
            }
            // What was submitted gives its buffers back.
            self.poll(None).ok()?;
            std::thread::yield_now();
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
        let offset = (first * size_of::<T>()) as u64;
        let [values] = self.ask([(buffer, offset, bytes)]).get(self).await?;
        Ok(bytemuck::pod_collect_to_vec(&values))
    }

    /// Asks for bytes of buffers as they are once all that was submitted is done: (buffer, first byte,
    /// bytes, a multiple of 4).
    pub fn ask<const N: usize>(&self, parts: [(&wgpu::Buffer, u64, u64); N]) -> Reading<N> {
        let lengths = parts.map(|(.., bytes)| bytes);
        let staging = self.make(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: lengths.iter().sum(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut to = 0;
        for (buffer, offset, bytes) in parts {
            encoder.copy_buffer_to_buffer(buffer, offset, &staging, to, bytes);
            to += bytes;
        }
        let submission = self.hand_over(encoder);
        let (send, mapped) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone only where nobody wants the answer any more.
            let _ = send.send(result);
        });
        Reading { staging, lengths, submission, mapped }
    }
}

/// Bytes that are on their way back.
pub struct Reading<const N: usize> {
    staging: wgpu::Buffer,
    lengths: [u64; N],
    submission: wgpu::SubmissionIndex,
    mapped: mpsc::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl<const N: usize> Reading<N> {
    /// Waits for them: of each buffer that was asked for its own.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn get(self, device: &Device) -> Result<[Vec<u8>; N]> {
        device.wait(Some(self.submission)).await?;
        // Another thread's poll may have found it mapped, and be about to say so.
        let patience = device.patience();
        match self.mapped.recv_timeout(patience) {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(device.fail(Failed::Lost(e.to_string()))),
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(device.fail(Failed::Hung(patience))),
            Err(e) => return Err(device.fail(Failed::Lost(e.to_string()))),
        }
        let view = self.staging.get_mapped_range(..);
        let view = view.map_err(|e| device.fail(Failed::Lost(e.to_string())))?;
        let mut rest = &view[..];
        Ok(self.lengths.map(|bytes| {
            let (part, later) = rest.split_at(bytes as usize);
            rest = later;
            part.to_vec()
        }))
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
        let buffer = device.make(&wgpu::BufferDescriptor {
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
