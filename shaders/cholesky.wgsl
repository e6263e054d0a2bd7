// Factors the normal equations of rows, `A = L L'`, and solves them.
//
// A team of LANES lanes owns one row's matrix, as gram.wgsl leaves it; its last row is the
// right-hand side. Panels of 4 columns from left to right: each lane takes rows of the panel,
// subtracts what the panels to the left explain, and once the diagonal block is known solves for its
// part of L; the last row becomes the solution of `L y = b` on the way. Then `L' x = y` from right
// to left. L lies in workgroup memory where it fits (RESIDENT), else in the place of A.
//
// With DRAW the row is drawn from the Gaussian of which the solution is the mean and A the
// precision, but for the scale `1 / deviation^2`: standard normal numbers are added to `y`. `whole` then is what
// a prior adds: its precision, as `matrices`, with ones on the diagonal of padding, and in the last
// row its part of the right-hand side; behind it, what each of a row's popularity adds to that row.
// Twin: src/cpu/kernels/cholesky.rs.

override COORDINATES: u32 = 8u;    // factors that are solved for
override BIAS: bool = false;       // whether a bias is solved for with them
override TARGET: u32 = 8u;         // row of the right-hand side: a multiple of 4
override TILES: u32 = 3u;          // tiles of 8 x 8 in a matrix' lower triangle
override LANES: u32 = 8u;          // lanes of a team: a power of two, at most 32
override RESIDENT: bool = true;    // whether L lies in workgroup memory
override STORE: u32 = 128u;        // vec4s of workgroup memory that a team has
override WIDTH: u32 = 8u;          // vec4 columns of a row of factors
override UNOBSERVED: bool = false; // whether pairs without a rating count
override BLOCK: bool = false;      // whether a change is solved for, from remainders
override DELTAS: u32 = 2u;         // vec4 columns of a row of `deltas`; 0 where they are of no use
override DRAW: bool = false;       // whether rows are drawn
override ROW_BIAS: bool = false;   // of a draw: whether rows have a bias, solved for here or not
override FACTORS: u32 = 8u;        // of a draw: factors of a row; the prior's bias is next
override PRIOR: u32 = 8u;          // of a draw: row of the right-hand side in the prior

// One warp of most GPUs: rows are many, and what each waits for is its own chain of panels.
const WORKGROUP: u32 = 32u;

struct Params {
    first: u32,        // the dispatch's first row in `solves`
    rows: u32,         // how many it has
    first_column: u32, // the first factor that is solved for
    own_bias: u32,     // where the own tile's biases start in `biases`
    reg: f32,
    reg_bias: f32,
    damping: f32,      // regularization whatever the weight
    damping_bias: f32,
    floor: f32,        // the part of a factor's diagonal that its pivot must be above
    floor_bias: f32,
    unobserved: f32,   // weight of every pair
    not_a_number: f32,
    first_row: u32,    // the tile's first row in its side
}

// What a draw of a side has of its own.
struct Sweep {
    key_low: u32,
    key_high: u32,
    sweep: u32,
    tag: u32,
    deviation: f32,
}

