//! What a run of the sampler leaves: samples, their means, averages, diagnostics; and that it goes
//! on from a checkpoint, on any number of threads, to the same bits.

use crate::{oracle, place};
use wgmf::backend::Backend;
use wgmf::core::{
    Ids, Likelihood, Objective, Options, Ratings, SamplePrecision, Settings, Side, Solver, UNKNOWN,
};
use wgmf::cpu::Cpu;
use wgmf::model::{EpochRecord, Model, Samples, Seen};
use wgmf::train::{Checkpoint, Event, Input, Origin, Outcome, Stop, train};

use oracle::case::Draw;
use place::Place;
use std::ops::ControlFlow;
use std::path::Path;

const USERS: usize = 60;
const ITEMS: usize = 40;

struct Data {
    users: Ids,
    items: Ids,
    ratings: Ratings,
    test: Ratings,
}

/// Ratings with a pattern and noise; one held-out rating in 20 is of an unknown user or item.
fn data() -> Data {
    let mut draw = Draw::new(3);
    let names = |n: usize, side: &str| (0..n).map(|j| format!("{side}{j}")).collect();
    let mut triples = |n: usize, unknown: bool| {
        let mut ratings = Ratings::default();
        for j in 0..n {
            let (user, item) = (draw.below(USERS), draw.below(ITEMS));
            let value = 3.0 + f64::from(user % 5) * 0.3 - f64::from(item % 4) * 0.4;
            let value = value + f64::from(user % 3) * f64::from(item % 3) * 0.2;
            ratings.values.push((value + f64::from(draw.between(-1.0, 1.0))) as f32);
            ratings.users.push(if unknown && j % 40 == 0 { UNKNOWN } else { user });
            ratings.items.push(if unknown && j % 40 == 20 { UNKNOWN } else { item });
        }
        ratings
    };
    let (ratings, test) = (triples(900, false), triples(200, true));
    Data { users: names(USERS, "u"), items: names(ITEMS, "i"), ratings, test }
}

fn options() -> Options {
    Options {
        solver: Some(Solver::Bayes),
        factors: Some(3),
        samples: Some(30),
        burn_in: Some(5),
        keep: Some(6),
        seed: 11,
        ..Options::default()
    }
}

fn settings(data: &Data, options: &Options) -> Settings {
    options.resolve(&data.ratings, USERS, ITEMS).unwrap()
}

fn input(data: &Data) -> Input<'_> {
    Input { test: Some(&data.test), ..Input::new(&data.users, &data.items, &data.ratings) }
}

fn run(data: &Data, options: &Options) -> Outcome {
    let go_on = &mut |_: Event| Ok(ControlFlow::Continue(()));
    train(&Cpu::new(), input(data), &settings(data, options), go_on).unwrap()
}

fn model(data: &Data, outcome: &Outcome) -> Model {
    Model {
        typical: Default::default(),
        factors: outcome.factors.clone(),
        users: data.users.clone(),
        items: data.items.clone(),
        user_ratings: data.ratings.counts(Side::User, USERS),
        item_ratings: data.ratings.counts(Side::Item, ITEMS),
        objective: Objective::new(Solver::Bayes),
        facts: Default::default(),
        run: Default::default(),
    }
}

fn save(data: &Data, outcome: &Outcome, dir: &Path) -> Model {
    let model = model(data, outcome);
    let seen = Seen::new(&data.ratings, USERS, ITEMS).unwrap();
    model.save_with(dir, &seen, outcome.samples.as_ref(), true).unwrap();
    model
}

#[test]
fn samples_come_back_as_they_went() {
    let (home, data) = (tempfile::tempdir().unwrap(), data());
    for precision in [SamplePrecision::F16, SamplePrecision::F32] {
        let dir = home.path().join("m");
        let outcome = run(&data, &Options { sample_precision: Some(precision), ..options() });
        let samples = outcome.samples.as_ref().unwrap();
        assert_eq!(samples.samples.len(), 6);
        save(&data, &outcome, &dir);
        let model = Model::open(&dir).unwrap();
        assert!(model.is_bayesian());
        let opened = model.open_samples(&dir).unwrap();
        assert_eq!(&opened, samples);
        assert_eq!(opened.precision, precision);
        assert_eq!(model.factors, opened.means(None));
        let bytes = std::fs::metadata(dir.join(Samples::FILE)).unwrap().len();
        let announced = precision.file_bytes(6, (USERS, ITEMS), 3);
        assert!((announced..announced + 2500).contains(&bytes), "{bytes}, announced {announced}");
    }
}

