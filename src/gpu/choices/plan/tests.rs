use super::*;

const ALL: Limits = Limits { binding: 1 << 27, workgroups: 65_535 };

/// Rows, factors, pairs and pool of batches, limits.
fn problems() -> Vec<([usize; 2], usize, usize, usize, Limits)> {
    vec![
        ([1, 1], 1, 1, 1, ALL),
        ([29_858, 40_981], 64, 2048, 2048, ALL),
        ([29_858, 40_981], 64, 2048, 40_981, ALL),
        ([200_000, 300_000], 256, 65_536, 300_000, Limits { binding: 1 << 30, ..ALL }),
        ([90, 200], 5, 60, 50, Limits { binding: 2048, ..ALL }),
        ([90, 200], 33, 100, 150, Limits { binding: 4000, ..ALL }),
        ([300, 400], 130, 250, 301, Limits { workgroups: 64, ..ALL }),
        ([300, 400], 1000, 250, 301, Limits { binding: 40_000, workgroups: 16 }),
    ]
}

fn cuts((rows, k, pairs, pool, limits): ([usize; 2], usize, usize, usize, Limits)) -> Cuts {
    Cuts::new(rows, k, ChoiceSizes { pairs, pool, draws: pool }, true, limits).unwrap()
}

#[test]
fn panels_hold_every_score_once_and_respect_every_limit() {
    for problem in problems() {
        let (cuts, limits) = (cuts(problem), problem.4);
        let [most_users, most_items] = cuts.slots.map(|slots| slots.rows);
        for tiles in cuts.slots {
            assert!(tiles.rows_per_tile * cuts.slot_bytes() <= limits.binding);
            assert!(
                tiles.len() == 1 || tiles.rows_per_tile.is_multiple_of(4),
                "whole vec4s of counts"
            );
        }
        let pool = problem.3.min(most_items);
        for (users, pool) in [(most_users, pool), (1, pool), (most_users / 2 + 1, pool / 3 + 1)] {
            let panels = cuts.panels(users, pool);
            let mut scores = 0;
            for (at, panel) in panels.iter().enumerate() {
                scores += panel.users.len() * panel.items.len();
                assert!(panel.users.len() * panel.stride() * 4 <= cuts.scores(), "{panel:?}");
                assert!(panel.users.len() * panel.stride() * 16 <= limits.binding, "{panel:?}");
                assert_eq!(panel.items.start % 4, 0);
                for (side, range, tile) in
                    [(0, &panel.users, panel.user_tile), (1, &panel.items, panel.item_tile)]
                {
                    let of_tile = cuts.slots[side].range(tile);
                    assert!(of_tile.start <= range.start && range.end <= of_tile.end);
                }
                assert!(Cuts::contrast_workgroups(panel) <= limits.workgroups);
                // Ranges are the same or apart, so that gradients add up in whole ones.
                for other in &panels[..at] {
                    let items = (&other.items, &panel.items);
                    assert!(
                        items.0 == items.1
                            || items.0.end <= items.1.start
                            || items.1.end <= items.0.start
                    );
                    assert!(other.users != panel.users || other.items != panel.items);
                }
                let first = &panels[0];
                for side in Side::BOTH {
                    let parts = cuts.parts(side, first);
                    assert!((1..=cuts.parts[side.index()]).contains(&parts));
                    assert!(cuts.gradient_workgroups(side, panel, parts) <= limits.workgroups);
                    let length = Cuts::part_length(side, panel, parts);
                    assert!(
                        length.is_multiple_of(STEP) && length * parts >= of_side(side, panel).1
                    );
                    let bytes =
                        (parts + 1) * cuts.slots[side.index()].rows_per_tile * cuts.slot_bytes();
                    assert!(bytes <= limits.binding, "{parts} parts of {side:?}");
                }
            }
            assert_eq!(scores, users * pool);
        }
    }
}

#[test]
fn a_pool_keeps_a_large_gpu_busy() {
    let cuts = cuts(([29_858, 40_981], 64, 2048, 2048, ALL));
    let panels = cuts.panels(2000, 2048);
    assert_eq!(panels.len(), 1);
    for side in Side::BOTH {
        let parts = cuts.parts(side, &panels[0]);
        assert!(cuts.gradient_workgroups(side, &panels[0], parts) >= 480);
    }
}

#[test]
fn pieces_hold_every_slot_once() {
    for problem in problems() {
        let (cuts, limits) = (cuts(problem), problem.4);
        for side in Side::BOTH {
            let rows = problem.0[side.index()];
            let slots = cuts.slots[side.index()].rows;
            // A pool that ascends, and then others that do.
            let row = |slot: usize| (slot * 7 % rows) as u32;
            let mut all: Vec<u32> = (0..slots).map(row).collect();
            let (pool, others) = all.split_at_mut(slots / 2);
            pool.sort_unstable();
            others.sort_unstable();
            let mut next = 0;
            for piece in cuts.pieces(side, &all) {
                assert_eq!(piece.first, next);
                next += piece.rows;
                let of_tile = cuts.slots[side.index()].range(piece.slot_tile);
                assert_eq!(of_tile.start + piece.to, piece.first);
                assert!(next <= of_tile.end);
                let lanes = piece.rows * (cuts.team.width + 1);
                assert!(lanes <= limits.workgroups * WORKGROUP);
                assert!(piece.rows <= limits.workgroups * cuts.team.teams());
                for &row in &all[piece.first..next] {
                    assert_eq!(cuts.tiles[side.index()].locate(row).0, piece.tile);
                }
            }
            assert_eq!(next, slots);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let tight = Limits { binding: 256, ..ALL };
    for (k, pairs, part) in [(64, 8, "factors"), (5, 100, "batch_size")] {
        let most = ChoiceSizes { pairs, pool: 1, draws: 1 };
        let error = Cuts::new([500, 500], k, most, true, tight).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
