//! What the model was trained on.

use super::figure::{Frame, Series, bars, lines};
use super::parts::{GROUPS, Kept, group};
use super::{Section, Subject};
use crate::core::Side;

/// Points of a curve of shares.
const POINTS: usize = 50;

pub(super) fn section(subject: &Subject) -> Section {
    let model = subject.model;
    let counts = [(Side::User, &model.user_ratings), (Side::Item, &model.item_ratings)];
    let mut groups = Vec::new();
    let mut shares = Vec::new();
    let mut all = [0.0; GROUPS];
    for (side, of) in counts {
        let mut numbers = [0.0; GROUPS];
        of.iter().for_each(|&n| numbers[group(n)] += 1.0);
        all.iter_mut().zip(&numbers).for_each(|(sum, n)| *sum += n);
        groups.push((side, numbers));
        shares.push(Series { name: format!("{}s", side.name()), points: concentration(of) });
    }
    let kept = Kept::of(&all);
    let series = groups.into_iter().map(|(side, numbers)| Series {
        name: format!("{}s", side.name()),
        points: kept.points(&numbers),
    });
    let series: Vec<Series> = series.collect();
    let mut body = bars(
        &Frame {
            id: "rows",
            title: "How much is known of each row".to_owned(),
            note: "Users and items by their number of training ratings; the fewer, the more of a \
                   prediction is the mean of the others."
                .to_owned(),
            x: "training ratings",
            y: "rows",
        },
        &kept.names(),
        &series,
    );
    body += &lines(
        &Frame {
            id: "tail",
            title: "The long tail".to_owned(),
            note:
                "The share of all training ratings that the most active users, or the most rated \
                   items, have together."
                    .to_owned(),
            x: "share of the rows, largest first",
            y: "share of the ratings",
        },
        &shares,
        (false, true, false),
        None,
    );
    Section { id: "data", title: "Data", body }
}

/// (share of the rows, share of the sum) of the largest rows first.
fn concentration(counts: &[u32]) -> Vec<(f64, f64)> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let total: f64 = sorted.iter().map(|&n| f64::from(n)).sum();
    if total == 0.0 {
        return Vec::new();
    }
    let (mut points, mut sum, mut done) = (vec![(0.0, 0.0)], 0.0, 0);
    for point in 1..=POINTS {
        let until = sorted.len() * point / POINTS;
        sum += sorted[done..until].iter().map(|&n| f64::from(n)).sum::<f64>();
        if until > done {
            points.push((until as f64 / sorted.len() as f64, sum / total));
        }
        done = until;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_from_nothing_to_all() {
        let points = concentration(&[1, 0, 7, 2]);
        assert_eq!(points, [(0.0, 0.0), (0.25, 0.7), (0.5, 0.9), (0.75, 1.0), (1.0, 1.0)]);
        assert!(concentration(&[0, 0]).is_empty());
        assert_eq!(concentration(&vec![3; 1000]).len(), POINTS + 1);
    }
}
