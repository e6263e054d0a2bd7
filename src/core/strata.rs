//! The ratings cut into strata, for gradient descent rating by rating in parallel (Gemulla et al. 2011).
//!
//! The rows of each side are put in a seeded order and cut into as many *strata*, of about as many ratings
//! each. A *block* is the ratings of a stratum of users with a stratum of items; a *wave* is as many blocks
//! as there are strata, of which no two share a stratum and so no two share a row. A wave's blocks can be
//! visited at once, by threads, devices or machines, to the result of visiting them one after the other;
//! an epoch is all waves, in any order. How many strata there are depends on the ratings and on the size of
//! a row, never on who visits them.
//!
//! A block's ratings lie in the order in which they are visited: by *tiles* of some rows of either side,
//! whose parameters fit a core's nearest cache together, and within a tile by chance. Ratings that
//! follow each other then seldom share a row, so that a processor works on several at once where ratings
//! sorted by row would wait for each other: 1.6 times as many a second at 32 factors.

use super::ratings::Ratings;
use super::side::Side;
use super::sizes::Sizes;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// A rating of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StratumRating {
    /// The user's place in its stratum.
    pub user: u32,
    /// The item's place in its stratum.
    pub item: u32,
    /// The rating.
    pub value: f32,
}

/// One side's rows in strata.
#[derive(Clone, Debug, Default)]
pub struct SideStrata {
    /// (rows): the place of each row among all of its side.
    pub places: Vec<u32>,
    /// (strata + 1): stratum `s` has the places `cuts[s]..cuts[s + 1]`.
    pub cuts: Vec<usize>,
    /// (rows): training ratings of each row.
    pub row_ratings: Vec<u32>,
}

impl SideStrata {
    /// The places of a stratum.
    pub fn places_of(&self, stratum: usize) -> Range<usize> {
        self.cuts[stratum]..self.cuts[stratum + 1]
    }

    /// The row at each place.
    pub fn rows(&self) -> Vec<u32> {
        let mut rows = vec![0; self.places.len()];
        for (row, &place) in self.places.iter().enumerate() {
            rows[place as usize] = row as u32;
        }
        rows
    }

    fn new(row_ratings: Vec<u32>, strata: usize, shuffle: Option<(u64, Side)>) -> Self {
        let mut order: Vec<u32> = (0..row_ratings.len() as u32).collect();
        if let Some((seed, side)) = shuffle {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(ROWS + side.index() as u64);
            order.shuffle(&mut random);
        }
        let total: u64 = row_ratings.iter().map(|&n| u64::from(n)).sum();
        let (mut places, mut cuts) = (vec![0; order.len()], vec![0]);
        let mut before = 0;
        for (place, &row) in order.iter().enumerate() {
            places[row as usize] = place as u32;
            before += u64::from(row_ratings[row as usize]);
            while cuts.len() < strata && before * strata as u64 >= total * cuts.len() as u64 {
                cuts.push(place + 1);
            }
        }
        cuts.resize(strata, order.len());
        cuts.push(order.len());
        Self { places, cuts, row_ratings }
    }

    /// The stratum of each place.
    fn strata(&self) -> Vec<u32> {
        let mut strata = Vec::with_capacity(self.places.len());
        for stratum in 0..self.cuts.len() - 1 {
            strata.resize(self.cuts[stratum + 1], stratum as u32);
        }
        strata
    }
}

/// All ratings, cut once into blocks.
#[derive(Clone, Debug)]
pub struct Strata {
    /// Users and items.
    pub sides: [SideStrata; 2],
    /// (ratings): block by block, each in the order of its visits.
    pub ratings: Vec<StratumRating>,
    /// (ratings): what each counts, in their order; empty where all count alike.
    pub weights: Vec<f32>,
    /// (strata² + 1): the block of user stratum `u` and item stratum `i` is number `u · strata + i`, and
    /// block `b` has the ratings `starts[b]..starts[b + 1]`.
    pub starts: Vec<usize>,
}

impl Strata {
    /// Cuts `ratings` into blocks for rows of `factors` factors: rows and visits in an order seeded with
    /// `shuffle`, or, where that is `None`, rows in their own order and each block's ratings in file order.
    ///
    /// # Panics
    /// If there are no ratings, or an index is out of range.
    pub fn new(
        ratings: &Ratings,
        users: usize,
        items: usize,
        factors: usize,
        shuffle: Option<u64>,
    ) -> Self {
        if ratings.weights.is_empty() {
            return Self::cut(ratings, &ratings.values, (users, items), factors, shuffle);
        }
        // Each goes to its place with its number, by which its value and its weight are found there.
        let numbers: Vec<f32> = (0..ratings.len() as u32).map(f32::from_bits).collect();
        let mut strata = Self::cut(ratings, &numbers, (users, items), factors, shuffle);
        let number = |rating: &StratumRating| rating.value.to_bits() as usize;
        strata.weights = strata.ratings.iter().map(|r| ratings.weights[number(r)]).collect();
        strata.ratings.iter_mut().for_each(|r| r.value = ratings.values[number(r)]);
        strata
    }

