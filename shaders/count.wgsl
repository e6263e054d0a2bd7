// How many scores of a tile lie above and within each interval, which is wider for candidates of larger
// reach, and the rows of some within.
//
// A workgroup owns an interval; what it finds is added to what the tiles before had.
// Twin: src/cpu/kernels/count.rs.
//
// scores: (queries, columns), row-major. Excluded candidates have a score below every interval.

const WORKGROUP: u32 = 64u;
const WITHIN: u32 = 32u; // rows named at most

struct Params {
    columns: u32,   // of the tile
    first_row: u32, // of the tile
}

struct Interval {
    query: u32, // in the tile
    high: f32,
    low: f32,
    slope: f32,
}

struct Counted {
    above: u32,
    within: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> reach: array<f32>;             // (columns)
@group(0) @binding(3) var<storage, read> intervals: array<Interval>;
@group(0) @binding(4) var<storage, read_write> counted: array<Counted>; // (intervals)
@group(0) @binding(5) var<storage, read_write> named: array<u32>;       // (intervals, WITHIN)

var<workgroup> aboves: array<u32, 64>;
var<workgroup> withins: array<u32, 64>;

@compute @workgroup_size(64)
fn count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let interval = intervals[group.x];
    let earlier_above = counted[group.x].above;
    let earlier_within = counted[group.x].within;
    let first = interval.query * params.columns;
    var above = 0u;
    var within = 0u;
    for (var column = invocation; column < params.columns; column += WORKGROUP) {
        let score = scores[first + column];
        let doubt = interval.slope * reach[column];
        above += select(0u, 1u, score > interval.high + doubt);
        within += select(0u, 1u, score <= interval.high + doubt && score >= interval.low - doubt);
    }
    aboves[invocation] = above;
    withins[invocation] = within;
    // `counted` is read by all, and then written.
    storageBarrier();
    workgroupBarrier();
    if invocation == 0u {
        var all_above = earlier_above;
        var all_within = earlier_within;
        for (var lane = 0u; lane < WORKGROUP; lane += 1u) {
            all_above += aboves[lane];
            all_within += withins[lane];
        }
        counted[group.x].above = all_above;
        counted[group.x].within = all_within;
    }
    if within > 0u {
        var slot = earlier_within;
        for (var lane = 0u; lane < invocation; lane += 1u) {
            slot += withins[lane];
        }
        for (var column = invocation; column < params.columns; column += WORKGROUP) {
            let score = scores[first + column];
            let doubt = interval.slope * reach[column];
            if score <= interval.high + doubt && score >= interval.low - doubt {
                if slot < WITHIN {
                    named[group.x * WITHIN + slot] = params.first_row + column;
                }
                slot += 1u;
            }
        }
    }
}
