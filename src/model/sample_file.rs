//! `samples.safetensors`: the samples of a Bayesian model.

use super::samples::{BOTH, MEANS, SIDES};
use super::{PartRecord, Sample, Samples};
use crate::core::{Factors, Popularity, RowPrior, SamplePrecision, SideFactors};
use crate::files::tensors::{AGAIN, Tensor, TensorFile, does_not_fit, write};
use crate::memory;
use crate::{Error, Result};
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::path::Path;

/// The checksum of the model's factors.
const MODEL: &str = "model_checksum";

/// What a row that training has not seen is taken for.
const UNKNOWN: &str = "popularity_of_unknown";

impl Samples {
    /// The name of the file in a model directory.
    pub const FILE: &str = "samples.safetensors";

    /// Writes `samples.safetensors` into `dir`, of `S` samples of the model with posterior means
    /// `means`: `user_factors` (S, users, k) and `item_factors` as float16 or float32, `user_bias`
    /// (S, users), `item_bias` and `noise_weights` (S, users + 1) as float32, and as float64
    /// `noise_precision` and `noise_shape` (S), `user_prior_mean` and `user_prior_slope` (S, k + 1),
    /// `user_prior_precision` (S, k + 1, k + 1) and those of items, `popularity` (2, 2): center and
    /// scale of users and of items, and `popularity_of_unknown` (2, 3): what an unknown id is taken for,
    /// its variance, and the most popular row; `user_means` (users) and `item_means` as float32. Where ratings are levels also `levels` (L) as float32 and
    /// `thresholds` (S, L − 1) as float64. `model_checksum` (1) as uint32 is
    /// [that of the means](Factors::checksum).
    ///
    /// # Errors
    /// No samples, samples of another shape than the means or with numbers that are not finite or,
    /// in 16 bits, too large; or if the file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>, means: &Factors) -> Result<()> {
        self.write(&dir.as_ref().join(Self::FILE), means)
    }

    /// Writes the samples to a file of any name.
    pub(crate) fn write(&self, path: &Path, means: &Factors) -> Result<()> {
        self.check(means)
            .map_err(|message| Error::data(format!("samples not saved: {message}")))?;
        let (count, k) = (self.samples.len(), means.factors);
        let rows = [means.users(), means.items()];
        let halves: [Vec<f16>; 2] = match self.precision {
            SamplePrecision::F32 => Default::default(),
            SamplePrecision::F16 => BOTH.map(|side| {
                let mut halves = vec![f16::ZERO; count * rows[side] * k];
                for (to, sample) in halves.chunks_mut((rows[side] * k).max(1)).zip(&self.samples) {
                    to.convert_from_f32_slice(sample.factors_of(side));
                }
                halves
            }),
        };
        if halves.iter().flatten().any(|x| !x.is_finite()) {
            let message =
                "samples not saved: a factor is beyond 16 bits; give `sample_precision` f32";
            return Err(Error::data(message));
        }
        let each = |of: fn(&Sample) -> f64| self.samples.iter().map(of).collect::<Vec<_>>();
        let noise_precision = each(|sample| sample.noise_precision);
        let noise_shape = each(|sample| sample.noise_shape);
        let popularity = self.popularity.map(|p| [p.center, p.scale]).concat();
        let unknown = self.popularity.map(|p| [p.unknown, p.unknown_variance, p.most]).concat();
        let checksum = [means.checksum()];
        let samples = &self.samples;
        let mut tensors = vec![
            Tensor::new("noise_precision", &[count], &noise_precision),
            Tensor::new("noise_shape", &[count], &noise_shape),
            Tensor::of_parts(
                "noise_weights",
                &[count, rows[0] + 1],
                samples.iter().map(|s| &s.noise_weights[..]),
            ),
            Tensor::new("popularity", &[2, 2], &popularity),
            Tensor::new(UNKNOWN, &[2, 3], &unknown),
            Tensor::new(MODEL, &[1], &checksum),
        ];
        for side in BOTH {
            let [factors, bias, mean, slope, precision] = SIDES[side];
            let (m, wide) = (rows[side], k + 1);
            let priors = || samples.iter().map(|sample| &sample.priors[side]);
            tensors.push(match self.precision {
                SamplePrecision::F16 => Tensor::new(factors, &[count, m, k], &halves[side]),
                SamplePrecision::F32 => Tensor::of_parts(
                    factors,
                    &[count, m, k],
                    samples.iter().map(|s| s.factors_of(side)),
                ),
            });
            tensors.extend([
                Tensor::of_parts(bias, &[count, m], samples.iter().map(|s| s.bias_of(side))),
                Tensor::of_parts(mean, &[count, wide], priors().map(|p| &p.mean[..])),
                Tensor::of_parts(slope, &[count, wide], priors().map(|p| &p.slope[..])),
                Tensor::of_parts(
                    precision,
                    &[count, wide, wide],
                    priors().map(|p| &p.precision[..]),
                ),
            ]);
        }
        for side in BOTH.into_iter().filter(|&side| !self.row_means[side].is_empty()) {
            tensors.push(Tensor::new(MEANS[side], &[rows[side]], &self.row_means[side]));
        }
        let levels = self.levels.len();
        if levels > 0 {
            tensors.push(Tensor::new("levels", &[levels], &self.levels));
            let thresholds = samples.iter().map(|s| &s.thresholds[..]);
            tensors.push(Tensor::of_parts("thresholds", &[count, levels - 1], thresholds));
        }
        write(path, tensors)
    }

    /// Reads the samples of the model in `dir` with the posterior means `means`, and checks them
    /// whole.
    ///
    /// # Errors
    /// No such file; one cut short, or of another model.
    pub fn open(dir: impl AsRef<Path>, means: &Factors) -> Result<Samples> {
        let dir = dir.as_ref();
        let path = dir.join(Self::FILE);
        if !path.is_file() {
            let message = format!("is an incomplete model: {} is missing; {AGAIN}", Self::FILE);
            return Err(Error::file(dir, message));
        }
        Self::read(&path, means)
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(path: &Path, means: &Factors) -> Result<Samples> {
        Self::read_part(path, means, None, None)
    }

    /// Reads `kept` samples, where that is known, from the file that `part` tells of.
    pub(super) fn read_part(
        path: &Path,
        means: &Factors,
        kept: Option<usize>,
        part: Option<&PartRecord>,
    ) -> Result<Samples> {
        let wrong = |message: String| Error::file(path, format!("{message}; {AGAIN}"));
        let mut file = TensorFile::open(path)?;
        if let Some(part) = part {
            part.check_length(path, file.file())?;
        }
        let [count] = file.shape("noise_precision")?;
        // Before the shapes: they are another model's in most cases.
        if file.read::<u32>(MODEL, &[1])? != [means.checksum()] {
            return Err(wrong("holds the samples of another model".into()));
        }
        if let Some(kept) = kept.filter(|&kept| kept != count) {
            return Err(wrong(format!("holds {count} samples where run.json tells of {kept}")));
        }
        let (k, rows) = (means.factors, [means.users(), means.items()]);
        let noise_precision = file.read::<f64>("noise_precision", &[count])?;
        let noise_shape = file.read::<f64>("noise_shape", &[count])?;
        let popularity = file.read::<f64>("popularity", &[2, 2])?;
        let mut popularity =
            [0, 2].map(|at| Popularity::followed(popularity[at], popularity[at + 1]));
        // Models before 0.2 have none.
        if file.has(UNKNOWN) {
            let unknown = file.read::<f64>(UNKNOWN, &[2, 3])?;
            for (to, of) in popularity.iter_mut().zip(unknown.chunks_exact(3)) {
                (to.unknown, to.unknown_variance, to.most) = (of[0], of[1], of[2]);
            }
        }
        let mut row_means: [Vec<f32>; 2] = Default::default();
        for side in BOTH {
            if file.has(MEANS[side]) {
                row_means[side] = file.read(MEANS[side], &[rows[side]])?;
            }
        }
        let levels: Vec<f32> = match file.has("levels") {
            true => {
                let [levels] = file.shape("levels")?;
                file.read("levels", &[levels])?
            }
            false => Vec::new(),
        };
        let precision = match file.is::<f16>("user_factors") {
            true => SamplePrecision::F16,
            false => SamplePrecision::F32,
        };
        // Halves become singles, sample by sample.
        let one = 4 * (k as u64 + 1) * (rows[0] + rows[1]) as u64 + 4 * rows[0] as u64;
        let all = (count as u64).saturating_mul(one);
        memory::ensure(all, |room| does_not_fit(path, all, room))?;
        let mut samples = Vec::new();
        for (at, (noise_precision, noise_shape)) in
            noise_precision.into_iter().zip(noise_shape).enumerate()
        {
            let mut sample = Sample {
                factors: Factors {
                    factors: k,
                    global_mean: means.global_mean,
                    ..Factors::default()
                },
                noise_precision,
                noise_shape,
                noise_weights: file.read_part("noise_weights", &[count, rows[0] + 1], at)?,
                ..Sample::default()
            };
            for side in BOTH {
                let [factors, bias, mean, slope, prior] = SIDES[side];
                let (m, wide) = (rows[side], k + 1);
                let read = match precision {
                    SamplePrecision::F16 => {
                        let halves = file.read_part::<f16>(factors, &[count, m, k], at)?;
                        let mut read = memory::zeroed(halves.len(), "samples")?;
                        halves.convert_to_f32_slice(&mut read);
                        read
                    }
                    SamplePrecision::F32 => file.read_part(factors, &[count, m, k], at)?,
                };
                let bias = file.read_part(bias, &[count, m], at)?;
                sample.factors.sides[side] = SideFactors { factors: read, bias };
                sample.priors[side] = RowPrior {
                    mean: file.read_part(mean, &[count, wide], at)?,
                    slope: file.read_part(slope, &[count, wide], at)?,
                    precision: file.read_part(prior, &[count, wide, wide], at)?,
                };
            }
            if !levels.is_empty() {
                sample.thresholds = file.read_part("thresholds", &[count, levels.len() - 1], at)?;
            }
            samples.push(sample);
        }
        let samples = Samples { samples, popularity, row_means, levels, precision };
        samples.check(means).map_err(wrong)?;
        if let Some(part) = part {
            part.check(path, file.file())?;
        }
        Ok(samples)
    }
}
