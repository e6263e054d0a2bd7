//! New users and items: `recommend::fold_in` against textbook f64, and `wgmf fold-in`.

use crate::{common, place};
use wgmf::backend::Backend;
use wgmf::core::{
    Confidence, Factors, Ids, Loss, Objective, Options, Ratings, Side, SideFactors, Solver,
};
use wgmf::cpu::Cpu;
use wgmf::model::{Model, Seen};
use wgmf::recommend::fold_in;
use wgmf::train::{Input, train};

use common::largest_gap;
use common::objective;
use place::{Place, stderr};
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// Numbers from −1 to 1, the same every time.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn below(&mut self, n: usize) -> u32 {
        (((self.next() + 1.0) / 2.0 * n as f64) as usize).min(n - 1) as u32
    }
}

const USERS: usize = 30;
const ITEMS: usize = 40;

/// A model of random factors, said to be of `solver` with these settings.
fn model(solver: &str, loss: Loss, k: usize, settings: Value) -> Model {
    let mut draw = Draw(5);
    let biased = settings["bias"].as_bool().unwrap();
    let nonnegative = settings["nonnegative"].as_bool().unwrap_or(false);
    let mut array = |n: usize, on: bool| -> Vec<f32> {
        let draw = |_| if on { (0.7 * draw.next()) as f32 } else { 0.0 };
        let numbers = (0..n).map(draw);
        if nonnegative { numbers.map(f32::abs).collect() } else { numbers.collect() }
    };
    let factors = Factors {
        factors: k,
        sides: [
            SideFactors { factors: array(USERS * k, true), bias: array(USERS, biased) },
            SideFactors { factors: array(ITEMS * k, true), bias: array(ITEMS, biased) },
        ],
        global_mean: match (solver, loss) {
            ("ials", _) => 0.0,
            (_, Loss::Logistic) => 0.3,
            _ if nonnegative => 0.0,
            _ => 3.0,
        },
    };
    let names = |side: &str, n: usize| (0..n).map(|i| format!("{side}{i}")).collect::<Ids>();
    let mut model = Model {
        typical: Default::default(),
        factors,
        users: names("u", USERS),
        items: names("i", ITEMS),
        user_ratings: vec![0; USERS],
        item_ratings: vec![0; ITEMS],
        objective: Objective { loss, ..objective(solver, &settings) },
        facts: Default::default(),
        run: Default::default(),
    };
    model.run.settings = settings;
    model
}

/// Ratings of `rows` new rows of `side`, of 1, 2, … ratings.
fn ratings(side: Side, rows: usize, value: impl Fn(f64) -> f32) -> Ratings {
    let mut draw = Draw(9);
    let mut ratings = Ratings::default();
    let partners = if side == Side::User { ITEMS } else { USERS };
    for row in 0..rows {
        let mut taken = vec![false; partners];
        for _ in 0..=row * 3 {
            let partner = draw.below(partners);
            if std::mem::replace(&mut taken[partner as usize], true) {
                continue;
            }
            let (user, item) =
                if side == Side::User { (row as u32, partner) } else { (partner, row as u32) };
            ratings.users.push(user);
            ratings.items.push(item);
            ratings.values.push(value(draw.next()));
        }
    }
    ratings
}

/// Every kind of device.
fn backends() -> [Box<dyn Backend>; 2] {
    [Box::new(Cpu::new()), Box::new(common::gpu())]
}

fn new_ids(rows: usize) -> Ids {
    (0..rows).map(|row| format!("new{row}")).collect()
}

/// One row as the textbook has it.
struct Row<'a> {
    model: &'a Model,
    side: Side,
    /// (partner, value).
    ratings: Vec<(u32, f64)>,
}

