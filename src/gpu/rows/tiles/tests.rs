use super::*;

/// Rows of very different lengths; the last two have no rating.
fn side(rows: usize, partners: u32, hot: usize, weighted: bool) -> SideRatings {
    let mut starts = vec![0];
    for row in 0..rows {
        let length = match row {
            3 => hot,
            row if row + 2 >= rows => 0,
            row => row * row % 23,
        };
        starts.push(starts[row] + length);
    }
    let n = starts[rows];
    let partner = |at: usize| (at as u32).wrapping_mul(2_654_435_761) >> 7;
    SideRatings {
        starts,
        partners: (0..n).map(|at| partner(at) % partners).collect(),
        values: (0..n).map(|at| at as f32 + 1.0).collect(),
        weights: if weighted { (0..n).map(|at| (at * at) as f32).collect() } else { vec![] },
    }
}

/// Checks a plan against the limits, and that each rating comes once, in its row's slots.
fn check(cut: &Cut, ratings: &SideRatings) -> (RowPlan, Vec<Chunk>) {
    let mut chunks = Vec::new();
    let plan = cut
        .cut(
            ratings,
            |row| row as f32,
            |row| row.is_multiple_of(3) || row > 20,
            |chunk| {
                chunks.push(chunk);
                Ok(())
            },
        )
        .unwrap();
    for chunk in &chunks {
        assert!(chunk.entries.len() * 8 <= cut.binding);
        assert!(chunk.segments.len() * 16 <= cut.binding);
        assert_eq!(chunk.roots.is_empty(), ratings.weights.is_empty());
    }
    for rows in &plan.rows {
        assert!(rows.joins.len() * 8 <= cut.binding && rows.solves.len() * 12 <= cut.binding);
    }
    assert!(plan.slots <= cut.slots);
    let mut seen = vec![0; ratings.partners.len()];
    let mut solved = vec![false; ratings.rows()];
    for batch in &plan.batches {
        let rows = &plan.rows[batch.rows];
        let first_row = cut.own.range(batch.own_tile).start;
        let joins = &rows.joins[batch.joins.clone()];
        let mut owner = vec![usize::MAX; plan.slots];
        for solve in &rows.solves[batch.solves.clone()] {
            let row = first_row + solve.row as usize;
            assert_eq!(solve.penalty, row as f32);
            assert_eq!(row.is_multiple_of(3) || row > 20, batch.refines);
            assert!(!std::mem::replace(&mut solved[row], true), "row {row} is solved twice");
            let slot = solve.slot as usize;
            let join = joins.iter().find(|join| join.slot == solve.slot);
            let slots = join.map_or(1, |join| join.slots as usize);
            assert!(slots <= cut.row_slots);
            for owner in &mut owner[slot..slot + slots] {
                assert_eq!(std::mem::replace(owner, row), usize::MAX);
            }
        }
        let mut written = vec![false; plan.slots];
        let mut sum = 0;
        for walk in &batch.walks {
            let chunk = &chunks[walk.chunk];
            let segments = &chunk.segments[walk.first_segment..][..walk.segments];
            assert!(segments.is_sorted_by(|a, b| a.length >= b.length), "longest first");
            let mut here = vec![false; plan.slots];
            let mut in_walk = 0;
            for segment in segments {
                let least = usize::from(!cut.every);
                assert!((least..=cut.segment()).contains(&(segment.length as usize)));
                in_walk += segment.length as usize;
                let slot = segment.slot as usize;
                let row = first_row + segment.row as usize;
                assert_eq!(owner[slot], row);
                assert!(!std::mem::replace(&mut here[slot], true), "a slot twice at once");
                // Written the first time, added to from then on.
                assert_eq!(std::mem::replace(&mut written[slot], true), walk.add);
                for at in segment.start..segment.start + segment.length {
                    let entry = chunk.entries[at as usize];
                    let value = f32::from_bits(entry.second) + cut.mean;
                    let position = value as usize - 1;
                    assert!(ratings.positions(row).contains(&position));
                    let tile = cut.partner.range(walk.partner_tile);
                    let partner = tile.start + entry.partner as usize;
                    assert_eq!(partner, ratings.partners[position] as usize);
                    assert!(tile.contains(&partner));
                    if let Some(root) = chunk.roots.get(at as usize) {
                        assert_eq!(*root, position as f32);
                    }
                    seen[position] += 1;
                }
            }
            assert_eq!(in_walk, walk.ratings);
            sum += in_walk;
        }
        assert_eq!(sum, batch.ratings);
        assert!(sum <= cut.batch_ratings || batch.solves.len() == 1);
        for (slot, &row) in owner.iter().enumerate() {
            assert_eq!(written[slot], row != usize::MAX, "every slot is written");
        }
    }
    assert!(seen.iter().all(|&times| times == 1), "each rating once");
    for &(tile, ref rows) in &plan.without {
        for row in rows.clone() {
            let row = cut.own.range(tile).start + row;
            assert!(ratings.positions(row).is_empty());
            assert!(!std::mem::replace(&mut solved[row], true));
        }
    }
    assert!(solved.iter().all(|&solved| solved), "each row once");
    (plan, chunks)
}

