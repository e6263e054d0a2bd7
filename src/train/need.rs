//! What training needs of memory, known from its sizes and settings before anything is laid out.
//!
//! What the process has by then (the ratings, their ids) is measured; what is to come is the sum of what
//! each layout says of itself, at the step at which most lies there at once.

use crate::backend::{Backend, Need};
use crate::core::{
    Batches, ChoicePlan, Factors, Ratings, RowRatings, Settings, Sizes, Solver, Strata,
};
use crate::data::Prepared;
use crate::memory::{self, Room, refused, size};
use crate::model::EpochRecord;
use crate::{Error, Result};

/// What a run needs and what there is, in bytes, for people to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryPlan {
    /// The most that the process will have had at the end, with what it has now.
    pub needs: u64,
    /// What it could have; `None` where nobody says.
    pub of: Option<u64>,
    /// What is needed of the memory that the device has for itself; 0 of one that has none.
    pub device: u64,
}

/// What training with `settings` needs of memory, beside what this process has now: at the most, at any
/// moment until the model is saved. `checkpoints` says whether some are written.
pub fn memory_need(
    backend: &dyn Backend,
    settings: &Settings,
    sizes: &Sizes,
    checkpoints: bool,
) -> Need {
    let parts = Parts {
        passes: backend.need(settings, sizes),
        ranker: backend.ranker_need(sizes.items, settings.factors.max(1)),
        factors: Factors::bytes(sizes, settings.factors.max(1)),
        test: sizes.test as u64,
        checkpoints,
        settings,
        sizes,
    };
    let solver = match (settings.solver, settings.solver.optimizer()) {
        (_, Some(_)) if settings.loss.is_ranking() => parts.choices(),
        (_, Some(_)) => parts.gradient(),
        (Solver::Bayes, None) => parts.gibbs(),
        (_, None) => parts.rows(),
    };
    solver.max(parts.end()) + Need::host(parts.history())
}

/// Makes sure that there is memory to train with `settings`, and says how much of it is needed.
///
/// # Errors
/// There is too little: which setting would fit, and what it then needs.
pub fn check_memory(
    backend: &dyn Backend,
    settings: &Settings,
    sizes: &Sizes,
    checkpoints: bool,
) -> Result<MemoryPlan> {
    let need = memory_need(backend, settings, sizes, checkpoints);
    let room = Room::now();
    match room.left.filter(|&left| need.host > left) {
        Some(left) => Err(too_little(backend, settings, sizes, checkpoints, (need, left, &room))),
        None => Ok(MemoryPlan {
            needs: room.peak.max(room.used.saturating_add(need.host)),
            of: room.whole(),
            device: need.device,
        }),
    }
}

/// The steps of a run.
struct Parts<'a> {
    passes: Need,
    ranker: Need,
    /// Bytes of the parameters.
    factors: u64,
    /// Held-out ratings.
    test: u64,
    checkpoints: bool,
    settings: &'a Settings,
    sizes: &'a Sizes,
}

/// Bytes that work takes which is done a piece at a time, whatever the size of the set.
const PIECES: u64 = 16 << 20;

