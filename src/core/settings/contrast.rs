//! Settings of the losses that hold what a user chose against items that he did not: softmax, ccl, bpr, warp.

use super::{Negatives, Options, Settings};
use crate::core::{Loss, Solver};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How two rows make a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The cosine of the angle between them, −1 to 1: popularity does not lengthen a row.
    #[default]
    Cosine,
    /// Their inner product, and the item's bias where there are biases.
    Inner,
}

impl Score {
    /// As the command line and `run.json` have it.
    pub fn name(self) -> &'static str {
        match self {
            Score::Cosine => "cosine",
            Score::Inner => "inner",
        }
    }
}

/// What a user may set of these losses: what is `None` is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Losses softmax, ccl, bpr and warp"))]
#[serde(default)]
pub struct ContrastOptions {
    /// What ranks an item for a user: the cosine of their rows, or the inner product. Default: cosine for softmax and
    /// ccl, inner for bpr and warp
    #[cfg_attr(feature = "cli", arg(long, value_enum))]
    pub score: Option<Score>,
    /// What pairs are held against: N items drawn for each batch and shared by its pairs, the batch's own
    /// items (batch), both (batch+N), or every item (all). Default: batch+512 for softmax (all of
    /// at most 2048 items), 2048 for the others
    #[cfg_attr(feature = "cli", arg(long, value_name = "N|batch|batch+N|all"))]
    pub negatives: Option<Negatives>,
    /// Items are drawn as often as (their pairs)^X says; 0, the default, draws all alike
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub negative_exponent: Option<f64>,
    /// softmax: what scores are divided by; the lower it is, the more the highest negatives count. Default: 0.1
    /// where users have few pairs to 0.15 where they have many
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub temperature: Option<f64>,
    /// softmax: exponent of the negatives' part (BSL, Wu et al. 2023); above 1 for noisy negatives. Default:
    /// 1.22 where users have few pairs to 1 where they have many
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub negative_power: Option<f64>,
    /// softmax: pairs count by how near they are to the first K of their user's list (SL@K, Yang et al.
    /// 2025). Default: all alike
    #[cfg_attr(feature = "cli", arg(long, value_name = "K"))]
    pub cut_off: Option<usize>,
    /// ccl: the score up to which a negative costs nothing; warp: how far a pair has to lie above a negative.
    /// Default: 0 for ccl, 1 for warp
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub margin: Option<f64>,
    /// ccl: weight of the negatives' mean against the pair. Default: 10
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub negative_weight: Option<f64>,
    /// bpr: negatives drawn for each pair, of which the one of the highest score counts (1 draws one alike
    /// of all); warp: negatives looked at for one that comes too near, at most. Default: 8 for bpr, 64 for warp
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub tries: Option<usize>,
    /// Part of the factors of each row that a batch leaves out, by chance. Default: 0
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub dropout: Option<f64>,
    /// Learn a bias of each item, for inner products
    #[cfg_attr(feature = "cli", arg(long))]
    pub bias: bool,
}

/// The most draws of a pool.
const MOST: usize = 1 << 20;

/// The most negatives that are looked at for one pair: more than this tell nothing, and are memory for each pair of a
/// batch.
const MOST_TRIES: usize = 1 << 12;

