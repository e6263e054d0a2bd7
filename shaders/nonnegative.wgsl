// Least squares of rows under `x >= 0`, by coordinate descent on their normal equations.
//
// A workgroup owns one row's matrix, as gram.wgsl leaves it; a lane owns every 64th coordinate and
// keeps its part of the gradient `A x - b`. Coordinate after coordinate goes to its best value, and
// the lanes follow with their parts. Twin: src/cpu/kernels/nonnegative.rs.

override COORDINATES: u32 = 8u;    // factors that are solved for
override TARGET: u32 = 8u;         // row of the right-hand side
override TILES: u32 = 3u;          // tiles of 8 x 8 in a matrix' lower triangle
override WIDTH: u32 = 8u;          // vec4 columns of a row of factors
override UNOBSERVED: bool = false; // whether pairs without a rating count

const WORKGROUP: u32 = 64u;
const CYCLES: u32 = 32u;  // the most often every coordinate is visited
const STILL: f32 = 1e-5;  // coordinates stand still where none moves by more than this part of the largest

struct Params {
    first: u32, // the dispatch's first row in `solves`
    rows: u32,  // how many it has
    reg: f32,
    damping: f32, // regularization whatever the weight
    unobserved: f32, // weight of every pair
}

struct Solve {
    row: u32,
    slot: u32,
    penalty: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> solves: array<Solve>;
@group(0) @binding(2) var<storage, read> matrices: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> whole: array<vec4<f32>>;  // the partners' Gram matrix
@group(0) @binding(4) var<storage, read_write> own: array<f32>;    // (rows of a tile, 4 WIDTH)

var<workgroup> x: array<f32, 1024>;
var<workgroup> gradient: array<f32, 1024>;
// The next coordinate's value, gradient and diagonal; two, used in turn, so that one barrier a
// coordinate is enough.
var<workgroup> next: array<vec4<f32>, 2>;
var<workgroup> still: u32;

fn place(row: u32, column: u32) -> u32 {
    let high = max(row, column);
    let low = min(row, column);
    let across = high / 8u;
    return across * (across + 1u) * 8u + high % 8u * 2u + low / 8u * 16u + low / 4u % 2u;
}

fn element(matrix: u32, row: u32, column: u32, diagonal: f32) -> f32 {
    let at = place(row, column);
    let part = min(row, column) % 4u;
    var value = matrices[matrix + at][part];
    if UNOBSERVED && max(row, column) < COORDINATES {
        value += params.unobserved * whole[at][part];
    }
    return value + select(0.0, diagonal, row == column);
}

@compute @workgroup_size(64)
fn nonnegative(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let solve = solves[params.first + group.x];
    let matrix = solve.slot * TILES * 16u;
    let row_start = solve.row * WIDTH * 4u;
    let diagonal = params.reg * solve.penalty + params.damping;

    for (var j = lane; j < COORDINATES; j += WORKGROUP) {
        let start = own[row_start + j];
        // A NaN stays.
        x[j] = select(start, 0.0, start < 0.0);
    }
    workgroupBarrier();
    for (var j = lane; j < COORDINATES; j += WORKGROUP) {
        var sum = -element(matrix, TARGET, j, 0.0);
        for (var column = 0u; column < COORDINATES; column += 1u) {
            sum += element(matrix, j, column, diagonal) * x[column];
        }
        gradient[j] = sum;
    }
    if lane == 0u {
        next[0] = vec4(x[0], gradient[0], element(matrix, 0u, 0u, diagonal), 0.0);
        still = 0u;
    }
    workgroupBarrier();

    var turn = 0u;
    for (var cycle = 0u; cycle < CYCLES; cycle += 1u) {
        var moved = 0.0;
        var largest = 0.0;
        for (var j = 0u; j < COORDINATES; j += 1u) {
            let here = next[turn];
            turn = 1u - turn;
            var value = here.x - here.y / here.z;
            value = select(value, 0.0, value < 0.0);
            let change = value - here.x;
            moved = max(moved, abs(change));
            largest = max(largest, value);
            let after = (j + 1u) % COORDINATES;
            for (var at = lane; at < COORDINATES; at += WORKGROUP) {
                let sum = gradient[at] + change * element(matrix, at, j, diagonal);
                gradient[at] = sum;
                if at == j { x[at] = value; }
                if at == after {
                    next[turn] = vec4(x[at], sum, element(matrix, at, at, diagonal), 0.0);
                }
            }
            workgroupBarrier();
        }
        if lane == 0u {
            still = select(0u, 1u, moved <= STILL * largest);
        }
        if workgroupUniformLoad(&still) == 1u { break; }
    }
    for (var j = lane; j < COORDINATES; j += WORKGROUP) {
        own[row_start + j] = x[j];
    }
}
