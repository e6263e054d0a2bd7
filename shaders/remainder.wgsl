// What the model leaves of ratings, `e = v - prediction`, and the sum of `w e e` of each segment.
//
// A team of LANES lanes walks one segment, whose ratings share a row `x`; a lane owns a rating at a
// time. With UPDATE it subtracts what the last block of factors changed from the remainders kept.
//
// own: (rows of a tile, COLUMNS), the factors or their changes; partner: (rows of a tile, WIDTH).

override WIDTH: u32 = 8u;        // vec4 columns of a partner's row
override COLUMNS: u32 = 8u;      // vec4 columns of a row of `own`
override LANES: u32 = 16u;       // lanes of a team: a power of two, at most 64
override ALIGNED: bool = true;   // whether the first column is a multiple of 4
override WEIGHTED: bool = false; // whether ratings have weights
override SIGNED: bool = false;   // whether weights may lie below 0: the sum is of Hu's objective
override KEEP: bool = false;     // whether the remainders are kept
override UPDATE: bool = false;   // whether they are updated

const WORKGROUP: u32 = 64u;

struct Params {
    first_segment: u32, // the dispatch's first segment
    segments: u32,      // how many it has
    own_bias: u32,      // where the own tile's biases start in `biases`
    partner_bias: u32,  // where the partner tile's start
    first_column: u32,  // the factor that the first column of `own` stands for
}

// Ratings of one row with partners of one tile. Segments of a walk are sorted: longest first.
struct Segment {
    row: u32,
    start: u32,
    length: u32,
    slot: u32,
}

struct Entry {
    partner: u32,
    value: f32, // less the global mean
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> entries: array<Entry>;
@group(0) @binding(3) var<storage, read> roots: array<f32>; // of the weights
@group(0) @binding(4) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> partner: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> biases: array<f32>;
@group(0) @binding(7) var<storage, read_write> remainders: array<f32>;
@group(0) @binding(8) var<storage, read_write> sums: array<vec2<f32>>; // (segments): 0, sum

var<workgroup> tree: array<f32, 64>;

fn factor(row: u32, column: u32) -> f32 {
    let known = min(column, 4u * WIDTH - 1u);
    return partner[row * WIDTH + known / 4u][known % 4u];
}

fn partner_column(row: u32, column: u32) -> vec4<f32> {
    if ALIGNED {
        return partner[row * WIDTH + params.first_column / 4u + column];
    }
    let first = params.first_column + 4u * column;
    return vec4(factor(row, first), factor(row, first + 1u),
        factor(row, first + 2u), factor(row, first + 3u));
}

@compute @workgroup_size(64)
fn remainder(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let team = invocation / LANES;
    let lane = invocation % LANES;
    let index = params.first_segment + group.x * (WORKGROUP / LANES) + team;
    let last = params.first_segment + params.segments - 1u;
    let segment = segments[min(index, last)];
    let length = select(0u, segment.length, index <= last);

    var sum = 0.0;
    for (var at = lane; at < length; at += LANES) {
        let here = segment.start + at;
        let entry = entries[here];
        var inner = 0.0;
        for (var column = 0u; column < COLUMNS; column += 1u) {
            inner += dot(own[segment.row * COLUMNS + column],
                partner_column(entry.partner, column));
        }
        var e: f32;
        if UPDATE {
            e = remainders[here] - inner;
        } else {
            let bias = biases[params.own_bias + segment.row]
                + biases[params.partner_bias + entry.partner];
            e = entry.value - bias - inner;
        }
        if KEEP || UPDATE { remainders[here] = e; }
        if SIGNED {
            // The value may be as large as it likes: w x x + w v (1 - 2 x), and no biases.
            let root = roots[here];
            let weight = root * abs(root);
            sum += weight * inner * inner + weight * entry.value * (1.0 - 2.0 * inner);
        } else {
            if WEIGHTED { e *= roots[here]; }
            sum += e * e;
        }
    }
    if !UPDATE {
        tree[invocation] = sum;
        for (var width = LANES / 2u; width > 0u; width /= 2u) {
            workgroupBarrier();
            if lane < width {
                tree[invocation] += tree[invocation + width];
            }
        }
        if lane == 0u && length > 0u {
            sums[index] = vec2(0.0, tree[invocation]);
        }
    }
}
