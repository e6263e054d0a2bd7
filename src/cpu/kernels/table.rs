//! One side's parameters and moments in the CPU backend's layout.

use crate::Result;
use crate::core::{Factors, Side, SideFactors};
use crate::memory;

/// Rows are padded with zeros to a multiple of this, so that loops have no ragged end.
pub(crate) const PAD: usize = 8;

/// A matrix of rows padded to `stride`, beside a scalar per row (the bias).
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// (rows, stride), row-major; columns from `factors` on are zero.
    pub factors: Vec<f32>,
    /// (rows).
    pub bias: Vec<f32>,
    /// Length of a row.
    pub stride: usize,
}

impl Rows {
    /// Bytes of so many rows, and of the one that is appended.
    pub(crate) fn bytes(rows: u64, factors: usize) -> u64 {
        (rows + 1) * 4 * (factors.next_multiple_of(PAD) as u64 + 1)
    }

    /// Copies a side of `factors` and appends one row of zeros: the row of ids that the model does
    /// not know.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new(factors: &Factors, side: Side) -> Result<Self> {
        let (matrix, bias) = (&factors[side].factors, &factors[side].bias);
        let k = factors.factors;
        let stride = k.next_multiple_of(PAD);
        let mut padded = memory::zeroed((bias.len() + 1) * stride, "factors")?;
        for (to, from) in padded.chunks_exact_mut(stride).zip(matrix.chunks_exact(k)) {
            to[..k].copy_from_slice(from);
        }
        let mut own_bias = memory::with_room(bias.len() + 1, "biases")?;
        own_bias.extend_from_slice(bias);
        own_bias.push(0.0);
        Ok(Self { factors: padded, bias: own_bias, stride })
    }

    /// The rows without padding and without the last.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(crate) fn unpadded(&self, factors: usize) -> Result<SideFactors> {
        let rows = self.bias.len() - 1;
        let mut matrix = memory::with_room(rows * factors, "factors")?;
        for row in self.factors.chunks_exact(self.stride).take(rows) {
            matrix.extend_from_slice(&row[..factors]);
        }
        Ok(SideFactors { factors: matrix, bias: self.bias[..rows].to_vec() })
    }

    /// A row: (stride).
    #[inline(always)]
    pub(crate) fn row(&self, row: u32) -> &[f32] {
        &self.factors[row as usize * self.stride..][..self.stride]
    }

    /// The rows as plain numbers.
    pub(crate) fn table(&self) -> Table<'_> {
        Table { factors: &self.factors, bias: &self.bias, stride: self.stride }
    }

    /// All rows, to be cut into parts that threads may write.
    pub(crate) fn slices(&mut self) -> RowsMut<'_> {
        RowsMut { first: 0, factors: &mut self.factors, bias: &mut self.bias, stride: self.stride }
    }
}

/// A side's parameters, whatever holds them.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    /// (rows, stride), row-major; columns that pad a row are zero, and so is the last row.
    pub factors: &'a [f32],
    /// (rows).
    pub bias: &'a [f32],
    /// Length of a row: a multiple of [`PAD`].
    pub stride: usize,
}

impl<'a> Table<'a> {
    /// A row: (stride).
    #[inline(always)]
    pub(crate) fn row(&self, row: u32) -> &'a [f32] {
        &self.factors[row as usize * self.stride..][..self.stride]
    }
}

/// A range of rows that one thread owns.
pub(crate) struct RowsMut<'a> {
    first: usize,
    factors: &'a mut [f32],
    bias: &'a mut [f32],
    stride: usize,
}

impl RowsMut<'_> {
    /// Splits before `row`, which counts from the start of the whole matrix.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let at = row - self.first;
        let (factors, rest) = self.factors.split_at_mut(at * self.stride);
        let (bias, rest_bias) = self.bias.split_at_mut(at);
        (
            Self { first: self.first, factors, bias, stride: self.stride },
            Self { first: row, factors: rest, bias: rest_bias, stride: self.stride },
        )
    }

    /// A row, which counts from the start of the whole matrix, and its bias.
    #[inline(always)]
    pub(crate) fn row(&mut self, row: u32) -> (&mut [f32], &mut f32) {
        let at = row as usize - self.first;
        (&mut self.factors[at * self.stride..][..self.stride], &mut self.bias[at])
    }
}