impl ContrastOptions {
    /// Whether every number that is given lies in its range.
    fn check_ranges(&self) -> Result<()> {
        let within = |name: &str, value: Option<f64>, ok: fn(f64) -> bool, what: &str| match value {
            Some(x) if !ok(x) => Err(Error::settings(format!("`{name}` {x}: must be {what}"))),
            _ => Ok(()),
        };
        within(
            "negative_exponent",
            self.negative_exponent,
            |x| (0.0..=4.0).contains(&x),
            "0 to 4",
        )?;
        within("temperature", self.temperature, |x| (1e-3..=1e3).contains(&x), "0.001 to 1000")?;
        let few = "above 0, at most 100";
        within("negative_power", self.negative_power, |x| x > 0.0 && x <= 100.0, few)?;
        within("margin", self.margin, |x| x.abs() <= 1e6, "a finite number")?;
        let many = "0 to a million";
        within("negative_weight", self.negative_weight, |x| (0.0..=1e6).contains(&x), many)?;
        within("dropout", self.dropout, |x| (0.0..1.0).contains(&x), "at least 0 and below 1")?;
        let pool = self.negatives.and_then(Negatives::drawn);
        let counts = [
            ("negatives", pool, MOST),
            ("cut_off", self.cut_off, MOST),
            ("tries", self.tries, MOST_TRIES),
        ];
        for (name, value, most) in counts {
            if let Some(x) = value.filter(|x| !(1..=most).contains(x)) {
                return Err(Error::settings(format!("`{name}` {x}: must be 1 to {most}")));
            }
        }
        Ok(())
    }

    /// What is given that only some of these losses have, by whether `loss` does: its name, and of which
    /// it is.
    fn of_others(&self, loss: Loss) -> Option<(&'static str, &'static str)> {
        use Loss::{Bpr, Ccl, Softmax, Warp};
        let given: [(&str, bool, &[Loss], &str); 10] = [
            (
                "score",
                self.score.is_some(),
                &[Softmax, Ccl, Bpr, Warp],
                "softmax, ccl, bpr or warp",
            ),
            (
                "negatives",
                self.negatives.is_some(),
                &[Softmax, Ccl, Bpr, Warp],
                "softmax, ccl, bpr or warp",
            ),
            (
                "negative_exponent",
                self.negative_exponent.is_some(),
                &[Softmax, Ccl, Bpr, Warp],
                "softmax, ccl, bpr or warp",
            ),
            (
                "dropout",
                self.dropout.is_some(),
                &[Softmax, Ccl, Bpr, Warp],
                "softmax, ccl, bpr or warp",
            ),
            ("temperature", self.temperature.is_some(), &[Softmax], "softmax"),
            ("negative_power", self.negative_power.is_some(), &[Softmax], "softmax"),
            ("cut_off", self.cut_off.is_some(), &[Softmax], "softmax"),
            ("margin", self.margin.is_some(), &[Ccl, Warp], "ccl or warp"),
            ("negative_weight", self.negative_weight.is_some(), &[Ccl], "ccl"),
            ("tries", self.tries.is_some(), &[Bpr, Warp], "bpr or warp"),
        ];
        let other = given.into_iter().find(|(_, given, of, _)| *given && !of.contains(&loss));
        other.map(|(name, _, _, of)| (name, of))
    }
}

/// Settings of these losses, complete.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// How two rows make a score.
    pub score: Score,
    /// What the pairs of a batch are held against.
    pub negatives: Negatives,
    /// `ξ`: items are drawn as often as (their pairs)^ξ says.
    pub negative_exponent: f64,
    /// `τ` of softmax; 1 for the others.
    pub temperature: f64,
    /// `η` of softmax: the exponent of the negatives' part; 1 for the others.
    pub negative_power: f64,
    /// `K` of softmax by SL@K.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<usize>,
    /// `θ` of ccl and warp; 0 for the others.
    pub margin: f64,
    /// `λ` of ccl; 1 for the others.
    pub negative_weight: f64,
    /// `T` of bpr and warp; 0 for the others.
    pub tries: usize,
    /// The part of the factors that is left out.
    pub dropout: f64,
}

impl Contrast {
    /// Makes sure that every number lies in its range.
    ///
    /// # Errors
    /// One that does not: which, and what to give.
    pub fn check(&self) -> Result<()> {
        let given = ContrastOptions {
            negatives: Some(self.negatives),
            negative_exponent: Some(self.negative_exponent),
            temperature: Some(self.temperature),
            negative_power: Some(self.negative_power),
            cut_off: self.cut_off,
            margin: Some(self.margin),
            negative_weight: Some(self.negative_weight),
            tries: (self.tries > 0).then_some(self.tries),
            dropout: Some(self.dropout),
            ..ContrastOptions::default()
        };
        given.check_ranges()
    }

