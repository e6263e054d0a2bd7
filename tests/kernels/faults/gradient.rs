//! Faults of the gradient solvers' kernels.

use super::{Fault, fault, faults, hold};
use crate::oracle;
use wgmf::Result;
use wgmf::backend::{
    Backend, Candidates, ChoicePasses, ChoiceProblem, Device, EpochSums, GibbsPasses, GibbsProblem,
    GradientPasses, GradientProblem, Probe, Ranker, RowPasses, RowProblem, State, Visit,
};
use wgmf::core::{Factors, Optimizer, Side};
use wgmf::cpu::Cpu;

use oracle::case::{Case, Draw, compare};
use std::ops::ControlFlow;

fn weighted() -> Case {
    plain().weighted()
}

fn plain() -> Case {
    Case::new(6, 37, 23, 211)
}

fn wide() -> Case {
    Case::new(130, 23, 37, 150)
}

fn widest() -> Case {
    Case::new(1000, 19, 23, 101)
}

fn ragged() -> Case {
    // 12 columns on 8 lanes of 2: lanes 4 to 7 have a column beyond the row.
    Case::new(45, 37, 23, 211)
}

fn logistic() -> Case {
    plain().logistic()
}

fn batched() -> Case {
    Case::new(7, 41, 29, 300).batches_of(64).epochs(2)
}

fn hot() -> Case {
    Case::of_pairs(5, 3, 50, (0..900).map(|n| (n % 3, n * 7 % 50)).collect())
}

fn hot_follower() -> Case {
    let mut draw = Draw::new(5);
    Case::of_pairs(5, 60, 50, (0..900).map(|n| (n % 2, draw.below(50))).collect())
}

fn slow_biases() -> Case {
    plain().bias_rate(0.25)
}

fn momentum() -> Case {
    batched().optimizer(Optimizer::Sgd, 0.9)
}

fn adagrad() -> Case {
    batched().optimizer(Optimizer::Adagrad, 0.0)
}

fn adam() -> Case {
    batched().optimizer(Optimizer::Adam, 0.0)
}

fn fresh_adam() -> Case {
    // Many ratings a batch make gradients small, so that epsilon has a place to matter.
    Case::new(6, 300, 250, 3000).optimizer(Optimizer::Adam, 0.0).fresh()
}

fn fresh_adagrad() -> Case {
    Case::new(6, 300, 250, 3000).optimizer(Optimizer::Adagrad, 0.0).fresh()
}

fn flat() -> Case {
    Case::new(6, 37, 23, 211).reg_exponent(0.0).batches_of(50)
}

fn damped() -> Case {
    Case::new(6, 37, 23, 211).damped(1.5, 4.0).batches_of(50)
}

fn large_test() -> Case {
    Case::new(2, 50, 40, 200).test_ratings(300_001)
}

fn many_pairs() -> Case {
    Case::new(2, 9_000, 8_500, 20_000)
}

