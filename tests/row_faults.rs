//! The comparison of the row solvers' twins is shown to fail: faults are planted in the shaders'
//! text, and in a backend's answers, and each must be noticed.

mod common;
mod oracle;

use oracle::row_case::{RowCase, compare};
use std::ops::ControlFlow;
use wgmf::Result;
use wgmf::backend::{
    Backend, Candidates, Device, GradientPasses, GradientProblem, Objective, Ranker, RowPasses,
    RowProblem,
};
use wgmf::cpu::Cpu;
use wgmf::data::Side;
use wgmf::model::Factors;

/// What is wrong with a backend's answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Off {
    Nothing,
    /// A number is off by a hundredth.
    Error,
    Unobserved,
    Regularization,
    TestLoss,
    Done,
    UserFactor,
    ItemFactor,
    UserBias,
    ItemBias,
    Mean,
    /// A number is not one.
    NotANumber,
    /// Both sides move at once.
    OtherSide,
    /// A solve does nothing.
    Idle,
    /// The terms are not those that were asked for.
    Exponent,
    BiasAsFactors,
    ForgottenUnobserved,
    OneBlock,
    SmallerBlock,
    Signed,
    /// The ratings are not those that were given.
    WithoutWeights,
    WithoutLast,
    WithoutMean,
}

/// The CPU backend with one thing wrong: what the comparison looks at, it looks at whole.
struct Distorted(Cpu, Off);

struct DistortedPasses<'a>(Box<dyn RowPasses + 'a>, Off, usize);

impl Backend for Distorted {
    fn device(&self) -> Device {
        self.0.device()
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses + '_>> {
        self.0.gradient_passes(problem)
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.0.copy_bytes_per_second()
    }

    fn operations_per_second(&self) -> Result<f64> {
        self.0.operations_per_second()
    }

    fn row_passes(&self, mut problem: RowProblem) -> Result<Box<dyn RowPasses + '_>> {
        let terms = &mut problem.terms;
        let ratings = &mut problem.ratings;
        let count = ratings.users.values.len();
        match self.1 {
            Off::Exponent => terms.reg_exponent += 0.05,
            Off::BiasAsFactors => terms.reg_bias = terms.reg,
            Off::ForgottenUnobserved => terms.unobserved_weight *= 0.98,
            Off::OneBlock => terms.block = problem.start.factors,
            Off::SmallerBlock => terms.block -= 1,
            Off::Signed => terms.nonnegative = false,
            Off::WithoutWeights => {
                ratings.users.weights.clear();
                ratings.items.weights.clear();
            }
            Off::WithoutLast => *ratings.items.values.last_mut().unwrap() = 0.0,
            Off::WithoutMean => problem.start.global_mean = 0.0,
            _ => {}
        }
        Ok(Box::new(DistortedPasses(self.0.row_passes(problem)?, self.1, count)))
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker + '_>> {
        self.0.ranker(candidates)
    }
}

impl DistortedPasses<'_> {
    fn last(&self, off: Off, numbers: &mut [f32]) {
        if let (true, Some(last)) = (self.1 == off, numbers.last_mut()) {
            *last += 0.01 * last.abs().max(0.1);
        }
    }

    fn times(&self, off: Off) -> f64 {
        if self.1 == off { 1.01 } else { 1.0 }
    }
}

impl RowPasses for DistortedPasses<'_> {
    fn solve(
        &mut self,
        side: Side,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        if self.1 == Off::Idle && side == Side::Item {
            return Ok(self.2);
        }
        if self.1 == Off::OtherSide {
            self.0.solve(side.partner(), &mut |_| ControlFlow::Continue(()))?;
        }
        Ok(self.0.solve(side, watch)? - usize::from(self.1 == Off::Done))
    }

    fn objective(&mut self) -> Result<Objective> {
        let mut objective = self.0.objective()?;
        objective.error *= self.times(Off::Error);
        objective.unobserved *= self.times(Off::Unobserved);
        objective.regularization *= self.times(Off::Regularization);
        Ok(objective)
    }

    fn test_loss(&mut self) -> Result<f64> {
        Ok(self.0.test_loss()? * self.times(Off::TestLoss))
    }

    fn keep(&mut self) -> Result<()> {
        self.0.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        self.0.kept()
    }

    fn factors(&mut self) -> Result<Factors> {
        let mut factors = self.0.factors()?;
        self.last(Off::UserFactor, &mut factors.user_factors);
        self.last(Off::ItemFactor, &mut factors.item_factors);
        self.last(Off::UserBias, &mut factors.user_bias);
        self.last(Off::ItemBias, &mut factors.item_bias);
        self.last(Off::Mean, std::slice::from_mut(&mut factors.global_mean));
        if self.1 == Off::NotANumber {
            factors.item_factors[0] = f32::NAN;
        }
        Ok(factors)
    }
}

#[test]
fn every_number_is_compared() {
    let plain = RowCase::new(9, 37, 23, 211);
    let explicit = plain.clone().block(4);
    let implicit = plain.clone().implicit(0.2).weighted();
    let nonnegative = plain.nonnegative();
    for (case, offs) in [
        (
            &explicit,
            &[
                Off::Error,
                Off::Regularization,
                Off::TestLoss,
                Off::Done,
                Off::UserFactor,
                Off::ItemFactor,
                Off::UserBias,
                Off::ItemBias,
                Off::Mean,
                Off::NotANumber,
                Off::OtherSide,
                Off::Idle,
                Off::Exponent,
                Off::BiasAsFactors,
                Off::OneBlock,
                Off::SmallerBlock,
                Off::WithoutLast,
                Off::WithoutMean,
            ][..],
        ),
        (
            &implicit,
            &[
                Off::Error,
                Off::Unobserved,
                Off::Regularization,
                Off::TestLoss,
                Off::UserFactor,
                Off::ItemFactor,
                Off::NotANumber,
                Off::Exponent,
                Off::ForgottenUnobserved,
                Off::SmallerBlock,
                Off::WithoutWeights,
                Off::WithoutLast,
            ],
        ),
        (
            &nonnegative,
            &[
                Off::Error,
                Off::Regularization,
                Off::UserFactor,
                Off::ItemFactor,
                Off::NotANumber,
                Off::Exponent,
                Off::Signed,
                Off::WithoutLast,
                Off::Idle,
            ],
        ),
    ] {
        let distorted = |off| compare(&Distorted(Cpu::new(), off), case);
        distorted(Off::Nothing).unwrap();
        for &off in offs {
            assert!(distorted(off).is_err(), "{off:?} is unnoticed ({})", case.name);
        }
    }
}
