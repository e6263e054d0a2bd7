//! How a ranking is cut to the device's limits. Knows no device.

use crate::{Error, Result};

/// What a device takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a binding.
    pub binding: usize,
    /// Workgroups of a dispatch.
    pub workgroups: usize,
}

/// Queries, and candidates, of a workgroup of score.wgsl.
const SIDE: usize = 32;
/// Candidates of a tile at most: with [`QUERIES`], 128 MiB of scores.
const COLUMNS: usize = 16_384;
/// Queries of a tile at most: a workgroup of topk.wgsl each, and those fill a large GPU.
const QUERIES: usize = 2048;
/// Products of a dispatch at most: a fraction of a second on slow hardware.
const PRODUCTS: usize = 1 << 32;
/// Places in a list of topk.wgsl at most.
const LIST: usize = 1024;
/// Rows that count.wgsl names for an interval at most.
pub const WITHIN: usize = crate::backend::WITHIN;

/// Sizes of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankPlan {
    /// vec4s of a row.
    pub width: usize,
    /// Candidates of a tile.
    pub columns: usize,
    /// Queries of a tile.
    pub queries: usize,
    /// Places in a list; longer lists are made of several.
    pub list: usize,
    /// Excluded pairs of a dispatch.
    pub places: usize,
    /// Intervals of a dispatch.
    pub intervals: usize,
}

impl RankPlan {
    /// Cuts a ranking of `candidates` rows of `factors`.
    ///
    /// # Errors
    /// If not even one row, or one list of one place, or what one interval finds, fits a binding.
    pub fn new(candidates: usize, factors: usize, limits: Limits) -> Result<Self> {
        let width = factors.div_ceil(4);
        let rows = limits.binding / (width * 16);
        let columns = rows
            .min(COLUMNS)
            .min(candidates.max(1))
            .min(limits.binding / 4)
            .min(limits.workgroups * SIDE);
        let list = LIST.min(limits.binding / 8);
        if columns == 0 || list == 0 || limits.binding < 4 * WITHIN {
            return Err(Error::device(format!(
                "a row of {factors} factors does not fit a binding of {} bytes; use `backend` cpu",
                limits.binding
            )));
        }
        let across = columns.div_ceil(SIDE);
        let queries = QUERIES
            .min(limits.binding / (columns * 4))
            .min(rows)
            .min(limits.workgroups)
            .min(limits.workgroups / across * SIDE)
            .min(PRODUCTS / (columns * width * 4))
            .max(1);
        Ok(Self {
            width,
            columns,
            queries,
            list,
            places: (limits.binding / 4).min(limits.workgroups * 64),
            intervals: (limits.binding / (4 * WITHIN)).min(limits.workgroups).max(1),
        })
    }

    /// Queries of a tile where each has a list of `n` places.
    pub fn queries_with_lists(&self, n: usize, limits: Limits) -> usize {
        self.queries.min(limits.binding / (n * 8)).max(1)
    }

    /// Workgroups of score.wgsl for a tile.
    pub fn score_workgroups(queries: usize, columns: usize) -> u32 {
        (queries.div_ceil(SIDE) * columns.div_ceil(SIDE)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_keep_the_limits() {
        for candidates in [0, 1, 31, 900, 40_981, 5_000_000] {
            for factors in [1, 3, 64, 130, 1024] {
                for binding in [64, 4096, 10_000, 1 << 16, 128 << 20, (2 << 30) - 4] {
                    for workgroups in [1, 5, 16, 65_535] {
                        let limits = Limits { binding, workgroups };
                        let Ok(plan) = RankPlan::new(candidates, factors, limits) else {
                            let least = (factors.div_ceil(4) * 16).max(4 * WITHIN);
                            assert!(binding < least, "{factors}: {limits:?}");
                            continue;
                        };
                        let RankPlan { width, columns, queries, list, places, intervals } = plan;
                        assert!(columns >= 1 && columns * width * 16 <= binding, "{plan:?}");
                        assert!(queries >= 1 && queries * width * 16 <= binding, "{plan:?}");
                        assert!(queries * columns * 4 <= binding, "{plan:?}");
                        assert!(queries <= workgroups, "{plan:?}");
                        let groups = RankPlan::score_workgroups(queries, columns) as usize;
                        assert!(groups <= workgroups, "{plan:?} {limits:?}");
                        assert!(columns <= COLUMNS && queries <= QUERIES, "{plan:?}");
                        assert!((1..=LIST).contains(&list), "{plan:?}");
                        for n in [1, list] {
                            let queries = plan.queries_with_lists(n, limits);
                            assert!(queries >= 1 && queries * n * 8 <= binding, "{plan:?}");
                        }
                        assert!(places * 4 <= binding && places <= workgroups * 64, "{plan:?}");
                        assert!(places >= 1, "{plan:?}");
                        assert!(intervals * 4 * WITHIN <= binding, "{plan:?}");
                        assert!((1..=workgroups).contains(&intervals), "{plan:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn common_devices_get_whole_tiles() {
        let limits = Limits { binding: 128 << 20, workgroups: 65_535 };
        let plan = RankPlan::new(40_981, 128, limits).unwrap();
        assert_eq!((plan.columns, plan.queries, plan.list), (COLUMNS, QUERIES, LIST));
    }
}
