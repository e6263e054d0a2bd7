//! Lists for users: against a sort of all scores, and `wgmf recommend`.

use crate::{common, fixture, place};
use wgmf::Result;
use wgmf::backend::{
    Backend, Candidates, ChoicePasses, ChoiceProblem, Counted, Device, GibbsPasses, GibbsProblem,
    GradientPasses, GradientProblem, Interval, Ranked, Ranker, RowPasses, RowProblem,
};
use wgmf::core::{Side, Solver};
use wgmf::cpu::Cpu;
use wgmf::data::Titles;
use wgmf::model::{Model, Seen};
use wgmf::recommend::{
    Catalogue, Explainer, Metric, Neighbours, Recommendation, Recommender, Similar, fold_in,
    recommend, similar,
};

use approx::assert_relative_eq;
use common::objective;
use fixture::{model, seen};
use place::{Place, stderr, stdout};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

/// Items of a user by a sort of all scores, with the scores.
fn sorted(model: &Model, user: u32, left_out: &[u32], n: usize) -> Vec<(u32, f64)> {
    let items = (0..model.factors.items() as u32).filter(|item| !left_out.contains(item));
    let mut all: Vec<(u32, f64)> = items.map(|item| (item, model.predict(user, item))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(n);
    all
}

#[test]
fn lists_are_those_of_a_full_sort() {
    for (users, items, k) in [(20, 17, 5), (7, 300, 1), (3, 1, 4)] {
        let mut model = model(users, items, k);
        // Some items are alike: their order is that of the rows.
        for item in (0..items.saturating_sub(3)).step_by(5) {
            let f = &mut model.factors;
            let row = f.item((item + 2) as u32).to_vec();
            f[Side::Item].factors[item * k..][..k].copy_from_slice(&row);
            f[Side::Item].bias[item] = f[Side::Item].bias[item + 2];
        }
        let record = Seen::new(&seen(&model), users, items).unwrap();
        let everyone: Vec<u32> = (0..users as u32).collect();
        for n in [1, 4, items, items + 5] {
            for seen in [None, Some(&record)] {
                let lists = recommend(&Cpu::new(), &model, seen, &everyone, n).unwrap();
                for (user, list) in lists.iter().enumerate() {
                    let out = seen.map_or(&[][..], |seen| seen.items_of(user as u32));
                    let want = sorted(&model, user as u32, out, n);
                    let got: Vec<u32> = list.iter().map(|best| best.item).collect();
                    assert_eq!(got, want.iter().map(|best| best.0).collect::<Vec<_>>());
                    for (best, want) in list.iter().zip(&want) {
                        assert_relative_eq!(best.score, want.1, epsilon = 1e-12);
                    }
                }
            }
            // A part of the items: the others are as if there were none.
            let catalogue = Catalogue::filtered(&model, |item| item % 3 != 1);
            let recommender = Recommender::new(&Cpu::new(), &catalogue).unwrap();
            let recommender = recommender.leaving_out(&record).unwrap();
            let check = |user, list: &[Recommendation]| {
                let mut out = record.items_of(user).to_vec();
                out.extend((0..items as u32).filter(|item| item % 3 == 1));
                let want = sorted(&model, user, &out, n);
                let got: Vec<u32> = list.iter().map(|best| best.item).collect();
                assert_eq!(got, want.iter().map(|best| best.0).collect::<Vec<_>>());
                Ok(())
            };
            recommender.each(everyone.iter().copied(), n, check).unwrap();
        }
    }
    let small = model(4, 3, 2);
    assert!(recommend(&Cpu::new(), &small, None, &[4], 2).is_err());
    let none = Catalogue::filtered(&small, |_| false);
    assert!(Recommender::new(&Cpu::new(), none).is_err());
    let other = Seen::new(&seen(&small), 4, 4).unwrap();
    assert!(recommend(&Cpu::new(), &small, Some(&other), &[0], 2).is_err());
}

/// A backend that notes how often items are uploaded, and how much it is asked for at once.
pub struct Noting {
    backend: Box<dyn Backend>,
    pub notes: Arc<Notes>,
}

#[derive(Default)]
pub struct Notes {
    pub rankers: AtomicUsize,
    calls: AtomicUsize,
    most: AtomicUsize,
}

struct NotingRanker {
    inner: Box<dyn Ranker>,
    notes: Arc<Notes>,
    factors: usize,
}

impl Noting {
    pub fn new(backend: impl Backend + 'static) -> Self {
        Self { backend: Box::new(backend), notes: Arc::default() }
    }
}

impl Backend for Noting {
    fn device(&self) -> Device {
        self.backend.device()
    }
    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.backend.copy_bytes_per_second()
    }
    fn operations_per_second(&self) -> Result<f64> {
        self.backend.operations_per_second()
    }
    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        self.backend.choice_passes(problem)
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        self.backend.gradient_passes(problem)
    }
    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        self.backend.row_passes(problem)
    }
    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        self.backend.gibbs_passes(problem)
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        let factors = candidates.factors;
        self.notes.rankers.fetch_add(1, Relaxed);
        let (inner, notes) = (self.backend.ranker(candidates)?, self.notes.clone());
        Ok(Box::new(NotingRanker { inner, notes, factors }))
    }
}