#[test]
fn a_model_of_samples_is_not_saved_without_them_nor_another_with_them() {
    let (home, data) = (tempfile::tempdir().unwrap(), data());
    let dir = home.path().join("m");
    let outcome = run(&data, &Options { samples: Some(6), burn_in: Some(1), ..options() });
    let bayes = model(&data, &outcome);
    let seen = Seen::new(&data.ratings, USERS, ITEMS).unwrap();
    let message = bayes.save_with(&dir, &seen, None, false).unwrap_err().to_string();
    assert!(message.contains("needs its samples"), "{message}");
    let mut als = bayes.clone();
    als.objective.solver = Solver::Als;
    let samples = outcome.samples.as_ref();
    let message = als.save_with(&dir, &seen, samples, false).unwrap_err().to_string();
    assert!(message.contains("only a model of solver bayes"), "{message}");
    let mut broken = outcome.samples.clone().unwrap();
    broken.samples[1].factors[Side::User].factors.pop();
    let message = bayes.save_with(&dir, &seen, Some(&broken), false).unwrap_err().to_string();
    assert!(message.contains("the shape of sample 1"), "{message}");
    let mut large = outcome.samples.clone().unwrap();
    large.samples[0].factors[Side::Item].factors[4] = 70_000.0;
    let message = bayes.save_with(&dir, &seen, Some(&large), false).unwrap_err().to_string();
    assert!(message.contains("`sample_precision` f32"), "{message}");
    let names = (&data.users, &data.items);
    let message = large.samples[0].check_precision(large.precision, names).unwrap_err();
    assert!(message.to_string().contains("item \"i1\" is 7e4, beyond 16 bits"), "{message}");
    large.samples[0].check_precision(SamplePrecision::F32, names).unwrap();
    assert!(!dir.exists());
}

// With every sample kept in 32 bits, averages can be had from the samples themselves.
#[test]
fn held_out_predictions_average_every_sweep_after_burn_in() {
    let data = data();
    for (chains, clip) in [(1, false), (2, true)] {
        let outcome = run(
            &data,
            &Options {
                samples: Some(20),
                keep: Some(20 * chains),
                chains: Some(chains),
                clip,
                sample_precision: Some(SamplePrecision::F32),
                ..options()
            },
        );
        let samples = outcome.samples.unwrap();
        assert_eq!(samples.samples.len(), 20 * chains);
        let held_out = outcome.held_out.unwrap();
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for &value in &data.ratings.values {
            (low, high) = (low.min(f64::from(value)), high.max(f64::from(value)));
        }
        let mut error = 0.0;
        for ((user, item, value), got) in data.test.iter().zip(&held_out) {
            let mut sum = 0.0;
            for sample in &samples.samples {
                let f = &sample.factors;
                // [p, b] of a user the model does not know are its prior's mean; likewise items.
                let row = |side: usize, index: u32| -> Vec<f64> {
                    if index == UNKNOWN {
                        return sample.priors[side].mean_of(samples.popularity[side].unknown);
                    }
                    let (factors, bias) = match side {
                        0 => (f.user(index), f[Side::User].bias[index as usize]),
                        _ => (f.item(index), f[Side::Item].bias[index as usize]),
                    };
                    factors.iter().chain([&bias]).map(|&x| f64::from(x)).collect()
                };
                let (p, q) = (row(0, user), row(1, item));
                let product = (0..3).map(|j| p[j] * q[j]).sum::<f64>();
                let prediction = f64::from(f.global_mean) + p[3] + q[3] + product;
                sum += if clip { prediction.clamp(low, high) } else { prediction };
            }
            let average = sum / samples.samples.len() as f64;
            assert!((average - got).abs() < 1e-5, "{average}, and {got} was averaged");
            error += (f64::from(value) - got).powi(2) / data.test.len() as f64;
        }
        let last = outcome.history.last().unwrap();
        assert!((last.test_error.unwrap() - error).abs() < 1e-9);
        // The average is better than one sample, and burn-in has no average.
        assert!(last.test_error < last.sample_error);
        for record in &outcome.history {
            assert_eq!(record.test_error.is_some(), record.epoch > 5);
            assert!(record.sample_error.is_some());
        }
        let posterior = outcome.posterior.unwrap();
        assert_eq!((posterior.chains, posterior.sweeps, posterior.burn_in), (chains, 20, 5));
        assert_eq!((posterior.kept, posterior.predictions.len()), (20 * chains, 8));
        // All precisions are in the samples, too.
        let noise = posterior.noise_precision.unwrap();
        let precisions = samples.samples.iter().map(|sample| sample.noise_precision);
        let mean = precisions.sum::<f64>() / samples.samples.len() as f64;
        assert!((noise.mean - mean).abs() < 1e-12 * mean);
        assert!(noise.r_hat.unwrap() > 0.9 && noise.effective_samples.unwrap() > 0.0);
    }
}

