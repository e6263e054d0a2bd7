//! From the pairs that users chose to the batches of an epoch, with their negatives.
//!
//! What is drawn depends on the seed, the step, and the number of the draw alone (Philox), so that batches
//! are the same whoever makes them, and a resumed run goes on with those that would have come.

use super::choices::ChoiceBatch;
use super::ratings::Ratings;
use super::settings::{Contrast, Negatives, Settings};
use super::side::Side;
use crate::Result;
use crate::core::UNKNOWN;
use crate::math::random::{Purpose, Stream};
use crate::memory;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// All pairs, and what batches are made of.
#[derive(Clone, Debug)]
pub struct ChoicePlan {
    items: usize,
    /// (pairs): user and item of each, in the order of the training ratings.
    pairs: Vec<[u32; 2]>,
    /// (pairs), or nothing where all weigh 1.
    weights: Vec<f32>,
    /// (users + 1), (pairs): the items of each user, ascending.
    known_starts: Vec<u32>,
    known: Vec<u32>,
    /// (items): the pairs of each item.
    item_pairs: Vec<u32>,
    /// (items): the chance that a draw is one of the items up to this, in 2⁻³² of the whole; nothing where all
    /// are drawn alike.
    chances: Vec<u64>,
    contrast: Contrast,
    /// Whether a negative is picked for each pair.
    picks: bool,
    batch_size: usize,
    shuffle: bool,
    seed: u64,
}

/// What the vectors here are for, to people.
const WHAT: &str = "pairs of batches";

impl ChoicePlan {
    /// Lays `ratings` of `users` × `items` out for `settings`, each pair weighing what `weights` says, or 1
    /// where there are none.
    ///
    /// # Errors
    /// There is no memory for it.
    ///
    /// # Panics
    /// If the settings are not of a loss made for ranking, an index is out of range, or there are other weights
    /// than pairs.
    pub fn new(
        ratings: &Ratings,
        weights: &[f32],
        (users, items): (usize, usize),
        settings: &Settings,
    ) -> Result<Self> {
        let Some(contrast) = settings.contrast else { panic!("settings of another loss") };
        assert!(weights.is_empty() || weights.len() == ratings.len(), "a weight a pair");
        let n = ratings.len();
        let mut pairs = memory::with_room(n, WHAT)?;
        pairs.extend(ratings.iter().map(|(user, item, _)| [user, item]));
        let mut own_weights = memory::with_room(weights.len(), WHAT)?;
        own_weights.extend_from_slice(weights);
        let mut known_starts = memory::zeroed(users + 1, WHAT)?;
        for (user, count) in ratings.counts(Side::User, users).into_iter().enumerate() {
            known_starts[user + 1] = known_starts[user] + count;
        }
        let mut known = memory::zeroed(n, WHAT)?;
        let mut next = known_starts.clone();
        for &[user, item] in &pairs {
            let at = &mut next[user as usize];
            known[*at as usize] = item;
            *at += 1;
        }
        for user in 0..users {
            known[known_starts[user] as usize..known_starts[user + 1] as usize].sort_unstable();
        }
        let item_pairs = ratings.counts(Side::Item, items);
        let drawn = contrast.negatives.drawn();
        let chances = match drawn.is_some() && contrast.negative_exponent > 0.0 {
            true => chances(&item_pairs, contrast.negative_exponent),
            false => Vec::new(),
        };
        Ok(Self {
            items,
            pairs,
            weights: own_weights,
            known_starts,
            known,
            item_pairs,
            chances,
            contrast,
            picks: !settings.loss.is_dense(),
            batch_size: settings.batch_size.clamp(1, n.max(1)),
            shuffle: settings.shuffle,
            seed: settings.seed,
        })
    }

