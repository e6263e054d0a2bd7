//! Ranking metrics against two computations of their own: a sort in Rust, and NumPy where Python is
//! there (as in `tests/cli/export.rs`).

use crate::{common, fixture, place};
use wgmf::backend::Backend;
use wgmf::core::{Ratings, Side, UNKNOWN};
use wgmf::cpu::Cpu;
use wgmf::data::{ReadOptions, align, read};
use wgmf::evaluate::{
    RankBy, RankingMetrics, RankingOptions, Relevance, held_out_ranking, ranking_metrics,
};
use wgmf::model::{Model, Seen};

use common::{gap, gpu, python, root, shared, skipped};
use fixture::{model, seen};
use place::{Place, stderr};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A model, what it was trained on, and what it is held against.
struct Case {
    model: Model,
    seen: Seen,
    test: Ratings,
    options: RankingOptions,
}

impl Case {
    /// `per_user` test ratings 1 to 5 of each user but some, unknown ids among them.
    fn new(users: usize, items: usize, k: usize, per_user: usize) -> Self {
        let model = model(users, items, k);
        let seen = Seen::new(&seen(&model), users, items).unwrap();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(users as u64);
        let mut test = Ratings::default();
        for user in (0..users as u32).rev().filter(|user| user % 5 != 4) {
            let mut items: BTreeSet<u32> = BTreeSet::new();
            while items.len() < per_user.min(1 + user as usize) {
                items.insert(random.random_range(0..model.factors.items() as u32));
            }
            for item in items {
                test.users.push(user);
                test.items.push(item);
                test.values.push(random.random_range(-1..=5) as f32);
            }
        }
        for (user, item) in [(UNKNOWN, 3), (2, UNKNOWN), (UNKNOWN, UNKNOWN)] {
            test.users.push(user);
            test.items.push(item);
            test.values.push(5.0);
        }
        let options = RankingOptions {
            at: vec![1, 5, 10, 1000],
            relevance: Relevance::From(4.0),
            candidates: None,
            include_seen: false,
        };
        Self { model, seen, test, options }
    }

    fn metrics(&self, backend: &dyn Backend) -> RankingMetrics {
        self.ranked_by(backend, RankBy::Model)
    }

    fn ranked_by(&self, backend: &dyn Backend, by: RankBy) -> RankingMetrics {
        ranking_metrics(backend, &self.model, &self.seen, &self.test, by, &self.options).unwrap()
    }

    fn least(&self) -> f32 {
        match self.options.relevance {
            Relevance::From(least) => least,
            Relevance::All => f32::MIN,
            Relevance::Chosen => f32::MIN_POSITIVE,
            Relevance::Positive => panic!("no case has labels"),
        }
    }

    fn candidates(&self) -> Vec<u32> {
        let all = (0..self.model.factors.items() as u32).collect();
        self.options.candidates.clone().unwrap_or(all)
    }

    fn seen_by(&self, user: u32) -> Vec<u32> {
        if self.options.include_seen { Vec::new() } else { self.seen.items_of(user).to_vec() }
    }