#[test]
fn the_first_of_several_chains_is_what_it_is_alone_and_the_others_differ() {
    let data = data();
    let alone = run(&data, &options()).samples.unwrap().samples;
    let options = Options { chains: Some(3), keep: Some(18), ..options() };
    let three = run(&data, &options).samples.unwrap().samples;
    assert_eq!((alone.len(), three.len()), (6, 18));
    for (at, sample) in alone.iter().enumerate() {
        assert_eq!(sample, &three[3 * at]);
        assert_ne!(sample, &three[3 * at + 1]);
        assert_ne!(three[3 * at + 1], three[3 * at + 2]);
    }
}

#[test]
fn patience_stops_where_the_average_no_longer_improves() {
    let data = data();
    let options = Options { samples: Some(2000), patience: Some(10), ..options() };
    let outcome = run(&data, &options);
    let sweeps = outcome.history.len();
    assert_eq!(outcome.stop, Stop::Patience);
    let best = wgmf::train::best_epoch(&outcome.history).unwrap();
    assert_eq!(sweeps, best + 10);
    // It is the average of all of them, whatever the best was.
    assert_eq!(outcome.epoch, sweeps);
    assert_eq!(outcome.posterior.as_ref().unwrap().sweeps, sweeps - 5);
    assert!(outcome.held_out.is_some() && sweeps < 2000);
    // As many samples are kept as without patience, or half of them.
    let samples = outcome.samples.unwrap();
    let (kept, keep) = (samples.samples.len(), settings(&data, &options).keep);
    assert!(kept <= keep && 2 * kept + 1 >= keep.min(sweeps - 5), "{kept} of {keep}, {sweeps}");
    assert_eq!(outcome.factors, samples.means(None));
}

#[test]
fn with_patience_samples_are_evenly_spaced_and_never_too_many() {
    let data = data();
    for (keep, chains, samples) in [(4, 1, 23), (6, 2, 13), (1, 1, 9), (30, 1, 30)] {
        let options = Options {
            samples: Some(samples),
            keep: Some(keep),
            chains: Some(chains),
            patience: Some(10_000),
            ..options()
        };
        let of = settings(&data, &options);
        let every = Options { keep: Some(samples * chains), patience: None, ..options };
        let all = run(&data, &every).samples.unwrap().samples;
        let kept = run(&data, &options).samples.unwrap().samples;
        let stride = of.stride(5 + samples);
        let want: Vec<_> = (1..=samples)
            .filter(|sweep| sweep.is_multiple_of(stride))
            .flat_map(|sweep| &all[(sweep - 1) * chains..sweep * chains])
            .collect();
        assert_eq!(kept.iter().collect::<Vec<_>>(), want);
        assert!(kept.len() <= keep && kept.len() == chains * of.kept_by(5 + samples));
    }
}

