//! The order in which ratings come changes nothing: the same set, the same model, bit for bit.

use crate::{common, oracle};
use oracle::case::Draw;
use std::sync::Arc;
use wgmf::backend::Backend;
use wgmf::core::Side;
use wgmf::data::{DataOptions, Duplicates, Order, prepare};
use wgmf::{Dataset, Fit, Options, open_device};

type Triple = (String, String, f32);

/// Ratings whose ids differ in their first bytes, in their last, in their length, and in what is text.
fn triples(draw: &mut Draw) -> Vec<Triple> {
    let name = |kind: &str, at: usize| match at % 4 {
        0 => format!("{kind}{at}"),
        1 => format!("{at}"),
        2 => format!("a long name of {kind} number {at}"),
        _ => format!("é\u{0}{at}"),
    };
    let mut triples = Vec::new();
    for user in 0..40 {
        for item in (0..30).filter(|_| draw.unit() < 0.4).collect::<Vec<_>>() {
            let value = 1.0 + draw.below(5) as f32;
            triples.push((name("u", user), name("i", item), value));
        }
    }
    triples
}

fn shuffled(draw: &mut Draw, mut triples: Vec<Triple>) -> Vec<Triple> {
    for last in (1..triples.len()).rev() {
        triples.swap(last, draw.below(last + 1) as usize);
    }
    triples
}

fn dataset(triples: &[Triple], policy: Duplicates, order: Order) -> Dataset {
    let users: Vec<&str> = triples.iter().map(|t| &*t.0).collect();
    let items: Vec<&str> = triples.iter().map(|t| &*t.1).collect();
    let values: Vec<f32> = triples.iter().map(|t| t.2).collect();
    Dataset::from_triples_in(&users, &items, &values, policy, order).unwrap()
}

/// All that a set holds, in its order.
fn contents(set: &Dataset) -> (Vec<&str>, Vec<&str>, &wgmf::core::Ratings) {
    (set.users().iter().collect(), set.items().iter().collect(), set.ratings())
}

#[test]
fn sets_are_ordered_by_the_bytes_of_their_ids() {
    let mut draw = Draw::new(5);
    let all = triples(&mut draw);
    let set = dataset(&all, Duplicates::Last, Order::Canonical);
    assert!(set.users().iter().is_sorted() && set.items().iter().is_sorted());
    let pairs: Vec<(u32, u32)> = set.ratings().iter().map(|(u, i, _)| (u, i)).collect();
    assert!(pairs.is_sorted());
    // What each pair was rated is what it was.
    let mut want = all.clone();
    want.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let got = set
        .ratings()
        .iter()
        .map(|(u, i, r)| (set.users().name(u).to_owned(), set.items().name(i).to_owned(), r));
    assert!(got.eq(want));
    // Ids are found by their names in the new order.
    for (at, id) in (0..).zip(set.items().iter()) {
        assert_eq!(set.items().get(id), Some(at));
    }
    let kept = dataset(&all, Duplicates::Last, Order::Appearance);
    let order = kept
        .ratings()
        .iter()
        .map(|(u, i, r)| (kept.users().name(u).to_owned(), kept.items().name(i).to_owned(), r));
    assert!(order.eq(all), "in order of appearance nothing moves");
}

#[test]
fn shuffled_triples_give_the_same_sets_and_parts() {
    let mut draw = Draw::new(6);
    let mut all = triples(&mut draw);
    // Every third pair comes three times, with values whose sums depend on their order.
    for at in (0..all.len()).step_by(3) {
        let (user, item, value) = all[at].clone();
        all.extend([1e8, -1e8].map(|far| (user.clone(), item.clone(), value + far)));
    }
    for policy in [Duplicates::Mean, Duplicates::Sum] {
        let first = dataset(&all, policy, Order::Canonical);
        for _ in 0..5 {
            all = shuffled(&mut draw, all);
            let again = dataset(&all, policy, Order::Canonical);
            assert_eq!(contents(&again), contents(&first));
            for (a, b) in [
                (again.split(0.2, 3).unwrap(), first.split(0.2, 3).unwrap()),
                (again.split_per_user(0.2, 3).unwrap(), first.split_per_user(0.2, 3).unwrap()),
            ] {
                assert_eq!(contents(&a.0), contents(&b.0));
                assert_eq!(contents(&a.1), contents(&b.1));
            }
            let least = |set: &Dataset| set.clone().with_at_least(5, 8).unwrap();
            assert_eq!(contents(&least(&again)), contents(&least(&first)));
        }
    }
}

