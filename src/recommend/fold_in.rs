//! New users (or items) get their rows from their ratings, the other side as it is.

use super::by_steps::by_steps;
use super::draw_in::drawn;
use super::{NewRows, logistic};
use crate::backend::{ALL, Backend, RowProblem, RowTerms, or_fall_back};
use crate::core::{
    Factors, Ids, Loss, Objective, Ratings, RowRatings, Side, SideFactors, Sizes, UNKNOWN, escaped,
};
use crate::memory::{self, size};
use crate::model::{DrawnRows, Model, RowMeans, Samples, Seen};
use crate::{Error, Result};
use std::ops::ControlFlow;

/// Rows that were solved (of a Bayesian model drawn) from ratings, and these.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FoldedIn {
    /// The ids of the rows.
    pub ids: Ids,
    /// (rows, factors), row-major.
    pub factors: Vec<f32>,
    /// (rows); zeros for a model without biases.
    pub bias: Vec<f32>,
    /// Of a Bayesian model the draws for each of its samples, of which the rows are the means.
    pub draws: Vec<DrawnRows>,
    pub(super) side: Option<Side>,
    pub(super) ratings: Ratings,
}

/// Calls of coordinate descent, at most; each visits every coordinate several times.
const CALLS: usize = 200;
/// A row stands still where no number moves by more than this part of the largest.
const STILL: f32 = 1e-5;

/// Solves the rows of `ids`, users or items by `side`, from their `ratings`, by the objective the
/// model was trained by: the row that a further half sweep of alternating least squares would give
/// them (for logistic loss by Newton's method to convergence, for nonnegative factors by coordinate
/// descent until no number moves by more than 1e-5 of the row's largest, or 200 calls of it). The gradient solvers'
/// objective is the same sum, so their models take part; for a model of the sampler there is
/// [`draw_in`](super::draw_in). Of a loss made for ranking users alone are folded in, by some steps of
/// the same loss on their rows, on the processor.
///
/// `ratings` are transformed as in training; on the folded side indices count `ids`, on the other
/// the model's rows. A row without ratings becomes zero. The model stays as it is;
/// [`FoldedIn::join`] makes the rows a part of it.
///
/// # Errors
/// As [`Model::check`]; an index out of range; a rating that the objective has no use for (a negative one for `ials`,
/// another label than 0 and 1 for logistic loss); a row that its ratings do not determine (without
/// regularization); a lost device.
///
/// ```
/// # use wgmf::cpu::Cpu;
/// # use wgmf::core::{Factors, Ids, Objective, Ratings, Side, SideFactors, Solver};
/// # use wgmf::model::Model;
/// # fn main() -> wgmf::Result<()> {
/// # let model = Model {
/// #     typical: Default::default(),
/// #     factors: Factors {
/// #         factors: 2,
/// #         sides: [
/// #             SideFactors { factors: vec![1.0, 0.0], bias: vec![0.0] },
/// #             SideFactors { factors: vec![1.0, 0.0, 0.0, 1.0, 0.9, 0.1], bias: vec![0.0; 3] },
/// #         ],
/// #         global_mean: 3.0,
/// #     },
/// #     users: ["ann"].into_iter().collect(),
/// #     items: ["x", "y", "z"].into_iter().collect(),
/// #     user_ratings: vec![1],
/// #     item_ratings: vec![1, 0, 0],
/// #     objective: Objective::new(Solver::Als),
/// #     facts: Default::default(),
/// #     run: Default::default(),
/// # };
/// use wgmf::recommend::fold_in;
///
/// // Bob, who is new, gives x five stars and y one.
/// let bob: Ids = ["bob"].into_iter().collect();
/// let ratings = Ratings {
///     users: vec![0, 0],
///     items: vec![0, 1], // x and y in the model
///     values: vec![5.0, 1.0],
///     timestamps: vec![],
/// };
/// let folded = fold_in(&Cpu::new(), &model, Side::User, &bob, &ratings)?;
/// assert!(folded.factors[0] > 1.5 && folded.factors[1] < -1.5);
/// # Ok(())
/// # }
/// ```
pub fn fold_in(
    backend: &dyn Backend,
    model: &Model,
    side: Side,
    ids: &Ids,
    ratings: &Ratings,
) -> Result<FoldedIn> {
    check_solver(model)?;
    let (factors, bias) = solved(backend, model, side, (ids, ratings))?;
    let (ids, ratings) = (ids.clone(), ratings.clone());
    Ok(FoldedIn { ids, factors, bias, draws: Vec::new(), side: Some(side), ratings })
}

