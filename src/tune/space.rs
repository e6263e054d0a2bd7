//! What is tried: settings by name, each among choices or within a range.

use crate::core::{Contrast, Loss, Options, Ratings, Solver, Suits};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::str::FromStr;

/// Settings to be searched, of which no name comes twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The settings.
    pub dimensions: Vec<Dimension>,
}

/// A setting and what is tried for it.
///
/// ```
/// use wgmf::tune::Dimension;
///
/// # fn main() -> wgmf::Result<()> {
/// let reg: Dimension = "reg=1e-4..1e-1:log".parse()?;
/// let factors: Dimension = "factors=64,128,256".parse()?;
/// assert_eq!((&*reg.name, &*factors.name), ("reg", "factors"));
/// assert!("seed=1,2".parse::<Dimension>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// A field of [`Options`].
    pub name: String,
    /// What it may be.
    pub range: Range,
}

/// What a setting may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Range {
    /// One of these, as [`Options`] are written in JSON.
    Choices(Vec<Value>),
    /// Anything from `low` to `high`.
    Between {
        /// The least.
        low: f64,
        /// The largest.
        high: f64,
        /// Whether equal ratios are as likely as each other, instead of equal differences.
        log: bool,
    },
}

impl FromStr for Dimension {
    type Err = Error;

    /// `NAME=A,B,C`, `NAME=LOW..HIGH` or `NAME=LOW..HIGH:log`, where the name is a field of [`Options`],
    /// with `-` or `_`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::settings(format!("`search` {text}: {why}"));
        let Some((name, values)) = text.split_once('=') else {
            return Err(wrong(
                "give NAME=A,B,C or NAME=LOW..HIGH or NAME=LOW..HIGH:log, as in reg=1e-4..1e-1:log",
            ));
        };
        let range = match values.split_once("..") {
            Some((low, high)) => {
                let (high, log) = match high.split_once(':') {
                    Some((high, "log")) => (high, true),
                    Some(_) => return Err(wrong("behind the colon only log may stand")),
                    None => (high, false),
                };
                let number = |text: &str| {
                    let number = text.trim().parse::<f64>().ok();
                    number.ok_or_else(|| wrong(&format!("{text:?} is no number")))
                };
                Range::Between { low: number(low)?, high: number(high)?, log }
            }
            None => Range::Choices(values.split(',').map(|value| as_value(value.trim())).collect()),
        };
        let dimension = Self { name: name.trim().replace('-', "_"), range };
        dimension.check().map_err(|error| wrong(&error.to_string()))?;
        Ok(dimension)
    }
}

/// A number or a truth where it is one, else a word.
fn as_value(text: &str) -> Value {
    serde_json::from_str(text).ok().filter(|value: &Value| !value.is_object()).unwrap_or_else(
        || match text.parse::<f64>() {
            // `.5`, `1.` and the like, which JSON does not know.
            Ok(number) => Value::from(number),
            Err(_) => Value::from(text.replace('-', "_")),
        },
    )
}

/// The options as a map from names to values.
pub(super) fn map_of(options: &Options) -> Result<Map<String, Value>> {
    match serde_json::to_value(options) {
        Ok(Value::Object(map)) => Ok(map),
        other => Err(Error::data(format!("options cannot be written: {other:?}"))),
    }
}

/// Options with one of them set; nothing where it does not take the value.
fn with(options: &Options, name: &str, value: &Value) -> Result<Option<Options>> {
    let mut map = map_of(options)?;
    map.insert(name.to_owned(), value.clone());
    Ok(serde_json::from_value(Value::Object(map)).ok())
}

/// Whether a setting is a whole number.
fn is_whole(name: &str) -> Result<bool> {
    Ok(with(&Options::default(), name, &Value::from(1.5))?.is_none())
}

