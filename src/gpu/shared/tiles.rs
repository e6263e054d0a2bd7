//! A side's rows cut into tiles whose factors fit one binding, the teams of lanes that walk them, and the
//! limits that cutting respects. Knows no device.

use crate::{Error, Result};

/// Bytes of partner rows a dispatch reads at most: well under a second on the slowest device.
const DISPATCH_BYTES: usize = 2 << 30;

/// Invocations a workgroup has, in every shader.
pub const WORKGROUP: usize = 64;

/// The limits that cutting respects.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a binding at most.
    pub binding: usize,
    /// Workgroups of a dispatch at most.
    pub workgroups: usize,
}

/// How teams of lanes cover a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Team {
    /// vec4 columns of a row.
    pub width: usize,
    /// Lanes of a team.
    pub lanes: usize,
    /// vec4 columns a lane holds.
    pub columns: usize,
}

impl Team {
    /// Few lanes make the sum over lanes short, few columns keep registers free: up to 8 lanes,
    /// then up to 4 columns, then more lanes. `factors` is at most 1024.
    pub fn new(factors: usize) -> Self {
        let width = factors.div_ceil(4);
        let lanes = width.next_power_of_two().min(8).max(width.div_ceil(4).next_power_of_two());
        Self { width, lanes, columns: width.div_ceil(lanes) }
    }

    /// Teams of a workgroup.
    pub fn teams(&self) -> usize {
        WORKGROUP / self.lanes
    }

    /// Bytes of a row of factors.
    pub fn row_bytes(&self) -> usize {
        self.width * 16
    }

    /// Ratings a dispatch walks at most.
    pub fn dispatch_ratings(&self) -> usize {
        DISPATCH_BYTES / self.row_bytes()
    }
}

/// One side's rows, cut into tiles.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    /// All rows, the row of unknown ids (the last) included.
    pub rows: usize,
    /// Rows of a tile; the last may have fewer.
    pub rows_per_tile: usize,
}

impl Tiles {
    /// As few tiles as the limits allow.
    pub fn new(rows: usize, team: Team, limits: Limits) -> Result<Self> {
        let fit = limits.binding / team.row_bytes();
        if fit == 0 {
            return Err(Error::device(format!(
                "a row of {} factors does not fit a binding of this device ({} bytes); use fewer \
                 `factors` or `backend` cpu",
                team.width * 4,
                limits.binding
            )));
        }
        Ok(Self { rows, rows_per_tile: fit.min(rows) })
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.rows.div_ceil(self.rows_per_tile)
    }

    /// The tile of a row, and the row's place in it.
    pub fn locate(&self, row: u32) -> (usize, u32) {
        // Mostly there is one tile, and a division costs more than all else that is done with a rating.
        if (row as usize) < self.rows_per_tile {
            return (0, row);
        }
        let tile = row as usize / self.rows_per_tile;
        (tile, row - (tile * self.rows_per_tile) as u32)
    }

    /// The rows of a tile.
    pub fn range(&self, tile: usize) -> std::ops::Range<usize> {
        tile * self.rows_per_tile..((tile + 1) * self.rows_per_tile).min(self.rows)
    }
}
