// The negative of each pair: of bpr the one of the greatest score among those looked at, of warp the first
// that comes too near to the pair's own.
//
// A workgroup owns a pair, and looks at 64 draws at a time, an invocation each: those that are known of the
// user do not count. A tree finds the best of all. Twin: src/cpu/kernels/pick.rs.
//
// users, items: (slots of a tile, WIDTH + 1), rows with their heads: scale and bias.

override WIDTH: u32 = 8u;     // vec4 columns of a row
override WARP: bool = false;  // warp, else bpr

const WORKGROUP: u32 = 64u;
const NONE: u32 = 0xffffffffu;
const LOWEST: f32 = -3.4028234663852886e38;
const NO_TURN: f32 = 4.0e9; // a turn that is written is below this, or is none
const EXPONENT: u32 = 0x7f800000u;

struct Params {
    first: u32,        // the dispatch's first pair; users of all lie in the tile
    first_user: u32,   // the tile's first slot
    first_item: u32,   // the same of items
    items: u32,        // slots of the tile; draws of others are passed over, but count
    draws: u32,        // how many there are; their slots are the first of `lists`
    known_starts: u32, // where in `lists` each user's known slots begin, counted here `known`
    known: u32,        // where in `lists` they lie
    tries: u32,        // draws that count, at most
    margin: f32,
    infinity: f32,
    joins: u32,        // 1 where tiles of items before have picked, else 0
}

struct Pair {
    user: u32,        // slots of the batch
    item: u32,
    begin: u32,       // the draw that its search begins at
    weight: f32,
    threshold: f32,   // the score at the cut-off of its user's list
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> batch: array<Pair>;
@group(0) @binding(2) var<storage, read> lists: array<u32>;
@group(0) @binding(3) var<storage, read> users: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> items: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> scores: array<f32>;        // of pairs
@group(0) @binding(6) var<storage, read> place_weights: array<f32>; // of warp, by the turn
@group(0) @binding(7) var<storage, read_write> picks: array<u32>;
@group(0) @binding(8) var<storage, read_write> picked: array<vec4<f32>>; // score, weight, turn

var<workgroup> counts: array<u32, 64>;
var<workgroup> best_scores: array<f32, 64>;
var<workgroup> best_turns: array<u32, 64>;
var<workgroup> best_slots: array<u32, 64>;

// The inner product of a user's and an item's row.
fn product_of(user: u32, item: u32) -> f32 {
    let here = user * (WIDTH + 1u);
    let other = item * (WIDTH + 1u);
    var sums = vec4<f32>();
    for (var column = 0u; column < WIDTH; column += 1u) {
        sums = fma(users[here + column], items[other + column], sums);
    }
    return ((sums.x + sums.y) + sums.z) + sums.w;
}

// Whether a slot of the pool stands in the user's list, which ascends.
fn is_known(user: u32, slot: u32) -> bool {
    var low = lists[params.known_starts + user];
    var high = lists[params.known_starts + user + 1u];
    let end = high;
    while low < high {
        let middle = (low + high) / 2u;
        if lists[params.known + middle] < slot { low = middle + 1u; } else { high = middle; }
    }
    var found = false;
    if low < end { found = lists[params.known + low] == slot; }
    return found;
}

// Whether a pick of this score and turn goes before another.
fn goes_before(score: f32, turn: u32, other_score: f32, other_turn: u32) -> bool {
    if WARP { return turn < other_turn; }
    return turn != NONE && (score > other_score || (score == other_score && turn < other_turn));
}

@compute @workgroup_size(64)
fn pick(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = params.first + group.x;
    let pair = batch[index];
    let user = pair.user - params.first_user;
    let bound = scores[index] - params.margin;
    var score = LOWEST;
    var turn = NONE;
    var slot = NONE;
    var seen = 0u;
    for (var start = 0u; start < params.draws && seen < params.tries; start += WORKGROUP) {
        let at = start + invocation;
        let drawn = lists[(pair.begin + at) % params.draws];
        let counts_here = at < params.draws && !is_known(pair.user, drawn);
        counts[invocation] = select(0u, 1u, counts_here);
        workgroupBarrier();
        var before = 0u;
        var all = 0u;
        for (var other = 0u; other < WORKGROUP; other += 1u) {
            let count = counts[other];
            before += select(0u, count, other < invocation);
            all += count;
        }
        workgroupBarrier();
        let own_turn = seen + before + 1u;
        let item = drawn - params.first_item;
        if counts_here && own_turn <= params.tries && item < params.items {
            var own = product_of(user, item) + items[item * (WIDTH + 1u) + WIDTH].y;
            // What is no number shall be found, not passed over.
            if (bitcast<u32>(own) & EXPONENT) == EXPONENT { own = params.infinity; }
            let nears = !WARP || !(own <= bound);
            if nears && goes_before(own, own_turn, score, turn) {
                score = own;
                turn = own_turn;
                slot = drawn;
            }
        }
        seen += all;
    }
    best_scores[invocation] = score;
    best_turns[invocation] = turn;
    best_slots[invocation] = slot;
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if invocation < width {
            let other = invocation + width;
            if goes_before(best_scores[other], best_turns[other], best_scores[invocation], best_turns[invocation]) {
                best_scores[invocation] = best_scores[other];
                best_turns[invocation] = best_turns[other];
                best_slots[invocation] = best_slots[other];
            }
        }
    }
    if invocation == 0u {
        var goes = true;
        if params.joins == 1u {
            let others = picked[index];
            goes = goes_before(best_scores[0], best_turns[0], others.x, select(u32(others.z), NONE, others.z >= NO_TURN));
        }
        if goes {
            var weight = 1.0;
            if WARP && best_turns[0] != NONE { weight = place_weights[best_turns[0] - 1u]; }
            picks[index] = best_slots[0];
            picked[index] = vec4(best_scores[0], weight, f32(best_turns[0]), 0.0);
        }
    }
}
