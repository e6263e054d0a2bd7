//! What a sampler's rows are drawn with in the place of being solved for.

use super::lines::{Line, numbers_mut};
use crate::cpu::rows::normal::{Normal, Pivots};
use crate::math::random;
use crate::math::random::Stream;
use pulp::Simd;
use std::ops::Range;

/// How a row is drawn from the Gaussian around its solution.
#[derive(Clone, Copy)]
pub(crate) struct Draw<'a> {
    /// (rows): each row's popularity.
    pub popularity: &'a [f32],
    /// (rows): the noise weight of each row's ratings; empty where all are 1.
    pub weights: &'a [f32],
    /// (partners): the root of the noise weight of each partner's ratings; empty where all are 1.
    pub partner_roots: &'a [f32],
    /// `1/√τ`: what is left of the equations' scale.
    pub deviation: f32,
    /// The standard normal numbers.
    pub stream: Stream,
}

impl Draw<'_> {
    /// Draws the coordinates `columns` of a row, and with `bias` its number that one, from their
    /// summed normal equations.
    #[inline(always)]
    pub(crate) fn draw<S: Simd, const V: usize>(
        self,
        simd: S,
        row: usize,
        columns: Range<usize>,
        bias: Option<usize>,
        normal: &mut Normal,
        (pivots, normals): (&mut Pivots, &mut Vec<Line>),
    ) {
        normals.clear();
        normals.resize(normal.right.len(), Line::ZERO);
        let to = numbers_mut(normals);
        let mut drawn = [0.0; 4 * random::LANES];
        let end = bias.map_or(columns.end, |column| column + 1);
        let mut z = 0.0;
        let mut at = columns.start / 4 * 4;
        while at < end {
            self.stream.many_normals(row as u32, at as u32 / 4, &mut drawn);
            let from = at.max(columns.start);
            let upto = columns.end.min(at + drawn.len());
            if from < upto {
                to[from - columns.start..upto - columns.start]
                    .copy_from_slice(&drawn[from - at..upto - at]);
            }
            if let Some(column) = bias.filter(|&column| column >= at && column - at < drawn.len()) {
                z = drawn[column - at];
            }
            at += drawn.len();
        }
        let weight = self.weights.get(row).map_or(1.0, |weight| weight.sqrt());
        let deviation = self.deviation / weight;
        normal.draw::<S, V>(simd, pivots, bias.is_some(), deviation, (normals, z));
    }
}
