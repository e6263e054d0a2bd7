//! What must hold of any ratings: other names, another order, users and items exchanged, another scale,
//! pairs that come twice, parts that are put together. Small sets of every shape that proptest draws, the
//! same ones everywhere; what fails is made smaller before it is shown.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use wgmf::core::{Options, Side, Solver, TransformKind};
use wgmf::data::{
    Delimiter, Duplicates, Format, Header, Quotes, ReadOptions, SplitOptions, Table, read, split,
};
use wgmf::{Dataset, Trained, fit, open_device};

/// A user, an item and a rating in halves of a star.
type Triple = (u8, u8, u8);

fn check<T: Debug>(cases: u32, of: impl Strategy<Value = T>, holds: impl Fn(T)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, random).run(&of, |value| {
        holds(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Ratings with every pair once, of two ratings at least that differ.
fn triples() -> impl Strategy<Value = Vec<Triple>> {
    vec((0..9_u8, 0..7_u8, 1..=10_u8), 3..60).prop_map(|mut triples| {
        triples.sort_unstable();
        triples.dedup_by_key(|triple| (triple.0, triple.1));
        triples.push((9, 0, 1));
        triples.push((9, 1, 10));
        triples
    })
}

fn set(triples: &[Triple], user: impl Fn(u8) -> String, item: impl Fn(u8) -> String) -> Dataset {
    let users: Vec<String> = triples.iter().map(|t| user(t.0)).collect();
    let items: Vec<String> = triples.iter().map(|t| item(t.1)).collect();
    Dataset::from_triples(&users, &items, &values(triples)).unwrap()
}

fn values(triples: &[Triple]) -> Vec<f32> {
    triples.iter().map(|t| f32::from(t.2) / 2.0).collect()
}

fn user(id: u8) -> String {
    format!("u{id}")
}

fn item(id: u8) -> String {
    format!("i{id}")
}

fn short(solver: Solver) -> Options {
    let options = Options::of(solver).factors(2);
    match solver {
        Solver::Bayes => options.samples(2).burn_in(1),
        _ => options.epochs(2),
    }
}

const SOLVERS: [Solver; 6] =
    [Solver::Sgd, Solver::Adagrad, Solver::Adam, Solver::Als, Solver::Ials, Solver::Bayes];

fn trained(set: &Dataset, options: &Options) -> Trained {
    fit(set, options, &open_device("cpu").unwrap()).unwrap()
}

/// All that was learned, as bits.
fn bits(trained: &Trained) -> Vec<u32> {
    let factors = &trained.model().factors;
    let sides = Side::BOTH.map(|side| [&factors[side].factors, &factors[side].bias]);
    let numbers = sides.iter().flatten().flat_map(|array| array.iter());
    numbers.chain([&factors.global_mean]).map(|x| x.to_bits()).collect()
}

#[test]
fn other_names_in_the_same_order_give_the_same_bits() {
    check(16, (triples(), 0..6_usize), |(triples, solver)| {
        let options = short(SOLVERS[solver]);
        let one = trained(&set(&triples, user, item), &options);
        // Longer, and not ASCII; in the same order by their bytes.
        let other = |id: u8| format!("{}né, \"{id}\"", char::from(b'b' + id));
        let other = trained(&set(&triples, other, other), &options);
        assert_eq!(bits(&one), bits(&other));
    });
}

#[test]
fn any_names_give_the_same_fit() {
    check(24, (triples(), any::<[u8; 10]>()), |(triples, keys)| {
        // Biases alone have one best fit, wherever a row stands.
        let mut options = Options::of(Solver::Als).factors(0).epochs(40);
        options.reg_bias = Some(0.1);
        let one = trained(&set(&triples, user, item), &options);
        let name = |id: u8| format!("{:03}-{id}", keys[usize::from(id)]);
        let other = trained(&set(&triples, name, name), &options);
        for &(u, i, _) in &triples {
            let prediction = one.predict(user(u), item(i)).unwrap();
            let again = other.predict(name(u), name(i)).unwrap();
            assert!((prediction - again).abs() < 1e-4, "{prediction} became {again}");
        }
    });
}

#[test]
fn the_order_of_rows_changes_no_bit() {
    let shuffled =
        triples().prop_flat_map(|triples| (Just(triples.clone()), Just(triples).prop_shuffle()));
    check(16, (shuffled, 0..6_usize), |((triples, shuffled), solver)| {
        let options = short(SOLVERS[solver]);
        let [one, other] =
            [&triples, &shuffled].map(|triples| trained(&set(triples, user, item), &options));
        assert_eq!(bits(&one), bits(&other));
    });
}

#[test]
fn users_and_items_are_alike() {
    check(24, triples(), |triples| {
        let turned: Vec<Triple> = triples.iter().map(|&(u, i, r)| (i, u, r)).collect();
        let (one, other) = (set(&triples, user, item), set(&turned, item, user));
        let ids = |set: &Dataset, side| set.ids(side).iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(ids(&one, Side::User), ids(&other, Side::Item));
        let pairs = |set: &Dataset, turn: bool| {
            let pair = |(u, i, r): (u32, u32, f32)| if turn { (i, u, r) } else { (u, i, r) };
            let mut pairs: Vec<_> = set.ratings().iter().map(pair).collect();
            pairs.sort_by_key(|pair| (pair.0, pair.1));
            pairs
        };
        assert_eq!(pairs(&one, false), pairs(&other, true));
        let mut options = Options::of(Solver::Als).factors(0).epochs(40);
        options.reg_bias = Some(0.1);
        let (one, other) = (trained(&one, &options), trained(&other, &options));
        for &(u, i, _) in &triples {
            let prediction = one.predict(user(u), item(i)).unwrap();
            let turned = other.predict(item(i), user(u)).unwrap();
            assert!((prediction - turned).abs() < 1e-4, "{prediction} became {turned}");
        }
    });
}

#[test]
fn four_times_the_ratings_is_four_times_the_model() {
    // Powers of two round nowhere: rows of factors double, biases and mean are four times as large, to the
    // bit, where what is in the unit of ratings (penalties of factors) follows, and what is in its inverse
    // (steps of factors).
    check(24, (triples(), 0..2_usize), |(triples, solver)| {
        let solver = [Solver::Als, Solver::Sgd][solver];
        let mut options = short(solver);
        (options.reg, options.reg_bias) = (Some(0.25), Some(0.125));
        options.init_scale = Some(0.125);
        let mut larger = Options { reg: Some(1.0), init_scale: Some(0.25), ..options.clone() };
        if solver == Solver::Sgd {
            (options.learning_rate, options.learning_rate_bias) = (Some(0.0625), Some(0.0625));
            (larger.learning_rate, larger.learning_rate_bias) = (Some(0.015625), Some(0.0625));
        }
        let one = trained(&set(&triples, user, item), &options);
        let names = |name: fn(u8) -> String, of: fn(&Triple) -> u8| {
            triples.iter().map(|t| name(of(t))).collect::<Vec<_>>()
        };
        let fourfold: Vec<f32> = values(&triples).iter().map(|value| 4.0 * value).collect();
        let (users, items) = (names(user, |t| t.0), names(item, |t| t.1));
        let other = trained(&Dataset::from_triples(&users, &items, &fourfold).unwrap(), &larger);
        let (one, other) = (&one.model().factors, &other.model().factors);
        let times = |x: &[f32], by: f32| x.iter().map(|x| x * by).collect::<Vec<_>>();
        for side in Side::BOTH {
            assert_eq!(times(&one[side].factors, 2.0), other[side].factors, "{solver:?}");
            assert_eq!(times(&one[side].bias, 4.0), other[side].bias, "{solver:?}");
        }
        assert_eq!(4.0 * one.global_mean, other.global_mean);
    });
}

#[test]
fn scaled_ratings_are_transformed_to_the_same_bits() {
    check(16, (triples(), 0..5_usize, 0..2_usize), |(triples, solver, kind)| {
        let kind = [TransformKind::ZScore, TransformKind::MinMax][kind];
        // Not ials, to which a rating below 0 is none.
        let solvers = SOLVERS.into_iter().filter(|&solver| solver != Solver::Ials);
        let options = short(solvers.collect::<Vec<_>>()[solver]);
        let scaled = |by: f32| {
            let users: Vec<String> = triples.iter().map(|t| user(t.0)).collect();
            let items: Vec<String> = triples.iter().map(|t| item(t.1)).collect();
            let values: Vec<f32> = values(&triples).iter().map(|value| by * value).collect();
            let set = Dataset::from_triples(&users, &items, &values).unwrap();
            trained(&set.transformed(&[kind]), &options)
        };
        assert_eq!(bits(&scaled(1.0)), bits(&scaled(8.0)));
    });
}

#[test]
fn pairs_that_come_twice_are_what_is_made_of_them() {
    check(48, (triples(), vec(0..4_u8, 60)), |(triples, times)| {
        let repeats = |at: usize| usize::from(times[at % times.len()]);
        let mut repeated = Vec::new();
        for (at, &triple) in triples.iter().enumerate() {
            repeated.extend(std::iter::repeat_n(triple, 1 + repeats(at)));
        }
        let of = |triples: &[Triple], policy| {
            let users: Vec<u8> = triples.iter().map(|t| t.0).collect();
            let items: Vec<u8> = triples.iter().map(|t| t.1).collect();
            let values = values(triples);
            let set = Dataset::from_triples_merged(&users, &items, &values, policy).unwrap();
            set.ratings().clone()
        };
        let once = of(&triples, Duplicates::Error);
        assert_eq!(of(&repeated, Duplicates::Last), once);
        assert_eq!(of(&repeated, Duplicates::Mean), once);
        let sums = of(&repeated, Duplicates::Sum);
        let mut sorted: Vec<(usize, Triple)> = triples.iter().copied().enumerate().collect();
        sorted.sort_by_key(|(_, triple)| (triple.0.to_string(), triple.1.to_string()));
        for ((at, triple), sum) in sorted.into_iter().zip(sums.values) {
            assert_eq!(sum, f32::from(triple.2) / 2.0 * (1 + repeats(at)) as f32);
        }
        // The latest of several is the last.
        let mut changed: Vec<Triple> = triples.iter().map(|t| (t.0, t.1, 11 - t.2)).collect();
        changed.extend(&triples);
        assert_eq!(of(&changed, Duplicates::Last), once);
    });
}

fn lines(triples: &[Triple]) -> String {
    let line = |t: &Triple| format!("{},{},{}\n", user(t.0), item(t.1), f32::from(t.2) / 2.0);
    triples.iter().map(line).collect()
}

/// What files hold, whatever their order.
fn contents(paths: &[PathBuf]) -> Vec<(String, String, u32)> {
    let table = read(paths, &ReadOptions::default(), &()).unwrap();
    let mut rows: Vec<_> = rows(&table).collect();
    rows.sort();
    rows
}

fn rows(table: &Table) -> impl Iterator<Item = (String, String, u32)> {
    let row = |(user, item, value): (u32, u32, f32)| {
        (table.users.name(user).to_owned(), table.items.name(item).to_owned(), value.to_bits())
    };
    table.ratings.iter().map(row)
}

#[test]
fn what_was_split_is_joined_and_files_are_a_set() {
    check(24, (triples(), 0..100_u64, 1..9_usize), |(triples, seed, cut)| {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let header = "user,item,rating\n";
        let whole = path("whole.csv");
        fs::write(&whole, header.to_owned() + &lines(&triples)).unwrap();
        let all = contents(from_ref(&whole));
        // Files one after another are one file, with or without a header of their own.
        let (first, second) = triples.split_at(triples.len() * cut / 9);
        if first.is_empty() || second.is_empty() {
            return;
        }
        let pieces = [path("a.csv"), path("b.csv")];
        fs::write(&pieces[0], header.to_owned() + &lines(first)).unwrap();
        fs::write(&pieces[1], header.to_owned() + &lines(second)).unwrap();
        assert_eq!(contents(&pieces), all);
        assert_eq!(contents(&[home.path().join("[ab].csv")]), all);
        // A split's parts hold each rating once; of folds, so do the test parts.
        let ways = [
            SplitOptions { holdout: Some(0.3), seed, ..SplitOptions::default() },
            SplitOptions { folds: Some(2), seed, ..SplitOptions::default() },
            SplitOptions { leave_last: Some(1), seed, ..SplitOptions::default() },
        ];
        for (number, way) in ways.iter().enumerate() {
            let out = path(&format!("out{number}"));
            // A part without ratings is refused.
            let Ok(facts) = split(from_ref(&whole), way, &out, false, &()) else { continue };
            for part in &facts.parts {
                assert_eq!(contents(&[part.train.clone(), part.test.clone()]), all);
            }
            if facts.parts.len() > 1 {
                let tests: Vec<PathBuf> =
                    facts.parts.iter().map(|part| part.test.clone()).collect();
                assert_eq!(contents(&tests), all);
            }
        }
    });
}

/// Text of a field: all that RFC 4180 has rules for, and characters of several bytes.
fn field() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::char::range('a', 'e'),
        1 => Just('"'),
        1 => Just(','),
        1 => Just('\t'),
        1 => Just(';'),
        1 => Just('\n'),
        1 => Just(' '),
        1 => Just('é'),
        1 => Just('\u{1f3b5}'),
    ];
    vec(character, 1..9).prop_map(|characters| characters.into_iter().collect())
}

/// A field as it may be written: in quotes where it must be, or though it need not be.
fn written(field: &str, quoted: bool, delimiter: char) -> String {
    let must = field.contains(['"', '\n', '\r', delimiter]) || field.starts_with(' ');
    match quoted || must {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[test]
fn the_csv_crate_reads_the_same() {
    let row = (field(), field(), -900..900_i32, any::<[bool; 3]>());
    let form = (0..4_usize, any::<bool>(), any::<bool>(), any::<bool>());
    check(400, (vec(row, 1..30), form), |(table, (delimiter, returns, header, last))| {
        let delimiter = [',', ';', '\t', '|'][delimiter];
        let end = if returns { "\r\n" } else { "\n" };
        let mut text = String::new();
        if header {
            text += &["user", "item", "rating"].join(&delimiter.to_string());
            text += end;
        }
        for (at, (user, item, value, quoted)) in table.iter().enumerate() {
            let value = (f64::from(*value) / 8.0).to_string();
            let fields = [user, item, &value].into_iter().zip(quoted);
            let fields: Vec<_> = fields.map(|(field, q)| written(field, *q, delimiter)).collect();
            text += &fields.join(&delimiter.to_string());
            // The last line's end may be missing.
            text += if last || at + 1 < table.len() { end } else { "" };
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("table.csv");
        fs::write(&path, &text).unwrap();
        let options = ReadOptions {
            columns: Some("1,2,3".into()),
            delimiter: Some(Delimiter::Byte(delimiter as u8)),
            header: if header { Header::Yes } else { Header::No },
            format: Format::Triples,
            quotes: Quotes::Yes,
            ..ReadOptions::default()
        };
        let own = read(from_ref(&path), &options, &()).unwrap_or_else(|e| panic!("{e}: {text:?}"));
        assert_eq!(theirs(&path, delimiter, header), rows(&own).collect::<Vec<_>>(), "{text:?}");
    });
}

fn theirs(path: &Path, delimiter: char, header: bool) -> Vec<(String, String, u32)> {
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(delimiter as u8).has_headers(header);
    let records = builder.from_path(path).unwrap().into_records();
    let row = |record: csv::StringRecord| {
        (record[0].to_owned(), record[1].to_owned(), record[2].parse::<f32>().unwrap().to_bits())
    };
    records.map(|record| row(record.unwrap())).collect()
}
