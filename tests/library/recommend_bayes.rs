//! Lists, ranks and likeness from samples of the posterior, against the same by hand.

use crate::{common, fixture, place};
use wgmf::backend::Backend;
use wgmf::core::{Factors, Ratings, Side};
use wgmf::cpu::Cpu;
use wgmf::evaluate::{RankBy, RankingOptions, Relevance, ranking_metrics};
use wgmf::model::{Model, Samples, Seen};
use wgmf::predict::{Ask, Predictive, expected_level};
use wgmf::recommend::{
    Catalogue, Criterion, Metric, Neighbours, Recommendation, Recommender, similar,
};

use approx::assert_relative_eq;
use common::gpu;
use fixture::bayes::{COUNT, ITEMS, K, USERS, bayes, save};
use fixture::seen;
use place::{Place, stderr};
use serde_json::json;

const CRITERIA: [Criterion; 6] = [
    Criterion::Mean,
    Criterion::Quantile(0.1),
    Criterion::Quantile(0.5),
    Criterion::Quantile(0.97),
    Criterion::Thompson { seed: 3 },
    Criterion::Thompson { seed: 4 },
];

/// What each sample expects of a pair, in order of the samples.
fn expected(model: &Model, samples: &Samples, user: u32, item: u32) -> Vec<f64> {
    let clipped = model.objective.clip;
    let one = |sample: &wgmf::model::Sample| {
        let f = &sample.factors;
        let mut score = f64::from(f.global_mean) + f64::from(f[Side::User].bias[user as usize]);
        score += f64::from(f[Side::Item].bias[item as usize]);
        for j in 0..f.factors {
            score += f64::from(f.user(user)[j]) * f64::from(f.item(item)[j]);
        }
        if clipped {
            score = score.clamp(2.0, 3.0);
        }
        match samples.levels.is_empty() {
            true => score,
            false => expected_level(score, 1.0, &sample.thresholds, &samples.levels),
        }
    };
    samples.samples.iter().map(one).collect()
}

/// The quantile by its definition: of the sorted numbers at `p (n − 1)`.
fn quantile(mut all: Vec<f64>, p: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let place = p * (all.len() - 1) as f64;
    let (low, high) = (all[place.floor() as usize], all[place.ceil() as usize]);
    low + (place - place.floor()) * (high - low)
}

/// All items of a user with their scores, best first; those of a sample for Thompson sampling.
fn by_hand(
    model: &Model,
    samples: &Samples,
    user: u32,
    criterion: Criterion,
    sample: usize,
) -> Vec<(u32, f64)> {
    let score = |item: u32| {
        let all = expected(model, samples, user, item);
        let score = match criterion {
            Criterion::Mean => all.iter().sum::<f64>() / all.len() as f64,
            Criterion::Quantile(p) => quantile(all, p),
            Criterion::Thompson { .. } => all[sample],
        };
        let score = if samples.levels.is_empty() { model.in_unit(score) } else { score };
        (item, score)
    };
    let mut list: Vec<(u32, f64)> = (0..model.factors.items() as u32).map(score).collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    list
}

fn lists(
    backend: &dyn Backend,
    predictive: &Predictive,
    criterion: Criterion,
    users: &[u32],
    seen: Option<&Seen>,
    n: usize,
    keep: impl FnMut(u32) -> bool,
) -> Vec<Vec<Recommendation>> {
    let catalogue = Catalogue::by_samples(predictive, criterion, keep).unwrap();
    let mut lists = Vec::new();
    let mut recommender = Recommender::new(backend, &catalogue).unwrap();
    if let Some(seen) = seen {
        recommender = recommender.leaving_out(seen).unwrap();
    }
    recommender
        .each(users.iter().copied(), n, |_, list| {
            lists.push(list.to_vec());
            Ok(())
        })
        .unwrap();
    lists
}

/// Models of every kind: plain, after a transform, bounded, of levels.
fn kinds() -> Vec<(Model, Samples)> {
    let plain = bayes(&[]);
    let mut logs = bayes(&[]);
    logs.0.objective.transform = serde_json::from_value(json!([{ "kind": "log1p" }])).unwrap();
    let mut clipped = bayes(&[]);
    clipped.0.objective.clip = true;
    clipped.0.facts.range = Some([2.0, 3.0]);
    vec![plain, logs, clipped, bayes(&[1.0, 2.0, 3.5, 4.0])]
}