impl<'a> Row<'a> {
    fn all(model: &'a Model, side: Side, rows: usize, ratings: &Ratings) -> Vec<Row<'a>> {
        let of = |row: usize| {
            let ratings = ratings.iter().filter_map(|(user, item, value)| {
                let (own, partner) = if side == Side::User { (user, item) } else { (item, user) };
                (own as usize == row).then_some((partner, f64::from(value)))
            });
            Row { model, side, ratings: ratings.collect() }
        };
        (0..rows).map(of).collect()
    }

    fn setting(&self, name: &str) -> f64 {
        self.model.run.settings[name].as_f64().unwrap_or(0.0)
    }

    fn partners(&self) -> u32 {
        let f = &self.model.factors;
        (if self.side == Side::User { f.items() } else { f.users() }) as u32
    }

    /// `[q, 1]` (without biases `[q, 0]`) and what the score has without the row.
    fn partner(&self, partner: u32) -> (Vec<f64>, f64) {
        let f = &self.model.factors;
        let (factors, bias) = match self.side {
            Side::User => (f.item(partner), f[Side::Item].bias[partner as usize]),
            Side::Item => (f.user(partner), f[Side::User].bias[partner as usize]),
        };
        let one = if self.model.run.settings["bias"] == true { 1.0 } else { 0.0 };
        let row = factors.iter().map(|&q| f64::from(q)).chain([one]).collect();
        (row, f64::from(f.global_mean) + f64::from(bias))
    }

    /// `π` times the regularization of each coordinate.
    fn penalties(&self) -> Vec<f64> {
        let n = self.ratings.len() as f64
            + self.setting("unobserved_weight") * f64::from(self.partners());
        let penalty = n.powf(self.setting("reg_exponent"));
        let of = |reg, damping| penalty * self.setting(reg) + self.setting(damping);
        let (factors, bias) = (of("reg", "damping"), of("reg_bias", "damping_bias"));
        let k = self.model.factors.factors;
        (0..=k).map(|j| if j < k { factors } else { bias }).collect()
    }

    /// The gradient of half the objective at `x`.
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let mut gradient: Vec<f64> =
            self.penalties().iter().zip(x).map(|(penalty, x)| penalty * x).collect();
        let mut add = |y: &[f64], amount: f64| {
            gradient.iter_mut().zip(y).for_each(|(sum, y)| *sum += amount * y);
        };
        let score = |y: &[f64]| y.iter().zip(x).map(|(y, x)| y * x).sum::<f64>();
        for &(partner, rating) in &self.ratings {
            let (y, base) = self.partner(partner);
            let s = base + score(&y);
            match (self.model.objective.loss, self.model.objective.is_implicit()) {
                (Loss::Logistic, _) => add(&y, 0.5 * (1.0 / (1.0 + (-s).exp()) - rating)),
                (_, false) => add(&y, s - rating),
                (_, true) if self.model.objective.confidence == Confidence::Hu => {
                    // What every pair has by the unobserved weight is not there for a listed one.
                    let confidence = self.setting("alpha") * rating.abs();
                    add(&y, (confidence - 1.0) * s - if rating > 0.0 { confidence } else { 0.0 });
                }
                (_, true) => {
                    let alpha = self.model.run.settings["alpha"].as_f64();
                    add(&y, alpha.map_or(1.0, |alpha| alpha * rating) * (s - 1.0));
                }
            }
        }
        let unobserved = self.setting("unobserved_weight");
        if unobserved > 0.0 {
            for partner in 0..self.partners() {
                let (y, _) = self.partner(partner);
                add(&y, unobserved * score(&y));
            }
        }
        gradient
    }

    /// The minimum: the gradient is affine for squares, so its values at 0 and at the unit vectors
    /// are the equations, which Gaussian elimination with pivots solves.
    fn minimum(&self) -> Vec<f64> {
        let k = self.model.factors.factors;
        let width = if self.model.run.settings["bias"] == true { k + 1 } else { k };
        let zero = self.gradient(&vec![0.0; k + 1]);
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); width];
        for j in 0..width {
            let mut unit = vec![0.0; k + 1];
            unit[j] = 1.0;
            let gradient = self.gradient(&unit);
            (0..width).for_each(|i| rows[i].push(gradient[i] - zero[i]));
        }
        (0..width).for_each(|i| rows[i].push(-zero[i]));
        for j in 0..width {
            let pivot =
                (j..width).max_by(|&a, &b| rows[a][j].abs().total_cmp(&rows[b][j].abs())).unwrap();
            rows.swap(j, pivot);
            for i in (0..width).filter(|&i| i != j) {
                let factor = rows[i][j] / rows[j][j];
                let pivot = rows[j].clone();
                let columns = rows[i].iter_mut().zip(&pivot).skip(j);
                columns.for_each(|(x, pivot)| *x -= factor * pivot);
            }
        }
        let mut x: Vec<f64> = (0..width).map(|j| rows[j][width] / rows[j][j]).collect();
        x.resize(k + 1, 0.0);
        x
    }
}

