//! How large a problem is: what its layouts take of memory depends on that and the settings alone.

/// Rows, ratings and held-out ratings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Users.
    pub users: usize,
    /// Items.
    pub items: usize,
    /// Training ratings.
    pub ratings: usize,
    /// Held-out ratings.
    pub test: usize,
    /// Whether training ratings have weights.
    pub weighted: bool,
}

impl Sizes {
    /// Rows of both sides.
    pub fn rows(&self) -> u64 {
        self.users as u64 + self.items as u64
    }

    /// Of one side.
    pub fn of(&self, side: super::Side) -> u64 {
        [self.users, self.items][side.index()] as u64
    }
}
