//! Planted sets: ratings whose best possible error is known, of any size, in any amount of memory.
//!
//! A rating is `3.5 + b_u + c_i + p_u · q_i + noise`, put on a scale. The biases are normal with
//! standard deviation 0.35, the inner product has 0.6, the noise what is asked for. Both sides are
//! Zipf-like: how often a user rates falls with `rank^-zipf_users`, how often an item is taken with
//! `rank^-zipf_items`; no pair occurs twice.
//!
//! Users are made in blocks of some 65,536 ratings, each from a random stream of its own, so the
//! set is the same for any number of threads. Lines are shuffled within a block; blocks hold
//! consecutive users.

mod names;
mod popularity;
mod scale;

pub use scale::Scale;

use crate::core::Ratings;
use crate::files::{Output, Sink};
use crate::progress::Progress;
use crate::{Error, Result};
use popularity::Popularity;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use scale::Expectation;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

const CENTRE: f64 = 3.5;
const BIAS: f64 = 0.35;
const INTERACTION: f64 = 0.6;
/// A block ends with the user that brings it to this many ratings.
const BLOCK: u64 = 65_536;

/// What a planted set is like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[serde(default)]
pub struct SynthOptions {
    /// How many users there are; each has a rating
    #[cfg_attr(feature = "cli", arg(long, value_name = "M"))]
    pub users: u32,
    /// How many items there are; unpopular ones of a sparse set may have no rating
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub items: u32,
    /// How many ratings there are
    #[cfg_attr(feature = "cli", arg(long, value_name = "R"))]
    pub ratings: u64,
    /// Factors of the planted model
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", default_value_t = 8))]
    pub factors: usize,
    /// Standard deviation of the noise, before the scale
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = 0.8))]
    pub noise: f64,
    /// What values look like
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Scale::Real))]
    pub scale: Scale,
    /// How unevenly users rate: a user's share falls with rank to this power
    #[cfg_attr(feature = "cli", arg(long, value_name = "EXPONENT", default_value_t = 0.5))]
    pub zipf_users: f64,
    /// How unevenly items are rated
    #[cfg_attr(feature = "cli", arg(long, value_name = "EXPONENT", default_value_t = 0.8))]
    pub zipf_items: f64,
    /// Seed of all randomness
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 0))]
    pub seed: u64,
    /// Start with a line of column names
    #[cfg_attr(feature = "cli", arg(long))]
    pub header: bool,
    /// Invented names of listeners and artists as ids, instead of numbers from 1
    #[cfg_attr(feature = "cli", arg(long))]
    pub names: bool,
}

impl Default for SynthOptions {
    /// The benchmark set: 70,000 users × 10,700 items, 10 million ratings.
    fn default() -> Self {
        SynthOptions {
            users: 70_000,
            items: 10_700,
            ratings: 10_000_000,
            factors: 8,
            noise: 0.8,
            scale: Scale::Real,
            zipf_users: 0.5,
            zipf_items: 0.8,
            seed: 0,
            header: false,
            names: false,
        }
    }
}

impl SynthOptions {
    /// Whether there is such a set.
    ///
    /// # Errors
    /// Sizes that contradict each other, numbers that are not finite or negative.
    pub fn check(&self) -> Result<()> {
        let (users, items) = (u64::from(self.users), u64::from(self.items));
        if users == 0 || items == 0 {
            return Err(Error::settings("`users` and `items` must be at least 1"));
        }
        if self.ratings < users {
            return Err(Error::settings(format!(
                "`ratings` {} are too few for {users} users with a rating each",
                self.ratings
            )));
        }
        if self.ratings > users * items {
            return Err(Error::settings(format!(
                "`ratings` {} are more than the {} pairs of a user and an item",
                self.ratings,
                users * items
            )));
        }
        let within = |x: f64, most: f64| (0.0..=most).contains(&x);
        if !within(self.noise, 100.0) {
            return Err(Error::settings("`noise` must be a number from 0 to 100"));
        }
        if !within(self.zipf_users, 10.0) || !within(self.zipf_items, 10.0) {
            return Err(Error::settings("`zipf_users` and `zipf_items` must be from 0 to 10"));
        }
        if self.factors > 4096 {
            let message = format!("`factors` {}: must be at most 4096", self.factors);
            return Err(Error::settings(message));
        }
        // Planted factors, biases and popularity are what a stream of any length keeps in memory.
        let bytes = (users + items) * (self.factors as u64 + 4) * 8;
        if bytes > MOST_BYTES {
            return Err(Error::settings(format!(
                "planted factors of {users} users and {items} items need {:.0} GB of memory; take \
                 fewer `users`, `items` or `factors`",
                bytes as f64 / 1e9
            )));
        }
        Ok(())
    }
}

