//! A file of ratings, sorted into rows that a model can fold in and the rest.

use crate::core::{Ids, Ratings, Side, UNKNOWN};
use crate::data::Dataset;
#[cfg(feature = "files")]
use crate::data::{Table, align};
use crate::model::{Model, Seen};
use crate::{Error, Result};
use std::collections::HashSet;

/// Rows to be folded in, and what was left out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NewRows {
    /// The ids of the rows, in the order of the ratings' own.
    pub ids: Ids,
    /// Their ratings, transformed: on the own side indices count `ids`, on the other the model's
    /// rows.
    pub ratings: Ratings,
    /// Ids of the file that the model has already: kept as they are, or with `update` among `ids`.
    pub known: Vec<String>,
    /// Ids that have no rating with an id that the model knows on the other side.
    pub empty: Vec<String>,
    /// Ids of the other side that the model does not know; their ratings are left out.
    pub strangers: Vec<String>,
}

impl NewRows {
    /// Sorts a freshly read `table` without duplicates for `model`. With `update` the ids of the
    /// folded side that the model knows are solved again, from their training ratings in `seen`
    /// and those of the table, which replace earlier ones of the same pair.
    ///
    /// # Errors
    /// As [`Model::check`]; a record of another model; a rating that the model's transform is not defined
    /// for; `update` where `seen` has no values.
    #[cfg(feature = "files")]
    pub fn of(
        model: &Model,
        seen: &Seen,
        side: Side,
        table: &Table,
        update: bool,
    ) -> Result<NewRows> {
        let aligned = align(table, &model.users, &model.items);
        model.objective.transform.check(&aligned.values, |row| {
            let (file, line) = table.origin(row);
            format!("{file}:{line}: rating {}", aligned.values[row])
        })?;
        let ids = [&table.users, &table.items];
        Self::sorted(model, seen, side, (ids, &table.ratings, &aligned), update)
    }

    /// The same of a dataset, none of whose ids that the model knows is solved again.
    ///
    /// # Errors
    /// As [`Model::check`]; a record of another model; a rating that the model's transform is not defined
    /// for.
    pub fn of_dataset(
        model: &Model,
        seen: &Seen,
        side: Side,
        ratings: &Dataset,
    ) -> Result<NewRows> {
        let aligned = ratings.aligned(&model.users, &model.items);
        model
            .objective
            .transform
            .check(&aligned.values, |row| format!("rating {} at {row}", aligned.values[row]))?;
        let ids = [ratings.users(), ratings.items()];
        Self::sorted(model, seen, side, (ids, ratings.ratings(), &aligned), false)
    }

    /// Sorts ratings, given by ids of their own and aligned to the model's.
    fn sorted(
        model: &Model,
        seen: &Seen,
        side: Side,
        (both, ratings, aligned): ([&Ids; 2], &Ratings, &Ratings),
        update: bool,
    ) -> Result<NewRows> {
        model.check()?;
        if (seen.users(), seen.items()) != (model.users.len(), model.items.len()) {
            return Err(Error::data("the training pairs are another model's"));
        }
        let (ids, all_own) = (both[side.index()], ratings.rows(side));
        let (own_known, partners) = (aligned.rows(side), aligned.rows(side.partner()));
        let partner_ids = (both[side.partner().index()], model.ids(side.partner()));
        let mut rows = NewRows {
            strangers: names(partner_ids.0, |id| partner_ids.1.get(id).is_none()),
            ..NewRows::default()
        };
        let model_ids = model.ids(side);
        rows.known = names(ids, |id| model_ids.get(id).is_some());
        let usable = |at: usize| partners[at] != UNKNOWN && (update || own_known[at] == UNKNOWN);
        let mut own = vec![UNKNOWN; ids.len()];
        (0..aligned.len()).filter(|&at| usable(at)).for_each(|at| own[all_own[at] as usize] = 0);
        for (row, id) in own.iter_mut().zip(ids.iter()).filter(|(row, _)| **row == 0) {
            *row = rows.ids.intern(id);
        }
        // A row that is solved again starts from its record.
        let mut updated: Vec<(u32, u32)> = Vec::new();
        let mut given = HashSet::new();
        for at in (0..aligned.len()).filter(|&at| usable(at)) {
            let row = own[all_own[at] as usize];
            if own_known[at] != UNKNOWN {
                updated.push((own_known[at], row));
                given.insert((row, partners[at]));
            }
            rows.push(side, row, partners[at], model.objective.transform.apply(aligned.values[at]));
        }
        rows.empty = names(ids, |id| rows.ids.get(id).is_none() && model_ids.get(id).is_none());
        rows.add_record(seen, side, &mut updated, &given)?;
        Ok(rows)
    }

    /// Adds the training ratings of the rows that the model knows, but for the pairs that are
    /// `given` anew. `updated`: pairs of the model's row and of ours.
    fn add_record(
        &mut self,
        seen: &Seen,
        side: Side,
        updated: &mut Vec<(u32, u32)>,
        given: &HashSet<(u32, u32)>,
    ) -> Result<()> {
        if updated.is_empty() {
            return Ok(());
        }
        updated.sort_unstable();
        updated.dedup();
        let no_values = || {
            Error::data(
                "the model holds no values of its training ratings (an earlier version trained \
                 it), so no row can be solved again; train it again, or leave out `update`",
            )
        };
        if side == Side::User {
            for &(user, row) in &*updated {
                let values = seen.values_of(user).ok_or_else(no_values)?;
                for (&item, &value) in seen.items_of(user).iter().zip(values) {
                    if !given.contains(&(row, item)) {
                        self.push(side, row, item, value);
                    }
                }
            }
            return Ok(());
        }
        for user in 0..seen.users() as u32 {
            let values = seen.values_of(user).ok_or_else(no_values)?;
            for (&item, &value) in seen.items_of(user).iter().zip(values) {
                let Ok(at) = updated.binary_search_by_key(&item, |pair| pair.0) else { continue };
                let row = updated[at].1;
                if !given.contains(&(row, user)) {
                    self.push(side, row, user, value);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, side: Side, row: u32, partner: u32, value: f32) {
        let (user, item) = side.users_first(row, partner);
        self.ratings.users.push(user);
        self.ratings.items.push(item);
        self.ratings.values.push(value);
    }
}

fn names(ids: &Ids, accept: impl Fn(&str) -> bool) -> Vec<String> {
    ids.iter().filter(|id| accept(id)).map(str::to_owned).collect()
}
