// The latent values behind ratings that are levels (Albert and Chib 1993): `z ~ N(r, 1)` between the
// ends of its level, with `r` the prediction, less what the solve that follows takes as given: the mean
// and the partner's bias, or where a change of the row is solved for the prediction. They take the place
// of the remainders that gram.wgsl reads.
//
// A team of LANES lanes walks one segment, whose ratings share a row; a lane owns a rating at a time.
// Its random word is that of its row and its partner. Twin: src/cpu/kernels/latent.rs.
//
// own, partner: (rows of a tile, WIDTH), rows padded with zeros to whole vec4s.

override WIDTH: u32 = 8u;      // vec4 columns of a row
override LANES: u32 = 16u;     // lanes of a team: a power of two, at most 64
override CHANGE: bool = false; // whether a change of the row is solved for

const WORKGROUP: u32 = 64u;

struct Params {
    first_segment: u32, // the dispatch's first segment
    segments: u32,      // how many it has
    own_bias: u32,      // where the own tile's biases start in `biases`
    partner_bias: u32,  // where the partner tile's start
    first_row: u32,     // the own tile's first row in its side
    first_partner: u32, // the partner tile's first row
    global_mean: f32,
}

// The random words of a draw of a side.
struct Stream {
    key_low: u32,
    key_high: u32,
    sweep: u32,
    tag: u32,
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
    level: f32, // its number, from 0
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> stream: Stream;
@group(0) @binding(2) var<storage, read> segments: array<Segment>;
@group(0) @binding(3) var<storage, read> entries: array<Entry>;
@group(0) @binding(4) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> partner: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> biases: array<f32>;
@group(0) @binding(7) var<storage, read> ends: array<f32>; // (levels + 1): level j from ends[j] on
@group(0) @binding(8) var<storage, read_write> remainders: array<f32>;

// The generator, from here to the end of `logarithm`: the same text in each shader that draws. Twin:
// src/math/random.rs.

// A 64-bit product: its high and its low word, from halves of 16 bits.
fn product(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu);
    let other = (a & 0xffffu) * (b >> 16u);
    let carried = (low >> 16u) + (middle & 0xffffu) + (other & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u) + (carried >> 16u);
    return vec2(high, a * b);
}