#[rustfmt::skip]
const FAULTS: &[Fault<Case>] = &[
    // residual.wgsl
    fault("residual", "the first rating beyond a segment counts",
        ("let present = vec4(at < length,", "let present = vec4(at <= length,"), plain),
    fault("residual", "the last rating of four is lost",
        ("at + 3u < length)", "at + 4u < length)"), plain),
    fault("residual", "the fourth residual is lost in the sum",
        ("sum += ((e.x + e.y) + e.z) + e.w;", "sum += (e.x + e.y) + e.z;"), plain),
    fault("residual", "the fourth loss is lost in the sum",
        ("((losses.x + losses.y) + losses.z) + losses.w", "(losses.x + losses.y) + losses.z"), plain),
    fault("residual", "partners swapped in the gradient",
        ("g0 += e.x * a0 + e.y * b0", "g0 += e.x * b0 + e.y * a0"), plain),
    fault("residual", "weights of a pair change places",
        ("at % 2u == 1u", "at % 2u == 0u"), weighted),
    fault("residual", "the loss has no weight",
        ("losses *= weight;", ""), weighted),
    fault("residual", "a residual has its neighbour's weight",
        ("weight_of(min(here + 2u, last_entry))", "weight_of(min(here + 1u, last_entry))"), weighted),
    fault("residual", "the row's own bias is dropped",
        ("params.global_mean + biases[params.own_bias + segment.row]", "params.global_mean"), plain),
    fault("residual", "the mean is dropped",
        ("params.global_mean + biases[params.own_bias + segment.row]", "biases[params.own_bias + segment.row]"), plain),
    fault("residual", "the partner's bias is dropped",
        ("let prediction = base + bias + inner;", "let prediction = base + inner;"), plain),
    fault("residual", "biases of the wrong side",
        ("biases[params.partner_bias + b.partner]", "biases[params.own_bias + b.partner]"), plain),
    fault("residual", "wrong column stride of the partner",
        ("return partner[row * WIDTH + min(column, WIDTH - 1u)];", "return partner[row * (WIDTH - 1u) + min(column, WIDTH - 1u)];"), plain),
    fault("residual", "the last column is lost",
        ("return select(vec4<f32>(), value, column < WIDTH);", "return select(vec4<f32>(), value, column < WIDTH - 1u);"), plain),
    fault("residual", "a column beyond the row counts",
        ("return select(vec4<f32>(), value, column < WIDTH);", "return value;"), ragged),
    fault("residual", "the second column's products are lost",
        ("product += vec4(dot(x1, a1), dot(x1, b1), dot(x1, c1), dot(x1, d1));", ""), wide),
    fault("residual", "the third column repeats the second",
        ("let column2 = lane + 2u * LANES;", "let column2 = lane + LANES;"), widest),
    fault("residual", "the fourth column's products are swapped",
        ("dot(x3, c3), dot(x3, d3)", "dot(x3, d3), dot(x3, c3)"), widest),
    fault("residual", "a lane's product is lost",
        ("for (var j = 0u; j < LANES; j += 1u)", "for (var j = 1u; j < LANES; j += 1u)"), plain),
    fault("residual", "products of another team",
        ("inner += products[half + team * LANES + j];\n            }\n        } else", "inner += products[half + j];\n            }\n        } else"), plain),
    fault("residual", "the second stage misses lanes",
        ("j < LANES / 8u", "j < LANES / 8u - 1u"), widest),
    fault("residual", "residuals go one place too far",
        ("let to = here - params.batch_start;", "let to = here - params.batch_start + 1u;"), plain),
    fault("residual", "residuals of a later batch go to the wrong place",
        ("let to = here - params.batch_start;", "let to = here;"), batched),
    fault("residual", "a gradient goes to its row's place instead of its slot",
        ("let to = segment.slot * WIDTH;", "let to = segment.row * WIDTH;"), hot),
    fault("residual", "sums go to the wrong slot",
        ("sums[params.sums_start + segment.slot]", "sums[params.sums_start + segment.row]"), hot),
    fault("residual", "sums ignore where their batch starts",
        ("sums[params.sums_start + segment.slot]", "sums[segment.slot]"), batched),
    fault("residual", "the loss is not squared",
        ("return residual * residual;", "return abs(residual);"), plain),
    fault("residual", "the sign of the sigmoid",
        ("1.0 / (1.0 + exp(-prediction))", "1.0 / (1.0 + exp(prediction))"), logistic),
    fault("residual", "a term of the cross-entropy is lost",
        ("- value * prediction\n", "\n"), logistic),
    fault("residual", "the last segment of a dispatch is left out",
        ("first + team <= last);", "first + team < last);"), plain),
    // gradient.wgsl
    fault("gradient", "the last rating of a segment is lost",
        ("for (var at = whole; at < length; at += 1u)", "for (var at = whole; at + 1u < length; at += 1u)"), plain),
    fault("gradient", "one rating beyond the segment",
        ("for (var at = whole; at < length; at += 1u)", "for (var at = whole; at <= length; at += 1u)"), plain),
    fault("gradient", "links swapped",
        ("vec4(residuals[a.link], residuals[b.link]", "vec4(residuals[b.link], residuals[a.link]"), hot_follower),
    fault("gradient", "residuals read in the other side's order",
        ("let e = residuals[a.link];", "let e = residuals[segment.start + at];"), plain),
    fault("gradient", "wrong column stride of the partner",
        ("return partner[row * WIDTH + min(column, WIDTH - 1u)];", "return partner[row * (WIDTH + 1u) + min(column, WIDTH - 1u)];"), plain),
    fault("gradient", "a gradient goes to its row's place instead of its slot",
        ("let to = segment.slot * WIDTH;", "let to = segment.row * WIDTH;"), hot_follower),
    fault("gradient", "the last column is not written",
        ("if column0 < WIDTH {", "if column0 < WIDTH - 1u {"), plain),
    fault("gradient", "the second column is lost from the rest",
        ("if COLUMNS > 1u { g1 += e * partner_column(a.partner, column1); }", ""), wide),
    fault("gradient", "sums of one residual of four",
        ("sum += ((e.x + e.y) + e.z) + e.w;", "sum += ((e.x + e.y) + e.z) + e.z;"), hot_follower),
    fault("gradient", "sums ignore where their batch starts",
        ("sums[params.sums_start + segment.slot]", "sums[segment.slot]"), batched),
    fault("gradient", "the last segment of a dispatch is left out",
        ("index <= last);", "index < last);"), plain),
    fault("gradient", "a team's segment is its lane's",
        ("(WORKGROUP / LANES) + team;", "(WORKGROUP / LANES) + lane;"), plain),
    // step.wgsl
    fault("step", "the step is not scaled",
        ("return Moved(x - rate * g, first, second);", "return Moved(x - g, first, second);"), plain),
    fault("step", "factors are not regularized",
        ("params.decay * own.weight + params", "params"), plain),
    fault("step", "the weight of the regularization is dropped",
        ("params.decay * own.weight + params", "params.decay + params"), flat),
    fault("step", "factors are not damped",
        ("+ params.damping * own.share)", ")"), damped),
    fault("step", "damping counts in full at every rating",
        ("+ params.damping * own.share)", "+ params.damping * own.weight)"), damped),
    fault("step", "biases are not damped",
        ("+ params.damping_bias * own.share)", ")"), damped),
    fault("step", "biases are regularized as factors",
        ("params.decay_bias * own.weight", "params.decay * own.weight"), plain),
    fault("step", "the last slot of a row is lost",
        ("sum += gradients[slot * WIDTH + column];", "if slot + 1u < own.slot + max(own.slots, 2u) { sum += gradients[slot * WIDTH + column]; }"), hot),
    fault("step", "the bias takes the first slot alone",
        ("sum += sums[params.sums_start + slot].x;", "sum = sums[params.sums_start + own.slot].x;"), hot),
    fault("step", "the bias takes the loss for the residuals",
        ("sums[params.sums_start + slot].x", "sums[params.sums_start + slot].y"), plain),
    fault("step", "the last row of a dispatch is left out",
        ("if at >= params.rows {", "if at + 1u >= params.rows {"), plain),
    fault("step", "the wrong row",
        ("let own = touched[params.first_row + at];", "let own = touched[at];"), batched),
    fault("step", "biases of the wrong side",
        ("let to = params.own_bias + own.row;", "let to = own.row;"), plain),
    fault("step", "biases move at the factors' rate",
        ("let rate = visit.rate * params.bias_rate;", "let rate = visit.rate;"), slow_biases),
    fault("step", "momentum is forgotten",
        ("let v = params.momentum * first + g;", "let v = g;"), momentum),
    fault("step", "momentum moves by the gradient",
        ("return Moved(x - rate * v, v, second);", "return Moved(x - rate * g, v, second);"), momentum),
    fault("step", "adagrad forgets",
        ("let v = first + g * g;", "let v = 0.9 * first + g * g;"), adagrad),
    fault("step", "adagrad takes no root",
        ("rate * g / (sqrt(v) + EPSILON)", "rate * g / (v + EPSILON)"), adagrad),
    fault("step", "adagrad's epsilon inside the root",
        ("rate * g / (sqrt(v) + EPSILON)", "rate * g / sqrt(v + EPSILON)"), fresh_adagrad),
    fault("step", "adam's decays swapped",
        ("let m = BETA1 * first", "let m = BETA2 * first"), adam),
    fault("step", "adam's second decay lost",
        ("let v = BETA2 * second", "let v = second"), adam),
    fault("step", "adam's second moment of the gradient itself",
        ("ONE_MINUS_BETA2 * (g * g)", "ONE_MINUS_BETA2 * abs(g)"), adam),
    fault("step", "adam's epsilon inside the root",
        ("rate * m / (sqrt(v) + EPSILON)", "rate * m / sqrt(v + EPSILON)"), fresh_adam),
    fault("step", "adam's first moment is not kept",
        ("return Moved(x - rate * m / (sqrt(v) + EPSILON), m, v);", "return Moved(x - rate * m / (sqrt(v) + EPSILON), first, v);"), adam),
    fault("step", "moments of the biases swapped",
        ("vec2(moved.first.x, moved.second.x)", "vec2(moved.second.x, moved.first.x)"), adam),
    // error.wgsl
    fault("error", "the last rating is lost",
        ("at < params.ratings);", "at + 1u < params.ratings);"), plain),
    fault("error", "ratings beyond the last count",
        ("select(0.0, loss, at < params.ratings)", "loss"), plain),
    fault("error", "the user's bias is dropped",
        ("biases[params.user_bias + rating.user] + ", ""), plain),
    fault("error", "the items' biases for the users'",
        ("biases[params.user_bias + rating.user]", "biases[params.item_bias + rating.user]"), plain),
    fault("error", "the mean is dropped",
        ("params.global_mean + bias + inner", "bias + inner"), plain),
    fault("error", "the last column is lost",
        ("column < WIDTH;", "column + 1u < WIDTH;"), plain),
    fault("error", "wrong column stride of the items",
        ("items[rating.item * WIDTH + column]", "items[rating.item + column]"), plain),
    fault("error", "the tree loses its root's partner",
        ("width > 0u;", "width > 1u;"), plain),
    fault("error", "a term of the cross-entropy is lost",
        ("+ log(1.0 + exp(-abs(prediction)))", ""), logistic),
    fault("error", "partials overwrite each other",
        ("partials[group.x]", "partials[0]"), plain),
    // reduce.wgsl
    fault("reduce", "the last pair is lost",
        ("at < params.pairs;", "at + 1u < params.pairs;"), plain),
    fault("reduce", "the first number of the pair",
        ("let value = pairs[at].y;", "let value = pairs[at].x;"), plain),
    fault("reduce", "the second turn overlaps the first",
        ("at += STRIDE", "at += STRIDE / 2u"), large_test),
    fault("reduce", "one turn only",
        ("at += STRIDE", "at += 64u * STRIDE"), many_pairs),
    fault("reduce", "the tree starts too low",
        ("var width = WORKGROUP / 2u;", "var width = WORKGROUP / 4u;"), many_pairs),
    fault("reduce", "results overwrite each other",
        ("results[params.results + group.x]", "results[params.results]"), many_pairs),
    // Faults of every occurrence.
    faults(2, fault("step", "every sum starts at the second slot",
        ("var slot = fours;", "var slot = fours + 1u;"), plain)),
    faults(2, fault("step", "the last of four slots is lost",
        ("(((sum + a) + b) + c) + d;", "((sum + a) + b) + c;"), hot)),
    faults(8, fault("residual", "a row beyond the segment is read in place of its last",
        (", final_entry)]", ", 0u)]"), plain)),
];

