//! The shaders, and pipelines made of them.

use super::device::Device;
use crate::{Error, Result};
use std::borrow::Cow;
use wgpu::naga;

/// WGSL of every kernel. [`Default`] gives what this crate ships; tests plant faults in it.
#[derive(Clone, Debug)]
pub struct Sources {
    /// residual.wgsl
    pub residual: Cow<'static, str>,
    /// gradient.wgsl
    pub gradient: Cow<'static, str>,
    /// step.wgsl
    pub step: Cow<'static, str>,
    /// error.wgsl
    pub error: Cow<'static, str>,
    /// reduce.wgsl
    pub reduce: Cow<'static, str>,
    /// copy.wgsl
    pub copy: Cow<'static, str>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            residual: include_str!("../../shaders/residual.wgsl").into(),
            gradient: include_str!("../../shaders/gradient.wgsl").into(),
            step: include_str!("../../shaders/step.wgsl").into(),
            error: include_str!("../../shaders/error.wgsl").into(),
            reduce: include_str!("../../shaders/reduce.wgsl").into(),
            copy: include_str!("../../shaders/copy.wgsl").into(),
        }
    }
}

/// One compute pipeline; its name is its file's stem and its entry point.
pub struct Kernel {
    name: &'static str,
    pub pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl Kernel {
    /// Compiles `source` with the values of its overrides.
    ///
    /// # Errors
    /// If the shader does not compile, or needs more workgroup memory or invocations than the
    /// device has.
    pub fn new(
        device: &Device,
        name: &'static str,
        source: &str,
        constants: &[(&str, f64)],
    ) -> Result<Self> {
        check_limits(device, name, source, constants)?;
        let scope = device.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module: &module,
            entry_point: Some(name),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                ..Default::default()
            },
            cache: None,
        });
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(Error::device(format!("{name}.wgsl: {error}")));
        }
        let layout = pipeline.get_bind_group_layout(0);
        Ok(Self { name, pipeline, layout })
    }

    /// Binds buffers in the order of the shader's bindings.
    pub fn bind(&self, device: &Device, buffers: &[wgpu::BufferBinding]) -> wgpu::BindGroup {
        let entries: Vec<_> = buffers
            .iter()
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(buffer.clone()),
            })
            .collect();
        device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layout,
            entries: &entries,
        })
    }
}

/// wgpu does not check what comes from overrides: do it with the values filled in.
fn check_limits(
    device: &Device,
    name: &str,
    source: &str,
    constants: &[(&str, f64)],
) -> Result<()> {
    let wrong = |what: String| Error::device(format!("{name}.wgsl: {what}"));
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|e| wrong(e.emit_to_string(source).trim_end().to_owned()))?;
    let capabilities = naga::valid::Capabilities::empty();
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|e| wrong(e.emit_to_string(source).trim_end().to_owned()))?;
    let constants = constants.iter().map(|&(key, value)| (key.to_owned(), value)).collect();
    let (module, _) = naga::back::pipeline_constants::process_overrides(
        &module,
        &info,
        Some((naga::ShaderStage::Compute, name)),
        &constants,
    )
    .map_err(|e| wrong(e.to_string()))?;
    let bytes: u32 = module
        .global_variables
        .iter()
        .filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup)
        .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
        .sum();
    let size: u32 =
        module.entry_points.iter().map(|e| e.workgroup_size.iter().product::<u32>()).sum();
    let limits = &device.limits;
    if bytes > limits.max_compute_workgroup_storage_size
        || size > limits.max_compute_invocations_per_workgroup
    {
        return Err(wrong(format!(
            "needs {bytes} bytes of workgroup memory and {size} invocations; this device has {} \
             and {}; use --backend cpu",
            limits.max_compute_workgroup_storage_size, limits.max_compute_invocations_per_workgroup
        )));
    }
    Ok(())
}