/// `[p, b]` of a folded row.
fn row(folded: &wgmf::recommend::FoldedIn, k: usize, row: usize) -> Vec<f32> {
    folded.factors[row * k..][..k].iter().copied().chain([folded.bias[row]]).collect()
}

fn settings(pairs: &[(&str, f64)], bias: bool) -> Value {
    let mut settings = json!({"bias": bias, "reg": 0.1, "reg_bias": 0.05, "reg_exponent": 1.0});
    for &(name, value) in pairs {
        settings[name] = json!(value);
    }
    settings
}

#[test]
fn every_squared_objective_is_at_its_minimum() {
    let stars = |x: f64| (3.0 + 2.0 * x) as f32;
    let plays = |x: f64| (20.0 * (x + 1.01)) as f32;
    let dislikes = |x: f64| (4.0 * x + 1.0) as f32;
    let hu = |alpha: f64| {
        let mut settings =
            settings(&[("unobserved_weight", 1.0), ("reg_exponent", 0.0), ("alpha", alpha)], false);
        settings["confidence"] = json!("hu");
        settings
    };
    let backends = backends();
    for (solver, settings, value) in [
        ("als", settings(&[], true), &stars as &dyn Fn(f64) -> f32),
        ("als", settings(&[("reg_exponent", 0.5)], false), &stars),
        ("sgd", settings(&[("damping", 1.5), ("damping_bias", 4.0)], true), &stars),
        ("adam", settings(&[("reg_exponent", 0.0), ("reg_bias", 0.3)], true), &stars),
        ("adagrad", settings(&[("reg_exponent", 0.7)], true), &stars),
        ("ials", settings(&[("unobserved_weight", 0.2)], false), &plays),
        ("ials", settings(&[("unobserved_weight", 0.03), ("alpha", 0.4)], false), &plays),
        ("ials", settings(&[("unobserved_weight", 0.1), ("reg_exponent", 0.5)], false), &plays),
        ("ials", hu(0.6), &dislikes),
        ("ials", hu(40.0), &dislikes),
    ] {
        for side in [Side::User, Side::Item] {
            for k in [1, 6, 17] {
                let model = model(solver, Loss::Squared, k, settings.clone());
                let ratings = ratings(side, 9, value);
                for backend in &backends {
                    // A GPU compiles its kernels anew for each number of factors: sides take turns.
                    if backend.device().backend == "gpu" && (side == Side::User) != (k == 6) {
                        continue;
                    }
                    let folded = fold_in(&**backend, &model, side, &new_ids(9), &ratings).unwrap();
                    for (at, want) in Row::all(&model, side, 9, &ratings).iter().enumerate() {
                        let gap = largest_gap(&row(&folded, k, at), &want.minimum());
                        let device = backend.device().backend;
                        let case = format!("{device} {solver} {settings} {side:?} k {k} row {at}");
                        assert!(gap < 1e-4, "{case}: {gap}");
                    }
                }
            }
        }
    }
}

#[test]
fn logistic_rows_have_no_slope_left() {
    let label = |x: f64| f32::from(x > -0.4);
    let backends = backends();
    for (solver, settings) in [
        ("sgd", settings(&[("damping", 0.4), ("damping_bias", 1.2)], true)),
        ("adam", settings(&[("reg", 0.002), ("reg_bias", 0.001)], true)),
        ("adagrad", settings(&[("reg_exponent", 0.0), ("reg", 0.5)], false)),
    ] {
        for side in [Side::User, Side::Item] {
            let k = 6;
            let model = model(solver, Loss::Logistic, k, settings.clone());
            let ratings = ratings(side, 9, label);
            let folded: Vec<_> = (backends.iter())
                .map(|b| fold_in(&**b, &model, side, &new_ids(9), &ratings).unwrap())
                .collect();
            let rows = Row::all(&model, side, 9, &ratings);
            for (folded, at) in folded.iter().flat_map(|f| (0..9).map(move |at| (f, at))) {
                let want = &rows[at];
                let x: Vec<f64> = row(folded, k, at).iter().map(|&x| f64::from(x)).collect();
                assert!(x.iter().any(|x| x.abs() > 0.01));
                // At zero there is a slope; at the row there is none, in comparison.
                let steep = |x: &[f64]| {
                    let slopes = want.gradient(x).into_iter();
                    let slopes = slopes.take(k + usize::from(settings["bias"] == true));
                    slopes.map(f64::abs).fold(0.0, f64::max)
                };
                let (here, at_zero) = (steep(&x), steep(&vec![0.0; k + 1]));
                assert!(here < 2e-5 * at_zero.max(1.0), "{solver} {side:?} {at}: {here}");
                assert!(at_zero > 0.01, "{at_zero}");
            }
        }
    }
}

