//! Scores of a few queries against a panel of candidates. The twin of `shaders/score.wgsl`.
//!
//! A score is one chain of products and sums over the factors, in their order, that starts at the
//! bias; vectors run over candidates, so their width changes no bit.

use crate::Result;
use crate::backend::{Candidates, reaches};
use crate::memory;
use pulp::Simd;

/// Candidates of a panel.
pub(crate) const PANEL: usize = 32;

/// One number of each candidate of a panel, on cache lines of its own.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [f32; PANEL]);

/// Candidates in panels: (panels, factors) of lines.
pub(crate) struct Panels {
    /// Number of factors.
    pub factors: usize,
    values: Vec<Line>,
    bias: Vec<Line>,
    reach: Vec<Line>,
}

impl Panels {
    /// Bytes of so many candidates, and of their reaches while they are laid out.
    pub(crate) fn bytes(candidates: usize, factors: usize) -> u64 {
        let lines = candidates.div_ceil(PANEL) as u64 * (factors as u64 + 2);
        lines * size_of::<Line>() as u64 + 4 * candidates as u64
    }

    /// Lays candidates out. What is missing to a whole panel scores −∞.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new(candidates: &Candidates) -> Result<Self> {
        let factors = candidates.factors;
        let panels = candidates.bias.len().div_ceil(PANEL);
        let mut values = memory::filled(Line([0.0; PANEL]), panels * factors, "candidates")?;
        let mut bias = vec![Line([f32::NEG_INFINITY; PANEL]); panels];
        for (lines, rows) in
            values.chunks_exact_mut(factors).zip(candidates.rows.chunks(PANEL * factors))
        {
            for (lane, row) in rows.chunks_exact(factors).enumerate() {
                for (line, &x) in lines.iter_mut().zip(row) {
                    line.0[lane] = x;
                }
            }
        }
        for (line, values) in bias.iter_mut().zip(candidates.bias.chunks(PANEL)) {
            line.0[..values.len()].copy_from_slice(values);
        }
        let mut reach = vec![Line([0.0; PANEL]); panels];
        for (line, values) in reach.iter_mut().zip(reaches(candidates).chunks(PANEL)) {
            line.0[..values.len()].copy_from_slice(values);
        }
        Ok(Self { factors, values, bias, reach })
    }

    /// Number of panels.
    pub(crate) fn len(&self) -> usize {
        self.bias.len()
    }

    /// The reach of each candidate of a panel.
    #[inline(always)]
    pub(crate) fn reach(&self, panel: usize) -> &Line {
        &self.reach[panel]
    }

    /// The factors of a panel, (factors), and its biases.
    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize) -> (&[Line], &Line) {
        (&self.values[panel * self.factors..][..self.factors], &self.bias[panel])
    }
}

/// Factors whose products are summed before they are added to the score: short sums round less often one
/// after the other.
const RUN: usize = 32;

/// How many roundings a score goes through at most.
pub(crate) fn roundings(factors: usize) -> usize {
    RUN.min(factors) + factors.div_ceil(RUN) + 1
}

/// Scores of `Q` queries, given as (factors) of `Q` numbers each, against a panel that is walked in
/// `V` vectors: `Q · V` sums stay in registers.
#[inline(always)]
pub(crate) fn score<S: Simd, const Q: usize, const V: usize>(
    simd: S,
    queries: &[[f32; Q]],
    (panel, bias): (&[Line], &Line),
    scores: &mut [Line; Q],
) {
    scores.fill(*bias);
    for (queries, panel) in queries.chunks(RUN).zip(panel.chunks(RUN)) {
        let mut sums = [[simd.splat_f32s(0.0); V]; Q];
        for (query, line) in queries.iter().zip(panel) {
            let line = &S::as_simd_f32s(&line.0).0[..V];
            for j in 0..Q {
                let x = simd.splat_f32s(query[j]);
                for v in 0..V {
                    sums[j][v] = simd.mul_add_e_f32s(x, line[v], sums[j][v]);
                }
            }
        }
        for query in 0..Q {
            let scores = &mut S::as_mut_simd_f32s(&mut scores[query].0).0[..V];
            for v in 0..V {
                scores[v] = simd.add_f32s(scores[v], sums[query][v]);
            }
        }
    }
}
