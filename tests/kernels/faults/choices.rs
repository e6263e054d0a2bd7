//! Of losses made for ranking: a backend that computes something a little else than it is asked, and one that
//! gives a number that is off, are noticed.

use crate::conformance::Compare;
use crate::oracle::choice_case::ChoiceCase;
use std::ops::ControlFlow;
use wgmf::Result;
use wgmf::backend::{
    Backend, Candidates, ChoiceBatches, ChoicePasses, ChoiceProbe, ChoiceProblem, Device,
    EpochSums, GibbsPasses, GibbsProblem, GradientPasses, GradientProblem, Ranker, RowPasses,
    RowProblem, State,
};
use wgmf::core::{ChoiceBatch, Factors, Loss, Negatives, Score, Side};
use wgmf::cpu::Cpu;

/// What is done wrong.
#[derive(Clone, Copy)]
enum Wrong {
    /// Other terms than those that are asked for.
    Terms(fn(&mut ChoiceProblem)),
    /// Another batch.
    Batch(fn(&mut ChoiceBatch)),
    /// Numbers that are off.
    Probe(fn(&mut ChoiceProbe)),
    State(fn(&mut State)),
    Sums(fn(&mut EpochSums)),
}

struct Distorted(Wrong);

struct DistortedPasses(Box<dyn ChoicePasses>, Wrong);

impl Backend for Distorted {
    fn device(&self) -> Device {
        Cpu::new().device()
    }

    fn choice_passes(&self, mut problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        if let Wrong::Terms(distort) = self.0 {
            distort(&mut problem);
        }
        Ok(Box::new(DistortedPasses(Cpu::new().choice_passes(problem)?, self.0)))
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        Cpu::new().copy_bytes_per_second()
    }

    fn operations_per_second(&self) -> Result<f64> {
        Cpu::new().operations_per_second()
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        Cpu::new().gradient_passes(problem)
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        Cpu::new().row_passes(problem)
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        Cpu::new().gibbs_passes(problem)
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        Cpu::new().ranker(candidates)
    }
}

impl DistortedPasses {
    fn batch(&self, mut batch: ChoiceBatch) -> ChoiceBatch {
        if let Wrong::Batch(distort) = self.1 {
            distort(&mut batch);
        }
        batch
    }
}

impl ChoicePasses for DistortedPasses {
    fn epoch(
        &mut self,
        batches: &mut ChoiceBatches,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        let batches: Vec<_> = batches.map(|batch| self.batch(batch)).collect();
        let mut sums = self.0.epoch(&mut batches.into_iter(), watch)?;
        if let Wrong::Sums(distort) = self.1 {
            distort(&mut sums);
        }
        Ok(sums)
    }

    fn keep(&mut self) -> Result<()> {
        self.0.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        self.0.kept()
    }

    fn factors(&mut self) -> Result<Factors> {
        Ok(self.state()?.factors)
    }

    fn state(&mut self) -> Result<State> {
        let mut state = self.0.state()?;
        if let Wrong::State(distort) = self.1 {
            distort(&mut state);
        }
        Ok(state)
    }

    fn probe(&mut self, batch: &ChoiceBatch) -> Result<ChoiceProbe> {
        let mut probe = self.0.probe(&self.batch(batch.clone()))?;
        if let Wrong::Probe(distort) = self.1 {
            distort(&mut probe);
        }
        Ok(probe)
    }
}

fn nudge(numbers: &mut [f32]) {
    let most = numbers.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    if let Some(last) = numbers.last_mut() {
        *last += 0.01 * most;
    }
}

/// A case of each loss at which every term counts.
fn case(loss: Loss) -> ChoiceCase {
    let case = ChoiceCase::new(loss, 20, (25, 44), 100).weighted().batches_of(50);
    let case = case.contrast("dropout", |c| c.dropout = 0.2).negatives(Negatives::Pool(60));
    match loss {
        Loss::Softmax => case.own().contrast("a cut-off", |c| {
            (c.cut_off, c.negative_power, c.negative_exponent) = (Some(5), 1.2, 0.5);
        }),
        Loss::Ccl => case,
        _ => case.inner().with("reg", |s| (s.reg, s.reg_bias) = (0.1, 0.2)),
    }
}

