//! The passes of the Gibbs sampler.

use super::{check_block, check_factors, join_blocks};
use crate::core::{Factors, Ratings, RowPrior, RowRatings, Side, SideFactors};
use crate::math::random::Stream;
use crate::{Error, Result};
use std::ops::{ControlFlow, Range};

/// What the sampler's passes work on.
pub struct GibbsProblem {
    /// Training ratings by user and by item, with weights of 0 or more, or without. For latent values each
    /// value is the number of its level, from 0, and there are no weights.
    pub ratings: RowRatings,
    /// Held-out pairs; [`UNKNOWN`](crate::core::UNKNOWN) stands for a row the model does not know.
    pub test: Ratings,
    /// Where each chain starts, or goes on: one or more, of the same shape and mean.
    pub starts: Vec<Factors>,
    /// Of users and of items, (rows + 1): each row's popularity `ζ`; the last that of unknown ids.
    pub popularity: [Vec<f32>; 2],
    /// Whether there are biases: a row's `[p, b]` are drawn jointly.
    pub bias: bool,
    /// Coordinates drawn together, 1 to `k`: a smaller `d` draws `0..d`, `d..2d`, … in turn, the last
    /// block with the bias, each given the others.
    pub block: usize,
    /// Whether ratings are levels of a latent value that is drawn anew before each row
    /// (Albert and Chib 1993).
    pub latent: bool,
}

impl GibbsProblem {
    /// What [`Backend::gibbs_passes`](super::Backend::gibbs_passes) refuses on any device.
    pub(crate) fn check(&self) -> Result<()> {
        let (users, items) = (self.ratings.users.rows(), self.ratings.items.rows());
        let Some(first) = self.starts.first() else {
            return Err(Error::data("a sampler without a chain"));
        };
        check_factors(first.factors)?;
        check_block(self.block)?;
        self.ratings.check()?;
        let weights = &self.ratings.users.weights;
        if self.latent && !weights.is_empty() {
            return Err(Error::data("levels of a latent value have no weights"));
        }
        if weights.iter().any(|&weight| weight < 0.0) {
            return Err(Error::data("the sampler's weights of ratings must not lie below 0"));
        }
        for start in &self.starts {
            start.check(users, items, first.factors)?;
        }
        let lengths = self.popularity.each_ref().map(Vec::len);
        if lengths != [users + 1, items + 1] {
            let [of_users, of_items] = lengths;
            return Err(Error::data(format!(
                "popularities of {of_users} and {of_items} rows, where {users} users and {items} \
                 items have one each, and an unknown one of either side"
            )));
        }
        self.test.check_rows(users, items, true)
    }
}

/// What a side's rows are drawn from, given the other side:
///
/// `[p, b] ~ N(A⁻¹ (Λ (m + ζ s) + τ Σ a w t y), A⁻¹)` with `A = Λ + τ Σ a w y yᵀ` over the row's ratings,
/// where `y = [q, 1]`, `t = v − μ − c`, `a` is the noise weight of the rating's user, and `w` the rating's own.
#[derive(Clone, Copy, Debug)]
pub struct Conditional<'a> {
    /// `m`, `s` and `Λ`.
    pub prior: &'a RowPrior,
    /// `τ`.
    pub noise_precision: f64,
    /// (users): `a`, each user's noise precision over `τ`; empty where all are 1.
    pub noise_weights: &'a [f32],
    /// Between which latent values each level lies: level `j` from `thresholds[j − 1]` to
    /// `thresholds[j]`. Empty where values are no levels.
    pub thresholds: &'a [f32],
    /// The normal numbers of each row: column `j` for coordinate `j`, column `k` for the bias.
    pub rows: Stream,
    /// The numbers of each rating's latent value: row and column are the own row and its partner's.
    pub latents: Stream,
}

/// Sums over a side's rows `z = [x, b]`, in f64.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// How many rows.
    pub rows: usize,
    /// (k + 1): `Σ z`.
    pub sum: Vec<f64>,
    /// (k + 1, k + 1), row-major: `Σ z zᵀ`.
    pub products: Vec<f64>,
    /// (k + 1): `Σ ζ z`.
    pub popular: Vec<f64>,
}

