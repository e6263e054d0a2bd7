//! A start from another model: what it knows stays, what is new is folded in.

use crate::backend::{ALL, Backend, RowProblem, RowTerms, or_fall_back};
use crate::core::{
    Factors, Ids, Likelihood, Ratings, RowRatings, Settings, Side, SideFactors, Solver, row_ratings,
};
use crate::model::Model;
use crate::{Error, Result};
use std::ops::ControlFlow;

/// How many rows of a [`warm_start`] the other model knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// Users whose rows are the other model's.
    pub users: usize,
    /// Items whose rows are the other model's.
    pub items: usize,
}

/// Where training on `ratings` starts from `model`: ids that it knows keep their rows; new items
/// get theirs from the ratings of known users, then new users from all their ratings, then the new
/// items again. Rows are folded in by the objective of `settings`, on `backend`; where ratings are
/// levels of a latent value, which nobody has seen, new rows are zero until the sampler draws them.
///
/// # Errors
/// Settings out of range; a model whose parts do not fit each other, or ratings of other rows than there
/// are; another number of factors, another kind of loss, of solver or of likelihood, no id in common, a
/// device that is too small or lost.
pub fn warm_start(
    backend: &dyn Backend,
    model: &Model,
    (users, items): (&Ids, &Ids),
    ratings: &Ratings,
    settings: &Settings,
) -> Result<(Factors, Known)> {
    settings.check()?;
    model.check()?;
    ratings.check(users.len(), items.len(), false)?;
    let k = model.factors.factors;
    if !settings.loss.is_least_squares() {
        return Err(Error::settings(format!(
            "`from` folds new ids in by least squares, which `loss` {} is not; train anew, or add \
             them with wgmf fold-in",
            settings.loss.name()
        )));
    }
    if k != settings.factors {
        return Err(Error::settings(format!(
            "`from`: that model has {k} factors, the settings ask for {}; give `factors` {k}",
            settings.factors
        )));
    }
    if model.objective.loss != settings.loss
        || model.objective.is_implicit() != settings.is_implicit()
    {
        return Err(Error::settings(format!(
            "`from`: that model was trained by {} and another objective than {} has; start from one \
             of the same kind",
            model.objective.solver.name(),
            settings.solver.name()
        )));
    }
    let (theirs, likelihood) = (model.objective.likelihood.name(), settings.likelihood.name());
    if theirs != likelihood {
        return Err(Error::settings(format!(
            "`from`: that model has `likelihood` {theirs}, here it is {likelihood}, and their factors \
             are in other units; start from one of the same likelihood"
        )));
    }
    let mut start = Factors {
        factors: k,
        sides: [SideFactors::try_zeros(users.len(), k)?, SideFactors::try_zeros(items.len(), k)?],
        global_mean: super::global_mean(ratings, settings)?,
    };
    let new_users = copy_known(&mut start, model, Side::User, users);
    let new_items = copy_known(&mut start, model, Side::Item, items);
    let count = |new: &[bool]| new.iter().filter(|&&new| !new).count();
    let known = Known { users: count(&new_users), items: count(&new_items) };
    if known.users == 0 && known.items == 0 {
        return Err(Error::data(
            "`from`: the model knows none of these users and items; are the ids of the same kind?",
        ));
    }
    if !settings.bias {
        start.sides.iter_mut().for_each(|side| side.bias.fill(0.0));
    }
    if settings.nonnegative {
        let numbers = start.sides.iter_mut().flat_map(|side| &mut side.factors);
        numbers.for_each(|x| *x = x.max(0.0));
    }
    let settings = &match settings.solver {
        // The sampler draws these rows anew; until then something must keep them near the others.
        Solver::Bayes => Settings {
            reg: 0.1 * ratings.spread(),
            reg_bias: 0.05,
            reg_exponent: 1.0,
            ..settings.clone()
        },
        _ => settings.clone(),
    };
    let fold = |start: &mut Factors,
                side: Side,
                new: &[bool],
                partner_new: Option<&[bool]>|
     -> Result<()> {
        let mut part = Ratings::default();
        for (user, item, value) in ratings.iter() {
            let (own, partner) = side.users_first(user, item);
            if new[own as usize] && partner_new.is_none_or(|new| !new[partner as usize]) {
                part.users.push(user);
                part.items.push(item);
                part.values.push(value);
            }
        }
        if part.is_empty() {
            return Ok(());
        }
        *start = or_fall_back(backend, |backend| {
            let rows = row_ratings(&part, settings, (users, items))?;
            solve_new(backend, rows, start, side, new, settings)
        })?;
        Ok(())
    };
    if settings.likelihood == Likelihood::Gaussian {
        fold(&mut start, Side::Item, &new_items, Some(&new_users))?;
        fold(&mut start, Side::User, &new_users, None)?;
        fold(&mut start, Side::Item, &new_items, None)?;
    }
    Ok((start, known))
}

/// Copies the rows that `model` knows of `ids`; which rows it does not know.
fn copy_known(start: &mut Factors, model: &Model, side: Side, ids: &Ids) -> Vec<bool> {
    let k = start.factors;
    let (known, to) = (model.ids(side), &mut start[side]);
    let mut new = vec![true; ids.len()];
    for (row, id) in ids.iter().enumerate() {
        let Some(old) = known.get(id) else { continue };
        to.factors[row * k..(row + 1) * k].copy_from_slice(model.factors.row(side, old));
        to.bias[row] = model.factors[side].bias[old as usize];
        new[row] = false;
    }
    new
}

/// `start` with the new rows of a side solved from `ratings`.
fn solve_new(
    backend: &dyn Backend,
    ratings: RowRatings,
    start: &Factors,
    side: Side,
    new: &[bool],
    settings: &Settings,
) -> Result<Factors> {
    let k = start.factors;
    let terms = RowTerms { block: k.max(1), ..RowTerms::new(settings) };
    let problem =
        RowProblem { ratings, test: Ratings::default(), start: start.clone().widened(), terms };
    let mut passes = backend.row_passes(problem)?;
    passes.solve(side, ALL, &mut |_| ControlFlow::Continue(()))?;
    let solved = passes.factors()?.narrowed(k);
    let mut folded = start.clone();
    let (to, from) = (&mut folded[side], &solved[side]);
    for row in (0..new.len()).filter(|&row| new[row]) {
        let at = row * k..(row + 1) * k;
        to.factors[at.clone()].copy_from_slice(&from.factors[at]);
        to.bias[row] = from.bias[row];
    }
    Ok(folded)
}
