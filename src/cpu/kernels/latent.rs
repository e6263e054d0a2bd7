//! The latent values behind ratings that are levels (Albert and Chib 1993), drawn given the rows as they
//! are. The twin of `shaders/latent.wgsl`.

use super::gram::dot;
use super::lines::Line;
use crate::cpu::rows::row::Inputs;
use crate::math::random::{LANES, OPEN, Stream, truncated_normals};
use pulp::Simd;
use std::ops::Range;

/// How the latent value behind a rating's level is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Latents<'a> {
    /// (levels − 1): where each level ends.
    pub thresholds: &'a [f32],
    /// The random words: a row's own in the column of the partner.
    pub stream: Stream,
}

/// Appends the latent values of a row's ratings at `positions`, given its parameters `x` and `bias`.
#[inline(always)]
pub(crate) fn latent<S: Simd, const V: usize>(
    simd: S,
    inputs: &Inputs,
    Latents { thresholds, stream }: Latents,
    (row, positions): (usize, Range<usize>),
    (x, bias): (&[Line], f32),
    latents: &mut Vec<f32>,
) {
    let Inputs { ratings, partner: partners, mean, .. } = inputs;
    let mut at = positions.start;
    while at < positions.end {
        let count = LANES.min(positions.end - at);
        // Of the lanes that have no rating nothing is taken.
        let (mut columns, mut words) = ([0; LANES], [0; LANES]);
        let (mut means, mut low, mut high) = ([0.0; LANES], [-OPEN; LANES], [OPEN; LANES]);
        for lane in 0..count {
            let partner = ratings.partners[at + lane];
            let level = ratings.values[at + lane] as usize;
            if level > 0 {
                low[lane] = thresholds[level - 1];
            }
            if level < thresholds.len() {
                high[lane] = thresholds[level];
            }
            columns[lane] = partner;
            means[lane] = mean
                + bias
                + partners.bias[partner as usize]
                + dot::<S, V>(simd, x, partners.row(partner));
        }
        stream.many_words(row as u32, &columns, &mut words);
        let mut drawn = [0.0; LANES];
        truncated_normals(&words, &means, &low, &high, &mut drawn);
        latents.extend_from_slice(&drawn[..count]);
        at += count;
    }
}
