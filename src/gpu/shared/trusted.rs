//! Shader modules without the checks that wgpu adds: counters that bound each loop, and clamps of
//! indices. The only unsafe code of the crate's library.
#![allow(unsafe_code, reason = "the checks sit in the kernels' inner loops")]

use super::kernels::Sources;

/// Compiles a kernel: one that this crate ships without checks, any other text with them.
pub(in crate::gpu) fn module(
    device: &wgpu::Device,
    name: &str,
    source: &str,
    checked: bool,
) -> wgpu::ShaderModule {
    let text = wgpu::ShaderModuleDescriptor {
        label: Some(name),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    };
    if checked || Sources::shipped(name) != Some(source) {
        return device.create_shader_module(text);
    }
    // SAFETY: naga has validated the text, which is one of this crate's own. Its loops end, since each
    // counts up to a length or down to zero. Its indices come from the crate's own cuts, whose tests
    // hold every one of them to the arrays it points into, or of batches that `choices/arrays.rs` asks
    // first, or are clamped in the text itself; and the tests of all kernels run with checks too, on the
    // same data, and find the same numbers.
    unsafe { device.create_shader_module_trusted(text, wgpu::ShaderRuntimeChecks::unchecked()) }
}