impl Ranker for NotingRanker {
    fn top(&self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Ranked>>> {
        let count = queries.len() / self.factors;
        self.notes.calls.fetch_add(1, Relaxed);
        self.notes.most.fetch_max(count * n * size_of::<Ranked>(), Relaxed);
        self.inner.top(queries, excluded, n)
    }
    fn count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>> {
        self.inner.count(queries, excluded, intervals)
    }
}

#[test]
fn memory_is_bounded_however_many_users_there_are() {
    let (users, items) = (3000, 1500);
    let model = model(users, items, 3);
    let backend = Noting::new(Cpu::new());
    let catalogue = Catalogue::all(&model);
    let recommender = Recommender::new(&backend, &catalogue).unwrap();
    let at_once = recommender.users_at_once(items);
    assert!(at_once > 1 && at_once < users / 2, "{at_once}");
    let mut next = 0;
    let all = recommender.each(0..users as u32, items, |user, list| {
        assert_eq!((user, list.len()), (next, items));
        next += 1;
        Ok(())
    });
    all.unwrap();
    assert_eq!(next as usize, users);
    assert_eq!(backend.notes.calls.load(Relaxed), users.div_ceil(at_once));
    assert!(backend.notes.most.load(Relaxed) < 64 << 20, "{}", backend.notes.most.load(Relaxed));
    // Short lists go in larger parts, and an explanation counts too.
    assert_eq!(recommender.users_at_once(1), 8192);
    let record = Seen::new(&seen(&model), users, items).unwrap();
    let explainer = Explainer::new(&model).unwrap();
    let recommender = recommender.explained(&explainer, &record).unwrap();
    assert!(recommender.users_at_once(100) < 200);
    // A catalogue of any size leaves one user.
    assert_eq!(recommender.users_at_once(usize::MAX), recommender.users_at_once(items));
}

/// What several threads get at once, each in its own order, from one recommender and one finder of
/// neighbours that own all they need: what one thread gets, and the items are uploaded once.
fn serves(backend: impl Backend + 'static) {
    const THREADS: usize = 4;
    let (users, items, n) = (60, 700, 9);
    let model = Arc::new(model(users, items, 12));
    let record = Seen::new(&seen(&model), users, items).unwrap();
    let everyone: Vec<u32> = (0..users as u32).collect();
    let want = recommend(&backend, &model, Some(&record), &everyone, n).unwrap();
    let metric = Metric::Cosine;
    let alike = similar(&backend, &model, Side::User, &everyone, metric, n).unwrap();
    let backend = Noting::new(backend);
    let notes = backend.notes.clone();
    let recommender: Recommender<'static> =
        Recommender::new(&backend, Catalogue::all(model.clone())).unwrap();
    let recommender = Arc::new(recommender.leaving_out(record).unwrap());
    let neighbours: Arc<Neighbours<'static>> =
        Arc::new(Neighbours::new(&backend, model, Side::User, metric).unwrap());
    // What serves needs no more.
    drop(backend);
    let start = Arc::new(Barrier::new(THREADS));
    let serve = |thread: usize| {
        let (recommender, neighbours) = (recommender.clone(), neighbours.clone());
        let (start, everyone) = (start.clone(), everyone.clone());
        let (want, alike) = (want.clone(), alike.clone());
        thread::spawn(move || {
            start.wait();
            for turn in 0..6 {
                let mut asked = everyone.clone();
                asked.rotate_left((thread * 17 + turn * 5) % users);
                for asked in asked.chunks(7 + 11 * thread) {
                    let check = |user: u32, list: &[Recommendation]| {
                        assert_eq!(list, want[user as usize], "user {user}");
                        Ok(())
                    };
                    recommender.each(asked.iter().copied(), n, check).unwrap();
                    let check = |user: u32, list: &[Similar]| {
                        assert_eq!(list, alike[user as usize], "user {user}");
                        Ok(())
                    };
                    neighbours.each(asked.iter().copied(), n, check).unwrap();
                }
            }
        })
    };
    let threads: Vec<_> = (0..THREADS).map(serve).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(notes.rankers.load(Relaxed), 2, "uploads");
    assert!(notes.calls.load(Relaxed) > 100);
}

#[test]
fn threads_share_a_recommender_on_the_cpu() {
    serves(Cpu::new());
}

#[test]
fn threads_share_a_recommender_on_a_gpu() {
    serves(common::gpu());
}

#[test]
fn explanations_are_served_by_what_owns_them() {
    let mut model = model(12, 40, 5);
    model.objective = objective("als", &serde_json::json!({"reg": 0.05}));
    let model = Arc::new(model);
    let record = Arc::new(Seen::new(&seen(&model), 12, 40).unwrap());
    let explainer = Explainer::new(model.clone()).unwrap();
    let catalogue = Catalogue::filtered(model.clone(), |item| item % 4 > 0);
    let recommender = Recommender::new(&Cpu::new(), catalogue).unwrap();
    let recommender = recommender.leaving_out(record.clone()).unwrap();
    let served = recommender.explained(explainer, record.clone()).unwrap();
    let served: Box<dyn FnOnce() -> usize + Send> = Box::new(move || {
        let mut parts = 0;
        let all = served.each(0..12, 5, |_, list| {
            parts += list
                .iter()
                .map(|best| best.explanation.as_ref().unwrap().parts.len())
                .sum::<usize>();
            Ok(())
        });
        all.unwrap();
        parts
    });
    let parts = thread::spawn(served).join().unwrap();
    let own: usize = (0..12).map(|user| 5 * record.items_of(user).len()).sum();
    assert_eq!(parts, own);
}

#[test]
fn parts_add_up_to_the_score() {
    for (solver, settings) in [
        ("als", serde_json::json!({"bias": true, "reg": 0.05, "reg_bias": 0.02})),
        (
            "als",
            serde_json::json!({"reg": 0.05, "reg_bias": 0.0, "damping": 0.7, "damping_bias": 3.0}),
        ),
        ("als", serde_json::json!({"bias": false, "reg": 0.3, "reg_exponent": 0.5})),
        ("als", serde_json::json!({"nonnegative": true, "reg": 0.02})),
        ("als", serde_json::json!({"reg": 0.3, "reg_exponent": 0.0, "counted": true})),
        ("ials", serde_json::json!({"bias": false, "reg": 0.01, "unobserved_weight": 0.2})),
        ("ials", serde_json::json!({"reg": 0.01, "unobserved_weight": 0.1, "alpha": 2.0})),
    ] {
        let (users, items, k) = (12, 40, 5);
        let mut model = model(users, items, k);
        model.objective = objective(solver, &settings);
        if solver == "ials" || settings["nonnegative"] == true || settings["bias"] == false {
            model.factors[Side::Item].bias.fill(0.0);
            model.factors[Side::User].bias.fill(0.0);
            model.factors.global_mean = if solver == "ials" { 0.0 } else { 0.5 };
        }
        if settings["nonnegative"] == true {
            model.factors[Side::Item].factors.iter_mut().for_each(|x| *x = x.abs());
        }
        let ratings = seen(&model);
        let mut counted = ratings.clone();
        let mut often = ratings.clone();
        // A rating that counts three times is three of them, where the penalty does not count ratings.
        for at in (0..ratings.len()).filter(|_| settings["counted"] == true) {
            counted.weights.push(if at % 3 == 0 { 3.0 } else { 1.0 });
            for _ in 1..counted.weights[at] as usize {
                often.users.push(ratings.users[at]);
                often.items.push(ratings.items[at]);
                often.values.push(ratings.values[at]);
            }
        }
        let record = Seen::new(&counted, users, items).unwrap();
        let explainer = Explainer::new(&model).unwrap();
        let catalogue = Catalogue::all(&model);
        let recommender = Recommender::new(&Cpu::new(), &catalogue).unwrap();
        let recommender = recommender.leaving_out(&record).unwrap();
        let recommender = recommender.explained(&explainer, &record).unwrap();
        // The user's row is that of a fold-in.
        let folded = fold_in(&Cpu::new(), &model, Side::User, &model.users, &often).unwrap();
        let mut negative = false;
        let checked = recommender.each(0..users as u32, 6, |user, list| {
            assert_eq!(list.len(), 6);
            assert!(list.windows(2).all(|pair| pair[0].score >= pair[1].score));
            for best in list {
                let explanation = best.explanation.as_ref().unwrap();
                let parts: f64 = explanation.parts.iter().map(|part| part.1).sum();
                let sum = explanation.base + parts;
                assert_relative_eq!(sum, best.score, max_relative = 1e-9, epsilon = 1e-9);
                assert_relative_eq!(explanation.score, best.score, max_relative = 1e-12);
                let mut own: Vec<u32> = explanation.parts.iter().map(|part| part.0).collect();
                own.sort_unstable();
                assert_eq!(own, record.items_of(user));
                let amounts: Vec<f64> = explanation.parts.iter().map(|p| p.1.abs()).collect();
                assert!(amounts.windows(2).all(|pair| pair[0] >= pair[1]));
                let row = &folded.factors[user as usize * k..][..k];
                let pairs = row.iter().zip(model.factors.item(best.item));
                let product: f64 = pairs.map(|(&p, &q)| f64::from(p) * f64::from(q)).sum();
                let bias = f64::from(folded.bias[user as usize]);
                let want = explanation.base + bias + product;
                assert_relative_eq!(best.score, want, max_relative = 1e-4, epsilon = 1e-4);
                negative |= explanation.parts.iter().any(|part| part.1 < 0.0);
            }
            Ok(())
        });
        checked.unwrap();
        // The last user has no rating: nothing but the base.
        assert!(record.items_of(users as u32 - 1).is_empty());
        assert!(negative || settings["nonnegative"] == true, "{solver} {settings}");
    }
    let mut other = model(3, 3, 2);
    other.objective.solver = Solver::Adam;
    let refused = Explainer::new(&other).err().unwrap().to_string();
    assert!(refused.contains("als or ials") && refused.contains("adam"), "{refused}");
}

const RATINGS: &str = "user,item,rating\n\
    ann,x,4\nann,y,2\nann,z,5\nbob,x,3\nbob,v,1\ncid,y,4\ncid,z,2\ncid,w,5\ndan,x,1\ndan,w,3\n\
    eve,y,5\neve,v,2\nfay,z,3\nfay,w,4\nfay,v,1\n";

fn furnished(options: &str) -> Place {
    let place = Place::new();
    place.write("stars.csv", RATINGS);
    place.write("titles.csv", "id,title\nx,\"Ex, the film\"\ny,Why\nw,Who\n");
    place.ok(&format!(
        "train stars.csv --model m --factors 3 --epochs 4 --progress none --backend cpu {options}"
    ));
    place
}

/// Records of CSV output: the header, then the rows.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn scores_are_what_predict_says_in_its_unit() {
    for options in [
        "--solver als",
        "--solver ials",
        "--solver als --transform log1p",
        "--solver sgd --transform log1p,zscore",
        "--solver adam --loss logistic --transform binary --threshold 3",
    ] {
        let place = furnished(options);
        let listed = records(&place.ok("recommend m --all -n 9 --include-seen --backend cpu"));
        assert_eq!(listed[0], ["user", "rank", "item", "score"]);
        assert_eq!(listed.len(), 1 + 6 * 5);
        let pairs: String = listed[1..].iter().map(|r| format!("{},{}\n", r[0], r[2])).collect();
        place.write("pairs.csv", format!("user,item\n{pairs}"));
        let predicted = records(&place.ok("predict m pairs.csv"));
        for (listed, predicted) in listed[1..].iter().zip(&predicted[1..]) {
            assert_eq!((&listed[0], &listed[2]), (&predicted[0], &predicted[1]));
            let (got, want): (f64, f64) =
                (listed[3].parse().unwrap(), predicted[2].parse().unwrap());
            assert_relative_eq!(got, want, max_relative = 1e-6, epsilon = 1e-7);
            if options.contains("logistic") {
                assert!((0.0..1.0).contains(&got));
            }
        }
        // What was rated in training is left out otherwise.
        let unseen = records(&place.ok("recommend m --all -n 9 --backend cpu"));
        assert_eq!(unseen.len(), 1 + 6 * 5 - 15);
        for row in &unseen[1..] {
            assert!(!RATINGS.contains(&format!("\n{},{},", row[0], row[2])), "{row:?}");
        }
    }
}

