//! Checkpoints as directories beside the model.

use super::{Checkpoint, Origin};
use crate::backend::State;
use crate::core::{Factors, Ratings, SamplePrecision, Settings, Side, SideFactors, Solver};
use crate::data::Reading;
use crate::files::tensors::write;
use crate::files::{AGAIN, Kind, Tensor, TensorFile, recover, remove_file, whole, write_file};
use crate::model::{EpochRecord, Sample, Samples};
use crate::sampler::{Chain, Noise, SamplerState, Traces};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const STATE: &str = "checkpoint.safetensors";
const RECORD: &str = "checkpoint.json";

/// A sampler's chains, as samples, and the samples it has kept.
const CHAINS: &str = "checkpoint-chains.safetensors";
const SAMPLES: &str = "checkpoint-samples.safetensors";

const KIND: Kind<'static> = Kind {
    what: "a wgmf checkpoint",
    owns: &|name| [STATE, RECORD, CHAINS, SAMPLES].contains(&name),
};

/// `checkpoint.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    settings: Settings,
    #[serde(flatten)]
    origin: Origin,
    moments: usize,
    best: bool,
    /// How the training file was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reading: Option<Reading>,
    history: Vec<EpochRecord>,
}

/// Where the checkpoint of a model lies: beside it, as `NAME.checkpoint`.
pub fn checkpoint_path(model: &Path) -> PathBuf {
    let mut name = model.file_name().unwrap_or(model.as_os_str()).to_os_string();
    name.push(".checkpoint");
    model.with_file_name(name)
}

/// What tells one set of ratings from another: sizes, and checksums of the training and of the
/// held-out triples and of what they count.
pub fn fingerprint(
    users: usize,
    items: usize,
    ratings: &Ratings,
    test: Option<&Ratings>,
) -> String {
    let checksum = |ratings: &Ratings| {
        let mut sum = flate2::Crc::new();
        sum.update(bytemuck::cast_slice(&ratings.users));
        sum.update(bytemuck::cast_slice(&ratings.items));
        sum.update(bytemuck::cast_slice(&ratings.values));
        sum.update(bytemuck::cast_slice(&ratings.weights));
        format!("{} ratings, crc {:08x}", ratings.len(), sum.sum())
    };
    let held_out = test.map_or("none".to_owned(), checksum);
    format!("{users} users, {items} items, {}; held out: {held_out}", checksum(ratings))
}

impl Checkpoint {
    /// Makes sure, before any work, that checkpoints can be written to `dir` and replace nothing
    /// else there: with `overwrite` an earlier checkpoint, at most. Creates nothing that stays.
    ///
    /// # Errors
    /// A file, a directory that holds an earlier checkpoint or anything that is no part of one, or
    /// a place that cannot be written.
    pub fn check_output(dir: &Path, overwrite: bool) -> Result<()> {
        if !overwrite && dir.join(RECORD).exists() {
            let message = "is the checkpoint of an earlier run; add `resume` to go on from it, or \
                           `force` to begin anew";
            return Err(Error::file(dir, message));
        }
        whole::check(dir, true, &KIND)
    }

    /// Takes away what runs that were killed while they wrote a checkpoint left beside `dir`, where
    /// that can be told, and puts back one that was about to be replaced.
    pub fn tidy(dir: &Path) {
        whole::tidy(dir);
    }

