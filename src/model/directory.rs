//! The model directory: factors, ids, training pairs and the record of the run, in open formats.

use super::parts::{check_seal, part_of, seal, settled};
use super::{Model, RunRecord, Samples, Seen, TrainingFacts, id_file};
use crate::core::{
    Factors, Loss, Objective, ObjectiveSettings, Ratings, Side, SideFactors, Solver, Transform,
    escaped,
};
use crate::files::{
    AGAIN, Kind, Reserved, Tensor, TensorFile, recover, tensors, whole, write_file,
};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// The layout of the directory this crate writes; one with a higher number is from a later crate.
const FORMAT: u32 = 1;

const FACTORS: &str = "model.safetensors";
const USERS: &str = "users.csv";
const ITEMS: &str = "items.csv";
const RUN: &str = "run.json";

/// The most bytes of `run.json`: some hundred thousand epochs.
const RUN_BYTES: u64 = 64 << 20;

/// The most factors of a model whose record tells of none.
const UNTOLD_FACTORS: usize = 4096;

/// `run.json`: a report of the run, in which the objective and the training facts have their places.
#[derive(Serialize, Deserialize)]
struct RunFile {
    format: u32,
    loss: Loss,
    transform: Transform,
    solver: Solver,
    #[serde(flatten)]
    run: RunRecord,
}

impl RunFile {
    fn new(model: &Model) -> Result<Self> {
        let objective = &model.objective;
        let mut run = model.run.clone();
        let own = serde_json::to_value(objective.settings()).map_err(not_json)?;
        if !run.settings.is_object() {
            run.settings = serde_json::json!({});
        }
        // The objective is what counts; a setting that a solver does not have stays left out.
        if let (Some(settings), Value::Object(own)) = (run.settings.as_object_mut(), own) {
            for (name, value) in own {
                let absent =
                    value.is_null() || value == false || value == 0.0 || value == "gaussian";
                let needed = ["bias", "reg", "reg_bias", "reg_exponent"].contains(&&*name);
                if settings.contains_key(&name) || needed || !absent {
                    settings.insert(name, value);
                }
            }
        }
        if let Some(settings) = run.settings.as_object_mut() {
            settings.insert("factors".to_owned(), model.factors.factors.into());
            let own = [("solver", objective.solver.name()), ("loss", objective.loss.name())];
            for (name, own) in own {
                settings.entry(name).and_modify(|setting| *setting = own.into());
            }
        }
        model.facts.write(&mut run.data);
        Ok(Self {
            format: FORMAT,
            loss: objective.loss,
            transform: objective.transform.clone(),
            solver: objective.solver,
            run,
        })
    }

    fn objective(&self) -> Result<Objective, String> {
        if !self.run.settings.is_object() {
            return Err("its settings are missing, or no object".to_owned());
        }
        let told = [("solver", self.solver.name()), ("loss", self.loss.name())];
        for (name, own) in told {
            let setting = &self.run.settings[name];
            if setting.as_str().is_some_and(|setting| setting != own) {
                return Err(format!("its settings tell of {name} {setting}, the rest of {own}"));
            }
        }
        let settings = ObjectiveSettings::deserialize(&self.run.settings)
            .map_err(|e| format!("its settings: {e}"))?;
        let (solver, loss, transform) = (self.solver, self.loss, self.transform.clone());
        let objective = Objective::from_parts(solver, loss, transform, settings);
        objective.check().map(|()| objective)
    }
}

/// Makes sure, before any work, that a model can be saved in `dir`: what is there now may be
/// replaced, and the place can be written. Creates nothing that stays.
///
/// A model is replaced only with `overwrite`; a file, or a directory that holds anything that is
/// no part of a model, never.
pub fn check_output(dir: impl AsRef<Path>, overwrite: bool) -> Result<()> {
    whole::check(dir.as_ref(), overwrite, &Model::KIND)
}

/// As [`check_output`], and keeps other processes from writing there until what this returns is dropped.
///
/// # Errors
/// As [`check_output`]; another process that writes a model there, by its number and host.
pub fn reserve(dir: impl AsRef<Path>, overwrite: bool) -> Result<Reserved> {
    Reserved::new(dir.as_ref(), overwrite, &Model::KIND)
}

/// The signal that ended the run of the model in `dir` before it was through, if one did: what
/// [`RunRecord::stopped_by`] of it says.
pub fn stopped_by(dir: impl AsRef<Path>) -> Option<String> {
    #[derive(Deserialize)]
    struct Stopped {
        stopped_by: Option<String>,
    }
    let text = fs::read(dir.as_ref().join(RUN)).ok()?;
    serde_json::from_slice::<Stopped>(&text).ok()?.stopped_by
}

