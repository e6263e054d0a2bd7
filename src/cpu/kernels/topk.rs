//! The best candidates of a query, kept beside the tile of scores. The twin of `shaders/topk.wgsl`.

use super::score::{Line, PANEL};
use crate::backend::Ranked;
use std::cmp::Ordering;

/// The running list of a query.
pub(crate) struct Best<'a> {
    entries: Vec<Ranked>,
    n: usize,
    /// What a score must exceed: the `n`-th best when the list was last cut.
    threshold: f32,
    /// Excluded rows that are still to come, ascending.
    excluded: &'a [u32],
}

impl<'a> Best<'a> {
    /// An empty list of at most `n` rows, without the `excluded`.
    pub(crate) fn new(n: usize, excluded: &'a [u32]) -> Self {
        let threshold = if n == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        Self { entries: Vec::new(), n, threshold, excluded }
    }

    /// The list, best first.
    pub(crate) fn finish(mut self) -> Vec<Ranked> {
        self.cut();
        self.entries.sort_unstable_by(better);
        self.entries
    }

    fn cut(&mut self) {
        if self.entries.len() > self.n {
            self.entries.select_nth_unstable_by(self.n - 1, better);
            self.entries.truncate(self.n);
        }
        // A later row with this score would lose the tie.
        if let Some(worst) = self.entries.get(self.n.wrapping_sub(1)) {
            self.threshold = worst.score;
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, first_row: u32, scores: &Line) {
        for (row, &score) in (first_row..).zip(&scores.0) {
            if score > self.threshold {
                while self.excluded.first().is_some_and(|&excluded| excluded < row) {
                    self.excluded = &self.excluded[1..];
                }
                if self.excluded.first() != Some(&row) {
                    self.entries.push(Ranked { row, score });
                    if self.entries.len() >= self.n + self.n.max(PANEL) {
                        self.cut();
                    }
                }
            }
        }
    }
}

/// Offers the scores of a panel, whose rows start at `first_row`; panels come in ascending order.
#[inline(always)]
pub(crate) fn topk(best: &mut Best, first_row: u32, scores: &Line) {
    let mut any = 0_u32;
    for lane in 0..PANEL {
        any |= u32::from(scores.0[lane] > best.threshold);
    }
    if any != 0 {
        best.insert(first_row, scores);
    }
}

/// Scores are no NaN, which exceeds no threshold; 0 and −0 tie.
pub(crate) fn better(a: &Ranked, b: &Ranked) -> Ordering {
    let by_score = b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal);
    by_score.then(a.row.cmp(&b.row))
}
