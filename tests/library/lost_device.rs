//! A device that is lost, hangs or has no memory left: an error that says so, or the CPU goes on.

use crate::common;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wgmf::backend::Backend;
use wgmf::core::{Likelihood, Loss, Options};
use wgmf::evaluate::Relevance;
use wgmf::gpu::{Failure, Gpu, Trouble};
use wgmf::model::EpochRecord;
use wgmf::{Dataset, ErrorKind, Fallback, Fit, Trained, fit, open_device};

/// 60 users rate 9 of 40 items each, 1 to 5.
fn stars() -> (Dataset, Dataset) {
    let pairs = (0..540_u32).map(|j| (j % 60, (j % 60 * 7 + j / 60 * 4) % 40));
    let (users, items): (Vec<u32>, Vec<u32>) = pairs.unzip();
    let value = |(user, item): (&u32, &u32)| ((user % 7 * 3 + item % 5 * 2) % 9) as f32 / 2.0 + 1.0;
    let values: Vec<f32> = users.iter().zip(&items).map(value).collect();
    Dataset::from_triples(&users, &items, &values).unwrap().split(0.15, 3).unwrap()
}

/// Every kind of passes, with all that their states have: moments, a best epoch, chains, levels.
fn runs() -> Vec<(&'static str, Options)> {
    let bayes = || Options::bayes().factors(3).samples(5).burn_in(1).seed(4);
    vec![
        ("sgd", Options::sgd().factors(3).epochs(6).batch_size(64)),
        ("adam", Options::adam().factors(3).epochs(6).batch_size(64).patience(5)),
        ("softmax", Options::adam().loss(Loss::Softmax).factors(3).epochs(6).batch_size(64)),
        ("als", Options::als().factors(3).epochs(6)),
        ("ials", Options::ials().factors(3).epochs(6)),
        ("bayes", Options { chains: Some(2), ..bayes() }),
        ("ordinal", bayes().likelihood(Likelihood::Ordinal)),
    ]
}

/// A GPU, and the same with the CPU behind it, with what it said of that.
fn pair() -> (Gpu, Arc<dyn Backend>, Arc<Mutex<Vec<String>>>) {
    let gpu = common::gpu();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let say = move |error: &wgmf::Error, _: &wgmf::backend::Device| {
        heard.lock().unwrap().push(error.to_string());
    };
    (gpu.clone(), Fallback::to_cpu(Arc::new(gpu), say), told)
}

fn says(failure: Failure) -> &'static str {
    match failure {
        Failure::Lost | Failure::LostWaiting => "the device was lost",
        Failure::Hangs => "no answer for 0.2 s",
        Failure::NoMemory => "the device has no memory left for \"",
    }
}

fn train(options: &Options, device: &Arc<dyn Backend>) -> wgmf::Result<Trained> {
    let (training, test) = stars();
    Fit::new(&training, options, device).test(&test).run()
}

fn figures(record: &EpochRecord) -> Vec<f64> {
    record.figures().collect()
}

/// At the beginning, on the way and at the very end.
fn moments(count: usize) -> [usize; 3] {
    [0, count / 2, count - 1]
}

#[test]
fn training_ends_with_an_error_or_goes_on_on_the_cpu() {
    let mut tried = 0;
    for (name, options) in runs() {
        let gpu = common::gpu();
        let device: Arc<dyn Backend> = Arc::new(gpu.clone());
        gpu.failing(None);
        let straight = train(&options, &device).unwrap();
        let [submissions, buffers, waits] = gpu.counts();
        let history = &straight.model().run.history;
        // Another run may make a few less: one that comes back in time is used again.
        let buffers = buffers - buffers / 8;
        for (failure, count) in [
            (Failure::Lost, submissions),
            (Failure::LostWaiting, waits),
            (Failure::NoMemory, buffers),
        ] {
            for at in moments(count) {
                let what = format!("{name}, {failure:?} at {at} of {count}");
                let (gpu, device, told) = pair();
                gpu.failing(Some(Trouble { failure, at }));
                let trained = train(&options, &device).unwrap_or_else(|e| panic!("{what}: {e}"));
                let run = &trained.model().run;
                let fallback = run.fallback.as_ref().unwrap_or_else(|| panic!("{what}: is unsaid"));
                assert!(fallback.error.contains(says(failure)), "{what}: {}", fallback.error);
                assert_eq!(
                    told.lock().unwrap()[..],
                    std::slice::from_ref(&fallback.error)[..],
                    "{what}"
                );
                assert_eq!((&*run.backend, &*fallback.backend), ("cpu", "gpu"), "{what}");
                assert_eq!(trained.device().device().backend, "cpu", "{what}");
                // What was done on the GPU is what it would have done; the rest comes near.
                assert_eq!(run.history.len(), history.len(), "{what}");
                for (got, want) in run.history.iter().zip(history) {
                    if got.epoch <= fallback.epochs {
                        assert_eq!(figures(got), figures(want), "{what}");
                    }
                    let first = got.epoch == fallback.epochs + 1;
                    assert_eq!(got.fallback.is_some(), first, "{what}, epoch {}", got.epoch);
                }
                let error = |run: &[EpochRecord]| run.last().unwrap().test_error;
                if let (Some(got), Some(want)) = (error(&run.history), error(history)) {
                    assert!((got / want - 1.0).abs() < 0.1, "{what}: {got}, not {want}");
                }
                tried += 1;
            }
        }
    }
    println!("{tried} failures");
}

