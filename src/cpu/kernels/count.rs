//! How many scores of a query lie above and within an interval that widens with the candidates' reach.
//! The twin of `shaders/count.wgsl`.

use super::score::{Line, PANEL};
use crate::backend::{Counted, Interval, WITHIN};

/// What an interval has seen so far.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Tally {
    /// Scores above, in each place of a panel.
    above: [u32; PANEL],
    within: u32,
    rows: [u32; WITHIN],
}

impl Tally {
    /// Nothing.
    pub(crate) fn new() -> Self {
        Self { above: [0; PANEL], within: 0, rows: [0; WITHIN] }
    }

    /// The sums.
    pub(crate) fn finish(&self) -> Counted {
        Counted { above: self.above.iter().sum(), within: self.within, rows: self.rows }
    }

    #[cold]
    #[inline(never)]
    fn name(&mut self, interval: &Interval, first_row: u32, scores: &Line, reach: &Line) {
        for ((row, &score), &reach) in (first_row..).zip(&scores.0).zip(&reach.0) {
            let doubt = interval.slope * reach;
            if score >= interval.low - doubt && score <= interval.high + doubt {
                if let Some(place) = self.rows.get_mut(self.within as usize) {
                    *place = row;
                }
                self.within += 1;
            }
        }
    }
}

/// Adds what the scores of a panel, whose rows start at `first_row`, put above and within
/// `interval`; panels come in ascending order.
#[inline(always)]
pub(crate) fn count(
    interval: &Interval,
    first_row: u32,
    scores: &Line,
    reach: &Line,
    tally: &mut Tally,
) {
    let mut within = 0_u32;
    for lane in 0..PANEL {
        let doubt = interval.slope * reach.0[lane];
        let above = u32::from(scores.0[lane] > interval.high + doubt);
        tally.above[lane] += above;
        within |= u32::from(scores.0[lane] >= interval.low - doubt) ^ above;
    }
    if within != 0 {
        tally.name(interval, first_row, scores, reach);
    }
}