    /// Every metric by its definition, one user and one list after another.
    fn textbook(&self) -> BTreeMap<String, f64> {
        let f = &self.model.factors;
        let ratings: BTreeMap<(u32, u32), f32> =
            self.test.iter().map(|(user, item, rating)| ((user, item), rating)).collect();
        let mut sums: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut shown: BTreeMap<usize, BTreeMap<u32, u64>> = BTreeMap::new();
        for user in 0..f.users() as u32 {
            let seen = self.seen_by(user);
            let open: Vec<u32> =
                self.candidates().into_iter().filter(|item| !seen.contains(item)).collect();
            let rating = |item: u32| ratings.get(&(user, item)).copied();
            let is_relevant = |item: u32| rating(item).is_some_and(|r| r >= self.least());
            let score = |item: u32| {
                let mut inner = 0.0;
                for j in 0..f.factors {
                    inner += f64::from(f.user(user)[j]) * f64::from(f.item(item)[j]);
                }
                f64::from(f[Side::Item].bias[item as usize]) + inner
            };
            let relevant: Vec<u32> = open.iter().copied().filter(|&i| is_relevant(i)).collect();
            if relevant.is_empty() {
                continue;
            }
            let mut order: Vec<(f64, u32)> = open.iter().map(|&item| (score(item), item)).collect();
            order.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
            let gain = |item: u32| rating(item).map_or(0.0, |r| f64::from(r).max(0.0));
            let mut best: Vec<f64> = open.iter().map(|&item| gain(item)).collect();
            best.sort_by(|a, b| b.partial_cmp(a).unwrap());
            let discount = |rank: usize| 1.0 / ((rank + 1) as f64).log2();
            let mut add =
                |name: &str, value: f64| sums.entry(name.to_owned()).or_default().push(value);
            for &n in &self.options.at {
                let list: Vec<u32> = order.iter().take(n).map(|entry| entry.1).collect();
                let hit: Vec<bool> = list.iter().map(|&item| is_relevant(item)).collect();
                let hits = hit.iter().filter(|&&hit| hit).count() as f64;
                let most = n.min(relevant.len());
                let ranks = || (1..=list.len()).filter(|rank| hit[rank - 1]);
                let dcg: f64 = ranks().map(discount).sum();
                let ideal: f64 = (1..=most).map(discount).sum();
                let graded: f64 = (1..=list.len()).map(|r| gain(list[r - 1]) * discount(r)).sum();
                let graded_ideal: f64 =
                    (1..=n.min(best.len())).map(|r| best[r - 1] * discount(r)).sum();
                let precision_at = |rank: usize| {
                    hit[..rank].iter().filter(|&&hit| hit).count() as f64 / rank as f64
                };
                add(&format!("precision@{n}"), hits / n as f64);
                add(&format!("recall@{n}"), hits / relevant.len() as f64);
                add(&format!("recall_min@{n}"), hits / most as f64);
                add(&format!("ndcg@{n}"), dcg / ideal);
                let ratio = if graded_ideal > 0.0 { graded / graded_ideal } else { 0.0 };
                add(&format!("ndcg_graded@{n}"), ratio);
                add(&format!("map@{n}"), ranks().map(precision_at).sum::<f64>() / most as f64);
                add(&format!("mrr@{n}"), ranks().next().map_or(0.0, |rank| 1.0 / rank as f64));
                add(&format!("hit_rate@{n}"), if hits > 0.0 { 1.0 } else { 0.0 });
                let popularity: f64 =
                    list.iter().map(|&i| f64::from(self.model.item_ratings[i as usize])).sum();
                add(&format!("popularity@{n}"), popularity / list.len() as f64);
                for item in list {
                    *shown.entry(n).or_default().entry(item).or_default() += 1;
                }
            }
            let others: Vec<u32> = open.iter().copied().filter(|i| !relevant.contains(i)).collect();
            if !others.is_empty() {
                let mut won = 0.0;
                for &up in &relevant {
                    for &down in &others {
                        let (up, down) = (score(up), score(down));
                        won +=
                            if up > down { 1.0 } else { 0.0 } + if up == down { 0.5 } else { 0.0 };
                    }
                }
                add("auc", won / (relevant.len() * others.len()) as f64);
            }
        }
        let users = sums.values().map(Vec::len).max().unwrap();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let mut metrics: BTreeMap<String, f64> =
            sums.into_iter().map(|(name, values)| (name, mean(values))).collect();
        metrics.insert("users".to_owned(), users as f64);
        let m = self.candidates().len() as f64;
        for (n, counts) in shown {
            let all = self.candidates().into_iter();
            let counts: Vec<f64> =
                all.map(|item| counts.get(&item).copied().unwrap_or(0) as f64).collect();
            let covered = counts.iter().filter(|&&count| count > 0.0).count();
            metrics.insert(format!("coverage@{n}"), covered as f64 / m);
            // The mean absolute difference of two candidates, over twice the mean.
            let mut differences = 0.0;
            for a in &counts {
                for b in &counts {
                    differences += (a - b).abs();
                }
            }
            let gini = differences / (2.0 * m * counts.iter().sum::<f64>());
            metrics.insert(format!("gini@{n}"), gini);
        }
        metrics
    }