fn check_solver(model: &Model) -> Result<()> {
    match model.objective.is_bayesian() {
        true => Err(Error::data(
            "rows of a model of `solver` bayes are drawn, not solved (recommend::draw_in), and its \
             scores are averages over samples, which are not explained; use `solver` als",
        )),
        false => Ok(()),
    }
}

/// The rows of [`fold_in`]: (rows, factors) and (rows).
fn solved(
    backend: &dyn Backend,
    model: &Model,
    side: Side,
    (ids, ratings): (&Ids, &Ratings),
) -> Result<(Vec<f32>, Vec<f32>)> {
    model.check()?;
    let objective = &model.objective;
    check_rows(model, side, ids, ratings, |rating| objective.objection(rating))?;
    let f = &model.factors;
    let (factors, bias) = or_fall_back(backend, |backend| {
        let start = start(f, side, ids.len())?;
        match objective.loss {
            Loss::Logistic => logistic::solve(backend, objective, side, start, ratings, ids),
            loss if loss.is_ranking() => by_steps(model, side, ids, ratings),
            Loss::Squared if objective.nonnegative => {
                nonnegative(backend, objective, side, start, ratings)
            }
            _ => squared(backend, problem(objective, start, ratings)?, side),
        }
    })?;
    let mut rows = factors.chunks_exact(f.factors.max(1)).zip(&bias);
    if let Some(row) = rows.position(|(p, b)| !b.is_finite() || p.iter().any(|x| !x.is_finite())) {
        let id = escaped(ids.name(row as u32));
        return Err(Error::data(format!(
            "the ratings of {} \"{id}\" do not determine its factors (the model has reg {}); train \
             with a larger `reg`",
            side.name(),
            objective.reg
        )));
    }
    Ok((factors, bias))
}

impl NewRows {
    /// The rows of these ids, as [`fold_in`] solves them, or where there are `samples` as [`draw_in`](super::draw_in) draws
    /// them. Their ratings go along, where those two keep a copy.
    ///
    /// # Errors
    /// As there.
    pub fn fold_in(
        self,
        backend: &dyn Backend,
        model: &Model,
        samples: Option<&Samples>,
        side: Side,
    ) -> Result<FoldedIn> {
        let Self { ids, ratings, .. } = self;
        let need = need(model, samples, side, &ids, &ratings);
        memory::ensure(need, |room| {
            format!(
                "{} new {}s with {} ratings take {} of memory to be folded in, and {} are left; fold them in \
                 a part at a time",
                ids.len(),
                side.name(),
                ratings.len(),
                size(need),
                size(room.left.unwrap_or(0))
            )
        })?;
        let folded = match samples {
            Some(samples) => drawn(backend, (model, samples), side, &ids, &ratings)?,
            None => {
                check_solver(model)?;
                let (factors, bias) = solved(backend, model, side, (&ids, &ratings))?;
                FoldedIn { factors, bias, ..FoldedIn::default() }
            }
        };
        Ok(FoldedIn { ids, ratings, side: Some(side), ..folded })
    }
}

/// Bytes that folding in takes beside the model and these ratings, at most: while rows are solved, and when
/// they join the model.
fn need(model: &Model, samples: Option<&Samples>, side: Side, ids: &Ids, ratings: &Ratings) -> u64 {
    let f = &model.factors;
    let (mut users, mut items) = (f.users(), f.items());
    *(if side == Side::User { &mut users } else { &mut items }) = ids.len();
    let sizes = Sizes { users, items, ratings: ratings.len(), test: 0 };
    let rows = Factors::bytes(&sizes, f.factors);
    let own = ids.len() as u64 * 4 * (f.factors as u64 + 2);
    let samples = samples.map_or(0, |samples| samples.samples.len()) as u64;
    let weighted = model.objective.alpha.is_some();
    // From where they start, as the device has them, and as they come back.
    let solving = RowRatings::bytes(&sizes, weighted) + 3 * rows + samples.saturating_mul(own);
    // Rows in the model; ratings by the numbers of the model, in order, and with all others.
    let pairs: u64 = model.user_ratings.iter().map(|&n| u64::from(n)).sum();
    let joining = (1 + 2 * samples).saturating_mul(own) + 20 * ratings.len() as u64 + 8 * pairs;
    solving.max(joining)
}

