//! New users of a model whose loss was made for ranking: some steps of that loss on their rows, the items as
//! they are. Made on the processor, whatever device the model is on.
//!
//! A row begins at the mean of its items' rows. A step goes by all of a user's pairs, against a pool that
//! depends on the step alone, so that it does not matter who else is folded in.

use super::fold_in::start;
use crate::backend::{Backend, ChoiceProblem, ChoiceSizes, ChoiceTerms, State, Terms, adam_rate};
use crate::core::{
    ChoicePlan, Contrast, Factors, Ids, Negatives, Optimizer, Options, Ratings, Score, Side,
    SideFactors, Solver,
};
use crate::cpu::Cpu;
use crate::model::Model;
use crate::{Error, Result};
use std::ops::ControlFlow;

/// Steps of a row.
const STEPS: usize = 30;

/// The first step, of the root mean square of the items' numbers; and what is left of it after each.
const RATE: f64 = 0.3;
const DECAY: f64 = 0.9;

/// Draws of a step's pool, at the most.
const POOL: usize = 2048;

/// Users whose rows are stepped together.
const GROUP: usize = 256;

/// The rows of users, (rows, factors), and biases of zero.
pub(super) fn by_steps(
    model: &Model,
    side: Side,
    ids: &Ids,
    ratings: &Ratings,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let objective = &model.objective;
    let loss = objective.loss;
    if side == Side::Item {
        return Err(Error::data(format!(
            "items are not folded into a model of `loss` {}, whose items learn from all users at once; \
             train anew with them",
            loss.name()
        )));
    }
    let Some(contrast) = objective.contrast else {
        return Err(Error::data("the model has no settings of its loss"));
    };
    let contrast = Contrast {
        negatives: match contrast.negatives {
            Negatives::Pool(count) => Negatives::Pool(count.min(POOL)),
            Negatives::Batch | Negatives::Mixed(_) | Negatives::All => Negatives::Pool(POOL),
        },
        dropout: 0.0,
        cut_off: None,
        ..contrast
    };
    let factors = begin(start(&model.factors, side, ids.len())?, ratings, contrast.score);
    let (k, items) = (factors.factors, factors.items());
    // A problem of one pair, for what all have in common.
    let one = Ratings {
        users: vec![0],
        items: vec![0],
        values: vec![1.0],
        timestamps: Vec::new(),
        weights: Vec::new(),
    };
    let options = Options { loss: Some(loss), ..Options::of(Solver::Adam) };
    let mut settings = options.resolve(&one, 1, 1)?;
    (settings.factors, settings.bias, settings.contrast) = (k, objective.bias, Some(contrast));
    (settings.reg, settings.seed) = (objective.reg, model.run.seed);
    let plan = ChoicePlan::new(ratings, &[], (ids.len(), items), &settings)?;
    let plan = plan.among(&model.item_ratings);
    let (_, pool, draws) = plan.most();
    let counts = ratings.counts(Side::User, ids.len());
    let groups = (0..ids.len()).step_by(GROUP).map(|from| from..(from + GROUP).min(ids.len()));
    let pairs = groups.clone().map(|group| counts[group].iter().sum::<u32>()).max().unwrap_or(0);
    let zeros = Factors {
        factors: k,
        sides: [SideFactors::try_zeros(ids.len(), k)?, SideFactors::try_zeros(items, k)?],
        global_mean: 0.0,
    };
    let numbers = &factors[Side::Item].factors;
    let square: f64 = numbers.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let size = (square / numbers.len().max(1) as f64).sqrt();
    let mut passes = Cpu::new().choice_passes(ChoiceProblem {
        users: ids.len(),
        items,
        start: State { factors, moments: vec![zeros.clone(), zeros] },
        terms: Terms::new(&settings, Optimizer::Adam),
        choice: ChoiceTerms::new(&settings, &contrast, items),
        most: ChoiceSizes { pairs: pairs as usize, pool, draws },
        still_items: true,
    })?;
    let rate = |step: usize| adam_rate(RATE * size * DECAY.powi(step as i32), step) as f32;
    for group in groups {
        let users = group.start as u32..group.end as u32;
        let mut batches = plan.of_users(users, STEPS, rate).filter(|batch| batch.pairs() > 0);
        passes.epoch(&mut batches, &mut |_| ControlFlow::Continue(()))?;
    }
    let rows = passes.factors()?.normalized(contrast.score == Score::Cosine);
    let [users, _] = rows.sides;
    Ok((users.factors, users.bias))
}

/// Every user at the mean of his items' rows.
fn begin(mut factors: Factors, ratings: &Ratings, score: Score) -> Factors {
    let k = factors.factors;
    let counts = ratings.counts(Side::User, factors.users());
    let [users, items] = &mut factors.sides;
    for (user, item, _) in ratings.iter() {
        let (user, item) = (user as usize, item as usize);
        let (to, from) = (&mut users.factors[user * k..][..k], &items.factors[item * k..][..k]);
        for (to, from) in to.iter_mut().zip(from) {
            *to += from / counts[user] as f32;
        }
    }
    factors.normalized(score == Score::Cosine)
}
