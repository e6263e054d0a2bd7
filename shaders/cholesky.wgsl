// Factors the normal equations of rows, `A = L L'`, and solves them.
//
// A team of LANES lanes owns one row's matrix, as gram.wgsl leaves it; its last row is the
// right-hand side. Panels of 4 columns from left to right: each lane takes rows of the panel,
// subtracts what the panels to the left explain, and once the diagonal block is known solves for its
// part of L; the last row becomes the solution of `L y = b` on the way. Then `L' x = y` from right
// to left. L lies in workgroup memory where it fits (RESIDENT), else in the place of A.
// Twin: src/cpu/cholesky.rs.

override COORDINATES: u32 = 8u;    // factors that are solved for
override BIAS: bool = false;       // whether a bias is solved for with them
override TARGET: u32 = 8u;         // row of the right-hand side: a multiple of 4
override TILES: u32 = 3u;          // tiles of 8 x 8 in a matrix' lower triangle
override LANES: u32 = 8u;          // lanes of a team: a power of two, at most 64
override RESIDENT: bool = true;    // whether L lies in workgroup memory
override STORE: u32 = 128u;        // vec4s of workgroup memory that a team has
override WIDTH: u32 = 8u;          // vec4 columns of a row of factors
override UNOBSERVED: bool = false; // whether pairs without a rating count
override BLOCK: bool = false;      // whether a part of the factors is solved for, from remainders
override DELTAS: u32 = 2u;         // vec4 columns of a row of `deltas`

const WORKGROUP: u32 = 64u;

struct Params {
    first: u32,        // the dispatch's first row in `solves`
    rows: u32,         // how many it has
    first_column: u32, // the first factor that is solved for
    own_bias: u32,     // where the own tile's biases start in `biases`
    reg: f32,
    reg_bias: f32,
    floor: f32,        // the part of a factor's diagonal that its pivot must be above
    floor_bias: f32,
    unobserved: f32,   // weight of every pair
    not_a_number: f32,
}