    /// In words.
    pub fn describe(&self, loss: Loss) -> String {
        let mut line = format!("{} of {} scores against ", loss.name(), self.score.name());
        line += &match self.negatives {
            Negatives::Pool(count) => crate::core::plural(count, "item"),
            Negatives::Batch => "the batch's own items".to_owned(),
            Negatives::Mixed(count) => format!("the batch's own items and {count} more"),
            Negatives::All => "all items".to_owned(),
        };
        let numbers = [
            ("negative-exponent", self.negative_exponent, 0.0),
            ("temperature", self.temperature, 1.0),
            ("negative-power", self.negative_power, 1.0),
            ("margin", self.margin, 0.0),
            ("negative-weight", self.negative_weight, 1.0),
            ("dropout", self.dropout, 0.0),
        ];
        for (name, value, usual) in numbers {
            if value != usual {
                line += &format!(", {name} {value}");
            }
        }
        if let Some(cut_off) = self.cut_off {
            line += &format!(", cut-off {cut_off}");
        }
        if self.tries > 0 {
            line += &format!(", tries {}", self.tries);
        }
        line
    }

    /// Whether a pair's own score stands in its softmax beside those of the pool. Where the pool is every
    /// item, and none is left out of it, it does already.
    pub fn own(&self) -> bool {
        false
    }

    /// Whether items that a user chose in training are left out of his negatives.
    pub fn masks(&self) -> bool {
        true
    }

    /// `τ_K` of SL@K's weights.
    pub fn cut_temperature(&self) -> f64 {
        CUT_TEMPERATURE
    }
}

/// `τ_K`: over how much of a score the weight of a pair falls below the cut-off.
const CUT_TEMPERATURE: f64 = 1.0;

/// The score of a loss where nothing is said.
fn usual_score(loss: Loss) -> Score {
    if loss.is_dense() { Score::Cosine } else { Score::Inner }
}

/// What pairs are held against where nothing is said, or only how items are drawn. A popular item is pulled in nearly
/// every batch and wants to be pushed there too: on held-out pairs of Gowalla the batch's items with a few more come
/// further than a larger pool that costs as much (recall@20 .2114 and .2094 after 12 epochs), on MovieLens 1M as well
/// (.3202 and .3188).
fn usual_negatives(loss: Loss, items: usize, drawn: bool) -> Negatives {
    match loss {
        Loss::Softmax if items <= POOL && !drawn => Negatives::All,
        Loss::Softmax => Negatives::Mixed(BESIDE),
        _ => Negatives::Pool(POOL),
    }
}

/// `τ` and `η` of softmax where nothing is said, by how many pairs users have in the mean: the fewer, the more the
/// highest negatives have to count, and the less their sum is to be trusted. .1 and 1.22 were best on held-out pairs of
/// Gowalla (27 a user; .15 and 1 cost a tenth of the recall), .12 and 1.1 on those of Last.fm 2K (44), .15 and 1 on
/// those of MovieLens 1M (95; 4 and 5 stars); what others chose for Yelp and Amazon (39 and 45 a user, .11 and .14; Wu et
/// al. 2023) is near it.
fn usual_temperature(pairs: usize, users: usize) -> (f64, f64) {
    let mean = pairs as f64 / users.max(1) as f64;
    let part = ((mean / 27.0).ln() / (95.0_f64 / 27.0).ln()).clamp(0.0, 1.0);
    let round = |x: f64| (100.0 * x).round() / 100.0;
    (round(0.1 + 0.05 * part), round(1.22 - 0.22 * part))
}

/// Pairs of a batch at the most where nothing is said.
const BATCH: usize = 2048;

/// Draws beside a batch's own items where nothing is said.
const BESIDE: usize = 512;

/// Draws of a pool where nothing is said.
const POOL: usize = 2048;