impl Model {
    const KIND: Kind<'static> = Kind {
        what: "a wgmf model",
        // A trainer may leave checkpoints beside the model.
        owns: &|name| {
            [FACTORS, USERS, ITEMS, RUN, Seen::FILE, Samples::FILE].contains(&name)
                || name.starts_with("checkpoint")
        },
    };

    /// Reads a model directory and checks it whole: every file complete, shapes that agree, finite
    /// numbers, ids in order, and each the file that was saved with the others. Errors name the file and
    /// what to do.
    ///
    /// A model that is replaced meanwhile is read again. Whoever reads the training pairs or samples too
    /// puts all of that into one [`settled`]. Where a process was killed just before a model got its
    /// successor (which takes two steps on Windows and some file systems), the model is put back first.
    pub fn open(dir: impl AsRef<Path>) -> Result<Model> {
        let dir = dir.as_ref();
        settled(dir, || Self::read(dir))
    }

    /// Reads all of a model directory: the model, the samples of one that is Bayesian, and the training
    /// pairs.
    ///
    /// # Errors
    /// As [`open`](Self::open), [`open_samples`](Self::open_samples) and [`open_seen`](Self::open_seen).
    pub fn open_whole(dir: impl AsRef<Path>) -> Result<(Model, Option<Samples>, Seen)> {
        let dir = dir.as_ref();
        settled(dir, || {
            let model = Self::read(dir)?;
            let samples = model.is_bayesian().then(|| model.open_samples(dir)).transpose()?;
            let seen = model.open_seen(dir)?;
            Ok((model, samples, seen))
        })
    }

    fn read(dir: &Path) -> Result<Model> {
        recover(dir)?;
        let entries = fs::metadata(dir).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::file(
                dir,
                "No such file or directory; give the directory that wgmf train wrote",
            ),
            _ => Error::io(dir, e),
        })?;
        if !entries.is_dir() {
            let message = "is a file; give the directory that wgmf train wrote";
            return Err(Error::file(dir, message));
        }
        let is_there = |name: &str| dir.join(name).is_file();
        if !is_there(FACTORS) && !is_there(RUN) {
            let message = "is not a wgmf model (no model.safetensors, no run.json); \
                           give the directory that wgmf train wrote";
            return Err(Error::file(dir, message));
        }
        if let Some(missing) =
            [RUN, FACTORS, USERS, ITEMS, Seen::FILE].iter().find(|n| !is_there(n))
        {
            let what = match fs::symlink_metadata(dir.join(missing)) {
                Ok(_) => "is no file (a link to nowhere, a pipe or a directory)",
                Err(_) => "is missing",
            };
            let message = format!("is an incomplete model: {missing} {what}; {AGAIN}");
            return Err(Error::file(dir, message));
        }
        let file = read_run(&dir.join(RUN))?;
        let wrong = |message| Error::file(dir.join(RUN), format!("{message}; {AGAIN}"));
        let objective = file.objective().map_err(wrong)?;
        let facts = TrainingFacts::read(&file.run.data).map_err(wrong)?;
        let run = file.run;
        let (factors, typical) = read_factors(dir, &run)?;
        let ids = |name: &str, rows| id_file::read(&dir.join(name), rows, run.part(dir, name)?);
        let (users, user_ratings) = ids(USERS, factors.users())?;
        let (items, item_ratings) = ids(ITEMS, factors.items())?;
        let model = Model {
            factors,
            users,
            items,
            user_ratings,
            item_ratings,
            typical,
            objective,
            facts,
            run,
        };
        if let Err(message) = model.check_finite() {
            return Err(Error::file(dir.join(FACTORS), format!("{message}; {AGAIN}")));
        }
        if model.run.parts.is_empty() {
            // Nothing but the pairs themselves tells whether they are counted right.
            Seen::read(dir, Some(&model), None)?;
        }
        Ok(model)
    }

    /// Writes the model to `dir`, with the (transformed) ratings it was trained on. All or nothing:
    /// the files are written beside, then renamed; what was in `dir` stays until then, and for good
    /// on a failure.
    ///
    /// An existing model is replaced only with `overwrite`. Equal models make equal files.
    pub fn save(&self, dir: impl AsRef<Path>, seen: &Ratings, overwrite: bool) -> Result<()> {
        self.check_whole().map_err(not_saved)?;
        let seen = Seen::new(seen, self.factors.users(), self.factors.items())?;
        self.save_with(dir, &seen, None, overwrite)
    }

    /// As [`save`](Self::save), with the record of the training pairs as it is, and the samples of a
    /// Bayesian model, which needs them.
    pub fn save_with(
        &self,
        dir: impl AsRef<Path>,
        seen: &Seen,
        samples: Option<&Samples>,
        overwrite: bool,
    ) -> Result<()> {
        let sizes = (self.factors.users(), self.factors.items());
        let check = self.check_whole().and_then(|()| {
            if (seen.users(), seen.items()) != sizes {
                return Err("the training pairs are another model's".to_owned());
            }
            seen.check_counts(self, false)
                .map_err(|e| format!("the record of training pairs {e}"))?;
            match (self.is_bayesian(), samples) {
                (true, None) => Err("a model of solver bayes needs its samples"),
                (false, Some(_)) => Err("only a model of solver bayes has samples"),
                _ => Ok(()),
            }
            .map_err(str::to_owned)
        });
        check.map_err(not_saved)?;
        let mut run = RunFile::new(self)?;
        whole::write_directory(dir.as_ref(), overwrite, &Self::KIND, |dir| {
            if let Some(samples) = samples {
                samples.save(dir, &self.factors)?;
            }
            write_factors(&dir.join(FACTORS), &self.factors, &self.typical)?;
            id_file::write(&dir.join(USERS), &self.users, &self.user_ratings)?;
            id_file::write(&dir.join(ITEMS), &self.items, &self.item_ratings)?;
            seen.save(dir)?;
            run.run.parts.clear();
            for name in [FACTORS, USERS, ITEMS, Seen::FILE] {
                run.run.parts.insert(name.to_owned(), part_of(&dir.join(name))?);
            }
            if samples.is_some() {
                let part = part_of(&dir.join(Samples::FILE))?;
                run.run.parts.insert(Samples::FILE.to_owned(), part);
            }
            let document = serde_json::to_value(&run).map_err(not_json)?;
            seal(&mut run.run.parts, document);
            write_file(&dir.join(RUN), |out| {
                serde_json::to_writer_pretty(&mut *out, &run)?;
                out.write_all(b"\n")
            })
        })
    }

    /// The training pairs of the model in `dir`, checked against this model.
    pub fn open_seen(&self, dir: impl AsRef<Path>) -> Result<Seen> {
        let dir = dir.as_ref();
        Seen::read(dir, Some(self), self.run.part(dir, Seen::FILE)?)
    }

    /// The samples of the model in `dir`, checked against this model.
    ///
    /// # Errors
    /// A model that is not Bayesian; no samples, a damaged file, or the samples of another model.
    pub fn open_samples(&self, dir: impl AsRef<Path>) -> Result<Samples> {
        if !self.is_bayesian() {
            let message = format!(
                "was trained by {} and holds no samples of the posterior; train with `solver` bayes",
                self.objective.solver.name()
            );
            return Err(Error::file(dir, message));
        }
        let dir = dir.as_ref();
        let path = dir.join(Samples::FILE);
        if !path.is_file() {
            // Says that it is missing.
            return Samples::open(dir, &self.factors);
        }
        let kept = self.run.posterior.as_ref().map(|posterior| posterior.kept);
        Samples::read_part(&path, &self.factors, kept, self.run.part(dir, Samples::FILE)?)
    }

    /// Whether its parts fit, and every number is finite.
    fn check_whole(&self) -> Result<(), String> {
        self.objective.check()?;
        self.facts.check()?;
        self.check().map_err(|e| e.to_string())?;
        self.check_finite()
    }

    fn check_finite(&self) -> Result<(), String> {
        let f = &self.factors;
        if !f.global_mean.is_finite() {
            return Err("the mean is not finite".into());
        }
        let arrays = [
            ("user factors", &f[Side::User].factors, f.factors, &self.users),
            ("item factors", &f[Side::Item].factors, f.factors, &self.items),
            ("user bias", &f[Side::User].bias, 1, &self.users),
            ("item bias", &f[Side::Item].bias, 1, &self.items),
            ("user typical", &self.typical[0], 1, &self.users),
            ("item typical", &self.typical[1], 1, &self.items),
        ];
        for (what, array, width, ids) in arrays {
            if let Some(at) = array.iter().position(|x| !x.is_finite()) {
                let id = escaped(ids.name((at / width) as u32));
                return Err(format!("{what} of \"{id}\" not finite"));
            }
        }
        Ok(())
    }
}

