//! Rows of a batch in the layouts that kernels read.

use super::{ChoiceTerms, LANES, LineTask};
use crate::cpu::kernels::lines::{Line, numbers};
use crate::cpu::kernels::prepare::{Dropout, prepare};
use crate::cpu::kernels::table::Rows;
use pulp::Simd;

/// Rows as they are scored.
pub(super) struct PrepareTask<'a> {
    pub choice: &'a ChoiceTerms,
    pub table: &'a Rows,
    pub dropout: Option<&'a Dropout>,
    pub rows: &'a [u32],
    pub x: &'a mut [Line],
    pub scale: &'a mut [f32],
}

impl LineTask for PrepareTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let strips = self.table.stride.div_ceil(LANES);
        let to = self.x.chunks_exact_mut(strips).zip(self.scale);
        for (&row, (x, scale)) in self.rows.iter().zip(to) {
            let from = (row, self.table.row(row));
            *scale = prepare::<S, V>(simd, from, self.choice.score, self.dropout, x);
        }
    }
}

/// Turns the rows of a panel into lines a factor.
pub(super) struct PanelTask<'a> {
    pub rows: &'a [Line],
    pub strips: usize,
    pub to: &'a mut [Line],
}

impl LineTask for PanelTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, _simd: S) {
        self.to.fill(Line::ZERO);
        for (lane, row) in self.rows.chunks_exact(self.strips).enumerate() {
            for (to, &x) in self.to.iter_mut().zip(numbers(row)) {
                to.0[lane] = x;
            }
        }
    }
}
