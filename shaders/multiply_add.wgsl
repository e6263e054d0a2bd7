// Multiplies and adds in registers alone: what it reaches is the device's arithmetic rate, against
// which the row solvers' kernels are measured.

const WORKGROUP: u32 = 64u;
const ROUNDS: u32 = 1024u; // of 8 multiply-adds of a vec4 each

@group(0) @binding(0) var<storage, read_write> results: array<vec4<f32>>;

@compute @workgroup_size(64)
fn multiply_add(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let at = group.x * WORKGROUP + invocation;
    // Read, so that nothing is known when compiling; numbers that converge instead of overflowing.
    let start = results[at];
    let scale = vec4(0.999) + start * 1e-9;
    let shift = vec4(0.001) + start * 1e-9;
    var a = start;
    var b = start + 1.0;
    var c = start + 2.0;
    var d = start + 3.0;
    var e = start + 4.0;
    var f = start + 5.0;
    var g = start + 6.0;
    var h = start + 7.0;
    for (var j = 0u; j < ROUNDS; j += 1u) {
        a = fma(a, scale, shift);
        b = fma(b, scale, shift);
        c = fma(c, scale, shift);
        d = fma(d, scale, shift);
        e = fma(e, scale, shift);
        f = fma(f, scale, shift);
        g = fma(g, scale, shift);
        h = fma(h, scale, shift);
    }
    results[at] = ((a + b) + (c + d)) + ((e + f) + (g + h));
}