/// Makes sure that `ratings` are of rows that there are, and that there is no `objection` to any.
pub(super) fn check_rows(
    model: &Model,
    side: Side,
    ids: &Ids,
    ratings: &Ratings,
    objection: impl Fn(f32) -> Option<&'static str>,
) -> Result<()> {
    ratings.check_lengths()?;
    let (own, partners) = (ratings.rows(side), ratings.rows(side.partner()));
    let known = model.factors[side.partner()].rows();
    for ((&row, &partner), &rating) in own.iter().zip(partners).zip(&ratings.values) {
        if row as usize >= ids.len() || partner as usize >= known {
            return Err(Error::data(format!(
                "rating of {} {row} lies outside {} new and {known} known rows",
                side.name(),
                ids.len()
            )));
        }
        if let Some(objection) = objection(rating) {
            let id = escaped(ids.name(row));
            return Err(Error::data(format!(
                "rating {rating} of {} \"{id}\": {objection}",
                side.name()
            )));
        }
    }
    Ok(())
}

/// The other side of `f` beside zeros for `rows` new rows of `side`.
pub(super) fn start(f: &Factors, side: Side, rows: usize) -> Result<Factors> {
    let mut start =
        Factors { factors: f.factors, global_mean: f.global_mean, ..Factors::default() };
    start[side] = SideFactors::try_zeros(rows, f.factors)?;
    start[side.partner()] = f[side.partner()].clone();
    Ok(start)
}

/// The least-squares problem of `ratings` from `start`.
fn problem(objective: &Objective, start: Factors, ratings: &Ratings) -> Result<RowProblem> {
    Ok(RowProblem {
        ratings: objective.target().lay_out(ratings, start.users(), start.items())?,
        test: Ratings::default(),
        terms: RowTerms::of(objective, start.factors),
        start,
    })
}

/// Solves a side of a least-squares problem: (rows, factors), (rows).
pub(super) fn squared(
    backend: &dyn Backend,
    mut problem: RowProblem,
    side: Side,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let k = problem.start.factors;
    problem.start = problem.start.widened();
    let mut passes = backend.row_passes(problem)?;
    passes.solve(side, ALL, &mut |_| ControlFlow::Continue(()))?;
    Ok(rows_of(passes.factors()?.narrowed(k), side))
}

/// Solves nonnegative rows: coordinate descent is called again for those that still move.
fn nonnegative(
    backend: &dyn Backend,
    objective: &Objective,
    side: Side,
    start: Factors,
    ratings: &Ratings,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let k = start.factors;
    // Without bounds, then cut at zero: nearer than zeros, and soon had.
    let free = Objective { nonnegative: false, ..objective.clone() };
    let (mut factors, bias) = squared(backend, problem(&free, start.clone(), ratings)?, side)?;
    factors.iter_mut().for_each(|x| *x = if x.is_finite() { x.max(0.0) } else { 0.0 });
    let mut moving: Vec<usize> = (0..bias.len()).collect();
    let mut theirs = ratings.clone();
    for _ in 0..CALLS {
        let at = |row: usize| row * k..(row + 1) * k;
        let own: Vec<f32> = moving.iter().flat_map(|&row| &factors[at(row)]).copied().collect();
        let mut start = start.clone();
        start[side] = SideFactors { factors: own, bias: vec![0.0; moving.len()] };
        let (solved, _) = squared(backend, problem(objective, start, &theirs)?, side)?;
        let mut still = Vec::new();
        for ((place, &row), solved) in moving.iter().enumerate().zip(solved.chunks_exact(k)) {
            let old = &mut factors[at(row)];
            let scale = solved.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let far = |(old, new): (&f32, &f32)| (new - old).abs() > STILL * scale;
            if old.iter().zip(solved).any(far) {
                still.push(place);
            }
            old.copy_from_slice(solved);
        }
        if still.is_empty() {
            break;
        }
        if still.len() < moving.len() {
            theirs = part(side, &theirs, &still, moving.len());
            moving = still.iter().map(|&place| moving[place]).collect();
        }
    }
    Ok((factors, bias))
}

/// The ratings of some `rows` (ascending, of `count`), which are numbered anew.
fn part(side: Side, ratings: &Ratings, rows: &[usize], count: usize) -> Ratings {
    let mut new = vec![UNKNOWN; count];
    for (at, &row) in rows.iter().enumerate() {
        new[row] = at as u32;
    }
    let mut part = ratings.clone();
    let own = part.rows_mut(side);
    own.iter_mut().for_each(|row| *row = new[*row as usize]);
    let kept: Vec<bool> = own.iter().map(|&row| row != UNKNOWN).collect();
    part.retain(|at| kept[at]);
    part
}