#[test]
fn nonnegative_rows_meet_the_conditions_of_their_minimum() {
    let backends = backends();
    for solver in ["als", "ials"] {
        let mut settings = settings(&[("reg", 0.01)], false);
        settings["nonnegative"] = json!(true);
        if solver == "ials" {
            settings["unobserved_weight"] = json!(0.1);
        }
        let k = 6;
        let model = model(solver, Loss::Squared, k, settings);
        let ratings = ratings(Side::User, 9, |x| (3.0 + 2.0 * x) as f32);
        let (mut free, mut bound) = (0, 0);
        let folded: Vec<_> = (backends.iter())
            .map(|b| fold_in(&**b, &model, Side::User, &new_ids(9), &ratings).unwrap())
            .collect();
        let rows = Row::all(&model, Side::User, 9, &ratings);
        for (folded, at) in folded.iter().flat_map(|f| (0..9).map(move |at| (f, at))) {
            let want = &rows[at];
            let x: Vec<f64> = row(folded, k, at).iter().map(|&x| f64::from(x)).collect();
            let steep =
                want.gradient(&vec![0.0; k + 1]).into_iter().fold(0.0, |m, x| x.abs().max(m));
            for (j, slope) in want.gradient(&x).into_iter().take(k).enumerate() {
                assert!(x[j] >= 0.0);
                // Free coordinates have no slope, bound ones none that leads down.
                let slope = if x[j] > 0.0 { slope.abs() } else { (-slope).max(0.0) };
                assert!(slope < 1e-4 * steep, "{solver} row {at} coordinate {j}: {slope}");
                (free, bound) = (free + u32::from(x[j] > 0.0), bound + u32::from(x[j] == 0.0));
            }
        }
        assert!(free > 18 && bound > 18, "{free} {bound}");
    }
}

/// A model of the sample's first ratings, trained until nothing moves.
fn converged(solver: Solver, options: Options) -> (Model, Ratings) {
    let mut draw = Draw(3);
    let mut ratings = Ratings::default();
    for user in 0..25 {
        for item in 0..18 {
            if draw.next() > 0.1 || item == user % 18 {
                ratings.users.push(user);
                ratings.items.push(item);
                ratings.values.push((3.0 + 1.9 * draw.next()) as f32);
            }
        }
    }
    let users: Ids = (0..25).map(|i| format!("u{i}")).collect();
    let items: Ids = (0..18).map(|i| format!("i{i}")).collect();
    let options = Options { solver: Some(solver), factors: Some(4), ..options };
    let settings = options.resolve(&ratings, 25, 18).unwrap();
    let input = Input::new(&users, &items, &ratings);
    let go_on = &mut |_: wgmf::train::Event| Ok(ControlFlow::Continue(()));
    let outcome = train(&Cpu::new(), input, &settings, go_on).unwrap();
    let mut model = Model {
        typical: Default::default(),
        factors: outcome.factors,
        user_ratings: ratings.counts(Side::User, 25),
        item_ratings: ratings.counts(Side::Item, 18),
        users,
        items,
        objective: Objective::of(&settings, Default::default()),
        facts: Default::default(),
        run: Default::default(),
    };
    model.run.settings = serde_json::to_value(&settings).unwrap();
    (model, ratings)
}

#[test]
fn a_training_user_gets_his_own_row_again() {
    for (solver, options) in [
        (Solver::Als, Options { epochs: Some(3000), reg: Some(0.05), ..Options::default() }),
        (Solver::Als, Options { epochs: Some(3000), no_bias: true, ..Options::default() }),
        (Solver::Ials, Options { epochs: Some(3000), reg: Some(0.03), ..Options::default() }),
    ] {
        let (model, ratings) = converged(solver, options);
        let k = model.factors.factors;
        for side in [Side::User, Side::Item] {
            let (ids, factors, bias) = match side {
                Side::User => (
                    &model.users,
                    &model.factors[Side::User].factors,
                    &model.factors[Side::User].bias,
                ),
                Side::Item => (
                    &model.items,
                    &model.factors[Side::Item].factors,
                    &model.factors[Side::Item].bias,
                ),
            };
            let folded = fold_in(&Cpu::new(), &model, side, ids, &ratings).unwrap();
            // The exact row, in f64, given the model's other side.
            for (at, want) in Row::all(&model, side, ids.len(), &ratings).iter().enumerate() {
                assert!(largest_gap(&row(&folded, k, at), &want.minimum()) < 1e-4);
            }
            // The trained row: a fixed point, since the sweeps have come to rest.
            let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let gap = largest_gap(&folded.factors, &wide(factors));
            assert!(gap < 1e-4, "{solver:?} {side:?}: {gap}");
            if model.run.settings["bias"] == true {
                assert!(largest_gap(&folded.bias, &wide(bias)) < 1e-4);
            }
        }
    }
}