#[test]
fn lists_are_those_of_a_full_sort() {
    let everyone: Vec<u32> = (0..USERS as u32).collect();
    let gpu = gpu();
    for (kind, (model, samples)) in kinds().iter().enumerate() {
        let predictive = Predictive::new(model, samples).unwrap();
        let record = Seen::new(&seen(model), USERS, ITEMS).unwrap();
        for criterion in CRITERIA {
            for (backend, n) in [(&Cpu::new() as &dyn Backend, 4), (&gpu, 30)] {
                let all = lists(backend, &predictive, criterion, &everyone, None, n, |_| true);
                let rest = |item: u32| item % 3 != 1;
                let some =
                    lists(backend, &predictive, criterion, &everyone, Some(&record), n, rest);
                for (&user, (all, some)) in everyone.iter().zip(all.iter().zip(&some)) {
                    let same = |list: &[Recommendation], sample: usize, part: bool| {
                        let mut want = by_hand(model, samples, user, criterion, sample);
                        let out = record.items_of(user);
                        want.retain(|(item, _)| !part || rest(*item) && !out.contains(item));
                        want.truncate(n);
                        let near = |got: &Recommendation, want: &(u32, f64)| {
                            (got.score - want.1).abs() < 1e-9 * want.1.abs().max(1.0)
                                // Bounded scores may tie but for rounding.
                                && (got.item == want.0 || kind == 2)
                        };
                        list.len() == want.len()
                            && list.iter().zip(&want).all(|(got, want)| near(got, want))
                    };
                    let drawn = match criterion {
                        Criterion::Thompson { .. } => 0..COUNT,
                        _ => 0..1,
                    };
                    let drawn: Vec<usize> = drawn.filter(|&s| same(all, s, false)).collect();
                    assert!(!drawn.is_empty(), "kind {kind}, {criterion:?}, user {user}");
                    assert!(drawn.iter().any(|&s| same(some, s, true)), "{criterion:?} {user}");
                }
            }
        }
    }
}

#[test]
fn the_mean_is_what_predict_says() {
    for (model, samples) in &kinds() {
        let predictive = Predictive::new(model, samples).unwrap();
        for list in lists(&Cpu::new(), &predictive, Criterion::Mean, &[3, 0], None, 9, |_| true)
            .iter()
            .take(1)
        {
            let items: Vec<u32> = list.iter().map(|best| best.item).collect();
            let said = predictive.summaries(&[3; 9], &items, &Ask::default()).unwrap();
            for (best, said) in list.iter().zip(said) {
                assert_relative_eq!(best.score, said.mean, max_relative = 1e-12);
            }
        }
    }
}

#[test]
fn thompson_draws_each_sample_as_often_and_by_user_alone() {
    let (model, samples) = bayes(&[]);
    let predictive = Predictive::new(&model, &samples).unwrap();
    let everyone: Vec<u32> = (0..USERS as u32).collect();
    let cpu = Cpu::new();
    let of = |seed: u64, users: &[u32]| {
        lists(&cpu, &predictive, Criterion::Thompson { seed }, users, None, ITEMS, |_| true)
    };
    // Alone or among others, a user has the same list.
    let together = of(1, &everyone);
    assert_eq!(of(1, &[7])[0], together[7]);
    assert_ne!(of(2, &everyone), together);
    // Which sample a list is of is seen from its first score.
    let mut counts = [0_u32; COUNT];
    let seeds = 200;
    for seed in 0..seeds {
        for (&user, list) in everyone.iter().zip(of(seed, &everyone)) {
            let best = &list[0];
            let all = expected(&model, &samples, user, best.item);
            let sample = all.iter().position(|x| (model.in_unit(*x) - best.score).abs() < 1e-9);
            counts[sample.unwrap()] += 1;
        }
    }
    let share = f64::from(seeds as u32 * USERS as u32) / COUNT as f64;
    let chi_square: f64 = counts.iter().map(|&n| (f64::from(n) - share).powi(2) / share).sum();
    // 6 degrees of freedom: 1 in 10,000 lies above.
    assert!(chi_square < 27.9, "{counts:?}");
}

