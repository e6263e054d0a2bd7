//! Pairs of the training part that a test part has too.

use crate::core::{Ratings, UNKNOWN};

/// (ratings of `test`): whether the pair is one of `train`, both of indices below `users`, or of `test`
/// [`UNKNOWN`].
pub(super) fn in_both(train: &Ratings, test: &Ratings, users: usize) -> Vec<bool> {
    // The test part by user, which mostly is the smaller one: positions, by item.
    let known =
        |at: &u32| test.users[*at as usize] != UNKNOWN && test.items[*at as usize] != UNKNOWN;
    let mut order: Vec<u32> = (0..test.len() as u32).filter(known).collect();
    order.sort_unstable_by_key(|&at| (test.users[at as usize], test.items[at as usize]));
    let mut starts = vec![0; users + 1];
    for &at in &order {
        starts[test.users[at as usize] as usize + 1] += 1;
    }
    for user in 0..users {
        starts[user + 1] += starts[user];
    }
    let mut found = vec![false; test.len()];
    let item_of = |at: u32| test.items[at as usize];
    for (user, item, _) in train.iter() {
        let of_user = &order[starts[user as usize]..starts[user as usize + 1]];
        let from = of_user.partition_point(|&at| item_of(at) < item);
        for &at in of_user[from..].iter().take_while(|&&at| item_of(at) == item) {
            found[at as usize] = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_both_are_found_however_often_they_occur() {
        let ratings = |pairs: &[(u32, u32)]| Ratings {
            users: pairs.iter().map(|pair| pair.0).collect(),
            items: pairs.iter().map(|pair| pair.1).collect(),
            values: vec![1.0; pairs.len()],
            timestamps: vec![],
            weights: vec![],
        };
        let train = ratings(&[(0, 1), (2, 3), (2, 0), (0, 1)]);
        let test = ratings(&[(2, 0), (0, 1), (1, 1), (0, 1), (2, 2), (UNKNOWN, 1), (0, UNKNOWN)]);
        let expected = [true, true, false, true, false, false, false];
        assert_eq!(in_both(&train, &test, 3), expected);
        assert_eq!(in_both(&Ratings::default(), &test, 3), [false; 7]);
        assert_eq!(in_both(&train, &Ratings::default(), 3), [false; 0]);
    }
}
