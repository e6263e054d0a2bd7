//! Which rows are solved together: cut by the data alone, never by the threads.

use crate::backend::RowTerms;
use crate::core::SideRatings;
use std::ops::Range;

/// Multiplications of a wave, after which the watcher is asked: some hundredths of a second.
const WAVE: usize = 1 << 32;

/// The fewest multiplications of a task: handing one out costs more than fewer.
const TASK: usize = 1 << 20;

/// Tasks of a wave, if they are not too small.
const TASKS: usize = 64;

/// Ratings of a segment of a hot row.
const SEGMENT: usize = 8192;

/// Numbers that the normal equations of a batch of hot rows may take together: 128 MB.
const NUMBERS: usize = 1 << 25;

/// A side's rows in the order in which they are solved.
#[derive(Default)]
pub(crate) struct RowOrder {
    /// Hot rows, some at a time.
    pub hot: Vec<Vec<HotRow>>,
    /// Waves of ranges of rows, ascending; hot rows are left out where their range is solved.
    pub waves: Vec<Vec<Range<usize>>>,
}

/// A row whose ratings are summed by several threads.
pub(crate) struct HotRow {
    /// Which row.
    pub row: usize,
    /// Positions of its ratings, in order.
    pub segments: Vec<Range<usize>>,
}

impl RowOrder {
    /// Bytes that the normal equations of a batch of hot rows take together at most, of `ratings` in all.
    pub(crate) fn hot_bytes(ratings: u64, factors: usize) -> u64 {
        let segments = (ratings / SEGMENT as u64).min(most_segments(factors) as u64);
        segments * 4 * (factors as u64 + 32) * (factors as u64 + 16) / 2
    }

    /// Cuts a side.
    pub(crate) fn new(ratings: &SideRatings, factors: usize, terms: &RowTerms) -> Self {
        let block = terms.block.min(factors);
        let in_parts = block == factors;
        let cost = |row: usize| {
            let n = ratings.positions(row).len();
            if in_parts && is_hot(n) {
                return 0;
            }
            n * factors * (block / 2 + 16) + factors * block * (block / 6 + 16)
        };
        let total: usize = (0..ratings.rows()).map(cost).sum();
        let wave_cost = total.div_ceil(total.div_ceil(WAVE).max(1));
        let task_cost = (wave_cost / TASKS).max(TASK);
        let mut order = Self::default();
        let (mut wave, mut first) = (Vec::new(), 0);
        let (mut in_task, mut in_wave) = (0, 0);
        for row in 0..ratings.rows() {
            in_task += cost(row);
            let last = row + 1 == ratings.rows();
            if in_task >= task_cost || last {
                wave.push(first..row + 1);
                first = row + 1;
                in_wave += std::mem::take(&mut in_task);
            }
            if in_wave >= wave_cost || last {
                order.waves.push(std::mem::take(&mut wave));
                in_wave = 0;
            }
        }
        if in_parts {
            order.hot_rows(ratings, factors);
        }
        order
    }

    fn hot_rows(&mut self, ratings: &SideRatings, factors: usize) {
        let most = most_segments(factors);
        let mut room = 0;
        for row in 0..ratings.rows() {
            let positions = ratings.positions(row);
            if !is_hot(positions.len()) {
                continue;
            }
            let mut segments = Vec::new();
            let mut from = positions.start;
            while from < positions.end {
                let to = positions.end.min(from + SEGMENT);
                segments.push(from..to);
                from = to;
            }
            if segments.len() > room {
                self.hot.push(Vec::new());
                room = most;
            }
            room = room.saturating_sub(segments.len());
            if let Some(batch) = self.hot.last_mut() {
                batch.push(HotRow { row, segments });
            }
        }
    }
}

/// Segments of a batch of hot rows.
fn most_segments(factors: usize) -> usize {
    (NUMBERS / (factors * factors).max(1)).clamp(2 * TASKS, 16 * TASKS)
}

/// Whether a row of `n` ratings is summed by several threads.
pub(crate) fn is_hot(n: usize) -> bool {
    n > 2 * SEGMENT
}
