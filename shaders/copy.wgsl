// Copies a buffer: what it reaches is the device's memory bandwidth, against which the other
// kernels are measured.

const WORKGROUP: u32 = 64u;
const EACH: u32 = 8u; // vec4s an invocation copies

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4<f32>>;

@compute @workgroup_size(64)
fn copy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let first = group.x * WORKGROUP + invocation;
    let stride = groups.x * WORKGROUP;
    for (var j = 0u; j < EACH; j += 1u) {
        let at = first + j * stride;
        if at < arrayLength(&source) {
            destination[at] = source[at];
        }
    }
}
