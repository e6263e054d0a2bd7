//! The passes rating by rating: which thread visits which blocks.

use super::Cpu;
use super::kernels::error;
use super::kernels::lines::{Matrix, dispatch};
use super::kernels::visit::{Block, Decay, Stratum, VisitTerms};
use crate::Result;
use crate::backend::{EpochSums, StrataPasses, StrataProblem, Terms, Visit, nothing_kept};
use crate::core::{Factors, Ratings, Side, SideFactors, SideStrata, Strata, UNKNOWN};
use rayon::prelude::*;
use std::ops::ControlFlow;

/// Ratings times lines of a row below which a wave is visited by one thread: handing out its blocks costs
/// more.
const SERIAL_BELOW: usize = 4_000;

/// A problem in the CPU backend. Rows lie in the order of their places.
pub(super) struct CpuStrata {
    cpu: Cpu,
    strata: Strata,
    sides: [SideRows; 2],
    /// Held-out ratings, of places.
    test: Ratings,
    terms: Terms,
    global_mean: f32,
    factors: usize,
    kept: Option<Factors>,
}

/// One side's parameters, and each row's penalty.
struct SideRows {
    matrix: Matrix,
    decay: Vec<Decay>,
}

impl SideRows {
    fn new(start: &Factors, side: Side, strata: &SideStrata, terms: &Terms) -> Result<Self> {
        let k = start.factors;
        let rows = strata.rows();
        let of = &start[side];
        let factors = rows.iter().flat_map(|&row| &of.factors[row as usize * k..][..k]);
        let bias = rows.iter().map(|&row| of.bias[row as usize]).collect();
        let placed = SideFactors { factors: factors.copied().collect(), bias };
        let decay = rows.iter().map(|&row| {
            let n = strata.row_ratings[row as usize];
            let (weight, share) = (terms.row_weight(n), terms.row_share(n));
            Decay {
                factors: 2.0 * (terms.reg * weight + terms.damping * share),
                bias: 2.0 * (terms.reg_bias * weight + terms.damping_bias * share),
            }
        });
        Ok(Self { decay: decay.collect(), matrix: Matrix::of(&placed, k)? })
    }

    /// The rows in their own order.
    fn rows(&self, strata: &SideStrata, k: usize) -> Result<SideFactors> {
        let placed = self.matrix.unpadded(k)?;
        let places = || strata.places.iter().map(|&place| place as usize);
        Ok(SideFactors {
            factors: places().flat_map(|at| &placed.factors[at * k..][..k]).copied().collect(),
            bias: places().map(|at| placed.bias[at]).collect(),
        })
    }

    /// The strata, each for a thread of its own.
    fn strata<'a>(&'a mut self, strata: &SideStrata) -> Vec<Stratum<'a>> {
        let strips = self.matrix.strips;
        let (mut lines, mut bias) = (&mut self.matrix.lines[..], &mut self.matrix.bias[..]);
        let mut decay = &self.decay[..];
        let mut parts = Vec::with_capacity(strata.cuts.len());
        for cut in strata.cuts.windows(2) {
            let rows = cut[1] - cut[0];
            let (own_lines, other_lines) = lines.split_at_mut(rows * strips);
            let (own_bias, other_bias) = bias.split_at_mut(rows);
            let (own_decay, other_decay) = decay.split_at(rows);
            parts.push(Stratum { lines: own_lines, bias: own_bias, decay: own_decay });
            (lines, bias, decay) = (other_lines, other_bias, other_decay);
        }
        parts
    }
}

impl CpuStrata {
    /// Lays a problem out.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(cpu: Cpu, problem: StrataProblem) -> Result<Self> {
        let StrataProblem { strata, mut test, start, terms } = problem;
        for (side, of) in [Side::User, Side::Item].into_iter().zip(&strata.sides) {
            let known = test.rows_mut(side).iter_mut().filter(|row| **row != UNKNOWN);
            known.for_each(|row| *row = of.places[*row as usize]);
        }
        let side = |side: Side| SideRows::new(&start, side, &strata.sides[side.index()], &terms);
        let sides = [side(Side::User)?, side(Side::Item)?];
        let (global_mean, factors) = (start.global_mean, start.factors);
        Ok(Self { cpu, strata, sides, test, terms, global_mean, factors, kept: None })
    }

    /// Visits a wave's blocks: their summed loss, and how many ratings they have.
    fn wave(&mut self, visit: &Visit) -> (f64, usize) {
        let bias = f32::from(u8::from(self.terms.bias));
        let rate_bias = bias * visit.rate * self.terms.bias_rate;
        let terms = VisitTerms {
            global_mean: self.global_mean,
            loss: self.terms.loss,
            step: visit.rate * self.terms.loss_factor(),
            step_bias: rate_bias * self.terms.loss_factor(),
            rate: visit.rate,
            rate_bias,
        };
        let [users, items] = &mut self.sides;
        let strips = users.matrix.strips;
        let users = users.strata(&self.strata.sides[0]);
        let mut items = items.strata(&self.strata.sides[1]);
        let wave = visit.batch as usize;
        items.rotate_left(wave);
        let blocks = self.strata.wave(wave).zip(users).zip(items).map(|((at, users), items)| {
            let (ratings, weights) = (self.strata.block(at), self.strata.block_weights(at));
            Block { ratings, weights, users, items, strips, terms: &terms }
        });
        let blocks: Vec<Block> = blocks.collect();
        let ratings: usize = blocks.iter().map(|block| block.ratings.len()).sum();
        let arch = self.cpu.arch;
        let alone = rayon::current_num_threads() == 1 || ratings * strips < SERIAL_BELOW;
        // In the order of the blocks, whoever visits them.
        let losses: Vec<f64> = match alone {
            true => blocks.into_iter().map(|block| dispatch(arch, block)).collect(),
            false => {
                let blocks = blocks.into_par_iter().with_max_len(1);
                blocks.map(|block| dispatch(arch, block)).collect()
            }
        };
        (losses.iter().sum(), ratings)
    }
}

