//! The items that may be recommended.

use crate::backend::Candidates;
use crate::model::Model;
use std::borrow::Cow;

/// All items of a model, or a part of them, as the ranker takes them: ascending, so that equal
/// scores go by item index.
pub struct Catalogue<'m> {
    factors: usize,
    /// (candidates, factors).
    rows: Cow<'m, [f32]>,
    /// (candidates).
    bias: Cow<'m, [f32]>,
    /// The item of each candidate; nothing where all items are candidates.
    items: Option<Vec<u32>>,
}

impl<'m> Catalogue<'m> {
    /// Every item.
    pub fn all(model: &'m Model) -> Self {
        let f = &model.factors;
        Catalogue {
            factors: f.factors,
            rows: Cow::Borrowed(&f.item_factors),
            bias: Cow::Borrowed(&f.item_bias),
            items: None,
        }
    }

    /// The items that `keep` accepts.
    pub fn filtered(model: &'m Model, mut keep: impl FnMut(u32) -> bool) -> Self {
        let f = &model.factors;
        let items: Vec<u32> = (0..f.items() as u32).filter(|&item| keep(item)).collect();
        if items.len() == f.items() {
            return Self::all(model);
        }
        Catalogue {
            factors: f.factors,
            rows: items.iter().flat_map(|&item| f.item(item).iter().copied()).collect(),
            bias: items.iter().map(|&item| f.item_bias[item as usize]).collect(),
            items: Some(items),
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.bias.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bias.is_empty()
    }

    /// The item of a candidate.
    pub(super) fn item(&self, row: u32) -> u32 {
        self.items.as_ref().map_or(row, |items| items[row as usize])
    }

    /// The candidates among ascending `items`, ascending.
    pub(super) fn rows_of<'s>(&self, items: &'s [u32]) -> Cow<'s, [u32]> {
        match &self.items {
            None => Cow::Borrowed(items),
            Some(all) => {
                let row = |item: &u32| all.binary_search(item).ok().map(|row| row as u32);
                Cow::Owned(items.iter().filter_map(row).collect())
            }
        }
    }

    /// As the ranker takes them.
    pub(super) fn candidates(&self) -> Candidates<'_> {
        Candidates { factors: self.factors, rows: &self.rows, bias: &self.bias }
    }
}
