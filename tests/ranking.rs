//! Exact lists and ranks against a sort of all candidates in f64.

mod common;

use common::{adapter, gpu};
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;
use wgmf::backend::{Backend, Candidates, Interval, WITHIN};
use wgmf::cpu::Cpu;
use wgmf::gpu::{Gpu, Sources, TightLimits};
use wgmf::recommend::{ExactRanker, Scored};

struct Problem {
    factors: usize,
    rows: Vec<f32>,
    bias: Vec<f32>,
    queries: Vec<f32>,
    excluded: Vec<Vec<u32>>,
}

impl Problem {
    fn random(seed: u64, factors: usize, candidates: usize, queries: usize) -> Self {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut numbers = |count: usize, scale: f32| -> Vec<f32> {
            (0..count).map(|_| random.random_range(-scale..scale)).collect()
        };
        let rows = numbers(candidates * factors, 0.5);
        let bias = numbers(candidates, 0.3);
        let queries_values = numbers(queries * factors, 0.5);
        let excluded = (0..queries)
            .map(|query| {
                let most = match query % 4 {
                    0 => 0,
                    1 => candidates / 50,
                    2 => candidates / 2,
                    _ => 3.min(candidates),
                };
                let rows: HashSet<u32> =
                    (0..most).map(|_| random.random_range(0..candidates as u32)).collect();
                let mut rows: Vec<u32> = rows.into_iter().collect();
                rows.sort_unstable();
                rows
            })
            .collect();
        Self { factors, rows, bias, queries: queries_values, excluded }
    }

    fn candidates(&self) -> Candidates<'_> {
        Candidates { factors: self.factors, rows: &self.rows, bias: &self.bias }
    }

    fn excluded(&self) -> Vec<&[u32]> {
        self.excluded.iter().map(Vec::as_slice).collect()
    }

    /// All candidates of a query that are not excluded, best first: a sort, nothing clever.
    fn sorted(&self, query: usize) -> Vec<Scored> {
        let k = self.factors;
        let mut scored = Vec::new();
        for row in 0..self.bias.len() {
            if self.excluded[query].contains(&(row as u32)) {
                continue;
            }
            let mut inner = 0.0;
            for j in 0..k {
                inner += f64::from(self.queries[query * k + j]) * f64::from(self.rows[row * k + j]);
            }
            scored.push(Scored { row: row as u32, score: f64::from(self.bias[row]) + inner });
        }
        scored.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap().then(a.row.cmp(&b.row)));
        scored
    }

    fn top(&self, backend: &dyn Backend, n: usize) -> Vec<Vec<Scored>> {
        let mut ranker = ExactRanker::new(backend, self.candidates()).unwrap();
        ranker.top(&self.queries, &self.excluded(), n).unwrap()
    }

    fn ranks(&self, backend: &dyn Backend, relevant: &[Vec<u32>]) -> Vec<Vec<[u64; 2]>> {
        let mut ranker = ExactRanker::new(backend, self.candidates()).unwrap();
        let relevant: Vec<_> = relevant.iter().map(Vec::as_slice).collect();
        ranker.ranks(&self.queries, &self.excluded(), &relevant).unwrap()
    }

    /// Lists of several lengths, and ranks of some rows, excluded ones among them.
    fn check(&self, backend: &dyn Backend, lengths: &[usize]) {
        let queries = self.excluded.len();
        let sorted: Vec<_> = (0..queries).map(|query| self.sorted(query)).collect();
        for &n in lengths {
            let lists = self.top(backend, n);
            assert_eq!(lists.len(), queries);
            for (query, (list, sorted)) in lists.iter().zip(&sorted).enumerate() {
                assert_eq!(list[..], sorted[..n.min(sorted.len())], "query {query}, n {n}");
            }
        }
        let rows = self.bias.len() as u32;
        let relevant: Vec<Vec<u32>> = (0..queries as u32)
            .map(|query| (0..query % 7).map(|j| (query * 31 + j * j * 17) % rows).collect())
            .collect();
        let ranks = self.ranks(backend, &relevant);
        for query in 0..queries {
            let k = self.factors;
            for (&row, rank) in relevant[query].iter().zip(&ranks[query]) {
                let mut inner = 0.0;
                for j in 0..k {
                    let x = f64::from(self.queries[query * k + j]);
                    inner += x * f64::from(self.rows[row as usize * k + j]);
                }
                let score = f64::from(self.bias[row as usize]) + inner;
                let others = sorted[query].iter().filter(|other| other.row != row);
                let better = others.clone().filter(|other| other.score > score).count() as u64;
                let equal = others.filter(|other| other.score == score).count() as u64;
                assert_eq!(*rank, [better, equal], "query {query}, row {row}");
            }
        }
    }
}

