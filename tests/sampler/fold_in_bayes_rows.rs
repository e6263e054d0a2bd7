//! What new rows of Bayesian models are worth on a planted set, what joins a model, and what is
//! refused.

use crate::{fixture, oracle};
use wgmf::core::{
    Factors, Ids, Objective, Options, Ratings, SamplePrecision, Side, Solver, UNKNOWN,
};
use wgmf::cpu::Cpu;
use wgmf::evaluate::{PredictiveMetrics, predictive_metrics};
use wgmf::model::{Model, RunRecord, Samples, Seen};
use wgmf::predict::Predictive;
use wgmf::recommend::{draw_in, fold_in};
use wgmf::train::{Event, Input, train};

use fixture::bayes::{COUNT, ITEMS, bayes};
use oracle::case::Draw;
use std::ops::ControlFlow;

/// Rows of either side of the planted set, and those that are new of them.
const ROWS: usize = 150;
const OLD: usize = 120;

/// Ratings of three kinds, all of the same planted model: of rows that a model is trained on, of rows
/// that are new to it, and of those again.
struct Planted {
    names: [Ids; 2],
    old: Ratings,
    given: Ratings,
    test: Ratings,
}

impl Planted {
    /// With new rows on this side.
    fn new(side: Side) -> Planted {
        let mut draw = Draw::new(8);
        let mut normal = || (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0;
        let mut rows = || -> Vec<[f64; 3]> {
            (0..ROWS).map(|_| [0.8 * normal(), 0.8 * normal(), 0.4 * normal()]).collect()
        };
        let (users, items) = (rows(), rows());
        let names = ["u", "i"].map(|side| (0..ROWS).map(|row| format!("{side}{row}")).collect());
        let (old, given, test) = Default::default();
        let mut planted = Planted { names, old, given, test };
        let mut chance = Draw::new(9);
        for (user, p) in users.iter().enumerate() {
            let noise = if user % 3 == 0 { 1.0 } else { 0.4 };
            for (item, q) in items.iter().enumerate() {
                if chance.unit() > 0.25 {
                    continue;
                }
                let own = if side == Side::User { user } else { item };
                let to = match own < OLD {
                    true => &mut planted.old,
                    false if chance.unit() < 0.6 => &mut planted.given,
                    false => &mut planted.test,
                };
                let value = 3.0 + p[2] + q[2] + p[0] * q[0] + p[1] * q[1] + noise * normal();
                to.users.push(user as u32);
                to.items.push(item as u32);
                to.values.push(value as f32);
            }
        }
        planted
    }

    /// A model of these ratings, whose rows of `side` are the first `rows`.
    fn trained(&self, side: Side, rows: usize, ratings: &Ratings) -> (Model, Samples, Seen) {
        let mut names = self.names.clone();
        names[side.index()] = names[side.index()].iter().take(rows).collect();
        let [users, items] = names;
        let options = Options {
            solver: Some(Solver::Bayes),
            factors: Some(4),
            samples: Some(80),
            burn_in: Some(30),
            chains: Some(2),
            seed: 3,
            ..Options::default()
        };
        let settings = options.resolve(ratings, users.len(), items.len()).unwrap();
        let go_on = &mut |_: Event| Ok(ControlFlow::Continue(()));
        let input = Input::new(&users, &items, ratings);
        let outcome = train(&Cpu::new(), input, &settings, go_on).unwrap();
        let model = Model {
            typical: Default::default(),
            factors: outcome.factors,
            user_ratings: ratings.counts(Side::User, users.len()),
            item_ratings: ratings.counts(Side::Item, items.len()),
            users,
            items,
            objective: Objective::of(&settings, Default::default()),
            facts: Default::default(),
            run: RunRecord { seed: 3, ..RunRecord::default() },
        };
        let seen = Seen::new(ratings, model.users.len(), model.items.len()).unwrap();
        (model, outcome.samples.unwrap(), seen)
    }
}

fn own(side: Side, ratings: &mut Ratings) -> &mut Vec<u32> {
    match side {
        Side::User => &mut ratings.users,
        Side::Item => &mut ratings.items,
    }
}

fn measured(model: &Model, samples: &Samples, test: &Ratings) -> PredictiveMetrics {
    predictive_metrics(&Predictive::new(model, samples).unwrap(), test).unwrap()
}

/// The root mean squared error of the scores of these factors.
fn error_of_means(factors: &Factors, test: &Ratings) -> f64 {
    let errors =
        test.iter().map(|(user, item, value)| f64::from(value) - factors.score(user, item));
    (errors.map(|error| error * error).sum::<f64>() / test.len() as f64).sqrt()
}

/// Whether all but the rows `but` of a side are the same.
fn same_but(side: Side, but: &[usize], one: &Factors, other: &Factors) -> bool {
    let k = one.factors;
    let ((a, a_bias), (b, b_bias)) = (one.side(side), other.side(side));
    let rest = side.partner();
    one.side(rest) == other.side(rest)
        && (0..a_bias.len().min(b_bias.len()))
            .filter(|row| !but.contains(row))
            .all(|row| a[row * k..][..k] == b[row * k..][..k] && a_bias[row] == b_bias[row])
}

#[test]
fn new_rows_predict_as_trained_ones_and_the_old_keep_their_bits() {
    for side in [Side::User, Side::Item] {
        let planted = Planted::new(side);
        let (old_model, old_samples, old_seen) = planted.trained(side, OLD, &planted.old);
        let ids: Ids = planted.names[side.index()].iter().skip(OLD).collect();
        let mut given = planted.given.clone();
        own(side, &mut given).iter_mut().for_each(|row| *row -= OLD as u32);
        let folded = draw_in(&Cpu::new(), &old_model, &old_samples, side, &ids, &given).unwrap();
        let (mut model, mut samples) = (old_model.clone(), old_samples.clone());
        let seen = folded.join(&mut model, Some(&mut samples), &old_seen).unwrap();

        let with = measured(&model, &samples, &planted.test);
        let mut unknown = planted.test.clone();
        own(side, &mut unknown).fill(UNKNOWN);
        let without = measured(&old_model, &old_samples, &unknown);
        let mut all = planted.old.clone();
        all.users.extend(&planted.given.users);
        all.items.extend(&planted.given.items);
        all.values.extend(&planted.given.values);
        let (whole, of_whole, _) = planted.trained(side, ROWS, &all);
        let trained = measured(&whole, &of_whole, &planted.test);
        println!(
            "{side:?}, {} ratings: RMSE {:.4} folded in, {:.4} trained, {:.4} unknown; log density \
             {:.4}, {:.4}, {:.4}; 90 % interval covers {:.3}, {:.3}, {:.3}",
            planted.test.len(),
            with.rating.rmse,
            trained.rating.rmse,
            without.rating.rmse,
            with.log_predictive_density,
            trained.log_predictive_density,
            without.log_predictive_density,
            with.coverage_90,
            trained.coverage_90,
            without.coverage_90,
        );
        assert!(with.rating.rmse < 1.03 * trained.rating.rmse);
        assert!(with.rating.rmse < 0.75 * without.rating.rmse);
        assert!(with.log_predictive_density > trained.log_predictive_density - 0.06);
        // New ratings do not narrow the samples of the other side, so intervals are rather too wide.
        assert!((0.87..0.96).contains(&with.coverage_90));

        // What was there keeps its bits, in the means and in every sample.
        assert!(same_but(side, &[], &model.factors, &old_model.factors));
        for (sample, old) in samples.samples.iter().zip(&old_samples.samples) {
            assert!(same_but(side, &[], &sample.factors, &old.factors));
            let users = old.factors.users();
            assert_eq!(sample.noise_weights[..users], old.noise_weights[..users]);
            assert_eq!(sample.noise_weights.last(), old.noise_weights.last());
            assert_eq!(sample.noise_weights.len(), sample.factors.users() + 1);
            assert_eq!((&sample.priors, sample.noise_shape), (&old.priors, old.noise_shape));
        }
        assert_eq!(samples.popularity, old_samples.popularity);
        // The means predict nearly as well. (As the chains' factors are turned against each other, means
        // of what is not turned first predict little.)
        let of_means = error_of_means(&model.factors, &planted.test);
        let mut blurred = model.factors.clone();
        let rows = match side {
            Side::User => &mut blurred[Side::User].factors,
            Side::Item => &mut blurred[Side::Item].factors,
        };
        let new = &mut rows[OLD * model.factors.factors..];
        for (at, to) in new.iter_mut().enumerate() {
            let sum: f32 = folded.draws.iter().map(|rows| rows.factors[at]).sum();
            *to = sum / folded.draws.len() as f32;
        }
        let blurred = error_of_means(&blurred, &planted.test);
        println!("by the means {of_means:.4}, by means without turns {blurred:.4}");
        assert!(of_means < 1.05 * with.rating.rmse && blurred > 1.04 * of_means);

        // The grown model is a whole one.
        let home = tempfile::tempdir().unwrap();
        model.save_with(home.path().join("m"), &seen, Some(&samples), false).unwrap();
        let opened = Model::open(home.path().join("m")).unwrap();
        assert_eq!(opened.factors, model.factors);
        assert_eq!(opened.open_samples(home.path().join("m")).unwrap(), samples);

        // Once more with the ratings that one of the rows had: others keep their bits, this one's
        // draws are new, and say about the same.
        let one: Ids = [ids.name(0)].into_iter().collect();
        let mut its = given.clone();
        let rows = own(side, &mut its).clone();
        its.retain(|at| rows[at] == 0);
        let again = draw_in(&Cpu::new(), &model, &samples, side, &one, &its).unwrap();
        let (mut updated, mut of_updated) = (model.clone(), samples.clone());
        again.join(&mut updated, Some(&mut of_updated), &seen).unwrap();
        assert_eq!(updated.users.len(), model.users.len());
        assert!(same_but(side, &[OLD], &updated.factors, &model.factors));
        let k = model.factors.factors;
        for (now, before) in of_updated.samples.iter().zip(&samples.samples) {
            assert!(same_but(side, &[OLD], &now.factors, &before.factors));
            assert_eq!(now.noise_weights.len(), before.noise_weights.len());
            let (now, before) = (now.factors.side(side).0, before.factors.side(side).0);
            assert_ne!(now[OLD * k..][..k], before[OLD * k..][..k]);
        }
        let updated = measured(&updated, &of_updated, &planted.test);
        assert!((updated.rating.rmse / with.rating.rmse - 1.0).abs() < 0.03);

        // Nothing joins what it does not belong to, and all stays as it was.
        let before = model.factors.clone();
        assert!(folded.join(&mut model, None, &seen).is_err());
        let mut fewer = samples.clone();
        fewer.samples.pop();
        assert!(folded.join(&mut model, Some(&mut fewer), &seen).is_err());
        assert!(folded.join(&mut model, Some(&mut samples), &old_seen).is_err());
        assert_eq!(model.factors, before);
    }
}

#[test]
fn what_cannot_be_drawn_is_named() {
    let one = |value: f32| Ratings {
        users: vec![0],
        items: vec![3],
        values: vec![value],
        ..Ratings::default()
    };
    let ids: Ids = ["new0"].into_iter().collect();
    let cpu = Cpu::new();
    let refused = |(model, samples): &(Model, Samples), ratings: &Ratings| {
        let drawn = draw_in(&cpu, model, samples, Side::User, &ids, ratings);
        drawn.unwrap_err().to_string()
    };
    let gaussian = bayes(&[]);
    let levels = bayes(&[1.0, 2.0, 4.0]);
    let message = refused(&levels, &one(3.0));
    assert!(message.contains("rating 3 of user \"new0\": it is none of the levels"), "{message}");
    assert!(refused(&gaussian, &one(f32::NAN)).contains("\"new0\": it is not a finite number"));
    let out = Ratings { items: vec![ITEMS as u32], ..one(4.0) };
    assert!(refused(&gaussian, &out).contains("outside"));
    // A user far off has noise to match; an item has only its numbers.
    let item = |(model, samples): &(Model, Samples), value: f32| {
        let ratings = Ratings {
            users: vec![0, 1, 2, 3],
            items: vec![0; 4],
            values: vec![value; 4],
            ..Ratings::default()
        };
        draw_in(&cpu, model, samples, Side::Item, &ids, &ratings).unwrap_err().to_string()
    };
    let message = item(&gaussian, 3e38);
    assert!(message.contains("item \"new0\" is not finite in 32 bits"), "{message}");
    let mut halves = bayes(&[]);
    halves.1.precision = SamplePrecision::F16;
    let message = item(&halves, 1e7);
    assert!(message.contains("item \"new0\" is ") && message.contains("f32"), "{message}");
    let mut cut = bayes(&[]);
    cut.1.samples[2].priors[0].mean.pop();
    assert!(refused(&cut, &one(4.0)).contains("the samples are not those of the model"));
    let mut als = bayes(&[]);
    als.0.objective.solver = Solver::Als;
    assert!(refused(&als, &one(4.0)).contains("those of als are solved"));
    let solved = fold_in(&cpu, &gaussian.0, Side::User, &ids, &one(4.0)).unwrap_err();
    assert!(solved.to_string().contains("draw_in"), "{solved}");
    // Nobody new is no error.
    let (model, samples) = &gaussian;
    let nobody =
        draw_in(&cpu, model, samples, Side::Item, &Ids::new(), &Ratings::default()).unwrap();
    assert!(nobody.factors.is_empty() && nobody.draws.len() == COUNT);
}
