//! What goes into a submission: dispatches, their parameters, and the arrays of their batches.

use super::arena::{Arena, Part};
use crate::gpu::shared::buffers::{Slot, Uniforms};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::Kernel;

/// Bytes that a slow device reads and writes in a nanosecond, and products that it adds: 50 GB/s, and 400
/// billion operations a second.
pub(super) const BYTES: u64 = 50;
pub(super) const PRODUCTS: u64 = 200;

/// A dispatch before the buffers of its group are made.
pub(super) struct Job<'a> {
    pub kernel: &'a Kernel,
    pub params: Vec<Slot>,
    pub buffers: Vec<Bound<'a>>,
    pub workgroups: u32,
    /// How long it takes on a slow device, in nanoseconds.
    pub time: u64,
}

/// What a binding is of.
#[derive(Clone, Copy)]
pub(super) enum Bound<'a> {
    /// A buffer that stays.
    Store(&'a wgpu::Buffer),
    /// An array of the batch.
    Batch(Part),
}

/// Batches that go into a submission.
pub(super) struct Group<'a> {
    pub arena: Arena,
    pub uniforms: Uniforms,
    pub jobs: Vec<Job<'a>>,
    pub pairs: usize,
    pub batches: usize,
}

impl Group<'_> {
    pub fn new(device: &Device) -> Self {
        Self {
            arena: Arena::new(device),
            uniforms: Uniforms::new(device),
            jobs: Vec::new(),
            pairs: 0,
            batches: 0,
        }
    }

    /// How long all of it takes on a slow device, in nanoseconds.
    pub fn time(&self) -> u64 {
        self.jobs.iter().map(|job| job.time).sum()
    }
}
