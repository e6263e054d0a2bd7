//! How many scores of a query lie above and within an interval. The twin of `shaders/count.wgsl`.

use super::score::{Line, PANEL};
use crate::backend::{Counted, Interval, WITHIN};

/// Adds what the scores of a panel, whose rows start at `first_row`, put above and within
/// `interval`; panels come in ascending order.
#[inline(always)]
pub fn count(interval: &Interval, first_row: u32, scores: &Line, counted: &mut Counted) {
    let (mut above, mut from) = (0_u32, 0_u32);
    for lane in 0..PANEL {
        above += u32::from(scores.0[lane] > interval.high);
        from += u32::from(scores.0[lane] >= interval.low);
    }
    counted.above += above;
    if from != above {
        within(interval, first_row, scores, counted);
    }
}

#[cold]
#[inline(never)]
fn within(interval: &Interval, first_row: u32, scores: &Line, counted: &mut Counted) {
    for (row, &score) in (first_row..).zip(&scores.0) {
        if score >= interval.low && score <= interval.high {
            let at = counted.within as usize;
            if at < WITHIN {
                counted.rows[at] = row;
            }
            counted.within += 1;
        }
    }
}
