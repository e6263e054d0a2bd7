//! `seen.safetensors`: which items each user has rated in training.

use super::tensors::{AGAIN, Tensor, TensorFile, write};
use crate::data::Ratings;
use crate::{Error, Result};
use std::path::Path;

/// The training pairs as compressed sparse rows: `scipy.sparse.csr_matrix((ones, indices,
/// indptr), shape)` of users × items.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    indptr: Vec<i64>,
    indices: Vec<u32>,
    items: usize,
}

impl Seen {
    /// The name of the file in a model directory.
    pub const FILE: &str = "seen.safetensors";

    /// The distinct pairs of `ratings`, whose indices lie below `users` and `items`; others are an
    /// error.
    pub fn new(ratings: &Ratings, users: usize, items: usize) -> Result<Seen> {
        let mut indptr = vec![0_i64; users + 1];
        for (user, item, _) in ratings.iter() {
            if user as usize >= users || item as usize >= items {
                return Err(Error::data(format!(
                    "training pair ({user}, {item}) lies outside {users} users × {items} items"
                )));
            }
            indptr[user as usize + 1] += 1;
        }
        for user in 0..users {
            indptr[user + 1] += indptr[user];
        }
        let mut next: Vec<usize> = indptr[..users].iter().map(|&start| start as usize).collect();
        let mut indices = vec![0_u32; ratings.len()];
        for (user, item, _) in ratings.iter() {
            let slot = &mut next[user as usize];
            indices[*slot] = item;
            *slot += 1;
        }
        // Sorts each row and closes the gaps that repeated pairs leave.
        let mut kept = 0;
        let mut start = 0;
        for user in 0..users {
            let end = indptr[user + 1] as usize;
            indices[start..end].sort_unstable();
            let row = kept;
            for from in start..end {
                if kept == row || indices[kept - 1] != indices[from] {
                    indices[kept] = indices[from];
                    kept += 1;
                }
            }
            start = end;
            indptr[user + 1] = kept as i64;
        }
        indices.truncate(kept);
        Ok(Seen { indptr, indices, items })
    }

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
        let seen = Seen { indptr, indices, items: usize::try_from(items).unwrap_or(0) };
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
    /// `indices` (pairs) as uint32, ascending within a user.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let shape = [self.users() as i64, self.items as i64];
        let tensors = vec![
            Tensor::new("indptr", &[self.indptr.len()], &self.indptr),
            Tensor::new("indices", &[self.indices.len()], &self.indices),
            Tensor::new("shape", &[2], &shape),
        ];
        write(&dir.as_ref().join(Self::FILE), tensors)
    }

    /// The items a user has rated in training, ascending.
    ///
    /// # Panics
    /// If `user >= self.users()`.
    pub fn items_of(&self, user: u32) -> &[u32] {
        let user = user as usize;
        &self.indices[self.indptr[user] as usize..self.indptr[user + 1] as usize]
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Number of distinct pairs.
    pub fn pairs(&self) -> usize {
        self.indices.len()
    }

    /// Where each user's items begin in [`indices`](Self::indices): (users + 1).
    pub fn indptr(&self) -> &[i64] {
        &self.indptr
    }

    /// The items of all users, one user after another: (pairs).
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }
}