#[test]
fn a_run_stopped_within_burn_in_leaves_the_present_state() {
    let data = data();
    let settings = settings(&data, &options());
    for after in [0, 3] {
        let outcome = train(&Cpu::new(), input(&data), &settings, &mut |event| {
            let last = match event {
                Event::Epoch(record) => record.epoch,
                Event::Ready { .. } => 0,
                _ => return Ok(ControlFlow::Continue(())),
            };
            Ok(if last == after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
        assert_eq!((outcome.stop, outcome.history.len()), (Stop::Interrupted, after));
        let samples = outcome.samples.as_ref().unwrap();
        assert_eq!(samples.samples.len(), 1);
        assert_eq!(outcome.factors, samples.samples[0].factors);
        assert_eq!(outcome.posterior.as_ref().unwrap().sweeps, 0);
        assert!(outcome.held_out.is_none());
        // It is a whole model all the same.
        let home = tempfile::tempdir().unwrap();
        let model = save(&data, &outcome, &home.path().join("m"));
        assert_eq!(&model.open_samples(home.path().join("m")).unwrap(), samples);
    }
}

/// A run that hands out a checkpoint after `at` sweeps, which is saved to `dir`, and goes on.
fn checkpointed(data: &Data, options: &Options, at: usize, dir: &Path) -> Outcome {
    let settings = settings(data, options);
    let input = Input { checkpoint_every: Some(at), ..input(data) };
    let mut first = true;
    train(&Cpu::new(), input, &settings, &mut |event| {
        if let Event::Checkpoint(checkpoint) = event
            && std::mem::take(&mut first)
        {
            checkpoint.save(dir, &settings, &Origin::new("these", &Cpu::new().device()), None)?;
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap()
}

fn resumed(data: &Data, options: &Options, dir: &Path) -> wgmf::Result<Outcome> {
    let settings = settings(data, options);
    let origin = Origin::new("these", &Cpu::new().device());
    let resume = Some(Checkpoint::open(dir, &settings, &origin, false)?);
    let input = Input { resume, ..input(data) };
    train(&Cpu::new(), input, &settings, &mut |_| Ok(ControlFlow::Continue(())))
}

#[test]
fn a_run_goes_on_from_its_checkpoint_to_the_same_bits() {
    let (home, data) = (tempfile::tempdir().unwrap(), data());
    let mut levels = self::data();
    for ratings in [&mut levels.ratings, &mut levels.test] {
        ratings.values.iter_mut().for_each(|value| *value = value.round().clamp(1.0, 4.0));
    }
    // Within burn-in, before a sample is kept, and after.
    for (at, chains, likelihood) in [
        (3, 2, Likelihood::Gaussian),
        (7, 1, Likelihood::Gaussian),
        (17, 1, Likelihood::Gaussian),
        (20, 2, Likelihood::Gaussian),
        (13, 2, Likelihood::Ordinal),
    ] {
        let options = Options {
            chains: Some(chains),
            likelihood: Some(likelihood),
            patience: Some(1000),
            ..options()
        };
        let data = if likelihood == Likelihood::Ordinal { &levels } else { &data };
        let dir = home.path().join(format!("checkpoint-{at}"));
        let whole = checkpointed(data, &options, at, &dir);
        let resumed = resumed(data, &options, &dir).unwrap();
        assert_eq!(resumed.samples, whole.samples, "after {at}");
        assert_eq!(resumed.factors, whole.factors);
        assert_eq!(resumed.held_out, whole.held_out);
        assert_eq!(resumed.posterior, whole.posterior);
        let errors = |outcome: &Outcome| -> Vec<_> {
            let of =
                |r: &EpochRecord| [r.train_error, r.sample_error, r.test_error, r.test_log_loss];
            outcome.history.iter().map(of).collect()
        };
        assert_eq!(errors(&resumed), errors(&whole));
    }
}

#[test]
fn a_resumed_run_may_draw_more_samples_where_thinning_allows() {
    let (home, data) = (tempfile::tempdir().unwrap(), data());
    let dir = home.path().join("checkpoint");
    // 15 sweeps that count, 3 samples of each chain kept.
    let first = Options { chains: Some(2), keep: Some(12), ..options() };
    checkpointed(&data, &first, 20, &dir);
    let more = Options { samples: Some(60), ..first.clone() };
    let outcome = resumed(&data, &more, &dir).unwrap();
    assert_eq!(outcome.history.len(), 65);
    let samples = outcome.samples.unwrap().samples;
    assert_eq!(samples.len(), 12);
    // Of an uninterrupted run the later half is the same; what is left of the start is thinned.
    let whole = run(&data, &more);
    let of_whole = whole.samples.unwrap().samples;
    assert_eq!(of_whole.len(), 12);
    assert_eq!(samples[2..], of_whole[2..]);
    assert_eq!(outcome.held_out, whole.held_out);
    for (options, says) in [
        (Options { samples: Some(10), keep: Some(10), ..first.clone() }, "20 sweeps already"),
        (Options { samples: Some(30), keep: Some(40), ..first.clone() }, "lower `keep`"),
        (Options { samples: Some(16), ..first.clone() }, "lower `keep`, raise `samples`"),
        (Options { burn_in: Some(6), ..first.clone() }, "only `samples` and `keep` and"),
        (Options { chains: Some(1), ..first.clone() }, "other settings"),
        (Options { seed: 12, ..first.clone() }, "other settings"),
    ] {
        let message = resumed(&data, &options, &dir).unwrap_err().to_string();
        assert!(message.contains(says), "{message} lacks {says}");
    }
}

#[test]
fn whatever_the_threads_the_model_has_the_same_bits() {
    let place = Place::with_sample();
    let line = "train plays.csv --solver bayes --backend cpu --factors 6 --samples 12 --burn-in 3 \
                --keep 4 --chains 2 --holdout 0.1 --transform log1p --force --progress none";
    let files = ["model.safetensors", "samples.safetensors", "seen.safetensors", "users.csv"];
    let mut first: Option<(Vec<Vec<u8>>, serde_json::Value)> = None;
    for threads in [1, 2, 3, 4, 1] {
        place.ok(&format!("{line} --model m --threads {threads}"));
        let bytes = files.map(|file| place.read(&format!("m/{file}"))).to_vec();
        let mut record = place.record("m");
        // The digest of the parts has these in it.
        for key in ["seconds", "ratings_per_second", "device", "parts"] {
            record[key] = serde_json::Value::Null;
        }
        for epoch in record["history"].as_array_mut().unwrap() {
            epoch["seconds"] = serde_json::Value::Null;
            epoch["pass_seconds"] = serde_json::Value::Null;
        }
        match &first {
            None => first = Some((bytes, record)),
            Some(first) => assert!(*first == (bytes, record), "{threads} threads differ"),
        }
    }
}

#[test]
fn train_and_info_say_what_the_sampler_did() {
    let place = Place::with_sample();
    let line = "train plays.csv --solver bayes --backend cpu --factors 4 --samples 40 --burn-in 10 \
                --keep 8 --chains 2 --holdout 0.1 --transform log1p";
    let output = place.run(&format!("{line} --model m"));
    let (said, talk) = (place::stdout(&output), place::stderr(&output));
    assert!(output.status.success(), "{talk}");
    assert!(talk.contains("samples: 8 of 80 kept, ") && talk.contains(" MB in f16"), "{talk}");
    assert!(talk.contains("sweep 3/50  RMSE of transformed ratings: training "), "{talk}");
    assert_eq!(talk.matches("(burn-in)").count(), 10, "{talk}");
    assert_eq!(talk.matches(", averaged ").count(), 40, "{talk}");
    assert!(talk.contains("sampler: 80 samples; noise R-hat "), "{talk}");
    assert!(said.contains("50 sweeps done") && said.contains("(average of 8 samples)"), "{said}");

    let record = place.record("m");
    let posterior = &record["posterior"];
    assert_eq!(posterior["chains"], 2);
    assert_eq!(posterior["sweeps"], 40);
    assert_eq!(posterior["kept"], 8);
    for key in ["noise_precision", "noise_shape"] {
        for figure in ["mean", "deviation", "r_hat", "effective_samples"] {
            assert!(posterior[key][figure].as_f64().unwrap() > 0.0, "{key} {figure}");
        }
    }
    let watched = posterior["predictions"].as_array().unwrap();
    assert!(watched.len() == 8 && watched.iter().all(|w| w["user"].is_string()));
    // What train prints is the metric of the samples that are kept, in the unit of the file: not far from
    // that of all of them.
    let rmse = posterior["held_out"]["rmse"].as_f64().unwrap();
    assert!(said.contains(&format!("held-out RMSE {rmse:.4}")), "{said}");
    let model_rmse = posterior["held_out"]["model_rmse"].as_f64().unwrap();
    let last = record["history"].as_array().unwrap().last().unwrap();
    let error = last["test_error"].as_f64().unwrap();
    let apart = (model_rmse / error.sqrt() - 1.0).abs();
    assert!(apart > 1e-6 && apart < 0.02, "{model_rmse} and {error}");

    let info = place.ok("info m");
    for says in ["sampler     2 chains, 40 sweeps after 10 of burn-in, 8 samples kept", "R-hat"] {
        assert!(info.contains(says), "{info}");
    }
    let events = place.ok(&format!("{line} --model m --force --progress json"));
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let epochs: Vec<_> = events.iter().filter(|event| event["event"] == "epoch").collect();
    assert_eq!(epochs[9]["burn_in"], true);
    assert!(epochs[9]["model_test_rmse"].is_null() && epochs[9]["model_sample_test_rmse"].is_f64());
    assert_eq!(epochs[10]["burn_in"], false);
    assert!(epochs[10]["model_test_rmse"].is_f64());
    let done = events.last().unwrap();
    assert_eq!((&done["samples"], &done["samples_kept"]), (&80.into(), &8.into()));
    assert!((done["test_rmse"].as_f64().unwrap() - rmse).abs() < 1e-12);
    assert!(done["r_hat"].is_f64() && done["effective_samples"].is_f64());
}

#[test]
fn chains_start_where_they_are_told() {
    let place = Place::with_sample();
    let line = "train plays.csv --backend cpu --factors 4 --progress none";
    place.ok(&format!("{line} --solver als --model als"));
    let bayes = "--solver bayes --samples 4 --burn-in 0 --keep 4 --chains 2";
    // From another solver's model, and from arrays: within a few sweeps it fits as well.
    place.ok(&format!("{line} {bayes} --model warm --from als"));
    place.ok("export als --format npy --output start");
    place.ok(&format!("{line} {bayes} --model init --init start --order canonical"));
    place.ok(&format!("{line} {bayes} --model cold"));
    let error = |model: &str| place.record(model)["history"][0]["train_error"].as_f64().unwrap();
    assert!(error("warm") < error("cold") && error("init") < error("cold"));
    assert!(place.tensors("warm") != place.tensors("cold"));
    // And others go on from a model of samples.
    place.ok(&format!("{line} --solver als --epochs 1 --model again --from warm"));
}

#[test]
fn train_and_evaluate_measure_levels_alike() {
    let place = Place::with_sample();
    place.ok("split plays.csv --holdout 0.1 --output parts");
    for likelihood in ["probit --transform binary --threshold 4", "ordinal"] {
        let done = place.ok(&format!(
            "train parts/train.csv --test parts/test.csv --solver bayes --factors 4 --samples 6 \
             --burn-in 4 --keep 6 --sample-precision f32 --backend cpu --force --progress json \
             --model m --likelihood {likelihood}"
        ));
        let trained: serde_json::Value =
            serde_json::from_str(done.lines().next_back().unwrap()).unwrap();
        let evaluated = place.json("evaluate m parts/test.csv --json");
        for (of_train, of_evaluate) in
            [("test_rmse", "rmse"), ("test_relative_squared_error", "relative_squared_error")]
        {
            let [got, want] = [&trained[of_train], &evaluated[of_evaluate]].map(|x| x.as_f64());
            let (got, want) = (got.unwrap(), want.unwrap());
            assert!((got - want).abs() < 1e-5 * want, "{likelihood}, {of_train}: {got} {want}");
        }
        let info = place.ok("info m");
        let name = likelihood.split(' ').next().unwrap();
        assert!(info.contains(&format!("bayes, {name} likelihood, seed 0")), "{info}");
    }
}