#[test]
fn every_flag_does_what_it_says() {
    let place = furnished("--solver als");
    let list = |line: &str| {
        let output = place.run(&format!("recommend m --backend cpu {line}"));
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        (records(&stdout(&output))[1..].to_vec(), stderr(&output))
    };
    let (all, talk) = list("--all -n 2");
    assert!(talk.starts_with("device: CPU"), "{talk}");
    assert_eq!(all.len(), 12);
    let of = |rows: &[Vec<String>], user: &str| {
        rows.iter().filter(|r| r[0] == user).cloned().collect::<Vec<_>>()
    };
    // In the order in which they are named, each once; unknown ones are said.
    let (some, talk) = list("--users eve,zoe,ann,eve -n 2");
    assert_eq!(some, [of(&all, "eve"), of(&all, "ann")].concat());
    assert!(talk.contains("1 of 3 users are not in the model: \"zoe\"; skipped"), "{talk}");
    let strict = place.run("recommend m --users eve,zoe --strict --backend cpu");
    assert_eq!(strict.status.code(), Some(1));
    assert!(stdout(&strict).is_empty() && stderr(&strict).contains("(--strict)"));
    for file in ["eve\nann\n", "user\neve\nann\n", "score,user\n1,eve\n2,ann\n", "eve;9\r\nann;1"] {
        place.write("users.txt", file);
        assert_eq!(list("--users-file users.txt -n 2").0, some, "{file:?}");
    }
    let (only, talk) = {
        place.write("only.csv", "item\nz\nv\nq\n");
        list("--all --only only.csv --include-seen")
    };
    assert_eq!(only.len(), 12);
    assert!(only.iter().all(|row| ["z", "v"].contains(&row[2].as_str())));
    assert!(talk.contains("only.csv: 1 of 3 ids of --only are not in the model: \"q\""), "{talk}");
    assert!(talk.contains("-n 10: there are only 2 items to recommend"), "{talk}");
    place.write("not.txt", "x\ny\n");
    let (rest, _) = list("--all --exclude not.txt --include-seen -n 3");
    assert_eq!(rest.len(), 18);
    assert!(rest.iter().all(|row| !["x", "y"].contains(&row[2].as_str())));
    let (both, _) = list("--all --exclude not.txt --only stars.csv --include-seen -n 3");
    assert_eq!(both, rest);
    // Titles go with ids; some items have none.
    let output = place.run("recommend m --users bob --titles titles.csv --backend cpu");
    assert!(stderr(&output).contains("titles of 3 of 5 items"), "{}", stderr(&output));
    let titled = records(&stdout(&output));
    assert_eq!(titled[0], ["user", "rank", "item", "score", "title"]);
    let title = |id: &str| titled.iter().find(|r| r[2] == id).unwrap()[4].clone();
    assert_eq!([title("y"), title("z"), title("w")], ["Why", "", "Who"]);
    place.write("odd.txt", "a#Why#y\nb#Who#w\n");
    let odd = "--titles odd.txt --titles-delimiter # --titles-columns 3,2";
    let odd = records(&place.ok(&format!("recommend m --users bob --backend cpu {odd}")));
    assert_eq!(odd[1..], titled[1..]);
    // JSON lines hold the same.
    let json = place.ok("recommend m --users bob --titles titles.csv --format jsonl --backend cpu");
    for (line, row) in json.lines().zip(&titled[1..]) {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["user"], "bob");
        assert_eq!(object["rank"].as_u64().unwrap().to_string(), row[1]);
        assert_eq!(object["item"], *row[2]);
        assert_eq!(object["score"].to_string().parse::<f32>(), row[3].parse::<f32>());
        assert_eq!(object["title"].as_str().unwrap_or(""), row[4]);
    }
    assert_eq!(json.lines().count(), 3);
}