    /// The same by `tests/readers/ranking.py`, where Python is there.
    fn numpy(&self) -> Option<BTreeMap<String, f64>> {
        Some(self.python(&python()?, &[]))
    }

    fn python(&self, python: &Path, flags: &[&str]) -> BTreeMap<String, f64> {
        let f = &self.model.factors;
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let known = |&(u, i, _): &(u32, u32, f32)| u != UNKNOWN && i != UNKNOWN;
        let case = json!({
            "factors": f.factors,
            "user_factors": wide(&f[Side::User].factors),
            "item_factors": wide(&f[Side::Item].factors),
            "item_bias": wide(&f[Side::Item].bias),
            "item_ratings": self.model.item_ratings,
            "seen": (0..f.users() as u32).map(|user| self.seen_by(user)).collect::<Vec<_>>(),
            "test": self.test.iter().filter(known).collect::<Vec<_>>(),
            "candidates": self.candidates(),
            "relevant_from": f64::from(self.least()),
            "at": self.options.at,
        });
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("case.json");
        std::fs::write(&path, case.to_string()).unwrap();
        let script = root().join("tests/readers/ranking.py");
        let output = Command::new(python)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(script)
            .arg(path)
            .args(flags)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn check(&self, backend: &dyn Backend) {
        let got = flat(&self.metrics(backend));
        let textbook = self.textbook();
        assert_eq!(objections(&got, &textbook), Vec::<String>::new());
        if let Some(numpy) = self.numpy() {
            assert_eq!(objections(&got, &numpy), Vec::<String>::new());
        }
    }
}

/// The metrics as they are printed.
fn flat(metrics: &RankingMetrics) -> BTreeMap<String, f64> {
    let Value::Object(map) = serde_json::to_value(metrics).unwrap() else { panic!("no object") };
    map.into_iter().map(|(key, value)| (key, value.as_f64().unwrap())).collect()
}

/// What differs by more than 1e-12 of what is wanted.
fn objections(got: &BTreeMap<String, f64>, want: &BTreeMap<String, f64>) -> Vec<String> {
    assert!(want.len() > 11, "{} metrics are too few", want.len());
    let differs = |(key, &want): (&String, &f64)| {
        let got = got.get(key).copied().unwrap_or(f64::NAN);
        (gap(got, want, 1e-3) > 1e-12).then(|| format!("{key}: {got}, not {want}"))
    };
    want.iter().filter_map(differs).collect()
}

#[test]
fn metrics_are_those_of_their_definitions() {
    let mut case = Case::new(61, 43, 7, 12);
    for backend in [Box::new(Cpu::new()) as Box<dyn Backend>, Box::new(gpu())] {
        case.check(&*backend);
    }
    let cpu = Cpu::new();
    case.options.include_seen = true;
    case.check(&cpu);
    case.options.relevance = Relevance::All;
    case.check(&cpu);
    case.options.candidates = Some((0..43).filter(|item| item % 3 != 1).collect());
    case.check(&cpu);
    case.options.include_seen = false;
    case.check(&cpu);
    case.options.relevance = Relevance::From(-0.5);
    case.options.at = vec![3];
    case.check(&cpu);
    case.options.candidates = Some(vec![5]);
    case.check(&cpu);
}

#[test]
fn metrics_are_those_of_ranx() {
    let Some(python) = python() else { return };
    let present = Command::new(&python).args(["-c", "import ranx"]).output().unwrap();
    if !present.status.success() {
        skipped("ranx is not installed");
        return;
    }
    let mut case = Case::new(61, 43, 7, 12);
    case.options.at = vec![5, 10, 20];
    let got = flat(&case.metrics(&Cpu::new()));
    assert_eq!(objections(&got, &case.python(&python, &["--ranx"])), Vec::<String>::new());
}

#[test]
fn a_wrong_metric_is_noticed() {
    let case = Case::new(30, 25, 3, 9);
    let got = flat(&case.metrics(&Cpu::new()));
    let textbook = case.textbook();
    assert_eq!(objections(&got, &textbook), Vec::<String>::new());
    for key in textbook.keys() {
        let mut wrong = got.clone();
        *wrong.get_mut(key).unwrap() += 1e-9;
        assert_eq!(objections(&wrong, &textbook).len(), 1, "{key}");
    }
    let mut other = Case::new(30, 25, 3, 9);
    other.model.factors[Side::Item].bias[7] += 1.0;
    assert!(objections(&flat(&other.metrics(&Cpu::new())), &textbook).len() > 20);
}

#[test]
fn counts_say_who_was_left_out() {
    let mut case = Case::new(20, 17, 4, 3);
    case.options.relevance = Relevance::From(5.0);
    let metrics = case.metrics(&Cpu::new());
    let known: BTreeSet<u32> = case.test.users.iter().copied().filter(|&u| u != UNKNOWN).collect();
    assert_eq!(metrics.users + metrics.users_without_relevant, known.len() as u64);
    assert!(metrics.users_without_relevant > 0);
    assert_eq!(metrics.unknown_ratings, 3);
    assert_eq!(metrics.candidates, 17);
    assert!(metrics.relevant >= metrics.users);
    case.options.relevance = Relevance::From(5.5);
    let by = RankBy::Model;
    let nobody =
        ranking_metrics(&Cpu::new(), &case.model, &case.seen, &case.test, by, &case.options);
    assert!(nobody.unwrap_err().to_string().contains("no user has a relevant item"));
}

#[test]
fn ties_inflate_nothing() {
    let mut case = Case::new(60, 40, 3, 10);
    case.model.factors[Side::User].factors.fill(0.3);
    case.model.factors[Side::Item].factors.fill(-0.7);
    case.model.factors[Side::Item].bias.fill(0.1);
    for backend in [Box::new(Cpu::new()) as Box<dyn Backend>, Box::new(gpu())] {
        case.check(&*backend);
        let metrics = case.metrics(&*backend);
        let auc = metrics.auc.unwrap();
        assert_eq!((auc.mean, auc.low, auc.high), (0.5, 0.5, 0.5));
        // The lists are the first items by index: what is relevant late in the index is missed,
        // however equal its score.
        let mut late = case.test.clone();
        late.retain(|at| case.test.items[at] != UNKNOWN && case.test.items[at] >= 25);
        let by = RankBy::Model;
        let options = RankingOptions { at: vec![20], ..case.options.clone() };
        let late = ranking_metrics(&*backend, &case.model, &case.seen, &late, by, &options);
        assert_eq!(late.unwrap().at[0].hit_rate.mean, 0.0);
    }
}

#[test]
fn backends_and_threads_give_the_same_bits() {
    let case = Case::new(150, 90, 17, 20);
    let want = case.metrics(&Cpu::new());
    assert_eq!(case.metrics(&gpu()), want);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| case.metrics(&Cpu::new())), want, "{threads} threads");
    }
}

