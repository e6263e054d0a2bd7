//! As `panics`: models whose parts do not fit, at every door; problems at the seam; what is behind the
//! front door and takes arrays.

use crate::fixture::{self, bayes::bayes};
use crate::panics::{Table, add, odd_ratings, refused, small};
use std::ops::ControlFlow;
use wgmf::Result;
use wgmf::backend::{
    ALL, Backend, Candidates, GibbsProblem, GradientProblem, RowProblem, RowTerms, State, Terms,
};
use wgmf::core::{
    Batches, Factors, Ids, Optimizer, Options, Ratings, RowRatings, Side, SideFactors, Transform,
    TransformKind, row_ratings,
};
use wgmf::cpu::Cpu;
use wgmf::data::ReadOptions;
use wgmf::evaluate::{
    RankBy, RankingOptions, Relevance, averaged_metrics, held_out_ranking, ranking_metrics,
    rating_metrics,
};
use wgmf::model::{Format, Model, Samples, Seen, export};
use wgmf::predict::{Ask, Predictive};
use wgmf::recommend::{
    Catalogue, Explainer, FoldedIn, Metric, Neighbours, NewRows, Recommender, draw_in, fold_in,
    recommend, similar,
};
use wgmf::train::warm_start;

/// What breaks a part.
type Break<T> = fn(&mut T);

/// What must refuse a broken model.
type Door = fn(&Model) -> Result<()>;

fn model() -> Model {
    fixture::model(7, 9, 3)
}

fn record(users: usize) -> Seen {
    Seen::new(&Ratings::default(), users, 9).unwrap()
}

fn one() -> Ratings {
    Ratings {
        users: vec![0],
        items: vec![0],
        values: vec![3.0],
        timestamps: vec![],
        weights: vec![],
    }
}

fn zoe() -> Ids {
    ["zoe"].into_iter().collect()
}

fn numbers(n: u32) -> Ids {
    (0..n).map(|j| j.to_string()).collect()
}

