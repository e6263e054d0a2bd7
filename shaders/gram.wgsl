// The normal equations of rows: for each segment, the lower triangle of the sum of `w z z'` with
// `z = [y, 1, 0.., t]`, the partner's factors, its bias' column, zeros up to a whole vec4, and the
// target. So the last row is the right-hand side. With every row of a side in one segment list it
// is that side's Gram matrix.
//
// A team of LANES lanes walks one segment. It copies STAGED ratings at a time to workgroup memory;
// each lane then adds to one tile of 8 x 8 sums, which it keeps in registers. A matrix of more than
// 64 tiles is shared out among GROUPS workgroups. Twin: src/cpu/kernels/gram.rs.
//
// partner: (rows of a tile, WIDTH), rows padded with zeros to whole vec4s.
// matrices: (slots, TILES, 8, 2 vec4s); tile (i, j) with j <= i is number i (i + 1) / 2 + j.

override WIDTH: u32 = 8u;            // vec4 columns of a partner's row
override COORDINATES: u32 = 8u;      // factors that are solved for
override BIAS: bool = false;         // whether a bias is solved for with them
override TARGET: u32 = 8u;           // where the target stands in `z`: a multiple of 4
override ACROSS: u32 = 2u;           // tiles in a row of the matrix: all of `z`
override TILES: u32 = 3u;            // tiles of the lower triangle
override LANES: u32 = 4u;            // lanes of a team: a power of two, at most 64
override GROUPS: u32 = 1u;           // workgroups that share a segment
override STAGED: u32 = 8u;           // ratings copied at a time: an even number
override ALIGNED: bool = true;       // whether the first column is a multiple of 4
override WEIGHTED: bool = false;     // whether ratings have weights of their own
override PARTNERS: bool = false;     // whether all ratings of a partner have one
override SIGNED: bool = false;       // whether weights may lie below 0: roots of their amounts have their signs
override REMAINDERS: bool = false;   // whether the target is what the model leaves of the rating

const WORKGROUP: u32 = 64u;