    /// Removes the checkpoint in `dir`, if there is one, and nothing else.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(dir: &Path) -> Result<()> {
        for path in [RECORD, STATE, CHAINS, SAMPLES].map(|name| dir.join(name)) {
            match remove_file(&path) {
                Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(Error::io(path, e));
                }
                _ => {}
            }
        }
        match fs::remove_dir(dir) {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(Error::io(dir, e)),
            // Not there, or it holds something of somebody else's.
            _ => Ok(()),
        }
    }

    /// Writes the checkpoint to `dir`, whole or not at all; an earlier one is replaced. `reading` is how
    /// the training file was read, where there was one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(
        &self,
        dir: &Path,
        settings: &Settings,
        origin: &Origin,
        reading: Option<&Reading>,
    ) -> Result<()> {
        let sets = self.named();
        whole::write_directory(dir, true, &KIND, |dir| {
            let mut tensors = Vec::new();
            for (names, factors) in &sets {
                let (m, n, k) = (factors.users(), factors.items(), factors.factors);
                let [users, items, user_bias, item_bias, mean] = names;
                tensors.push(Tensor::new(users, &[m, k], &factors[Side::User].factors));
                tensors.push(Tensor::new(items, &[n, k], &factors[Side::Item].factors));
                tensors.push(Tensor::new(user_bias, &[m], &factors[Side::User].bias));
                tensors.push(Tensor::new(item_bias, &[n], &factors[Side::Item].bias));
                let value = std::slice::from_ref(&factors.global_mean);
                tensors.push(Tensor::new(mean, &[1], value));
            }
            if let Some(sampler) = &self.sampler {
                sampler.save(dir, &self.state.factors, tensors)?;
            } else {
                write(&dir.join(STATE), tensors)?;
            }
            write_file(&dir.join(RECORD), |out| {
                let record = Record {
                    settings: settings.clone(),
                    origin: origin.clone(),
                    moments: self.state.moments.len(),
                    best: self.best.is_some(),
                    reading: reading.cloned(),
                    history: self.history.clone(),
                };
                Ok(serde_json::to_writer_pretty(out, &record)?)
            })
        })
    }

    /// The settings of the checkpoint in `dir`, and how its training file was read, if it is there.
    pub fn written_with(dir: &Path) -> Option<(Settings, Option<Reading>)> {
        let record = Record::read(dir).ok()?;
        Some((record.settings, record.reading))
    }

    /// What the checkpoint in `dir` was written with.
    ///
    /// # Errors
    /// No checkpoint, or an incomplete one.
    pub fn origin(dir: &Path) -> Result<Origin> {
        Ok(Record::read(dir)?.origin)
    }

    /// Opens the checkpoint in `dir` for a run with these settings and of this origin. More epochs (or
    /// samples) and another patience than before are allowed; nothing else may differ, but `anyway` the
    /// device and the version, which then may change the bits.
    ///
    /// # Errors
    /// No checkpoint, an incomplete one, or one of another run.
    pub fn open(
        dir: &Path,
        settings: &Settings,
        origin: &Origin,
        anyway: bool,
    ) -> Result<Checkpoint> {
        Self::read(dir, settings, origin, anyway).map_err(|error| match error.kind() {
            // What is to be done about a damaged model does not help here.
            crate::ErrorKind::File { file, message } if message.contains(AGAIN) => {
                Error::file(file, message.replace(AGAIN, "train without `resume`"))
            }
            _ => error,
        })
    }

    fn read(dir: &Path, settings: &Settings, origin: &Origin, anyway: bool) -> Result<Checkpoint> {
        let path = dir.join(RECORD);
        let record = Record::read(dir)?;
        // Settings that are chosen from the data would be the first to differ.
        if record.origin.ratings != origin.ratings
            && let (Some(then), Some(now)) = (&record.origin.weighed_by, &origin.weighed_by)
            && then != now
        {
            return Err(Error::file(
                &path,
                format!(
                    "was written with {then}, and now ratings count by {now}; give the same, or train without \
                     `resume`"
                ),
            ));
        }
        let Settings { epochs, patience, samples, keep, .. } = *settings;
        let bayes = settings.solver == Solver::Bayes;
        // Where a sampler started is no matter once it is under way.
        let init_scale = if bayes { settings.init_scale } else { record.settings.init_scale };
        let same =
            Settings { epochs, patience, samples, keep, init_scale, ..record.settings.clone() };
        if same != *settings {
            let may = if bayes { "`samples` and `keep`" } else { "`epochs`" };
            let message = format!(
                "was written with other settings: {}; give the same ones (only {may} and `patience` \
                 may change), or train without `resume`",
                differences(&same, settings)
            );
            return Err(Error::file(&path, message));
        }
        if patience.is_some() && record.settings.patience.is_none() && !bayes {
            return Err(Error::file(
                &path,
                "was written without `patience`, so its best epoch was not kept; leave out \
                 `patience`, or train without `resume`",
            ));
        }
        if record.history.len() > epochs {
            return Err(Error::file(
                &path,
                match bayes {
                    true => format!(
                        "has {} sweeps already, more than `burn_in` {} and `samples` {samples}; ask \
                         for more samples, or train without `resume`",
                        record.history.len(),
                        settings.burn_in
                    ),
                    false => format!(
                        "has {} epochs already, more than `epochs` {epochs}; ask for more epochs, \
                         or train without `resume`",
                        record.history.len()
                    ),
                },
            ));
        }
        if record.origin.ratings != origin.ratings {
            return Err(Error::file(
                &path,
                format!(
                    "was written for other ratings, or for these in another order ({}; now {}); give the \
                     same ratings and `order` (a checkpoint of version 0.1.0 has `order` appearance), or \
                     train without `resume`",
                    record.origin.ratings, origin.ratings
                ),
            ));
        }
        if let Some(difference) = record.origin.difference(origin).filter(|_| !anyway) {
            let message = format!(
                "{difference}, and the bits may not be those of a run that was never stopped; add \
                 `resume_anyway` if they need not be, or train without `resume`"
            );
            return Err(Error::file(&path, message));
        }
        let mut file = TensorFile::open(&dir.join(STATE))?;
        let mut read = |prefix: &str| -> Result<Factors> {
            let [users, items, user_bias, item_bias, mean] = names(prefix);
            let [m, k] = file.shape(&users)?;
            let [n] = file.shape(&item_bias)?;
            Ok(Factors {
                factors: k,
                sides: [
                    SideFactors {
                        factors: file.read(&users, &[m, k])?,
                        bias: file.read(&user_bias, &[m])?,
                    },
                    SideFactors {
                        factors: file.read(&items, &[n, k])?,
                        bias: file.read(&item_bias, &[n])?,
                    },
                ],
                global_mean: file.read(&mean, &[1])?[0],
            })
        };
        let factors = read("")?;
        let moments =
            (0..record.moments).map(|j| read(&format!("moment{j}_"))).collect::<Result<_>>()?;
        let best = if record.best { Some(read("best_")?) } else { None };
        let sampler = match bayes {
            true => Some(SamplerState::open(dir, &factors, &mut file, settings)?),
            false => None,
        };
        let sweeps = record.history.len();
        let mut checkpoint = Checkpoint {
            state: State { factors, moments },
            history: record.history,
            best,
            sampler,
        };
        if let Some(sampler) = &mut checkpoint.sampler
            && !sampler.thin(settings, sweeps)
        {
            let message = format!(
                "kept {} samples so far, fewer than `samples` {samples} with `keep` {keep} keeps \
                 until here; lower `keep`, raise `samples`, or train without `resume`",
                sampler.samples.samples.len()
            );
            return Err(Error::file(&path, message));
        }
        Ok(checkpoint)
    }

    /// Every set of factors, with the names of its tensors.
    fn named(&self) -> Vec<([String; 5], &Factors)> {
        let moments = self.state.moments.iter().enumerate();
        let moments = moments.map(|(j, moment)| (names(&format!("moment{j}_")), moment));
        let best = self.best.iter().map(|best| (names("best_"), best));
        [(names(""), &self.state.factors)].into_iter().chain(moments).chain(best).collect()
    }
}