#[test]
fn without_a_fallback_it_is_an_error_that_says_what_next() {
    let (training, test) = stars();
    let options = Options::als().factors(3).epochs(6);
    for (failure, at) in [
        (Failure::Lost, 0),
        (Failure::Lost, 9),
        (Failure::LostWaiting, 2),
        (Failure::NoMemory, 4),
        (Failure::Hangs, 5),
    ] {
        let gpu = common::gpu().patience(match failure {
            Failure::Hangs => Duration::from_millis(200),
            _ => Duration::from_secs(100),
        });
        let device: Arc<dyn Backend> = Arc::new(gpu.clone());
        gpu.failing(Some(Trouble { failure, at }));
        let began = Instant::now();
        let error = Fit::new(&training, &options, &device).test(&test).run().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error.kind(), ErrorKind::Device(_)), "{text}");
        assert!(text.contains(says(failure)), "{failure:?}: {text}");
        for next in ["use `backend` cpu", "`fallback` cpu"] {
            assert!(text.contains(next), "{failure:?}: {text}");
        }
        // It stays so, at once, whatever is asked of it.
        let again = fit(&training, &options, &device).unwrap_err().to_string();
        assert_eq!(again, text);
        assert!(began.elapsed() < Duration::from_secs(20), "{failure:?}: {:?}", began.elapsed());
    }
}

#[test]
fn a_device_that_hangs_is_left_alone() {
    for options in [Options::sgd().factors(3).epochs(4), Options::bayes().factors(3).samples(3)] {
        let (gpu, device, told) = pair();
        let device_again = device.clone();
        gpu.failing(Some(Trouble { failure: Failure::Hangs, at: 3 }));
        let _gpu = gpu.patience(Duration::from_millis(200));
        let trained = train(&options, &device).unwrap();
        assert!(trained.model().run.fallback.is_some());
        assert_eq!(told.lock().unwrap().len(), 1);
        // The next model is the CPU's from the start, and its record says why.
        let next = train(&options, &device_again).unwrap();
        assert_eq!(next.model().run.fallback.as_ref().unwrap().epochs, 0);
        let cpu = train(&options, &open_device("cpu").unwrap()).unwrap();
        assert_eq!(next.model().factors, cpu.model().factors);
    }
}

/// Lists, ranks, similar rows and new rows, wherever the device fails.
#[test]
fn what_is_asked_of_a_model_has_its_answer_from_the_cpu() {
    let (training, test) = stars();
    let cpu = open_device("cpu").unwrap();
    let newcomers =
        Dataset::from_triples(&["zoe", "zoe", "yan"], &[0, 3, 7], &[5.0, 1.0, 4.0]).unwrap();
    let users: Vec<String> = training.users().iter().map(str::to_owned).collect();
    let home = tempfile::tempdir().unwrap();
    for (name, options) in runs().into_iter().filter(|(name, _)| ["als", "bayes"].contains(name)) {
        let dir = home.path().join(name);
        fit(&training, &options, &cpu).unwrap().save(&dir, false).unwrap();
        let ask = |device: &Arc<dyn Backend>, dir: &Path| -> wgmf::Result<String> {
            let model = Trained::open(dir, device)?;
            let lists = model.recommend_many(&users, 5)?;
            let similar = model.similar_items("3", 5)?;
            let ranking = model.evaluate_ranking(&test, &[5], Relevance::All)?;
            let folded = model.fold_in(&newcomers)?;
            Ok(format!("{lists:?} {similar:?} {ranking:?} {:?}", folded.trained.model().factors))
        };
        let want = ask(&cpu, &dir).unwrap();
        let gpu = common::gpu();
        gpu.failing(None);
        let device: Arc<dyn Backend> = Arc::new(gpu.clone());
        ask(&device, &dir).unwrap();
        let [submissions, buffers, waits] = gpu.counts();
        for (failure, count) in [
            (Failure::Lost, submissions),
            (Failure::LostWaiting, waits),
            (Failure::NoMemory, buffers),
        ] {
            for at in moments(count) {
                let (gpu, device, told) = pair();
                gpu.failing(Some(Trouble { failure, at }));
                let got = ask(&device, &dir).unwrap_or_else(|e| panic!("{name}, {failure:?}: {e}"));
                assert_eq!(told.lock().unwrap().len(), 1, "{name}, {failure:?} at {at} of {count}");
                // Scores are the f64 sums of the host, and rows of one that is folded in are the CPU's.
                if at == 0 {
                    assert_eq!(got, want, "{name}, {failure:?} at {at} of {count}");
                }
                let bare: Arc<dyn Backend> = Arc::new(gpu);
                let error = ask(&bare, &dir).unwrap_err().to_string();
                assert!(error.contains(says(failure)), "{error}");
            }
        }
    }
}