struct Solve {
    row: u32,
    slot: u32,
    penalty: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> solves: array<Solve>;
@group(0) @binding(2) var<storage, read_write> matrices: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> whole: array<vec4<f32>>;     // the partners' Gram matrix
@group(0) @binding(4) var<storage, read_write> own: array<f32>;       // (rows of a tile, 4 WIDTH)
@group(0) @binding(5) var<storage, read_write> biases: array<f32>;
@group(0) @binding(6) var<storage, read_write> deltas: array<f32>;    // (rows of a tile, 4 DELTAS)

var<workgroup> store: array<vec4<f32>, 1024>;

// Where row `row` starts in its matrix, and its vec4 `column` behind that.
fn start_of(row: u32) -> u32 {
    let across = row / 8u;
    return across * (across + 1u) * 8u + row % 8u * 2u;
}

fn column_of(column: u32) -> u32 {
    return column / 2u * 16u + column % 2u;
}

// Four numbers of the symmetric Gram matrix of the partners.
fn whole_column(row: u32, column: u32) -> vec4<f32> {
    if column / 2u <= row / 8u {
        return whole[start_of(row) + column_of(column)];
    }
    let at = start_of(4u * column) + column_of(row / 4u);
    let part = row % 4u;
    return vec4(whole[at][part], whole[at + 2u][part], whole[at + 4u][part], whole[at + 6u][part]);
}

fn whole_at(row: u32, column: u32) -> f32 {
    let high = max(row, column);
    let low = min(row, column);
    return whole[start_of(high) + column_of(low / 4u)][low % 4u];
}

// What is added to the sums over ratings: unobserved pairs and regularization; ones where the
// coordinates are padded.
fn added(row: u32, column: u32, penalty: f32) -> vec4<f32> {
    let index = vec4(4u * column) + vec4(0u, 1u, 2u, 3u);
    var sum = vec4<f32>();
    if UNOBSERVED && row < COORDINATES {
        if BLOCK {
            let first = params.first_column;
            let last = vec4(first + COORDINATES - 1u);
            let columns = min(vec4(first) + index, last);
            sum = vec4(whole_at(first + row, columns.x), whole_at(first + row, columns.y),
                whole_at(first + row, columns.z), whole_at(first + row, columns.w));
            sum = select(vec4<f32>(), sum, index < vec4(COORDINATES));
        } else {
            sum = whole[start_of(row) + column_of(column)];
        }
        sum *= params.unobserved;
    }
    var diagonal = 1.0;
    if row < COORDINATES {
        diagonal = params.reg * penalty;
    } else if BIAS && row == COORDINATES {
        diagonal = params.reg_bias * penalty;
    }
    return sum + select(vec4<f32>(), vec4(diagonal), index == vec4(row));
}

@compute @workgroup_size(64)
fn cholesky(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let team = invocation / LANES;
    let lane = invocation % LANES;
    let index = params.first + group.x * (WORKGROUP / LANES) + team;
    let last = params.first + params.rows - 1u;
    let solve = solves[min(index, last)];
    let mine = index <= last;
    let matrix = solve.slot * TILES * 16u;
    let row_start = solve.row * WIDTH * 4u;
    let panels = TARGET / 4u;
    // Of the team's store: the diagonal block, its floors, then what serves each step.
    let block = team * STORE;
    let rest = block + 5u;

    if BLOCK {
        // The gradient of what is added, at the factors as they are, joins the right-hand side.
        for (var at = lane; at < TARGET; at += LANES) {
            var sum = 0.0;
            if at < COORDINATES {
                let column = params.first_column + at;
                if UNOBSERVED {
                    for (var four = 0u; four < WIDTH; four += 1u) {
                        let base = row_start + 4u * four;
                        let x = vec4(own[base], own[base + 1u], own[base + 2u], own[base + 3u]);
                        sum += dot(whole_column(column, four), x);
                    }
                    sum *= params.unobserved;
                }
                sum += params.reg * solve.penalty * own[row_start + column];
            } else if BIAS && at == COORDINATES {
                sum = params.reg_bias * solve.penalty * biases[params.own_bias + solve.row];
            }
            if mine {
                matrices[matrix + start_of(TARGET) + column_of(at / 4u)][at % 4u] -= sum;
            }
        }
        storageBarrier();
        workgroupBarrier();
    }

    for (var panel = 0u; panel < panels; panel += 1u) {
        let to = column_of(panel);
        if !RESIDENT {
            // The rows that all lanes need.
            for (var item = lane; item < 4u * panel; item += LANES) {
                store[rest + item] =
                    matrices[matrix + start_of(4u * panel + item % 4u) + column_of(item / 4u)];
            }
            workgroupBarrier();
        }
        for (var row = 4u * panel + lane; row <= TARGET; row += LANES) {
            let start = start_of(row);
            var sum = matrices[matrix + start + to];
            if row < TARGET {
                sum += added(row, panel, solve.penalty);
            }
            if row < 4u * panel + 4u {
                var least = 0.0;
                if row < COORDINATES {
                    least = params.floor;
                } else if BIAS && row == COORDINATES {
                    least = params.floor_bias;
                }
                store[block + 4u][row % 4u] = least * sum[row % 4u];
            }
            for (var left = 0u; left < panel; left += 1u) {
                let offset = column_of(left);
                if RESIDENT {
                    let x = store[rest + start + offset];
                    let pivots = rest + start_of(4u * panel) + offset;
                    sum -= vec4(dot(x, store[pivots]), dot(x, store[pivots + 2u]),
                        dot(x, store[pivots + 4u]), dot(x, store[pivots + 6u]));
                } else {
                    let x = matrices[matrix + start + offset];
                    let pivots = rest + 4u * left;
                    sum -= vec4(dot(x, store[pivots]), dot(x, store[pivots + 1u]),
                        dot(x, store[pivots + 2u]), dot(x, store[pivots + 3u]));
                }
            }
            if row < 4u * panel + 4u {
                store[block + row % 4u] = sum;
            }
            if RESIDENT {
                store[rest + start + to] = sum;
            } else if mine {
                matrices[matrix + start + to] = sum;
            }
        }
        workgroupBarrier();

        // Every lane factors the diagonal block for itself: below the diagonal in l, one over the
        // diagonal in r.
        let floors = store[block + 4u];
        let d0 = store[block];
        let d1 = store[block + 1u];
        let d2 = store[block + 2u];
        let d3 = store[block + 3u];
        let r0 = select(params.not_a_number, inverseSqrt(d0.x), d0.x > floors.x);
        let l10 = d1.x * r0;
        let l20 = d2.x * r0;
        let l30 = d3.x * r0;
        let p1 = d1.y - l10 * l10;
        let r1 = select(params.not_a_number, inverseSqrt(p1), p1 > floors.y);
        let l21 = (d2.y - l20 * l10) * r1;
        let l31 = (d3.y - l30 * l10) * r1;
        let p2 = d2.z - l20 * l20 - l21 * l21;
        let r2 = select(params.not_a_number, inverseSqrt(p2), p2 > floors.z);
        let l32 = (d3.z - l30 * l20 - l31 * l21) * r2;
        let p3 = d3.w - l30 * l30 - l31 * l31 - l32 * l32;
        let r3 = select(params.not_a_number, inverseSqrt(p3), p3 > floors.w);
        for (var row = 4u * panel + lane; row <= TARGET; row += LANES) {
            let at = start_of(row) + to;
            var sum: vec4<f32>;
            if RESIDENT { sum = store[rest + at]; } else { sum = matrices[matrix + at]; }
            let x0 = sum.x * r0;
            let x1 = (sum.y - x0 * l10) * r1;
            let x2 = (sum.z - x0 * l20 - x1 * l21) * r2;
            let x3 = (sum.w - x0 * l30 - x1 * l31 - x2 * l32) * r3;
            var x = vec4(x0, x1, x2, x3);
            // The diagonal itself is kept as one over it.
            if row == 4u * panel { x.x = r0; }
            if row == 4u * panel + 1u { x.y = r1; }
            if row == 4u * panel + 2u { x.z = r2; }
            if row == 4u * panel + 3u { x.w = r3; }
            if RESIDENT {
                store[rest + at] = x;
            } else if mine {
                matrices[matrix + at] = x;
            }
        }
        storageBarrier();
        workgroupBarrier();
    }

    // y, which becomes the solution from its end on.
    var right = rest;
    if RESIDENT { right += TILES * 16u; }
    for (var four = lane; four < panels; four += LANES) {
        let at = start_of(TARGET) + column_of(four);
        var y: vec4<f32>;
        if RESIDENT { y = store[rest + at]; } else { y = matrices[matrix + at]; }
        store[right + four] = y;
    }
    workgroupBarrier();
    var solved = vec4<f32>();
    for (var done = 0u; done < panels; done += 1u) {
        let panel = panels - 1u - done;
        let start = start_of(4u * panel);
        let diagonal = start + column_of(panel);
        var l0: vec4<f32>;
        var l1: vec4<f32>;
        var l2: vec4<f32>;
        var l3: vec4<f32>;
        if RESIDENT {
            l0 = store[rest + diagonal];
            l1 = store[rest + diagonal + 2u];
            l2 = store[rest + diagonal + 4u];
            l3 = store[rest + diagonal + 6u];
        } else {
            l0 = matrices[matrix + diagonal];
            l1 = matrices[matrix + diagonal + 2u];
            l2 = matrices[matrix + diagonal + 4u];
            l3 = matrices[matrix + diagonal + 6u];
        }
        // What the last step found is written only now: by then every lane has read what stood there.
        if lane == 0u && done > 0u {
            store[right + panel + 1u] = solved;
        }
        let y = store[right + panel];
        let z3 = y.w * l3.w;
        let z2 = (y.z - l3.z * z3) * l2.z;
        let z1 = (y.y - l3.y * z3 - l2.y * z2) * l1.y;
        let z0 = (y.x - l3.x * z3 - l2.x * z2 - l1.x * z1) * l0.x;
        solved = vec4(z0, z1, z2, z3);
        for (var four = lane; four < panel; four += LANES) {
            let at = start + column_of(four);
            var sum = store[right + four];
            if RESIDENT {
                sum -= z0 * store[rest + at] + z1 * store[rest + at + 2u]
                    + z2 * store[rest + at + 4u] + z3 * store[rest + at + 6u];
            } else {
                sum -= z0 * matrices[matrix + at] + z1 * matrices[matrix + at + 2u]
                    + z2 * matrices[matrix + at + 4u] + z3 * matrices[matrix + at + 6u];
            }
            store[right + four] = sum;
        }
        workgroupBarrier();
    }
    if lane == 0u {
        store[right] = solved;
    }
    workgroupBarrier();

    if mine {
        for (var at = lane; at < COORDINATES; at += LANES) {
            let z = store[right + at / 4u][at % 4u];
            let to = row_start + params.first_column + at;
            if BLOCK {
                own[to] += z;
                deltas[solve.row * DELTAS * 4u + at] = z;
            } else {
                own[to] = z;
            }
        }
        if BIAS && lane == 0u {
            let z = store[right + COORDINATES / 4u][COORDINATES % 4u];
            let to = params.own_bias + solve.row;
            if BLOCK {
                biases[to] += z;
            } else {
                biases[to] = z;
            }
        }
    }
}