impl Record {
    fn read(dir: &Path) -> Result<Record> {
        recover(dir)?;
        let path = dir.join(RECORD);
        let text = fs::read(&path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::file(
                dir,
                "there is no checkpoint to resume; train with `checkpoint_every` N first",
            ),
            _ => Error::io(&path, e),
        })?;
        serde_json::from_slice(&text).map_err(|e| {
            Error::file(&path, format!("is not a checkpoint ({e}); train without `resume`"))
        })
    }
}

/// The settings that differ, with both values.
fn differences(then: &Settings, now: &Settings) -> String {
    let values = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(values)) => values,
        _ => Map::new(),
    };
    let (then, now) = (values(then), values(now));
    let shown = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
    let of = |name: &String| (then.get(name), now.get(name));
    let mut names: Vec<&String> = then.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| of(name).0 != of(name).1);
    // What the others follow from comes first.
    names.sort_by_key(|name| !matches!(name.as_str(), "solver" | "factors"));
    let listed = names.iter().take(LISTED).map(|name| {
        let (then, now) = of(name);
        format!("`{name}` was {} and is {}", shown(then), shown(now))
    });
    let mut text = listed.collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text += &format!(" and {} more", names.len() - LISTED);
    }
    text
}

/// Settings that an error lists at most.
const LISTED: usize = 4;

