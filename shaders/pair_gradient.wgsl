// The part of a row's gradient that comes of its side's pairs: their slopes times their partners' rows; of
// losses that pick, less those of the picked slots, too.
//
// A team of LANES lanes owns a row and adds in the order of its pairs, each lane up to four vec4 columns.
// Who picked a slot is found by going through the batch's picks. Twins: src/cpu/kernels/user_gradient.rs
// and item_gradient.rs.
//
// partners: (slots of a tile, WIDTH + 1); parts: (parts, slots of a tile, WIDTH + 1), whose last vec4 has the
// gradient by the bias, and the pairs that picked the row.

override LANES: u32 = 8u;   // lanes of a team: a power of two, at most 64
override COLUMNS: u32 = 1u; // vec4 columns a lane holds: 1 to 4
override WIDTH: u32 = 8u;   // vec4 columns of a row: at most LANES * COLUMNS
override PICKS: u32 = 0u;   // 0 none, 1 a user's row moves here picked slots, 2 a slot here users that picked it

const WORKGROUP: u32 = 64u;

struct Params {
    first: u32,         // the dispatch's first slot, in `slots`
    rows: u32,          // how many it has
    to: u32,            // where the first lies in `parts`: in the part of pairs
    first_partner: u32, // the first slot of the partners' tile
    partners: u32,      // how many it has
    pairs: u32,         // of the batch
    sums_start: u32,    // where the batch's pairs start in `sums`
    adds: u32,          // 1 where other tiles of partners came before, else 0
}

struct Slot {
    row: u32,   // the row of the side
    start: u32, // its first entry
    pairs: u32, // how many it has
}

struct Entry {
    partner: u32, // a slot of the batch
    pair: u32,
}

struct Pair {
    user: u32,        // slots of the batch
    item: u32,
    begin: u32,       // the draw that its search begins at
    weight: f32,
    threshold: f32,   // the score at the cut-off of its user's list
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> slots: array<Slot>;
@group(0) @binding(2) var<storage, read> entries: array<Entry>;
@group(0) @binding(3) var<storage, read> batch: array<Pair>;
@group(0) @binding(4) var<storage, read> sums: array<vec2<f32>>; // slope, loss
@group(0) @binding(5) var<storage, read> picks: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> partners: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> parts: array<vec4<f32>>;

struct Sums {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    head: vec4<f32>,
}

fn partner_column(row: u32, column: u32) -> vec4<f32> {
    return partners[row * (WIDTH + 1u) + min(column, WIDTH - 1u)];
}

// With a partner's row of this slope, where it lies in the tile.
fn added(own: Sums, slot: u32, slope: f32, picked: f32, lane: u32) -> Sums {
    var all = own;
    let row = slot - params.first_partner;
    if row < params.partners {
        all.a += slope * partner_column(row, lane);
        if COLUMNS > 1u { all.b += slope * partner_column(row, lane + LANES); }
        if COLUMNS > 2u { all.c += slope * partner_column(row, lane + 2u * LANES); }
        if COLUMNS > 3u { all.d += slope * partner_column(row, lane + 3u * LANES); }
        all.head += vec4(slope, picked, 0.0, 0.0);
    }
    return all;
}

fn slope_of(pair: u32) -> f32 {
    return sums[params.sums_start + pair].x;
}

@compute @workgroup_size(64)
fn pair_gradient(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let lane = invocation % LANES;
    let at = group.x * (WORKGROUP / LANES) + invocation / LANES;
    if at >= params.rows {
        return;
    }
    let index = params.first + at;
    let slot = slots[index];
    if PICKS != 2u && slot.pairs == 0u {
        return;
    }
    var own = Sums();
    for (var n = slot.start; n < slot.start + slot.pairs; n += 1u) {
        let entry = entries[n];
        let slope = slope_of(entry.pair);
        own = added(own, entry.partner, slope, 0.0, lane);
        if PICKS == 1u {
            let picked = picks[entry.pair / 4u];
            own = added(own, picked[entry.pair % 4u], -slope, 0.0, lane);
        }
    }
    if PICKS == 2u {
        for (var four = 0u; four * 4u < params.pairs; four += 1u) {
            let picked = picks[four];
            if any(picked == vec4(index)) {
                for (var n = 0u; n < 4u; n += 1u) {
                    let pair = four * 4u + n;
                    if picked[n] == index && pair < params.pairs {
                        own = added(own, batch[pair].user, -slope_of(pair), 1.0, lane);
                    }
                }
            }
        }
    }
    let to = (params.to + at) * (WIDTH + 1u);
    if params.adds == 1u {
        own.a += parts[to + min(lane, WIDTH - 1u)];
        if COLUMNS > 1u { own.b += parts[to + min(lane + LANES, WIDTH - 1u)]; }
        if COLUMNS > 2u { own.c += parts[to + min(lane + 2u * LANES, WIDTH - 1u)]; }
        if COLUMNS > 3u { own.d += parts[to + min(lane + 3u * LANES, WIDTH - 1u)]; }
        own.head += parts[to + WIDTH];
    }
    if lane < WIDTH { parts[to + lane] = own.a; }
    if COLUMNS > 1u && lane + LANES < WIDTH { parts[to + lane + LANES] = own.b; }
    if COLUMNS > 2u && lane + 2u * LANES < WIDTH { parts[to + lane + 2u * LANES] = own.c; }
    if COLUMNS > 3u && lane + 3u * LANES < WIDTH { parts[to + lane + 3u * LANES] = own.d; }
    if lane == 0u { parts[to + WIDTH] = own.head; }
}
