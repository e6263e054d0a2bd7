//! Bad input to the library is an error that says what is wrong, never a panic: every door, with empty,
//! uneven, out-of-range, NaN and huge input.

use crate::fixture::{self, bayes::bayes};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wgmf::core::{Factors, Ids, Objective, Options, Ratings, Side, SideFactors, Solver, UNKNOWN};
use wgmf::cpu::Cpu;
use wgmf::data::{Duplicates, ReadOptions};
use wgmf::evaluate::{
    RankBy, RankingOptions, Relevance, held_out_ranking, predictive_metrics, ranking_metrics,
    rating_metrics,
};
use wgmf::model::{Format, Model, Seen, export};
use wgmf::predict::{Ask, Predictive};
use wgmf::recommend::{
    Catalogue, Criterion, Explainer, Metric, Neighbours, Recommender, draw_in, fold_in, recommend,
    similar,
};
use wgmf::train::{Input, train};
use wgmf::{Dataset, Fit, Result, Trained, fit, open_device};

/// Calls that must be refused, by name, with a part of what must be said: never none.
pub type Table = Vec<(String, String, Box<dyn Fn() -> Result<()>>)>;

pub fn refused(table: Table) {
    let mut wrong = Vec::new();
    for (name, part, call) in table {
        assert!(!part.is_empty(), "{name}: anything may be said");
        match catch_unwind(AssertUnwindSafe(call)) {
            Err(_) => wrong.push(format!("{name}: panicked")),
            Ok(Ok(())) => wrong.push(format!("{name}: taken")),
            Ok(Err(error)) => {
                let said = error.to_string();
                if !said.contains(&part) || said.contains("--") {
                    wrong.push(format!("{name}: said {said:?}, without {part:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

pub fn add(
    table: &mut Table,
    name: impl Into<String>,
    part: impl Into<String>,
    call: impl Fn() -> Result<()> + 'static,
) {
    table.push((name.into(), part.into(), Box::new(call)));
}

pub fn small() -> Dataset {
    let rows: Vec<u32> = (0..60).collect();
    let users: Vec<u32> = rows.iter().map(|j| j % 7).collect();
    let items: Vec<u32> = rows.iter().map(|j| j / 7).collect();
    let values: Vec<f32> = rows.iter().map(|j| (j % 5 + 1) as f32).collect();
    Dataset::from_triples(&users, &items, &values).unwrap()
}

fn trained(options: &Options) -> Trained {
    fit(&small(), options, &open_device("cpu").unwrap()).unwrap()
}

pub fn brief(solver: Solver) -> Options {
    let options = Options::of(solver).factors(3);
    match solver {
        Solver::Bayes => options.samples(3).burn_in(1),
        _ => options.epochs(2),
    }
}

#[test]
fn datasets_refuse_what_is_no_rating() {
    let mut table = Table::new();
    let none: [&str; 0] = [];
    add(&mut table, "nothing", "no ratings", move || {
        Dataset::from_triples(&none, &none, &[]).map(drop)
    });
    add(&mut table, "uneven users", "2 users", || {
        Dataset::from_triples(&["a", "b"], &["x"], &[1.0]).map(drop)
    });
    add(&mut table, "uneven items", "0 items", move || {
        Dataset::from_triples(&["a"], &none, &[1.0]).map(drop)
    });
    add(&mut table, "uneven pairs", "1 users", || {
        Dataset::from_pairs(&["a"], &["x", "y"]).map(drop)
    });
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        add(&mut table, format!("value {value}"), "not a finite number", move || {
            Dataset::from_triples(&["a", "b"], &["x", "y"], &[1.0, value]).map(drop)
        });
    }
    add(&mut table, "sum beyond f32", "too large", || {
        let (twice, huge) = (["a"; 2], [f32::MAX; 2]);
        Dataset::from_triples_merged(&twice, &["x"; 2], &huge, Duplicates::Sum).map(drop)
    });
    for fraction in [0.0, 1.0, -0.5, 2.0, f64::NAN, f64::INFINITY, 1e-300] {
        add(&mut table, format!("split {fraction}"), "holdout", move || {
            small().split(fraction, 0).map(drop)
        });
        add(&mut table, format!("split per user {fraction}"), "holdout", move || {
            small().split_per_user(fraction, 0).map(drop)
        });
    }
    add(&mut table, "filters", "no user", || small().with_at_least(u32::MAX, 0).map(drop));
    add(&mut table, "threshold", "finite", || small().with_threshold(f32::NAN).map(drop));
    add(&mut table, "no file", "nowhere.csv", || Dataset::from_files(&["nowhere.csv"]).map(drop));
    let no_paths: [&str; 0] = [];
    add(&mut table, "no files", "no ratings", move || {
        Dataset::read(&no_paths, &ReadOptions::default(), Duplicates::Last, &()).map(drop)
    });
    add(&mut table, "an empty default", "no ratings", || {
        Dataset::default().prepare(None).map(drop)
    });
    add(&mut table, "another's test", "test set", || {
        small().prepare(Some(&Dataset::from_pairs(&["zoe"], &["q"])?)).map(drop)
    });
    refused(table);
}

#[test]
fn fits_refuse_options_and_ratings_that_do_not_suit() {
    let mut table = Table::new();
    let options: [(Options, &'static str); 21] = [
        (Options::ials().factors(0), "`factors` 0"),
        (Options::als().factors(1 << 40), "`factors`"),
        (Options::als().reg(f64::NAN), "`reg` NaN"),
        (Options::als().reg(-1.0), "`reg` -1"),
        (Options::als().reg_bias(f64::INFINITY), "`reg_bias`"),
        (Options::als().reg_exponent(9.0), "`reg_exponent`"),
        (Options::sgd().damping(-1.0), "`damping`"),
        (Options::als().damping_bias(f64::NAN), "`damping_bias`"),
        (Options::als().epochs(0), "`epochs` 0"),
        (Options::als().block(99).factors(3), "`block` 99"),
        (Options::als().learning_rate(0.1), "`learning_rate`"),
        (Options::sgd().learning_rate(0.0), "`learning_rate` 0"),
        (Options::sgd().learning_rate_decay(2.0), "`learning_rate_decay`"),
        (Options::sgd().momentum(1.0), "`momentum` 1"),
        (Options::adam().batch_size(0), "`batch_size` 0"),
        (Options::sgd().batch_size(0).momentum(0.5), "`batch_size` 0"),
        (Options::adam().alpha(1.0), "`alpha` belongs to `solver` ials"),
        (Options::ials().unobserved_weight(0.0), "`unobserved_weight` 0"),
        (Options::ials().init_scale(0.0), "`init_scale` 0"),
        (Options::bayes().chains(0), "`chains` 0"),
        (Options::als().patience(3), "`patience`"),
    ];
    for (options, part) in options {
        add(&mut table, format!("{part} of {:?}", options.solver), part, move || {
            fit(&small(), &options, &open_device("cpu")?).map(drop)
        });
    }
    add(&mut table, "an empty default", "no ratings", || {
        fit(&Dataset::default(), &Options::als(), &open_device("cpu")?).map(drop)
    });
    // Factors are finite still, what they add up to is not.
    add(&mut table, "a run that ran away", "lower `learning_rate`", || {
        let ratings = (0..48_u32).map(|j| ((j * j + j) % 5 + 1) as f32).collect::<Vec<_>>();
        let users: Vec<u32> = (0..48).map(|j| j % 7).collect();
        let items: Vec<u32> = (0..48).map(|j| j / 7).collect();
        let set = Dataset::from_triples(&users, &items, &ratings)?;
        fit(&set, &Options::sgd().reg(1.1e10).epochs(2), &open_device("cpu")?).map(drop)
    });
    add(&mut table, "dislikes to ials", "below 0", || {
        let set = Dataset::from_triples(&["a", "b"], &["x", "x"], &[1.0, -1.0])?;
        fit(&set, &Options::ials(), &open_device("cpu")?).map(drop)
    });
    add(&mut table, "another's test", "test set", || {
        let (test, set) = (Dataset::from_pairs(&["zoe"], &["q"])?, small());
        Fit::new(&set, &Options::als(), &open_device("cpu")?).test(&test).run().map(drop)
    });
    add(&mut table, "no such device", "no adapter has that", || {
        open_device("no such card").map(drop)
    });
    refused(table);
}

/// Triples that fit no 7 × 9 rows, and what must be said of each.
pub fn odd_ratings() -> Vec<(&'static str, Ratings, &'static str)> {
    let one = || Ratings {
        users: vec![0],
        items: vec![0],
        values: vec![3.0],
        timestamps: vec![],
        weights: vec![],
    };
    vec![
        ("user out of range", Ratings { users: vec![7], ..one() }, "user 7"),
        ("item out of range", Ratings { items: vec![u32::MAX - 1], ..one() }, "item 4294967294"),
        ("uneven", Ratings { values: vec![1.0, 2.0], ..one() }, "one length"),
        ("uneven times", Ratings { timestamps: vec![1, 2], ..one() }, "one length"),
        ("NaN", Ratings { values: vec![f32::NAN], ..one() }, "NaN"),
        ("infinite", Ratings { values: vec![f32::INFINITY], ..one() }, "inf"),
    ]
}

#[test]
fn training_refuses_ratings_that_fit_no_row() {
    let mut table = Table::new();
    let names = |n: u32| (0..n).map(|j| j.to_string()).collect::<Ids>();
    let run =
        move |solver: Solver, ratings: &Ratings, test: Option<&Ratings>, init: Option<Factors>| {
            let (users, items) = (names(7), names(9));
            let settings = brief(solver).resolve(small().ratings(), 7, 9)?;
            let input = Input { test, init, ..Input::new(&users, &items, ratings) };
            train(&Cpu::new(), input, &settings, &mut |_| Ok(ControlFlow::Continue(()))).map(drop)
        };
    for solver in [Solver::Sgd, Solver::Adam, Solver::Als, Solver::Ials, Solver::Bayes] {
        for (what, ratings, part) in odd_ratings() {
            let as_test = ratings.clone();
            add(&mut table, format!("{solver:?}, {what}"), part, move || {
                run(solver, &ratings, None, None)
            });
            add(&mut table, format!("{solver:?}, test {what}"), part, move || {
                run(solver, small().ratings(), Some(&as_test), None)
            });
        }
        add(&mut table, format!("{solver:?}, unknown row"), "user 4294967295", move || {
            let unknown = Ratings {
                users: vec![UNKNOWN],
                items: vec![0],
                values: vec![1.0],
                timestamps: vec![],
                weights: vec![],
            };
            run(solver, &unknown, None, None)
        });
        add(&mut table, format!("{solver:?}, nothing"), "no ratings", move || {
            run(solver, &Ratings::default(), None, None)
        });
        add(
            &mut table,
            format!("{solver:?}, a start of another shape"),
            "where 7 rows of 3",
            move || {
                let start = Factors {
                    factors: 3,
                    sides: [SideFactors::zeros(7, 2), SideFactors::zeros(9, 3)],
                    global_mean: 0.0,
                };
                run(solver, small().ratings(), None, Some(start))
            },
        );
    }
    refused(table);
}

#[test]
fn models_refuse_ids_and_ratings_that_are_not_theirs() {
    for solver in [Solver::Sgd, Solver::Als, Solver::Ials, Solver::Bayes] {
        let mut table = Table::new();
        let model = trained(&brief(solver));
        let one = |user: &str, item: &str, value| Dataset::from_triples(&[user], &[item], &[value]);
        let with = |call: fn(&Trained) -> Result<()>| {
            let model = model.clone();
            move || call(&model)
        };
        add(&mut table, "recommend", "\"zoe\"", with(|m| m.recommend("zoe", 3).map(drop)));
        add(
            &mut table,
            "recommend one of two",
            "\"zoe\"",
            with(|m| m.recommend_many(&["0", "zoe"], 3).map(drop)),
        );
        add(&mut table, "similar items", "\"q\"", with(|m| m.similar_items("q", 3).map(drop)));
        add(&mut table, "similar users", "\"zoe\"", with(|m| m.similar_users("zoe", 3).map(drop)));
        add(&mut table, "fold in strangers", "no user is new", {
            let (model, zoe) = (model.clone(), one("zoe", "q", 1.0).unwrap());
            move || model.fold_in(&zoe).map(drop)
        });
        add(&mut table, "fold in nobody", "no user is new", {
            let (model, known) = (model.clone(), one("0", "0", 1.0).unwrap());
            move || model.fold_in(&known).map(drop)
        });
        add(
            &mut table,
            "fold in nothing",
            "no item is new",
            with(|m| m.fold_in_items(&Dataset::default()).map(drop)),
        );
        let nothing = match solver {
            Solver::Ials => "no user has a relevant item",
            _ => "no ratings to evaluate",
        };
        add(
            &mut table,
            "evaluate nothing",
            nothing,
            with(|m| m.evaluate(&Dataset::default()).map(drop)),
        );
        add(
            &mut table,
            "lists of nothing",
            "`at`",
            with(|m| m.evaluate_ranking(&small(), &[0], Relevance::All).map(drop)),
        );
        add(
            &mut table,
            "no lists",
            "`at`",
            with(|m| m.evaluate_ranking(&small(), &[], Relevance::All).map(drop)),
        );
        add(&mut table, "no model there", "nowhere", || {
            Trained::open("nowhere", &open_device("cpu")?).map(drop)
        });
        add(&mut table, "a place that is a file", "is a file", with(|m| m.save(file!(), true)));
        refused(table);
        // What is no error: nothing asked for, more than there is, ids that nobody knows.
        assert!(model.recommend("0", 0).unwrap().is_empty());
        assert!(model.recommend_many(&[""; 0], 5).unwrap().is_empty());
        assert!(model.recommend("0", usize::MAX).unwrap().len() <= 9);
        assert_eq!(model.similar_items("0", usize::MAX).unwrap().len(), 8);
        assert!(model.predict("zoe", "q").unwrap().is_finite());
    }
}

#[test]
fn rooms_behind_the_door_refuse_too() {
    let (users, items) = (7, 9);
    let model = || fixture::model(7, 9, 3);
    let record = || Seen::new(&Ratings::default(), 7, 9).unwrap();
    let other = || Seen::new(&Ratings::default(), 8, 9).unwrap();
    let all = |at: &[usize]| RankingOptions {
        at: at.to_vec(),
        relevance: Relevance::All,
        candidates: None,
        include_seen: true,
    };
    let mut table = Table::new();
    for (what, ratings, part) in odd_ratings() {
        let named = |of: &str| format!("{of}, {what}");
        let r = ratings.clone();
        add(&mut table, named("rating_metrics"), part, move || {
            rating_metrics(&model(), &r).map(drop)
        });
        let r = ratings.clone();
        let far_part = part.replace("user 7", "user 1048576");
        add(&mut table, named("predictive_metrics"), far_part, move || {
            let (model, samples) = bayes(&[]);
            let far = |row: u32| if row == 7 { 1 << 20 } else { row };
            let r = Ratings { users: r.users.iter().map(|&u| far(u)).collect(), ..r.clone() };
            predictive_metrics(&Predictive::new(&model, &samples)?, &r).map(drop)
        });
        let r = ratings.clone();
        add(&mut table, named("ranking_metrics"), part, move || {
            ranking_metrics(&Cpu::new(), &model(), &record(), &r, RankBy::Model, &all(&[5]))
                .map(drop)
        });
        let r = ratings.clone();
        add(&mut table, named("held_out_ranking"), part, move || {
            held_out_ranking(&Cpu::new(), &model().factors, &record(), &r, 5).map(drop)
        });
        let r = ratings.clone();
        let outside = if what.ends_with("out of range") { "lies outside" } else { part };
        add(&mut table, named("Seen::new"), outside, move || Seen::new(&r, users, items).map(drop));
        let r = ratings.clone();
        add(&mut table, named("fold_in"), outside, move || {
            let new: Ids = ["zoe"].into_iter().collect();
            fold_in(&Cpu::new(), &model(), Side::User, &new, &r).map(drop)
        });
        let r = ratings.clone();
        add(&mut table, named("draw_in"), outside, move || {
            let (model, samples) = bayes(&[]);
            let new: Ids = ["zoe"].into_iter().collect();
            draw_in(&Cpu::new(), &model, &samples, Side::User, &new, &r).map(drop)
        });
    }
    for user in [7, u32::MAX] {
        add(&mut table, format!("recommend user {user}"), "none of 7", move || {
            recommend(&Cpu::new(), &model(), None, &[user], 3).map(drop)
        });
        add(&mut table, format!("similar user {user}"), "none of 7", move || {
            similar(&Cpu::new(), &model(), Side::User, &[user], Metric::Cosine, 3).map(drop)
        });
    }
    add(&mut table, "another's record", "another model", move || {
        recommend(&Cpu::new(), &model(), Some(&other()), &[0], 3).map(drop)
    });
    add(&mut table, "no item", "no item", move || {
        let model = model();
        Recommender::new(&Cpu::new(), Catalogue::filtered(&model, |_| false)).map(drop)
    });
    add(&mut table, "factors that are not finite", "finite", move || {
        let mut model = model();
        model.factors[Side::Item].factors[4] = f32::NAN;
        Recommender::new(&Cpu::new(), Catalogue::all(&model)).map(drop)
    });
    add(&mut table, "rows that are not finite", "finite", move || {
        let mut model = model();
        model.factors[Side::User].factors[4] = f32::INFINITY;
        Neighbours::new(&Cpu::new(), &model, Side::User, Metric::Inner).map(drop)
    });
    add(&mut table, "explained without sums", "als or ials", move || {
        let mut model = model();
        model.objective = Objective::new(Solver::Sgd);
        Explainer::new(&model).map(drop)
    });
    for (criterion, what) in [
        (Criterion::Quantile(0.0), "0"),
        (Criterion::Quantile(f64::NAN), "NaN"),
        (Criterion::Quantile(2.0), "2"),
    ] {
        add(&mut table, format!("quantile {what}"), "is no quantile", move || {
            let (model, samples) = bayes(&[]);
            let predictive = Predictive::new(&model, &samples)?;
            Catalogue::by_samples(&predictive, criterion, |_| true).map(drop)
        });
    }
    add(&mut table, "samples of another model", "not those of the model", move || {
        let (_, samples) = bayes(&[]);
        Predictive::new(model(), &samples).map(drop)
    });
    add(&mut table, "an interval of 2", "`interval` 2", || {
        let (model, samples) = bayes(&[]);
        let ask = Ask { interval: Some(2.0), credible: false };
        Predictive::new(&model, &samples)?.summaries(&[0], &[0], &ask).map(drop)
    });
    for (what, break_it) in [
        (
            "factors cut",
            (|m: &mut Model| m.factors[Side::User].factors.truncate(1)) as fn(&mut Model),
        ),
        ("a bias too many", |m| m.factors[Side::Item].bias.push(0.0)),
        ("an id too many", |m| {
            m.users.intern("zoe");
        }),
        ("NaN", |m| m.factors[Side::User].bias[0] = f32::NAN),
        ("an objective that no solver has", |m| m.objective.alpha = Some(1.0)),
    ] {
        add(&mut table, format!("save, {what}"), "not saved", move || {
            let home = tempfile::tempdir().unwrap();
            let mut model = model();
            break_it(&mut model);
            model.save(home.path().join("m"), &Ratings::default(), false)
        });
    }
    add(&mut table, "export over a file", "is a file", move || {
        export(&model(), Format::Npy, std::path::Path::new(file!()), true, &())
    });
    refused(table);
}
