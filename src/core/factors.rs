//! The embeddings themselves.

use super::side::Side;

/// The parameters of `r̂(u,i) = μ + b_u + c_i + p_u · q_i`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Factors {
    /// Number of factors `k` (the latent dimensionality).
    pub factors: usize,
    /// `p`: (users, factors), row-major.
    pub user_factors: Vec<f32>,
    /// `q`: (items, factors), row-major.
    pub item_factors: Vec<f32>,
    /// `b`: (users); zeros for a model without biases.
    pub user_bias: Vec<f32>,
    /// `c`: (items); zeros for a model without biases.
    pub item_bias: Vec<f32>,
    /// `μ`: the mean training rating (for logistic loss the training log-odds); 0 without a mean.
    pub global_mean: f32,
}

impl Factors {
    /// Number of users.
    pub fn users(&self) -> usize {
        self.user_bias.len()
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.item_bias.len()
    }

    /// The factors of a user: (factors).
    pub fn user(&self, user: u32) -> &[f32] {
        let k = self.factors;
        &self.user_factors[user as usize * k..][..k]
    }

    /// The factors of an item: (factors).
    pub fn item(&self, item: u32) -> &[f32] {
        let k = self.factors;
        &self.item_factors[item as usize * k..][..k]
    }

    /// The score `r̂` of a pair, in the unit of the transformed training ratings (for logistic loss
    /// the log-odds). [`UNKNOWN`](crate::core::UNKNOWN) on either side leaves out what is not known.
    /// Summed in f64 in order of the factors.
    pub fn score(&self, user: u32, item: u32) -> f64 {
        use crate::core::UNKNOWN;
        let mut score = f64::from(self.global_mean);
        if user != UNKNOWN {
            score += f64::from(self.user_bias[user as usize]);
        }
        if item != UNKNOWN {
            score += f64::from(self.item_bias[item as usize]);
        }
        if user != UNKNOWN && item != UNKNOWN {
            let pairs = self.user(user).iter().zip(self.item(item));
            score += pairs.map(|(&p, &q)| f64::from(p) * f64::from(q)).sum::<f64>();
        }
        score
    }

    /// A checksum of every number: what tells one model's factors from another's.
    pub fn checksum(&self) -> u32 {
        let mut sum = flate2::Crc::new();
        let arrays = [&self.user_factors, &self.item_factors, &self.user_bias, &self.item_bias];
        for array in arrays {
            // By parts: the sum counts its bytes in 32 bits.
            array.chunks(1 << 24).for_each(|part| sum.update(bytemuck::cast_slice(part)));
        }
        sum.update(bytemuck::bytes_of(&self.global_mean));
        sum.sum()
    }

    /// A side's factors, (rows, factors), and biases, (rows).
    pub fn side(&self, side: Side) -> (&[f32], &[f32]) {
        match side {
            Side::User => (&self.user_factors, &self.user_bias),
            Side::Item => (&self.item_factors, &self.item_bias),
        }
    }

    /// The same, to be changed.
    pub(crate) fn side_mut(&mut self, side: Side) -> (&mut Vec<f32>, &mut Vec<f32>) {
        match side {
            Side::User => (&mut self.user_factors, &mut self.user_bias),
            Side::Item => (&mut self.item_factors, &mut self.item_bias),
        }
    }

    /// Makes `factors`, (rows, factors), and `bias`, (rows), the rows `at` of a side, which then has
    /// `count` rows; others that are new are zero.
    pub(crate) fn put_rows(
        &mut self,
        side: Side,
        at: &[u32],
        count: usize,
        factors: &[f32],
        bias: &[f32],
    ) {
        let k = self.factors;
        let (to, to_bias) = self.side_mut(side);
        to.resize(count * k, 0.0);
        to_bias.resize(count, 0.0);
        for (from, &row) in at.iter().enumerate() {
            let row = row as usize;
            to[row * k..][..k].copy_from_slice(&factors[from * k..][..k]);
            to_bias[row] = bias[from];
        }
    }

    /// The first row of a side that holds an infinity or a NaN.
    pub fn first_non_finite(&self, side: Side) -> Option<u32> {
        let (factors, bias) = self.side(side);
        let mut rows = factors.chunks_exact(self.factors.max(1)).zip(bias);
        let row = rows.position(|(row, b)| !b.is_finite() || row.iter().any(|x| !x.is_finite()));
        row.map(|row| row as u32)
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.global_mean.is_finite()
            && [Side::User, Side::Item].iter().all(|&s| self.first_non_finite(s).is_none())
    }
}