/// [`Moments`] by blocks of rows: see [`crate::backend`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MomentBlocks {
    /// How many rows the side has.
    pub rows: usize,
    /// `k`.
    pub factors: usize,
    /// (k, k) of each block: `Σ x xᵀ`.
    pub grams: Vec<Vec<f64>>,
    /// (3, k + 1) of each block, which need not be those of `grams`: `Σ z`, `Σ b z` and `Σ ζ z`.
    pub sums: Vec<Vec<f64>>,
}

impl MomentBlocks {
    /// Appends the blocks of the range that follows.
    pub fn append(&mut self, next: Self) {
        (self.rows, self.factors) = (next.rows, next.factors);
        self.grams.extend(next.grams);
        self.sums.extend(next.sums);
    }

    /// The sums of all blocks, added in their order.
    pub fn join(self) -> Moments {
        let (k, wide) = (self.factors, self.factors + 1);
        let (mut gram, mut sums) = (join_blocks(self.grams), join_blocks(self.sums));
        // Of a side without rows.
        gram.resize(k * k, 0.0);
        sums.resize(3 * wide, 0.0);
        let biased = &sums[wide..2 * wide];
        let mut products = vec![0.0; wide * wide];
        for row in 0..k {
            products[row * wide..][..k].copy_from_slice(&gram[row * k..][..k]);
            products[row * wide + k] = biased[row];
        }
        products[k * wide..].copy_from_slice(biased);
        Moments {
            rows: self.rows,
            products,
            sum: sums[..wide].to_vec(),
            popular: sums[2 * wide..].to_vec(),
        }
    }
}

/// All rows in one block.
impl From<Moments> for MomentBlocks {
    fn from(moments: Moments) -> Self {
        let Moments { rows, sum, products, popular } = moments;
        let k = sum.len().saturating_sub(1);
        let of_rows = products.chunks_exact(k + 1).take(k);
        Self {
            rows,
            factors: k,
            grams: vec![of_rows.flat_map(|row| &row[..k]).copied().collect()],
            sums: vec![[&sum[..], &products[k * (k + 1)..], &popular[..]].concat()],
        }
    }
}

/// The sampler's passes over a problem that lies on a device. Each concerns one chain. Ranges of rows:
/// see [`crate::backend`].
///
/// # Panics
/// Every call, where there is no such chain; [`draw`](Self::draw), where the arrays of the conditional have
/// other lengths than [`Conditional`] says.
pub trait GibbsPasses: Send {
    /// Draws a range of a side's rows given the other side; a row without ratings is drawn from its
    /// prior, and the row of unknown ids becomes its prior mean. `watch` gets the ratings done so
    /// far now and then, and may break off there. Returns the ratings done.
    ///
    /// # Errors
    /// If the device is lost.
    fn draw(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        conditional: &Conditional,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize>;

    /// A range of a side's rows as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn rows(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<SideFactors>;

    /// Puts `values` in the place of a range of a side's rows.
    ///
    /// # Errors
    /// If `values` have not as many rows, of as many factors; if the device is lost.
    fn put_rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        values: &SideFactors,
    ) -> Result<()>;

    /// Sums over a side's rows, but for that of unknown ids: what comes of a range of them.
    ///
    /// # Errors
    /// If the device is lost.
    fn moments(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<MomentBlocks>;

    /// (users of the range): `Σ w (v − r̂)²` over each one's training ratings. Of no meaning where values
    /// are levels.
    ///
    /// # Errors
    /// If the device is lost.
    fn squared_errors(&mut self, chain: usize, users: Range<usize>) -> Result<Vec<f64>>;

    /// `r̂` of every training rating, in the users' order.
    ///
    /// # Errors
    /// If the device is lost.
    fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>>;

    /// `r̂` of every held-out pair, in order.
    ///
    /// # Errors
    /// If the device is lost.
    fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>>;

    /// The parameters as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn factors(&mut self, chain: usize) -> Result<Factors>;
}
