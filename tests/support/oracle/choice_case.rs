//! Problems of losses made for ranking, to hold a backend against the oracle.

use super::Model;
use super::case::{Draw, TOLERANCE};
use super::choices::{gradient, step};
use crate::common::{gap, largest_gap};
use std::ops::ControlFlow;
use wgmf::backend::{Backend, ChoiceProblem, ChoiceSizes, ChoiceTerms, State, Terms};
use wgmf::core::{
    ChoiceBatch, ChoicePlan, Factors, Loss, Negatives, Optimizer, Options, Ratings, Score,
    Settings, Side, SideFactors, Solver,
};

/// A problem with everything that is drawn, drawn.
#[derive(Clone, Debug)]
pub struct ChoiceCase {
    pub name: String,
    pub users: usize,
    pub items: usize,
    pub pairs: Ratings,
    /// Empty, or a weight a pair.
    pub weights: Vec<f32>,
    pub settings: Settings,
    /// Whether a pair's own score stands beside the pool's.
    pub own: bool,
    pub epochs: usize,
    seed: u64,
}

impl ChoiceCase {
    /// `pairs` random pairs, all in one batch.
    pub fn new(loss: Loss, k: usize, (users, items): (usize, usize), pairs: usize) -> Self {
        let seed = (k * 131 + users * 17 + items * 5 + pairs) as u64;
        let mut draw = Draw::new(seed);
        let mut chosen = Ratings::default();
        for _ in 0..pairs {
            // A few items are chosen more often than others.
            let item = draw.below(items).min(draw.below(items));
            chosen.users.push(draw.below(users));
            chosen.items.push(item);
            chosen.values.push(1.0);
        }
        let mut options = Options::of(Solver::Adam);
        (options.loss, options.factors, options.seed) = (Some(loss), Some(k), seed);
        (options.batch_size, options.learning_rate) = (Some(pairs), Some(0.02));
        options.contrast.negatives = Some(Negatives::Pool(37));
        // So that some negatives are above it, and some are not.
        options.contrast.margin = Some(0.05);
        options.contrast.negative_weight = (loss == Loss::Ccl).then_some(3.0);
        options.contrast.temperature = (loss == Loss::Softmax).then_some(0.3);
        options.contrast.tries = (!loss.is_dense()).then_some(5);
        options.contrast.margin =
            options.contrast.margin.filter(|_| matches!(loss, Loss::Ccl | Loss::Warp));
        let settings = options.resolve(&chosen, users, items).unwrap();
        let name = format!("{} of {k} factors, {users} × {items}, {pairs} pairs", loss.name());
        Self {
            name,
            users,
            items,
            pairs: chosen,
            weights: Vec::new(),
            settings,
            own: false,
            epochs: 1,
            seed,
        }
    }

    /// Another choice of some settings.
    pub fn with(mut self, what: &str, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self.name += &format!(", {what}");
        self
    }

    pub fn negatives(self, negatives: Negatives) -> Self {
        self.contrast(&format!("negatives {negatives}"), |c| c.negatives = negatives)
    }

    pub fn contrast(self, what: &str, change: impl FnOnce(&mut wgmf::core::Contrast)) -> Self {
        self.with(what, |settings| change(settings.contrast.as_mut().unwrap()))
    }

    pub fn inner(self) -> Self {
        self.contrast("inner products", |c| c.score = Score::Inner)
            .with("biases", |settings| settings.bias = true)
    }

    /// Pairs that weigh 0.5 to 2.
    pub fn weighted(mut self) -> Self {
        let mut draw = Draw::new(self.seed ^ 0x11);
        self.weights = (0..self.pairs.len()).map(|_| draw.between(0.5, 2.0)).collect();
        self.name += ", weights";
        self
    }

    pub fn own(mut self) -> Self {
        self.own = true;
        self.name += ", beside their own";
        self
    }

    pub fn batches_of(mut self, pairs: usize) -> Self {
        self.settings.batch_size = pairs;
        self.name += &format!(", batches of {pairs}");
        self
    }

    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    pub fn solver(self, solver: Solver) -> Self {
        self.with(solver.name(), |settings| {
            settings.solver = solver;
            settings.learning_rate = if solver == Solver::Sgd { 0.3 } else { 0.02 };
        })
    }

