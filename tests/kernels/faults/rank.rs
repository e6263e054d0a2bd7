//! Faults of the ranking kernels.

use super::{Fault, hold};
use crate::conformance::rank::Lists;
use crate::oracle::ranking::RankCase;

fn lists() -> Lists {
    Lists(vec![RankCase::new(9, 1400, 41, &[20, 300]), RankCase::new(23, 1100, 5, &[1, 1100])])
}

fn long() -> Lists {
    Lists(vec![RankCase::new(6, 2500, 50, &[1, 20, 300, 1500])])
}

/// So few candidates that those within an interval are named.
fn few() -> Lists {
    Lists(vec![RankCase::new(5, 24, 60, &[3]), RankCase::new(9, 33, 60, &[3])])
}

const fn fault(
    kernel: &'static str,
    what: &'static str,
    texts: (&'static str, &'static str),
) -> Fault<Lists> {
    super::fault(kernel, what, texts, lists)
}

#[rustfmt::skip]
const FAULTS: &[Fault<Lists>] = &[
    fault("score", "the bias is dropped",
        ("bias[candidate] + sums[j]", "sums[j] + 0.0 * bias[candidate]")),
    fault("score", "the bias of the wrong candidate",
        ("bias[candidate] + sums[j]", "bias[column] + sums[j]")),
    fault("score", "the last candidate is left out",
        ("if candidate < params.columns {", "if candidate + 1u < params.columns {")),
    fault("score", "the last query is left out",
        ("if query < params.queries {", "if query + 1u < params.queries {")),
    fault("score", "columns beyond the row count",
        ("let inside = start + step < WIDTH;", "let inside = true;")),
    fault("score", "the last column is lost",
        ("let inside = start + step < WIDTH;", "let inside = start + step + 1u < WIDTH;")),
    fault("score", "every query is the tile's first",
        ("query_tile[(y + LANES) * STRIDE + step]", "query_tile[y * STRIDE + step]")),
    fault("score", "candidates swapped",
        ("dot(q0, c0), dot(q0, c1)", "dot(q0, c1), dot(q0, c0)")),
    fault("score", "a step is lost",
        ("step < STEP; step += 1u", "step + 1u < STEP; step += 1u")),
    fault("score", "numbers are used before they are there",
        ("        workgroupBarrier();\n        for (var step", "        for (var step")),
    fault("mask", "the last is not taken out",
        ("at < params.places", "at + 1u < params.places")),
    fault("mask", "the place beside is taken out",
        ("scores[places[at]]", "scores[places[at] + 1u]")),
    fault("mask", "what is taken out counts as zero",
        ("= LOWEST;", "= 0.0;")),
    fault("topk", "ties go to the higher row",
        ("row < other_row", "row > other_row")),
    fault("topk", "ties go to whoever comes",
        ("(score == other_score && row < other_row)", "(score == other_score && row < 0u)")),
    fault("topk", "the lowest first",
        ("return score > other_score", "return score < other_score")),
    fault("topk", "the tile's rows start at zero",
        ("found_rows[slot - start] = params.first_row + at;", "found_rows[slot - start] = at;")),
    fault("topk", "what is listed already is forgotten",
        ("length = lengths[query];", "length = 0u * lengths[query];")),
    fault("topk", "the list is longer than it is",
        ("listed = min(n, listed + count);", "listed = min(n, listed + count + 1u);")),
    fault("topk", "what is listed does not move back",
        ("let to = at + sorted_before(score, row, count);", "let to = at;")),
    fault("topk", "what is found goes before all that is listed",
        ("places[at] = at + listed_before(sorted_scores[at], sorted_rows[at], listed);", "places[at] = at;")),
    fault("topk", "a search that misses the last",
        ("let loaded = workgroupUniformLoad(&length);", "let loaded = workgroupUniformLoad(&length) / 2u;")),
    fault("topk", "only the first survivors are merged",
        ("start < found; start += SURVIVORS", "start < min(found, 1u); start += SURVIVORS")),
    fault("topk", "the second half of a block is not walked",
        ("m2 << 8u | m3 << 12u;", "0u * m2;")),
    fault("topk", "the ceiling is listed again",
        ("&& beats(ceiling.score, ceiling.row, score, row);", ";")),
    fault("topk", "the worst is the first",
        ("Entry(list_scores[n - 1u],", "Entry(list_scores[0],")),
    fault("topk", "the last place is not written",
        ("for (var at = invocation; at < listed; at += WORKGROUP) {\n        lists", "for (var at = invocation; at + 1u < listed; at += WORKGROUP) {\n        lists")),
    fault("topk", "survivors are sorted before they are there",
        ("            workgroupBarrier();\n            for (var at = invocation; at < count; at += WORKGROUP) {\n                let score = found", "            for (var at = invocation; at < count; at += WORKGROUP) {\n                let score = found")),
    fault("count", "the bound itself is above",
        ("score > interval.high + doubt);", "score >= interval.high + doubt);")),
    fault("count", "the lower bound is not within",
        ("score >= interval.low - doubt);", "score > interval.low - doubt);")),
    fault("count", "the upper bound is not within",
        ("score <= interval.high + doubt && score >= interval.low - doubt);", "score < interval.high + doubt && score >= interval.low - doubt);")),
    fault("count", "an interval is as wide for all",
        ("let doubt = interval.slope * reach[column];\n        above", "let doubt = 0.0 * interval.slope * reach[column];\n        above")),
    fault("count", "the reach is another candidate's",
        ("let doubt = interval.slope * reach[column];\n        above", "let doubt = interval.slope * reach[0] + 0.0 * reach[column];\n        above")),
    fault("count", "earlier tiles are forgotten",
        ("var all_above = earlier_above;", "var all_above = 0u * earlier_above;")),
    fault("count", "every query is the first",
        ("let first = interval.query * params.columns;", "let first = 0u * interval.query;")),
    fault("count", "the last lane is lost",
        ("for (var lane = 0u; lane < WORKGROUP; lane += 1u)", "for (var lane = 0u; lane < WORKGROUP - 1u; lane += 1u)")),
    fault("count", "rows are named from zero",
        ("= params.first_row + column;", "= column;")),
    fault("count", "rows are named over one another",
        ("slot += withins[lane];", "slot += 0u * withins[lane];")),
    super::fault("score", "a product of another candidate",
        ("dot(q1, c2)", "dot(q1, c3)"), long),
    super::fault("score", "products swapped",
        ("vec4(dot(q3, c0), dot(q3, c1)", "vec4(dot(q3, c1), dot(q3, c0)"), long),
    super::fault("score", "the bias has the wrong sign",
        ("bias[candidate] + sums[j]", "sums[j] - bias[candidate]"), long),
    super::fault("score", "a group is of the wrong tile",
        ("group.x / across * SIDE", "group.x / (across + 1u) * SIDE"), long),
    super::fault("score", "a column beyond the row counts",
        ("let inside = start + step < WIDTH", "let inside = start + step <= WIDTH"), long),
    super::fault("score", "one column of the queries",
        ("queries[query * WIDTH + column]", "queries[query * WIDTH]"), long),
    super::fault("topk", "rows of every tile start at zero",
        ("params.first_row + at", "at"), long),
    super::fault("topk", "places from before the sort",
        ("listed_before(sorted_scores[at]", "listed_before(found_scores[at]"), long),
    super::fault("topk", "a second run goes over the first",
        ("if slot >= start && slot - start < SURVIVORS", "if slot < SURVIVORS"), long),
    super::fault("topk", "the first chunk is not moved",
        ("chunk > 0u; chunk -= 1u", "chunk > 1u; chunk -= 1u"), long),
    super::fault("topk", "lanes before the last do not count",
        ("before += counts[lane]", "before = counts[lane]"), long),
    super::fault("topk", "ties with the ceiling are listed again",
        ("beats(ceiling.score, ceiling.row, score, row)", "score <= ceiling.score"), long),
    super::fault("topk", "a list is full too early",
        ("if listed == n {", "if listed > 0u {"), long),
    super::fault("topk", "ranks are not counted",
        ("rank += 1u;", "rank = 1u;"), long),
    super::fault("topk", "the last quarter of a block is not walked",
        ("m2 << 8u | m3 << 12u", "m2 << 8u"), long),
    super::fault("count", "rows are named by the narrow interval",
        ("let doubt = interval.slope * reach[column];\n            if", "let doubt = 0.0 * interval.slope * reach[column];\n            if"), few),
    super::fault("count", "earlier tiles' rows are named over",
        ("var slot = earlier_within", "var slot = 0u"), long),
];

#[test]
fn faults_of_score_are_noticed() {
    hold("score", FAULTS);
}

#[test]
fn faults_of_mask_are_noticed() {
    hold("mask", FAULTS);
}

#[test]
fn faults_of_topk_are_noticed() {
    hold("topk", FAULTS);
}

#[test]
fn faults_of_count_are_noticed() {
    hold("count", FAULTS);
}