fn breaks() -> [(&'static str, Break<Model>); 8] {
    [
        ("users cut", |m| m.factors[Side::User].factors.truncate(1)),
        ("items cut", |m| m.factors[Side::Item].factors.truncate(1)),
        ("a bias too many", |m| m.factors[Side::Item].bias.push(0.0)),
        ("an id too many", |m| {
            m.users.intern("zoe");
        }),
        ("no ids", |m| m.items = Ids::new()),
        ("no counts of items", |m| m.item_ratings.clear()),
        ("no counts of users", |m| m.user_ratings.clear()),
        ("endless rows", |m| m.factors.factors = usize::MAX),
    ]
}

#[test]
fn models_whose_parts_do_not_fit_are_refused_at_every_door() {
    let doors: [(&str, Door); 21] = [
        ("check", |m| m.check()),
        ("rating_metrics", |m| rating_metrics(m, &one()).map(drop)),
        ("ranking by model", |m| ranked(m, RankBy::Model, None)),
        ("ranking some by model", |m| ranked(m, RankBy::Model, Some(vec![0, 8]))),
        ("ranking by popularity", |m| ranked(m, RankBy::Popularity, None)),
        ("ranking by bias", |m| ranked(m, RankBy::ItemBias, Some(vec![8]))),
        ("Recommender", |m| Recommender::new(&Cpu::new(), Catalogue::all(m)).map(drop)),
        ("Recommender of some", |m| {
            Recommender::new(&Cpu::new(), Catalogue::filtered(m, |item| item % 2 == 0)).map(drop)
        }),
        ("recommend", |m| recommend(&Cpu::new(), m, None, &[6], 3).map(drop)),
        ("Neighbours", |m| Neighbours::new(&Cpu::new(), m, Side::User, Metric::Cosine).map(drop)),
        ("similar", |m| similar(&Cpu::new(), m, Side::Item, &[8], Metric::Inner, 3).map(drop)),
        ("fold_in users", |m| fold_in(&Cpu::new(), m, Side::User, &zoe(), &one()).map(drop)),
        ("fold_in items", |m| fold_in(&Cpu::new(), m, Side::Item, &zoe(), &one()).map(drop)),
        ("join", |m| {
            let folded = fold_in(&Cpu::new(), &model(), Side::User, &zoe(), &one())?;
            folded.join(&mut m.clone(), None, &record(7)).map(drop)
        }),
        ("NewRows", |m| new_rows(m, &record(7))),
        ("predict_file", |m| {
            m.predict_file(file!().as_ref(), &ReadOptions::default(), &(), |_| Ok(())).map(drop)
        }),
        ("Explainer", |m| Explainer::new(m).map(drop)),
        ("warm_start", |m| warm(m, &one())),
        ("save", |m| {
            let home = tempfile::tempdir().unwrap();
            m.save(home.path().join("m"), &Ratings::default(), false)
        }),
        ("save with a record", |m| {
            let home = tempfile::tempdir().unwrap();
            m.save_with(home.path().join("m"), &record(7), None, false)
        }),
        ("export", |m| {
            let home = tempfile::tempdir().unwrap();
            export(m, Format::Csv, home.path().join("m"), false, &())
        }),
    ];
    let mut table = Table::new();
    for (what, break_it) in breaks() {
        for (door, call) in doors {
            add(&mut table, format!("{door}, {what}"), "do not belong together", move || {
                let mut model = model();
                break_it(&mut model);
                call(&model)
            });
        }
        let broken = move || -> (Model, Samples) {
            let (mut model, samples) = bayes(&[]);
            break_it(&mut model);
            (model, samples)
        };
        add(&mut table, format!("Predictive, {what}"), "do not belong together", move || {
            let (model, samples) = broken();
            Predictive::new(&model, &samples).map(drop)
        });
        add(&mut table, format!("draw_in, {what}"), "do not belong together", move || {
            let (model, samples) = broken();
            draw_in(&Cpu::new(), &model, &samples, Side::User, &zoe(), &one()).map(drop)
        });
    }
    for side in Side::BOTH {
        add(&mut table, format!("held_out_ranking, {side:?} cut"), "rows of 3", move || {
            let mut factors = model().factors;
            factors[side].factors.truncate(1);
            held_out_ranking(&Cpu::new(), &factors, &record(7), &one(), 5).map(drop)
        });
    }
    refused(table);
}

fn ranked(model: &Model, by: RankBy, candidates: Option<Vec<u32>>) -> Result<()> {
    let relevance = Relevance::All;
    let options = RankingOptions { at: vec![5], relevance, candidates, include_seen: true };
    ranking_metrics(&Cpu::new(), model, &record(7), &one(), by, &options).map(drop)
}

fn new_rows(model: &Model, seen: &Seen) -> Result<()> {
    NewRows::of_dataset(model, seen, Side::User, &small()).map(drop)
}

fn warm(model: &Model, ratings: &Ratings) -> Result<()> {
    let settings = Options::als().factors(3).resolve(small().ratings(), 7, 9)?;
    warm_start(&Cpu::new(), model, (&numbers(7), &numbers(9)), ratings, &settings).map(drop)
}

#[test]
fn rows_and_arrays_that_there_are_not_are_refused() {
    let mut table = Table::new();
    for (what, ratings, part) in odd_ratings() {
        let named = |of: &str| format!("{of}, {what}");
        let r = ratings.clone();
        add(&mut table, named("warm_start"), part, move || warm(&model(), &r));
        for options in [Options::sgd(), Options::adam(), Options::als(), Options::bayes()] {
            let r = ratings.clone();
            let name = named(&format!("resolve {:?}", options.solver));
            add(&mut table, name, part, move || options.resolve(&r, 7, 9).map(drop));
        }
        let r = ratings.clone();
        add(&mut table, named("row_ratings"), part, move || {
            let settings = Options::als().resolve(small().ratings(), 7, 9)?;
            row_ratings(&r, &settings, (&numbers(7), &numbers(9))).map(drop)
        });
        let outside = if what.ends_with("out of range") { "lies outside" } else { part };
        add(&mut table, named("Seen::extended"), outside, move || {
            record(7).extended(&ratings, 7, 9).map(drop)
        });
    }
    for (users, items) in [(usize::MAX, 9), (7, usize::MAX), (1 << 32, 9)] {
        let name = |of: &str| format!("{of}, {users} × {items}");
        add(&mut table, name("resolve"), "are more than 4294967295", move || {
            Options::sgd().resolve(small().ratings(), users, items).map(drop)
        });
        add(&mut table, name("Seen::new"), "are more than 4294967295", move || {
            Seen::new(&one(), users, items).map(drop)
        });
        add(&mut table, name("Factors::check"), "rows of 3 are needed", move || {
            model().factors.check(users, items, 3)
        });
        add(&mut table, name("Ratings::check"), "are more than 4294967295", move || {
            one().check(users, items, false)
        });
    }
    add(&mut table, "a record of fewer users", "lie outside", || {
        let seen = Seen::new(&one(), 7, 9)?;
        seen.extended(&Ratings::default(), 0, 9).map(drop)
    });
    add(&mut table, "warm_start of strangers", "knows none", || warm(&model(), small().ratings()));
    add(&mut table, "no start there", "user_factors.npy", || {
        Factors::read_npy("nowhere".as_ref(), 7, 9).map(drop)
    });
    add(&mut table, "a start of other rows", "has shape", || {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("start");
        export(&model(), Format::Npy, &dir, false, &())?;
        Factors::read_npy(&dir, 8, 9).map(drop)
    });
    for (what, part, user, items, values) in [
        ("user", "user 7 is none of 7", 7, vec![0], vec![1.0]),
        ("unknown user", "is none of 7", u32::MAX, vec![0], vec![1.0]),
        ("item", "item 9 is none of 9", 0, vec![0, 9], vec![1.0, 1.0]),
        ("uneven", "2 items and 1 values", 0, vec![0, 1], vec![1.0]),
        ("no items", "0 items and 1 values", 0, vec![], vec![1.0]),
    ] {
        add(&mut table, format!("explain, {what}"), part, move || {
            Explainer::new(model())?.solve(user, &items, &values, None).map(drop)
        });
    }
    add(&mut table, "another's explainer", "explainer is another model's", || {
        let model = model();
        let other = Explainer::new(fixture::model(8, 9, 3))?;
        let recommender = Recommender::new(&Cpu::new(), Catalogue::all(&model))?;
        recommender.explained(other, record(7)).map(drop)
    });
    add(&mut table, "new rows beside another's record", "another model's", || {
        new_rows(&model(), &record(8))
    });
    for (what, averages) in [("no averages", vec![]), ("averages too many", vec![1.0, 2.0])] {
        add(&mut table, what, "of 1 ratings", move || {
            averaged_metrics(&model(), &Samples::default(), &one(), &averages).map(drop)
        });
    }
    add(&mut table, "uneven held-out ratings", "one length", || {
        let uneven = Ratings { users: vec![], ..one() };
        averaged_metrics(&model(), &Samples::default(), &uneven, &[1.0]).map(drop)
    });
    add(&mut table, "no pairs", "1 users and 0 items", || {
        let (model, samples) = bayes(&[]);
        Predictive::new(&model, &samples)?.summaries(&[0], &[], &Ask::default()).map(drop)
    });
    let learn = |kind, threshold, values: &'static [f32]| {
        move || Transform::learn(&[kind], threshold, values, |at| format!("rating {at}")).map(drop)
    };
    add(&mut table, "log1p of −1", "log1p", learn(TransformKind::Log1p, 1.0, &[0.0, -1.0]));
    add(&mut table, "zscore of one", "zscore", learn(TransformKind::ZScore, 1.0, &[2.0, 2.0]));
    add(&mut table, "zscore of none", "zscore", learn(TransformKind::ZScore, 1.0, &[]));
    add(&mut table, "minmax of none", "minmax", learn(TransformKind::MinMax, 1.0, &[]));
    add(&mut table, "NaN learned", "overflows", learn(TransformKind::None, 1.0, &[f32::NAN]));
    let binary = learn(TransformKind::Binary, f32::NAN, &[1.0]);
    add(&mut table, "a threshold of NaN", "`threshold` NaN", binary);
    refused(table);
}