impl Dimension {
    /// Of choices.
    pub fn choices<T: Into<Value>>(name: &str, choices: impl IntoIterator<Item = T>) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        Self { name: name.to_owned(), range: Range::Choices(choices) }
    }

    /// Of a range in which equal ratios are as likely as each other.
    pub fn log(name: &str, low: f64, high: f64) -> Self {
        Self { name: name.to_owned(), range: Range::Between { low, high, log: true } }
    }

    /// Makes sure that there is such a setting, that it can be searched, and that it takes the values.
    ///
    /// # Errors
    /// Which is not so.
    pub fn check(&self) -> Result<()> {
        let name = &self.name;
        let wrong = |why: String| Err(Error::settings(why));
        match &**name {
            "seed" | "patience" | "keep" | "sample_precision" => {
                return wrong(format!("`{name}` makes no better model; it is not searched"));
            }
            "epochs" => {
                return wrong(
                    "`epochs` are what trials are cut to; --epochs N is the most, and the best of \
                     them is found beside the rest"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let map = map_of(&Options::default())?;
        if !map.contains_key(name) {
            let known: Vec<&str> = map.keys().map(String::as_str).collect();
            return wrong(format!("there is no setting {name}; there are {}", known.join(", ")));
        }
        let check = |value: &Value| match with(&Options::default(), name, value)? {
            Some(_) => Ok(()),
            None => Err(Error::settings(format!("`{name}` does not take {value}"))),
        };
        match &self.range {
            Range::Choices(choices) => {
                if choices.iter().any(Value::is_null) || choices.is_empty() {
                    return wrong("a choice is missing".to_owned());
                }
                choices.iter().try_for_each(check)
            }
            &Range::Between { low, high, log } => {
                if !(low.is_finite() && high.is_finite() && low < high) {
                    return wrong(format!(
                        "{low}..{high} is no range from a lower to a higher number"
                    ));
                }
                if log && low <= 0.0 {
                    return wrong(format!("{low}..{high}:log has to begin above 0"));
                }
                check(&self.at(0.0)?)?;
                check(&self.at(1.0)?)
            }
        }
    }

    /// Whether it is tried what makes lists and predicts no ratings, as ials and losses made for ranking do.
    pub fn has_lists(&self) -> bool {
        let Range::Choices(choices) = &self.range else { return false };
        let is_one = |choice: &Value| match &*self.name {
            "solver" => choice == Solver::Ials.name(),
            "loss" => serde_json::from_value(choice.clone()).is_ok_and(Loss::is_ranking),
            _ => false,
        };
        choices.iter().any(is_one)
    }

    /// The value at a place in [0, 1].
    fn at(&self, place: f64) -> Result<Value> {
        let (low, high, log) = match &self.range {
            Range::Choices(choices) => {
                let which = (place * choices.len() as f64) as usize;
                return Ok(choices[which.min(choices.len().saturating_sub(1))].clone());
            }
            &Range::Between { low, high, log } => (low, high, log),
        };
        let value = if log { low * (high / low).powf(place) } else { low + (high - low) * place };
        Ok(match is_whole(&self.name)? {
            true if value >= 0.0 => Value::from(value.round() as u64),
            true => Value::from(value),
            // Three digits, so that a setting can be repeated as it is printed, where they lie in the range.
            false => {
                let rounded = format!("{value:.2e}").parse().unwrap_or(value);
                let inside = (low..=high).contains(&rounded) && (high - low) > 0.05 * high.abs();
                Value::from(if inside { rounded } else { value.clamp(low, high) })
            }
        })
    }
}

impl Space {
    /// Of these settings.
    ///
    /// # Errors
    /// As [`Dimension::check`]; a setting twice.
    pub fn new(dimensions: Vec<Dimension>) -> Result<Self> {
        for (at, dimension) in dimensions.iter().enumerate() {
            dimension.check()?;
            if dimensions[..at].iter().any(|before| before.name == dimension.name) {
                let name = &dimension.name;
                return Err(Error::settings(format!("`search` has {name} twice; name it once")));
            }
        }
        Ok(Self { dimensions })
    }

    /// What is usually worth searching for a solver, around what no settings would take for these
    /// ratings of users and items on a device that this suits; what the options say is left as they say.
    ///
    /// # Errors
    /// As [`Options::resolve`]; nothing left to search.
    pub fn usual(
        options: &Options,
        suits: Suits,
        ratings: &Ratings,
        (users, items): (usize, usize),
    ) -> Result<Self> {
        let settings = options.resolve_for(suits, ratings, users, items)?;
        let around = |name: &str, value: f64, times: f64| {
            let round = |x: f64| format!("{x:.2e}").parse().unwrap_or(x);
            (value > 0.0).then(|| Dimension::log(name, round(value / times), round(value * times)))
        };
        let of_factors = |list: &[u64]| Some(Dimension::choices("factors", list.iter().copied()));
        let (reg, damping) = (settings.reg, settings.damping);
        let of_loss = |contrast: &Contrast| match settings.loss {
            Loss::Softmax => around("temperature", contrast.temperature, 2.0),
            Loss::Ccl => around("negative_weight", contrast.negative_weight, 4.0),
            _ => around("reg", 1e-3, 30.0),
        };
        let dimensions = match settings.solver {
            _ if settings.contrast.is_some() => vec![
                of_factors(&[32, 64, 128]),
                settings.contrast.as_ref().and_then(of_loss),
                around("learning_rate", settings.learning_rate, 3.0),
            ],
            Solver::Ials if settings.confidence.is_signed() => vec![
                of_factors(&[32, 64, 128, 256]),
                around("reg", reg, 8.0),
                around("alpha", settings.alpha.unwrap_or(1.0), 40.0),
            ],
            Solver::Ials => vec![
                of_factors(&[32, 64, 128, 256]),
                around("reg", reg, 8.0),
                around("unobserved_weight", settings.unobserved_weight, 6.0),
            ],
            Solver::Als => vec![
                of_factors(&[8, 16, 32, 64, 128]),
                around("reg", reg, 3.0),
                around("damping", damping, 5.0),
                around("damping_bias", settings.damping_bias, 4.0),
            ],
            Solver::Sgd | Solver::Adam | Solver::Adagrad => vec![
                of_factors(&[16, 32, 64, 128]),
                around("reg", reg, 3.0),
                around("damping", damping, 5.0),
                around("damping_bias", settings.damping_bias, 4.0),
                around("learning_rate", settings.learning_rate, 3.0),
                around("learning_rate_bias", settings.learning_rate_bias, 3.0),
            ],
            Solver::Bayes => vec![of_factors(&[8, 16, 32, 64])],
        };
        let given = map_of(options)?;
        let is_free = |dimension: &Dimension| given[&dimension.name].is_null();
        let dimensions: Vec<_> = dimensions.into_iter().flatten().filter(is_free).collect();
        if dimensions.is_empty() {
            return Err(Error::settings(
                "every setting that is usually searched is given; leave one out, or name what to \
                 `search`",
            ));
        }
        Self::new(dimensions)
    }

    /// The values at a point of the unit cube.
    pub(super) fn at(&self, point: &[f64]) -> Result<Map<String, Value>> {
        let pairs = self.dimensions.iter().zip(point);
        pairs
            .map(|(dimension, &place)| Ok((dimension.name.clone(), dimension.at(place)?)))
            .collect()
    }
}

/// Options with the values of a trial.
///
/// # Errors
/// Values that do not go together.
pub(super) fn set(options: &Options, values: &Map<String, Value>) -> Result<Options> {
    let mut map = map_of(options)?;
    map.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
    let options: Options = serde_json::from_value(Value::Object(map))
        .map_err(|e| Error::settings(format!("`search`: {e}")))?;
    options.check()?;
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_read_and_what_makes_no_sense_is_refused() {
        let read = |text: &str| text.parse::<Dimension>();
        assert_eq!(
            read("learning-rate=0.001..0.1:log").unwrap(),
            Dimension::log("learning_rate", 1e-3, 0.1)
        );
        assert_eq!(read("factors=64,128").unwrap(), Dimension::choices("factors", [64, 128]));
        let solvers = read("solver=sgd,als").unwrap();
        assert_eq!(solvers, Dimension::choices("solver", ["sgd", "als"]));
        assert_eq!(read("reg=.5,1").unwrap().range, Range::Choices(vec![0.5.into(), 1.into()]));
        read("no_bias=true,false").unwrap();
        for (text, why) in [
            ("reg", "give NAME="),
            ("reg=", "does not take"),
            ("factors=a", "does not take"),
            ("factors=1.5", "does not take"),
            ("factors=8,", "does not take"),
            ("factors=null", "missing"),
            ("rank=8", "no setting rank"),
            ("reg=1..0", "no range"),
            ("reg=0..1:log", "above 0"),
            ("reg=a..1", "no number"),
            ("reg=0..nan", "no range"),
            ("reg=1..2:lin", "only log"),
            ("factors=-5..3", "does not take"),
            ("seed=1,2", "not searched"),
            ("epochs=5,10", "--epochs N"),
            ("solver=svd", "does not take"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(text), "{text}: {error}");
        }
        let twice = ["reg=1..2", "reg=2..3"].map(|text| read(text).unwrap());
        assert!(Space::new(twice.to_vec()).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn places_become_values() {
        let at = |text: &str, place: f64| text.parse::<Dimension>().unwrap().at(place).unwrap();
        assert_eq!(at("reg=1e-4..1:log", 0.5), 0.01);
        assert_eq!(at("reg=1..3", 0.25), 1.5);
        assert_eq!(at("factors=4..64:log", 0.5), 16);
        let narrow = at("momentum=0.99..0.9999", 0.9).as_f64().unwrap();
        assert!((narrow - 0.99891).abs() < 1e-9, "{narrow}");
        assert_eq!(at("factors=4,8,16", 0.999), 16);
        assert_eq!(at("factors=4,8,16", 1.0), 16);
        assert_eq!(at("factors=4,8,16", 0.34), 8);
        let space = Space::new(vec!["factors=4,8".parse().unwrap()]).unwrap();
        let options = set(&Options::als(), &space.at(&[0.7]).unwrap()).unwrap();
        assert_eq!((options.factors, options.solver), (Some(8), Some(Solver::Als)));
    }
}