impl Parts<'_> {
    fn gradient(&self) -> Need {
        let state = self.factors * (1 + self.settings.moments() as u64);
        let [batches, beside] = match self.settings.rating_by_rating() {
            true => Strata::bytes(self.sizes, self.settings.factors),
            false => Batches::bytes(self.sizes, self.settings.batch_size),
        };
        let test = Ratings::BYTES * self.test;
        let laid_out = Need::host(state + batches + beside + 24 * self.sizes.rows());
        let uploaded = Need::host(state + batches + test) + self.passes;
        laid_out.max(uploaded).max(self.run(state, batches + test))
    }

    fn choices(&self) -> Need {
        let state = self.factors * (1 + self.settings.moments() as u64);
        let sizes = self.sizes;
        let plan = ChoicePlan::bytes(sizes.ratings as u64, sizes.users as u64, sizes.items as u64);
        let (held_out, ranking) = self.lists();
        let laid_out = Need::host(state + plan + held_out);
        let uploaded = Need::host(state + plan + held_out) + self.passes;
        // Scores at the cut-off, and lists of held-out users, are looked for beside the passes.
        let cut = self.settings.contrast.is_some_and(|contrast| contrast.cut_off.is_some());
        let beside = match cut {
            true => ranking
                .max(Need::host(self.factors + PIECES + 4 * sizes.users as u64) + self.ranker),
            false => ranking,
        };
        let run = self.run(state, plan + held_out) + beside;
        laid_out.max(uploaded).max(run)
    }

    /// What judging the lists of implicit data takes: held-out pairs, and ranking them.
    fn lists(&self) -> (u64, Need) {
        match self.test {
            0 => (0, Need::default()),
            test => (
                8 * (self.sizes.ratings as u64 + self.sizes.users as u64 + test),
                Need::host(self.factors + PIECES / 2) + self.ranker,
            ),
        }
    }

    fn rows(&self) -> Need {
        let weighted = self.settings.alpha.is_some() || self.sizes.weighted;
        let ratings = RowRatings::bytes(self.sizes, weighted);
        let weights = if weighted { 4 * self.sizes.ratings as u64 } else { 0 };
        // Lists are judged by what was seen; ratings by a copy of those held out.
        let judged = self.settings.solver == Solver::Ials && self.test > 0;
        let (held_out, ranking) = match judged {
            true => self.lists(),
            false => (Ratings::BYTES * self.test, Need::default()),
        };
        let ratings = ratings + held_out;
        let laid_out = Need::host(self.factors + ratings + weights);
        let uploaded = Need::host(self.factors + ratings) + self.passes;
        let run = self.run(self.factors, ratings);
        laid_out.max(uploaded).max(run).max(Need::host(ratings) + self.passes + ranking)
    }

    fn gibbs(&self) -> Need {
        let sizes = self.sizes;
        let chains = self.settings.chains.max(1) as u64;
        let levels = self.settings.likelihood.has_levels();
        let copied = if levels { Ratings::BYTES } else { 0 } + if sizes.weighted { 4 } else { 0 };
        let numbered = copied * sizes.ratings as u64;
        // Popularity, means and noise of the rows.
        let beside = 40 * sizes.rows() + chains.saturating_mul(8 * sizes.rows());
        // Held-out ratings three times, and what is summed over them.
        let test = (3 * Ratings::BYTES + 8 + 8 + 12) * self.test;
        let ratings = RowRatings::bytes(sizes, sizes.weighted) + beside + test;
        let states = chains.saturating_mul(self.factors).saturating_add(self.factors);
        let laid_out = Need::host(states.saturating_add(ratings + numbered));
        let kept = self.sample().saturating_mul(self.samples());
        let again = if self.checkpoints { kept.saturating_add(states) } else { self.factors };
        let run = Need::host(ratings.saturating_add(kept).saturating_add(again)) + self.passes;
        laid_out.max(Need::host(states.saturating_add(ratings)) + self.passes).max(run)
    }

    /// While epochs run: of the state that is kept and written there are copies.
    fn run(&self, state: u64, laid_out: u64) -> Need {
        let kept = if self.settings.patience.is_some() { self.factors } else { 0 };
        let read = match self.checkpoints {
            true => state + 2 * kept,
            false => self.factors,
        };
        Need::host(laid_out + kept + read) + self.passes
    }

    /// Once they are over: what is typical of rows, what held-out ratings say, and what is written in
    /// another form than it lies there.
    fn end(&self) -> Need {
        let model = self.factors + 64 * self.sizes.rows() + PIECES;
        // Sums of biases over items in so many blocks, and errors of held-out ratings.
        let measured = match self.test {
            0 => 0,
            test => 24 * test + 16 * 8 * self.sizes.items as u64,
        };
        let kept = match self.settings.solver {
            Solver::Bayes => self.sample().saturating_mul(self.samples()),
            _ => 0,
        };
        Need::host(model + measured + kept.saturating_add(kept / 2))
    }

    /// Bytes of a sample.
    fn sample(&self) -> u64 {
        let wide = self.settings.factors as u64 + 1;
        self.factors + 4 * (self.sizes.users as u64 + 1) + 16 * wide * (wide + 2)
    }

    /// Samples that are kept at once.
    fn samples(&self) -> u64 {
        let most = (self.settings.samples as u64).saturating_mul(self.settings.chains as u64);
        (self.settings.keep as u64).min(most).max(1)
    }

    /// What is noted of every epoch, and of a sampler's sweeps.
    fn history(&self) -> u64 {
        /// Quantities that are watched: two of the noise, and eight predictions.
        const WATCHED: u64 = 10;
        let epochs =
            (self.settings.epochs as u64).saturating_mul(2 * size_of::<EpochRecord>() as u64);
        let watched = (self.settings.samples as u64)
            .saturating_mul(self.settings.chains as u64)
            .saturating_mul(8 * WATCHED);
        epochs.saturating_add(watched)
    }
}

/// A change of one setting that makes a run smaller.
struct Change {
    name: &'static str,
    of: fn(&mut Settings) -> &mut usize,
    least: usize,
    /// Whether it is a thing of the solver at all.
    has: fn(&Settings) -> bool,
}

