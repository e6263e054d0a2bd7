//! The front door: what lies on the device is uploaded once, whoever asks; what is made of parts fits.

use crate::fixture::{self, bayes::bayes};
use crate::recommend::{Notes, Noting};
use rayon::prelude::*;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Barrier};
use std::thread;
use wgmf::backend::Backend;
use wgmf::core::{Likelihood, Ratings, TransformKind};
use wgmf::cpu::Cpu;
use wgmf::model::Seen;
use wgmf::train::Stop;
use wgmf::{Dataset, Fit, Options, Trained, fit, open_device};

/// 30 users rate 6 of 12 items each, 1 to 5.
fn plays() -> Dataset {
    let pairs = (0..180_u32).map(|j| (j % 30, (j % 30 * 5 + j / 30 * 2) % 12));
    let (users, items): (Vec<u32>, Vec<u32>) = pairs.unzip();
    let value = |(user, item): (&u32, &u32)| (user * 3 + item * item) as f32 % 5.0 + 1.0;
    let values: Vec<f32> = users.iter().zip(&items).map(value).collect();
    Dataset::from_triples(&users, &items, &values).unwrap()
}

/// Ratings of two new users, one whom the models know, and one of whom nothing is known.
fn newcomers() -> Dataset {
    let users = ["zoe", "zoe", "yan", "0", "lone"];
    let items = ["0", "3", "1", "2", "q"];
    Dataset::from_triples(&users, &items, &[5.0, 1.0, 4.0, 3.0, 2.0]).unwrap()
}

fn noting() -> (Arc<dyn Backend>, Arc<Notes>) {
    let backend = Noting::new(Cpu::new());
    let notes = backend.notes.clone();
    (Arc::new(backend), notes)
}

fn brief() -> Vec<Options> {
    let sampler = Options::bayes().factors(3).samples(4).burn_in(1);
    vec![
        Options::sgd().factors(3).epochs(3),
        Options::als().factors(3).epochs(3),
        Options::als().factors(3).epochs(3).without_biases(),
        Options::ials().factors(3).epochs(3),
        sampler.clone(),
        sampler.clone().clip(),
        sampler.likelihood(Likelihood::Ordinal),
    ]
}

#[test]
fn threads_that_share_a_trained_model_upload_its_rows_once() {
    const THREADS: usize = 4;
    let (device, notes) = noting();
    let model = fit(&plays(), &Options::als().factors(4).epochs(3), &device).unwrap();
    assert_eq!(notes.rankers.load(Relaxed), 0);
    let alone = Trained::from_parts(
        model.model().as_ref().clone(),
        None,
        model.seen().as_ref().clone(),
        &open_device("cpu").unwrap(),
    )
    .unwrap();
    let (shared, start) = (Arc::new(model.clone()), Arc::new(Barrier::new(THREADS)));
    let ask = |model: &Trained| {
        let lists: Vec<_> = (0..30).map(|user| model.recommend(user, 4).unwrap()).collect();
        let alike: Vec<_> = (0..12).map(|item| model.similar_items(item, 4).unwrap()).collect();
        (lists, alike)
    };
    let want = ask(&alone);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            // One half asks clones, the other one and the same.
            let (own, shared, start) = (model.clone(), shared.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                ask(if thread % 2 == 0 { &own } else { &shared })
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), want);
    }
    assert_eq!(notes.rankers.load(Relaxed), 2, "one for lists, one for similar items");
}

#[test]
fn newcomers_are_ranked_by_what_lies_on_the_device_as_if_folded_in() {
    for options in brief() {
        let (device, notes) = noting();
        let model = fit(&plays(), &options, &device).unwrap();
        model.recommend(0, 3).unwrap();
        let uploads = notes.rankers.load(Relaxed);
        let lists = model.recommend_for(&newcomers(), 5).unwrap();
        assert_eq!(notes.rankers.load(Relaxed), uploads, "{options:?}");
        let folded = model.fold_in(&newcomers()).unwrap();
        let want = ["yan", "zoe"]
            .map(|user| (user.to_owned(), folded.trained.recommend(user, 5).unwrap()));
        assert_eq!(lists, want, "{options:?}");
        assert!(lists.iter().all(|(_, list)| list.len() == 5));
        assert!(lists[1].1.iter().all(|best| best.id != "0" && best.id != "3"));
    }
}

#[test]
fn folding_in_says_what_became_of_every_id() {
    let model = fit(&plays(), &Options::als().factors(3), &open_device("cpu").unwrap()).unwrap();
    let folded = model.fold_in(&newcomers()).unwrap();
    assert_eq!(folded.new, ["yan", "zoe"]);
    assert_eq!(folded.known, ["0"]);
    assert_eq!(folded.empty, ["lone"]);
    assert_eq!(folded.strangers, ["q"]);
    assert_eq!(folded.trained.model().users.len(), 32);
    // Of the other side: `q` has a rating by nobody who is known.
    let both = Dataset::from_triples(&["0", "lone"], &["new", "q"], &[1.0, 2.0]).unwrap();
    let folded = model.fold_in_items(&both).unwrap();
    assert_eq!((folded.new, folded.known), (vec!["new".to_owned()], vec![]));
    assert_eq!((folded.empty, folded.strangers), (vec!["q".to_owned()], vec!["lone".to_owned()]));
}

