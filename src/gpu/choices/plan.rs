//! How batches are cut, so that every limit of a device is respected together: the size of a binding,
//! workgroups a dispatch, time a dispatch. Knows no device.
//!
//! - A *tile* of parameters is a range of a side's rows whose factors fit one binding; a *tile of slots* a
//!   range of a batch's slots whose rows, made ready, do.
//! - A *piece* is a range of slots in one tile of each.
//! - A *panel* is a range of users and a range of the pool, each in one tile of slots, whose scores are in
//!   memory at once.
//! - A *part* of the gradients of a tile of slots is what a range of a panel's other side adds to them: so
//!   that there are workgroups enough where one for 64 rows were few.

use crate::backend::ChoiceSizes;
use crate::core::Side;
use crate::gpu::shared::params::{ChoicePair, ChoiceSlot, Touched};
use crate::gpu::shared::tiles::{Limits, Team, Tiles, WORKGROUP};
use crate::{Error, Result};
use std::ops::Range;

/// Rows of a workgroup of contrast.wgsl, user_gradient.wgsl and item_gradient.wgsl.
pub const SIDE: usize = 64;

/// vec4 columns of a workgroup of the last two.
const WIDE: usize = 16;

/// Rows that these two have in workgroup memory at a time.
const STEP: usize = 16;

/// Users of a panel at most.
const USERS: usize = 4096;

/// Scores of a panel at most: 32 MiB, which the caches of a large GPU hold.
const SCORES: usize = 1 << 23;

/// Workgroups that gradients are cut into, where there are rows enough.
const WORKGROUPS: usize = 512;

/// Rows of the other side that a part is made of at least.
const LEAST: usize = 128;

/// Parts at most.
const MOST_PARTS: usize = 16;

/// Bytes of a pair and of a slot, as batches bring them.
const PAIR_BYTES: usize = size_of::<ChoicePair>();
const SLOT_BYTES: usize = size_of::<ChoiceSlot>();

/// Bytes that kernels leave of a slot beside its rows: what `step` has to know, a bias' gradient.
const TOUCHED_BYTES: u64 = size_of::<Touched>() as u64 + 8;

/// Bytes that kernels leave of a pair: its score, its pick, that one's score, slope and loss.
const PAIR_RESULT_BYTES: u64 = 4 + 4 + 16 + 8;

/// How the batches of a problem are cut.
#[derive(Clone, Copy, Debug)]
pub struct Cuts {
    pub team: Team,
    pub limits: Limits,
    /// Whether there are panels.
    pub dense: bool,
    /// Rows of parameters, users' and items'.
    pub tiles: [Tiles; 2],
    /// Slots of a batch at most, users' and items'.
    pub slots: [Tiles; 2],
    /// Parts of gradients from panels, at most.
    pub parts: [usize; 2],
    /// Users of a panel at most.
    pub users: usize,
    /// What batches have at most.
    pub most: ChoiceSizes,
}

/// Slots in one tile of slots, of rows in one tile of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub tile: usize,
    pub slot_tile: usize,
    /// The first slot, and where it lies in its tile.
    pub first: usize,
    pub to: usize,
    pub rows: usize,
}

/// Users, and slots of the pool, whose scores are in memory at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    pub users: Range<usize>,
    pub items: Range<usize>,
    pub user_tile: usize,
    pub item_tile: usize,
}

impl Panel {
    /// vec4s of a user's scores.
    pub fn stride(&self) -> usize {
        self.items.len().div_ceil(4)
    }
}

