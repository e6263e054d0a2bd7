//! What crosses to the shaders: one struct for each `struct` in WGSL, `u32` and `f32` only. A test
//! compares sizes and offsets with what naga reads from the WGSL.

use bytemuck::{Pod, Zeroable};

mod choices;

pub use choices::*;

/// `Params` of residual.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ResidualParams {
    pub first_segment: u32,
    pub segments: u32,
    pub own_bias: u32,
    pub partner_bias: u32,
    pub batch_start: u32,
    pub sums_start: u32,
    pub weights_start: u32,
    pub global_mean: f32,
}

/// `Params` of gradient.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct GradientParams {
    pub first_segment: u32,
    pub segments: u32,
    pub sums_start: u32,
}

/// `Params` of step.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct StepParams {
    pub first_row: u32,
    pub rows: u32,
    pub own_bias: u32,
    pub sums_start: u32,
    pub scale: f32,
    pub decay: f32,
    pub decay_bias: f32,
    pub damping: f32,
    pub damping_bias: f32,
    pub momentum: f32,
    pub bias_rate: f32,
}

/// `Visit` of step.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct VisitParams {
    pub rate: f32,
}

/// `Params` of error.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ErrorParams {
    pub ratings: u32,
    pub user_bias: u32,
    pub item_bias: u32,
    pub global_mean: f32,
}

/// `Params` of reduce.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ReduceParams {
    pub pairs: u32,
    pub results: u32,
}

/// `Params` of gram.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct GramParams {
    pub first_workgroup: u32,
    pub first_segment: u32,
    pub segments: u32,
    pub add: u32,
    pub first_column: u32,
    pub partner_bias: u32,
}

/// `Params` of join.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct JoinParams {
    pub first: u32,
    pub rows: u32,
}

/// `Params` of cholesky.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct CholeskyParams {
    pub first: u32,
    pub rows: u32,
    pub first_column: u32,
    pub own_bias: u32,
    pub reg: f32,
    pub reg_bias: f32,
    pub damping: f32,
    pub damping_bias: f32,
    pub floor: f32,
    pub floor_bias: f32,
    pub unobserved: f32,
    pub not_a_number: f32,
    pub first_row: u32,
}

/// `Sweep` of cholesky.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct SweepParams {
    pub key_low: u32,
    pub key_high: u32,
    pub sweep: u32,
    pub tag: u32,
    pub deviation: f32,
}

/// `Params` of latent.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct LatentParams {
    pub first_segment: u32,
    pub segments: u32,
    pub own_bias: u32,
    pub partner_bias: u32,
    pub first_row: u32,
    pub first_partner: u32,
    pub global_mean: f32,
}

/// `Stream` of latent.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct StreamParams {
    pub key_low: u32,
    pub key_high: u32,
    pub sweep: u32,
    pub tag: u32,
}

/// `Params` of philox.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PhiloxParams {
    pub counters: u32,
}

/// `Counter` of philox.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Counter {
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub d: u32,
    pub key_low: u32,
    pub key_high: u32,
}

/// `Params` of predict.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PredictParams {
    pub pairs: u32,
    pub user_bias: u32,
    pub item_bias: u32,
    pub global_mean: f32,
}

/// `Pair` of predict.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Pair {
    pub user: u32,
    pub item: u32,
}

/// `Params` of nonnegative.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct NonnegativeParams {
    pub first: u32,
    pub rows: u32,
    pub reg: f32,
    pub damping: f32,
    pub unobserved: f32,
}

/// `Params` of remainder.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct RemainderParams {
    pub first_segment: u32,
    pub segments: u32,
    pub own_bias: u32,
    pub partner_bias: u32,
    pub first_column: u32,
}

/// `Params` of penalty.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PenaltyParams {
    pub first_row: u32,
    pub rows: u32,
    pub own_bias: u32,
    pub reg: f32,
    pub reg_bias: f32,
    pub damping: f32,
    pub damping_bias: f32,
}

/// `Segment` of residual.wgsl, gradient.wgsl, gram.wgsl, remainder.wgsl and latent.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Segment {
    pub row: u32,
    pub start: u32,
    pub length: u32,
    pub slot: u32,
}

/// `Entry` of residual.wgsl (partner, bits of the rating), of gradient.wgsl (partner, link), of
/// gram.wgsl and remainder.wgsl (partner, bits of the rating less the mean), of latent.wgsl (partner,
/// bits of the level's number).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Entry {
    pub partner: u32,
    pub second: u32,
}

/// `Touched` of step.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Touched {
    pub row: u32,
    pub slot: u32,
    pub slots: u32,
    pub weight: f32,
    pub share: f32,
}

/// `Join` of join.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Join {
    pub slot: u32,
    pub slots: u32,
}

/// `Solve` of cholesky.wgsl and nonnegative.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Solve {
    pub row: u32,
    pub slot: u32,
    pub penalty: f32,
}

/// `Rating` of error.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct TestRating {
    pub user: u32,
    pub item: u32,
    pub value: f32,
}

/// `Params` of score.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ScoreParams {
    pub queries: u32,
    pub columns: u32,
}

/// `Params` of mask.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct MaskParams {
    pub places: u32,
}

/// `Params` of topk.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct TopkParams {
    pub columns: u32,
    pub first_row: u32,
    pub n: u32,
}

/// `Entry` of topk.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct TopkEntry {
    pub score: f32,
    pub row: u32,
}

/// `Params` of count.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct CountParams {
    pub columns: u32,
    pub first_row: u32,
}

/// `Interval` of count.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct CountInterval {
    pub query: u32,
    pub high: f32,
    pub low: f32,
    pub slope: f32,
}

/// `Counted` of count.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct CountedParams {
    pub above: u32,
    pub within: u32,
}

#[cfg(test)]
mod tests;
