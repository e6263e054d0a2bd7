//! Where device time goes: consecutive dispatches of a kernel between two time stamps. Where the
//! adapter has no time stamps inside passes, dispatches and submissions are only counted.

use super::device::Device;
use crate::Result;
use crate::backend::{DeviceTimes, KernelTime};
use std::sync::{Mutex, PoisonError};

/// What a profile asks of the adapter.
pub(in crate::gpu) const WANTED: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

/// Marks of a query set, two stamps each.
const MARKS: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

/// Marks at most; what comes after them is counted and not timed.
const MOST_MARKS: usize = 64 * MARKS;

/// What was recorded since it was read last.
#[derive(Default)]
pub(in crate::gpu) struct Profile {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sets: Vec<wgpu::QuerySet>,
    /// Kernel and dispatches of each mark, set after set.
    marks: Vec<(&'static str, usize)>,
    /// Those that no mark was left for.
    unmarked: Vec<(&'static str, usize)>,
    submissions: usize,
}

impl Profile {
    /// Counts a submission.
    pub fn submitted(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).submissions += 1;
    }

    /// Records dispatches between two stamps.
    pub fn around(
        &self,
        device: &wgpu::Device,
        pass: &mut wgpu::ComputePass,
        (kernel, dispatches): (&'static str, usize),
        record: impl FnOnce(&mut wgpu::ComputePass),
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.marks.len() >= MOST_MARKS || !device.features().contains(WANTED) {
            state.unmarked.push((kernel, dispatches));
            return record(pass);
        }
        if state.marks.len() == state.sets.len() * MARKS {
            state.sets.push(device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("time stamps"),
                ty: wgpu::QueryType::Timestamp,
                count: wgpu::QUERY_SET_MAX_QUERIES,
            }));
        }
        let first = (state.marks.len() % MARKS * 2) as u32;
        state.marks.push((kernel, dispatches));
        let Some(set) = state.sets.last() else { return record(pass) };
        pass.write_timestamp(set, first);
        record(pass);
        pass.write_timestamp(set, first + 1);
    }

    /// What was recorded since the last call, all of it submitted by now.
    pub async fn read(&self, device: &Device) -> Result<DeviceTimes> {
        let recorded =
            std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let period = f64::from(device.queue.get_timestamp_period()) * 1e-9;
        let mut times = DeviceTimes { submissions: recorded.submissions, ..DeviceTimes::default() };
        for (set, marks) in recorded.sets.iter().zip(recorded.marks.chunks(MARKS)) {
            let stamps = marks.len() as u32 * 2;
            let resolved = device.make(&wgpu::BufferDescriptor {
                label: Some("resolved time stamps"),
                size: u64::from(stamps) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = device.device.create_command_encoder(&Default::default());
            encoder.resolve_query_set(set, 0..stamps, &resolved, 0);
            device.hand_over(encoder);
            let stamps: Vec<[u64; 2]> = device.read(&resolved, 0, marks.len()).await?;
            for (&(kernel, dispatches), [from, to]) in marks.iter().zip(stamps) {
                let seconds = to.saturating_sub(from) as f64 * period;
                times.add(KernelTime { kernel, dispatches, seconds: Some(seconds) });
            }
        }
        for (kernel, dispatches) in recorded.unmarked {
            times.add(KernelTime { kernel, dispatches, seconds: None });
        }
        Ok(times)
    }
}