    fn cut(
        ratings: &Ratings,
        values: &[f32],
        (users, items): (usize, usize),
        factors: usize,
        shuffle: Option<u64>,
    ) -> Self {
        assert!(!ratings.is_empty(), "strata need ratings");
        let counts = |side, rows| move || ratings.counts(side, rows);
        let (of_users, of_items) =
            rayon::join(counts(Side::User, users), counts(Side::Item, items));
        let strata = count(ratings.len(), users.min(items), factors);
        let side = |counts, side| SideStrata::new(counts, strata, shuffle.map(|seed| (seed, side)));
        let sides = [side(of_users, Side::User), side(of_items, Side::Item)];
        let groups = Groups::of((ratings, values), &sides, strata);
        let mut starts = Vec::with_capacity(strata * strata + 1);
        starts.push(0);
        for block in 0..strata * strata {
            let size: usize = groups.iter().map(|group| group.block(block).len()).sum();
            starts.push(starts[block] + size);
        }
        let mut visits = vec![StratumRating::default(); ratings.len()];
        let mut blocks = Vec::with_capacity(strata * strata);
        let mut rest = &mut visits[..];
        for block in 0..strata * strata {
            let (of_block, others) = rest.split_at_mut(starts[block + 1] - starts[block]);
            blocks.push(of_block);
            rest = others;
        }
        let tiles = shuffle.map(|seed| Tiles::new(seed, users >= items, factors));
        blocks.into_par_iter().enumerate().for_each(|(block, visits)| {
            let mut filled = 0;
            for group in &groups {
                let part = group.block(block);
                visits[filled..filled + part.len()].copy_from_slice(part);
                filled += part.len();
            }
            if let Some(tiles) = &tiles {
                tiles.put_in_order(block, visits);
            }
        });
        Self { sides, ratings: visits, weights: Vec::new(), starts }
    }

    /// Bytes of the layout of ratings of these sizes, and those that making it takes beside them.
    pub fn bytes(sizes: &Sizes, factors: usize) -> [u64; 2] {
        let n = sizes.ratings as u64;
        let strata = count(sizes.ratings, sizes.users.min(sizes.items), factors) as u64;
        let each = size_of::<StratumRating>() as u64;
        let weights = if sizes.weighted { 4 * n } else { 0 };
        let kept =
            each * n + weights + 8 * (strata * strata + 1) + 8 * sizes.rows() + 16 * (strata + 1);
        // Ratings by block, a group after the other; of the blocks in work their keys.
        let groups = n.div_ceil(TOGETHER as u64) * 8 * (strata * strata + 1);
        let threads = rayon::current_num_threads() as u64;
        let keys = (each + 12) * (threads * n / (strata * strata)).min(n);
        [kept, weights + each * n + groups + keys + 8 * sizes.rows()]
    }

    /// Number of strata of a side, and so of waves.
    pub fn strata(&self) -> usize {
        self.sides[0].cuts.len() - 1
    }

    /// The blocks of a wave: user stratum `u` with the item stratum `u + wave`, and so round.
    pub fn wave(&self, wave: usize) -> impl ExactSizeIterator<Item = (usize, usize)> + use<> {
        let strata = self.strata();
        (0..strata).map(move |user| (user, (user + wave) % strata))
    }

    /// The ratings of a block, in the order of their visits.
    pub fn block(&self, block: (usize, usize)) -> &[StratumRating] {
        &self.ratings[self.block_range(block)]
    }

    /// What they count; nothing where all count alike.
    pub fn block_weights(&self, block: (usize, usize)) -> &[f32] {
        self.weights.get(self.block_range(block)).unwrap_or_default()
    }

    fn block_range(&self, (user, item): (usize, usize)) -> Range<usize> {
        let block = user * self.strata() + item;
        self.starts[block]..self.starts[block + 1]
    }
}

/// Streams of the seed: that of the users' order, and after it that of the items'. The epochs' batches have
/// the first ones, and the start has others of its own.
const ROWS: u64 = 1 << 60;

/// Bytes of the side with fewer rows that a block may have: half of a core's second cache on most
/// processors, since all of them are visited with each tile of the other side.
const CACHED: usize = 512 << 10;

