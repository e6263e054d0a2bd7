//! A figure of users by how much is known of them.

use super::figure::{Frame, Series, bars};
use super::parts::{GROUPS, Kept, group};
use crate::evaluate::ByUser;

/// Means of the column `frame.y` over users with so many training ratings, a bar for each of `tables`; nothing where
/// one of them has no such column. The groups are those that the first has users in.
pub(super) fn by_activity(
    frame: &Frame,
    tables: &[(&str, &ByUser)],
    activity: &dyn Fn(u32) -> u32,
) -> String {
    let mut measured = Vec::new();
    for (name, table) in tables {
        let Some(column) = table.names.iter().position(|own| own == frame.y) else {
            return String::new();
        };
        let (mut means, mut users) = ([0.0; GROUPS], [0.0; GROUPS]);
        for (user, figures) in table.rows().filter(|row| row.1[column].is_finite()) {
            let group = group(activity(user));
            means[group] += figures[column];
            users[group] += 1.0;
        }
        means.iter_mut().zip(&users).for_each(|(sum, &n)| *sum /= f64::max(n, 1.0));
        measured.push((*name, means, users));
    }
    let Some(kept) = measured.first().map(|first| Kept::of(&first.2)) else {
        return String::new();
    };
    let series: Vec<Series> = measured
        .iter()
        .map(|(name, means, _)| Series { name: (*name).to_owned(), points: kept.points(means) })
        .collect();
    bars(frame, &kept.names(), &series)
}
