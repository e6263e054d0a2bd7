//! Lists on devices with small limits.

use crate::{common, oracle};
use wgmf::gpu::Sources;

use common::gpu_with;
use oracle::ranking::{RankCase, compare};

#[test]
fn topk_matches_the_oracle_at_tight_limits() {
    for (binding_bytes, workgroups) in [(8192, 65_535), (1 << 27, 64), (16_384, 64)] {
        let gpu = gpu_with(Some((binding_bytes, workgroups)), Sources::default());
        for case in
            [RankCase::new(5, 1500, 70, &[1, 20, 100]), RankCase::new(17, 300, 9, &[10, 300])]
        {
            compare(&gpu, &case).unwrap_or_else(|e| panic!("{binding_bytes} {workgroups}: {e}"));
        }
    }
}
