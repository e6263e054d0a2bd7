//! Text ids and their dense indices.

use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A set of distinct text ids; the dense index of an id is its position, in order of first
/// appearance. All text lives in one allocation.
#[derive(Clone, Default)]
pub struct Ids {
    text: String,
    ends: Vec<usize>,
    index: HashTable<u32>,
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
        let hash = self.hasher.hash_one(id);
        self.index.find(hash, |&i| slice(&self.text, &self.ends, i) == id).copied()
    }

    /// The index of `id`, which is added at the end when it is new.
    pub fn intern(&mut self, id: &str) -> u32 {
        if let Some(index) = self.get(id) {
            return index;
        }
        let index = self.ends.len() as u32;
        self.text.push_str(id);
        self.ends.push(self.text.len());
        let Self { text, ends, hasher, index: table } = self;
        let hash = hasher.hash_one(id);
        table.insert_unique(hash, index, |&i| hasher.hash_one(slice(text, ends, i)));
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
