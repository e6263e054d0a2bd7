// Random words and the normal numbers made of them, counter by counter: what tells a device whose
// generator is sound from one whose is not, before anything is drawn on it. Twin: src/math/random.rs.

const WORKGROUP: u32 = 64u;

struct Params {
    counters: u32, // how many there are
}

struct Counter {
    a: u32,
    b: u32,
    c: u32,
    d: u32,
    key_low: u32,
    key_high: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counters: array<Counter>;
@group(0) @binding(2) var<storage, read_write> words: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> numbers: array<vec4<f32>>;

// The generator, from here to the end of `normals`: the same text in each shader that draws. Twin:
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

// Two independent standard normal numbers from two random words (Box and Muller 1958). WGSL asks too
// little of its own `log`, `sin` and `cos`: near 1 a logarithm may have no digit right.
fn box_muller(radius: u32, angle: u32) -> vec2<f32> {
    let uniform = (f32(radius) + 1.0) * (1.0 / 4294967296.0);
    let length = sqrt(max(-2.0 * logarithm(uniform), 0.0));
    // Quarters of a turn, and the angle that is left: at most an eighth of a turn either way.
    let quarter = (angle + 0x20000000u) >> 30u;
    let x = f32(bitcast<i32>(angle - (quarter << 30u))) * 1.4629180792671596e-9;
    let z = x * x;
    let sine = ((-1.9515296e-4 * z + 8.332161e-3) * z - 1.6666655e-1) * z * x + x;
    let cosine =
        ((2.4433157e-5 * z - 1.3887316e-3) * z + 4.1666646e-2) * z * z - 0.5 * z + 1.0;
    var turned = vec2(cosine, sine);
    if (quarter & 1u) == 1u { turned = vec2(-turned.y, turned.x); }
    if (quarter & 2u) == 2u { turned = -turned; }
    return length * turned;
}

// Four standard normal numbers of a counter under a key.
fn normals(counter: vec4<u32>, key: vec2<u32>) -> vec4<f32> {
    let words = random_words(counter, key);
    return vec4(box_muller(words.x, words.y), box_muller(words.z, words.w));
}

@compute @workgroup_size(64)
fn philox(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let at = group.x * WORKGROUP + invocation;
    if at < params.counters {
        let asked = counters[at];
        let counter = vec4(asked.a, asked.b, asked.c, asked.d);
        let key = vec2(asked.key_low, asked.key_high);
        words[at] = random_words(counter, key);
        numbers[at] = normals(counter, key);
    }
}