    pub fn optimizer(&self) -> Optimizer {
        self.settings.solver.optimizer().unwrap()
    }

    pub fn terms(&self) -> Terms {
        Terms::new(&self.settings, self.optimizer())
    }

    pub fn choice(&self) -> ChoiceTerms {
        let contrast = self.settings.contrast.unwrap();
        ChoiceTerms { own: self.own, ..ChoiceTerms::new(&self.settings, &contrast, self.items) }
    }

    pub fn plan(&self) -> ChoicePlan {
        let sizes = (self.users, self.items);
        ChoicePlan::new(&self.pairs, &self.weights, sizes, &self.settings).unwrap()
    }

    /// The users' scores at the cut-off: some numbers.
    pub fn thresholds(&self) -> Vec<f32> {
        let cut_off = self.settings.contrast.unwrap().cut_off;
        let mut draw = Draw::new(self.seed ^ 0x77);
        let count = if cut_off.is_some() { self.users } else { 0 };
        (0..count).map(|_| draw.between(-0.5, 0.9)).collect()
    }

    fn rate(&self) -> impl Fn(usize) -> f32 + Send + 'static {
        let rate = self.settings.learning_rate;
        move |step| (rate * (1.0 + 0.1 * (step % 3) as f64)) as f32
    }

    /// The batches of an epoch, from 1.
    pub fn batches(&self, epoch: usize) -> Vec<ChoiceBatch> {
        self.plan().epoch(epoch, &self.thresholds(), self.rate()).collect()
    }

    fn draw(&self, draw: &mut Draw, low: f64, high: f64) -> Factors {
        let k = self.settings.factors;
        let mut of = |rows: usize| SideFactors {
            factors: (0..rows * k).map(|_| draw.between(low, high)).collect(),
            bias: (0..rows)
                .map(|_| if self.settings.bias { draw.between(low, high) } else { 0.0 })
                .collect(),
        };
        let mut sides = [of(self.users), of(self.items)];
        sides[0].bias.fill(0.0);
        Factors { factors: k, sides, global_mean: 0.0 }
    }

    /// Where it starts: at factors, and moments, that are none of them small.
    pub fn start(&self) -> State {
        let mut draw = Draw::new(self.seed ^ 0x5747);
        let k = (self.settings.factors as f64).sqrt();
        let factors = self.draw(&mut draw, -1.2 / k.sqrt(), 1.5 / k.sqrt());
        let moments = match self.optimizer() {
            Optimizer::Sgd => Vec::new(),
            Optimizer::Adagrad => vec![self.draw(&mut draw, 0.5, 1.0)],
            Optimizer::Adam => {
                vec![self.draw(&mut draw, -0.1, 0.1), self.draw(&mut draw, 0.01, 0.04)]
            }
        };
        State { factors, moments }
    }

    pub fn problem(&self) -> ChoiceProblem {
        let (pairs, pool, draws) = self.plan().most();
        ChoiceProblem {
            users: self.users,
            items: self.items,
            start: self.start(),
            terms: self.terms(),
            choice: self.choice(),
            most: ChoiceSizes { pairs, pool, draws },
            still_items: false,
        }
    }
}

/// Holds a backend against the oracle: what it computes for the first batch, and where its epochs end.
pub fn compare(backend: &dyn Backend, case: &ChoiceCase) -> Result<f64, String> {
    compared(backend, case).map_err(|what| format!("{}: {what}", case.name))
}

