//! The items that are ranked, and how popular each is.

use crate::model::{Model, Seen};
use crate::{Error, Result};
use std::borrow::Cow;

/// (items): how often each was rated in training; of an implicit model how often with a sign of liking,
/// as far as the values of its training pairs are known.
pub(super) fn popularity<'a>(model: &'a Model, seen: &Seen) -> Cow<'a, [u32]> {
    let liked = |value: f32| value > 0.0;
    match seen.values() {
        Some(values) if model.objective.is_implicit() && !values.iter().all(|&x| liked(x)) => {
            let mut counts = vec![0; model.factors.items()];
            let pairs = seen.indices().iter().zip(values);
            pairs.filter(|pair| liked(*pair.1)).for_each(|pair| counts[*pair.0 as usize] += 1);
            Cow::Owned(counts)
        }
        _ => Cow::Borrowed(&model.item_ratings),
    }
}

/// What the candidates are.
pub(super) struct Field<'a> {
    /// (items): how popular each is.
    pub(super) popularity: &'a [u32],
    /// (candidates): their items, ascending.
    pub(super) items: Vec<u32>,
    /// (items): where an item is among the candidates; empty where all are.
    positions: Vec<u32>,
}

impl<'a> Field<'a> {
    pub(super) fn new(
        all: usize,
        popularity: &'a [u32],
        candidates: Option<&[u32]>,
    ) -> Result<Self> {
        let mut items = match candidates {
            Some(items) => items.to_vec(),
            None => (0..all as u32).collect(),
        };
        items.sort_unstable();
        items.dedup();
        if let Some(last) = items.last().filter(|&&last| last as usize >= all) {
            return Err(Error::data(format!("candidate {last} is none of {all} items")));
        }
        let mut positions = Vec::new();
        if items.len() < all {
            positions.resize(all, u32::MAX);
            for (&item, position) in items.iter().zip(0..) {
                positions[item as usize] = position;
            }
        }
        Ok(Self { popularity, items, positions })
    }

    pub(super) fn position(&self, item: u32) -> Option<u32> {
        match self.positions.get(item as usize) {
            Some(&u32::MAX) => None,
            Some(&position) => Some(position),
            None => Some(item),
        }
    }

    pub(super) fn positions(&self, items: &[u32]) -> Vec<u32> {
        items.iter().filter_map(|&item| self.position(item)).collect()
    }
}