#[test]
fn folded_rows_join_no_other_model() {
    let mut table = Table::new();
    let breaks: [(&str, Break<FoldedIn>); 5] = [
        ("factors cut", |f| f.factors.truncate(1)),
        ("no bias", |f| f.bias.clear()),
        ("an id too many", |f| {
            f.ids.intern("yan");
        }),
        ("no rows", |f| {
            (f.ids, f.factors, f.bias) = Default::default();
        }),
        ("draws of nothing", |f| f.draws.push(Default::default())),
    ];
    for side in Side::BOTH {
        for (what, break_it) in breaks {
            add(&mut table, format!("{side:?}, {what}"), "cannot join another", move || {
                let mut model = model();
                let mut folded = fold_in(&Cpu::new(), &model, side, &zoe(), &one())?;
                break_it(&mut folded);
                folded.join(&mut model, None, &record(7)).map(drop)
            });
        }
        add(&mut table, format!("{side:?}, another's record"), "cannot join another", move || {
            let mut model = model();
            let folded = fold_in(&Cpu::new(), &model, side, &zoe(), &one())?;
            folded.join(&mut model, None, &record(8)).map(drop)
        });
        add(&mut table, format!("{side:?}, draws cut"), "cannot join another", move || {
            let (mut model, mut samples) = bayes(&[]);
            let seen = Seen::new(&Ratings::default(), model.users.len(), model.items.len())?;
            let mut folded = draw_in(&Cpu::new(), &model, &samples, side, &zoe(), &one())?;
            folded.draws[1].bias.clear();
            folded.join(&mut model, Some(&mut samples), &seen).map(drop)
        });
    }
    refused(table);
}