#[test]
fn metrics_are_those_of_the_lists() {
    for (model, samples) in &kinds() {
        let predictive = Predictive::new(model, samples).unwrap();
        let record = Seen::new(&seen(model), USERS, ITEMS).unwrap();
        let mut test = Ratings::default();
        for user in 0..USERS as u32 {
            for item in (0..ITEMS as u32).filter(|item| (3 * item + user) % 4 == 0) {
                test.users.push(user);
                test.items.push(item);
                test.values.push(1.0);
            }
        }
        let options = RankingOptions {
            at: vec![3],
            relevance: Relevance::All,
            candidates: None,
            include_seen: false,
        };
        for criterion in [Criterion::Mean, Criterion::Quantile(0.2)] {
            let by = RankBy::Samples(&predictive, criterion);
            let got = ranking_metrics(&Cpu::new(), model, &record, &test, by, &options).unwrap();
            let (mut precision, mut auc, mut users) = (0.0, 0.0, 0.0);
            for user in 0..USERS as u32 {
                let mut list = by_hand(model, samples, user, criterion, 0);
                list.retain(|(item, _)| !record.items_of(user).contains(item));
                let relevant = |item: u32| (3 * item + user).is_multiple_of(4);
                let (hits, others): (Vec<_>, Vec<_>) =
                    list.iter().copied().partition(|entry: &(u32, f64)| relevant(entry.0));
                if hits.is_empty() {
                    continue;
                }
                users += 1.0;
                precision +=
                    list.iter().take(3).filter(|(item, _)| relevant(*item)).count() as f64 / 3.0;
                let mut won = 0.0;
                for hit in &hits {
                    for other in &others {
                        let apart = hit.1 - other.1;
                        won += if apart.abs() < 1e-12 {
                            0.5
                        } else {
                            f64::from(u8::from(apart > 0.0))
                        };
                    }
                }
                auc += won / (hits.len() * others.len()) as f64;
            }
            assert_eq!(got.users as f64, users);
            assert_relative_eq!(got.at[0].precision.mean, precision / users, epsilon = 1e-12);
            assert_relative_eq!(got.auc.unwrap().mean, auc / users, epsilon = 1e-12);
        }
    }
}

#[test]
fn likeness_is_the_mean_over_samples_whatever_their_turn() {
    let (model, mut samples) = bayes(&[]);
    let products = |samples: &Samples, a: u32, b: u32| {
        let one = |f: &Factors| -> f64 {
            f.item(a).iter().zip(f.item(b)).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        };
        samples.samples.iter().map(|s| one(&s.factors)).sum::<f64>() / COUNT as f64
    };
    let all: Vec<u32> = (0..ITEMS as u32).collect();
    let of = |samples: &Samples, metric: Metric, backend: &dyn Backend| {
        let predictive = Predictive::new(&model, samples).unwrap();
        let mut lists = Vec::new();
        let found = Neighbours::by_samples(backend, &predictive, Side::Item, metric).unwrap();
        found
            .each(all.iter().copied(), 6, |_, list| {
                lists.push(list.to_vec());
                Ok(())
            })
            .unwrap();
        lists
    };
    let gpu = gpu();
    for metric in [Metric::Cosine, Metric::Inner] {
        for backend in [&Cpu::new() as &dyn Backend, &gpu] {
            for (&item, list) in all.iter().zip(of(&samples, metric, backend)) {
                let score = |other: u32| match metric {
                    Metric::Inner => products(&samples, item, other),
                    Metric::Cosine => {
                        let lengths =
                            products(&samples, item, item) * products(&samples, other, other);
                        products(&samples, item, other) / lengths.sqrt()
                    }
                };
                let mut want: Vec<(u32, f64)> =
                    all.iter().filter(|other| **other != item).map(|&o| (o, score(o))).collect();
                want.sort_by(|a, b| b.1.total_cmp(&a.1));
                for (got, want) in list.iter().zip(&want) {
                    assert_eq!(got.row, want.0);
                    assert_relative_eq!(got.score, want.1, epsilon = 1e-12);
                }
            }
        }
    }
    // A sample whose factors have their signs changed says the same; the model's means would not.
    let before = of(&samples, Metric::Cosine, &Cpu::new());
    let f = &mut samples.samples[2].factors;
    for x in f.sides.iter_mut().flat_map(|side| &mut side.factors) {
        *x = -*x;
    }
    assert_eq!(of(&samples, Metric::Cosine, &Cpu::new()), before);
    let by_means = similar(&Cpu::new(), &model, Side::Item, &all, Metric::Cosine, 6).unwrap();
    assert_ne!(before, by_means);
}

