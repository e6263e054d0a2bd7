//! Test pairs that a model was trained on: its error on them says nothing of new ones.

use crate::Result;
use crate::core::Ratings;
use crate::model::{Model, Seen};

/// How many of the `test` pairs, in the indices of the model or unknown, are training pairs.
pub fn seen_pairs(seen: &Seen, test: &Ratings) -> usize {
    test.iter().filter(|&(user, item, _)| seen.contains(user, item)).count()
}

/// Takes the training pairs out of `test`; how many there were.
///
/// # Panics
/// If the arrays are not of one length, see [`Ratings::check`].
pub fn leave_out_seen(seen: &Seen, test: &mut Ratings) -> usize {
    let before = test.len();
    let new: Vec<bool> = test.iter().map(|(user, item, _)| !seen.contains(user, item)).collect();
    test.retain(|at| new[at]);
    before - test.len()
}

/// The training pairs of a model and, of the users and items that it knows, those of another.
///
/// # Errors
/// Training pairs that are not those of their models.
pub fn seen_by_both(
    (model, seen): (&Model, &Seen),
    (other, theirs): (&Model, &Seen),
) -> Result<Seen> {
    let mut more = Ratings::default();
    for user in 0..other.users.len() as u32 {
        let Some(own) = model.users.get(other.users.name(user)) else { continue };
        for &item in theirs.items_of(user) {
            let item = model.items.get(other.items.name(item));
            if let Some(item) = item.filter(|&item| !seen.contains(own, item)) {
                more.users.push(own);
                more.items.push(item);
                more.values.push(1.0);
            }
        }
    }
    seen.extended(&more, model.users.len(), model.items.len())
}
