//! A batch's arrays, as kernels read them.

use super::arena::{Arena, Part};
use super::plan::{Cuts, Panel};
use crate::Result;
use crate::core::ChoiceBatch;
use crate::gpu::shared::params::{ChoiceEntry, ChoicePair, ChoiceSlot};
use crate::gpu::shared::tiles::WORKGROUP;

/// A batch's arrays.
pub(super) struct Arrays {
    pub slots: [Part; 2],
    pub entries: [Part; 2],
    pub pairs: Part,
    pub log_weights: Part,
    pub counts: Part,
    /// Draws, then where each user's known slots begin, then these; of losses that pick.
    pub lists: Part,
    pub known_starts: u32,
    pub known: u32,
    /// Of each panel, cut to dispatches: what is no negative, and how many of them.
    pub places: Vec<Vec<(Part, usize)>>,
}

/// Makes sure that a batch names no row and no slot that there is not: kernels read without checks.
fn assert_whole(plan: &Cuts, batch: &ChoiceBatch) {
    let (users, items, pairs) = (batch.users.len(), batch.items.len(), batch.pairs());
    let below = |what: &str, numbers: &[u32], end: usize| {
        let highest = numbers.iter().max();
        assert!(highest.is_none_or(|&n| (n as usize) < end), "{what} of a batch: not below {end}");
    };
    let long = |what: &str, length: usize, due: usize| {
        assert_eq!(length, due, "{what} of a batch: a number of them that does not fit");
    };
    let starts = |what: &str, starts: &[u32], of: usize, end: usize| {
        long(what, starts.len(), of + 1);
        let last = starts.last().map(|&last| last as usize);
        let ascend = starts.is_sorted() && starts[0] == 0 && last == Some(end);
        assert!(ascend, "{what} of a batch: they do not ascend from 0 to {end}");
    };
    // The last row of a side is that of unknown ids.
    let [user_tiles, item_tiles] = &plan.tiles;
    below("users", &batch.users, user_tiles.rows - 1);
    below("items", &batch.items, item_tiles.rows - 1);
    let room = users <= plan.slots[0].rows && items <= plan.slots[1].rows;
    let room = room && pairs <= plan.most.pairs.max(1) && batch.pool <= items;
    assert!(room, "a batch of {pairs} pairs is larger than the problem says");
    below("users of pairs", &batch.pair_users, users);
    below("items of pairs", &batch.pair_items, items);
    below("pairs of items", &batch.item_pairs, pairs);
    below("known slots", &batch.known, batch.pool);
    below("draws", &batch.draws, batch.pool);
    starts("pairs of users", &batch.user_starts, users, pairs);
    starts("pairs of items", &batch.item_starts, items, pairs);
    starts("known slots", &batch.known_starts, users, batch.known.len());
    long("users of pairs", batch.pair_users.len(), pairs);
    long("pairs of items", batch.item_pairs.len(), pairs);
    long("weights", batch.weights.len(), pairs);
    if plan.dense {
        long("counts", batch.counts.len(), batch.pool);
        long("weights of the pool", batch.log_weights.len(), batch.pool);
    }
}

impl Arrays {
    pub fn new(
        arena: &mut Arena,
        plan: &Cuts,
        batch: &ChoiceBatch,
        panels: &[Panel],
    ) -> Result<Self> {
        assert_whole(plan, batch);
        let slots = |rows: &[u32], starts: &[u32]| -> Vec<ChoiceSlot> {
            let starts = starts.windows(2);
            let slot = |(&row, start): (&u32, &[u32])| ChoiceSlot {
                row,
                start: start[0],
                pairs: start[1] - start[0],
            };
            rows.iter().zip(starts).map(slot).collect()
        };
        let pair = |at: usize| {
            let user = batch.pair_users[at];
            ChoicePair {
                user,
                item: batch.pair_items[at],
                begin: batch.begins.get(at).copied().unwrap_or(0),
                weight: batch.weights[at],
                threshold: batch.thresholds.get(user as usize).copied().unwrap_or(0.0),
            }
        };
        let pairs: Vec<ChoicePair> = (0..batch.pairs()).map(pair).collect();
        let of_user = |(&partner, pair): (&u32, u32)| ChoiceEntry { partner, pair };
        let of_users: Vec<_> = batch.pair_items.iter().zip(0..).map(of_user).collect();
        let of_item = |&pair: &u32| ChoiceEntry { partner: batch.pair_users[pair as usize], pair };
        let of_items: Vec<_> = batch.item_pairs.iter().map(of_item).collect();
        let slots = [
            arena.push("users", &slots(&batch.users, &batch.user_starts))?,
            arena.push("items", &slots(&batch.items, &batch.item_starts))?,
        ];
        let entries = [arena.push("pairs", &of_users)?, arena.push("pairs", &of_items)?];
        let picks = !plan.dense;
        let known_starts = batch.draws.len() as u32;
        let known = known_starts + batch.known_starts.len() as u32;
        let mut lists = arena.list("draws and known items");
        if picks {
            lists.extend(&batch.draws);
            lists.extend(&batch.known_starts);
            lists.extend(&batch.known);
        }
        let lists = lists.finish()?;
        let places = panels.iter().map(|panel| places(arena, plan, batch, panel));
        let places = places.collect::<Result<_>>()?;
        Ok(Self {
            slots,
            entries,
            pairs: arena.push("pairs", &pairs)?,
            log_weights: arena.push("weights of the pool", &batch.log_weights)?,
            counts: arena.push("weights of the pool", &batch.counts)?,
            lists,
            known_starts,
            known,
            places,
        })
    }
}

/// Where in a panel's scores those are that are no negatives, cut to dispatches.
fn places(
    arena: &mut Arena,
    plan: &Cuts,
    batch: &ChoiceBatch,
    panel: &Panel,
) -> Result<Vec<(Part, usize)>> {
    let most = (plan.limits.binding / 16 * 4).min(plan.limits.workgroups * WORKGROUP);
    let row = panel.stride() * 4;
    let mut parts = Vec::new();
    let mut all = panel.users.clone().enumerate().flat_map(|(at, user)| {
        let known = batch.known(user);
        let from = known.partition_point(|&slot| (slot as usize) < panel.items.start);
        let inside = known[from..].iter().take_while(|&&slot| (slot as usize) < panel.items.end);
        inside.map(move |&slot| (at * row + slot as usize - panel.items.start) as u32)
    });
    loop {
        let mut list = arena.list("known items");
        for place in all.by_ref().take(most) {
            list.extend(&[place]);
        }
        let count = list.len();
        if count == 0 {
            return Ok(parts);
        }
        parts.push((list.finish()?, count));
    }
}
