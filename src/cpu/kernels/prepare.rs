//! Rows of a batch, as losses made for ranking score them. The twin of `shaders/prepare.wgsl`.

use super::gram::dot;
use super::lines::{LANES, Line, numbers_mut};
use crate::backend::ChoiceTerms;
use crate::core::{Score, Side};
use crate::math::random::{LANES as MANY, Purpose, Stream};
use pulp::Simd;

/// Which factors of which rows a batch leaves out.
#[derive(Clone, Copy)]
pub(crate) struct Dropout {
    stream: Stream,
    below: u32,
    scale: f32,
}

impl Dropout {
    /// Of a side in a step; nothing where nothing is left out.
    pub(crate) fn of(terms: &ChoiceTerms, side: Side, step: u32) -> Option<Self> {
        let purpose = match side {
            Side::User => Purpose::UserDropout,
            Side::Item => Purpose::ItemDropout,
        };
        let stream = Stream::new(terms.seed, 0, step, purpose);
        (terms.dropout_below > 0).then_some(Self {
            stream,
            below: terms.dropout_below,
            scale: terms.dropout_scale,
        })
    }

    /// `mask ⊙ x / (1 − dropout)`.
    #[inline(always)]
    pub(crate) fn apply(&self, row: u32, x: &mut [f32]) {
        let mut words = [0; MANY];
        for (part, x) in x.chunks_mut(MANY).enumerate() {
            let mut columns = [0; MANY];
            for (lane, column) in columns.iter_mut().enumerate() {
                *column = (part * MANY + lane) as u32;
            }
            self.stream.many_words(row, &columns, &mut words);
            for (x, &word) in x.iter_mut().zip(&words) {
                *x = if word < self.below { 0.0 } else { *x * self.scale };
            }
        }
    }
}

/// Copies `row` to the lines `x` as it is scored, without the factors that are left out: the factor of its
/// length.
#[inline(always)]
pub(crate) fn prepare<S: Simd, const V: usize>(
    simd: S,
    (row, from): (u32, &[f32]),
    score: Score,
    dropout: Option<&Dropout>,
    x: &mut [Line],
) -> f32 {
    x.fill(Line::ZERO);
    let numbers = numbers_mut(x);
    // Rows in memory are padded by zeros, to less than lines.
    let count = from.len().min(numbers.len());
    numbers[..count].copy_from_slice(&from[..count]);
    if let Some(dropout) = dropout {
        dropout.apply(row, &mut numbers[..count]);
    }
    if score == Score::Inner {
        return 1.0;
    }
    let square = dot::<S, V>(simd, x, x);
    let scale = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
    for line in x {
        for lane in 0..LANES {
            line.0[lane] *= scale;
        }
    }
    scale
}
