//! What is asked of a model's training data later on: a few of the facts that `run.json` lists.

use crate::core::Side;
use crate::data::DataFacts;
#[cfg(feature = "files")]
use crate::data::Reading;
use serde_json::Value;

/// What a model's predictions and its fold-in ask of the data it was trained on. Where the model is
/// saved they stand in `run.json`, among the other facts of [`RunRecord::data`](super::RunRecord::data).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TrainingFacts {
    /// The least and the largest training rating, in the user's unit, where they are known: what
    /// [`clip`](crate::core::Objective::clip) bounds predictions to.
    pub range: Option<[f64; 2]>,
    /// The mean training rating, in the user's unit, where it is known.
    pub mean: Option<f64>,
    /// Rows that were folded in since, the users', then the items': every later draw of a row has other
    /// random numbers.
    pub joined: [Joined; 2],
}

/// Rows of one side that joined a model after its training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// Rows of new ids.
    pub new: u64,
    /// Rows that were solved or drawn again.
    pub updated: u64,
}

const RANGE: [&str; 2] = ["min", "max"];
const MEAN: &str = "mean";

/// Where the rows of a side that are new, and those that were replaced, are counted.
fn counters(side: Side) -> [&'static str; 2] {
    match side {
        Side::User => ["folded_in_users", "updated_users"],
        Side::Item => ["folded_in_items", "updated_items"],
    }
}

impl TrainingFacts {
    /// Those that `run.json` has in `data`; what is not there is not known.
    ///
    /// # Errors
    /// A fact that is no number, or a range that begins above its end.
    #[cfg(feature = "files")]
    pub(super) fn read(data: &Value) -> Result<Self, String> {
        let wrong = |key: &str| format!("its data: {key} is {}, which it cannot be", data[key]);
        let number = |key: &str| match &data[key] {
            Value::Null => Ok(None),
            value => value.as_f64().map(Some).ok_or_else(|| wrong(key)),
        };
        let count = |key: &str| match &data[key] {
            Value::Null => Ok(0),
            value => value.as_u64().ok_or_else(|| wrong(key)),
        };
        let [low, high] = RANGE.map(number);
        let range = low?.zip(high?).map(|(low, high)| [low, high]);
        let mut joined = [Joined::default(); 2];
        for side in Side::BOTH {
            let [new, updated] = counters(side);
            joined[side.index()] = Joined { new: count(new)?, updated: count(updated)? };
        }
        Reading::of_facts(data)?;
        let facts = Self { range, mean: number(MEAN)?, joined };
        facts.check().map(|()| facts)
    }

    /// What is wrong with them, if anything is.
    #[cfg(feature = "files")]
    pub(super) fn check(&self) -> Result<(), String> {
        let [low, high] = self.range.unwrap_or_default();
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(format!("its data: the range of the ratings is {low} to {high}"));
        }
        match self.mean.filter(|mean| !mean.is_finite()) {
            Some(mean) => Err(format!("its data: the mean of the ratings is {mean}")),
            None => Ok(()),
        }
    }

    /// Sets what is known in the `data` of `run.json`; all else, and what stands there already, stays
    /// as it is.
    pub(crate) fn write(&self, data: &mut Value) {
        let mut set = |key: &str, value: Value, stands: &dyn Fn(&Value) -> bool| {
            if stands(&data[key]) {
                return;
            }
            if !data.is_object() {
                *data = serde_json::json!({});
            }
            if let Some(data) = data.as_object_mut() {
                data.insert(key.to_owned(), value);
            }
        };
        let range = RANGE.into_iter().zip(self.range.into_iter().flatten());
        for (key, number) in range.chain(self.mean.map(|mean| (MEAN, mean))) {
            set(key, number.into(), &|value| value.as_f64() == Some(number));
        }
        for side in Side::BOTH {
            let Joined { new, updated } = self.joined[side.index()];
            for (key, count) in counters(side).into_iter().zip([new, updated]) {
                set(key, count.into(), &|value| value.as_u64().unwrap_or(0) == count);
            }
        }
    }

    /// How many rows of either side have joined.
    pub(crate) fn all_joined(&self) -> u64 {
        let counts = self.joined.iter().flat_map(|joined| [joined.new, joined.updated]);
        counts.fold(0, u64::saturating_add)
    }
}

impl From<&DataFacts> for TrainingFacts {
    fn from(facts: &DataFacts) -> Self {
        let range = [facts.min, facts.max];
        Self {
            // No rating has no range.
            range: range.iter().all(|x| x.is_finite()).then_some(range),
            mean: Some(facts.mean),
            joined: Default::default(),
        }
    }
}

#[cfg(all(test, feature = "files"))]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_read_is_written_nowhere_else() {
        for data in [
            json!(null),
            json!({ "files": ["a.csv"], "min": 1, "max": 5.0, "mean": 3.25, "sparsity": 0.5 }),
            json!({ "updated_items": 2, "min": null, "folded_in_users": 1 }),
        ] {
            let mut written = data.clone();
            TrainingFacts::read(&data).unwrap().write(&mut written);
            assert_eq!(written.to_string(), data.to_string());
        }
    }

    #[test]
    fn facts_come_back_as_they_went() {
        let facts = TrainingFacts {
            range: Some([0.5, 5.0]),
            mean: Some(3.0),
            joined: [Joined { new: 2, updated: 0 }, Joined { new: 0, updated: 7 }],
        };
        let mut data = json!({ "min": 1.0, "ratings": 12 });
        facts.write(&mut data);
        assert_eq!(TrainingFacts::read(&data), Ok(facts.clone()));
        assert_eq!((&data["ratings"], &data["updated_users"]), (&json!(12), &Value::Null));
        assert_eq!(facts.all_joined(), 9);
    }

    #[test]
    fn facts_that_are_none_are_refused() {
        for (data, expected) in [
            (json!({ "min": "low", "max": 5 }), "min is \"low\""),
            (json!({ "min": 5, "max": 1 }), "range of the ratings is 5 to 1"),
            (json!({ "mean": [] }), "mean is []"),
            (json!({ "folded_in_users": -1 }), "folded_in_users is -1"),
        ] {
            let message = TrainingFacts::read(&data).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