/// How many strata suit so many ratings, of which the smaller side has `rows` rows: 4 for a million, 8 for
/// ten, 20 for a hundred. As many threads can work at once; but an epoch reads all rows once a wave. With 32
/// factors and 9 million ratings a thread visits 72 M ratings/s of 8 strata, 59 of 16, 44 of 28. Multiples of
/// four leave no one of two or four threads without a block.
fn count(ratings: usize, rows: usize, factors: usize) -> usize {
    let for_threads = (ratings as f64).cbrt() / 26.0;
    let for_cache = (rows * row_bytes(factors)) as f64 / CACHED as f64;
    let most = (ratings as f64 / FEW).sqrt().min(rows as f64).clamp(1.0, MOST);
    let wanted = for_threads.max(for_cache).ceil() as usize;
    wanted.next_multiple_of(4).min(most as usize)
}

/// Ratings of a block that are worth a thread's while, about.
const FEW: f64 = 512.0;

/// Strata at most, so that blocks are tens of thousands.
const MOST: f64 = 256.0;

fn row_bytes(factors: usize) -> usize {
    factors.max(1).next_multiple_of(16) * 4
}

/// Ratings of consecutive lines, by block.
struct Groups {
    ratings: Vec<StratumRating>,
    starts: Vec<u32>,
}

/// Ratings that are put in their blocks together, whatever the number of threads.
const TOGETHER: usize = 1 << 20;

impl Groups {
    fn of(
        (ratings, values): (&Ratings, &[f32]),
        sides: &[SideStrata; 2],
        strata: usize,
    ) -> Vec<Self> {
        let [users, items] = sides;
        let [user_strata, item_strata] = [users.strata(), items.strata()];
        let rows = ratings.users.par_chunks(TOGETHER).zip(ratings.items.par_chunks(TOGETHER));
        rows.zip(values.par_chunks(TOGETHER))
            .map(|((of_users, of_items), values)| {
                let block = |user: u32, item: u32| {
                    let user = users.places[user as usize] as usize;
                    let item = items.places[item as usize] as usize;
                    (user_strata[user] as usize, item_strata[item] as usize)
                };
                let mut starts = vec![0_u32; strata * strata + 1];
                for (&user, &item) in of_users.iter().zip(of_items) {
                    let (user, item) = block(user, item);
                    starts[user * strata + item + 1] += 1;
                }
                for block in 0..strata * strata {
                    starts[block + 1] += starts[block];
                }
                let mut next = starts.clone();
                let mut ratings = vec![StratumRating::default(); values.len()];
                for ((&user, &item), &value) in of_users.iter().zip(of_items).zip(values) {
                    let (user_stratum, item_stratum) = block(user, item);
                    let at = &mut next[user_stratum * strata + item_stratum];
                    ratings[*at as usize] = StratumRating {
                        user: users.places[user as usize] - users.cuts[user_stratum] as u32,
                        item: items.places[item as usize] - items.cuts[item_stratum] as u32,
                        value,
                    };
                    *at += 1;
                }
                Self { ratings, starts }
            })
            .collect()
    }

    fn block(&self, block: usize) -> &[StratumRating] {
        &self.ratings[self.starts[block] as usize..self.starts[block + 1] as usize]
    }
}

/// The order of visits inside a block.
struct Tiles {
    seed: u64,
    /// Whether tiles of users go round outside, each with all of the block's items, or those of items.
    users_outside: bool,
    /// A tile has two to the power of this rows of either side.
    shift: u32,
}

/// Bytes of a tile's rows of one side: a quarter of a core's first cache.
const TILE: usize = 8 << 10;

impl Tiles {
    fn new(seed: u64, users_outside: bool, factors: usize) -> Self {
        let rows = (TILE / row_bytes(factors)).max(4);
        Self { seed, users_outside, shift: rows.ilog2() }
    }

    fn put_in_order(&self, block: usize, visits: &mut [StratumRating]) {
        let seed = scrambled(self.seed ^ scrambled(block as u64));
        let key = |(at, visit): (usize, &StratumRating)| {
            let tiles = [visit.user >> self.shift, visit.item >> self.shift].map(u64::from);
            let [outer, inner] = if self.users_outside { tiles } else { [tiles[1], tiles[0]] };
            // Rows beyond 64 million a stratum would share tiles with others, which changes no more than
            // the order.
            let tile = (outer << 44) | ((inner & 0xf_ffff) << 24);
            (tile | (scrambled(seed ^ at as u64) >> 40), *visit)
        };
        let mut keyed: Vec<(u64, StratumRating)> = visits.iter().enumerate().map(key).collect();
        keyed.sort_by_key(|&(key, _)| key);
        for (visit, (_, sorted)) in visits.iter_mut().zip(keyed) {
            *visit = sorted;
        }
    }
}