#[test]
fn a_model_is_taken_apart_and_put_together() {
    let device = open_device("cpu").unwrap();
    let model = fit(&plays(), &Options::als().factors(3), &device).unwrap();
    assert_eq!(model.stop(), Some(Stop::Finished));
    let lists = model.recommend(0, 3).unwrap();
    let (mut parts, samples, seen) = model.into_parts();
    let again = Trained::from_parts(parts.clone(), samples, seen.clone(), &device).unwrap();
    assert_eq!((again.recommend(0, 3).unwrap(), again.stop()), (lists, None));
    // The item that came last comes first in a model that says so.
    let worst = again.recommend(0, 12).unwrap().pop().unwrap().id;
    let row = parts.items.get(&worst).unwrap();
    parts.factors.sides[1].bias[row as usize] = 1000.0;
    let changed = Trained::from_parts(parts, None, seen, &device).unwrap();
    assert_eq!(changed.recommend(0, 1).unwrap()[0].id, worst);
    assert!(format!("{changed:?}").starts_with("Trained"));
}

#[test]
fn parts_of_different_models_are_refused() {
    let device = open_device("cpu").unwrap();
    let record = |users, items| Seen::new(&Ratings::default(), users, items).unwrap();
    let (drawn, samples) = bayes(&[]);
    let (users, items) = (drawn.factors.users(), drawn.factors.items());
    let made = |model, samples, seen| Trained::from_parts(model, samples, seen, &device);
    for (tried, part) in [
        (made(fixture::model(7, 9, 3), None, record(8, 9)), "8 users and 9 items"),
        (made(fixture::model(7, 9, 3), Some(samples.clone()), record(7, 9)), "only a model of"),
        (made(drawn.clone(), None, record(users, items)), "needs its samples"),
    ] {
        let said = tried.unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
    let mut few = samples.clone();
    few.samples.clear();
    let said = made(drawn.clone(), Some(few), record(users, items)).unwrap_err().to_string();
    assert!(said.contains("not those of the model"), "{said}");
    made(drawn, Some(samples), record(users, items)).unwrap().recommend_many(&[""; 0], 3).unwrap();
}

#[test]
fn a_fit_goes_on_from_another_model() {
    let (device, plays) = (open_device("cpu").unwrap(), plays());
    let first = fit(&plays, &Options::als().factors(4).epochs(8), &device).unwrap();
    let last = |model: &Trained| model.model().run.history.last().unwrap().objective.unwrap();
    let one = Options::als().epochs(1);
    let on = Fit::new(&plays, &one, &device).from_model(&first).run().unwrap();
    assert_eq!(on.model().factors.factors, 4);
    let anew = fit(&plays, &one.clone().factors(4), &device).unwrap();
    assert!(last(&on) < last(&anew), "{} {}", last(&on), last(&anew));
    let other = Options::als().factors(5);
    let said = Fit::new(&plays, &other, &device).from_model(&first).run().unwrap_err().to_string();
    assert!(said.contains("`from`") && said.contains("4 factors"), "{said}");
    let scaled = plays.clone().transformed(&[TransformKind::ZScore]);
    let said = Fit::new(&scaled, &one, &device).from_model(&first).run().unwrap_err().to_string();
    assert!(said.contains("same `transform`"), "{said}");
    let ials = Options::ials();
    assert!(Fit::new(&plays, &ials, &device).from_model(&first).run().is_err());
}

#[test]
fn a_device_without_a_name_is_refused_and_names_have_no_case() {
    assert!(open_device("").unwrap_err().to_string().contains("no name"));
    assert_eq!(open_device("CPU").unwrap().device(), Cpu::new().device());
}

#[test]
fn workers_of_a_pool_that_share_a_trained_model_do_not_wait_for_each_other() {
    let device = open_device("cpu").unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for options in brief() {
        let model = fit(&plays(), &options, &device).unwrap();
        let ask = |user: u32| {
            let lists = model.recommend(user % 30, 4).unwrap();
            (
                lists,
                model.similar_items(user % 12, 4).unwrap(),
                model.predict("nobody", "q").unwrap(),
            )
        };
        let many: Vec<_> = pool.install(|| (0..200).into_par_iter().map(ask).collect());
        for (user, asked) in (0..).zip(many) {
            assert_eq!(asked, ask(user));
        }
    }
}

/// Undoing a logarithm makes a score that is merely large a number beyond any: an error, not infinity.
#[test]
fn a_prediction_that_overflows_is_an_error() {
    let device = open_device("cpu").unwrap();
    let plays = plays().transformed(&[TransformKind::Log1p]);
    let trained = fit(&plays, &Options::als().factors(2).epochs(1), &device).unwrap();
    assert!(trained.predict("1", "0").unwrap().is_finite());
    let (mut model, samples, seen) = trained.into_parts();
    model.factors.sides[0].bias[1] = 1e30;
    let user = model.users.name(1).to_owned();
    let huge = Trained::from_parts(model, samples, seen, &device).unwrap();
    let error = huge.predict(&user, "0").unwrap_err().to_string();
    assert!(error.contains("overflows"), "{error}");
}
