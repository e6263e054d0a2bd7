//! What crosses to the shaders: one struct for each `struct` in WGSL, `u32` and `f32` only. A test
//! compares sizes and offsets with what naga reads from the WGSL.

use bytemuck::{Pod, Zeroable};

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
    pub momentum: f32,
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
    pub first: u32,
    pub ratings: u32,
    pub user_bias: u32,
    pub item_bias: u32,
    pub partials_start: u32,
    pub global_mean: f32,
}

/// `Params` of reduce.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ReduceParams {
    pub pairs: u32,
    pub results: u32,
}

/// `Segment` of residual.wgsl and gradient.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Segment {
    pub row: u32,
    pub start: u32,
    pub length: u32,
    pub slot: u32,
}

/// `Entry` of residual.wgsl (partner, bits of the rating) and of gradient.wgsl (partner, link).
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
}

/// `Rating` of error.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct TestRating {
    pub user: u32,
    pub item: u32,
    pub value: f32,
}
