//! The Gibbs sampler on devices with small limits.

use crate::{common, conformance, oracle};
use wgmf::backend::Backend;
use wgmf::gpu::Sources;

use common::gpu_with;
use conformance::gibbs::{BOUND, FAR, STARS};
use oracle::gibbs_case::{GibbsCase, compare};

#[test]
fn ranges_of_rows_in_many_tiles_are_drawn_as_all_rows_are() {
    let small = gpu_with(Some((4096, 65_535)), Sources::default());
    conformance::gibbs::shared(&small);
}

#[test]
fn small_devices_draw_the_same() {
    for (binding, workgroups, case) in [
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900)),
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900).block(5)),
        (8192, 65_535, GibbsCase::new(9, 300, 131, 1500)),
        (1 << 27, 64, GibbsCase::new(5, 700, 900, 4000)),
        (16_384, 64, GibbsCase::new(19, 260, 310, 4003)),
        (16_384, 65_535, GibbsCase::long(2500, 3, 16)),
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900).levels(&STARS)),
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900).block(5).levels(&FAR)),
        (1 << 27, 64, GibbsCase::new(5, 700, 900, 4000).levels(&STARS)),
        (16_384, 65_535, GibbsCase::long(2500, 3, 16).levels(&STARS)),
    ] {
        let gpu = gpu_with(Some((binding, workgroups)), Sources::default());
        let mut passes = gpu.gibbs_passes(case.problem()).unwrap();
        let gaps = compare(&case, &mut *passes, None);
        println!("{binding} bytes, {workgroups} workgroups: {gaps:?}");
        assert!(gaps.largest() < BOUND, "{binding} bytes, {workgroups} workgroups: {gaps:?}");
    }
}

#[test]
fn a_prior_larger_than_a_binding_is_refused() {
    let gpu = gpu_with(Some((4096, 65_535)), Sources::default());
    let said = match gpu.gibbs_passes(GibbsCase::new(64, 20, 30, 40).block(4).problem()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("64 factors") && said.contains("4096"), "{said}");
    assert!(said.contains("`factors`") && said.contains("`backend` cpu"), "{said}");
}
