//! `seen.safetensors`: which items each user has rated in training, and how.

use super::Seen;
use crate::files::tensors::{AGAIN, Tensor, TensorFile, write};
use crate::{Error, Result};
use std::path::Path;

impl Seen {
    /// Reads the training pairs of the model in `dir`.
    pub fn open(dir: impl AsRef<Path>) -> Result<Seen> {
        let path = dir.as_ref().join(Self::FILE);
        let mut file = TensorFile::open(&path)?;
        let [users, items] = file.read::<i64>("shape", &[2])?[..] else {
            return Err(Error::file(&path, format!("has no shape; {AGAIN}")));
        };
        let rows = usize::try_from(users).ok().and_then(|u| u.checked_add(1)).unwrap_or(0);
        let indptr = file.read::<i64>("indptr", &[rows])?;
        let [pairs] = file.shape("indices")?;
        let indices = file.read::<u32>("indices", &[pairs])?;
        let ends = indptr.first() == Some(&0) && indptr.last() == Some(&(pairs as i64));
        let rises = indptr.windows(2).all(|w| w[0] <= w[1]);
        if !(ends && rises) {
            return Err(Error::file(&path, format!("\"indptr\" is not in order; {AGAIN}")));
        }
        let values = match file.has("values") {
            true => Some(file.read::<f32>("values", &[pairs])?),
            false => None,
        };
        if values.iter().flatten().any(|value| !value.is_finite()) {
            let message = format!("\"values\" are not all finite; {AGAIN}");
            return Err(Error::file(&path, message));
        }
        let items = usize::try_from(items).unwrap_or(0);
        let seen = Seen { indptr, indices, values, items };
        let sorted = |user| {
            let row = seen.items_of(user);
            row.windows(2).all(|w| w[0] < w[1])
                && row.last().is_none_or(|&i| (i as usize) < seen.items)
        };
        if !(0..seen.users() as u32).all(sorted) {
            let message = format!("\"indices\" are not sorted item indices; {AGAIN}");
            return Err(Error::file(&path, message));
        }
        Ok(seen)
    }

    /// Writes `seen.safetensors` into `dir`: `indptr` (users + 1) and `shape` (2) as int64,
    /// `indices` (pairs) as uint32, ascending within a user, `values` (pairs) as float32.
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
        write(&dir.as_ref().join(Self::FILE), tensors)
    }
}