#[test]
fn what_is_not_asked_is_noticed() {
    use Loss::{Bpr, Ccl, Softmax, Warp};
    use Wrong::{Batch, Probe, State, Sums, Terms};
    let table: &[(&str, &[Loss], Wrong)] = &[
        ("another temperature", &[Softmax], Terms(|p| p.choice.inverse_temperature *= 1.01)),
        ("another power", &[Softmax], Terms(|p| p.choice.negative_power *= 1.01)),
        ("without its own", &[Softmax], Terms(|p| p.choice.own = false)),
        ("no cut-off", &[Softmax], Terms(|p| p.choice.inverse_cut = None)),
        ("a wider cut", &[Softmax], Terms(|p| p.choice.inverse_cut = Some(0.9))),
        ("another margin", &[Ccl, Warp], Terms(|p| p.choice.margin += 0.03)),
        ("another weight", &[Ccl], Terms(|p| p.choice.negative_weight *= 1.01)),
        ("fewer tries", &[Bpr], Terms(|p| p.choice.tries -= 1)),
        ("another rank", &[Warp], Terms(|p| p.choice.place_weights[0] *= 1.01)),
        (
            "another score",
            &[Softmax, Ccl, Bpr, Warp],
            Terms(|p| {
                p.choice.score = match p.choice.score {
                    Score::Cosine => Score::Inner,
                    Score::Inner => Score::Cosine,
                };
            }),
        ),
        ("other factors left out", &[Softmax, Ccl, Bpr, Warp], Terms(|p| p.choice.seed += 1)),
        ("none made larger", &[Bpr, Warp], Terms(|p| p.choice.dropout_scale = 1.0)),
        ("another penalty", &[Bpr, Warp], Terms(|p| p.terms.reg *= 1.1)),
        ("another penalty of biases", &[Bpr, Warp], Terms(|p| p.terms.reg_bias *= 1.1)),
        ("no biases", &[Bpr, Warp], Terms(|p| p.terms.bias = false)),
        ("slow biases", &[Bpr, Warp], Terms(|p| p.terms.bias_rate = 0.9)),
        ("no weights", &[Softmax, Ccl, Bpr, Warp], Batch(|b| b.weights.fill(1.0))),
        ("no logQ", &[Softmax], Batch(|b| b.log_weights.fill(0.0))),
        ("no counts", &[Ccl], Batch(|b| b.counts.fill(1.0))),
        (
            "known ones are negatives",
            &[Softmax, Ccl, Bpr, Warp],
            Batch(|b| {
                b.known_starts.fill(0);
            }),
        ),
        ("another user's threshold", &[Softmax], Batch(|b| b.thresholds.rotate_left(1))),
        ("it begins elsewhere", &[Bpr, Warp], Batch(|b| b.begins.rotate_left(1))),
        ("another rate", &[Softmax, Ccl, Bpr, Warp], Batch(|b| b.rate *= 1.01)),
        ("a later step", &[Softmax, Ccl, Bpr, Warp], Batch(|b| b.step += 1)),
        (
            "the last pair is lost from the items",
            &[Softmax, Ccl, Bpr, Warp],
            Batch(|b| {
                let slot = b.items.len();
                let from =
                    (0..slot).rev().find(|&d| b.item_starts[d] < b.item_starts[slot]).unwrap();
                for start in &mut b.item_starts[from + 1..] {
                    *start -= 1;
                }
            }),
        ),
        ("the loss", &[Softmax, Ccl, Bpr, Warp], Probe(|p| p.loss *= 1.01)),
        ("a score", &[Softmax, Ccl, Bpr, Warp], Probe(|p| nudge(&mut p.scores))),
        ("a pick", &[Bpr, Warp], Probe(|p| p.picks[3] ^= 1)),
        ("a user's gradient", &[Softmax, Ccl, Bpr, Warp], Probe(|p| nudge(&mut p.users))),
        ("an item's gradient", &[Softmax, Ccl, Bpr, Warp], Probe(|p| nudge(&mut p.items))),
        ("a bias's gradient", &[Bpr, Warp], Probe(|p| nudge(&mut p.item_bias))),
        ("an item", &[Softmax, Bpr], State(|s| nudge(&mut s.factors[Side::Item].factors))),
        ("a user", &[Ccl, Warp], State(|s| nudge(&mut s.factors[Side::User].factors))),
        ("a bias", &[Bpr], State(|s| nudge(&mut s.factors[Side::Item].bias))),
        ("a user's bias", &[Bpr], State(|s| s.factors[Side::User].bias[0] = 0.1)),
        ("a moment", &[Softmax], State(|s| nudge(&mut s.moments[1][Side::User].factors))),
        ("no number", &[Ccl], State(|s| s.factors[Side::User].factors[0] = f32::NAN)),
        ("the epoch's loss", &[Softmax, Warp], Sums(|s| s.loss *= 1.01)),
        ("the epoch's pairs", &[Softmax], Sums(|s| s.ratings -= 1)),
    ];
    let mut unnoticed = Vec::new();
    for loss in [Softmax, Ccl, Bpr, Warp] {
        let case = case(loss);
        case.compare(&Cpu::new()).unwrap();
        for (what, _, wrong) in table.iter().filter(|(_, of, _)| of.contains(&loss)) {
            if !case.objects(&Distorted(*wrong)) {
                unnoticed.push(format!("{}: {what}", case.name));
            }
        }
    }
    assert!(unnoticed.is_empty(), "unnoticed:\n{}", unnoticed.join("\n"));
}
