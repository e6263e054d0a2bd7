//! Similar items and users: against all cosines, and `wgmf similar`.

use crate::{fixture, place};
use wgmf::core::Side;
use wgmf::cpu::Cpu;
use wgmf::model::Model;
use wgmf::recommend::{Metric, similar};

use fixture::model;
use place::{Place, stderr};

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let inner = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    match metric {
        Metric::Inner => inner(a, b),
        Metric::Cosine => {
            let norms = (inner(a, a) * inner(b, b)).sqrt();
            if norms == 0.0 { 0.0 } else { inner(a, b) / norms }
        }
    }
}

#[test]
fn lists_are_those_of_all_pairs() {
    let mut model = model(31, 200, 6);
    // A row of zeros, a row twice as long as another, and two that are equal.
    model.factors[Side::Item].factors[3 * 6..4 * 6].fill(0.0);
    let row: Vec<f32> = model.factors.item(10).to_vec();
    let twice: Vec<f32> = row.iter().map(|x| 2.0 * x).collect();
    model.factors[Side::Item].factors[20 * 6..21 * 6].copy_from_slice(&twice);
    model.factors[Side::Item].factors[30 * 6..31 * 6].copy_from_slice(&row);
    for side in [Side::Item, Side::User] {
        let count = if side == Side::Item { 200 } else { 31 };
        let factors = |row: u32| match side {
            Side::Item => model.factors.item(row),
            Side::User => model.factors.user(row),
        };
        let all: Vec<u32> = (0..count).collect();
        for metric in [Metric::Cosine, Metric::Inner] {
            for n in [1, 7, 500] {
                let lists = similar(&Cpu::new(), &model, side, &all, metric, n).unwrap();
                for (row, list) in lists.iter().enumerate() {
                    let row = row as u32;
                    let own = factors(row);
                    let others = all.iter().filter(|&&other| other != row);
                    let mut want: Vec<(u32, f64)> =
                        others.map(|&other| (other, score(metric, own, factors(other)))).collect();
                    want.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                    assert_eq!(list.len(), n.min(count as usize - 1));
                    for (got, want) in list.iter().zip(&want) {
                        assert!((got.score - want.1).abs() < 1e-9, "{got:?} {want:?}");
                        assert_ne!(got.row, row);
                    }
                }
            }
        }
    }
    let lists = similar(&Cpu::new(), &model, Side::Item, &[10, 3], Metric::Cosine, 2).unwrap();
    assert_eq!(lists[0].iter().map(|s| s.row).collect::<Vec<_>>(), [20, 30]);
    assert!(lists[0].iter().all(|s| (s.score - 1.0).abs() < 1e-7));
    // Zeros have no direction.
    assert!(lists[1].iter().all(|similar| similar.score == 0.0));
    let longest = similar(&Cpu::new(), &model, Side::Item, &[10], Metric::Inner, 1).unwrap();
    assert_eq!(longest[0][0].row, 20);
    assert!(similar(&Cpu::new(), &model, Side::User, &[31], Metric::Inner, 1).is_err());
}

#[test]
fn the_command_lists_items_and_users() {
    let place = Place::with_sample();
    place.ok("train plays.csv --model m --solver als --epochs 2 --factors 4 --progress none --backend cpu");
    let model = Model::open(place.path("m")).unwrap();
    let (x, y) = (model.items.name(0).to_owned(), model.items.name(1).to_owned());
    place.write("titles.tsv", format!("item\tname\n{y}\tWhy not\n"));
    let ok = |line: &str, user: bool| {
        let id = if user { model.users.name(3) } else { &x };
        let flag = if user { "--users" } else { "--items" };
        let mut command = place.command(&format!("similar m --backend cpu {line}"));
        let output = command.args([flag, &format!("{id},nobody")]).output().unwrap();
        let talk = stderr(&output);
        assert!(output.status.success(), "{talk}");
        assert!(talk.contains("are not in the model: \"nobody\"; skipped"), "{talk}");
        place::stdout(&output)
    };
    let text = ok("-n 3", false);
    assert!(text.starts_with("item,rank,similar,score\n"), "{text}");
    assert_eq!(text.lines().count(), 4);
    assert!(text.lines().skip(1).all(|line| !line.contains(&format!(",{x},"))));
    assert!(ok("-n 3 --metric inner", false) != text);
    let users = ok("-n 2 --format jsonl", true);
    let first: serde_json::Value = serde_json::from_str(users.lines().next().unwrap()).unwrap();
    assert_eq!(first["user"], model.users.name(3));
    assert!((0.0..=1.0).contains(&first["score"].as_f64().unwrap()));
    let everything = ok("-n 100000 --titles titles.tsv", false);
    assert!(everything.contains(",Why not\n"));
    assert_eq!(everything.lines().count(), model.items.len());
    let table = ok("-n 2 --format table --metric inner", false);
    assert!(table.starts_with(&format!("item {x}\n rank  product  similar")), "{table}");
    let all = place.ok("similar m --all -n 1 --backend cpu --output all.csv");
    assert_eq!(all, "");
    let lines = String::from_utf8(place.read("all.csv")).unwrap().lines().count();
    assert_eq!(lines, 1 + model.items.len());
    let strict = place.run("similar m --items nobody --backend cpu");
    assert_eq!(strict.status.code(), Some(1));
}
