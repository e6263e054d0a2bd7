//! What the passes of a GPU need of memory: on the device, and of the process that cuts and binds them. A
//! device that shares the memory of the process, as a software one does, needs all of it there.

use super::choices::{Cuts, GROUP_BYTES, GROUP_DISPATCHES, SUBMIT_PAIRS};
use super::gradient::plan::SEGMENT;
use super::rows::shape::Shape;
use super::rows::tiles::{SCRATCH_BYTES, SEGMENT as LONG_SEGMENT};
use super::shared::buffers::STAGING_BYTES;
use super::shared::device::Device;
use super::shared::params::{
    ChoiceEntry, ChoicePair, ChoiceSlot, Entry, Join, Segment, Solve, TestRating, Touched,
};
use super::shared::tiles::{Limits, Team};
use crate::backend::{ChoiceSizes, Need};
use crate::core::{Settings, Side, Sizes};

/// Bytes of the process for a dispatch that is bound, measured: the bind group, its parameters, and what the
/// driver keeps of both.
const DISPATCH: u64 = 1500;

/// What kernels and their driver take, measured: compiled code, queues.
const KERNELS: u64 = 64 << 20;

/// Ratings whose arrays a thread has in the making.
const IN_THE_MAKING: u64 = 1 << 20;

/// What the passes of these settings need.
pub(super) fn passes(device: &Device, limits: Limits, settings: &Settings, sizes: &Sizes) -> Need {
    let need = match settings.solver.optimizer() {
        Some(_) if settings.loss.is_ranking() => choices(limits, settings, sizes),
        Some(_) => gradient(limits, settings, sizes),
        None => rows(limits, settings, sizes),
    };
    shared(device, need)
}

/// All of it in the memory of the process, where that is the device's too.
pub(super) fn shared(device: &Device, need: Need) -> Need {
    match device.adapter.has_memory() {
        true => need,
        false => Need::host(need.host.saturating_add(need.device)),
    }
}

fn bytes<T>(count: u64) -> u64 {
    count * size_of::<T>() as u64
}

/// Parameters with as many arrays beside each, and biases.
fn parameters(sizes: &Sizes, team: Team, arrays: u64) -> u64 {
    (sizes.rows() + 2) * (team.row_bytes() as u64 * arrays + 16)
}

/// Held-out ratings, and sums over them.
fn test(sizes: &Sizes) -> u64 {
    bytes::<TestRating>(sizes.test as u64) + sizes.test as u64 / 8
}

fn gradient(limits: Limits, settings: &Settings, sizes: &Sizes) -> Need {
    let team = Team::new(settings.factors.max(1));
    let n = sizes.ratings as u64;
    let batch = (settings.batch_size as u64).clamp(1, n.max(1));
    let batches = n.div_ceil(batch);
    let row = team.row_bytes() as u64;
    let kept = u64::from(settings.patience.is_some());
    let mut device = parameters(sizes, team, 1 + settings.moments() as u64 + kept) + test(sizes);
    let mut dispatches = 0;
    for side in Side::BOTH {
        let rows = batch.min(sizes.of(side));
        let runs = n.min(batches * rows);
        let segments = (runs + n / SEGMENT as u64).min(n);
        device += bytes::<Entry>(n) + bytes::<Segment>(segments) + bytes::<Touched>(runs);
        device += if sizes.weighted { 2 * n } else { 0 };
        // Sums of segments, and the gradients of a batch.
        device += 8 * segments + row * (rows + batch / SEGMENT as u64).min(batch);
        let (own, partner) = (tiles(limits, team, sizes.of(side)), sizes.of(side.partner()));
        dispatches += own * tiles(limits, team, partner) + own;
    }
    let dispatches = (batches * dispatches).min(4 * n + 4 * batches);
    device += 4 * batch + 256 * (dispatches + batches);
    let threads = rayon::current_num_threads() as u64;
    let cut = bytes::<Entry>(2) + bytes::<Segment>(2) + bytes::<Touched>(2);
    let making = 2 * (threads * IN_THE_MAKING.max(batch)).min(n) * cut;
    let host = DISPATCH * dispatches + making + 256 * batches + STAGING_BYTES + KERNELS;
    Need { host, device }
}

