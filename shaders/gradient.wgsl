// The gradient of the side that follows, from residuals that are already known.
//
// A team of LANES lanes walks one segment; each lane owns up to four vec4 columns, so nothing is
// shared between lanes. Twin: src/cpu/kernels/gradient.rs.
//
// partner: (rows of a tile, WIDTH), rows padded with zeros to whole vec4s.

override LANES: u32 = 8u;   // lanes of a team: a power of two, at most 64
override COLUMNS: u32 = 1u; // vec4 columns a lane holds: 1 to 4
override WIDTH: u32 = 8u;   // vec4 columns of a row: at most LANES * COLUMNS

const WORKGROUP: u32 = 64u;

struct Params {
    first_segment: u32, // the dispatch's first segment
    segments: u32,      // how many it has
    sums_start: u32,    // where the sums of the batch and tile start in `sums`
}

// Ratings of one row with partners of one tile. Segments of a dispatch are sorted: longest first.
struct Segment {
    row: u32,
    start: u32,
    length: u32,
    slot: u32,
}

struct Entry {
    partner: u32,
    link: u32, // the rating's place in `residuals`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> entries: array<Entry>;
@group(0) @binding(3) var<storage, read> partner: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residuals: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradients: array<vec4<f32>>; // (slots, WIDTH)
@group(0) @binding(6) var<storage, read_write> sums: array<vec2<f32>>;      // sum of e, and 0

fn partner_column(row: u32, column: u32) -> vec4<f32> {
    return partner[row * WIDTH + min(column, WIDTH - 1u)];
}

@compute @workgroup_size(64)
fn gradient(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let team = invocation / LANES;
    let lane = invocation % LANES;
    let index = params.first_segment + group.x * (WORKGROUP / LANES) + team;
    let last = params.first_segment + params.segments - 1u;
    let segment = segments[min(index, last)];
    let length = select(0u, segment.length, index <= last);

    let column0 = lane;
    let column1 = lane + LANES;
    let column2 = lane + 2u * LANES;
    let column3 = lane + 3u * LANES;
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var g2 = vec4<f32>();
    var g3 = vec4<f32>();
    var sum = 0.0;
    // Four ratings at a time keep their loads in flight together.
    let whole = length - length % 4u;
    for (var at = 0u; at < whole; at += 4u) {
        let here = segment.start + at;
        let a = entries[here];
        let b = entries[here + 1u];
        let c = entries[here + 2u];
        let d = entries[here + 3u];
        let e = vec4(residuals[a.link], residuals[b.link], residuals[c.link], residuals[d.link]);
        let a0 = partner_column(a.partner, column0);
        let b0 = partner_column(b.partner, column0);
        let c0 = partner_column(c.partner, column0);
        let d0 = partner_column(d.partner, column0);
        g0 += e.x * a0 + e.y * b0 + e.z * c0 + e.w * d0;
        if COLUMNS > 1u {
            let a1 = partner_column(a.partner, column1);
            let b1 = partner_column(b.partner, column1);
            let c1 = partner_column(c.partner, column1);
            let d1 = partner_column(d.partner, column1);
            g1 += e.x * a1 + e.y * b1 + e.z * c1 + e.w * d1;
        }
        if COLUMNS > 2u {
            let a2 = partner_column(a.partner, column2);
            let b2 = partner_column(b.partner, column2);
            let c2 = partner_column(c.partner, column2);
            let d2 = partner_column(d.partner, column2);
            g2 += e.x * a2 + e.y * b2 + e.z * c2 + e.w * d2;
        }
        if COLUMNS > 3u {
            let a3 = partner_column(a.partner, column3);
            let b3 = partner_column(b.partner, column3);
            let c3 = partner_column(c.partner, column3);
            let d3 = partner_column(d.partner, column3);
            g3 += e.x * a3 + e.y * b3 + e.z * c3 + e.w * d3;
        }
        sum += ((e.x + e.y) + e.z) + e.w;
    }
    for (var at = whole; at < length; at += 1u) {
        let a = entries[segment.start + at];
        let e = residuals[a.link];
        g0 += e * partner_column(a.partner, column0);
        if COLUMNS > 1u { g1 += e * partner_column(a.partner, column1); }
        if COLUMNS > 2u { g2 += e * partner_column(a.partner, column2); }
        if COLUMNS > 3u { g3 += e * partner_column(a.partner, column3); }
        sum += e;
    }

    if length > 0u {
        let to = segment.slot * WIDTH;
        if column0 < WIDTH { gradients[to + column0] = g0; }
        if COLUMNS > 1u && column1 < WIDTH { gradients[to + column1] = g1; }
        if COLUMNS > 2u && column2 < WIDTH { gradients[to + column2] = g2; }
        if COLUMNS > 3u && column3 < WIDTH { gradients[to + column3] = g3; }
        if lane == 0u { sums[params.sums_start + segment.slot] = vec2(sum, 0.0); }
    }
}
