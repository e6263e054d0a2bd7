//! The loss of a pair, and what its scores pull at. The twin of `shaders/pairs.wgsl`.

use super::contrast::Contrasted;
use super::pick::Picked;
use super::vector::{cross_entropy, exp, sigmoid};
use crate::backend::ChoiceTerms;
use crate::core::{Loss, UNKNOWN};

/// What a pair comes to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// Its loss.
    pub loss: f32,
    /// The loss's slope by its own score; of what is picked, the same with the other sign.
    pub slope: f32,
    /// What it adds to its user's coefficient of the pool.
    pub pool: f32,
}

/// Of a pair of weight `weight` and score `own`, held against a pool that came to `of`.
#[inline(always)]
pub(crate) fn held_against_pool(
    (loss, terms): (Loss, &ChoiceTerms),
    (own, weight, threshold): (f32, f32, Option<f32>),
    of: Contrasted,
) -> Held {
    if loss == Loss::Ccl {
        let pool = weight * terms.negative_weight / of.height;
        return Held { loss: weight * (1.0 - own) + pool * of.sum, slope: -weight, pool };
    }
    let weight = match (terms.inverse_cut, threshold) {
        (Some(inverse), Some(threshold)) => weight * sigmoid((own - threshold) * inverse),
        _ => weight,
    };
    let (inverse, power) = (terms.inverse_temperature, terms.negative_power);
    let scaled = own * inverse;
    // Relative to the greatest exponent.
    let height = if terms.own && scaled > of.height { scaled } else { of.height };
    let (pool, beside) = match terms.own {
        true => (exp(of.height - height), exp(scaled - height)),
        false => (1.0, 0.0),
    };
    let sum = pool * of.sum + beside;
    let unit = weight * inverse;
    Held {
        loss: weight * (power * (height + sum.ln()) - scaled),
        slope: unit * (power * (beside / sum) - 1.0),
        pool: unit * power * (pool / sum),
    }
}

/// Of a pair of weight `weight` and score `own`, held against what was picked for it.
#[inline(always)]
pub(crate) fn held_against_one(
    (loss, terms): (Loss, &ChoiceTerms),
    (own, weight): (f32, f32),
    picked: &Picked,
) -> Held {
    if picked.slot == UNKNOWN {
        return Held::default();
    }
    let over = picked.score - own;
    match loss {
        Loss::Warp => {
            let weight = weight * terms.place_weights[picked.looked - 1];
            Held { loss: weight * (terms.margin + over), slope: -weight, pool: 0.0 }
        }
        _ => Held {
            loss: weight * cross_entropy(over, 0.0),
            slope: -weight * sigmoid(over),
            pool: 0.0,
        },
    }
}
