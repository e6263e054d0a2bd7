use super::*;
use crate::core::Ratings;
use crate::gpu::shared::tiles::{Limits, Team, Tiles, WORKGROUP};

fn batches(users: u32, items: u32, ratings: u32, batch_size: usize) -> Batches {
    // A quarter of the ratings fall to a few hot rows.
    let hot = |n: u32, rows: u32| if n.is_multiple_of(4) { n % 3 % rows } else { n % rows };
    let ratings = Ratings {
        users: (0..ratings).map(|n| hot(n.wrapping_mul(2_654_435_761) >> 8, users)).collect(),
        items: (0..ratings).map(|n| hot(n.wrapping_mul(40_503) >> 4, items)).collect(),
        values: (0..ratings).map(|n| n as f32).collect(),
        timestamps: vec![],
        weights: vec![],
    };
    Batches::new(&ratings, users as usize, items as usize, batch_size, Some(1))
}

/// One side of a chunk and of a batch.
type Pick = (fn(&Chunk) -> &SideArrays, fn(&BatchPlan) -> &SidePlan);

/// Checks one side of all batches against the limits; returns each rating's batch, row, partner,
/// and value or link.
fn check(
    plan: &GradientPlan,
    chunks: &[Chunk],
    limits: Limits,
    pick: Pick,
    (own, partner, slots): (Tiles, Tiles, &[usize]),
) -> Vec<(usize, u32, u32, u32)> {
    let team = plan.team;
    assert!(own.rows_per_tile * team.row_bytes() <= limits.binding);
    assert!(slots.iter().all(|n| n * team.row_bytes() <= limits.binding));
    assert_eq!(slots.len(), own.len());
    let mut ratings = Vec::new();
    for (batch, batch_plan) in plan.batches.iter().enumerate() {
        let (arrays, side) = (pick.0(&chunks[batch_plan.chunk]), pick.1(batch_plan));
        let mut taken = std::collections::HashMap::new();
        for walk in &side.walks {
            assert!((1..=limits.workgroups * team.teams()).contains(&walk.segments));
            let segments = &arrays.segments[walk.first_segment..][..walk.segments];
            assert!(segments.is_sorted_by(|a, b| a.length >= b.length), "longest first");
            for segment in segments {
                assert!((1..=SEGMENT).contains(&(segment.length as usize)));
                let slot = segment.slot as usize;
                assert!(slot < slots[walk.own_tile] && walk.sums_start + slot < arrays.sums);
                let row = own.range(walk.own_tile).start as u32 + segment.row;
                assert!(taken.insert((walk.own_tile, slot), row).is_none(), "a slot each");
                for at in segment.start..segment.start + segment.length {
                    let entry = arrays.entries[at as usize];
                    let first = partner.range(walk.partner_tile).start as u32;
                    assert!((entry.partner as usize) < partner.range(walk.partner_tile).len());
                    ratings.push((batch, row, first + entry.partner, entry.second));
                }
            }
        }
        for step in &side.steps {
            assert!(step.rows * (team.width + 1) <= limits.workgroups * WORKGROUP);
            for touched in &arrays.touched[step.first_row..][..step.rows] {
                let row = own.range(step.own_tile).start as u32 + touched.row;
                for slot in touched.slot..touched.slot + touched.slots {
                    let owner = taken.remove(&(step.own_tile, slot as usize));
                    assert_eq!(owner, Some(row), "a row steps by its own gradients");
                }
            }
        }
        assert!(taken.is_empty(), "every gradient is used");
    }
    ratings
}

#[test]
fn plans_respect_every_limit_and_lose_no_rating() {
    let all = Limits { binding: 1 << 27, workgroups: 65_535 };
    let (mut tiles, mut cut_walks) = (0, 0);
    for (users, items, ratings, batch_size, factors, limits) in [
        (1, 1, 1, 1, 1, all),
        (200, 90, 3000, 3000, 5, all),
        (200, 90, 3000, 70, 5, Limits { binding: 2048, ..all }),
        (90, 200, 2000, 101, 33, Limits { binding: 4000, ..all }),
        (300, 400, 5000, 1500, 130, Limits { workgroups: 64, ..all }),
        (130, 130, 4000, 60, 200, Limits { binding: 20_000, workgroups: 3 }),
    ] {
        let batches = batches(users, items, ratings, batch_size);
        let team = Team::new(factors);
        let (plan, chunks) =
            GradientPlan::new(&batches, team, limits, |_, _| (1.0, 1.0), Ok).unwrap();
        for chunk in &chunks {
            assert!(chunk.lead.bytes(&SideArrays::default()) <= limits.binding);
            assert!(chunk.follow.bytes(&SideArrays::default()) <= limits.binding);
        }
        let lead = (plan.lead, plan.follow, &plan.lead_slots[..]);
        let follow = (plan.follow, plan.lead, &plan.follow_slots[..]);
        let lead = check(&plan, &chunks, limits, (|c| &c.lead, |b| &b.lead), lead);
        let follow = check(&plan, &chunks, limits, (|c| &c.follow, |b| &b.follow), follow);

        // Each value is its rating's number: every rating comes once on each side, and a link
        // leads to the rating's place in its batch.
        let mut want = Vec::new();
        for batch in 0..batches.len() {
            for run in batches.lead.runs(batch) {
                for at in batches.lead.positions(run) {
                    let value = batches.values[at].to_bits();
                    let row = batches.lead.rows[run];
                    want.push((batch, row, batches.lead.partners[at], value));
                }
            }
        }
        let sorted = |mut of: Vec<_>| {
            of.sort_unstable();
            of
        };
        let linked = follow.iter().map(|&(batch, row, partner, link)| {
            let batch_plan = &plan.batches[batch];
            let entries = &chunks[batch_plan.chunk].lead.entries;
            let entry = entries[batch_plan.lead.batch_start + link as usize];
            (batch, partner, row, entry.second)
        });
        assert_eq!(sorted(linked.collect()), sorted(want.clone()));
        assert_eq!(sorted(lead), sorted(want));
        tiles += plan.lead.len() + plan.follow.len();
        let walks = plan.batches.iter().map(|b| b.lead.walks.len() + b.follow.walks.len());
        cut_walks += walks.sum::<usize>();
    }
    assert!(tiles > 50 && cut_walks > 1000, "{tiles} tiles, {cut_walks} walks: nothing is cut");
}

#[test]
fn problems_that_cannot_be_cut_are_refused() {
    let refused = |factors, batch_size, binding| {
        let limits = Limits { binding, workgroups: 65_535 };
        let batches = batches(50, 40, 1000, batch_size);
        let plan = GradientPlan::new(&batches, Team::new(factors), limits, |_, _| (1.0, 1.0), Ok);
        plan.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(refused(100, 10, 256).contains("a row of 100 factors"));
    assert!(refused(4, 1000, 4096).contains("a batch of 1000 ratings"));
    assert_eq!(refused(4, 100, 4096), "");
}
