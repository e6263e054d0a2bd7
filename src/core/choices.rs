//! A batch of what users chose, with what it is held against: all that a step of softmax, ccl, bpr or warp
//! needs to know beside the parameters. Made on the host, so that every device sees the same one.

/// A batch of `B` pairs, by slots: its distinct users `0..U`, and its distinct items `0..D`, of which the
/// first `M` are the pool of negatives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChoiceBatch {
    /// Which step of the run it is, from 0: the key of its random numbers.
    pub step: u32,
    /// The step size of the factors, Adam's bias corrections included.
    pub rate: f32,
    /// (U): the row of each user slot, ascending.
    pub users: Vec<u32>,
    /// (U + 1): the pairs of user slot `a` are `user_starts[a]..user_starts[a + 1]`.
    pub user_starts: Vec<u32>,
    /// (D): the row of each item slot: of the pool ascending, then of the items that are in pairs alone,
    /// ascending.
    pub items: Vec<u32>,
    /// `M`: the slots of the pool are `0..pool`.
    pub pool: usize,
    /// (M): how often each slot of the pool was drawn, `m_j`.
    pub counts: Vec<f32>,
    /// (M): `ω_j = ln(m_j / (N π_j))`, with `N` draws, each of which is this item with chance `π_j`: what
    /// makes a sum over the pool an estimate of that over all items. Zeros where the pool is all items.
    pub log_weights: Vec<f32>,
    /// (N): the slot of each draw, in the order of the draws; of losses that pick a negative (bpr, warp),
    /// else empty.
    pub draws: Vec<u32>,
    /// (B): the user slot of each pair, ascending.
    pub pair_users: Vec<u32>,
    /// (B): the item slot of each pair; of a user ascending by row.
    pub pair_items: Vec<u32>,
    /// (B): what each pair weighs.
    pub weights: Vec<f32>,
    /// (B): at which of the draws a pair begins to look, as `draws` has them; else empty.
    pub begins: Vec<u32>,
    /// (D + 1): the pairs of item slot `d` are `item_pairs[item_starts[d]..item_starts[d + 1]]`.
    pub item_starts: Vec<u32>,
    /// (B): pairs by their item slot, those of a slot ascending.
    pub item_pairs: Vec<u32>,
    /// (U + 1): the slots of the pool that are no negatives of user slot `a`, as he chose them in training,
    /// are `known[known_starts[a]..known_starts[a + 1]]`.
    pub known_starts: Vec<u32>,
    /// Slots of the pool, ascending for each user.
    pub known: Vec<u32>,
    /// (U): the score at place `K` of each user's list, with a cut-off; else empty.
    pub thresholds: Vec<f32>,
}

impl ChoiceBatch {
    /// How many pairs it has.
    pub fn pairs(&self) -> usize {
        self.pair_items.len()
    }

    /// The slots of the pool that are no negatives of a user slot.
    pub fn known(&self, user: usize) -> &[u32] {
        &self.known[self.known_starts[user] as usize..self.known_starts[user + 1] as usize]
    }
}
