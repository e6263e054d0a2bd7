//! Text ids and their dense indices.

use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A set of distinct text ids; the dense index of an id is its position, in order of first
/// appearance. All text lives in one allocation.
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
