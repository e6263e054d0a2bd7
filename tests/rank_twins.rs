//! Every ranking kernel of every backend against a sort of all candidates, and shown to fail: faults
//! are planted in the shaders' text, and each must be noticed.

mod common;
mod oracle;

use oracle::ranking::{RankCase, compare};
use wgmf::backend::Backend;
use wgmf::cpu::Cpu;
use wgmf::gpu::{Gpu, Sources, TightLimits};

fn hold(backend: &dyn Backend) {
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
    let failures: Vec<_> = cases.iter().filter_map(|case| compare(backend, case).err()).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn topk_matches_the_oracle_on_the_cpu() {
    hold(&Cpu::new());
}

#[test]
fn topk_matches_the_oracle_on_the_gpu() {
    hold(&common::gpu());
}

fn open(limits: Option<TightLimits>, sources: Sources) -> Gpu {
    Gpu::open_with(&common::adapter(), limits, sources)
        .map(common::checks)
        .unwrap_or_else(|error| panic!("{error} (./test.sh installs it)"))
}

#[test]
fn topk_matches_the_oracle_at_tight_limits() {
    for (binding_bytes, workgroups) in [(8192, 65_535), (1 << 27, 64), (16_384, 64)] {
        let gpu = open(Some(TightLimits { binding_bytes, workgroups }), Sources::default());
        for case in
            [RankCase::new(5, 1500, 70, &[1, 20, 100]), RankCase::new(17, 300, 9, &[10, 300])]
        {
            compare(&gpu, &case).unwrap_or_else(|e| panic!("{binding_bytes} {workgroups}: {e}"));
        }
    }
}

/// Kernel, what is wrong, text of the shader, and what stands there instead.
type Fault = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    ("score", "the bias is dropped",
        "bias[candidate] + sums[j]", "sums[j] + 0.0 * bias[candidate]"),
    ("score", "the bias of the wrong candidate",
        "bias[candidate] + sums[j]", "bias[column] + sums[j]"),
    ("score", "the last candidate is left out",
        "if candidate < params.columns {", "if candidate + 1u < params.columns {"),
    ("score", "the last query is left out",
        "if query < params.queries {", "if query + 1u < params.queries {"),
    ("score", "columns beyond the row count",
        "let inside = start + step < WIDTH;", "let inside = true;"),
    ("score", "the last column is lost",
        "let inside = start + step < WIDTH;", "let inside = start + step + 1u < WIDTH;"),
    ("score", "every query is the tile's first",
        "query_tile[(y + LANES) * STRIDE + step]", "query_tile[y * STRIDE + step]"),
    ("score", "candidates swapped",
        "dot(q0, c0), dot(q0, c1)", "dot(q0, c1), dot(q0, c0)"),
    ("score", "a step is lost",
        "step < STEP; step += 1u", "step + 1u < STEP; step += 1u"),
    ("score", "numbers are used before they are there",
        "        workgroupBarrier();\n        for (var step", "        for (var step"),
    ("mask", "the last is not taken out",
        "at < params.places", "at + 1u < params.places"),
    ("mask", "the place beside is taken out",
        "scores[places[at]]", "scores[places[at] + 1u]"),
    ("mask", "what is taken out counts as zero",
        "= LOWEST;", "= 0.0;"),
    ("topk", "ties go to the higher row",
        "row < other_row", "row > other_row"),
    ("topk", "ties go to whoever comes",
        "(score == other_score && row < other_row)", "(score == other_score && row < 0u)"),
    ("topk", "the lowest first",
        "return score > other_score", "return score < other_score"),
    ("topk", "the tile's rows start at zero",
        "found_rows[slot - start] = params.first_row + at;", "found_rows[slot - start] = at;"),
    ("topk", "what is listed already is forgotten",
        "length = lengths[query];", "length = 0u * lengths[query];"),
    ("topk", "the list is longer than it is",
        "listed = min(n, listed + count);", "listed = min(n, listed + count + 1u);"),
    ("topk", "what is listed does not move back",
        "let to = at + sorted_before(score, row, count);", "let to = at;"),
    ("topk", "what is found goes before all that is listed",
        "places[at] = at + listed_before(sorted_scores[at], sorted_rows[at], listed);", "places[at] = at;"),
    ("topk", "a search that misses the last",
        "let loaded = workgroupUniformLoad(&length);", "let loaded = workgroupUniformLoad(&length) / 2u;"),
    ("topk", "only the first survivors are merged",
        "start < found; start += SURVIVORS", "start < min(found, 1u); start += SURVIVORS"),
    ("topk", "the second half of a block is not walked",
        "m2 << 8u | m3 << 12u;", "0u * m2;"),
    ("topk", "the ceiling is listed again",
        "&& beats(ceiling.score, ceiling.row, score, row);", ";"),
    ("topk", "the worst is the first",
        "Entry(list_scores[n - 1u],", "Entry(list_scores[0],"),
    ("topk", "the last place is not written",
        "for (var at = invocation; at < listed; at += WORKGROUP) {\n        lists", "for (var at = invocation; at + 1u < listed; at += WORKGROUP) {\n        lists"),
    ("topk", "survivors are sorted before they are there",
        "            workgroupBarrier();\n            for (var at = invocation; at < count; at += WORKGROUP) {\n                let score = found", "            for (var at = invocation; at < count; at += WORKGROUP) {\n                let score = found"),
    ("count", "the bound itself is above",
        "score > interval.high);", "score >= interval.high);"),
    ("count", "the lower bound is not within",
        "score <= interval.high && score >= interval.low);", "score <= interval.high && score > interval.low);"),
    ("count", "the upper bound is not within",
        "score <= interval.high && score >= interval.low);", "score < interval.high && score >= interval.low);"),
    ("count", "earlier tiles are forgotten",
        "var all_above = earlier_above;", "var all_above = 0u * earlier_above;"),
    ("count", "every query is the first",
        "let first = interval.query * params.columns;", "let first = 0u * interval.query;"),
    ("count", "the last lane is lost",
        "for (var lane = 0u; lane < WORKGROUP; lane += 1u)", "for (var lane = 0u; lane < WORKGROUP - 1u; lane += 1u)"),
    ("count", "rows are named from zero",
        "= params.first_row + column;", "= column;"),
    ("count", "rows are named over one another",
        "slot += withins[lane];", "slot += 0u * withins[lane];"),
];