#[test]
fn faults_of_residual_are_noticed() {
    hold("residual", FAULTS);
}

#[test]
fn faults_of_gradient_are_noticed() {
    hold("gradient", FAULTS);
}

#[test]
fn faults_of_step_are_noticed() {
    hold("step", FAULTS);
}

#[test]
fn faults_of_error_are_noticed() {
    hold("error", FAULTS);
}

#[test]
fn faults_of_reduce_are_noticed() {
    hold("reduce", FAULTS);
}

/// Which number of a backend's results is off by a hundredth.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Off {
    Nothing,
    Residual,
    Loss,
    LeadGradient,
    LeadBias,
    FollowGradient,
    FollowBias,
    EpochLoss,
    EpochRatings,
    TestLoss,
    UserFactor,
    ItemFactor,
    UserBias,
    ItemBias,
    Mean,
    FirstMoment,
    SecondMoment,
    BiasMoment,
    NotANumber,
}

/// The CPU backend with one number off: what the comparison looks at, it looks at whole.
struct Distorted(Cpu, Off);

struct DistortedPasses(Box<dyn GradientPasses>, Off);

impl Backend for Distorted {
    fn device(&self) -> Device {
        self.0.device()
    }

    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        self.0.choice_passes(problem)
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        Ok(Box::new(DistortedPasses(self.0.gradient_passes(problem)?, self.1)))
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.0.copy_bytes_per_second()
    }

    fn operations_per_second(&self) -> Result<f64> {
        self.0.operations_per_second()
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        self.0.row_passes(problem)
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        self.0.gibbs_passes(problem)
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        self.0.ranker(candidates)
    }
}