    /// The same for users who are new to items that had so many pairs in training: what is drawn by popularity
    /// does not depend on who else is new.
    pub(crate) fn among(mut self, item_pairs: &[u32]) -> Self {
        if item_pairs.iter().any(|&n| n > 0) {
            if !self.chances.is_empty() {
                self.chances = chances(item_pairs, self.contrast.negative_exponent);
            }
            self.item_pairs = item_pairs.to_vec();
        }
        self
    }

    /// Bytes of the layout for so many pairs, users and items, with what making an epoch's batches takes.
    pub fn bytes(pairs: u64, users: u64, items: u64) -> u64 {
        pairs * (8 + 4 + 4 + 4) + 8 * (users + 1) + items * (4 + 8 + 12)
    }

    /// How many batches an epoch has.
    pub fn batches(&self) -> usize {
        self.pairs.len().div_ceil(self.batch_size)
    }

    /// How many pairs there are.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// The most pairs, distinct items of a pool, and draws that a batch has.
    pub fn most(&self) -> (usize, usize, usize) {
        let draws = self.contrast.negatives.draws(self.batch_size, self.items);
        (self.batch_size, draws.min(self.items), draws)
    }

    /// The batches of an epoch (from 1), one after another: all pairs once, in a new order every epoch, or
    /// in their own where they are not to be shuffled. `rate` tells the step size of each step, from 0;
    /// `thresholds` are the users' scores at the cut-off, or nothing without one.
    pub fn epoch<'a>(
        &'a self,
        epoch: usize,
        thresholds: &'a [f32],
        rate: impl Fn(usize) -> f32 + Send + 'a,
    ) -> impl Iterator<Item = ChoiceBatch> + Send + 'a {
        let mut order: Vec<u32> = (0..self.pairs.len() as u32).collect();
        if self.shuffle {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(epoch as u64);
            order.shuffle(&mut random);
        }
        let (n, count) = (order.len() as u64, self.batches());
        let mut maker = Maker::new(self);
        (0..count).map(move |at| {
            // As few as there must be, all of one size or one less: a last one of two pairs would move its
            // rows as far as a whole one.
            let end = |at: usize| match self.shuffle {
                true => (n * at as u64 / count as u64) as usize,
                false => (at * self.batch_size).min(n as usize),
            };
            let step = (epoch - 1) * count + at;
            let members = &mut order[end(at)..end(at + 1)];
            let mut batch = maker.batch(members, step as u32, thresholds);
            batch.rate = rate(step);
            batch
        })
    }

    /// Batches of the users from `users.start` to `users.end`, all of their pairs in each, one a step.
    pub fn of_users<'a>(
        &'a self,
        users: std::ops::Range<u32>,
        steps: usize,
        rate: impl Fn(usize) -> f32 + Send + 'a,
    ) -> impl Iterator<Item = ChoiceBatch> + Send + 'a {
        let own = (0..self.pairs.len() as u32)
            .filter(move |&at| users.contains(&self.pairs[at as usize][0]));
        let mut members: Vec<u32> = own.collect();
        let mut maker = Maker { by_item: true, ..Maker::new(self) };
        (0..steps).map(move |step| {
            let mut batch = maker.batch(&mut members, step as u32, &[]);
            batch.rate = rate(step);
            batch
        })
    }

    /// The items that a user chose, ascending.
    fn known(&self, user: u32) -> &[u32] {
        let user = user as usize;
        &self.known[self.known_starts[user] as usize..self.known_starts[user + 1] as usize]
    }
}

/// What is summed up to each item of `pairs^exponent`, of 2³².
fn chances(item_pairs: &[u32], exponent: f64) -> Vec<u64> {
    let weigh = |&n: &u32| if n == 0 { 0.0 } else { f64::from(n).powf(exponent) };
    let total: f64 = item_pairs.iter().map(weigh).sum();
    let mut sum = 0.0;
    let chance = |n| {
        sum += weigh(n);
        (sum / total * 4_294_967_296.0) as u64
    };
    item_pairs.iter().map(chance).collect()
}

