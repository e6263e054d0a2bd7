//! `seen.safetensors`: which items each user has rated in training, and how.

use super::{Model, PartRecord, Seen};
use crate::core::{Side, escaped};
use crate::files::tensors::{AGAIN, Tensor, TensorFile, write};
use crate::{Error, Result};
use std::path::Path;

impl Seen {
    /// Reads the training pairs of the model in `dir`, whichever it is;
    /// [`Model::open_seen`] makes sure that they are its own.
    pub fn open(dir: impl AsRef<Path>) -> Result<Seen> {
        Self::read(dir.as_ref(), None, None)
    }

    /// Reads those of a model, where one is given, from the file that `part` tells of.
    pub(super) fn read(
        dir: &Path,
        model: Option<&Model>,
        part: Option<&PartRecord>,
    ) -> Result<Seen> {
        let path = dir.join(Self::FILE);
        let wrong = |message: String| Error::file(&path, format!("{message}; {AGAIN}"));
        let mut file = TensorFile::open(&path)?;
        if let Some(part) = part {
            part.check_length(&path, file.file())?;
        }
        let [users, items] = file.read::<i64>("shape", &[2])?[..] else {
            return Err(wrong("has no shape".into()));
        };
        if let Some(model) = model {
            let sizes = [model.factors.users(), model.factors.items()];
            if [users, items].map(usize::try_from) != sizes.map(Ok) {
                let [m, n] = sizes;
                return Err(wrong(format!(
                    "is for {users} users × {items} items, the model for {m} × {n}"
                )));
            }
            // Before as many are read into memory.
            let [pairs] = file.shape("indices")?;
            let counted: u64 = model.user_ratings.iter().map(|&n| u64::from(n)).sum();
            if pairs as u64 > counted {
                return Err(wrong(format!(
                    "holds {pairs} training pairs, the model's users have {counted} ratings"
                )));
            }
        }
        // A hostile number of users fails here, by the shape of what there is.
        let rows = usize::try_from(users).ok().and_then(|u| u.checked_add(1)).unwrap_or(0);
        let indptr = file.read::<i64>("indptr", &[rows])?;
        let [pairs] = file.shape("indices")?;
        let indices = file.read::<u32>("indices", &[pairs])?;
        let ends = indptr.first() == Some(&0) && indptr.last() == Some(&(pairs as i64));
        let rises = indptr.windows(2).all(|w| w[0] <= w[1]);
        if !(ends && rises) {
            return Err(wrong("\"indptr\" is not in order".into()));
        }
        let values = match file.has("values") {
            true => Some(file.read::<f32>("values", &[pairs])?),
            false => None,
        };
        if values.iter().flatten().any(|value| !value.is_finite()) {
            return Err(wrong("\"values\" are not all finite".into()));
        }
        let weights = match file.has("weights") {
            true => Some(file.read::<f32>("weights", &[pairs])?),
            false => None,
        };
        if !weights.iter().flatten().all(|weight| (0.0..f32::INFINITY).contains(weight)) {
            return Err(wrong("\"weights\" are not all finite and 0 or more".into()));
        }
        let items = usize::try_from(items).unwrap_or(0);
        let seen = Seen { indptr, indices, values, weights, items };
        let sorted = |user| {
            let row = seen.items_of(user);
            row.windows(2).all(|w| w[0] < w[1])
                && row.last().is_none_or(|&i| (i as usize) < seen.items)
        };
        if !(0..seen.users() as u32).all(sorted) {
            return Err(wrong("\"indices\" are not sorted item indices".into()));
        }
        if let Some(model) = model {
            seen.check_counts(model, part.is_none()).map_err(wrong)?;
        }
        if let Some(part) = part {
            part.check(&path, file.file())?;
        }
        Ok(seen)
    }

    /// Whether these can be the training pairs of a model of as many rows: no row has more of them than
    /// ratings, and if any pairs were kept, none with ratings has no pair; where they have to be `all`, each
    /// rating is of a pair of its own.
    pub(super) fn check_counts(&self, model: &Model, all: bool) -> Result<(), String> {
        let users = self.indptr.windows(2).map(|w| (w[1] - w[0]) as u32).collect();
        let mut items = vec![0; self.items];
        self.indices.iter().for_each(|&item| items[item as usize] += 1);
        let sides =
            [(Side::User, users, &model.user_ratings), (Side::Item, items, &model.item_ratings)];
        for (side, pairs, ratings) in sides {
            let wrong = |(&pairs, &ratings): (&u32, &u32)| {
                let fewer = if all { pairs < ratings } else { pairs == 0 && ratings > 0 };
                pairs > ratings || (fewer && !self.indices.is_empty())
            };
            if let Some(row) = pairs.iter().zip(ratings).position(wrong) {
                let (side, id) = (side.name(), escaped(model.ids(side).name(row as u32)));
                return Err(format!(
                    "holds {} training pairs of {side} \"{id}\", of which {side}s.csv counts {} \
                     ratings",
                    pairs[row], ratings[row]
                ));
            }
        }
        Ok(())
    }

    /// Writes `seen.safetensors` into `dir`: `indptr` (users + 1) and `shape` (2) as int64,
    /// `indices` (pairs) as uint32, ascending within a user, `values` (pairs) as float32, and where pairs count
    /// differently `weights` (pairs) as float32.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let shape = [self.users() as i64, self.items as i64];
        let mut tensors = vec![
            Tensor::new("indptr", &[self.indptr.len()], &self.indptr),
            Tensor::new("indices", &[self.indices.len()], &self.indices),
            Tensor::new("shape", &[2], &shape),
        ];
        if let Some(values) = &self.values {
            tensors.push(Tensor::new("values", &[values.len()], values));
        }
        if let Some(weights) = &self.weights {
            tensors.push(Tensor::new("weights", &[weights.len()], weights));
        }
        write(&dir.as_ref().join(Self::FILE), tensors)
    }
}