impl Cuts {
    /// Cuts a problem of so many rows, whose batches have `most` at the most.
    ///
    /// # Errors
    /// If not even few rows fit a binding, or not the pairs of a batch.
    pub fn new(
        rows: [usize; 2],
        factors: usize,
        most: ChoiceSizes,
        dense: bool,
        limits: Limits,
    ) -> Result<Self> {
        let team = Team::new(factors);
        let tiles =
            [Tiles::new(rows[0] + 1, team, limits)?, Tiles::new(rows[1] + 1, team, limits)?];
        let pairs = most.pairs.max(1);
        let all = [pairs.min(rows[0]).max(1), (pairs + most.pool).min(rows[1]).max(1)];
        let bytes = (pairs * PAIR_BYTES).max(all[1] * SLOT_BYTES).max(most.draws * 4);
        if bytes > limits.binding {
            return Err(Error::device(format!(
                "a batch of {pairs} pairs against {} items does not fit the bindings of this device \
                 ({} bytes each); lower `batch_size` or `negatives`, or use `backend` cpu",
                most.pool, limits.binding
            )));
        }
        let mut plan =
            Self { team, limits, dense, tiles, slots: tiles, parts: [0; 2], users: 0, most };
        for (side, &rows) in all.iter().enumerate() {
            let fit = limits.binding / plan.slot_bytes() / if dense { 2 } else { 1 };
            let rows_per_tile = if fit >= rows { rows } else { fit / 4 * 4 };
            if rows_per_tile == 0 || plan.wide() > limits.workgroups {
                return Err(Error::device(format!(
                    "rows of {factors} factors do not fit the bindings of this device ({} bytes \
                     each); use fewer `factors` or `backend` cpu",
                    limits.binding
                )));
            }
            plan.slots[side] = Tiles { rows, rows_per_tile };
        }
        plan.users = USERS
            .min(plan.slots[0].rows_per_tile)
            .min((limits.binding / (4 * SIDE)).max(1))
            .min(limits.workgroups / plan.wide() * SIDE);
        if dense {
            for side in 0..2 {
                let fit = limits.binding / (plan.slots[side].rows_per_tile * plan.slot_bytes()) - 1;
                plan.parts[side] =
                    if plan.slots[side].len() == 1 { fit.min(MOST_PARTS) } else { 1 };
            }
            let panel = plan.panels(all[0], most.pool.clamp(1, all[1])).swap_remove(0);
            plan.parts = [plan.parts(Side::User, &panel), plan.parts(Side::Item, &panel)];
        }
        Ok(plan)
    }

    /// Bytes of a slot's row and its head.
    pub fn slot_bytes(&self) -> usize {
        self.team.row_bytes() + 16
    }

    /// Workgroups that share the columns of a row.
    fn wide(&self) -> usize {
        self.team.width.div_ceil(WIDE)
    }

    /// Rows that a piece has at most.
    fn piece_rows(&self) -> usize {
        let by_teams = self.limits.workgroups * self.team.teams();
        let by_columns = self.limits.workgroups * WORKGROUP / (self.team.width + 1);
        by_teams.min(by_columns).min(self.team.dispatch_ratings()).max(1)
    }

    /// The pieces of a side's slots, whose rows are these.
    pub fn pieces(&self, side: Side, rows: &[u32]) -> Vec<Piece> {
        let (tiles, slots) = (&self.tiles[side.index()], &self.slots[side.index()]);
        let most = self.piece_rows();
        let mut pieces: Vec<Piece> = Vec::new();
        let tile_of = |slot: usize| match tiles.len() {
            1 => 0,
            _ => tiles.locate(rows[slot]).0,
        };
        let mut slot = 0;
        while slot < rows.len() {
            let (slot_tile, to) = slots.locate(slot as u32);
            let tile = tile_of(slot);
            let mut end = slots.range(slot_tile).end.min(rows.len()).min(slot + most);
            if tiles.len() > 1 {
                end = (slot..end).find(|&at| tile_of(at) != tile).unwrap_or(end);
            }
            pieces.push(Piece { tile, slot_tile, first: slot, to: to as usize, rows: end - slot });
            slot = end;
        }
        pieces
    }

    /// Slots of the pool that a panel of so many users has at most.
    fn panel_items(&self, users: usize) -> usize {
        let blocks = self.limits.workgroups / users.div_ceil(SIDE).max(self.wide());
        let most = (self.most_scores() / users / 4 * 4).min(blocks * SIDE);
        match most {
            _ if most >= self.slots[1].rows_per_tile => self.slots[1].rows_per_tile,
            SIDE.. => most / SIDE * SIDE,
            _ => most.max(4),
        }
    }