/// A number that tells nothing of its neighbours (SplitMix64; Steele et al. 2014).
fn scrambled(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Skewed on the side of the items, with rows that have none.
    fn skewed(ratings: usize, users: u32, items: u32) -> Ratings {
        let mut of = Ratings::default();
        for at in 0..ratings as u64 {
            let word = scrambled(at);
            let unit = (word >> 40) as f64 / f64::from(1 << 24);
            of.users.push((word as u32) % users);
            of.items.push((unit * unit * unit * f64::from(items)) as u32);
            of.values.push(at as f32);
        }
        of
    }

    #[test]
    fn every_rating_is_in_one_wave_and_no_two_blocks_of_a_wave_share_a_row() {
        for (n, users, items, factors, shuffle) in [
            (1, 1, 1, 1, Some(0)),
            (300, 40, 30, 8, Some(1)),
            (20_000, 700, 90, 32, Some(2)),
            (20_000, 90, 700, 32, None),
            (60_000, 3000, 2000, 300, Some(3)),
            (9_000, 5, 3, 4, Some(4)),
        ] {
            let ratings = skewed(n, users, items);
            let strata = Strata::new(&ratings, users as usize, items as usize, factors, shuffle);
            let waves = strata.strata();
            let rows = [strata.sides[0].rows(), strata.sides[1].rows()];
            let mut seen = vec![false; n];
            for wave in 0..waves {
                let mut taken = [vec![false; waves], vec![false; waves]];
                for block in strata.wave(wave) {
                    for (taken, stratum) in taken.iter_mut().zip([block.0, block.1]) {
                        assert!(!taken[stratum], "wave {wave} has stratum {stratum} twice");
                        taken[stratum] = true;
                    }
                    for visit in strata.block(block) {
                        let user = strata.sides[0].places_of(block.0).start + visit.user as usize;
                        let item = strata.sides[1].places_of(block.1).start + visit.item as usize;
                        assert!(user < strata.sides[0].places_of(block.0).end);
                        assert!(item < strata.sides[1].places_of(block.1).end);
                        let at = visit.value as usize;
                        let pair = (rows[0][user], rows[1][item]);
                        assert_eq!(pair, (ratings.users[at], ratings.items[at]));
                        assert!(!seen[at], "rating {at} twice");
                        seen[at] = true;
                    }
                }
            }
            assert!(seen.iter().all(|&seen| seen), "{n} ratings, {waves} waves");
            for side in &strata.sides {
                assert_eq!((side.cuts[0], side.cuts[waves]), (0, side.places.len()));
            }
        }
    }

    #[test]
    fn strata_are_of_about_as_many_ratings_and_the_same_for_any_threads() {
        let ratings = skewed(200_000, 9000, 4000);
        let new = |seed| Strata::new(&ratings, 9000, 4000, 32, seed);
        let with = |threads: usize, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| new(seed))
        };
        let one = with(1, Some(5));
        assert!(one.strata() > 3);
        let share = ratings.len() / one.strata();
        for side in &one.sides {
            let mut sums = vec![0; one.strata()];
            for (row, stratum) in side.rows().into_iter().zip(side.strata()) {
                sums[stratum as usize] += side.row_ratings[row as usize] as usize;
            }
            assert!(sums.iter().all(|&sum| sum.abs_diff(share) < share / 4), "{sums:?}");
        }
        for threads in 2..=4 {
            let several = with(threads, Some(5));
            assert!(several.ratings == one.ratings && several.starts == one.starts);
        }
        assert!(with(1, Some(6)).ratings != one.ratings);
        // In file order, where nothing is drawn.
        let plain = with(2, None);
        for block in (0..plain.strata()).flat_map(|wave| plain.wave(wave)) {
            assert!(plain.block(block).is_sorted_by_key(|visit| visit.value as u32));
        }
    }

    #[test]
    fn bytes_are_those_that_are_laid_out() {
        for (n, users, items, factors) in
            [(1, 1, 1, 1), (20_000, 700, 90, 32), (60_000, 3000, 2000, 9)]
        {
            let ratings = skewed(n, users as u32, items as u32);
            let of = Strata::new(&ratings, users, items, factors, Some(1));
            let side = |side: &SideStrata| {
                4 * (side.places.len() + side.row_ratings.len()) + 8 * side.cuts.len()
            };
            let is = size_of_val(&of.ratings[..])
                + 8 * of.starts.len()
                + of.sides.iter().map(side).sum::<usize>();
            let sizes = Sizes { users, items, ratings: n, test: 0, weighted: false };
            assert_eq!(Strata::bytes(&sizes, factors)[0], is as u64);
        }
    }

    #[test]
    fn more_ratings_and_larger_rows_make_more_strata_but_not_too_many() {
        assert_eq!(count(1, 1, 1), 1);
        assert!(count(100_000, 1000, 32) >= 4);
        assert!(count(20_000_000, 3700, 32) > count(1_000_000, 3700, 32));
        assert!(count(10_000_000, 100_000, 128) > count(10_000_000, 1000, 128));
        assert!(count(10_000_000, 2, 128) <= 2);
        assert!(count(1_000_000_000, 1_000_000_000, 1024) <= 256);
    }
}
