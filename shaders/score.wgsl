// Scores of a tile of queries against a tile of candidates.
//
// A workgroup owns 32 × 32 scores; an invocation 4 × 4 of them, whose sums stay in registers while
// both sides' numbers pass through workgroup memory, STEP vec4 columns at a time.
// Twin: src/cpu/kernels/score.rs.
//
// queries: (queries, WIDTH), rows: (columns, WIDTH), padded with zeros to whole vec4s.
// scores: (queries, columns), row-major.

override WIDTH: u32 = 8u; // vec4 columns of a row

const SIDE: u32 = 32u;    // queries, and candidates, of a workgroup
const LANES: u32 = 8u;    // invocations along each side
const STEP: u32 = 4u;     // vec4 columns in workgroup memory
const STRIDE: u32 = 5u;   // of a row there: no two rows of a read share a bank
const LOADS: u32 = 128u;  // SIDE · STEP

struct Params {
    queries: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> rows: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

var<workgroup> query_tile: array<vec4<f32>, 160>;
var<workgroup> row_tile: array<vec4<f32>, 160>;

fn write_scores(query: u32, column: u32, sums: vec4<f32>) {
    if query < params.queries {
        let at = query * params.columns;
        for (var j = 0u; j < 4u; j += 1u) {
            let candidate = column + j * LANES;
            if candidate < params.columns {
                scores[at + candidate] = bias[candidate] + sums[j];
            }
        }
    }
}

@compute @workgroup_size(64)
fn score(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let across = (params.columns + SIDE - 1u) / SIDE;
    let first_query = group.x / across * SIDE;
    let first_column = group.x % across * SIDE;
    let y = invocation / LANES;
    let x = invocation % LANES;
    var sums0 = vec4(0.0);
    var sums1 = vec4(0.0);
    var sums2 = vec4(0.0);
    var sums3 = vec4(0.0);
    for (var start = 0u; start < WIDTH; start += STEP) {
        for (var load = invocation; load < LOADS; load += LANES * LANES) {
            let row = load / STEP;
            let step = load % STEP;
            let column = min(start + step, WIDTH - 1u);
            let inside = start + step < WIDTH;
            let query = min(first_query + row, params.queries - 1u);
            let candidate = min(first_column + row, params.columns - 1u);
            let at = row * STRIDE + step;
            query_tile[at] = select(vec4(0.0), queries[query * WIDTH + column], inside);
            row_tile[at] = select(vec4(0.0), rows[candidate * WIDTH + column], inside);
        }
        workgroupBarrier();
        for (var step = 0u; step < STEP; step += 1u) {
            let q0 = query_tile[y * STRIDE + step];
            let q1 = query_tile[(y + LANES) * STRIDE + step];
            let q2 = query_tile[(y + 2u * LANES) * STRIDE + step];
            let q3 = query_tile[(y + 3u * LANES) * STRIDE + step];
            let c0 = row_tile[x * STRIDE + step];
            let c1 = row_tile[(x + LANES) * STRIDE + step];
            let c2 = row_tile[(x + 2u * LANES) * STRIDE + step];
            let c3 = row_tile[(x + 3u * LANES) * STRIDE + step];
            sums0 += vec4(dot(q0, c0), dot(q0, c1), dot(q0, c2), dot(q0, c3));
            sums1 += vec4(dot(q1, c0), dot(q1, c1), dot(q1, c2), dot(q1, c3));
            sums2 += vec4(dot(q2, c0), dot(q2, c1), dot(q2, c2), dot(q2, c3));
            sums3 += vec4(dot(q3, c0), dot(q3, c1), dot(q3, c2), dot(q3, c3));
        }
        workgroupBarrier();
    }
    let query = first_query + y;
    let column = first_column + x;
    write_scores(query, column, sums0);
    write_scores(query + LANES, column, sums1);
    write_scores(query + 2u * LANES, column, sums2);
    write_scores(query + 3u * LANES, column, sums3);
}