fn not_json(error: serde_json::Error) -> Error {
    Error::data(format!("{RUN}: {error}"))
}

fn not_saved(message: String) -> Error {
    Error::data(format!("model not saved: {message}"))
}

/// The tensors of `model.safetensors`: five, and where there are any what stands in for unknown partners.
pub(super) fn write_factors(path: &Path, f: &Factors, typical: &[Vec<f32>; 2]) -> Result<()> {
    let (users, items, k) = (f.users(), f.items(), f.factors);
    let mut list = vec![
        Tensor::new("user_factors", &[users, k], &f[Side::User].factors),
        Tensor::new("item_factors", &[items, k], &f[Side::Item].factors),
        Tensor::new("user_bias", &[users], &f[Side::User].bias),
        Tensor::new("item_bias", &[items], &f[Side::Item].bias),
        Tensor::new("global_mean", &[1], std::slice::from_ref(&f.global_mean)),
    ];
    for (name, typical) in TYPICAL.into_iter().zip(typical) {
        if !typical.is_empty() {
            list.push(Tensor::new(name, &[typical.len()], typical));
        }
    }
    tensors::write(path, list)
}

/// Tensors that older models do not have.
const TYPICAL: [&str; 2] = ["user_typical", "item_typical"];

fn read_factors(dir: &Path, run: &RunRecord) -> Result<(Factors, [Vec<f32>; 2])> {
    let path = &dir.join(FACTORS);
    let wrong = |message: String| Error::file(path, format!("{message}; {AGAIN}"));
    let part = run.part(dir, FACTORS)?;
    let mut file = TensorFile::open(path)?;
    if let Some(part) = part {
        part.check_length(path, file.file())?;
    }
    let [users, k] = file.shape("user_factors")?;
    let [items, _] = file.shape("item_factors")?;
    let told = run.settings["factors"].as_u64();
    if let Some(told) = told.filter(|&told| told != k as u64) {
        return Err(wrong(format!("has rows of {k} factors, {RUN} tells of {told}")));
    }
    if told.is_none() && k > UNTOLD_FACTORS {
        return Err(wrong(format!("has rows of {k} factors, of which {RUN} does not tell")));
    }
    // Before as many rows are read into memory. A row of the table is no shorter than `0,,0` and its end.
    for (name, rows) in [(USERS, users), (ITEMS, items)] {
        let table = dir.join(name);
        let bytes = fs::metadata(&table).map_err(|e| Error::io(&table, e))?.len();
        if rows as u64 > bytes / 5 {
            let message =
                format!("is cut short: {bytes} bytes for {rows} rows of factors; {AGAIN}");
            return Err(Error::file(table, message));
        }
    }
    let mean = file.read("global_mean", &[1])?;
    let mut typical: [Vec<f32>; 2] = Default::default();
    for ((name, rows), to) in TYPICAL.into_iter().zip([users, items]).zip(&mut typical) {
        if file.has(name) {
            *to = file.read(name, &[rows])?;
        }
    }
    let factors = Factors {
        factors: k,
        sides: [
            SideFactors {
                factors: file.read("user_factors", &[users, k])?,
                bias: file.read("user_bias", &[users])?,
            },
            SideFactors {
                factors: file.read("item_factors", &[items, k])?,
                bias: file.read("item_bias", &[items])?,
            },
        ],
        global_mean: mean[0],
    };
    if let Some(part) = part {
        part.check(path, file.file())?;
    }
    Ok((factors, typical))
}

fn read_run(path: &Path) -> Result<RunFile> {
    /// Read first: a later format may have changed all the rest.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let length = fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    if length > RUN_BYTES {
        let message = format!("has {length} bytes, and no record of a run has as many; {AGAIN}");
        return Err(Error::file(path, message));
    }
    let text = fs::read(path).map_err(|e| Error::io(path, e))?;
    let wrong = |e: serde_json::Error| Error::file(path, format!("{e}; {AGAIN}"));
    let document: Value = serde_json::from_slice(&text).map_err(wrong)?;
    let Format { format } = Format::deserialize(&document).map_err(wrong)?;
    if format > FORMAT {
        let message = format!(
            "this model has format {format}, and this wgmf ({}) reads up to {FORMAT}; \
             update wgmf",
            env!("CARGO_PKG_VERSION")
        );
        return Err(Error::file(path, message));
    }
    let file = serde_json::from_value(document.clone()).map_err(wrong)?;
    check_seal(path, &document)?;
    Ok(file)
}
