//! A backend's passes of the Gibbs sampler with a fault planted into them.

use std::ops::{ControlFlow, Range};
use wgmf::Result;
use wgmf::backend::{Conditional, GibbsPasses, MomentBlocks};
use wgmf::core::{Factors, RowPrior, Side, SideFactors};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Rows are drawn as if `m` were zero.
    NoMean,
    /// Rows are drawn as if `s` were zero.
    NoSlope,
    /// Rows are drawn as if `Λ` were a tenth of it.
    NoPrecision,
    /// Rows are drawn as if their bias had nothing to do with the other coordinates in `Λ`.
    BiasApart,
    /// The users' rows are drawn as if all noise were equal.
    EqualNoiseOfUsers,
    /// The items' rows are drawn as if all noise were equal.
    EqualNoiseOfItems,
    /// Rows are drawn with twice the noise's precision.
    TwicePrecise,
    /// The last row is left out of the moments.
    RowLost,
    /// The moments count one row too few.
    RowUncounted,
    /// Popular rows do not count in the moments.
    NoPopular,
    /// Squared errors are halved.
    HalfErrors,
    /// Every draw of a side has the numbers of the first.
    SameNumbers,
}

/// Passes with a fault.
pub struct Faulty {
    pub passes: Box<dyn GibbsPasses>,
    pub fault: Fault,
}

fn distorted(prior: &RowPrior, fault: Fault) -> RowPrior {
    let mut prior = prior.clone();
    let wide = prior.mean.len();
    match fault {
        Fault::NoMean => prior.mean.fill(0.0),
        Fault::NoSlope => prior.slope.fill(0.0),
        Fault::NoPrecision => prior.precision.iter_mut().for_each(|x| *x *= 0.1),
        Fault::BiasApart => {
            for j in 0..wide - 1 {
                prior.precision[j * wide + wide - 1] = 0.0;
                prior.precision[(wide - 1) * wide + j] = 0.0;
            }
        }
        _ => {}
    }
    prior
}

impl GibbsPasses for Faulty {
    fn draw(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        conditional: &Conditional,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let prior = distorted(conditional.prior, self.fault);
        let mut conditional = Conditional { prior: &prior, ..*conditional };
        match (self.fault, side) {
            (Fault::EqualNoiseOfUsers, Side::User) | (Fault::EqualNoiseOfItems, Side::Item) => {
                conditional.noise_weights = &[];
            }
            (Fault::TwicePrecise, _) => conditional.noise_precision *= 2.0,
            (Fault::SameNumbers, _) => conditional.rows.sweep = 1,
            _ => {}
        }
        self.passes.draw(chain, side, rows, &conditional, watch)
    }

    fn rows(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        self.passes.rows(chain, side, rows)
    }

    fn put_rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        values: &SideFactors,
    ) -> Result<()> {
        self.passes.put_rows(chain, side, rows, values)
    }

    fn moments(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<MomentBlocks> {
        let mut moments = self.passes.moments(chain, side, rows)?.join();
        match self.fault {
            Fault::RowLost => {
                let factors = self.passes.factors(chain)?;
                let (x, b) = factors.side(side);
                let mut z: Vec<f64> =
                    x[x.len() - factors.factors..].iter().map(|&x| f64::from(x)).collect();
                z.push(f64::from(b[b.len() - 1]));
                for i in 0..z.len() {
                    moments.sum[i] -= z[i];
                    for j in 0..z.len() {
                        moments.products[i * z.len() + j] -= z[i] * z[j];
                    }
                }
            }
            Fault::RowUncounted => moments.rows -= 1,
            Fault::NoPopular => moments.popular.fill(0.0),
            _ => {}
        }
        Ok(moments.into())
    }

    fn squared_errors(&mut self, chain: usize, users: Range<usize>) -> Result<Vec<f64>> {
        let mut errors = self.passes.squared_errors(chain, users)?;
        if self.fault == Fault::HalfErrors {
            errors.iter_mut().for_each(|error| *error /= 2.0);
        }
        Ok(errors)
    }

    fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        self.passes.training_predictions(chain)
    }

    fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        self.passes.test_predictions(chain)
    }

    fn factors(&mut self, chain: usize) -> Result<Factors> {
        self.passes.factors(chain)
    }
}