/// Bytes of planted factors and the like at most: above, memory is likelier to run out than not.
const MOST_BYTES: u64 = 16 << 30;

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SynthFacts {
    /// Users, all with a rating.
    pub users: u32,
    /// Items with a rating.
    pub items: u32,
    /// Ratings.
    pub ratings: u64,
    /// Mean value.
    pub mean: f64,
    /// Standard deviation of the values: the error of always predicting the mean.
    pub std: f64,
    /// Root mean squared error of the best possible predictor, which knows everything but the
    /// noise, over all ratings as they are written.
    pub floor_rmse: f64,
    /// The same of `ln(1 + value)`, for plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_rmse_log1p: Option<f64>,
}

/// Writes a planted set as text (`-` is standard output; `.gz` and `.zst` are compressed), in
/// memory that does not depend on the number of ratings.
///
/// # Errors
/// Settings that contradict each other; a file that exists, unless `force`; a failure to write,
/// after which nothing is left behind.
pub fn synth(
    options: &SynthOptions,
    output: &Path,
    force: bool,
    progress: &dyn Progress,
) -> Result<SynthFacts> {
    options.check()?;
    let mut sink = Output::create(output, force)?;
    let plan = Planted::new(options);
    if options.header {
        let (user, item) = if options.names { ("listener", "artist") } else { ("user", "item") };
        let line = format!("{user},{item},{}\n", options.scale.column());
        sink.write(|w: &mut Sink| w.write_all(line.as_bytes()))?;
    }
    progress.start("writing", Some(options.ratings), "ratings");
    let facts = plan.each(
        |plan, rows| plan.text(rows),
        |text, count| {
            sink.write(|w: &mut Sink| w.write_all(text))?;
            progress.advance(count);
            Ok(())
        },
    );
    progress.finish();
    let facts = facts?;
    sink.commit()?;
    Ok(facts)
}

/// A planted set in memory, in the order in which [`synth`] writes it; users and items are the
/// numbers from 0.
///
/// # Errors
/// Settings that contradict each other.
pub fn planted(options: &SynthOptions) -> Result<(Ratings, SynthFacts)> {
    options.check()?;
    let mut ratings = Ratings::default();
    let facts = Planted::new(options).each(
        |_, rows| rows,
        |rows: &Vec<Row>, _| {
            ratings.users.extend(rows.iter().map(|row| row.user));
            ratings.items.extend(rows.iter().map(|row| row.item));
            ratings.values.extend(rows.iter().map(|row| options.scale.value(row.code)));
            Ok(())
        },
    )?;
    Ok((ratings, facts))
}

/// One rating; `code` is in units of the scale.
#[derive(Clone, Copy)]
struct Row {
    user: u32,
    item: u32,
    code: i32,
}

/// Sums over the ratings of a block.
#[derive(Clone, Copy, Default)]
struct Sums {
    values: f64,
    squares: f64,
    errors: f64,
    log_errors: f64,
}

/// Everything that is drawn before the first rating.
struct Planted<'o> {
    options: &'o SynthOptions,
    /// Ratings of each user.
    counts: Vec<u32>,
    /// The users of each block.
    blocks: Vec<Range<u32>>,
    popularity: Popularity,
    item_bias: Vec<f32>,
    /// (items, factors), row-major.
    item_factors: Vec<f32>,
    expectation: Expectation,
}

impl<'o> Planted<'o> {
    fn new(options: &'o SynthOptions) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let (users, items) = (options.users as usize, options.items as usize);
        let rates = options.zipf_users;
        let counts = popularity::counts(users, options.ratings, options.items, rates, &mut rng);
        let weights = popularity::weights(items, options.zipf_items, &mut rng);
        let item_bias = (0..items).map(|_| normal(&mut rng, BIAS)).collect();
        let deviation = factor_deviation(options.factors);
        let item_factors =
            (0..items * options.factors).map(|_| normal(&mut rng, deviation)).collect();
        let (mut blocks, mut start, mut sum) = (Vec::new(), 0, 0);
        for (user, &count) in (0..).zip(&counts) {
            sum += u64::from(count);
            if sum >= BLOCK || user + 1 == options.users {
                blocks.push(start..user + 1);
                (start, sum) = (user + 1, 0);
            }
        }
        let spread = (2.0 * BIAS * BIAS + INTERACTION * INTERACTION).sqrt();
        Planted {
            options,
            counts,
            blocks,
            popularity: Popularity::new(weights),
            item_bias,
            item_factors,
            expectation: Expectation::new(options.scale, CENTRE, spread, options.noise),
        }
    }