#[test]
fn gradient_models_are_near_their_own_rows() {
    // Full batches with a falling step come to rest where the sum of the objective does.
    let options = Options {
        epochs: Some(20_000),
        learning_rate: Some(3.0),
        learning_rate_decay: Some(0.9998),
        batch_size: Some(1 << 20),
        reg: Some(0.05),
        ..Options::default()
    };
    for loss in [Loss::Squared, Loss::Logistic] {
        let (mut model, mut ratings) = converged(Solver::Sgd, options.clone());
        if loss == Loss::Logistic {
            ratings.values.iter_mut().for_each(|r| *r = f32::from(*r > 3.0));
            let options = Options {
                // The slopes of logistic loss are flatter.
                learning_rate: Some(12.0),
                loss: Some(loss),
                solver: Some(Solver::Sgd),
                factors: Some(4),
                ..options.clone()
            };
            let settings = options.resolve(&ratings, 25, 18).unwrap();
            let input = Input::new(&model.users, &model.items, &ratings);
            let go_on = &mut |_: wgmf::train::Event| Ok(ControlFlow::Continue(()));
            model.factors = train(&Cpu::new(), input, &settings, go_on).unwrap().factors;
            model.run.settings = serde_json::to_value(&settings).unwrap();
            model.objective = Objective::of(&settings, Default::default());
        }
        let folded = fold_in(&Cpu::new(), &model, Side::User, &model.users, &ratings).unwrap();
        let want: Vec<f64> =
            model.factors[Side::User].factors.iter().map(|&x| f64::from(x)).collect();
        let gap = largest_gap(&folded.factors, &want);
        assert!(gap < 2e-3, "{loss:?}: {gap}");
    }
}

#[test]
fn rows_that_cannot_be_solved_are_refused() {
    let one = |value: f32| Ratings {
        users: vec![0],
        items: vec![3],
        values: vec![value],
        timestamps: vec![],
        weights: vec![],
    };
    let ids = new_ids(1);
    let refused = |model: &Model, ratings: &Ratings| {
        fold_in(&Cpu::new(), model, Side::User, &ids, ratings).unwrap_err().to_string()
    };
    let ials = model("ials", Loss::Squared, 3, settings(&[("unobserved_weight", 0.1)], false));
    assert!(refused(&ials, &one(-1.0)).contains("\"new0\": it is below 0"));
    assert!(refused(&ials, &one(0.0)).contains("sign of liking"));
    let als = model("als", Loss::Squared, 3, settings(&[("reg", 0.0), ("reg_bias", 0.0)], true));
    assert!(refused(&als, &one(4.0)).contains("do not determine"));
    let out = Ratings { items: vec![ITEMS as u32], ..one(4.0) };
    assert!(refused(&als, &out).contains("outside"));
    assert!(refused(&als, &Ratings { users: vec![1], ..one(4.0) }).contains("outside"));
    let logistic = model("sgd", Loss::Logistic, 3, settings(&[], true));
    assert!(refused(&logistic, &one(0.5)).contains("0 or 1"));
    let free = model("sgd", Loss::Logistic, 3, settings(&[("reg", 0.0), ("reg_bias", 0.0)], true));
    let message = refused(&free, &one(1.0));
    assert!(message.contains("no bounds") || message.contains("do not determine"), "{message}");
    // A row without ratings is zero, whatever the regularization.
    let none = fold_in(&Cpu::new(), &ials, Side::User, &ids, &Ratings::default()).unwrap();
    assert!(none.factors.iter().all(|&x| x == 0.0));
}