fn plant(&(kernel, what, from, to): &Fault) -> Sources {
    let mut sources = Sources::default();
    let text = match kernel {
        "score" => &mut sources.score,
        "mask" => &mut sources.mask,
        "topk" => &mut sources.topk,
        "count" => &mut sources.count,
        other => panic!("no kernel {other}"),
    };
    assert_eq!(
        text.matches(from).count(),
        1,
        "{kernel}.wgsl: `{from}` (of the fault \"{what}\") does not stand there once; the shader \
         changed, and the fault must follow"
    );
    *text = text.replace(from, to).into();
    sources
}

#[test]
fn faults_of_score_mask_topk_and_count_are_noticed() {
    // Several tiles, and lists of several runs.
    let limits = Some(TightLimits { binding_bytes: 1 << 15, workgroups: 65_535 });
    let cases = [RankCase::new(9, 1400, 41, &[20, 300]), RankCase::new(23, 1100, 5, &[1, 1100])];
    let sound = open(limits, Sources::default());
    for case in &cases {
        compare(&sound, case).unwrap();
    }
    let mut failures = Vec::new();
    for fault in FAULTS {
        let (kernel, what, ..) = fault;
        let gpu = open(limits, plant(fault));
        // A fault that does not compile proves nothing.
        let candidates = wgmf::backend::Candidates { factors: 1, rows: &[1.0], bias: &[0.0] };
        if let Err(error) = gpu.ranker(candidates) {
            failures.push(format!("{kernel}: {what}: does not compile: {error}"));
        } else if cases.iter().all(|case| compare(&gpu, case).is_ok()) {
            failures.push(format!("{kernel}: {what}: unnoticed"));
        }
    }
    assert!(failures.is_empty(), "{} faults:\n{}", FAULTS.len(), failures.join("\n"));
    println!("all {} faults noticed", FAULTS.len());
}