fn check_everywhere(problem: &Problem, lengths: &[usize]) {
    problem.check(&Cpu::new(), lengths);
    problem.check(&gpu(), lengths);
}

#[test]
fn lists_and_ranks_are_those_of_a_sort() {
    for (seed, factors) in [1, 3, 17, 64, 130].into_iter().enumerate() {
        check_everywhere(&Problem::random(seed as u64, factors, 1500, 45), &[1, 20, 257]);
    }
    // About as many rows, queries and places as a tile has, and one fewer or more.
    for candidates in [1, 2, 31, 32, 33, 63, 64, 65] {
        check_everywhere(&Problem::random(9, 5, candidates, 13), &[1, 31, 32, 33, 64]);
    }
    for queries in [1, 11, 12, 96, 97] {
        check_everywhere(&Problem::random(7, 8, 300, queries), &[10]);
    }
}

#[test]
fn lists_beyond_the_catalogue_hold_all_of_it() {
    check_everywhere(&Problem::random(3, 6, 700, 9), &[0, 699, 700, 701, 5000]);
    check_everywhere(&Problem::random(4, 6, 5000, 3), &[1000, 1100, 4000, usize::MAX / 2]);
}

#[test]
fn ties_go_to_the_lower_row() {
    // Small whole numbers: many scores are equal, in f32 and in f64.
    let mut problem = Problem::random(5, 4, 2000, 20);
    let whole = |x: &mut f32| *x = (*x * 5.0).round();
    problem.rows.iter_mut().for_each(whole);
    problem.queries.iter_mut().for_each(whole);
    problem.bias.iter_mut().for_each(whole);
    check_everywhere(&problem, &[1, 20, 300]);
    // Rows that are all but equal: f32 cannot tell them apart, f64 can.
    let mut problem = Problem::random(6, 7, 1000, 12);
    let first = problem.rows[..7].to_vec();
    for (row, numbers) in problem.rows.chunks_mut(7).enumerate() {
        numbers.copy_from_slice(&first);
        numbers[6] = f32::from_bits(first[6].to_bits() + (row * 37 % 11) as u32);
    }
    problem.bias.fill(0.25);
    check_everywhere(&problem, &[1, 20, 300]);
}

#[test]
fn a_constant_model_lists_rows_in_order() {
    let mut zeros = Problem::random(8, 3, 3000, 8);
    zeros.rows.fill(0.0);
    zeros.bias.fill(-0.0);
    let mut equal = Problem::random(8, 3, 3000, 8);
    equal.rows.fill(0.1);
    equal.bias.fill(0.1);
    let mut bias_only = Problem::random(8, 3, 3000, 8);
    bias_only.queries.fill(-0.0);
    for problem in [zeros, equal, bias_only] {
        check_everywhere(&problem, &[1, 20, 1200]);
    }
}

#[test]
fn whoever_has_seen_everything_gets_nothing() {
    let mut problem = Problem::random(2, 4, 120, 5);
    problem.excluded[1] = (0..120).collect();
    problem.excluded[2] = (1..120).collect();
    problem.excluded[4] = (0..119).collect();
    check_everywhere(&problem, &[1, 3, 120]);
    assert_eq!(problem.top(&Cpu::new(), 3)[1], []);
    assert_eq!(problem.top(&Cpu::new(), 3)[2][0].row, 0);
    // No sets at all: nothing is excluded.
    let cpu = Cpu::new();
    let mut ranker = ExactRanker::new(&cpu, problem.candidates()).unwrap();
    let all = ranker.top(&problem.queries, &[], 1000).unwrap();
    assert!(all.iter().all(|list| list.len() == 120));
}

#[test]
fn scores_beyond_f32_are_ranked_in_f64() {
    let mut problem = Problem::random(11, 9, 400, 7);
    problem.rows.iter_mut().for_each(|x| *x *= 1e30);
    problem.queries.iter_mut().for_each(|x| *x *= 1e30);
    check_everywhere(&problem, &[5, 50]);
    let mut problem = Problem::random(12, 9, 400, 7);
    problem.rows.iter_mut().for_each(|x| *x *= 1e-24);
    problem.queries.iter_mut().for_each(|x| *x *= 1e-24);
    problem.bias.fill(0.0);
    check_everywhere(&problem, &[5, 50]);
}