#[test]
fn joining_grows_the_model_and_its_record() {
    let model = model("als", Loss::Squared, 3, settings(&[], true));
    let pairs = Ratings {
        users: vec![0, 1, 1],
        items: vec![2, 0, 5],
        values: vec![4.0, 2.0, 1.0],
        timestamps: vec![],
        weights: vec![],
    };
    let mut grown = model.clone();
    for (user, item, _) in pairs.iter() {
        grown.user_ratings[user as usize] += 1;
        grown.item_ratings[item as usize] += 1;
    }
    let before = grown.clone();
    let seen = Seen::new(&pairs, USERS, ITEMS).unwrap();
    // A new user, and u1 once more with a pair that he had and one that he had not.
    let ids: Ids = ["zoe", "u1"].into_iter().collect();
    let ratings = Ratings {
        users: vec![0, 0, 1, 1],
        items: vec![7, 2, 5, 9],
        values: vec![5.0, 3.0, 2.5, 4.5],
        timestamps: vec![],
        weights: vec![],
    };
    let folded = fold_in(&Cpu::new(), &grown, Side::User, &ids, &ratings).unwrap();
    let joined = folded.join(&mut grown, None, &seen).unwrap();
    assert_eq!(grown.users.len(), USERS + 1);
    assert_eq!(grown.users.get("zoe"), Some(USERS as u32));
    assert_eq!(grown.factors.user(USERS as u32), &folded.factors[..3]);
    assert_eq!(grown.factors.user(1), &folded.factors[3..]);
    assert_eq!(grown.factors.user(0), before.factors.user(0));
    assert_eq!(grown.factors[Side::User].bias[1], folded.bias[1]);
    assert_eq!(grown.factors[Side::Item].factors, before.factors[Side::Item].factors);
    assert_eq!(joined.items_of(USERS as u32), [2, 7]);
    assert_eq!(joined.values_of(USERS as u32), Some(&[3.0, 5.0][..]));
    assert_eq!(joined.items_of(1), [0, 5, 9]);
    assert_eq!(joined.values_of(1), Some(&[2.0, 2.5, 4.5][..]));
    assert_eq!((grown.user_ratings[1], grown.user_ratings[USERS]), (3, 2));
    let sum: u32 = grown.item_ratings.iter().sum();
    assert_eq!((sum as usize, joined.pairs()), (6, 6));
    assert_eq!(grown.run.data, json!({"folded_in_users": 1, "updated_users": 1}));
    // The same on the other side; counts add up in the note.
    let ids: Ids = ["new item"].into_iter().collect();
    let ratings = Ratings {
        users: vec![USERS as u32, 4],
        items: vec![0, 0],
        values: vec![5.0, 1.0],
        timestamps: vec![],
        weights: vec![],
    };
    let folded = fold_in(&Cpu::new(), &grown, Side::Item, &ids, &ratings).unwrap();
    let joined = folded.join(&mut grown, None, &joined).unwrap();
    assert_eq!(joined.items_of(USERS as u32), [2, 7, ITEMS as u32]);
    assert_eq!(grown.item_ratings[ITEMS], 2);
    assert_eq!(grown.user_ratings[4], 1);
    assert_eq!(grown.run.data["folded_in_items"], 1);
    let joined_rows = grown.facts.joined.map(|joined| (joined.new, joined.updated));
    assert_eq!(joined_rows, [(1, 1), (1, 0)]);
    // Rows of one model do not join another.
    assert!(folded.join(&mut model.clone(), None, &joined).is_err());
}

const RATINGS: &str = "user,item,rating\n\
    ann,x,4\nann,y,2\nann,z,5\nbob,x,3\nbob,v,1\ncid,y,4\ncid,z,2\ncid,w,5\ndan,x,1\ndan,w,3\n\
    eve,y,5\neve,v,2\nfay,z,3\nfay,w,4\nfay,v,1\n";
const NEW: &str = "user,item,rating\n\
    gus,x,5\ngus,y,1\nhal,w,2\nhal,nowhere,3\nivy,nowhere,4\nann,w,1\n";

fn furnished(options: &str) -> Place {
    let place = Place::new();
    place.write("stars.csv", RATINGS);
    place.write("new.csv", NEW);
    place.ok(&format!("train stars.csv --model m --factors 3 --progress none {options}"));
    place
}

