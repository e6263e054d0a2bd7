//! Opening a device by its name.

use crate::backend::{
    Backend, Candidates, ChoicePasses, ChoiceProblem, Device, DeviceTimes, GibbsPasses,
    GibbsProblem, GradientPasses, GradientProblem, Need, Ranker, RowPasses, RowProblem,
    StrataPasses, StrataProblem,
};
use crate::core::{Settings, Sizes, Suits};
use crate::cpu::Cpu;
use crate::gpu::{Choice, Gpu, adapters};
use crate::{Error, Result};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Where to compute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A hardware GPU where there is one, else the CPU; the CPU too for training in batches that are
    /// too small for a GPU.
    #[default]
    Auto,
    /// The CPU: all threads of the rayon pool in which it is called.
    Cpu,
    /// The best hardware GPU, or an error.
    Gpu,
    /// The first GPU whose name contains this, in any case of letters.
    Adapter(String),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    /// `auto`, `cpu`, `gpu`, or a part of an adapter's name, in any case of letters.
    fn from_str(name: &str) -> Result<Self> {
        let named = [("auto", Self::Auto), ("cpu", Self::Cpu), ("gpu", Self::Gpu)];
        match named.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
            Some((_, choice)) => Ok(choice),
            None => check_adapter(name).map(|()| Self::Adapter(name.to_owned())),
        }
    }
}

/// Makes sure that it is not a part of every name.
fn check_adapter(name: &str) -> Result<()> {
    match name.trim().is_empty() {
        true => Err(Error::settings(
            "the device has no name; give auto, cpu, gpu or a part of an adapter's name",
        )),
        false => Ok(()),
    }
}

/// How a GPU is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Keep the checks of loops and indices that kernels do without, see [`Gpu::checked`].
    pub checked: bool,
    /// How long it may take to answer before it counts as hung, instead of [`PATIENCE`](crate::gpu::PATIENCE).
    pub patience: Option<Duration>,
}

impl DeviceOptions {
    /// An open GPU that is used like that.
    pub fn of(self, gpu: Gpu) -> Gpu {
        let gpu = if self.checked { gpu.checked() } else { gpu };
        match self.patience {
            Some(patience) => gpu.patience(patience),
            None => gpu,
        }
    }
}

/// Ratings of a batch below which a GPU is slower than a processor, whatever their number: a batch is
/// four dispatches that wait for each other, 16 µs on an H100 however few its ratings.
/// (`benches/results/gpu-h100-steps.md`)
const GPU_BATCH: usize = 256;

impl DeviceChoice {
    /// Opens the device; the second value says why it was taken, for people.
    ///
    /// # Errors
    /// A GPU that was asked for and is not there, or cannot be opened; the message lists what there is.
    /// An adapter without a name.
    pub fn open(&self) -> Result<(Arc<dyn Backend>, String)> {
        self.open_with(false)
    }

    /// As [`open`](Self::open); `checked` keeps the checks of loops and indices that a GPU's kernels do
    /// without, see [`Gpu::checked`].
    ///
    /// # Errors
    /// As there.
    pub fn open_with(&self, checked: bool) -> Result<(Arc<dyn Backend>, String)> {
        self.open_as(DeviceOptions { checked, ..DeviceOptions::default() })
    }

    /// As [`open`](Self::open), with options of a GPU.
    ///
    /// # Errors
    /// As there.
    pub fn open_as(&self, options: DeviceOptions) -> Result<(Arc<dyn Backend>, String)> {
        let asked = || "as asked".to_owned();
        let choice = match self {
            Self::Cpu => return Ok((Arc::new(Cpu::new()), asked())),
            Self::Adapter(name) => {
                check_adapter(name)?;
                Choice::Named(name.clone())
            }
            Self::Auto | Self::Gpu => Choice::Hardware,
        };
        let opened = Gpu::open(&choice).map(|gpu| options.of(gpu));
        match opened {
            Ok(gpu) if *self == Self::Auto => {
                Ok((Arc::new(Auto(Arc::new(gpu))), "the best GPU".to_owned()))
            }
            Ok(gpu) => Ok((Arc::new(gpu), asked())),
            Err(error) if *self == Self::Auto => Ok((Arc::new(Cpu::new()), Self::why_cpu(&error))),
            Err(error) => Err(error),
        }
    }

    /// Why [`Auto`](Self::Auto) takes the CPU where there is no hardware GPU.
    pub fn no_gpu() -> String {
        match adapters().iter().find(|adapter| !adapter.is_hardware()) {
            Some(adapter) => {
                let name = adapter.name.split_whitespace().next().unwrap_or_default();
                format!("no hardware GPU; `adapter` {name} would take the software one")
            }
            None => "no Vulkan, Metal or Direct3D 12 adapter".to_owned(),
        }
    }

