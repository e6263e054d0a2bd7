//! Lists for rows that were folded in, by the items that lie on the device already.

use super::{FoldedIn, Recommendation, Recommender, Scored};
use crate::core::{Side, escaped};
use crate::{Error, Result};
use std::borrow::Cow;

impl Recommender<'_> {
    /// The lists of the `n` best items of users that were folded into this model, without joining it, in
    /// the order of their ids: the same that a recommender of the joined model makes. The items they
    /// were folded in by are left out. Nothing is uploaded but their rows.
    ///
    /// # Errors
    /// Rows of items, or of another model; scores that are made of every sample's, see
    /// [`Catalogue::is_ranked_by_backend`](super::Catalogue::is_ranked_by_backend); a score that overflows
    /// when the transform is undone; a lost device.
    pub fn of_folded(&self, folded: &FoldedIn, n: usize) -> Result<Vec<Vec<Recommendation>>> {
        let catalogue = self.ranker.catalogue();
        let (model, rows) = (catalogue.model(), folded.ids.len());
        let fits = |factors: &[f32], bias: &[f32]| {
            factors.len() == rows * model.factors.factors && bias.len() == rows
        };
        if folded.side == Some(Side::Item)
            || !fits(&folded.factors, &folded.bias)
            || !folded.draws.iter().all(|drawn| fits(&drawn.factors, &drawn.bias))
        {
            return Err(Error::data(
                "rows that were folded into one model are no users of another",
            ));
        }
        folded.ratings.check(rows, model.factors.items(), false)?;
        let mut rated = vec![Vec::new(); rows];
        for (user, item, _) in folded.ratings.iter() {
            rated[user as usize].push(item);
        }
        rated.iter_mut().for_each(|items| items.sort_unstable());
        let mut lists = Vec::with_capacity(rows);
        let users: Vec<usize> = (0..rows).collect();
        for users in users.chunks(self.users_at_once(n)) {
            let queries = catalogue.folded_queries(folded, users)?;
            let rows: Vec<Cow<[u32]>> =
                users.iter().map(|&user| catalogue.rows_of(&rated[user])).collect();
            let excluded: Vec<&[u32]> = rows.iter().map(|rows| &**rows).collect();
            let best = self.ranker.top_of(&queries, &excluded, n)?;
            for (&user, list) in users.iter().zip(best) {
                let finish = |scored: Scored| {
                    let item = catalogue.item(scored.row);
                    let score = catalogue.folded_prediction(folded, user, scored.score);
                    if score.is_finite() {
                        return Ok(Recommendation { item, score, explanation: None });
                    }
                    let user = escaped(folded.ids.name(user as u32));
                    let item = escaped(model.items.name(item));
                    Err(Error::data(format!(
                        "the prediction for user \"{user}\", item \"{item}\" overflows"
                    )))
                };
                lists.push(list.into_iter().map(finish).collect::<Result<_>>()?);
            }
        }
        Ok(lists)
    }

    /// Whether a backend ranks the items, see
    /// [`Catalogue::is_ranked_by_backend`](super::Catalogue::is_ranked_by_backend).
    pub fn is_ranked_by_backend(&self) -> bool {
        self.ranker.catalogue().is_ranked_by_backend()
    }
}