#[test]
fn the_command_writes_a_whole_model() {
    for options in [
        "--solver als --epochs 5 --backend cpu",
        "--solver ials --epochs 5 --alpha 0.5 --backend cpu",
        "--solver als --nonnegative --epochs 5 --backend cpu",
        "--solver sgd --epochs 3 --transform zscore --backend cpu",
        "--solver adam --epochs 3 --loss logistic --transform binary --threshold 3 --backend cpu",
    ] {
        let place = furnished(options);
        let output = place.run("fold-in m new.csv --output m2 --backend cpu");
        let talk = stderr(&output);
        assert!(output.status.success(), "{options}: {talk}");
        for part in [
            "1 of 4 items are not in the model: \"nowhere\"; their ratings are left out",
            "1 of 4 users have no rating with an item of the model: \"ivy\"; skipped",
            "1 of 4 users are in the model already: \"ann\"; kept as they are",
        ] {
            assert!(talk.contains(part), "{talk}");
        }
        let text = place::stdout(&output);
        assert!(text.starts_with("2 users folded in from 3 ratings in "), "{text}");
        assert!(text.ends_with("model: m2\n"), "{text}");
        let (old, new) =
            (Model::open(place.path("m")).unwrap(), Model::open(place.path("m2")).unwrap());
        assert_eq!(new.users.iter().skip(6).collect::<Vec<_>>(), ["gus", "hal"]);
        assert_eq!(new.factors.user(0), old.factors.user(0));
        assert_eq!(new.user_ratings[6..], [2, 1]);
        assert_eq!(new.run.data["folded_in_users"], 2);
        assert_eq!(new.run.settings, old.run.settings);
        let seen = new.open_seen(place.path("m2")).unwrap();
        assert_eq!((seen.items_of(6), seen.items_of(7)), (&[2, 3][..], &[1][..]));
        // What opens a model opens this one.
        let predicted = place.ok("predict m2 new.csv");
        assert_eq!(predicted.lines().count(), 7);
        place.ok("info m2");
        place.ok("evaluate m2 new.csv");
        place.ok("export m2 --format csv --output exported");
        // It folds in as the library does, and as recommend does in passing.
        let lists = place.ok("recommend m2 --users gus -n 9 --backend cpu");
        let same = place.ok("recommend m --new-users new.csv -n 9 --backend cpu");
        let gus = |text: &str| {
            text.lines().filter(|l| l.starts_with("gus")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((gus(&lists).len(), gus(&lists)), (3, gus(&same)));
        assert!(same.contains("\nann,1,") && same.contains("\nhal,1,") && !same.contains("ivy"));
    }
}

#[test]
fn items_update_strict_and_json() {
    let place = furnished("--solver als --epochs 5 --backend cpu");
    // hal is no user of the model: of nowhere's ratings none is left, of far's one.
    place.write("items.csv", "user,item,rating\nann,far,5\nhal,far,3\nhal,nowhere,3\nbob,x,2\n");
    let facts = place.json("fold-in m items.csv --output m2 --items --backend cpu --json");
    assert_eq!((&facts["folded_in_items"], &facts["ratings"]), (&json!(1), &json!(1)));
    assert_eq!(facts["model"], "m2");
    let new = Model::open(place.path("m2")).unwrap();
    assert_eq!((new.items.get("far"), new.items.get("nowhere")), (Some(5), None));
    let listed = place.ok("recommend m2 --users bob -n 9 --backend cpu");
    assert!(listed.contains(",far,"), "{listed}");

    // Without --update ann stays; with it her record counts too, and the new rating.
    place.write("ann.csv", "user,item,rating\nann,w,1\nann,x,2\n");
    let output = place.run("fold-in m ann.csv --output m3 --backend cpu");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--update"), "{}", stderr(&output));
    let text = place.ok("fold-in m ann.csv --output m3 --update --backend cpu");
    assert!(text.starts_with("0 users folded in, 1 user solved again from 4 ratings"), "{text}");
    let (old, new) =
        (Model::open(place.path("m")).unwrap(), Model::open(place.path("m3")).unwrap());
    let seen = new.open_seen(place.path("m3")).unwrap();
    let values = seen.values_of(0).unwrap();
    assert_eq!((seen.items_of(0), values), (&[1, 2, 3, 4][..], &[1.0, 2.0, 2.0, 5.0][..]));
    assert_ne!(new.factors.user(0), old.factors.user(0));
    assert_eq!(new.factors.user(1), old.factors.user(1));
    // The same from the whole list at once, for a user who is new.
    place.write("anna.csv", "user,item,rating\nanna,w,1\nanna,x,2\nanna,y,2\nanna,z,5\n");
    place.ok("fold-in m anna.csv --output m4 --backend cpu");
    let anna = Model::open(place.path("m4")).unwrap();
    let want: Vec<f64> = anna.factors.user(6).iter().map(|&x| f64::from(x)).collect();
    assert!(largest_gap(new.factors.user(0), &want) < 1e-5);

    for (command, says) in [
        ("fold-in m new.csv --output m5 --strict", "\"nowhere\""),
        ("fold-in m new.csv --output m2", "m2: already holds a wgmf model"),
        ("fold-in m anna.csv --output stars.csv", "stars.csv: is a file"),
    ] {
        let output = place.run(&format!("{command} --backend cpu"));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
    // In place, whole or not at all.
    place.ok("fold-in m2 anna.csv --output m2 --force --backend cpu");
    assert_eq!(Model::open(place.path("m2")).unwrap().users.len(), 7);
}

#[test]
fn the_same_bits_with_any_number_of_threads() {
    let place = furnished("--solver als --epochs 5 --backend cpu");
    for (threads, model) in [(1, "a"), (3, "b")] {
        place.ok(&format!("fold-in m new.csv --output {model} --backend cpu --threads {threads}"));
    }
    assert_eq!(place.tensors("a"), place.tensors("b"));
}

#[test]
fn a_transform_is_applied_before_and_undone_after() {
    // Ratings in another unit make the same model but for the unit, new users included.
    let place = furnished("--solver als --epochs 5 --transform zscore --backend cpu");
    let tenfold = |text: &str| {
        text.lines()
            .map(|line| match line.ends_with("rating") {
                true => format!("{line}\n"),
                false => format!("{line}0\n"),
            })
            .collect::<String>()
    };
    place.write("stars10.csv", tenfold(RATINGS));
    place.write("new10.csv", tenfold(NEW));
    place.ok("train stars10.csv --model m10 --factors 3 --progress none --solver als --epochs 5 --transform zscore --backend cpu");
    let scores = |text: String| -> Vec<f64> {
        let records = text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().to_owned());
        records.map(|score| score.parse().unwrap()).collect()
    };
    let stars = scores(place.ok("recommend m --new-users new.csv --backend cpu"));
    let tens = scores(place.ok("recommend m10 --new-users new10.csv --backend cpu"));
    assert!(stars.len() > 5 && stars.iter().all(|&s| s.abs() < 8.0), "{stars:?}");
    for (stars, tens) in stars.iter().zip(&tens) {
        approx::assert_relative_eq!(10.0 * stars, *tens, max_relative = 1e-3);
    }
}

#[test]
fn new_ratings_are_read_as_they_are_written() {
    let place = furnished("--solver als --epochs 5 --backend cpu");
    place.write("plain.csv", "user,item,rating\ngus,x,4\ngus,y,1\n");
    let want = place.ok("recommend m --new-users plain.csv --backend cpu");
    assert_eq!(want.lines().count(), 4, "{want}");
    for (text, flags) in [
        ("4;gus;x\n1;gus;y\n", "--columns 2,3,1 --delimiter ; --header no"),
        ("a,b,c\ngus,x,4\ngus,y,1\n", "--header yes"),
        ("user,item,rating\ngus,x,3\ngus,x,5\ngus,y,1\n", "--duplicates mean"),
        ("user,item,rating\ngus,x,3\ngus,x,4\ngus,y,1\n", "--duplicates last"),
    ] {
        place.write("other.csv", text);
        let got = place.ok(&format!("recommend m --new-users other.csv {flags} --backend cpu"));
        assert_eq!(got, want, "{flags}");
        place.ok(&format!("fold-in m other.csv {flags} --output g --force --backend cpu"));
        assert_eq!(place.ok("recommend g --users gus --backend cpu"), want, "{flags}");
    }
    place.write("ones.csv", "user,item,rating\ngus,x,1\ngus,y,1\nhal,z,1\n");
    place.write("grouped.txt", "gus x y\nhal z\n");
    let want = place.ok("recommend m --new-users ones.csv --backend cpu");
    let grouped = "--new-users grouped.txt --ratings-format grouped";
    assert_eq!(place.ok(&format!("recommend m {grouped} --backend cpu")), want);
    place.ok("fold-in m grouped.txt --format grouped --output h --backend cpu");
    assert_eq!(place.ok("recommend h --users gus,hal --backend cpu"), want);
}