struct Solve {
    row: u32,
    slot: u32,
    penalty: f32, // weight of the regularization; of a draw the row's popularity
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> solves: array<Solve>;
@group(0) @binding(2) var<storage, read_write> matrices: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> whole: array<vec4<f32>>;     // the partners' Gram matrix, or a prior
@group(0) @binding(4) var<storage, read_write> own: array<f32>;       // (rows of a tile, 4 WIDTH)
@group(0) @binding(5) var<storage, read_write> biases: array<f32>;
@group(0) @binding(6) var<storage, read_write> deltas: array<f32>;    // (rows of a tile, 4 DELTAS)
@group(0) @binding(7) var<storage, read> weights: array<f32>;         // of rows' noise, as `biases`
@group(0) @binding(8) var<uniform> sweep: Sweep;

override ALL: u32 = WORKGROUP / LANES * STORE;
var<workgroup> store: array<vec4<f32>, ALL>;

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

// The normal numbers of four columns of a row.
fn normals_of(row: u32, column: u32) -> vec4<f32> {
    let key = vec2(sweep.key_low, sweep.key_high);
    let here = normals(vec4(column / 4u, row, sweep.sweep, sweep.tag), key);
    let skipped = column % 4u;
    if skipped == 0u { return here; }
    let next = normals(vec4(column / 4u + 1u, row, sweep.sweep, sweep.tag), key);
    if skipped == 1u { return vec4(here.yzw, next.x); }
    if skipped == 2u { return vec4(here.zw, next.xy); }
    return vec4(here.w, next.xyz);
}

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

// Writes a part of L to where it lies.
fn keep(in_matrices: u32, in_store: u32, value: vec4<f32>, mine: bool) {
    if RESIDENT {
        store[in_store] = value;
    } else if mine {
        matrices[in_matrices] = value;
    }
}

fn whole_at(row: u32, column: u32) -> f32 {
    let high = max(row, column);
    let low = min(row, column);
    return whole[start_of(high) + column_of(low / 4u)][low % 4u];
}

// What a prior adds to the right-hand side behind it for each of a row's popularity.
fn slope(column: u32) -> vec4<f32> {
    return whole[start_of(PRIOR / 8u * 8u + 8u) + column];
}

// A prior's part of the right-hand side: of one coordinate.
fn prior_at(column: u32, popularity: f32) -> f32 {
    let four = column / 4u;
    let sum = whole[start_of(PRIOR) + column_of(four)] + popularity * slope(four);
    return sum[column % 4u];
}

// What is added to the sums over ratings: a prior over the row's noise weight, or unobserved pairs
// and regularization; ones where the coordinates are padded.
fn added(row: u32, column: u32, penalty: f32, scale: f32) -> vec4<f32> {
    let index = vec4(4u * column) + vec4(0u, 1u, 2u, 3u);
    var sum = vec4<f32>();
    if DRAW {
        if BLOCK {
            let known = COORDINATES + select(0u, 1u, BIAS);
            if row >= known {
                return select(sum, vec4(1.0), index == vec4(row));
            }
            let first = params.first_column;
            let columns = min(vec4(first) + index, vec4(first + known - 1u));
            sum = vec4(whole_at(first + row, columns.x), whole_at(first + row, columns.y),
                whole_at(first + row, columns.z), whole_at(first + row, columns.w));
            return scale * select(vec4<f32>(), sum, index < vec4(known));
        }
        sum = whole[start_of(row) + column_of(column)];
        if row == TARGET { sum += penalty * slope(column); }
        return scale * sum;
    }
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
        diagonal = params.reg * penalty + params.damping;
    } else if BIAS && row == COORDINATES {
        diagonal = params.reg_bias * penalty + params.damping_bias;
    }
    return sum + select(vec4<f32>(), vec4(diagonal), index == vec4(row));
}

// What a pivot must be above: a part of its diagonal as it was.
fn floor_of(matrix: u32, row: u32, penalty: f32) -> f32 {
    var part = select(0.0, params.floor_bias, BIAS && row == COORDINATES);
    if row < COORDINATES { part = params.floor; }
    let whole = matrices[matrix + start_of(row) + column_of(row / 4u)]
        + added(row, row / 4u, penalty, 1.0);
    return part * whole[row % 4u];
}

// Those of a panel; zeros where all is regularized.
fn floors_of(matrix: u32, panel: u32, penalty: f32) -> vec4<f32> {
    if params.floor == 0.0 && params.floor_bias == 0.0 {
        return vec4<f32>();
    }
    let row = 4u * panel;
    return vec4(floor_of(matrix, row, penalty), floor_of(matrix, row + 1u, penalty),
        floor_of(matrix, row + 2u, penalty), floor_of(matrix, row + 3u, penalty));
}

