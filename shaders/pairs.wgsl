// The loss of each pair of a batch and its slope by the pair's score, for losses made for ranking; and of
// softmax and ccl each user's coefficient, which its scores' gradients have in common.
//
// An invocation owns a user, and goes through its pairs in their order. Twin: src/cpu/kernels/pairs.rs.

override LOSS: u32 = 0u;     // 0 softmax, 1 ccl, 2 bpr, 3 warp
override OWN: bool = false;  // whether a pair's own score stands in its softmax beside the pool's
override CUT: bool = false;  // whether pairs count by how near they are to a cut-off

const WORKGROUP: u32 = 64u;
const LOWEST: f32 = -3.4028234663852886e38;
const NO_TURN: f32 = 4.0e9;  // a picked negative's turn is below this

struct Params {
    first: u32,               // the dispatch's first user
    users: u32,               // how many it has
    sums_start: u32,          // where the batch's pairs start in `sums`
    inverse_temperature: f32,
    inverse_cut: f32,         // over the temperature of the cut-off
    power: f32,               // η of softmax, λ of ccl
    margin: f32,
}

struct Slot {
    row: u32,
    start: u32,
    pairs: u32,
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
@group(0) @binding(2) var<storage, read> batch: array<Pair>;
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read> picked: array<vec4<f32>>;      // score, weight
@group(0) @binding(5) var<storage, read_write> stats: array<vec4<f32>>; // h, e, and κ
@group(0) @binding(6) var<storage, read_write> sums: array<vec2<f32>>;  // slope, loss

struct Held {
    slope: f32,
    loss: f32,
    coefficient: f32,
}

fn softmax(score: f32, pair: Pair, h: f32, e: f32) -> Held {
    let s = score * params.inverse_temperature;
    var v = pair.weight;
    if CUT { v /= 1.0 + exp(-(score - pair.threshold) * params.inverse_cut); }
    var highest = h;
    var sum = e;
    var own = 0.0;
    if OWN {
        highest = max(h, s);
        own = exp(s - highest);
        sum = e * exp(h - highest) + own;
    }
    let part = params.power * own / sum;
    let loss = v * (params.power * log(sum) + (params.power * highest - s));
    let slope = v * (part - 1.0) * params.inverse_temperature;
    let coefficient = v * params.power * exp(h - highest) / sum * params.inverse_temperature;
    return Held(slope, loss, coefficient);
}

fn hold(score: f32, pair: Pair, best: vec4<f32>, h: f32, e: f32) -> Held {
    if LOSS == 0u { return softmax(score, pair, h, e); }
    if LOSS == 1u {
        let part = pair.weight * params.power / h;
        return Held(-pair.weight, pair.weight * (1.0 - score) + part * e, part);
    }
    if LOSS == 2u {
        let d = best.x - score;
        let loss = max(d, 0.0) + log(1.0 + exp(-abs(d)));
        return Held(-pair.weight / (1.0 + exp(-d)), pair.weight * loss, 0.0);
    }
    let weight = pair.weight * best.y;
    return Held(-weight, weight * ((params.margin + best.x) - score), 0.0);
}

@compute @workgroup_size(64)
fn pairs(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = group.x * WORKGROUP + invocation;
    if index >= params.users {
        return;
    }
    let user = params.first + index;
    let slot = slots[user];
    var h = 0.0;
    var e = 0.0;
    // Who has no negative costs nothing, and moves nothing.
    var has_negatives = true;
    if LOSS <= 1u {
        let own = stats[user];
        h = own.x;
        e = own.y;
        has_negatives = select(h > LOWEST || bitcast<u32>(e) != 0u, bitcast<u32>(h) != 0u, LOSS == 1u);
    }
    var coefficient = 0.0;
    for (var at = slot.start; at < slot.start + slot.pairs; at += 1u) {
        var best = vec4<f32>();
        if LOSS >= 2u {
            best = picked[at];
            has_negatives = best.z < NO_TURN;
        }
        var held = Held(0.0, 0.0, 0.0);
        if has_negatives { held = hold(scores[at], batch[at], best, h, e); }
        coefficient += held.coefficient;
        sums[params.sums_start + at] = vec2(held.slope, held.loss);
    }
    if LOSS <= 1u {
        stats[user] = select(vec4<f32>(), vec4(h, e, coefficient, 0.0), has_negatives);
    }
}