#[test]
fn counts_that_are_as_large_as_they_can_be_stay_so() {
    let mut model = model();
    model.item_ratings.fill(u32::MAX);
    model.facts.joined[0].new = u64::MAX;
    let folded = fold_in(&Cpu::new(), &model, Side::User, &zoe(), &one()).unwrap();
    folded.join(&mut model, None, &record(7)).unwrap();
    assert!(model.item_ratings.iter().all(|&count| count == u32::MAX));
    assert_eq!((model.user_ratings.last(), model.facts.joined[0].new), (Some(&1), u64::MAX));
}

/// Rows of one rating, and where they start.
fn rows() -> RowProblem {
    RowProblem {
        ratings: RowRatings::new(&one(), &[], 7, 9),
        test: Ratings::default(),
        start: model().factors,
        terms: RowTerms {
            bias: true,
            reg: 0.1,
            reg_bias: 0.1,
            reg_exponent: 1.0,
            damping: 0.0,
            damping_bias: 0.0,
            unobserved_weight: 0.0,
            block: 3,
            nonnegative: false,
            confidence: Default::default(),
        },
    }
}

fn batches() -> Result<GradientProblem> {
    let settings = Options::adam().factors(3).resolve(&one(), 7, 9)?;
    let factors = model().factors;
    Ok(GradientProblem {
        batches: Batches::new(&one(), 7, 9, 1, None),
        test: Ratings::default(),
        start: State { moments: vec![factors.clone(); 2], factors },
        terms: Terms::new(&settings, Optimizer::Adam),
    })
}

fn chains() -> GibbsProblem {
    GibbsProblem {
        ratings: RowRatings::new(&one(), &[], 7, 9),
        test: Ratings::default(),
        starts: vec![model().factors],
        popularity: [vec![0.0; 8], vec![0.0; 10]],
        bias: true,
        block: 3,
        latent: false,
    }
}