#[test]
fn plans_respect_every_limit_and_lose_no_rating() {
    let (mut tiles, mut chunked, mut rounds, mut joins, mut batches) = (0, 0, 0, 0, 0);
    let tile = |rows, rows_per_tile| Tiles { rows, rows_per_tile };
    for (rows, partners, hot, own, partner, binding, slots) in [
        (1, 1, 0, 2, 2, 1 << 27, 1000),
        (60, 50, 900, 61, 51, 1 << 27, 1000),
        (60, 50, 5000, 61, 51, 1 << 27, 1000),
        (60, 50, 5000, 20, 13, 1 << 27, 16),
        (60, 50, 700, 7, 51, 1024, 9),
        (200, 90, 3000, 64, 10, 2048, 3),
        (200, 90, 3000, 201, 91, 4096, 1),
    ] {
        for (weighted, every) in [(false, false), (true, false), (false, true)] {
            let cut = Cut {
                own: tile(rows + 1, own),
                partner: tile(partners + 1, partner),
                binding,
                slots,
                row_slots: (slots / 4).max(1),
                batch_ratings: 2500,
                mean: 3.0,
                every,
            };
            let (plan, chunks) = check(&cut, &side(rows, partners as u32, hot, weighted));
            assert_eq!(plan.without.is_empty(), every);
            tiles += cut.own.len() * cut.partner.len();
            chunked += chunks.len();
            let walks = plan.batches.iter().flat_map(|batch| &batch.walks);
            rounds += walks.filter(|walk| walk.add).count();
            joins += plan.rows.iter().map(|rows| rows.joins.len()).sum::<usize>();
            batches += plan.batches.len();
        }
    }
    assert!(tiles > 50 && chunked > 50 && rounds > 50 && joins > 20 && batches > 50);
}

#[test]
fn hot_rows_are_shared_out_evenly() {
    let ratings = side(5, 40, 2500, false);
    let (tile, own) = (Tiles { rows: 41, rows_per_tile: 41 }, Tiles { rows: 6, rows_per_tile: 6 });
    let limits = Limits { binding: 1 << 27, workgroups: 65_535 };
    let shape = Shape { coordinates: 8, bias: true };
    let cut = Cut::rows(shape, own, tile, limits, 0.0).unwrap();
    let (_, chunks) = check(&cut, &ratings);
    let lengths: Vec<_> = chunks[0].segments.iter().map(|s| s.length).collect();
    assert_eq!(lengths[..3], [834, 833, 833]);
}

#[test]
fn matrices_larger_than_a_binding_are_refused() {
    let tile = Tiles { rows: 10, rows_per_tile: 10 };
    let limits = Limits { binding: 4096, workgroups: 65_535 };
    let cut = |coordinates| {
        let shape = Shape { coordinates, bias: false };
        Cut::rows(shape, tile, tile, limits, 0.0)
    };
    assert!(cut(32).is_ok());
    let said = cut(40).unwrap_err().to_string();
    assert!(said.contains("40 factors") && said.contains("4096"), "{said}");
}
