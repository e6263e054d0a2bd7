// The n best candidates of each query, kept beside the tile of scores.
//
// A workgroup owns a query. It walks the query's scores in blocks, in each gathers those that beat
// the n-th best so far, ranks them among themselves and merges them into the list: all by the total
// order of (score descending, row ascending), so that no order of events can show. Only candidates
// after the query's ceiling count: longer lists are made of several of these. Twin: src/cpu/kernels/topk.rs.
//
// scores: (queries, columns), row-major; lists: (queries, n), best first.

const WORKGROUP: u32 = 64u;
const BLOCK: u32 = 1024u;    // columns walked between merges: sixteen a lane
const SURVIVORS: u32 = 256u; // that are merged at once
const LOWEST: f32 = -3.4028234663852886e38; // an excluded candidate, see mask.wgsl

struct Params {
    columns: u32,   // of the tile
    first_row: u32, // of the tile
    n: u32,         // length of a list, at most 1024
}

struct Entry {
    score: f32,
    row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> ceilings: array<Entry>;      // (queries)
@group(0) @binding(3) var<storage, read_write> lists: array<Entry>;
@group(0) @binding(4) var<storage, read_write> lengths: array<u32>;   // (queries)

var<workgroup> list_scores: array<f32, 1024>;
var<workgroup> list_rows: array<u32, 1024>;
var<workgroup> found_scores: array<f32, 256>;
var<workgroup> found_rows: array<u32, 256>;
var<workgroup> sorted_scores: array<f32, 256>;
var<workgroup> sorted_rows: array<u32, 256>;
var<workgroup> places: array<u32, 256>; // of the sorted in the merged list
var<workgroup> counts: array<u32, 64>;
var<workgroup> eights: array<u32, 8>; // sums of eight of them
var<workgroup> total: u32;
var<workgroup> length: u32;

fn beats(score: f32, row: u32, other_score: f32, other_row: u32) -> bool {
    return score > other_score || (score == other_score && row < other_row);
}

// How many of the sorted survivors beat an entry.
fn sorted_before(score: f32, row: u32, count: u32) -> u32 {
    var low = 0u;
    var high = count;
    while low < high {
        let middle = (low + high) / 2u;
        if beats(sorted_scores[middle], sorted_rows[middle], score, row) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

// How many of the list beat an entry.
fn listed_before(score: f32, row: u32, count: u32) -> u32 {
    var low = 0u;
    var high = count;
    while low < high {
        let middle = (low + high) / 2u;
        if beats(list_scores[middle], list_rows[middle], score, row) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

// The scores of four columns WORKGROUP apart; past the tile's end that of its last.
fn scores_of(first: u32, column: u32) -> vec4<f32> {
    let last = params.columns - 1u;
    return vec4(scores[first + min(column, last)],
        scores[first + min(column + WORKGROUP, last)],
        scores[first + min(column + 2u * WORKGROUP, last)],
        scores[first + min(column + 3u * WORKGROUP, last)]);
}

// Whether a candidate in a column before `end` beats the worst and comes after the ceiling.
fn survives(score: f32, column: u32, end: u32, worst: Entry, ceiling: Entry) -> u32 {
    let row = params.first_row + column;
    let survives = column < end
        && beats(score, row, worst.score, worst.row)
        && beats(ceiling.score, ceiling.row, score, row);
    return select(0u, 1u, survives);
}

// A bit for each of four.
fn survivors(four: vec4<f32>, column: u32, end: u32, worst: Entry, ceiling: Entry) -> u32 {
    return survives(four.x, column, end, worst, ceiling)
        | survives(four.y, column + WORKGROUP, end, worst, ceiling) << 1u
        | survives(four.z, column + 2u * WORKGROUP, end, worst, ceiling) << 2u
        | survives(four.w, column + 3u * WORKGROUP, end, worst, ceiling) << 3u;
}

@compute @workgroup_size(64)
fn topk(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let query = group.x;
    let n = params.n;
    let first = query * params.columns;
    let ceiling = ceilings[query];
    if invocation == 0u {
        length = lengths[query];
    }
    let loaded = workgroupUniformLoad(&length);
    for (var at = invocation; at < loaded; at += WORKGROUP) {
        list_scores[at] = lists[query * n + at].score;
        list_rows[at] = lists[query * n + at].row;
    }
    var end = 0u;
    for (var block = 0u; block < params.columns; block = end) {
        var listed = workgroupUniformLoad(&length);
        // Until the list is full all candidates survive: then not many more than it takes.
        end = min(block + select(BLOCK, clamp(n, WORKGROUP, SURVIVORS), listed < n), params.columns);
        // What a candidate of this block has to beat.
        var worst = Entry(LOWEST, 0u);
        if listed == n {
            worst = Entry(list_scores[n - 1u], list_rows[n - 1u]);
        }
        // A lane's sixteen scores are on their way together.
        let column = block + invocation;
        let s0 = scores_of(first, column);
        let s1 = scores_of(first, column + 4u * WORKGROUP);
        let s2 = scores_of(first, column + 8u * WORKGROUP);
        let s3 = scores_of(first, column + 12u * WORKGROUP);
        let m0 = survivors(s0, column, end, worst, ceiling);
        let m1 = survivors(s1, column + 4u * WORKGROUP, end, worst, ceiling);
        let m2 = survivors(s2, column + 8u * WORKGROUP, end, worst, ceiling);
        let m3 = survivors(s3, column + 12u * WORKGROUP, end, worst, ceiling);
        let mask = m0 | m1 << 4u | m2 << 8u | m3 << 12u;
        let own = countOneBits(mask);
        counts[invocation] = own;
        workgroupBarrier();
        if invocation < 8u {
            var sum = 0u;
            for (var lane = 8u * invocation; lane < 8u * invocation + 8u; lane += 1u) {
                sum += counts[lane];
            }
            eights[invocation] = sum;
        }
        workgroupBarrier();
        var before = 0u;
        for (var eight = 0u; eight < invocation / 8u; eight += 1u) {
            before += eights[eight];
        }
        for (var lane = invocation / 8u * 8u; lane < invocation; lane += 1u) {
            before += counts[lane];
        }
        if invocation == WORKGROUP - 1u {
            total = before + own;
        }
        let found = workgroupUniformLoad(&total);
        for (var start = 0u; start < found; start += SURVIVORS) {
            let count = min(SURVIVORS, found - start);
            var slot = before;
            for (var left = mask; left != 0u; left &= left - 1u) {
                if slot >= start && slot - start < SURVIVORS {
                    let at = column + countTrailingZeros(left) * WORKGROUP;
                    found_scores[slot - start] = scores[first + at];
                    found_rows[slot - start] = params.first_row + at;
                }
                slot += 1u;
            }
            workgroupBarrier();
            for (var at = invocation; at < count; at += WORKGROUP) {
                let score = found_scores[at];
                let row = found_rows[at];
                var rank = 0u;
                for (var other = 0u; other < count; other += 1u) {
                    if beats(found_scores[other], found_rows[other], score, row) {
                        rank += 1u;
                    }
                }
                sorted_scores[rank] = score;
                sorted_rows[rank] = row;
            }
            workgroupBarrier();
            for (var at = invocation; at < count; at += WORKGROUP) {
                places[at] = at + listed_before(sorted_scores[at], sorted_rows[at], listed);
            }
            workgroupBarrier();
            // What is listed moves back by those that beat it: from the end, so that nothing is
            // overwritten before it has moved.
            for (var chunk = (listed + WORKGROUP - 1u) / WORKGROUP; chunk > 0u; chunk -= 1u) {
                let place = (chunk - 1u) * WORKGROUP + invocation;
                let at = min(place, listed - 1u);
                let score = list_scores[at];
                let row = list_rows[at];
                let to = at + sorted_before(score, row, count);
                workgroupBarrier();
                if place < listed && to < n {
                    list_scores[to] = score;
                    list_rows[to] = row;
                }
                workgroupBarrier();
            }
            for (var at = invocation; at < count; at += WORKGROUP) {
                if places[at] < n {
                    list_scores[places[at]] = sorted_scores[at];
                    list_rows[places[at]] = sorted_rows[at];
                }
            }
            listed = min(n, listed + count);
            workgroupBarrier();
        }
        if invocation == 0u {
            length = listed;
        }
    }
    let listed = workgroupUniformLoad(&length);
    for (var at = invocation; at < listed; at += WORKGROUP) {
        lists[query * n + at].score = list_scores[at];
        lists[query * n + at].row = list_rows[at];
    }
    if invocation == 0u {
        lengths[query] = listed;
    }
}
