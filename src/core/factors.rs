//! The embeddings themselves.

use super::side::Side;
use super::sizes::Sizes;
use crate::math::product::inner;
use crate::memory;
use crate::{Error, Result};
use std::ops::{Index, IndexMut};

/// The parameters of `r̂(u,i) = μ + b_u + c_i + p_u · q_i`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Factors {
    /// Number of factors `k` (the latent dimensionality).
    pub factors: usize,
    /// The users' rows, then the items': `factors[Side::User]`.
    pub sides: [SideFactors; 2],
    /// `μ`: the mean training rating (for logistic loss the training log-odds); 0 without a mean.
    pub global_mean: f32,
}

/// One side's parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideFactors {
    /// `p` or `q`: (rows, factors), row-major.
    pub factors: Vec<f32>,
    /// `b` or `c`: (rows); zeros for a model without biases.
    pub bias: Vec<f32>,
}

impl SideFactors {
    /// Zeros.
    ///
    /// # Panics
    /// If there are more numbers than memory can hold.
    pub fn zeros(rows: usize, factors: usize) -> Self {
        Self { factors: vec![0.0; rows * factors], bias: vec![0.0; rows] }
    }

    /// The same, where there may be no memory for it.
    ///
    /// # Errors
    /// There is none.
    pub fn try_zeros(rows: usize, factors: usize) -> Result<Self> {
        let numbers = rows.saturating_mul(factors);
        Ok(Self {
            factors: memory::zeroed(numbers, "factors")?,
            bias: memory::zeroed(rows, "biases")?,
        })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.bias.len()
    }
}

impl Index<Side> for Factors {
    type Output = SideFactors;

    fn index(&self, side: Side) -> &SideFactors {
        &self.sides[side.index()]
    }
}

impl IndexMut<Side> for Factors {
    fn index_mut(&mut self, side: Side) -> &mut SideFactors {
        &mut self.sides[side.index()]
    }
}

impl Factors {
    /// Number of users.
    pub fn users(&self) -> usize {
        self[Side::User].bias.len()
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self[Side::Item].bias.len()
    }

    /// Bytes of the parameters of so many rows.
    pub fn bytes(sizes: &Sizes, factors: usize) -> u64 {
        sizes.rows() * 4 * (factors as u64 + 1)
    }

    /// Makes sure that there are rows for `users` and `items`, of `factors` each.
    ///
    /// # Errors
    /// Other shapes, or arrays that do not fit each other.
    pub fn check(&self, users: usize, items: usize, factors: usize) -> Result<()> {
        for (side, rows) in [(Side::User, users), (Side::Item, items)] {
            let of = &self[side];
            let numbers = rows.checked_mul(factors);
            if self.factors != factors || of.rows() != rows || Some(of.factors.len()) != numbers {
                return Err(Error::data(format!(
                    "{}s: {} numbers and {} biases of {} factors, where {rows} rows of {factors} are \
                     needed",
                    side.name(),
                    of.factors.len(),
                    of.rows(),
                    self.factors
                )));
            }
        }
        Ok(())
    }

    /// The factors of a user: (factors).
    ///
    /// # Panics
    /// If there is no such user.
    pub fn user(&self, user: u32) -> &[f32] {
        self.row(Side::User, user)
    }

    /// The factors of an item: (factors).
    ///
    /// # Panics
    /// If there is no such item.
    pub fn item(&self, item: u32) -> &[f32] {
        self.row(Side::Item, item)
    }

    /// The score `r̂` of a pair, in the unit of the transformed training ratings (for logistic loss
    /// the log-odds). [`UNKNOWN`](crate::core::UNKNOWN) on either side leaves out what is not known.
    /// Summed in f64 in order of the factors.
    ///
    /// # Panics
    /// If there is no such user or item.
    pub fn score(&self, user: u32, item: u32) -> f64 {
        use crate::core::UNKNOWN;
        let mut score = f64::from(self.global_mean);
        if user != UNKNOWN {
            score += f64::from(self[Side::User].bias[user as usize]);
        }
        if item != UNKNOWN {
            score += f64::from(self[Side::Item].bias[item as usize]);
        }
        if user != UNKNOWN && item != UNKNOWN {
            score += inner(self.user(user), self.item(item));
        }
        score
    }

    /// The same where there are factors; of biases alone one factor of zeros, as devices know no rows
    /// of nothing. Zeros on both sides stay zeros, whatever trains them.
    pub(crate) fn widened(self) -> Self {
        match self.factors {
            0 => Self {
                factors: 1,
                sides: self
                    .sides
                    .map(|side| SideFactors { factors: vec![0.0; side.rows()], bias: side.bias }),
                global_mean: self.global_mean,
            },
            _ => self,
        }
    }

    /// Their shape and the mean, without rows.
    pub(crate) fn emptied(&self) -> Self {
        Self { factors: self.factors, global_mean: self.global_mean, ..Self::default() }
    }

    /// Factors whose rows have length 1, where that is `asked`, so that their inner products are cosines; rows
    /// of zeros stay.
    #[must_use]
    pub fn normalized(mut self, asked: bool) -> Self {
        for row in
            self.sides.iter_mut().flat_map(|side| side.factors.chunks_mut(self.factors.max(1)))
        {
            let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            if asked && square > 0.0 {
                let scale = 1.0 / square.sqrt();
                row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
            }
        }
        self
    }

    /// Without what [`widened`](Self::widened) added to rows of so many `factors`.
    pub(crate) fn narrowed(mut self, factors: usize) -> Self {
        if factors == 0 {
            self.factors = 0;
            self.sides.iter_mut().for_each(|side| side.factors.clear());
        }
        self
    }

    /// A checksum of every number: what tells one model's factors from another's.
    #[cfg(feature = "files")]
    pub fn checksum(&self) -> u32 {
        let mut sum = flate2::Crc::new();
        let arrays = [
            &self[Side::User].factors,
            &self[Side::Item].factors,
            &self[Side::User].bias,
            &self[Side::Item].bias,
        ];
        for array in arrays {
            // By parts: the sum counts its bytes in 32 bits.
            array.chunks(1 << 24).for_each(|part| sum.update(bytemuck::cast_slice(part)));
        }
        sum.update(bytemuck::bytes_of(&self.global_mean));
        sum.sum()
    }

    /// A side's factors, (rows, factors), and biases, (rows).
    pub fn side(&self, side: Side) -> (&[f32], &[f32]) {
        (&self[side].factors, &self[side].bias)
    }

    /// A row of a side: (factors).
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, side: Side, row: u32) -> &[f32] {
        &self[side].factors[row as usize * self.factors..][..self.factors]
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
        let SideFactors { factors: to, bias: to_bias } = &mut self[side];
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
            && Side::BOTH.iter().all(|&side| self.first_non_finite(side).is_none())
    }
}