#[test]
fn problems_that_do_not_fit_are_refused_at_the_seam() {
    let mut table = Table::new();
    let of_rows: [(&str, &str, Break<RowProblem>); 10] = [
        ("a partner that there is not", "row 99 is none of 9", |p| {
            p.ratings.users.partners[0] = 99;
        }),
        ("a value too many", "do not belong together", |p| p.ratings.items.values.push(1.0)),
        ("a weight too many", "do not belong together", |p| {
            p.ratings.users.weights = vec![1.0; 2];
        }),
        ("no starts", "do not belong together", |p| p.ratings.users.starts.clear()),
        ("falling starts", "do not belong together", |p| p.ratings.users.starts[1] = 5),
        ("factors cut", "rows of 3 are needed", |p| {
            p.start[Side::User].factors.truncate(1);
        }),
        ("another's start", "rows of 3 are needed", |p| {
            p.start = fixture::model(8, 9, 3).factors;
        }),
        ("no factors", "`factors` 0", |p| p.start.factors = 0),
        ("no block", "`block` 0", |p| p.terms.block = 0),
        ("a test of another", "user 7", |p| {
            p.test = Ratings { users: vec![7], ..one() };
        }),
    ];
    for (what, part, break_it) in of_rows {
        add(&mut table, format!("rows, {what}"), part, move || {
            let mut problem = rows();
            break_it(&mut problem);
            Cpu::new().row_passes(problem).map(drop)
        });
    }
    let of_batches: [(&str, &str, Break<GradientProblem>); 4] = [
        ("no moments", "0 arrays of moments", |p| p.start.moments.clear()),
        ("moments cut", "rows of 3 are needed", |p| {
            p.start.moments[1][Side::Item].factors.truncate(1);
        }),
        ("another's start", "rows of 3 are needed", |p| {
            p.start.factors = fixture::model(7, 8, 3).factors;
        }),
        ("a test of another", "item 9", |p| {
            p.test = Ratings { items: vec![9], ..one() };
        }),
    ];
    for (what, part, break_it) in of_batches {
        add(&mut table, format!("batches, {what}"), part, move || {
            let mut problem = batches()?;
            break_it(&mut problem);
            Cpu::new().gradient_passes(problem).map(drop)
        });
    }
    let of_chains: [(&str, &str, Break<GibbsProblem>); 4] = [
        ("no chain", "without a chain", |p| p.starts.clear()),
        ("chains of two kinds", "rows of 3 are needed", |p| {
            p.starts.push(fixture::model(7, 9, 2).factors);
        }),
        ("no popularity", "popularities of 0", |p| p.popularity[0].clear()),
        ("a rating of nobody", "row 7 is none of 7", |p| {
            p.ratings.items.partners[0] = 7;
        }),
    ];
    for (what, part, break_it) in of_chains {
        add(&mut table, format!("chains, {what}"), part, move || {
            let mut problem = chains();
            break_it(&mut problem);
            Cpu::new().gibbs_passes(problem).map(drop)
        });
    }
    for (factors, count, biases) in [(0, 0, 0), (0, 4, 2), (3, 4, 2), (usize::MAX, 4, 2)] {
        let part = format!("{count} numbers are not {biases} rows of {factors}");
        add(&mut table, part.clone(), part, move || {
            let (rows, bias) = (vec![0.0; count], vec![0.0; biases]);
            Cpu::new().ranker(Candidates { factors, rows: &rows, bias: &bias }).map(drop)
        });
    }
    add(&mut table, "rows put", "are not those of 3 rows", || {
        let mut passes = Cpu::new().row_passes(rows())?;
        passes.put_rows(Side::User, 0..3, &SideFactors::zeros(2, 3))
    });
    add(&mut table, "rows of other factors put", "are not those of 7 rows", || {
        let mut passes = Cpu::new().row_passes(rows())?;
        passes.put_rows(Side::User, ALL, &SideFactors::zeros(7, 2))
    });
    add(&mut table, "a Gram matrix", "no Gram matrix of 3 factors", || {
        Cpu::new().row_passes(rows())?.set_gram(Side::Item, &[0.0; 4])
    });
    add(&mut table, "drawn rows put", "are not those of 3 rows", || {
        let mut passes = Cpu::new().gibbs_passes(chains())?;
        passes.put_rows(0, Side::Item, 0..3, &SideFactors::zeros(2, 3))
    });
    refused(table);
    // What is no error: the problems as they are, and rows of nobody.
    let mut passes = Cpu::new().row_passes(rows()).unwrap();
    passes.solve(Side::User, ALL, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(Cpu::new().gradient_passes(batches().unwrap()).is_ok());
    assert!(Cpu::new().gibbs_passes(chains()).is_ok());
    assert_eq!(RowRatings::default().users.rows(), 0);
    assert!(!wgmf::core::RowPrior::default().has_bias());
}