/// A side's factors and biases.
pub(super) fn rows_of(mut factors: Factors, side: Side) -> (Vec<f32>, Vec<f32>) {
    let SideFactors { factors, bias } = std::mem::take(&mut factors[side]);
    (factors, bias)
}

impl FoldedIn {
    /// Makes the rows a part of the model they were solved for, of a Bayesian one of its `samples` too,
    /// and their ratings a part of its record of training pairs, which is returned. New ids go behind
    /// the old ones; the rows of ids that the model has are replaced, all others keep their bits. The
    /// counts of ratings grow, and [`Model::facts`] say how many were folded in and how many replaced.
    ///
    /// # Errors
    /// A record, samples or rows that do not belong to this model; then it stays as it was.
    pub fn join(
        &self,
        model: &mut Model,
        samples: Option<&mut Samples>,
        seen: &Seen,
    ) -> Result<Seen> {
        let Some(side) = self.side else { return Ok(seen.clone()) };
        model.check()?;
        let (users, items) = (model.factors.users(), model.factors.items());
        let k = model.factors.factors;
        let drawn = match (&samples, model.is_bayesian()) {
            (Some(samples), true) => {
                self.draws.len() == samples.samples.len() && samples.check(&model.factors).is_ok()
            }
            (None, false) => self.draws.is_empty(),
            _ => false,
        };
        let count = self.ids.len();
        let of_rows =
            |factors: &[f32], bias: &[f32]| [factors.len(), bias.len()] == [count * k, count];
        let weights = if side == Side::User { count } else { 0 };
        let draws = self.draws.iter().all(|drawn| {
            of_rows(&drawn.factors, &drawn.bias) && drawn.noise_weights.len() == weights
        });
        let known = self.ratings.rows(side).iter().all(|&row| (row as usize) < count);
        if !(drawn && draws && known && of_rows(&self.factors, &self.bias))
            || (seen.users(), seen.items()) != (users, items)
        {
            return Err(Error::data("rows that were folded into one model cannot join another"));
        }
        let (mut new_ids, mut rows) = (0, Vec::with_capacity(self.ids.len()));
        let ids = model.ids_mut(side);
        let before = ids.len();
        for id in self.ids.iter() {
            let row = ids.get(id).unwrap_or_else(|| {
                new_ids += 1;
                (before + new_ids - 1) as u32
            });
            rows.push(row);
        }
        let own: Vec<u32> = self.ratings.rows(side).iter().map(|&row| rows[row as usize]).collect();
        let (of_users, of_items) = match side {
            Side::User => (&own, &self.ratings.items),
            Side::Item => (&self.ratings.users, &own),
        };
        let (users, items) = match side {
            Side::User => (users + new_ids, items),
            Side::Item => (users, items + new_ids),
        };
        let grown = seen.extended_by((of_users, of_items, &self.ratings.values), users, items)?;
        // From here on nothing fails.
        for id in self.ids.iter() {
            ids.intern(id);
        }
        let count = before + new_ids;
        model.factors.put_rows(side, &rows, count, &self.factors, &self.bias);
        model.renew_typical(side, &rows, (of_users, of_items));
        if let Some(samples) = samples {
            samples.put_rows(side, &rows, count, &self.draws);
            let (mut means, of) = (RowMeans::new(rows.len()), self.ratings.rows(side));
            samples.each_above_mean((of_users, of_items), |at, above| means.add(of[at], above));
            samples.put_means(side, &rows, count, means);
        }
        model.user_ratings.resize(users, 0);
        model.item_ratings.resize(items, 0);
        for user in 0..users as u32 {
            let old: &[u32] =
                if (user as usize) < seen.users() { seen.items_of(user) } else { &[] };
            let now = grown.items_of(user);
            if now.len() == old.len() {
                continue;
            }
            // What a file counted may be as large as a count can be.
            let grow = |count: &mut u32, by: usize| *count = count.saturating_add(by as u32);
            grow(&mut model.user_ratings[user as usize], now.len() - old.len());
            for item in now.iter().filter(|item| old.binary_search(item).is_err()) {
                grow(&mut model.item_ratings[*item as usize], 1);
            }
        }
        let joined = &mut model.facts.joined[side.index()];
        joined.new = joined.new.saturating_add(new_ids as u64);
        joined.updated = joined.updated.saturating_add((rows.len() - new_ids) as u64);
        model.facts.write(&mut model.run.data);
        Ok(grown)
    }
}