impl Settings {
    /// Whether settings of a loss made for ranking are those of the loss.
    pub(super) fn check_contrast(&self) -> Result<()> {
        let (ranking, name) = (self.loss.is_ranking(), self.loss.name());
        let Some(contrast) = self.contrast.filter(|_| ranking) else {
            return match ranking || self.contrast.is_some() {
                true => Err(Error::settings(format!(
                    "`loss` {name}: `contrast` is for losses made for ranking, which need it"
                ))),
                false => Ok(()),
            };
        };
        contrast.check()?;
        let wrong = [
            ("factors", self.factors == 0),
            ("batch_size", self.batch_size == 0),
            ("init_scale", self.init_scale == 0.0),
            ("tries", contrast.tries == 0 && !self.loss.is_dense()),
        ];
        if let Some((setting, _)) = wrong.into_iter().find(|(_, wrong)| *wrong) {
            return Err(Error::settings(format!("`{setting}` 0: must be more for `loss` {name}")));
        }
        match self.bias && contrast.score == Score::Cosine {
            true => Err(Error::settings("`bias` needs `score` inner: a cosine has no bias")),
            false => Ok(()),
        }
    }
}

impl Options {
    /// Whether they ask for a model of what users chose, which is judged by its lists.
    pub fn is_implicit(&self) -> bool {
        self.solver == Some(Solver::Ials) || self.loss.is_some_and(Loss::is_ranking)
    }

    /// Whether what is given of these losses belongs to the loss, and what else is given to these losses.
    pub(super) fn check_ranking(&self) -> Result<()> {
        let (given, loss) = (&self.contrast, self.loss.unwrap_or_default());
        given.check_ranges()?;
        if let Some((name, of)) = given.of_others(loss) {
            return Err(Error::settings(format!("`{name}` belongs to `loss` {of}")));
        }
        let name = loss.name();
        if !loss.is_ranking() {
            return match given.bias {
                true => Err(Error::settings(
                    "`bias` is for losses made for ranking; squared and logistic have biases unless \
                     `no_bias` says otherwise",
                )),
                false => Ok(()),
            };
        }
        let refused = [
            ("no_bias", self.no_bias, "there are none unless `bias` asks for them"),
            ("no_mean", self.no_mean, "there is none"),
            ("clip", self.clip, "scores are no ratings"),
            ("damping", self.damping.is_some(), "`reg` is its penalty"),
            ("damping_bias", self.damping_bias.is_some(), "`reg_bias` is its penalty"),
            ("reg_exponent", self.reg_exponent.is_some(), "`reg` counts at every pair"),
        ];
        if let Some((setting, _, why)) = refused.into_iter().find(|(_, given, _)| *given) {
            return Err(Error::settings(format!(
                "`{setting}` has no effect with `loss` {name}: {why}; leave it out"
            )));
        }
        if let Some(margin) = given.margin.filter(|&margin| loss == Loss::Warp && margin < 0.0) {
            return Err(Error::settings(format!(
                "`margin` {margin}: `loss` warp needs 0 or more, by which a pair has to lie above a negative"
            )));
        }
        if let Some(Negatives::Batch | Negatives::All) = given.negatives
            && given.negative_exponent.is_some()
        {
            return Err(Error::settings(
                "`negative_exponent` says how a pool is drawn, and with `negatives` batch or all there is none",
            ));
        }
        let unknown = matches!(self.solver, Some(Solver::Sgd | Solver::Adagrad));
        if let Some(solver) = self.solver.filter(|_| unknown && self.learning_rate.is_none()) {
            return Err(Error::settings(format!(
                "`solver` {} has no `learning_rate` that is known to learn by `loss` {name}: leave `solver` out (adam, \
                 which has one, is taken then), or give a `learning_rate` and look at held-out lists (`holdout`)",
                solver.name()
            )));
        }
        if self.factors == Some(0) {
            return Err(Error::settings(format!("`factors` 0: `loss` {name} needs 1 or more")));
        }
        if self.batch_size == Some(0) {
            return Err(Error::settings(format!(
                "`batch_size` 0: `loss` {name} goes by batches; give 1 or more"
            )));
        }
        if self.init_scale == Some(0.0) {
            return Err(Error::settings(
                "`init_scale` 0: rows that start at zero stay there; give more",
            ));
        }
        let inner = given.score.unwrap_or(usual_score(loss)) == Score::Inner;
        let biased = [
            ("bias", given.bias && !inner, "needs `score` inner: a cosine has no bias"),
            (
                "learning_rate_bias",
                self.learning_rate_bias.is_some() && !given.bias,
                "needs `bias`",
            ),
            ("reg_bias", self.reg_bias.is_some() && !given.bias, "needs `bias`"),
        ];
        match biased.into_iter().find(|(_, wrong, _)| *wrong) {
            Some((setting, _, why)) => Err(Error::settings(format!("`{setting}` {why}"))),
            None => Ok(()),
        }
    }