impl DistortedPasses {
    fn last(&self, off: Off, numbers: &mut [f32]) {
        if let (true, Some(last)) = (self.1 == off, numbers.last_mut()) {
            *last += 0.01 * last.abs().max(0.1);
        }
    }

    fn distort(&self, factors: &mut Factors) {
        self.last(Off::UserFactor, &mut factors[Side::User].factors);
        self.last(Off::ItemFactor, &mut factors[Side::Item].factors);
        self.last(Off::UserBias, &mut factors[Side::User].bias);
        self.last(Off::ItemBias, &mut factors[Side::Item].bias);
        self.last(Off::Mean, std::slice::from_mut(&mut factors.global_mean));
        if self.1 == Off::NotANumber {
            factors[Side::Item].factors[0] = f32::NAN;
        }
    }
}

impl GradientPasses for DistortedPasses {
    fn epoch(
        &mut self,
        visits: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        let mut sums = self.0.epoch(visits, watch)?;
        sums.loss *= if self.1 == Off::EpochLoss { 1.01 } else { 1.0 };
        sums.ratings -= usize::from(self.1 == Off::EpochRatings);
        Ok(sums)
    }

    fn test_loss(&mut self) -> Result<f64> {
        Ok(self.0.test_loss()? * if self.1 == Off::TestLoss { 1.01 } else { 1.0 })
    }