/// Makes batches, one after another, in memory that is used again.
struct Maker<'a> {
    plan: &'a ChoicePlan,
    /// (items): the slot of each item that the batch has, else [`UNKNOWN`].
    slots: Vec<u32>,
    /// (items): how often each was drawn; zeros between batches.
    drawn: Vec<u32>,
    /// The rows of the draws.
    draws: Vec<u32>,
    /// Whether it is its item, and not its place in the batch, that says at which draw a pair begins: then it does
    /// not matter who else is there.
    by_item: bool,
}

impl<'a> Maker<'a> {
    fn new(plan: &'a ChoicePlan) -> Self {
        let (slots, drawn) = (vec![UNKNOWN; plan.items], vec![0; plan.items]);
        Self { plan, slots, drawn, draws: Vec::new(), by_item: false }
    }

    fn batch(&mut self, members: &mut [u32], step: u32, thresholds: &[f32]) -> ChoiceBatch {
        let plan = self.plan;
        let stream = Stream::new(plan.seed, 0, step, Purpose::Negatives);
        members.sort_unstable_by_key(|&at| (plan.pairs[at as usize], at));
        let mut batch = ChoiceBatch { step, ..ChoiceBatch::default() };
        batch.user_starts.push(0);
        for &at in &*members {
            let [user, _] = plan.pairs[at as usize];
            if batch.users.last() != Some(&user) {
                batch.users.push(user);
                batch.user_starts.push(batch.pair_users.len() as u32);
            }
            batch.pair_users.push(batch.users.len() as u32 - 1);
            if let Some(end) = batch.user_starts.last_mut() {
                *end += 1;
            }
        }
        batch.weights = match plan.weights.is_empty() {
            true => vec![1.0; members.len()],
            false => members.iter().map(|&at| plan.weights[at as usize]).collect(),
        };
        self.pool(&mut batch, members, stream);
        self.slots_of(&mut batch, members);
        self.known_of(&mut batch);
        if !thresholds.is_empty() {
            batch.thresholds = batch.users.iter().map(|&user| thresholds[user as usize]).collect();
        }
        if plan.picks {
            let draws = self.draws.len() as u64;
            let begin = |(pair, &at): (usize, &u32)| {
                let own = if self.by_item { plan.pairs[at as usize][1] } else { pair as u32 };
                ((u64::from(stream.word(1, own)) * draws) >> 32) as u32
            };
            batch.begins = members.iter().enumerate().map(begin).collect();
            batch.draws = self.draws.iter().map(|&item| self.slots[item as usize]).collect();
        }
        for &item in &batch.items {
            (self.slots[item as usize], self.drawn[item as usize]) = (UNKNOWN, 0);
        }
        batch
    }

