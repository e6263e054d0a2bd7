//! The same for the kernels of losses made for ranking.

use bytemuck::{Pod, Zeroable};

/// `Params` of prepare.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PrepareParams {
    pub first: u32,
    pub rows: u32,
    pub to: u32,
    pub first_row: u32,
    pub own_bias: u32,
    pub key_low: u32,
    pub key_high: u32,
    pub sweep: u32,
    pub tag: u32,
    pub below: u32,
    pub keep: f32,
}

/// `Params` of pair_score.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PairScoreParams {
    pub first: u32,
    pub pairs: u32,
    pub first_user: u32,
    pub first_item: u32,
    pub items: u32,
}

/// `Params` of contrast.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ContrastParams {
    pub first_user: u32,
    pub users: u32,
    pub first_item: u32,
    pub items: u32,
    pub stride: u32,
    pub first_slot: u32,
    pub scale: f32,
}

/// `Params` of normalizer.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct NormalizerParams {
    pub first_row: u32,
    pub first_user: u32,
    pub stride: u32,
    pub first_four: u32,
    pub margin: f32,
    pub joins: u32,
}

/// `Params` of pick.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PickParams {
    pub first: u32,
    pub first_user: u32,
    pub first_item: u32,
    pub items: u32,
    pub draws: u32,
    pub known_starts: u32,
    pub known: u32,
    pub tries: u32,
    pub margin: f32,
    pub infinity: f32,
    pub joins: u32,
}

/// `Params` of pairs.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PairsParams {
    pub first: u32,
    pub users: u32,
    pub sums_start: u32,
    pub inverse_temperature: f32,
    pub inverse_cut: f32,
    pub power: f32,
    pub margin: f32,
}

/// `Params` of user_gradient.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct UserGradientParams {
    pub users: u32,
    pub items: u32,
    pub stride: u32,
    pub first_user: u32,
    pub first_four: u32,
    pub first_item: u32,
    pub length: u32,
    pub to: u32,
    pub tile: u32,
    pub adds: u32,
    pub margin: f32,
}

/// `Params` of item_gradient.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ItemGradientParams {
    pub users: u32,
    pub items: u32,
    pub stride: u32,
    pub first_user: u32,
    pub first_four: u32,
    pub first_row: u32,
    pub length: u32,
    pub to: u32,
    pub tile: u32,
    pub adds: u32,
    pub margin: f32,
}

/// `Params` of pair_gradient.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct PairGradientParams {
    pub first: u32,
    pub rows: u32,
    pub to: u32,
    pub first_partner: u32,
    pub partners: u32,
    pub pairs: u32,
    pub sums_start: u32,
    pub adds: u32,
}

/// `Params` of project.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct ProjectParams {
    pub first: u32,
    pub rows: u32,
    pub to: u32,
    pub first_row: u32,
    pub dense: u32,
    pub parts: u32,
    pub tile: u32,
    pub key_low: u32,
    pub key_high: u32,
    pub sweep: u32,
    pub tag: u32,
    pub below: u32,
    pub keep: f32,
}

/// `Slot` of prepare.wgsl, pairs.wgsl, pair_gradient.wgsl and project.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct ChoiceSlot {
    pub row: u32,
    pub start: u32,
    pub pairs: u32,
}

/// `Pair` of pair_score.wgsl, pick.wgsl, pairs.wgsl and pair_gradient.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct ChoicePair {
    pub user: u32,
    pub item: u32,
    pub begin: u32,
    pub weight: f32,
    pub threshold: f32,
}

/// `Entry` of pair_gradient.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct ChoiceEntry {
    pub partner: u32,
    pub pair: u32,
}
