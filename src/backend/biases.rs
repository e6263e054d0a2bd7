//! Biases alone under the sampler's passes: devices know no rows of nothing, so that one factor stands
//! beside each bias, held so near to zero that no prediction knows of it.

use super::{Backend, Conditional, GibbsPasses, GibbsProblem, MomentBlocks};
use crate::Result;
use crate::core::{Factors, RowPrior, Side, SideFactors};
use std::ops::{ControlFlow, Range};

/// The prior precision of the factor that is none, over that of the noise: its deviation is then 10⁻¹⁰ of the
/// noise's, and a product of two vanishes beside a bias in 32 bits.
const HELD: f64 = 1e20;

/// Lays a problem of any number of factors out on `backend`.
///
/// # Errors
/// As [`Backend::gibbs_passes`].
pub(crate) fn gibbs_passes(
    backend: &dyn Backend,
    problem: GibbsProblem,
) -> Result<Box<dyn GibbsPasses>> {
    match problem.starts.first() {
        Some(start) if start.factors == 0 => {
            let starts = problem.starts.into_iter().map(Factors::widened).collect();
            let passes = backend.gibbs_passes(GibbsProblem { starts, block: 1, ..problem })?;
            Ok(Box::new(BiasesAlone(passes)))
        }
        _ => backend.gibbs_passes(problem),
    }
}

/// Passes whose rows have one factor, as those of rows that have none.
struct BiasesAlone(Box<dyn GibbsPasses>);

impl GibbsPasses for BiasesAlone {
    fn draw(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        conditional: &Conditional,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let RowPrior { mean, slope, precision } = conditional.prior;
        let held = HELD * conditional.noise_precision;
        let prior = RowPrior {
            mean: vec![0.0, mean[0]],
            slope: vec![0.0, slope[0]],
            precision: vec![held, 0.0, 0.0, precision[0]],
        };
        self.0.draw(chain, side, rows, &Conditional { prior: &prior, ..*conditional }, watch)
    }

    fn rows(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        let rows = self.0.rows(chain, side, rows)?;
        Ok(SideFactors { factors: Vec::new(), ..rows })
    }

    fn put_rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        values: &SideFactors,
    ) -> Result<()> {
        let factors = vec![0.0; values.bias.len()];
        self.0.put_rows(chain, side, rows, &SideFactors { factors, bias: values.bias.clone() })
    }

    fn moments(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<MomentBlocks> {
        let MomentBlocks { rows, grams, sums, .. } = self.0.moments(chain, side, rows)?;
        // Of each sum of `[x, b]` that of `b`.
        let of_bias = |sum: Vec<f64>| sum.into_iter().skip(1).step_by(2).collect();
        Ok(MomentBlocks {
            rows,
            factors: 0,
            grams: vec![Vec::new(); grams.len()],
            sums: sums.into_iter().map(of_bias).collect(),
        })
    }

    fn squared_errors(&mut self, chain: usize, users: Range<usize>) -> Result<Vec<f64>> {
        self.0.squared_errors(chain, users)
    }

    fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        self.0.training_predictions(chain)
    }

    fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        self.0.test_predictions(chain)
    }

    fn factors(&mut self, chain: usize) -> Result<Factors> {
        Ok(self.0.factors(chain)?.narrowed(0))
    }
}
