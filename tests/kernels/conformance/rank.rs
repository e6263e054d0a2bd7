//! The ranking passes against a sort of all candidates.

use super::{Compare, hold};
use crate::oracle;
use wgmf::backend::{Backend, Candidates};

use oracle::ranking::{RankCase, compare};

/// A ranker's problems.
#[derive(Clone)]
pub struct Lists(pub Vec<RankCase>);

impl Compare for Lists {
    fn name(&self) -> String {
        self.0.iter().map(|case| &case.name[..]).collect::<Vec<_>>().join("; ")
    }

    fn opens(&self, backend: &dyn Backend) -> Result<(), String> {
        let candidates = Candidates { factors: 1, rows: &[1.0], bias: &[0.0] };
        backend.ranker(candidates).map(drop).map_err(|error| error.to_string())
    }

    fn compare(&self, backend: &dyn Backend) -> Result<f64, String> {
        self.0.iter().try_for_each(|case| compare(backend, case)).map(|()| 0.0)
    }

    /// Several tiles, and lists of several runs; and one in which all lanes have work.
    fn devices(&self) -> Vec<Option<(u64, u32)>> {
        vec![Some((1 << 15, 65_535)), None]
    }
}

pub fn topk_matches_the_oracle(backend: &dyn Backend) {
    let mut cases = Vec::new();
    // Factors around a vec4 and a step; candidates and queries around a tile.
    for k in [1, 3, 4, 5, 15, 16, 17, 64, 65, 130] {
        cases.push(RankCase::new(k, 97, 33, &[1, 20]));
    }
    for candidates in [1, 2, 31, 32, 33, 64, 65, 1023, 1024, 1025, 3000] {
        cases.push(RankCase::new(6, candidates, 13, &[1, 31, 64]));
    }
    for queries in [1, 31, 32, 33, 95, 97] {
        cases.push(RankCase::new(8, 150, queries, &[10]));
    }
    // Lists of most and all candidates, longer than a workgroup holds, and none.
    cases.push(RankCase::new(7, 2500, 9, &[0, 255, 256, 257, 1023, 1024, 1025, 2499, 2500, 9999]));
    // Of equal scores the lowest rows.
    let mut constant = RankCase::new(3, 1500, 8, &[1, 40, 300]);
    constant.rows.fill(0.0);
    constant.bias.fill(0.5);
    cases.push(constant);
    hold(backend, cases.into_iter().map(|case| Lists(vec![case])).collect());
}
