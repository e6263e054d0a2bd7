//! The losses made for ranking at work: where they start, the batches of an epoch, and what their lists are
//! worth.

use super::gradient::start_of;
use super::lists::{JudgedLists, Lists};
use super::run::{Input, Ready, Start, Watch, Work};
use crate::backend::{
    Backend, Candidates, ChoicePasses, ChoiceProblem, ChoiceSizes, ChoiceTerms, State, Terms,
    adam_rate,
};
use crate::core::{
    ChoicePlan, Contrast, Factors, Optimizer, Ratings, Score, Settings, Side, escaped,
};
use crate::model::{EpochRecord, Seen};
use crate::recommend::ExactRanker;
use crate::{Error, Result};

/// What helps where factors overflow.
pub(super) const REMEDY: &str = "lower `learning_rate` (and `init_scale`, if it is large), or raise \
                                 `temperature`";

/// Lays the pairs out and uploads what training starts from.
pub(super) fn ready<'a>(
    backend: &'a dyn Backend,
    input: &Input,
    settings: &'a Settings,
    optimizer: Optimizer,
    start: Start,
) -> Result<Ready<'a>> {
    let (users, items) = (input.users.len(), input.items.len());
    let Some(contrast) = &settings.contrast else {
        let name = settings.loss.name();
        return Err(Error::settings(format!("`loss` {name}: there are no settings of its own")));
    };
    check_pairs(input, settings)?;
    let terms = Terms::new(settings, optimizer);
    let start = start_of(start, input, settings, &terms)?;
    let began = (input.clock)();
    let plan = ChoicePlan::new(input.ratings, &[], (users, items), settings)?;
    let (pairs, pool, draws) = plan.most();
    let needs_seen = |test: &&Ratings| !test.is_empty();
    let held_out = match input.test.filter(needs_seen) {
        Some(test) => {
            let seen = Seen::new(input.ratings, users, items)?;
            let epoch = work_of(&plan, settings);
            Some(Lists::new(seen, test, settings.factors, epoch)?)
        }
        None => None,
    };
    let layout_seconds = (input.clock)() - began;
    let began = (input.clock)();
    let passes = backend.choice_passes(ChoiceProblem {
        users,
        items,
        start,
        terms,
        choice: ChoiceTerms::new(settings, contrast, items),
        most: ChoiceSizes { pairs, pool, draws },
        still_items: false,
    })?;
    let upload_seconds = (input.clock)() - began;
    let work = ChoiceWork { passes, backend, settings, contrast, optimizer, plan, held_out };
    Ok(Ready { work: Box::new(work), layout_seconds, upload_seconds })
}

/// Multiply-adds of an epoch, about.
fn work_of(plan: &ChoicePlan, settings: &Settings) -> f64 {
    let (_, pool, _) = plan.most();
    let looked = match settings.loss.is_dense() {
        true => 3 * pool,
        false => settings.contrast.map_or(1, |contrast| contrast.tries).min(pool),
    };
    plan.pairs() as f64 * settings.factors as f64 * looked as f64
}

/// Makes sure that every pair says that its item was chosen.
fn check_pairs(input: &Input, settings: &Settings) -> Result<()> {
    let objections = input.ratings.iter().find_map(|(user, item, rating)| {
        settings.loss.objection(rating).map(|objection| (user, item, rating, objection))
    });
    match objections {
        Some((user, item, rating, objection)) => Err(Error::data(format!(
            "the rating {rating} of item \"{}\" by user \"{}\": {objection}",
            escaped(input.items.name(item)),
            escaped(input.users.name(user))
        ))),
        None => Ok(()),
    }
}

struct ChoiceWork<'a> {
    passes: Box<dyn ChoicePasses>,
    backend: &'a dyn Backend,
    settings: &'a Settings,
    contrast: &'a Contrast,
    optimizer: Optimizer,
    plan: ChoicePlan,
    /// Held-out pairs that are to be ranked.
    held_out: Option<Lists>,
}

/// Users whose scores at the cut-off are looked for in one call.
const USERS: usize = 8192;

impl ChoiceWork<'_> {
    /// The score at the cut-off of each user's list of all items, as the factors are now; nothing without a
    /// cut-off. Of fewer items it is the last one's.
    fn thresholds(&mut self) -> Result<Vec<f32>> {
        let Some(cut_off) = self.contrast.cut_off else { return Ok(Vec::new()) };
        let factors = self.ranked_factors()?;
        let items = &factors[Side::Item];
        let candidates =
            Candidates { factors: factors.factors, rows: &items.factors, bias: &items.bias };
        let ranker = ExactRanker::new(self.backend, candidates)?;
        let mut thresholds = Vec::with_capacity(factors.users());
        for rows in factors[Side::User].factors.chunks(USERS * factors.factors) {
            let lists = ranker.top(rows, &[], cut_off)?;
            let last = lists.iter().map(|list| list.last().map_or(0.0, |last| last.score as f32));
            thresholds.extend(last);
        }
        Ok(thresholds)
    }

    /// The factors, so that their inner product is the score that ranks.
    fn ranked_factors(&mut self) -> Result<Factors> {
        Ok(self.passes.factors()?.normalized(self.contrast.score == Score::Cosine))
    }
}

impl Work for ChoiceWork<'_> {
    fn epoch(&mut self, record: &mut EpochRecord, watch: &mut Watch) -> Result<usize> {
        let (settings, optimizer) = (self.settings, self.optimizer);
        let thresholds = self.thresholds()?;
        let decay = settings.learning_rate_decay.powi(record.epoch as i32 - 1);
        let rate = settings.learning_rate * decay;
        let rate = move |step: usize| match optimizer {
            Optimizer::Sgd | Optimizer::Adagrad => rate as f32,
            Optimizer::Adam => adam_rate(rate, step) as f32,
        };
        let mut batches = self.plan.epoch(record.epoch, &thresholds, rate);
        let sums = self.passes.epoch(&mut batches, watch)?;
        record.train_error = Some(sums.loss / self.plan.pairs() as f64);
        Ok(sums.ratings)
    }

    fn test(&mut self, record: &mut EpochRecord) -> Result<()> {
        if self.held_out.is_none() {
            return Ok(());
        }
        let factors = self.ranked_factors()?;
        match &self.held_out {
            Some(lists) => lists.judge_epoch(self.backend, &factors, record),
            None => Ok(()),
        }
    }

    fn judge(&mut self, factors: &Factors, epochs: usize) -> Result<Option<JudgedLists>> {
        let Some(lists) = &self.held_out else { return Ok(None) };
        lists.judge(self.backend, factors, epochs).map(Some)
    }

    fn keep(&mut self) -> Result<()> {
        self.passes.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        Ok(self.passes.kept()?.normalized(self.contrast.score == Score::Cosine))
    }

    fn factors(&mut self) -> Result<Factors> {
        self.ranked_factors()
    }

    fn state(&mut self) -> Result<State> {
        self.passes.state()
    }
}
