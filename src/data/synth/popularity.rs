//! Who rates how often, and what gets rated: Zipf-like weights on both sides.

use rand::{Rng, RngExt};

/// `ratings` spread over `rows` in proportion to `rank^-exponent` in a random order of ranks, with
/// at least 1 and at most `most` each; they sum to `ratings` exactly.
///
/// Needs `rows <= ratings <= rows · most`.
pub(super) fn counts(
    rows: usize,
    ratings: u64,
    most: u32,
    exponent: f64,
    rng: &mut impl Rng,
) -> Vec<u32> {
    let weights = weights(rows, exponent, rng);
    let most = f64::from(most);
    let share = |scale: f64, weight: f64| (scale * weight).clamp(1.0, most);
    let total = |scale: f64| weights.iter().map(|&w| share(scale, w)).sum::<f64>();
    // The scale at which the clamped shares sum to what is wanted, by halving.
    let wanted = ratings as f64;
    let (mut low, mut high) = (0.0, 1.0);
    while total(high) < wanted && high < 1e300 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if total(middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Rounding the running sum keeps every count within its bounds and the total exact; the sum
    // of the shares is brought to the total in small corrections where the halving stopped short.
    let correction = wanted / total(high);
    let (mut sum, mut given) = (0.0, 0_u64);
    let mut counts: Vec<u32> = weights
        .iter()
        .map(|&weight| {
            sum += share(high, weight) * correction;
            let upto = (sum.round() as u64).min(ratings);
            let count = (upto - given).clamp(1, most as u64);
            given += count;
            count as u32
        })
        .collect();
    // What rounding has left over or taken too much.
    while given != ratings {
        for count in counts.iter_mut() {
            if given < ratings && f64::from(*count) < most {
                *count += 1;
                given += 1;
            } else if given > ratings && *count > 1 {
                *count -= 1;
                given -= 1;
            }
        }
    }
    counts
}

/// `rank^-exponent` for a random order of the ranks 1 to `rows`.
pub(super) fn weights(rows: usize, exponent: f64, rng: &mut impl Rng) -> Vec<f64> {
    let mut weights: Vec<f64> = (1..=rows).map(|rank| (rank as f64).powf(-exponent)).collect();
    shuffle(&mut weights, rng);
    weights
}

/// A uniform reordering (Fisher and Yates).
pub(super) fn shuffle<T>(values: &mut [T], rng: &mut impl Rng) {
    for last in (1..values.len()).rev() {
        values.swap(last, below(last as u32 + 1, rng) as usize);
    }
}

/// A number below `end`, without the bias that would matter here.
#[inline]
pub(super) fn below(end: u32, rng: &mut impl Rng) -> u32 {
    ((u64::from(rng.next_u32()) * u64::from(end)) >> 32) as u32
}

/// Draws items by weight in constant time (Walker's alias method), and without replacement.
pub(super) struct Popularity {
    weights: Vec<f64>,
    /// `(threshold of 2^32, alias)`.
    places: Vec<(u32, u32)>,
}

impl Popularity {
    /// From positive weights.
    pub(super) fn new(weights: Vec<f64>) -> Self {
        let count = weights.len();
        let mean = weights.iter().sum::<f64>() / count as f64;
        let mut scaled: Vec<f64> = weights.iter().map(|w| w / mean).collect();
        let mut places: Vec<(u32, u32)> = (0..count as u32).map(|i| (u32::MAX, i)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&i| scaled[i] < 1.0);
        while let (Some(&less), Some(&more)) = (small.last(), large.last()) {
            small.pop();
            places[less] = ((scaled[less] * 4_294_967_296.0) as u32, more as u32);
            scaled[more] -= 1.0 - scaled[less];
            if scaled[more] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        Popularity { weights, places }
    }

    fn draw(&self, rng: &mut impl Rng) -> u32 {
        let at = below(self.places.len() as u32, rng);
        let (threshold, alias) = self.places[at as usize];
        if rng.next_u32() <= threshold { at } else { alias }
    }

    /// Appends `count` different items, drawn one after the other by weight among those left.
    /// `stamps` has a place an item; `stamp` is a number it does not contain yet.
    pub(super) fn distinct(
        &self,
        count: usize,
        stamp: u32,
        stamps: &mut [u32],
        chosen: &mut Vec<u32>,
        rng: &mut impl Rng,
    ) {
        let wanted = chosen.len() + count;
        let mut tries = 8 * count + 64;
        while chosen.len() < wanted && tries > 0 {
            tries -= 1;
            let item = self.draw(rng);
            if std::mem::replace(&mut stamps[item as usize], stamp) != stamp {
                chosen.push(item);
            }
        }
        let left = wanted - chosen.len();
        if left == 0 {
            return;
        }
        // The rest of the same distribution at once: the least of exponential variates with the
        // weights as rates (Efraimidis and Spirakis 2006).
        let mut keys: Vec<(f64, u32)> = (0..self.weights.len() as u32)
            .filter(|&item| stamps[item as usize] != stamp)
            .map(|item| (-(1.0 - rng.random::<f64>()).ln() / self.weights[item as usize], item))
            .collect();
        if left < keys.len() {
            keys.select_nth_unstable_by(left - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            keys.truncate(left);
            keys.sort_unstable_by_key(|key| key.1);
        }
        chosen.extend(keys.iter().map(|key| key.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn counts_sum_exactly_within_bounds() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let cases =
            [(1, 1, 1), (10, 10, 5), (10, 50, 5), (100, 4_321, 50), (1000, 1500, 7), (7, 34, 5)];
        for (rows, ratings, most) in cases {
            for exponent in [0.0, 0.5, 1.0, 2.5] {
                let counts = counts(rows, ratings, most, exponent, &mut rng);
                assert_eq!(counts.iter().map(|&c| u64::from(c)).sum::<u64>(), ratings);
                assert!(counts.iter().all(|&c| (1..=most).contains(&c)));
            }
        }
    }

    #[test]
    fn popular_items_come_more_often_and_never_twice() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let popularity = Popularity::new(vec![8.0, 4.0, 2.0, 1.0, 1.0]);
        let (mut stamps, mut firsts, mut chosen) = (vec![0; 5], [0_i32; 5], Vec::new());
        for stamp in 1..=16_000 {
            let count = 1 + stamp as usize % 5;
            chosen.clear();
            popularity.distinct(count, stamp, &mut stamps, &mut chosen, &mut rng);
            firsts[chosen[0] as usize] += 1;
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), count);
        }
        for (first, want) in firsts.iter().zip([8000, 4000, 2000, 1000, 1000]) {
            assert!((first - want).abs() < 200, "{firsts:?}");
        }
    }
}