fn names(prefix: &str) -> [String; 5] {
    ["user_factors", "item_factors", "user_bias", "item_bias", "global_mean"]
        .map(|name| format!("{prefix}{name}"))
}

impl SamplerState {
    /// Writes a sampler's state into `dir`, with `tensors` of its first chain's factors, `first`.
    fn save(&self, dir: &Path, first: &Factors, tensors: Vec<Tensor>) -> Result<()> {
        let state = |(factors, chain): &(Factors, Chain)| Sample {
            factors: factors.clone(),
            noise_precision: chain.noise.precision,
            noise_shape: chain.noise.shape,
            noise_weights: chain.noise.weights.clone(),
            priors: chain.priors.clone(),
            thresholds: chain.thresholds.clone(),
        };
        let chains = Samples {
            samples: self.chains.iter().map(state).collect(),
            precision: SamplePrecision::F32,
            ..self.samples.header()
        };
        chains.write(&dir.join(CHAINS), first)?;
        if !self.samples.samples.is_empty() {
            self.samples.write(&dir.join(SAMPLES), first)?;
        }
        let (chains, sweeps) = (self.chains.len(), self.traces.sweeps());
        let Traces { noise_precision, noise_shape, predictions } = &self.traces;
        let predictions: Vec<f64> = predictions.concat().concat();
        let watched = self.traces.predictions.len();
        fn series(trace: &[Vec<f64>]) -> impl Iterator<Item = &[f64]> {
            trace.iter().map(|chain| &chain[..])
        }
        let mut tensors = tensors;
        tensors.extend([
            Tensor::new("held_out_sums", &[self.sums.len()], &self.sums),
            Tensor::new("held_out_probabilities", &[self.probabilities.len()], &self.probabilities),
            Tensor::of_parts("noise_precision_trace", &[chains, sweeps], series(noise_precision)),
            Tensor::of_parts("noise_shape_trace", &[chains, sweeps], series(noise_shape)),
            Tensor::new("prediction_trace", &[watched, chains, sweeps], &predictions),
        ]);
        write(&dir.join(STATE), tensors)
    }

    /// Reads what [`save`](Self::save) wrote; `file` is open already.
    fn open(
        dir: &Path,
        first: &Factors,
        file: &mut TensorFile,
        settings: &Settings,
    ) -> Result<SamplerState> {
        let states = Samples::read(&dir.join(CHAINS), first)?;
        let header =
            Samples { precision: settings.sample_precision.unwrap_or_default(), ..states.header() };
        let chains = states.samples.len();
        let [sums] = file.shape("held_out_sums")?;
        let [levels] = file.shape("held_out_probabilities")?;
        let [watched, _, sweeps] = file.shape("prediction_trace")?;
        let mut cut = |name: &str, shape: &[usize]| -> Result<Vec<Vec<f64>>> {
            let flat = file.read::<f64>(name, shape)?;
            let rows: usize = shape[..shape.len() - 1].iter().product();
            Ok((0..rows).map(|row| flat[row * sweeps..][..sweeps].to_vec()).collect())
        };
        let traces = Traces {
            noise_precision: cut("noise_precision_trace", &[chains, sweeps])?,
            noise_shape: cut("noise_shape_trace", &[chains, sweeps])?,
            predictions: cut("prediction_trace", &[watched, chains, sweeps])?
                .chunks(chains)
                .map(<[Vec<f64>]>::to_vec)
                .collect(),
        };
        let path = dir.join(SAMPLES);
        let samples = if path.exists() { Samples::read(&path, first)? } else { header };
        let chain = |sample: Sample| {
            let Sample { factors, priors, thresholds, .. } = sample;
            let noise = Noise {
                precision: sample.noise_precision,
                weights: sample.noise_weights,
                shape: sample.noise_shape,
            };
            (factors, Chain { noise, priors, thresholds })
        };
        Ok(SamplerState {
            chains: states.samples.into_iter().map(chain).collect(),
            sums: file.read("held_out_sums", &[sums])?,
            probabilities: file.read("held_out_probabilities", &[levels])?,
            traces,
            samples,
        })
    }
}