impl StrataPasses for CpuStrata {
    fn epoch(
        &mut self,
        waves: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        let mut sums = EpochSums::default();
        for visit in waves {
            let (loss, ratings) = self.wave(visit);
            sums.loss += loss;
            sums.ratings += ratings;
            if watch(sums.ratings).is_break() {
                break;
            }
        }
        Ok(sums)
    }

    fn test_loss(&mut self) -> Result<f64> {
        let [users, items] = &self.sides;
        let (users, items) = (users.matrix.table(), items.matrix.table());
        let (mean, loss) = (self.global_mean, self.terms.loss);
        Ok(error::error(self.cpu.arch, users, items, mean, loss, &self.test))
    }

    fn keep(&mut self) -> Result<()> {
        self.kept = Some(self.factors()?);
        Ok(())
    }

    fn kept(&mut self) -> Result<Factors> {
        self.kept.clone().ok_or_else(nothing_kept)
    }

    fn factors(&mut self) -> Result<Factors> {
        let side = |at: usize| self.sides[at].rows(&self.strata.sides[at], self.factors);
        let sides = [side(0)?, side(1)?];
        Ok(Factors { factors: self.factors, sides, global_mean: self.global_mean })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Loss, Optimizer};

    /// Vectors of 512 and 256 bits, and no vectors at all.
    #[test]
    fn the_width_of_vectors_changes_no_bit() {
        let number = |at: usize| ((at * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
        for (k, loss) in
            [(1, Loss::Squared), (33, Loss::Squared), (64, Loss::Logistic), (150, Loss::Squared)]
        {
            let (users, items, n) = (60, 50, 3000);
            let ratings = Ratings {
                users: (0..n).map(|at| (at * at % users) as u32).collect(),
                items: (0..n).map(|at| (at * 31 % items) as u32).collect(),
                values: (0..n).map(|at| f32::from(u8::from(number(at) > 0.0))).collect(),
                timestamps: vec![],
                weights: vec![],
            };
            let side = |rows: usize| SideFactors {
                factors: (0..rows * k).map(number).collect(),
                bias: (0..rows).map(number).collect(),
            };
            let terms = Terms {
                loss,
                optimizer: Optimizer::Sgd,
                momentum: 0.0,
                bias: true,
                bias_rate: 0.5,
                reg: 0.05,
                reg_bias: 0.02,
                reg_exponent: 1.0,
                damping: 0.5,
                damping_bias: 0.2,
            };
            let run = |arch: pulp::Arch| {
                let problem = StrataProblem {
                    strata: Strata::new(&ratings, users, items, k, Some(1)),
                    test: ratings.clone(),
                    start: Factors {
                        factors: k,
                        sides: [side(users), side(items)],
                        global_mean: 0.4,
                    },
                    terms,
                };
                let mut passes = CpuStrata::new(Cpu { arch }, problem).unwrap();
                let waves = passes.strata.strata() as u32;
                let visits: Vec<_> = (0..waves).map(|batch| Visit { batch, rate: 0.02 }).collect();
                let sums = passes.epoch(&visits, &mut |_| ControlFlow::Continue(())).unwrap();
                (passes.factors().unwrap(), sums, passes.test_loss().unwrap())
            };
            let (widest, none) = (run(pulp::Arch::new()), run(pulp::Arch::Scalar));
            assert!(widest == none && widest.1.loss.is_finite(), "k {k}, {loss:?}");
            #[cfg(target_arch = "x86_64")]
            if let Some(narrow) = pulp::x86::V3::try_new() {
                assert!(widest == run(pulp::Arch::V3(narrow)), "k {k}, {loss:?}");
            }
        }
    }
}
