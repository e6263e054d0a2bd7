// The regularization of each row: its weight times the squares of its factors and its bias, and what
// damps them whatever the weight.
//
// An invocation owns a row. own: (rows of a tile, WIDTH).

override WIDTH: u32 = 8u; // vec4 columns of a row

const WORKGROUP: u32 = 64u;

struct Params {
    first_row: u32, // the dispatch's first row
    rows: u32,      // the row after the tile's last
    own_bias: u32,  // where the tile's biases start in `biases`
    reg: f32,
    reg_bias: f32,
    damping: f32,
    damping_bias: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> biases: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;          // (rows)
@group(0) @binding(4) var<storage, read_write> sums: array<vec2<f32>>; // (rows): 0, regularization

@compute @workgroup_size(64)
fn penalty(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = params.first_row + group.x * WORKGROUP + invocation;
    if row < params.rows {
        var squares = 0.0;
        for (var column = 0u; column < WIDTH; column += 1u) {
            let x = own[row * WIDTH + column];
            squares += dot(x, x);
        }
        let bias = biases[params.own_bias + row];
        let sum = params.reg * squares + params.reg_bias * bias * bias;
        let constant = params.damping * squares + params.damping_bias * bias * bias;
        sums[row] = vec2(0.0, weights[row] * sum + constant);
    }
}