#[test]
fn a_table_is_aligned() {
    let place = furnished("--solver als");
    let table =
        place.ok("recommend m --users bob,ann --titles titles.csv --format table --backend cpu");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "user bob");
    assert!(lines[1].starts_with(" rank  rating  item  title"), "{table}");
    assert_eq!((lines[5], lines[6]), ("", "user ann"));
    assert_eq!(lines.len(), 10);
    let column = lines[1].find("item").unwrap();
    for line in &lines[2..5] {
        assert!(["y", "z", "w"].contains(&&line[column..column + 1]), "{table}");
        assert!(!line.ends_with(' '));
    }
    let why = lines.iter().find(|line| line.ends_with("Why")).unwrap();
    assert_eq!(why.find("Why"), lines[1].find("title"));
    let product = place.ok("recommend m --users bob -n 1 --format table --explain=1 --backend cpu");
    assert!(product.contains("       because ") && product.contains("; other ratings "));
}

#[test]
fn explanations_add_up_in_print() {
    for options in ["--solver als --transform zscore", "--solver ials --alpha 0.5", "--solver als"]
    {
        let place = furnished(options);
        let text = place.ok("recommend m --all -n 3 --explain=2 --backend cpu");
        let rows = records(&text);
        let names = [
            "user",
            "rank",
            "item",
            "score",
            "base",
            "rest",
            "because_1",
            "part_1",
            "because_2",
            "part_2",
        ];
        assert_eq!(rows[0], names);
        for row in &rows[1..] {
            let number = |at: usize| row[at].parse::<f64>().unwrap_or(0.0);
            let sum = number(4) + number(5) + number(7) + number(9);
            let scale = [3, 4, 5, 7, 9].map(number).iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            assert!((sum - number(3)).abs() <= 1e-5 * scale, "{options}: {row:?}");
            // They are items that the user has rated, and not what is listed.
            for because in [&row[6], &row[8]] {
                assert!(RATINGS.contains(&format!("\n{},{because},", row[0])), "{row:?}");
                assert_ne!(**because, row[2]);
            }
        }
    }
    // Where the unit bends, parts add up in the unit of training.
    let place = furnished("--solver als --transform log1p");
    let lines = place.ok("recommend m --users ann --explain --format jsonl --backend cpu");
    for line in lines.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| row[name].as_f64().unwrap();
        let parts: f64 =
            row["because"].as_array().unwrap().iter().map(|p| p["part"].as_f64().unwrap()).sum();
        let sum = number("base") + parts + number("rest");
        assert_relative_eq!(sum, number("model_score"), max_relative = 1e-5);
        assert_relative_eq!(number("model_score").exp_m1(), number("score"), max_relative = 1e-5);
        assert_eq!(row["because"].as_array().unwrap().len(), 3);
    }
}