/// Parameters and moments, what a batch's kernels leave for one another, and the arrays of a group of batches.
fn choices(limits: Limits, settings: &Settings, sizes: &Sizes) -> Need {
    let team = Team::new(settings.factors.max(1));
    let kept = u64::from(settings.patience.is_some());
    let mut device = parameters(sizes, team, 1 + settings.moments() as u64 + kept);
    let pairs = settings.batch_size.clamp(1, sizes.ratings.max(1));
    let draws = match settings.contrast {
        Some(contrast) => contrast.negatives.draws(pairs, sizes.items),
        None => pairs,
    };
    let most = ChoiceSizes { pairs, pool: draws.min(sizes.items), draws };
    let rows = [sizes.users, sizes.items];
    // What does not fit is refused later, with the reason.
    let cuts = Cuts::new(rows, settings.factors.max(1), most, settings.loss.is_dense(), limits);
    device += cuts.map_or(0, |cuts| cuts.bytes());
    // Items of the pool that a user has, as if all were as popular as one another.
    let known = pairs as f64 * sizes.ratings as f64 * most.pool as f64
        / (sizes.users.max(1) as f64 * sizes.items.max(1) as f64);
    let of_pairs = bytes::<ChoicePair>(1) + 2 * bytes::<ChoiceEntry>(1);
    let slots = (2 * pairs + most.pool) as u64 * bytes::<ChoiceSlot>(1);
    let batch = of_pairs * pairs as u64
        + slots
        + 8 * most.pool as u64
        + 4 * draws as u64
        + 8 * known as u64;
    let group = GROUP_BYTES as u64 + batch;
    device += group + bytes::<[f32; 2]>(SUBMIT_PAIRS.max(pairs) as u64);
    // While it is filled an array may be moved to one of twice its size.
    let host = 3 * group + DISPATCH * GROUP_DISPATCHES + STAGING_BYTES + KERNELS;
    Need { host, device }
}

fn rows(limits: Limits, settings: &Settings, sizes: &Sizes) -> Need {
    let k = settings.factors.max(1);
    let team = Team::new(k);
    let n = sizes.ratings as u64;
    let chains = settings.chains.max(1) as u64;
    let arrays = if settings.patience.is_some() { 2 } else { 1 };
    // One chain lies where the chains take turns.
    let models = if chains > 1 { chains + 1 } else { 1 };
    let mut device =
        parameters(sizes, team, arrays).saturating_mul(models) + 2 * test(sizes) + 8 * sizes.rows();
    let coordinates = settings.block.clamp(1, k);
    let matrix = Shape { coordinates, bias: settings.bias }.matrix_bytes() as u64;
    let most = (limits.binding as u64).min(SCRATCH_BYTES as u64);
    let in_blocks = coordinates < k;
    for side in Side::BOTH {
        let rows = sizes.of(side);
        let segments = rows + n / LONG_SEGMENT as u64;
        device += bytes::<Entry>(n) + bytes::<Segment>(segments);
        device += bytes::<Solve>(rows) + bytes::<Join>(rows) + 8 * segments;
        // Weights, and what blocks leave of each rating.
        let weighted = settings.alpha.is_some() || sizes.weighted;
        device += 4 * n * (u64::from(weighted) + u64::from(in_blocks));
    }
    device += most.min((sizes.rows() + n / LONG_SEGMENT as u64).saturating_mul(matrix));
    // Both sides are cut at once, each into arrays that a binding holds.
    let making = 2 * 2 * (limits.binding as u64).min(bytes::<Entry>(n));
    let host = making + 24 * sizes.rows() + STAGING_BYTES + KERNELS;
    Need { host, device }
}

/// Tiles of so many rows.
fn tiles(limits: Limits, team: Team, rows: u64) -> u64 {
    let fit = (limits.binding / team.row_bytes()).max(1) as u64;
    (rows + 1).div_ceil(fit)
}

/// What a ranker needs.
pub(super) fn ranker(device: &Device, candidates: usize, factors: usize) -> Need {
    let team = Team::new(factors.max(1));
    let rows = candidates as u64 * (team.row_bytes() as u64 + 8);
    // Scores of a tile; lists and queries are few beside them.
    let need = Need { host: STAGING_BYTES + KERNELS, device: rows + (192 << 20) };
    shared(device, need)
}
