//! What is solved for together, and how the kernels share it out. Knows no device.

use crate::gpu::shared::tiles::WORKGROUP;

/// vec4s of workgroup memory that the kernels use.
const STORE: usize = 1024;

/// Invocations of a workgroup of cholesky.wgsl.
const CHOLESKY: usize = 32;

/// What is solved for together, and how it is laid out: coordinates, the bias' column, zeros up to a
/// whole vec4, and the target; in tiles of 8 × 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Factors.
    pub coordinates: usize,
    /// Whether a bias comes with them.
    pub bias: bool,
}

impl Shape {
    /// Where the target stands.
    pub fn target(self) -> usize {
        (self.coordinates + usize::from(self.bias)).next_multiple_of(4)
    }

    /// Tiles in a row of the matrix.
    pub fn across(self) -> usize {
        (self.target() + 1).div_ceil(8)
    }

    /// Tiles of the lower triangle.
    pub fn tiles(self) -> usize {
        self.across() * (self.across() + 1) / 2
    }

    /// Bytes of a matrix.
    pub fn matrix_bytes(self) -> usize {
        self.tiles() * 256
    }

    /// vec4s of a matrix.
    pub fn matrix_columns(self) -> usize {
        self.tiles() * 16
    }

    /// How `gram` shares out a matrix.
    pub fn gram(self) -> GramTeam {
        let lanes = self.tiles().next_power_of_two().min(WORKGROUP);
        let store = STORE / (WORKGROUP / lanes);
        GramTeam {
            lanes,
            groups: self.tiles().div_ceil(WORKGROUP),
            staged: (store / (2 * self.across())).min(32) & !1,
        }
    }

    /// How `cholesky` shares out a matrix.
    pub fn cholesky(self) -> CholeskyTeam {
        let panels = self.target() / 4;
        // The diagonal block and its floors, the matrix, the solution.
        let needs = 6 + self.matrix_columns() + panels;
        // As many rows as fit; a lane takes up to four rows of a panel.
        let teams = (STORE / needs).clamp(1, 8);
        let teams = if teams.is_power_of_two() { teams } else { teams.next_power_of_two() / 2 };
        let quarter = (self.target() / 4).next_power_of_two().min(CHOLESKY);
        let lanes = (CHOLESKY / teams).max(quarter);
        let resident = needs <= STORE;
        // No more than is needed, so that many workgroups are at work at once.
        let store = if resident { needs } else { (6 + 8 * panels).min(STORE) };
        CholeskyTeam { lanes, resident, store }
    }

    /// Whether `cholesky` can hold the rows that all lanes need.
    pub fn fits(self) -> bool {
        let panels = self.target() / 4;
        self.cholesky().resident || 6 + 4 * (panels - 1) <= STORE
    }
}

/// Where a number of a matrix lies, `row >= column`: tiles of 8 × 8 of the lower triangle.
pub fn place_of(row: usize, column: usize) -> usize {
    let (i, j) = (row / 8, column / 8);
    (i * (i + 1) / 2 + j) * 64 + row % 8 * 8 + column % 8
}

/// How `gram` shares out a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GramTeam {
    /// Lanes of a segment.
    pub lanes: usize,
    /// Workgroups of a segment.
    pub groups: usize,
    /// Ratings that are staged at a time: an even number.
    pub staged: usize,
}

impl GramTeam {
    /// Segments of a workgroup.
    pub fn teams(self) -> usize {
        WORKGROUP / self.lanes
    }
}

/// How `cholesky` shares out a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CholeskyTeam {
    /// Lanes of a row.
    pub lanes: usize,
    /// Whether the matrix lies in workgroup memory.
    pub resident: bool,
    /// vec4s of workgroup memory of a row.
    pub store: usize,
}

impl CholeskyTeam {
    /// Rows of a workgroup.
    pub fn teams(self) -> usize {
        CHOLESKY / self.lanes
    }
}

/// Coordinates that are solved for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The first factor.
    pub first: usize,
    /// How many, and whether with the bias.
    pub shape: Shape,
}

/// The blocks of a row in turn; the last has the bias.
pub fn blocks(factors: usize, block: usize, bias: bool) -> Vec<Block> {
    let step = block.clamp(1, factors.max(1));
    let block = |first: usize| {
        let coordinates = step.min(factors - first);
        let bias = bias && first + coordinates == factors;
        Block { first, shape: Shape { coordinates, bias } }
    };
    (0..factors).step_by(step).map(block).collect()
}

/// vec4 columns of a row of the changes that a block makes; the last block's are of no use.
pub fn delta_columns(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.shape.coordinates.div_ceil(4)).max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_factor_once() {
        for factors in [1, 2, 7, 16, 33, 512] {
            for block in [1, 3, 8, 511, 512] {
                for bias in [false, true] {
                    let blocks = blocks(factors, block, bias);
                    let mut next = 0;
                    for (j, block) in blocks.iter().enumerate() {
                        assert_eq!(block.first, next);
                        next += block.shape.coordinates;
                        assert_eq!(block.shape.bias, bias && j + 1 == blocks.len());
                    }
                    assert_eq!(next, factors);
                }
            }
        }
    }

    #[test]
    fn teams_stay_within_workgroup_memory() {
        for coordinates in 1..=1024 {
            for bias in [false, true] {
                let shape = Shape { coordinates, bias };
                assert!(shape.target().is_multiple_of(4) && shape.target() < shape.across() * 8);
                assert!(shape.target() >= coordinates + usize::from(bias));
                let gram = shape.gram();
                assert!(gram.lanes.is_power_of_two() && gram.lanes * gram.groups >= shape.tiles());
                assert!(gram.staged >= 2 && gram.staged.is_multiple_of(2), "{shape:?}");
                let used = gram.teams() * gram.staged * 2 * shape.across();
                assert!(used <= STORE, "{shape:?}: {gram:?}");
                // More than half of the lanes have a tile, of large matrices nearly all.
                let busy = shape.tiles() as f64 / (gram.lanes * gram.groups) as f64;
                assert!(busy > if coordinates >= 128 { 0.75 } else { 0.5 }, "{shape:?}: {busy}");
                let cholesky = shape.cholesky();
                assert!(cholesky.lanes.is_power_of_two() && cholesky.lanes <= CHOLESKY);
                assert!(cholesky.store * cholesky.teams() <= STORE);
                // `cholesky` spreads a block's gradient out, a vec4 a number.
                assert!(!shape.fits() || shape.target() <= cholesky.store);
                let panels = shape.target() / 4;
                if cholesky.resident {
                    assert!(6 + shape.matrix_columns() + panels <= cholesky.store, "{shape:?}");
                } else {
                    assert_eq!(cholesky.teams(), 1);
                }
                assert_eq!(shape.fits(), shape.target() <= 1020, "{shape:?}");
            }
        }
    }
}