    /// Why [`Auto`](Self::Auto) takes the CPU where the best hardware GPU was not opened, for this
    /// `error`.
    pub fn why_cpu(error: &Error) -> String {
        match adapters().iter().find(|adapter| adapter.is_hardware()) {
            Some(adapter) => format!("{} could not be opened ({error}), so the CPU", adapter.name),
            None => Self::no_gpu(),
        }
    }

    /// Whether training with these settings keeps a GPU waiting: by batches of so few ratings that a
    /// processor is faster, or by going rating by rating.
    pub fn keeps_gpu_waiting(settings: &Settings) -> bool {
        settings.rating_by_rating() || (1..GPU_BATCH).contains(&settings.batch_size)
    }
}

/// Opens the device of this name: `auto` (a hardware GPU where there is one, else the CPU), `cpu`, `gpu`,
/// or a part of an adapter's name, in any case of letters. It can be shared among threads and models.
///
/// Of `auto`, [`fit`](crate::fit) trains in batches that are too small for a GPU on the CPU; which device
/// trained a model is in its record, [`Model::run`](crate::model::Model::run).
///
/// # Errors
/// A GPU that was asked for and is not there, or cannot be opened; the message lists what there is. An
/// empty name.
pub fn open_device(name: &str) -> Result<Arc<dyn Backend>> {
    name.parse::<DeviceChoice>()?.open().map(|(device, _)| device)
}

/// A GPU that was chosen, not asked for: what suits it badly goes elsewhere.
struct Auto(Arc<dyn Backend>);

impl Backend for Auto {
    fn device(&self) -> Device {
        self.0.device()
    }

    fn suits(&self) -> Suits {
        Suits::BOTH
    }

    fn better_for(&self, settings: &Settings) -> Option<(Arc<dyn Backend>, String)> {
        let why = || match settings.rating_by_rating() {
            true => "sgd goes rating by rating there".to_owned(),
            false => format!("batches of {} keep a GPU waiting", settings.batch_size),
        };
        let small = DeviceChoice::keeps_gpu_waiting(settings);
        small.then(|| (Arc::new(Cpu::new()) as Arc<dyn Backend>, why()))
    }

    fn need(&self, settings: &Settings, sizes: &Sizes) -> Need {
        self.0.need(settings, sizes)
    }

    fn ranker_need(&self, candidates: usize, factors: usize) -> Need {
        self.0.ranker_need(candidates, factors)
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.0.copy_bytes_per_second()
    }

    fn operations_per_second(&self) -> Result<f64> {
        self.0.operations_per_second()
    }

    fn warm_up(&self) -> Result<()> {
        self.0.warm_up()
    }

    fn device_times(&self) -> Result<DeviceTimes> {
        self.0.device_times()
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        self.0.gradient_passes(problem)
    }

    fn strata_passes(&self, problem: StrataProblem) -> Result<Box<dyn StrataPasses>> {
        self.0.strata_passes(problem)
    }

    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        self.0.choice_passes(problem)
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        self.0.row_passes(problem)
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        self.0.gibbs_passes(problem)
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        self.0.ranker(candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Options, Ratings};

    #[test]
    fn names_are_read_in_any_case_and_none_is_no_name() {
        for (name, choice) in [
            ("auto", DeviceChoice::Auto),
            ("Cpu", DeviceChoice::Cpu),
            ("GPU", DeviceChoice::Gpu),
            ("gpu 1", DeviceChoice::Adapter("gpu 1".into())),
        ] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap(), choice);
        }
        for name in ["", " "] {
            assert!(name.parse::<DeviceChoice>().is_err());
            assert!(DeviceChoice::Adapter(name.into()).open().is_err());
        }
    }

    #[test]
    fn what_was_chosen_gives_small_batches_away_and_nothing_else() {
        let settings = |options: Options| {
            let (rows, values) = (vec![0; 4000], vec![1.0; 4000]);
            let users = rows.clone();
            let ratings =
                Ratings { users, items: rows, values, timestamps: vec![], weights: vec![] };
            options.factors(2).resolve(&ratings, 1, 1).unwrap()
        };
        let auto = Auto(Arc::new(Cpu::new()));
        let (cpu, why) = auto.better_for(&settings(Options::sgd().batch_size(255))).unwrap();
        assert_eq!(
            (cpu.device(), why),
            (auto.device(), "batches of 255 keep a GPU waiting".into())
        );
        let (cpu, why) = auto.better_for(&settings(Options::sgd())).unwrap();
        let want = (auto.device(), "sgd goes rating by rating there".into());
        assert_eq!((cpu.device(), why), want);
        for options in [Options::sgd().batch_size(256), Options::als(), Options::bayes()] {
            assert!(auto.better_for(&settings(options)).is_none());
        }
        assert!(Cpu::new().better_for(&settings(Options::sgd().batch_size(2))).is_none());
    }
}
