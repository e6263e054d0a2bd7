// What a user's scores come to over a panel, joined with what they came to over the panels before it. Of
// softmax the greatest, `h`, and `e`, the sum of `exp(t − h)`; of ccl `e`, what lies above the margin, and
// `h`, the draws that count.
//
// A workgroup owns a user: each invocation goes through every 64th vec4 of its scores, and a tree joins
// them. Twin: src/cpu/kernels/contrast.rs.
//
// scores: (users, stride), LOWEST for what is no negative of the user.

override CCL: bool = false;

const WORKGROUP: u32 = 64u;
const LOWEST: f32 = -3.4028234663852886e38;

struct Params {
    first_row: u32,  // the dispatch's first row of `scores`
    first_user: u32, // its user, in `stats`
    stride: u32,     // vec4s of a row of scores
    first_four: u32, // the panel's first four items, in `counts`
    margin: f32,
    joins: u32,      // 1 where there were panels before, else 0
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> counts: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec4<f32>>; // h, e, and the coefficient

var<workgroup> tree: array<vec2<f32>, 64>;

// Two parts of the scores joined: (h, e) of each.
fn join(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    if CCL { return a + b; }
    let h = max(a.x, b.x);
    return vec2(h, a.y * exp(a.x - h) + b.y * exp(b.x - h));
}

@compute @workgroup_size(64)
fn normalizer(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = params.first_row + group.x;
    var own = select(vec2(LOWEST, 0.0), vec2<f32>(), CCL);
    for (var at = invocation; at < params.stride; at += WORKGROUP) {
        let t = scores[row * params.stride + at];
        let out = t <= vec4(LOWEST);
        if CCL {
            let m = select(counts[params.first_four + at], vec4<f32>(), out);
            let above = select(m * max(t - params.margin, vec4<f32>()), vec4<f32>(), out);
            own += vec2(((m.x + m.y) + m.z) + m.w, ((above.x + above.y) + above.z) + above.w);
        } else {
            let highest = max(max(t.x, t.y), max(t.z, t.w));
            if highest > own.x {
                own = vec2(highest, own.y * exp(own.x - highest));
            }
            let terms = select(exp(t - own.x), vec4<f32>(), out);
            own.y += ((terms.x + terms.y) + terms.z) + terms.w;
        }
    }
    tree[invocation] = own;
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if invocation < width {
            tree[invocation] = join(tree[invocation], tree[invocation + width]);
        }
    }
    if invocation == 0u {
        let user = params.first_user + group.x;
        var sum = tree[0];
        if params.joins == 1u { sum = join(stats[user].xy, sum); }
        stats[user] = vec4(sum, 0.0, 0.0);
    }
}
