//! How well held-out pairs of implicit data are ranked, after each epoch and at the end.

use crate::backend::Backend;
use crate::core::{Factors, Ratings};
use crate::evaluate::{HeldOut, HeldOutPairs};
use crate::model::{EpochRecord, Seen};
use crate::{Error, Result};

/// How many items of a list count in the held-out figures of each epoch.
pub const HELD_OUT_AT: usize = 20;

/// What ranking held-out pairs may cost after each sweep, of the sweep's own multiply-adds; where that is not
/// enough for all users, some are ranked.
const SHARE: f64 = 0.2;

/// The same at the end of a run, of all sweeps'.
const SHARE_AT_END: f64 = 0.1;

/// Users that are ranked whatever it costs: the error of a mean over fewer would hide what a sweep changes.
const LEAST_USERS: f64 = 500.0;

/// Multiply-adds that take no time to speak of: some hundredths of a second.
const NO_TIME: f64 = 1e9;

/// How well held-out pairs are ranked at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct JudgedLists {
    /// By the model.
    pub model: HeldOut,
    /// By popularity alone, for the same users.
    pub popularity: HeldOut,
    /// Users with held-out pairs that can be ranked; where that takes too long, some of them are.
    pub users: usize,
}

/// Held-out pairs of implicit data, and what was seen in training.
pub(super) struct Lists {
    pub(super) seen: Seen,
    all: HeldOutPairs,
    /// Those that are ranked after each sweep.
    each: HeldOutPairs,
    /// Users whose ranking takes as long as a sweep, about.
    a_sweep: f64,
}

impl Lists {
    /// The pairs of `test` that can be ranked, of rows of `factors`; an epoch takes `epoch` multiply-adds.
    pub(super) fn new(seen: Seen, test: &Ratings, factors: usize, epoch: f64) -> Result<Self> {
        let all = HeldOutPairs::new(&seen, test);
        if all.users() == 0 {
            return Err(Error::data(
                "no held-out pair can be ranked: each is a training pair, or its value is not above 0, \
                 or its user or item has no training pair; hold out other pairs",
            ));
        }
        let a_user = (seen.items() * factors.max(1)) as f64;
        let a_sweep = epoch / a_user;
        let most = (SHARE * a_sweep).max(NO_TIME / a_user).max(LEAST_USERS);
        let each = all.some(most as usize);
        Ok(Self { seen, all, each, a_sweep })
    }

    /// Ranks after an epoch: fills its figures in.
    pub(super) fn judge_epoch(
        &self,
        backend: &dyn Backend,
        factors: &Factors,
        record: &mut EpochRecord,
    ) -> Result<()> {
        let ranked = self.each.rank(backend, factors, &self.seen, HELD_OUT_AT)?;
        record.recall = Some(ranked.recall);
        record.ndcg = Some(ranked.ndcg);
        record.ranked_users = Some(ranked.users);
        Ok(())
    }

    /// Ranks at the end of a run.
    pub(super) fn judge(
        &self,
        backend: &dyn Backend,
        factors: &Factors,
        sweeps: usize,
    ) -> Result<JudgedLists> {
        let more = self.at_end(sweeps);
        let model = more.rank(backend, factors, &self.seen, HELD_OUT_AT)?;
        let popularity = more.rank_by_popularity(&self.seen, HELD_OUT_AT);
        Ok(JudgedLists { model, popularity, users: self.all.users() })
    }

    /// Those that are ranked at the end.
    fn at_end(&self, sweeps: usize) -> HeldOutPairs {
        let users = SHARE_AT_END * self.a_sweep * sweeps as f64;
        self.all.some((users as usize).max(self.each.users()))
    }
}