#[test]
fn lists_do_not_depend_on_threads() {
    let (model, samples) = bayes(&[1.0, 2.0, 3.0]);
    let predictive = Predictive::new(&model, &samples).unwrap();
    let everyone: Vec<u32> = (0..USERS as u32).collect();
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let made = CRITERIA.map(|criterion| {
                lists(&Cpu::new(), &predictive, criterion, &everyone, None, 5, |_| true)
            });
            made.iter().flatten().flatten().map(|r| (r.item, r.score.to_bits())).collect::<Vec<_>>()
        })
    };
    let one = of(1);
    for threads in 2..=4 {
        assert_eq!(of(threads), one);
    }
}

#[test]
fn the_command_lists_by_every_criterion() {
    let place = Place::new();
    let (model, samples) = bayes(&[]);
    save(&model, &samples, &place.path("model"));
    let user = model.users.name(8);
    let list =
        |more: &str| place.ok(&format!("recommend model --users {user} -n 3 --backend cpu {more}"));
    let mean = list("");
    assert_eq!(list("--by mean"), mean);
    assert_eq!(list("--by lower"), list("--by lower 0.1"));
    assert_eq!(list("--by upper"), list("--by upper 0.9"));
    assert_eq!(list("--by lower 0.5"), list("--by upper 0.5"));
    let drawn = list("--by thompson");
    assert_eq!(list("--by thompson --seed 0"), drawn);
    assert!((1..20).any(|seed| list(&format!("--by thompson --seed {seed}")) != drawn));
    for (by, p) in [("lower", 0.1), ("upper", 0.9)] {
        let lines = list(&format!("--by {by}"));
        let want = &by_hand(&model, &samples, 8, Criterion::Quantile(p), 0)[0];
        let score = lines.lines().nth(1).unwrap().rsplit(',').next().unwrap();
        assert!(lines.contains(model.items.name(want.0)), "{lines}");
        assert_relative_eq!(score.parse::<f64>().unwrap(), want.1, max_relative = 1e-6);
    }
    let alike = place.ok("similar model --items i15 -n 2 --backend cpu");
    let predictive = Predictive::new(&model, &samples).unwrap();
    let cpu = Cpu::new();
    let found = Neighbours::by_samples(&cpu, &predictive, Side::Item, Metric::Cosine).unwrap();
    found
        .each([15], 1, |_, list| {
            assert!(alike.contains(&format!("{:?}", list[0].score as f32)), "{alike}");
            Ok(())
        })
        .unwrap();
}

#[test]
fn wrong_criteria_are_refused_with_what_to_do() {
    let place = Place::new();
    let (model, samples) = bayes(&[]);
    save(&model, &samples, &place.path("model"));
    let fails = |line: &str, code: i32, says: &str| {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(code), "{line}: {}", stderr(&done));
        assert!(stderr(&done).contains(says), "{line}: {}", stderr(&done));
    };
    for (by, says) in [
        ("--by lower 0.9", "between 0 and 0.5"),
        ("--by lower 0", "between 0 and 0.5"),
        ("--by lower nan", "between 0 and 0.5"),
        ("--by upper 1", "between 0.5 and 1"),
        ("--by upper 1.2", "between 0.5 and 1"),
        ("--by mean 0.3", "takes no number"),
        ("--by thompson 7", "takes no number"),
        ("--by 0.3", "begin with mean, lower, upper or thompson"),
        ("--by lower upper", "is enough"),
        ("--by median", "one of mean, lower, upper, thompson"),
        ("--seed 4", "--by thompson"),
    ] {
        fails(&format!("recommend model --all {by}"), 2, says);
        fails(&format!("evaluate model pairs.csv --ranking {by}"), 2, says);
    }
    fails("evaluate model pairs.csv --by lower", 2, "add --ranking");
    // A model without samples says what it lacks; the mean it has.
    let plain = fixture::model(USERS, ITEMS, K);
    plain.save(place.path("plain"), &seen(&plain), false).unwrap();
    fails("recommend plain --all --by lower 0.1", 1, "train with --solver bayes");
    place.ok("recommend plain --all --by mean");
    // A missing file of samples is noticed before any list.
    std::fs::remove_file(place.path("model/samples.safetensors")).unwrap();
    fails("recommend model --all", 1, "samples.safetensors");
}