    /// Completes the settings of a loss made for ranking, for `n` pairs of so many users and items.
    pub(super) fn of_ranking(
        &self,
        loss: Loss,
        n: usize,
        (users, items): (usize, usize),
    ) -> Result<Settings> {
        let given = &self.contrast;
        let solver = self.solver.unwrap_or(Solver::Adam);
        let factors = self.factors.unwrap_or(64);
        let score = given.score.unwrap_or(usual_score(loss));
        let softmax = loss == Loss::Softmax;
        let (temperature, power) = usual_temperature(n, users);
        if let Some(cut_off) = given.cut_off.filter(|&cut_off| cut_off > items.max(1)) {
            return Err(Error::settings(format!(
                "`cut_off` {cut_off}: lists have {} at most",
                crate::core::plural(items, "item")
            )));
        }
        let contrast = Contrast {
            score,
            negatives: given
                .negatives
                .unwrap_or_else(|| usual_negatives(loss, items, given.negative_exponent.is_some())),
            negative_exponent: given.negative_exponent.unwrap_or(0.0),
            temperature: if softmax { given.temperature.unwrap_or(temperature) } else { 1.0 },
            negative_power: if softmax { given.negative_power.unwrap_or(power) } else { 1.0 },
            cut_off: given.cut_off,
            margin: given.margin.unwrap_or(match loss {
                Loss::Warp => 1.0,
                _ => 0.0,
            }),
            negative_weight: given.negative_weight.unwrap_or(match loss {
                Loss::Ccl => 10.0,
                _ => 1.0,
            }),
            tries: match loss {
                Loss::Bpr => given.tries.unwrap_or(8),
                Loss::Warp => given.tries.unwrap_or(64),
                _ => 0,
            },
            dropout: given.dropout.unwrap_or(0.0),
        };
        // Measured on held-out pairs of MovieLens 1M (4 and 5 stars), Last.fm 2K and a part of Gowalla.
        let usual = (n / 256 + 1).next_power_of_two().clamp(256, BATCH);
        let batch_size = self.batch_size.unwrap_or(usual).min(n.max(1));
        let dense = loss.is_dense();
        let rate = if dense { 0.01 } else { 0.005 };
        let learning_rate = self.learning_rate.unwrap_or(rate);
        let bias = given.bias;
        Ok(Settings {
            bias,
            mean: false,
            loss,
            epochs: self.epochs.unwrap_or(15),
            batch_size,
            learning_rate,
            learning_rate_bias: self.learning_rate_bias.unwrap_or(learning_rate),
            learning_rate_decay: self.learning_rate_decay.unwrap_or(if dense {
                0.85
            } else {
                0.93
            }),
            momentum: self.momentum.unwrap_or(0.0),
            reg: self.reg.unwrap_or(match (loss, score) {
                (Loss::Bpr, Score::Inner) => 0.01,
                (Loss::Warp, Score::Inner) => 0.2,
                // The length of a row is nothing to a cosine.
                _ => 0.0,
            }),
            reg_bias: if bias { self.reg_bias.unwrap_or(0.0) } else { 0.0 },
            reg_exponent: 1.0,
            init_scale: self.init_scale.unwrap_or(if dense { 0.05 } else { 0.1 }),
            shuffle: !self.no_shuffle,
            contrast: Some(contrast),
            ..self.of_every_solver(solver, factors, 1.0)
        })
    }
}