fn compared(backend: &dyn Backend, case: &ChoiceCase) -> Result<f64, String> {
    let mut passes = backend.choice_passes(case.problem()).map_err(|e| e.to_string())?;
    let (start, terms, choice) = (case.start(), case.terms(), case.choice());
    let mut model = Model::from(&start.factors);
    let mut worst = 0.0_f64;
    let mut near = |what: &str, far: f64| match far <= TOLERANCE {
        true => {
            worst = worst.max(far);
            Ok(())
        }
        false => Err(format!("{what} is off by {far:.1e}")),
    };
    let batch = &case.batches(1)[0];
    let probe = passes.probe(batch).map_err(|e| e.to_string())?;
    let want = gradient(&model, (terms.loss, terms.bias), &choice, batch);
    if want.doubt < 2e-6 {
        return Err(format!("32 bits cannot tell what is picked ({:.0e})", want.doubt));
    }
    near("the loss", gap(probe.loss, want.loss, 0.1 * batch.pairs() as f64))?;
    near("scores", largest_gap(&probe.scores, &want.scores))?;
    if !terms.loss.is_dense() && probe.picks != want.picks {
        let at = (0..batch.pairs()).find(|&pair| probe.picks.get(pair) != want.picks.get(pair));
        return Err(format!("pair {at:?} picks another"));
    }
    // Rows that nothing pulls at are to stand still.
    let whole = |what: &str, got: &[f32], want: &[f64]| match want.iter().all(|x| *x == 0.0) {
        // Rows of one factor have a cosine of 1 or −1, whatever they are: but for roundings.
        true if got.iter().all(|x| x.abs() < 1e-5) => Ok(0.0),
        true => Err(format!("{what} is not zero")),
        false if got.len() != want.len() => Err(format!("{what}: {} numbers", got.len())),
        false => Ok(largest_gap(got, want)),
    };
    near("users' gradient", whole("users' gradient", &probe.users, &want.users.concat())?)?;
    near("items' gradient", whole("items' gradient", &probe.items, &want.items.concat())?)?;
    if terms.bias {
        near("biases' gradient", whole("biases' gradient", &probe.item_bias, &want.bias)?)?;
    }
    let mut moments: Vec<Model> = start.moments.iter().map(Model::from).collect();
    for epoch in 1..=case.epochs {
        let batches = case.batches(epoch);
        let mut loss = 0.0;
        for batch in &batches {
            loss += step(&mut model, &mut moments, &terms, &choice, batch);
        }
        let sums = passes
            .epoch(&mut batches.into_iter(), &mut |_| ControlFlow::Continue(()))
            .map_err(|e| e.to_string())?;
        near("the loss of an epoch", gap(sums.loss, loss, 0.1 * case.pairs.len() as f64))?;
        if sums.ratings != case.pairs.len() {
            return Err(format!("an epoch visits {} pairs", sums.ratings));
        }
    }
    let state = passes.state().map_err(|e| e.to_string())?;
    if state.factors != passes.factors().map_err(|e| e.to_string())? {
        return Err("state and factors differ".to_owned());
    }
    let ends = [&state.factors]
        .into_iter()
        .chain(&state.moments)
        .zip([&model].into_iter().chain(&moments));
    let starts = [&start.factors].into_iter().chain(&start.moments);
    for (j, ((got, want), start)) in ends.zip(starts).enumerate() {
        for side in Side::BOTH {
            let (got, start) = (&got[side], &start[side]);
            let want = if side == Side::User { &want.users } else { &want.items };
            let parts = [
                (&got.factors, &start.factors, want.factors.concat()),
                (&got.bias, &start.bias, want.bias.clone()),
            ];
            for (got, start, want) in parts {
                // How far they moved, against how far they were to.
                let moves = want.iter().zip(start).map(|(want, &start)| want - f64::from(start));
                let moves: Vec<f64> = moves.collect();
                if moves.iter().all(|x| *x == 0.0) {
                    if got != start {
                        return Err(format!("array {j} of {}s moves", side.name()));
                    }
                    continue;
                }
                let rms = (moves.iter().map(|x| x * x).sum::<f64>() / moves.len() as f64).sqrt();
                let size = want.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
                // Numbers are rounded by their own size, however little they move.
                let floor = rms.max(1e-2 * size);
                let far = got.iter().zip(&want).map(|(&got, &want)| (f64::from(got) - want).abs());
                near(
                    &format!("array {j} of {}s", side.name()),
                    far.fold(
                        0.0,
                        |most, x| if x.is_nan() { f64::INFINITY } else { f64::max(most, x) },
                    ) / floor,
                )?;
            }
        }
    }
    Ok(worst)
}