#[test]
fn threads_change_nothing() {
    let problem = Problem::random(13, 33, 2500, 110);
    let queries = &problem.queries;
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let cpu = Cpu::new();
            let mut ranker = cpu.ranker(problem.candidates()).unwrap();
            let lists = ranker.top(queries, &problem.excluded(), 30).unwrap();
            let bits: Vec<Vec<(u32, u32)>> = lists
                .iter()
                .map(|list| list.iter().map(|r| (r.row, r.score.to_bits())).collect())
                .collect();
            (bits, problem.top(&cpu, 30))
        })
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn what_cannot_be_ranked_is_an_error() {
    let cpu = Cpu::new();
    let problem = Problem::random(14, 4, 50, 3);
    let error =
        |candidates: Candidates| ExactRanker::new(&cpu, candidates).err().unwrap().to_string();
    let short = Candidates { rows: &problem.rows[1..], ..problem.candidates() };
    assert!(error(short).contains("199 numbers are not 50 rows of 4"), "{}", error(short));
    let mut rows = problem.rows.clone();
    rows[17] = f32::NAN;
    let nan = Candidates { rows: &rows, ..problem.candidates() };
    assert!(error(nan).contains("candidate 4"), "{}", error(nan));
    let mut bias = problem.bias.clone();
    bias[8] = f32::INFINITY;
    let infinite = Candidates { bias: &bias, ..problem.candidates() };
    assert!(error(infinite).contains("bias of candidate 8"), "{}", error(infinite));
    let mut ranker = ExactRanker::new(&cpu, problem.candidates()).unwrap();
    let queries = &problem.queries;
    for (error, expected) in [
        (ranker.top(&queries[1..], &[], 3).err(), "11 numbers are no queries of 4 factors"),
        (ranker.top(queries, &[&[]], 3).err(), "1 sets of excluded rows for 3 queries"),
        (ranker.top(&[f32::NAN; 4], &[], 3).err(), "query 0 has a number that is not finite"),
        (ranker.ranks(queries, &[], &[&[1]]).err(), "1 sets of relevant rows for 3 queries"),
        (ranker.ranks(queries, &[], &[&[1], &[50], &[]]).err(), "row 50 is none of 50"),
    ] {
        let error = error.unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn tight_limits_change_no_list() {
    for (binding_bytes, workgroups) in [(4096, 16), (1 << 16, 5), (10_000, 65_535)] {
        let limits = TightLimits { binding_bytes, workgroups };
        let gpu = Gpu::open_with(&adapter(), Some(limits), Sources::default()).unwrap();
        Problem::random(15, 17, 900, 70).check(&gpu, &[1, 20, 300]);
    }
}

/// Whole numbers, so that every score is exact in f32 and many are equal.
fn whole(seed: u64, factors: usize, candidates: usize, queries: usize) -> Problem {
    let mut problem = Problem::random(seed, factors, candidates, queries);
    let round = |x: &mut f32| *x = (*x * 9.0).round();
    problem.rows.iter_mut().for_each(round);
    problem.queries.iter_mut().for_each(round);
    problem.bias.iter_mut().for_each(round);
    problem
}

/// What a backend's own lists and counts, which nothing mends, have that a sort has not. `problem`
/// is of whole numbers.
fn objections(backend: &dyn Backend, problem: &Problem) -> Vec<String> {
    let mut objections = Vec::new();
    let mut ranker = backend.ranker(problem.candidates()).unwrap();
    let excluded = problem.excluded();
    let sorted: Vec<_> = (0..excluded.len()).map(|query| problem.sorted(query)).collect();
    for n in [1, 20, 300, 1500] {
        let lists = ranker.top(&problem.queries, &excluded, n).unwrap();
        for (query, (list, sorted)) in lists.iter().zip(&sorted).enumerate() {
            let list: Vec<_> =
                list.iter().map(|r| Scored { row: r.row, score: f64::from(r.score) }).collect();
            if list[..] != sorted[..n.min(sorted.len())] {
                objections.push(format!("query {query}, n {n}"));
            }
        }
    }
    let mut intervals = Vec::new();
    for query in (0..excluded.len() as u32).rev() {
        for j in 0..query % 4 {
            let high = (query + j * 5) as f32 - 20.0;
            intervals.push(Interval { query, high, low: high - (j * j) as f32 });
        }
    }
    let counted = ranker.count(&problem.queries, &excluded, &intervals).unwrap();
    for (interval, counted) in intervals.iter().zip(&counted) {
        let sorted = &sorted[interval.query as usize];
        let (high, low) = (f64::from(interval.high), f64::from(interval.low));
        let above = sorted.iter().filter(|s| s.score > high).count();
        let within = sorted.iter().filter(|s| (low..=high).contains(&s.score));
        let mut rows: Vec<u32> = within.map(|s| s.row).collect();
        rows.sort_unstable();
        let named = &counted.rows[..rows.len().min(WITHIN)];
        let right = (counted.above, counted.within) == (above as u32, rows.len() as u32)
            && if rows.len() <= WITHIN {
                named == rows
            } else {
                named.iter().all(|row| rows.contains(row))
            };
        if !right {
            objections.push(format!("{interval:?}"));
        }
    }
    objections
}

/// A device that needs several tiles of candidates and of queries.
fn tiled(sources: Sources) -> Gpu {
    let limits = TightLimits { binding_bytes: 16_384, workgroups: 40 };
    Gpu::open_with(&adapter(), Some(limits), sources).unwrap()
}

#[test]
fn backends_count_and_list_exactly_where_nothing_is_rounded() {
    for problem in [whole(21, 6, 2500, 50), whole(22, 1, 70, 9), whole(23, 129, 400, 100)] {
        let none = Vec::<String>::new();
        assert_eq!(objections(&Cpu::new(), &problem), none);
        assert_eq!(objections(&gpu(), &problem), none);
        assert_eq!(objections(&tiled(Sources::default()), &problem), none);
    }
}

#[test]
fn faults_in_the_shaders_are_noticed() {
    let problem = whole(21, 6, 2500, 50);
    let mut unnoticed = Vec::new();
    for (kernel, from, to) in [
        ("score", "dot(q1, c2)", "dot(q1, c3)"),
        ("score", "vec4(dot(q3, c0), dot(q3, c1)", "vec4(dot(q3, c1), dot(q3, c0)"),
        ("score", "bias[candidate] + sums[j]", "sums[j] - bias[candidate]"),
        ("score", "bias[candidate] + sums[j]", "bias[column] + sums[j]"),
        ("score", "group.x / across * SIDE", "group.x / (across + 1u) * SIDE"),
        ("score", "let inside = start + step < WIDTH", "let inside = start + step <= WIDTH"),
        ("score", "queries[query * WIDTH + column]", "queries[query * WIDTH]"),
        ("mask", "at < params.places", "at + 1u < params.places"),
        ("mask", "scores[places[at]]", "scores[places[at] + 1u]"),
        ("topk", "row < other_row", "row > other_row"),
        ("topk", "params.first_row + at", "at"),
        ("topk", "listed_before(sorted_scores[at]", "listed_before(found_scores[at]"),
        ("topk", "if slot >= start && slot - start < SURVIVORS", "if slot < SURVIVORS"),
        ("topk", "chunk > 0u; chunk -= 1u", "chunk > 1u; chunk -= 1u"),
        ("topk", "before += counts[lane]", "before = counts[lane]"),
        ("topk", "beats(ceiling.score, ceiling.row, score, row)", "score <= ceiling.score"),
        ("topk", "if listed == n {", "if listed > 0u {"),
        ("topk", "rank += 1u;", "rank = 1u;"),
        ("topk", "m2 << 8u | m3 << 12u", "m2 << 8u"),
        ("topk", "length = lengths[query]", "length = 0u"),
        ("count", "0u, 1u, score > interval.high", "0u, 1u, score >= interval.high"),
        (
            "count",
            "1u, score <= interval.high && score >=",
            "1u, score <= interval.high && score >",
        ),
        ("count", "var slot = earlier_within", "var slot = 0u"),
        ("count", "slot += withins[lane]", "slot += 0u"),
        ("count", "interval.query * params.columns", "interval.query"),
        ("count", "var all_above = earlier_above", "var all_above = 0u"),
        (
            "count",
            "named[group.x * WITHIN + slot] = params.first_row +",
            "named[group.x * WITHIN + slot] =",
        ),
    ] {
        let mut sources = Sources::default();
        let source = match kernel {
            "score" => &mut sources.score,
            "mask" => &mut sources.mask,
            "topk" => &mut sources.topk,
            _ => &mut sources.count,
        };
        assert!(source.contains(from), "{kernel}.wgsl has no {from:?}");
        *source = source.replace(from, to).into();
        // Cut small, lists pass from tile to tile; whole, every lane of a workgroup has work.
        let whole = Gpu::open_with(&adapter(), None, sources.clone()).unwrap();
        let noticed = |gpu: &Gpu| !objections(gpu, &problem).is_empty();
        if !noticed(&whole) && !noticed(&tiled(sources)) {
            unnoticed.push(format!("{kernel}: {from} → {to}"));
        }
    }
    assert!(unnoticed.is_empty(), "\n{}", unnoticed.join("\n"));
}