#[test]
fn baselines_rank_by_one_number() {
    let mut case = Case::new(50, 30, 4, 8);
    let cpu = Cpu::new();
    let popularity = case.ranked_by(&cpu, RankBy::Popularity);
    let bias = case.ranked_by(&cpu, RankBy::ItemBias);
    assert_ne!(popularity, bias);
    case.model.factors[Side::User].factors.fill(0.0);
    assert_eq!(case.metrics(&cpu), bias);
    case.check(&cpu);
    let counts = case.model.item_ratings.iter().map(|&count| count as f32);
    case.model.factors[Side::Item].bias = counts.collect();
    assert_eq!(case.metrics(&cpu), popularity);
}

#[test]
fn held_out_pairs_get_the_same_recall_and_ndcg() {
    let mut case = Case::new(70, 50, 6, 9);
    case.options.relevance = Relevance::Chosen;
    let f = &case.model.factors;
    for backend in [Box::new(Cpu::new()) as Box<dyn Backend>, Box::new(gpu())] {
        for n in [1, 5, 20] {
            case.options.at = vec![n];
            let whole = case.metrics(&*backend);
            let lean = held_out_ranking(&*backend, f, &case.seen, &case.test, n).unwrap();
            assert_eq!(lean.users as u64, whole.users);
            assert!(gap(lean.recall, whole.at[0].recall.mean, 1e-3) < 1e-12);
            assert!(gap(lean.ndcg, whole.at[0].ndcg.mean, 1e-3) < 1e-12);
        }
    }
    let none = held_out_ranking(&Cpu::new(), f, &case.seen, &Ratings::default(), 20).unwrap();
    assert_eq!((none.users, none.recall, none.ndcg), (0, 0.0, 0.0));
}

