// Joins the slots of rows whose ratings were shared out among several: their sum, in order of slots,
// takes the place of the first.
//
// An invocation owns one vec4 of a matrix at a time.

override SIZE: u32 = 48u; // vec4s of a matrix

const WORKGROUP: u32 = 64u;

struct Params {
    first: u32, // the dispatch's first row in `joins`
    rows: u32,  // how many it has
}

struct Join {
    slot: u32,
    slots: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> joins: array<Join>;
@group(0) @binding(2) var<storage, read_write> matrices: array<vec4<f32>>; // (slots, SIZE)

@compute @workgroup_size(64)
fn join(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let stride = groups.x * WORKGROUP;
    for (var at = group.x * WORKGROUP + invocation; at < params.rows * SIZE; at += stride) {
        let row = joins[params.first + at / SIZE];
        let to = row.slot * SIZE + at % SIZE;
        var sum = matrices[to];
        for (var slot = 1u; slot < row.slots; slot += 1u) {
            sum += matrices[to + slot * SIZE];
        }
        matrices[to] = sum;
    }
}