    fn most_scores(&self) -> usize {
        SCORES.min(self.limits.binding / 4)
    }

    /// Scores of a panel at most, each user's to whole vec4s.
    pub fn scores(&self) -> usize {
        let pool = self.most.pool.min(self.slots[1].rows).next_multiple_of(4);
        if self.dense { self.most_scores().min(self.users * pool) } else { 0 }
    }

    /// Bytes that a batch's kernels need for what they leave for one another.
    pub fn bytes(&self) -> u64 {
        let of_side = |side: usize| {
            let (row, parts) = (self.slot_bytes() as u64, self.parts[side] as u64 + 1);
            let slot = row * (1 + parts) + self.team.row_bytes() as u64 + TOUCHED_BYTES;
            (self.slots[side].len() * self.slots[side].rows_per_tile) as u64 * slot
        };
        let stats = 16 * self.slots[0].rows as u64;
        let pairs = PAIR_RESULT_BYTES * self.most.pairs as u64;
        of_side(0) + of_side(1) + 4 * self.scores() as u64 + stats + pairs
    }

    /// The panels of a batch, in their order.
    pub fn panels(&self, users: usize, pool: usize) -> Vec<Panel> {
        let cut = |side: usize, count: usize, most: usize| {
            let tiles = self.slots[side];
            (0..tiles.len()).flat_map(move |tile| {
                let range = tiles.range(tile);
                let end = range.end.min(count);
                let firsts = (range.start..end).step_by(most);
                firsts.map(move |first| (tile, first..(first + most).min(end)))
            })
        };
        let mut panels = Vec::new();
        // All users against the same ranges of the pool, so that gradients add up in whole ranges.
        let items = self.panel_items(users.clamp(1, self.users));
        for (user_tile, users) in cut(0, users, self.users) {
            for (item_tile, items) in cut(1, pool, items) {
                panels.push(Panel { users: users.clone(), items, user_tile, item_tile });
            }
        }
        panels
    }

    /// Parts that a side's gradients from panels come in, by a batch's first panel.
    pub fn parts(&self, side: Side, panel: &Panel) -> usize {
        let (own, other) = of_side(side, panel);
        let blocks = own.div_ceil(SIDE) * self.wide();
        let wanted = WORKGROUPS.div_ceil(blocks).min(other / LEAST);
        wanted.min(self.limits.workgroups / blocks).min(self.parts[side.index()]).max(1)
    }

    /// Rows of the other side that each of so many parts of a panel is made of.
    pub fn part_length(side: Side, panel: &Panel, parts: usize) -> usize {
        let (_, other) = of_side(side, panel);
        other.div_ceil(parts).next_multiple_of(STEP)
    }

    /// Workgroups of a panel's contrast, and of its gradients in so many parts.
    pub fn contrast_workgroups(panel: &Panel) -> usize {
        panel.users.len().div_ceil(SIDE) * panel.items.len().div_ceil(SIDE)
    }

    /// Workgroups of a panel's part in a side's gradients.
    pub fn gradient_workgroups(&self, side: Side, panel: &Panel, parts: usize) -> usize {
        of_side(side, panel).0.div_ceil(SIDE) * self.wide() * parts
    }

    /// What an invocation each is cut into: first and number.
    pub fn by_invocation(&self, all: Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<> {
        cut(all, self.limits.workgroups * WORKGROUP)
    }

    /// What a workgroup each is cut into: first and number.
    pub fn by_workgroup(&self, all: Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<> {
        cut(all, self.limits.workgroups)
    }
}

/// A side's rows of a panel, and the other's.
fn of_side(side: Side, panel: &Panel) -> (usize, usize) {
    match side {
        Side::User => (panel.users.len(), panel.items.len()),
        Side::Item => (panel.items.len(), panel.users.len()),
    }
}

fn cut(all: Range<usize>, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = all.end;
    all.step_by(most.max(1)).map(move |first| (first, most.min(end - first)))
}

#[cfg(test)]
mod tests;
