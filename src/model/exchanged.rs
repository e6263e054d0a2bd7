//! A model with its sides exchanged: whatever is made for users of it is made for the items, as the users for
//! an item.

use super::{Model, Samples, Seen};
use crate::core::Side;

impl Model {
    /// The model in which users are items and items users. Every prediction is the same, the pair the other
    /// way round.
    pub fn exchanged(mut self) -> Self {
        self.factors.sides.reverse();
        std::mem::swap(&mut self.users, &mut self.items);
        std::mem::swap(&mut self.user_ratings, &mut self.item_ratings);
        self.typical.reverse();
        self.facts.joined.reverse();
        self
    }
}

impl Samples {
    /// The samples of the [exchanged model](Model::exchanged). What they say of expected ratings is the same;
    /// of the noise nothing is known, which is that of users: all weights are 1.
    pub fn exchanged(mut self) -> Self {
        self.popularity.reverse();
        self.row_means.reverse();
        for sample in &mut self.samples {
            sample.factors.sides.reverse();
            sample.priors.reverse();
            sample.noise_weights = vec![1.0; sample.factors[Side::User].bias.len() + 1];
        }
        self
    }
}

impl Seen {
    /// The record of the [exchanged model](Model::exchanged): the users of each item.
    pub fn exchanged(&self) -> Self {
        let mut indptr = vec![0_i64; self.items + 1];
        self.indices.iter().for_each(|&item| indptr[item as usize + 1] += 1);
        for item in 0..self.items {
            indptr[item + 1] += indptr[item];
        }
        let mut next: Vec<usize> = indptr.iter().map(|&start| start as usize).collect();
        let mut indices = vec![0; self.indices.len()];
        let empty = |of: &Option<Vec<f32>>| of.as_ref().map(|of| vec![0.0; of.len()]);
        let (mut values, mut weights) = (empty(&self.values), empty(&self.weights));
        // Users in order, so that those of each item ascend.
        for user in 0..self.users() {
            for at in self.indptr[user] as usize..self.indptr[user + 1] as usize {
                let to = &mut next[self.indices[at] as usize];
                indices[*to] = user as u32;
                for (theirs, own) in [(&mut values, &self.values), (&mut weights, &self.weights)] {
                    if let (Some(theirs), Some(own)) = (theirs, own) {
                        theirs[*to] = own[at];
                    }
                }
                *to += 1;
            }
        }
        Seen { indptr, indices, values, weights, items: self.users() }
    }
}