/// Trains on both sets and compares every bit of both models and of what they say.
fn same_model(
    sets: [&Dataset; 2],
    options: &Options,
    device: &Arc<dyn Backend>,
    new: [&Dataset; 2],
) {
    let figures = |set: &Dataset, new: &Dataset| {
        let (train, test) = set.split(0.2, 1).unwrap();
        let model = Fit::new(&train, options, device).test(&test).run().unwrap();
        let folded = model.fold_in(new).unwrap().trained;
        let mut bits = Vec::new();
        for model in [&model, &folded] {
            let factors = &model.model().factors;
            for side in Side::BOTH {
                bits.extend(factors[side].factors.iter().map(|x| x.to_bits()));
                bits.extend(factors[side].bias.iter().map(|x| x.to_bits()));
            }
        }
        let ids: Vec<String> = folded.model().users.iter().map(str::to_owned).collect();
        let history = model.model().run.history.clone();
        let history: Vec<_> =
            history.iter().map(|epoch| epoch.figures().collect::<Vec<f64>>()).collect();
        let evaluated = serde_json::to_string(&model.evaluate(&test).unwrap().rmse()).unwrap();
        let list = model.recommend(&ids[3], 5).unwrap();
        (bits, ids, history, evaluated, list)
    };
    let [first, again] = [figures(sets[0], new[0]), figures(sets[1], new[1])];
    assert!(first.0 == again.0, "{options:?}: other bits");
    assert_eq!((first.1, first.2, first.3), (again.1, again.2, again.3), "{options:?}");
    assert_eq!(format!("{:?}", first.4), format!("{:?}", again.4), "{options:?}");
}

fn solvers() -> Vec<Options> {
    let few = |options: Options| options.factors(6).epochs(3);
    let mut all: Vec<Options> =
        [Options::sgd(), Options::adagrad(), Options::adam(), Options::als(), Options::ials()]
            .map(few)
            .into();
    all.push(Options::bayes().factors(4).samples(4).burn_in(2));
    all
}

#[test]
fn shuffled_triples_give_the_same_model() {
    let mut draw = Draw::new(7);
    let all = triples(&mut draw);
    let mut new: Vec<Triple> = Vec::new();
    for user in ["zoe", "Zoe", "yan"] {
        new.extend(all.iter().step_by(17).map(|t| (user.to_owned(), t.1.clone(), t.2)));
    }
    let mixed = shuffled(&mut draw, all.clone());
    let new_mixed = shuffled(&mut draw, new.clone());
    let canonical = |triples: &[Triple]| dataset(triples, Duplicates::Mean, Order::Canonical);
    let (sets, news) =
        ([canonical(&all), canonical(&mixed)], [canonical(&new), canonical(&new_mixed)]);
    let cpu = open_device("cpu").unwrap();
    for options in solvers() {
        same_model([&sets[0], &sets[1]], &options, &cpu, [&news[0], &news[1]]);
    }
    let gpu: Arc<dyn Backend> = Arc::new(common::gpu());
    let adam = Options::adam().factors(6).epochs(2).batch_size(128);
    same_model([&sets[0], &sets[1]], &adam, &gpu, [&news[0], &news[1]]);
}

#[test]
fn prepared_files_and_datasets_go_one_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plays.csv");
    let mut draw = Draw::new(8);
    let all = triples(&mut draw);
    // A file of text has no NUL.
    let all: Vec<Triple> =
        all.into_iter().map(|(u, i, r)| (u.replace('\0', "_"), i.replace('\0', "_"), r)).collect();
    let text: String = all.iter().map(|(u, i, r)| format!("{u}\t{i}\t{r}\n")).collect();
    std::fs::write(&path, text).unwrap();
    for order in [Order::Canonical, Order::Appearance] {
        let options = DataOptions {
            holdout: Some(0.25),
            order: Some(order),
            min_item_ratings: 12,
            ..DataOptions::default()
        };
        let prepared = prepare(std::slice::from_ref(&path), &options, 9, &()).unwrap();
        let set = dataset(&all, Duplicates::Last, order).with_at_least(1, 12).unwrap();
        let (train, test) = set.split(0.25, 9).unwrap();
        assert!(prepared.users.iter().eq(train.users().iter()));
        assert!(prepared.items.iter().eq(train.items().iter()));
        assert_eq!(&prepared.train, train.ratings());
        assert_eq!(prepared.test.unwrap(), test.aligned(&prepared.users, &prepared.items));
        assert_eq!(prepared.facts.order, order);
    }
}
