//! Text ids and their dense indices.

use hashbrown::HashTable;
use rayon::prelude::*;
use std::hash::BuildHasher;

/// A set of distinct text ids; the dense index of an id is its position, in the order in which they were
/// added. All text lives in one allocation.
#[derive(Clone, Default)]
pub struct Ids {
    text: String,
    ends: Vec<usize>,
    /// `(hash, index)`: with the hash at hand the table grows without a look at the texts.
    index: HashTable<(u32, u32)>,
    hasher: foldhash::fast::FixedState,
}

impl Ids {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all ids together.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The id at `index`.
    ///
    /// # Panics
    /// If `index >= self.len()`.
    pub fn name(&self, index: u32) -> &str {
        slice(&self.text, &self.ends, index)
    }

    /// The index of `id`, if it is known.
    pub fn get(&self, id: &str) -> Option<u32> {
        self.find(id, short_hash(&self.hasher, id.as_bytes()))
    }

    fn find(&self, id: &str, hash: u32) -> Option<u32> {
        let same =
            |entry: &(u32, u32)| entry.0 == hash && slice(&self.text, &self.ends, entry.1) == id;
        self.index.find(long_hash(hash), same).map(|entry| entry.1)
    }

    /// The index of `id`, which is added at the end when it is new.
    pub fn intern(&mut self, id: &str) -> u32 {
        let hash = short_hash(&self.hasher, id.as_bytes());
        if let Some(index) = self.find(id, hash) {
            return index;
        }
        let index = self.ends.len() as u32;
        self.text.push_str(id);
        self.ends.push(self.text.len());
        self.index.insert_unique(long_hash(hash), (hash, index), |entry| long_hash(entry.0));
        index
    }

    /// The ids in order of their UTF-8 bytes, and where each of these is there; nothing where they are in
    /// that order already.
    pub(crate) fn sorted(&self) -> Option<(Ids, Vec<u32>)> {
        if self.iter().is_sorted() {
            return None;
        }
        // Most names differ in their first bytes, which are compared as one number.
        let head = |name: &str| {
            let mut head = [0; 8];
            let length = name.len().min(8);
            head[..length].copy_from_slice(&name.as_bytes()[..length]);
            u64::from_be_bytes(head)
        };
        let mut order: Vec<(u64, u32)> =
            (0..self.len() as u32).into_par_iter().map(|i| (head(self.name(i)), i)).collect();
        order.par_sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| self.name(a.1).cmp(self.name(b.1)))
        });
        let mut sorted = Ids {
            text: String::with_capacity(self.text.len()),
            ends: Vec::with_capacity(self.len()),
            index: self.index.clone(),
            hasher: self.hasher.clone(),
        };
        let mut rank = vec![0; self.len()];
        for (new, &(_, old)) in order.iter().enumerate() {
            rank[old as usize] = new as u32;
            sorted.text.push_str(self.name(old));
            sorted.ends.push(sorted.text.len());
        }
        sorted.index.iter_mut().for_each(|entry| entry.1 = rank[entry.1 as usize]);
        Some((sorted, rank))
    }

    /// The ids in order of their indices.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len() as u32).map(|i| self.name(i))
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Ids {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut ids = Ids::new();
        for name in names {
            ids.intern(name.as_ref());
        }
        ids
    }
}

fn slice<'a>(text: &'a str, ends: &[usize], index: u32) -> &'a str {
    let index = index as usize;
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &text[start..ends[index]]
}

/// The part of a text's hash that is kept.
pub(crate) fn short_hash(hasher: &foldhash::fast::FixedState, text: &[u8]) -> u32 {
    (hasher.hash_one(text) >> 32) as u32
}

/// What the table wants: its places are told by the low bits, its tags by the high ones.
pub(crate) fn long_hash(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(hash)
}