    fn keep(&mut self) -> Result<()> {
        self.0.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        self.0.kept()
    }

    fn factors(&mut self) -> Result<Factors> {
        let mut factors = self.0.factors()?;
        self.distort(&mut factors);
        Ok(factors)
    }

    fn state(&mut self) -> Result<State> {
        let mut state = self.0.state()?;
        self.distort(&mut state.factors);
        self.last(Off::FirstMoment, &mut state.moments[0][Side::Item].factors);
        self.last(Off::SecondMoment, &mut state.moments[1][Side::User].factors);
        self.last(Off::BiasMoment, &mut state.moments[1][Side::Item].bias);
        Ok(state)
    }

    fn probe(&mut self, batch: usize) -> Result<Probe> {
        let mut probe = self.0.probe(batch)?;
        self.last(Off::Residual, &mut probe.residuals);
        self.last(Off::LeadGradient, &mut probe.lead);
        self.last(Off::LeadBias, &mut probe.lead_bias);
        self.last(Off::FollowGradient, &mut probe.follow);
        self.last(Off::FollowBias, &mut probe.follow_bias);
        probe.loss *= if self.1 == Off::Loss { 1.01 } else { 1.0 };
        Ok(probe)
    }
}

#[test]
fn every_number_is_compared() {
    let case = adam();
    let distorted = |off| compare(&Distorted(Cpu::new(), off), &case);
    distorted(Off::Nothing).unwrap();
    for off in [
        Off::Residual,
        Off::Loss,
        Off::LeadGradient,
        Off::LeadBias,
        Off::FollowGradient,
        Off::FollowBias,
        Off::EpochLoss,
        Off::EpochRatings,
        Off::TestLoss,
        Off::UserFactor,
        Off::ItemFactor,
        Off::UserBias,
        Off::ItemBias,
        Off::Mean,
        Off::FirstMoment,
        Off::SecondMoment,
        Off::BiasMoment,
        Off::NotANumber,
    ] {
        assert!(distorted(off).is_err(), "{off:?} is unnoticed");
    }
}