// Four random words of a counter under a key: Philox 4x32 with 10 rounds.
fn random_words(start: vec4<u32>, start_key: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = start_key;
    for (var turn = 0u; turn < 10u; turn += 1u) {
        let first = product(0xd2511f53u, counter.x);
        let second = product(0xcd9e8d57u, counter.z);
        counter = vec4(second.x ^ counter.y ^ key.x, second.y,
            first.x ^ counter.w ^ key.y, first.y);
        key += vec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return counter;
}

// The natural logarithm of a positive normal number, by the polynomial of Cephes' `logf`.
fn logarithm(x: f32) -> f32 {
    let bits = bitcast<i32>(bitcast<u32>(x) - 0x3f3504f3u);
    let exponent = bits >> 23u;
    let f = bitcast<f32>(bitcast<u32>(x) - (bitcast<u32>(exponent) << 23u)) - 1.0;
    let e = f32(exponent);
    let square = f * f;
    var p = 7.0376836e-2;
    p = p * f - 1.151461e-1;
    p = p * f + 1.1676999e-1;
    p = p * f - 1.2420141e-1;
    p = p * f + 1.4249323e-1;
    p = p * f - 1.6668058e-1;
    p = p * f + 2.0000715e-1;
    p = p * f - 2.4999994e-1;
    p = p * f + 3.3333331e-1;
    let rest = p * f * square + e * -2.1219444e-4 - 0.5 * square;
    return f + rest + e * 0.693359375;
}

// Truncated normal numbers, from here to the end of `truncated_normal`: the same functions as in
// src/math/random/truncated.rs, which says more about them.

// `exp(x)` for `x <= 0`, no less than 1e-38, by the polynomial of Cephes' `expf`. (The CPU rounds to
// whole numbers by adding and taking off a large one, which a shader's compiler may cancel.)
fn exponential(x: f32) -> f32 {
    let bounded = max(x, -87.0);
    let whole = round(bounded * 1.4426950408889634);
    let r = bounded - whole * 0.693359375 + whole * 2.1219444e-4;
    var p = 1.9875691e-4;
    p = p * r + 1.3981999e-3;
    p = p * r + 8.333452e-3;
    p = p * r + 4.1665796e-2;
    p = p * r + 1.6666665e-1;
    p = p * r + 0.5;
    return (p * r * r + r + 1.0) * bitcast<f32>(bitcast<u32>(i32(whole) + 127) << 23u);
}

// Mills' ratio, what lies above `x >= 0` over the density there.
fn mills(x: f32) -> f32 {
    let s = (x - 3.0) / (x + 3.0);
    var sum = 1.4969347e-4;
    sum = sum * s + 8.967489e-5;
    sum = sum * s - 1.1881586e-3;
    sum = sum * s - 9.159024e-4;
    sum = sum * s + 7.48654e-3;
    sum = sum * s + 2.91785e-3;
    sum = sum * s - 5.6961752e-2;
    sum = sum * s + 1.13207966e-1;
    sum = sum * s - 4.119045e-2;
    sum = sum * s - 2.4195665e-1;
    sum = sum * s + 1.2183613;
    return sum / (1.0 + x);
}

// What lies above `x >= 0`.
fn tail(x: f32) -> f32 {
    return 0.3989423 * exponential(-0.5 * x * x) * mills(x);
}

// The `x` above which `exp(-y) / 2` lies, for `y` from 0 to 40.
fn tail_quantile(y: f32) -> f32 {
    let w = sqrt(max(y, 0.0));
    let above = (((0.18438496 * w + 1.8858502) * w + 2.8639458) * w + 2.2208502) * w + 1.2531125;
    let below = (((0.1303844 * w + 1.3350088) * w + 2.2941883) * w + 2.8093186) * w + 1.7687874;
    return w * w * above / (below * w + 1.0);
}

// A word as a share in (0, 1].
fn share(word: u32) -> f32 {
    return (f32(word) + 0.5) * (1.0 / 4294967296.0);
}

// Between `a` and `b >= |a|`, where `a` is below 5: by what lies above.
fn near(word: u32, a: f32, b: f32) -> f32 {
    let inner = tail(abs(a));
    let outer = tail(b);
    let chance = select(inner - outer, 1.0 - inner - outer, a < 0.0);
    let above = outer + share(~word) * chance;
    let under = select(1.0, inner + share(word) * chance, a < 0.0);
    let x = tail_quantile(-logarithm(max(2.0 * min(under, above), 1e-37)));
    return select(x, -x, under < above);
}

// The same in logarithms, where `a` is 5 or more: by how much what lies above falls from `a` on.
fn far(word: u32, a: f32, b: f32) -> f32 {
    let ratio = mills(a);
    let width = b - a;
    let left = exponential(-width * (a + 0.5 * width)) * (mills(b) / ratio);
    let fall = -logarithm(left + share(~word) * (1.0 - left));
    // As if Mills' ratio were constant, then Newton's method.
    var step = 2.0 * fall / (a + sqrt(a * a + 2.0 * fall));
    for (var turn = 0u; turn < 2u; turn += 1u) {
        let next = mills(a + step);
        step -= (step * (a + 0.5 * step) + logarithm(ratio / next) - fall) * next;
    }
    return a + step;
}

// A draw from `N(mean, 1)` between `low` and `high`, never outside. A mean that is not finite comes
// back as it is: it is not hidden behind a number.
fn truncated_normal(word: u32, mean: f32, low: f32, high: f32) -> f32 {
    // The interval less the mean, turned so that its middle lies above 0.
    let below = (low - mean) + (high - mean) < 0.0;
    let a = select(low - mean, mean - high, below);
    let b = select(high - mean, mean - low, below);
    var x: f32;
    if a < 5.0 { x = near(word, a, b); } else { x = far(word, a, b); }
    x = min(max(x, a), b);
    let z = min(max(select(mean + x, mean - x, below), low), high);
    let finite = (bitcast<u32>(mean) & 0x7f800000u) != 0x7f800000u;
    return select(mean, z, finite);
}

@compute @workgroup_size(64)
fn latent(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let team = invocation / LANES;
    let lane = invocation % LANES;
    let index = params.first_segment + group.x * (WORKGROUP / LANES) + team;
    let last = params.first_segment + params.segments - 1u;
    let segment = segments[min(index, last)];
    let length = select(0u, segment.length, index <= last);

    let own_bias = biases[params.own_bias + segment.row];
    let key = vec2(stream.key_low, stream.key_high);
    for (var at = lane; at < length; at += LANES) {
        let here = segment.start + at;
        let entry = entries[here];
        var inner = 0.0;
        for (var column = 0u; column < WIDTH; column += 1u) {
            inner += dot(own[segment.row * WIDTH + column], partner[entry.partner * WIDTH + column]);
        }
        let fixed = params.global_mean + biases[params.partner_bias + entry.partner];
        let prediction = fixed + own_bias + inner;
        let level = u32(entry.level);
        let column = params.first_partner + entry.partner;
        let counter =
            vec4(column / 4u, params.first_row + segment.row, stream.sweep, stream.tag);
        let words = random_words(counter, key);
        let z = truncated_normal(words[column % 4u], prediction, ends[level], ends[level + 1u]);
        remainders[here] = z - select(fixed, prediction, CHANGE);
    }
}