/// Takes the values out of a record, as earlier versions wrote it.
fn without_values(place: &Place, file: &str) {
    let bytes = place.read(file);
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let kept = tensors.iter().filter(|(name, _)| *name != "values");
    let old = safetensors::serialize(kept, None).unwrap();
    assert!(old.len() < bytes.len());
    place.write(file, old);
}

#[test]
fn a_record_without_values_still_serves() {
    let place = furnished("--solver als");
    let want = place.ok("recommend m --all --backend cpu");
    without_values(&place, "m/seen.safetensors");
    place.unbind("m");
    assert_eq!(place.ok("recommend m --all --backend cpu"), want);
    place.write("new.csv", "user,item,rating\ngus,x,5\ngus,y,1\nann,w,2\n");
    for command in [
        "recommend m --all --explain --backend cpu",
        "fold-in m new.csv --output m2 --update --backend cpu",
    ] {
        let output = place.run(command);
        assert_eq!(output.status.code(), Some(1));
        let talk = stderr(&output);
        assert!(talk.contains("no values") && talk.contains("train it again"), "{talk}");
    }
    place.ok("fold-in m new.csv --output m2 --backend cpu");
    let grown = Model::open(place.path("m2")).unwrap();
    let seen = grown.open_seen(place.path("m2")).unwrap();
    assert_eq!((seen.items_of(6), seen.has_values()), (&[2, 3][..], false));
}