@compute @workgroup_size(32)
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
    var scale = 1.0;
    if DRAW { scale = 1.0 / weights[params.own_bias + solve.row]; }
    // Of the team's store: the diagonal block, the floors of an even panel and of an odd one, then
    // what serves each step.
    let block = team * STORE;
    let rest = block + 6u;

    if BLOCK {
        // The gradient of what is added, at the factors as they are, joins the right-hand side. A lane
        // finds a number of it at a time, and adds whole vec4s.
        for (var at = lane; at < TARGET; at += LANES) {
            var sum = 0.0;
            if DRAW {
                if at < COORDINATES + select(0u, 1u, BIAS) {
                    let column = params.first_column + at;
                    for (var four = 0u; four < WIDTH; four += 1u) {
                        let base = row_start + 4u * four;
                        let x = vec4(own[base], own[base + 1u], own[base + 2u], own[base + 3u]);
                        sum += dot(whole_column(column, four), x);
                    }
                    if ROW_BIAS {
                        sum += whole_at(column, FACTORS) * biases[params.own_bias + solve.row];
                    }
                    sum = scale * (sum - prior_at(column, solve.penalty));
                }
            } else if at < COORDINATES {
                let column = params.first_column + at;
                if UNOBSERVED {
                    for (var four = 0u; four < WIDTH; four += 1u) {
                        let base = row_start + 4u * four;
                        let x = vec4(own[base], own[base + 1u], own[base + 2u], own[base + 3u]);
                        sum += dot(whole_column(column, four), x);
                    }
                    sum *= params.unobserved;
                }
                let reg = params.reg * solve.penalty + params.damping;
                sum += reg * own[row_start + column];
            } else if BIAS && at == COORDINATES {
                let reg_bias = params.reg_bias * solve.penalty + params.damping_bias;
                sum = reg_bias * biases[params.own_bias + solve.row];
            }
            store[block + at] = vec4(sum, 0.0, 0.0, 0.0);
        }
        workgroupBarrier();
        if mine {
            for (var four = lane; four < panels; four += LANES) {
                let at = block + 4u * four;
                let sums = vec4(store[at].x, store[at + 1u].x, store[at + 2u].x, store[at + 3u].x);
                matrices[matrix + start_of(TARGET) + column_of(four)] -= sums;
            }
        }
        storageBarrier();
        workgroupBarrier();
    }

    // Whether the panel is one of a pair whose rows were walked together.
    var second = false;
    for (var panel = 0u; panel < panels; panel += 1u) {
        // A row is read once for two panels: the first of a pair subtracts what lies to the left of
        // both, the second only what the first explains.
        let first = !second && panel + 1u < panels && (RESIDENT || 8u * panel + 6u <= STORE);
        let begin = select(0u, panel - 1u, second);
        let to = column_of(panel);
        let pivot_start = start_of(4u * panel);
        let next_start = start_of(4u * panel + 4u);
        // One lane writes the floors, before any lane writes to the diagonal.
        if lane == 0u && !second {
            store[block + 4u + panel % 2u] = floors_of(matrix, panel, solve.penalty);
            if first {
                store[block + 5u - panel % 2u] = floors_of(matrix, panel + 1u, solve.penalty);
            }
        }
        if !RESIDENT {
            // The rows that all lanes need: four or, of a pair, eight numbers' columns each.
            let pivots = select(4u, 8u, first);
            for (var item = lane; item < pivots * (panel - begin); item += LANES) {
                let row = 4u * panel + item % pivots;
                store[rest + item] =
                    matrices[matrix + start_of(row) + column_of(begin + item / pivots)];
            }
            workgroupBarrier();
        }
        // Two rows at a time, so that what all lanes need is read half as often.
        for (var row = 4u * panel + lane; row <= TARGET; row += 2u * LANES) {
            let other = row + LANES;
            let two = other <= TARGET;
            let start = start_of(row);
            let other_start = start_of(min(other, TARGET));
            var s0: vec4<f32>;
            var s1: vec4<f32>;
            var t0: vec4<f32>;
            var t1: vec4<f32>;
            if second && RESIDENT {
                s0 = store[rest + start + to];
                t0 = store[rest + other_start + to];
            } else {
                s0 = matrices[matrix + start + to];
                t0 = matrices[matrix + other_start + to];
            }
            if !second {
                s0 += added(row, panel, solve.penalty, scale);
                t0 += added(min(other, TARGET), panel, solve.penalty, scale);
            }
            if first {
                let next = column_of(panel + 1u);
                s1 = matrices[matrix + start + next] + added(row, panel + 1u, solve.penalty, scale);
                t1 = matrices[matrix + other_start + next]
                    + added(min(other, TARGET), panel + 1u, solve.penalty, scale);
            }
            for (var left = begin; left < panel; left += 1u) {
                let offset = column_of(left);
                var x: vec4<f32>;
                var y: vec4<f32>;
                var p0: vec4<f32>;
                var p1: vec4<f32>;
                var p2: vec4<f32>;
                var p3: vec4<f32>;
                if RESIDENT {
                    x = store[rest + start + offset];
                    y = store[rest + other_start + offset];
                    let pivots = rest + pivot_start + offset;
                    p0 = store[pivots];
                    p1 = store[pivots + 2u];
                    p2 = store[pivots + 4u];
                    p3 = store[pivots + 6u];
                } else {
                    x = matrices[matrix + start + offset];
                    y = matrices[matrix + other_start + offset];
                    let pivots = rest + select(4u, 8u, first) * (left - begin);
                    p0 = store[pivots];
                    p1 = store[pivots + 1u];
                    p2 = store[pivots + 2u];
                    p3 = store[pivots + 3u];
                }
                s0 -= vec4(dot(x, p0), dot(x, p1), dot(x, p2), dot(x, p3));
                if two {
                    t0 -= vec4(dot(y, p0), dot(y, p1), dot(y, p2), dot(y, p3));
                }
                if first {
                    if RESIDENT {
                        let pivots = rest + next_start + offset;
                        p0 = store[pivots];
                        p1 = store[pivots + 2u];
                        p2 = store[pivots + 4u];
                        p3 = store[pivots + 6u];
                    } else {
                        let pivots = rest + 8u * left + 4u;
                        p0 = store[pivots];
                        p1 = store[pivots + 1u];
                        p2 = store[pivots + 2u];
                        p3 = store[pivots + 3u];
                    }
                    s1 -= vec4(dot(x, p0), dot(x, p1), dot(x, p2), dot(x, p3));
                    if two {
                        t1 -= vec4(dot(y, p0), dot(y, p1), dot(y, p2), dot(y, p3));
                    }
                }
            }
            keep(matrix + start + to, rest + start + to, s0, mine);
            if two {
                keep(matrix + other_start + to, rest + other_start + to, t0, mine);
            }
            if first {
                let next = column_of(panel + 1u);
                keep(matrix + start + next, rest + start + next, s1, mine);
                if two {
                    keep(matrix + other_start + next, rest + other_start + next, t1, mine);
                }
            }
            if row < 4u * panel + 4u {
                store[block + row % 4u] = s0;
            }
        }
        workgroupBarrier();

        // Every lane factors the diagonal block for itself: below the diagonal in l, one over the
        // diagonal in r.
        let floors = store[block + 4u + panel % 2u];
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
        second = first;
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
        if DRAW {
            let column = params.first_column + 4u * four;
            y += sweep.deviation * sqrt(scale) * normals_of(params.first_row + solve.row, column);
        }
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
                if DELTAS > 0u { deltas[solve.row * DELTAS * 4u + at] = z; }
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