    /// Draws the pool.
    fn pool(&mut self, batch: &mut ChoiceBatch, members: &[u32], stream: Stream) {
        let plan = self.plan;
        let items = plan.items as u64;
        self.draws.clear();
        let negatives = plan.contrast.negatives;
        match negatives {
            Negatives::Pool(count) | Negatives::Mixed(count) => {
                let mut words = [0; 4];
                for at in 0..count as u32 {
                    if at % 4 == 0 {
                        words = stream.words(0, at / 4);
                    }
                    let word = u64::from(words[at as usize % 4]);
                    self.draws.push(match plan.chances.is_empty() {
                        true => ((word * items) >> 32) as u32,
                        // The last sum may be rounded to below the whole.
                        false => {
                            plan.chances.partition_point(|&up_to| up_to <= word).min(plan.items - 1)
                                as u32
                        }
                    });
                }
            }
            Negatives::Batch => {}
            Negatives::All => {
                self.draws.extend(0..plan.items as u32);
                if plan.picks {
                    // Neighbours would be looked at by the same pairs every time.
                    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
                    random.set_stream((1 << 32) | u64::from(stream.sweep));
                    self.draws.shuffle(&mut random);
                }
            }
        }
        if matches!(negatives, Negatives::Batch | Negatives::Mixed(_)) {
            self.draws.extend(members.iter().map(|&at| plan.pairs[at as usize][1]));
        }
        for &item in &self.draws {
            let drawn = &mut self.drawn[item as usize];
            if *drawn == 0 {
                batch.items.push(item);
            }
            *drawn += 1;
        }
        batch.items.sort_unstable();
        batch.pool = batch.items.len();
        batch.counts = batch.items.iter().map(|&item| self.drawn[item as usize] as f32).collect();
        // How often an item is drawn by chance, and as the item of one of the batch's pairs, in the mean.
        let by_chance = |item: usize| match plan.chances.is_empty() {
            true => 1.0 / items as f64,
            false => {
                let before = item.checked_sub(1).map_or(0, |before| plan.chances[before]);
                (plan.chances[item] - before).max(1) as f64 / 4_294_967_296.0
            }
        };
        let own = |item: usize| {
            members.len() as f64 * f64::from(plan.item_pairs[item]) / plan.pairs.len() as f64
        };
        let log_weight = |&item: &u32| {
            let item = item as usize;
            let expected = match negatives {
                Negatives::All => return 0.0,
                Negatives::Batch => own(item),
                Negatives::Pool(count) => count as f64 * by_chance(item),
                Negatives::Mixed(count) => count as f64 * by_chance(item) + own(item),
            };
            (f64::from(self.drawn[item]) / expected).ln() as f32
        };
        batch.log_weights = batch.items.iter().map(log_weight).collect();
    }

    /// Gives every item of the batch its slot.
    fn slots_of(&mut self, batch: &mut ChoiceBatch, members: &[u32]) {
        let plan = self.plan;
        let pairs = members.iter().map(|&at| plan.pairs[at as usize][1]);
        for (slot, &item) in batch.items.iter().enumerate() {
            self.slots[item as usize] = slot as u32;
        }
        for item in pairs.clone() {
            let slot = &mut self.slots[item as usize];
            if *slot == UNKNOWN {
                *slot = 0;
                batch.items.push(item);
            }
        }
        let pool = batch.pool;
        batch.items[pool..].sort_unstable();
        for (slot, &item) in batch.items.iter().enumerate().skip(pool) {
            self.slots[item as usize] = slot as u32;
        }
        batch.pair_items = pairs.map(|item| self.slots[item as usize]).collect();
        batch.item_starts = vec![0; batch.items.len() + 1];
        for &slot in &batch.pair_items {
            batch.item_starts[slot as usize + 1] += 1;
        }
        for slot in 0..batch.items.len() {
            batch.item_starts[slot + 1] += batch.item_starts[slot];
        }
        let mut next = batch.item_starts.clone();
        batch.item_pairs = vec![0; members.len()];
        for (pair, &slot) in batch.pair_items.iter().enumerate() {
            let at = &mut next[slot as usize];
            batch.item_pairs[*at as usize] = pair as u32;
            *at += 1;
        }
    }

    /// What of the pool is no negative.
    fn known_of(&self, batch: &mut ChoiceBatch) {
        batch.known_starts.push(0);
        for &user in &batch.users {
            if self.plan.contrast.masks() {
                let slots = self.plan.known(user).iter().map(|&item| self.slots[item as usize]);
                // Slots of the pool ascend with their rows; of a pair that is listed twice there is one.
                let pool = batch.pool as u32;
                for slot in slots.filter(|&slot| slot < pool) {
                    if batch.known.len() == *batch.known_starts.last().unwrap_or(&0) as usize
                        || batch.known.last() != Some(&slot)
                    {
                        batch.known.push(slot);
                    }
                }
            }
            batch.known_starts.push(batch.known.len() as u32);
        }
    }
}

#[cfg(test)]
mod tests;