#[test]
fn output_is_whole_or_nothing_and_may_be_compressed() {
    let place = furnished("--solver als");
    let want = place.ok("recommend m --all --backend cpu");
    let output = place.run("recommend m --all --output lists.csv --backend cpu");
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(stderr(&output).contains("wrote 15 items for 6 users to lists.csv"));
    assert_eq!(place.read("lists.csv"), want.as_bytes());
    let again = place.run("recommend m --all --output lists.csv --backend cpu");
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("lists.csv: exists already"), "{}", stderr(&again));
    place.ok("recommend m --users ann --output lists.csv --force --backend cpu");
    assert!(place.read("lists.csv").len() < want.len());
    place.ok("recommend m --all --output lists.csv.gz --backend cpu");
    let mut text = String::new();
    let bytes = place.read("lists.csv.gz");
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, want);
}

#[test]
fn a_reader_that_goes_away_is_a_normal_end() {
    let place = Place::with_sample();
    place.ok("train plays.csv --model m --solver als --epochs 1 --factors 2 --progress none --backend cpu");
    for command in ["recommend m --all -n 200", "similar m --all -n 200"] {
        let mut child = place
            .command(&format!("{command} --backend cpu"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}", stderr(&output));
        assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
    }
}

#[test]
fn the_same_bytes_with_any_number_of_threads() {
    let place = Place::with_sample();
    place.ok("train plays.csv --model m --solver als --epochs 1 --factors 5 --progress none --backend cpu");
    let list = |threads: u32| {
        place.ok(&format!("recommend m --all --explain --threads {threads} --backend cpu"))
    };
    let one = list(1);
    assert!(one.lines().count() > 1000);
    assert!(one == list(3));
}

#[test]
fn titles_of_the_usual_sets_are_all_there() {
    for (file, ids, named, sample) in [
        ("data/ml-1m/movies.dat", 3952, 3883, (73, "Misérables, Les (1995)")),
        ("data/ml-100k/u.item", 1682, 1681, (543, "Misérables, Les (1995)")),
        ("data/ml-latest-small/movies.csv", 193609, 9742, (73, "Misérables, Les (1995)")),
        ("data/lastfm-2k/artists.dat", 18745, 17632, (1686, "\"Weird Al\" Yankovic")),
    ] {
        let Some(path) = common::shared(file) else { continue };
        let ids = (1..=ids).map(|id: u32| id.to_string()).collect();
        let titles = Titles::read(&path, &Default::default(), &ids, Side::Item).unwrap();
        assert!(titles.named() >= named, "{}", titles.recognised);
        assert_eq!(titles.title(sample.0 - 1), sample.1);
    }
}