/// In the order in which they are proposed.
const CHANGES: [Change; 5] = [
    Change { name: "keep", of: |s| &mut s.keep, least: 1, has: |s| s.solver == Solver::Bayes },
    Change { name: "chains", of: |s| &mut s.chains, least: 1, has: |s| s.solver == Solver::Bayes },
    Change {
        name: "samples",
        of: |s| &mut s.samples,
        least: 1,
        has: |s| s.solver == Solver::Bayes,
    },
    Change { name: "epochs", of: |s| &mut s.epochs, least: 1, has: |s| s.solver != Solver::Bayes },
    Change { name: "factors", of: |s| &mut s.factors, least: 1, has: |_| true },
];

/// The error of a run that does not fit, with the setting that would.
fn too_little(
    backend: &dyn Backend,
    settings: &Settings,
    sizes: &Sizes,
    checkpoints: bool,
    (need, left, room): (Need, u64, &Room),
) -> Error {
    let whole = |need: Need| size(room.used.saturating_add(need.host));
    let needs = |settings: &Settings| memory_need(backend, settings, sizes, checkpoints);
    let mut most = String::new();
    for change in CHANGES.iter().filter(|change| (change.has)(settings)) {
        let mut smaller = settings.clone();
        let given = *(change.of)(&mut smaller);
        let mut value = given;
        while value > change.least {
            value = (value / 2).max(change.least);
            *(change.of)(&mut smaller) = value;
            follow(&mut smaller, settings);
            let fits = needs(&smaller);
            if fits.host <= left {
                most = format!("; `{}` {value} needs {}", change.name, whole(fits));
                break;
            }
        }
        if !most.is_empty() {
            let (name, needed) = (change.name, whole(need));
            let there = there(room);
            let message = format!("`{name}` {given} needs {needed} of memory, {there}{most}");
            return refused(&message, room);
        }
    }
    let part = "no smaller settings would do; train on a part of the ratings, or where there is more memory";
    refused(&format!("training needs {} of memory, {}; {part}", whole(need), there(room)), room)
}

/// What hangs on a setting that was made smaller.
fn follow(smaller: &mut Settings, given: &Settings) {
    smaller.block = smaller.block.min(smaller.factors.max(1));
    if given.solver == Solver::Bayes {
        smaller.epochs = smaller.samples.saturating_add(smaller.burn_in);
        smaller.keep = smaller.keep.max(smaller.chains);
    }
}

fn there(room: &Room) -> String {
    match room.whole() {
        Some(whole) => format!("and there are {}", size(whole)),
        None => "and nobody says how much there is".to_owned(),
    }
}

/// Makes sure, before anything is read, that a run could fit if the ratings were a single one: settings that
/// are impossible whatever there is to train on.
///
/// # Errors
/// As [`check_memory`].
pub fn check_memory_of_any(backend: &dyn Backend, settings: &Settings) -> Result<()> {
    if memory::limit() == memory::Limit::Nothing {
        return Ok(());
    }
    let sizes = Sizes { users: 1, items: 1, ratings: 1, test: 0, weighted: false };
    check_memory(backend, settings, &sizes, false).map(drop)
}

/// Bytes of the model that training leaves on the disk, about, and of its checkpoints, if it writes some:
/// while a new one is written the one before is still there.
pub fn disk_need(settings: &Settings, prepared: &Prepared, checkpoints: bool) -> u64 {
    let sizes = prepared.sizes();
    let factors = Factors::bytes(&sizes, settings.factors);
    let samples = match settings.solver {
        Solver::Bayes => {
            let all = settings.samples.saturating_mul(settings.chains);
            let shape = (sizes.users, sizes.items);
            let precision = settings.sample_precision.unwrap_or_default();
            let one = precision.file_bytes(1, shape, settings.factors);
            one.saturating_mul(settings.keep.min(all) as u64)
        }
        _ => 0,
    };
    // The index, the number of ratings, and what stands between.
    let ids = (prepared.users.text_bytes() + prepared.items.text_bytes()) as u64 + 9 * sizes.rows();
    let seen = 8 * sizes.ratings as u64 + 8 * (sizes.users as u64 + 1);
    let typical = if settings.bias && samples == 0 { 4 * sizes.rows() } else { 0 };
    let model = (factors + ids + seen + typical).saturating_add(samples);
    let kept = u64::from(settings.patience.is_some());
    let state =
        factors.saturating_mul(settings.moments() as u64 + kept + settings.chains.max(1) as u64);
    let checkpoint = if checkpoints { state.saturating_add(samples).saturating_mul(2) } else { 0 };
    model.saturating_add(checkpoint)
}