struct Params {
    first_workgroup: u32, // where the dispatch starts in the walk
    first_segment: u32,   // the walk's first segment
    segments: u32,        // how many it has
    add: u32,             // 1 where the slots hold earlier segments already
    first_column: u32,    // the first factor that is solved for
    partner_bias: u32,    // where the partner tile's biases start in `biases`
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
@group(0) @binding(4) var<storage, read> partner_roots: array<f32>; // as `biases`
@group(0) @binding(5) var<storage, read> partner: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> biases: array<f32>;
@group(0) @binding(7) var<storage, read> remainders: array<f32>;
@group(0) @binding(8) var<storage, read_write> matrices: array<vec4<f32>>;

// (teams, STAGED, 2 ACROSS): of a rating all even columns, then all odd ones, so that lanes that read
// side by side read from different banks.
override STORE: u32 = 64u / LANES * STAGED * 2u * ACROSS;
var<workgroup> staged: array<vec4<f32>, STORE>;

fn root_of(at: u32) -> f32 {
    var root = 1.0;
    if WEIGHTED { root = roots[at]; }
    if PARTNERS { root *= partner_roots[params.partner_bias + entries[at].partner]; }
    return root;
}

// Products of a rating whose weight lies below 0 are subtracted. (Its root's own sign is squared.)
fn sign_of(at: u32) -> f32 {
    return select(1.0, -1.0, roots[at] < 0.0);
}

fn factor(row: u32, column: u32) -> f32 {
    let known = min(column, 4u * WIDTH - 1u);
    return partner[row * WIDTH + known / 4u][known % 4u];
}

// Four factors, and the bias' column, of the rating at `at`.
fn factors_of(at: u32, column: u32) -> vec4<f32> {
    let row = entries[at].partner;
    let index = vec4(4u * column) + vec4(0u, 1u, 2u, 3u);
    var z: vec4<f32>;
    if ALIGNED {
        z = partner[row * WIDTH + min(params.first_column / 4u + column, WIDTH - 1u)];
    } else {
        let first = params.first_column + 4u * column;
        z = vec4(factor(row, first), factor(row, first + 1u), factor(row, first + 2u),
            factor(row, first + 3u));
    }
    z = select(z, vec4<f32>(), index >= vec4(COORDINATES));
    if BIAS {
        z = select(z, vec4(1.0), index == vec4(COORDINATES));
    }
    if WEIGHTED || PARTNERS {
        z *= root_of(at);
    }
    return z;
}

fn target_of(at: u32) -> f32 {
    var t: f32;
    if REMAINDERS {
        t = remainders[at];
    } else {
        let entry = entries[at];
        t = entry.value - biases[params.partner_bias + entry.partner];
    }
    if WEIGHTED || PARTNERS {
        t *= root_of(at);
    }
    return t;
}

// Where a column lies behind its rating's start.
fn place(column: u32) -> u32 {
    return column % 2u * ACROSS + column / 2u;
}

@compute @workgroup_size(64)
fn gram(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let team = invocation / LANES;
    let lane = invocation % LANES;
    let workgroup = params.first_workgroup + group.x;
    let first = params.first_segment + workgroup / GROUPS * (WORKGROUP / LANES);
    let last = params.first_segment + params.segments - 1u;
    let segment = segments[min(first + team, last)];
    let length = select(0u, segment.length, first + team <= last);
    let longest = segments[min(first, last)].length; // uniform, and no less than any `length`

    // The lane's tile: row i, column j.
    let tile = workgroup % GROUPS * LANES + lane;
    var i = u32((sqrt(8.0 * f32(tile) + 1.0) - 1.0) * 0.5);
    if i * (i + 1u) / 2u > tile { i -= 1u; }
    if (i + 1u) * (i + 2u) / 2u <= tile { i += 1u; }
    let j = tile - i * (i + 1u) / 2u;
    let row = min(i, ACROSS - 1u);
    let column = min(j, ACROSS - 1u);

    let columns = 2u * ACROSS;
    let store = team * STAGED * columns;
    let factors = TARGET / 4u; // columns before the target's
    let items = STAGED * factors;
    let final_rating = max(segment.length, 1u) - 1u;
    var a0 = vec4<f32>(); var b0 = vec4<f32>();
    var a1 = vec4<f32>(); var b1 = vec4<f32>();
    var a2 = vec4<f32>(); var b2 = vec4<f32>();
    var a3 = vec4<f32>(); var b3 = vec4<f32>();
    var a4 = vec4<f32>(); var b4 = vec4<f32>();
    var a5 = vec4<f32>(); var b5 = vec4<f32>();
    var a6 = vec4<f32>(); var b6 = vec4<f32>();
    var a7 = vec4<f32>(); var b7 = vec4<f32>();
    for (var done = 0u; done < longest; done += STAGED) {
        // Four loads at a time are in flight together; past the segment's end they repeat its last
        // rating, and zeros are stored.
        for (var item = lane; item < items; item += 4u * LANES) {
            let item1 = item + LANES;
            let item2 = item1 + LANES;
            let item3 = item2 + LANES;
            let at0 = done + item / factors;
            let at1 = done + item1 / factors;
            let at2 = done + item2 / factors;
            let at3 = done + item3 / factors;
            let z0 = factors_of(segment.start + min(at0, final_rating), item % factors);
            let z1 = factors_of(segment.start + min(at1, final_rating), item1 % factors);
            let z2 = factors_of(segment.start + min(at2, final_rating), item2 % factors);
            let z3 = factors_of(segment.start + min(at3, final_rating), item3 % factors);
            staged[store + item / factors * columns + place(item % factors)] =
                select(vec4<f32>(), z0, at0 < length);
            if item1 < items {
                staged[store + item1 / factors * columns + place(item1 % factors)] =
                    select(vec4<f32>(), z1, at1 < length);
            }
            if item2 < items {
                staged[store + item2 / factors * columns + place(item2 % factors)] =
                    select(vec4<f32>(), z2, at2 < length);
            }
            if item3 < items {
                staged[store + item3 / factors * columns + place(item3 % factors)] =
                    select(vec4<f32>(), z3, at3 < length);
            }
        }
        for (var rating = lane; rating < STAGED; rating += LANES) {
            let at = done + rating;
            let t = target_of(segment.start + min(at, final_rating));
            let to = store + rating * columns;
            // Nobody reads the sums of the target's second place.
            var sign = 0.0;
            if SIGNED { sign = sign_of(segment.start + min(at, final_rating)); }
            staged[to + place(factors)] = vec4(select(0.0, t, at < length), sign, 0.0, 0.0);
            if factors + 1u < columns {
                staged[to + place(factors + 1u)] = vec4<f32>();
            }
        }
        workgroupBarrier();
        let many = min(STAGED, longest - done);
        var at_row = store + row;
        var at_column = store + column;
        // Two ratings at a time; past the segment's end there are zeros.
        for (var rating = 0u; rating < many; rating += 2u) {
            var x0 = staged[at_row];
            var x1 = staged[at_row + ACROSS];
            let y0 = staged[at_column];
            let y1 = staged[at_column + ACROSS];
            var u0 = staged[at_row + 2u * ACROSS];
            var u1 = staged[at_row + 3u * ACROSS];
            let v0 = staged[at_column + 2u * ACROSS];
            let v1 = staged[at_column + 3u * ACROSS];
            if SIGNED {
                let at_target = store + rating * columns + place(factors);
                let sign = staged[at_target].y;
                let next = staged[at_target + columns].y;
                x0 *= sign; x1 *= sign;
                u0 *= next; u1 *= next;
            }
            at_row += 4u * ACROSS;
            at_column += 4u * ACROSS;
            a0 += x0.x * y0; b0 += x0.x * y1;
            a1 += x0.y * y0; b1 += x0.y * y1;
            a2 += x0.z * y0; b2 += x0.z * y1;
            a3 += x0.w * y0; b3 += x0.w * y1;
            a4 += x1.x * y0; b4 += x1.x * y1;
            a5 += x1.y * y0; b5 += x1.y * y1;
            a6 += x1.z * y0; b6 += x1.z * y1;
            a7 += x1.w * y0; b7 += x1.w * y1;
            a0 += u0.x * v0; b0 += u0.x * v1;
            a1 += u0.y * v0; b1 += u0.y * v1;
            a2 += u0.z * v0; b2 += u0.z * v1;
            a3 += u0.w * v0; b3 += u0.w * v1;
            a4 += u1.x * v0; b4 += u1.x * v1;
            a5 += u1.y * v0; b5 += u1.y * v1;
            a6 += u1.z * v0; b6 += u1.z * v1;
            a7 += u1.w * v0; b7 += u1.w * v1;
        }
        workgroupBarrier();
    }

    if first + team <= last && tile < TILES {
        let to = (segment.slot * TILES + tile) * 16u;
        if params.add == 1u {
            a0 += matrices[to]; b0 += matrices[to + 1u];
            a1 += matrices[to + 2u]; b1 += matrices[to + 3u];
            a2 += matrices[to + 4u]; b2 += matrices[to + 5u];
            a3 += matrices[to + 6u]; b3 += matrices[to + 7u];
            a4 += matrices[to + 8u]; b4 += matrices[to + 9u];
            a5 += matrices[to + 10u]; b5 += matrices[to + 11u];
            a6 += matrices[to + 12u]; b6 += matrices[to + 13u];
            a7 += matrices[to + 14u]; b7 += matrices[to + 15u];
        }
        matrices[to] = a0; matrices[to + 1u] = b0;
        matrices[to + 2u] = a1; matrices[to + 3u] = b1;
        matrices[to + 4u] = a2; matrices[to + 5u] = b2;
        matrices[to + 6u] = a3; matrices[to + 7u] = b3;
        matrices[to + 8u] = a4; matrices[to + 9u] = b4;
        matrices[to + 10u] = a5; matrices[to + 11u] = b5;
        matrices[to + 12u] = a6; matrices[to + 13u] = b6;
        matrices[to + 14u] = a7; matrices[to + 15u] = b7;
    }
}