    /// Makes every block, a few at a time in parallel, and hands them on in order.
    fn each<T: Send>(
        &self,
        make: impl Fn(&Self, Vec<Row>) -> T + Sync,
        mut take: impl FnMut(&T, u64) -> Result<()>,
    ) -> Result<SynthFacts> {
        let mut seen = vec![false; self.options.items as usize];
        let mut all = Sums::default();
        for batch in
            (0..self.blocks.len()).collect::<Vec<_>>().chunks(4 * rayon::current_num_threads())
        {
            let made: Vec<(T, Vec<u32>, Sums)> = batch
                .par_iter()
                .map_init(
                    || vec![0; self.options.items as usize],
                    |stamps, &block| {
                        let (rows, sums) = self.block(block, stamps);
                        let items = rows.iter().map(|row| row.item).collect();
                        (make(self, rows), items, sums)
                    },
                )
                .collect();
            for (made, items, sums) in &made {
                items.iter().for_each(|&item| seen[item as usize] = true);
                all.values += sums.values;
                all.squares += sums.squares;
                all.errors += sums.errors;
                all.log_errors += sums.log_errors;
                take(made, items.len() as u64)?;
            }
        }
        let count = self.options.ratings as f64;
        let mean = all.values / count;
        let plays = self.options.scale == Scale::Plays;
        Ok(SynthFacts {
            users: self.options.users,
            items: seen.iter().map(|&seen| u32::from(seen)).sum(),
            ratings: self.options.ratings,
            mean,
            std: (all.squares / count - mean * mean).max(0.0).sqrt(),
            floor_rmse: (all.errors / count).sqrt(),
            floor_rmse_log1p: plays.then(|| (all.log_errors / count).sqrt()),
        })
    }

    /// The ratings of a block. `stamps` has a place an item and is kept between blocks; users
    /// stamp it with their own number from 1.
    fn block(&self, block: usize, stamps: &mut [u32]) -> (Vec<Row>, Sums) {
        let SynthOptions { factors, noise, scale, .. } = *self.options;
        let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed);
        rng.set_stream(block as u64 + 1);
        let deviation = factor_deviation(factors);
        let (mut rows, mut sums) = (Vec::new(), Sums::default());
        let (mut chosen, mut own) = (Vec::new(), vec![0.0; factors]);
        for user in self.blocks[block].clone() {
            let bias = normal(&mut rng, BIAS);
            own.iter_mut().for_each(|factor| *factor = normal(&mut rng, deviation));
            chosen.clear();
            let count = self.counts[user as usize] as usize;
            // The last user of 2^32 would stamp 0; there it stands for the first.
            let stamp = user.wrapping_add(1).max(1);
            self.popularity.distinct(count, stamp, stamps, &mut chosen, &mut rng);
            for &item in &chosen {
                let at = item as usize;
                let other = &self.item_factors[at * factors..(at + 1) * factors];
                let product: f32 = own.iter().zip(other).map(|(p, q)| p * q).sum();
                let score = CENTRE + f64::from(bias + self.item_bias[at] + product);
                let draw: f64 = rng.sample(StandardNormal);
                let code = scale.code(score + noise * draw);
                let value = f64::from(scale.value(code));
                sums.values += value;
                sums.squares += value * value;
                let (mean, log_mean) = self.expectation.at(score);
                sums.errors += (value - mean).powi(2);
                if scale == Scale::Plays {
                    sums.log_errors += (value.ln_1p() - log_mean).powi(2);
                }
                rows.push(Row { user, item, code });
            }
        }
        popularity::shuffle(&mut rows, &mut rng);
        (rows, sums)
    }

    fn text(&self, rows: Vec<Row>) -> Vec<u8> {
        let mut text = Vec::with_capacity(rows.len() * 20);
        for row in rows {
            if self.options.names {
                text.extend_from_slice(names::listener(u64::from(row.user)).as_bytes());
                text.push(b',');
                text.extend_from_slice(names::artist(u64::from(row.item)).as_bytes());
            } else {
                scale::whole(&mut text, u64::from(row.user) + 1);
                text.push(b',');
                scale::whole(&mut text, u64::from(row.item) + 1);
            }
            text.push(b',');
            self.options.scale.write(row.code, &mut text);
            text.push(b'\n');
        }
        text
    }
}

/// So that inner products have the planned deviation.
fn factor_deviation(factors: usize) -> f64 {
    (INTERACTION / (factors.max(1) as f64).sqrt()).sqrt()
}

fn normal(rng: &mut ChaCha8Rng, deviation: f64) -> f32 {
    let draw: f64 = rng.sample(StandardNormal);
    (draw * deviation) as f32
}