#[test]
fn movielens_agrees_with_both() {
    let Some(data) = shared("data/ml-100k") else { return };
    let place = Place::new();
    let base = data.join("u1.base");
    let base = base.to_str().unwrap();
    let test = data.join("u1.test");
    let test = test.to_str().unwrap();
    place.ok(&format!("train {base} --model m --epochs 3 --progress none --backend cpu"));
    let model = Model::open(place.path("m")).unwrap();
    let seen = model.open_seen(place.path("m")).unwrap();
    let table = read(&[PathBuf::from(test)], &ReadOptions::default(), &()).unwrap();
    let ratings = align(&table, &model.users, &model.items);
    let options = RankingOptions {
        at: vec![5, 10, 20, 100],
        relevance: Relevance::From(4.0),
        candidates: None,
        include_seen: false,
    };
    let case = Case { model, seen, test: ratings, options };
    case.check(&Cpu::new());
    // The command line says the same, number for number.
    let printed = place.json(&format!("evaluate m {test} --ranking --json --backend cpu"));
    let printed: BTreeMap<String, f64> = serde_json::from_value(printed).unwrap();
    let mut own = flat(&case.metrics(&Cpu::new()));
    own.insert("unknown_items".to_owned(), printed["unknown_items"]);
    assert!(printed["unknown_items"] > 0.0);
    assert_eq!(printed, own);
}

#[test]
fn the_command_line_shows_baselines_and_says_what_is_relevant() {
    let place = Place::with_sample();
    place.ok("train plays.csv --model m --epochs 2 --progress none --backend cpu");
    let run = |line: &str| {
        let output = place.run(line);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        (place::stdout(&output), stderr(&output))
    };
    let asked = "evaluate m plays.csv --ranking --include-seen --at 3,1 --backend cpu";
    let (text, talk) = run(&format!("{asked} --relevant-from 1 --baselines"));
    for expected in ["popularity", "item bias", "recall_min@3", "auc", "gini@1"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(talk.contains("on CPU"), "{talk}");
    assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    let (json, _) = run(&format!("{asked} --relevant-from 1 --baselines --json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    for column in ["model", "popularity", "item_bias"] {
        for key in ["users", "recall@3", "recall@3_low", "recall@3_high", "auc", "coverage@1"] {
            assert!(json[column][key].is_number(), "{column} {key}: {json}");
        }
    }
    let item = {
        let model = Model::open(place.path("m")).unwrap();
        model.items.name(0).to_owned()
    };
    place.write("some.txt", format!("{item}\nnobody's\n"));
    let (json, talk) = run(&format!("{asked} --relevant-from 1 --candidates some.txt --json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["candidates"], 1);
    assert!(talk.contains("\"nobody's\"; skipped"), "{talk}");
}
