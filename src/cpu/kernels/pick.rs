//! The negative that a pair of bpr or warp is held against. The twin of `shaders/pick.wgsl`.

use super::gram::dot;
use super::lines::Line;
use crate::backend::ChoiceTerms;
use crate::core::{ChoiceBatch, Loss, UNKNOWN};
use pulp::Simd;

/// What was picked for a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked {
    /// The slot, or [`UNKNOWN`].
    pub slot: u32,
    /// Its score.
    pub score: f32,
    /// How many were looked at, it included.
    pub looked: usize,
}

impl Picked {
    /// Nothing.
    pub(crate) const NONE: Self = Self { slot: UNKNOWN, score: 0.0, looked: 0 };
}

/// Looks for the negative of `pair`, whose own score is `own`. `x` are the lines of its user, `items` and `bias`
/// those of the item slots.
#[inline(always)]
pub(crate) fn pick<S: Simd, const V: usize>(
    simd: S,
    batch: &ChoiceBatch,
    (loss, terms): (Loss, &ChoiceTerms),
    (pair, own): (usize, f32),
    x: &[Line],
    (items, bias): (&[Line], &[f32]),
) -> Picked {
    let strips = x.len();
    let known = batch.known(batch.pair_users[pair] as usize);
    let (draws, begin) = (&batch.draws, batch.begins[pair] as usize);
    let mut picked = Picked::NONE;
    let mut looked = 0;
    for draw in draws[begin..].iter().chain(&draws[..begin]) {
        if looked == terms.tries {
            break;
        }
        if known.binary_search(draw).is_ok() {
            continue;
        }
        looked += 1;
        let slot = *draw as usize;
        let score = dot::<S, V>(simd, x, &items[slot * strips..][..strips]) + bias[slot];
        if loss == Loss::Warp {
            if score > own - terms.margin {
                return Picked { slot: *draw, score, looked };
            }
        } else if picked.slot == UNKNOWN || score > picked.score {
            picked = Picked { slot: *draw, score, looked };
        }
    }
    picked
}
