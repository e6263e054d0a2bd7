//! The shaders, and pipelines made of them.

use super::device::Device;
use super::profile::Profile;
use super::trusted;
use crate::{Error, Result};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wgpu::naga;

macro_rules! sources {
    ($($name:ident),* $(,)?) => {
        /// WGSL of every kernel. [`Default`] gives what this crate ships; tests plant faults in it.
        #[derive(Clone, Debug)]
        pub struct Sources {
            $(
                #[doc = concat!(stringify!($name), ".wgsl")]
                pub $name: Cow<'static, str>,
            )*
        }

        impl Default for Sources {
            fn default() -> Self {
                Self {
                    $($name: include_str!(concat!("../../../shaders/", stringify!($name), ".wgsl")).into(),)*
                }
            }
        }

        impl Sources {
            /// The text of a kernel as this crate ships it.
            pub(super) fn shipped(name: &str) -> Option<&'static str> {
                match name {
                    $(stringify!($name) => {
                        Some(include_str!(concat!("../../../shaders/", stringify!($name), ".wgsl")))
                    })*
                    _ => None,
                }
            }

            /// Every kernel's name and text.
            #[cfg(test)]
            pub(in crate::gpu) fn named(&self) -> Vec<(&'static str, &str)> {
                vec![$((stringify!($name), &*self.$name)),*]
            }
        }
    };
}

sources! {
    cholesky,
    contrast,
    copy,
    count,
    error,
    gradient,
    gram,
    item_gradient,
    join,
    latent,
    mask,
    multiply_add,
    nonnegative,
    normalizer,
    pair_gradient,
    pair_score,
    pairs,
    penalty,
    philox,
    pick,
    predict,
    prepare,
    project,
    reduce,
    remainder,
    residual,
    score,
    step,
    topk,
    user_gradient,
}

/// One compute pipeline; its name is its file's stem and its entry point.
pub struct Kernel {
    name: &'static str,
    pub pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    /// Where its dispatches are timed.
    profile: Option<(Arc<Profile>, wgpu::Device)>,
}

impl Kernel {
    /// Compiles `source` with the values of its overrides.
    ///
    /// # Errors
    /// If the shader does not compile, or needs more workgroup memory or invocations than the
    /// device has.
    pub async fn new(
        device: &Device,
        name: &'static str,
        source: &str,
        constants: &[(&str, f64)],
    ) -> Result<Self> {
        check_limits(device, name, source, constants)?;
        let scope = device.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let checked = device.checked.load(Ordering::Relaxed);
        let module = trusted::module(&device.device, name, source, checked);
        let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module: &module,
            entry_point: Some(name),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                // Every kernel writes what it reads there.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        if let Some(error) = scope.pop().await {
            return Err(Error::device(format!("{name}.wgsl: {error}")));
        }
        let layout = pipeline.get_bind_group_layout(0);
        let profile = device.profile.get().map(|profile| (profile.clone(), device.device.clone()));
        Ok(Self { name, pipeline, layout, profile })
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

/// A bind group and how many workgroups to dispatch with it.
pub struct Dispatch {
    pub group: wgpu::BindGroup,
    pub workgroups: u32,
}

/// Records dispatches of a kernel.
pub fn dispatch(pass: &mut wgpu::ComputePass, kernel: &Kernel, dispatches: &[Dispatch]) {
    if dispatches.is_empty() {
        return;
    }
    let record = |pass: &mut wgpu::ComputePass| {
        pass.set_pipeline(&kernel.pipeline);
        for dispatch in dispatches {
            pass.set_bind_group(0, &dispatch.group, &[]);
            pass.dispatch_workgroups(dispatch.workgroups, 1, 1);
        }
    };
    match &kernel.profile {
        Some((profile, device)) => {
            profile.around(device, pass, (kernel.name, dispatches.len()), record);
        }
        None => record(pass),
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
             and {}; use `backend` cpu",
            limits.max_compute_workgroup_storage_size, limits.max_compute_invocations_per_workgroup
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
