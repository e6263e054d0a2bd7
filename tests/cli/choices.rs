//! Whose lists, of what, and whence the ids: the flags that choose.

use crate::train::adapter;
use crate::{fixture, place};
use fixture::{bayes, model, seen};
use place::{Place, stderr};
use std::collections::BTreeMap;
use wgmf::core::Ids;
use wgmf::model::{Model, Seen};

/// A list by its id: entries with their scores, in order.
type Lists = BTreeMap<String, Vec<(String, f64)>>;

fn lists(csv: &str) -> Lists {
    let mut lists = Lists::new();
    for row in csv::Reader::from_reader(csv.as_bytes()).records() {
        let row = row.unwrap();
        let entry = (row[2].to_owned(), row[3].parse().unwrap());
        let list = lists.entry(row[0].to_owned()).or_default();
        list.push(entry);
        assert_eq!(row[1].parse(), Ok(list.len()));
    }
    lists
}

/// Ids that a file of pairs can hold in any form.
fn tidy(ids: &Ids) -> Ids {
    let odd = |c: char| c.is_control() || ['"', '\\'].contains(&c);
    let tidy = |(row, id): (usize, &str)| match id.contains(odd) || id.trim() != id {
        true => format!("odd{row}"),
        false => id.to_owned(),
    };
    ids.iter().enumerate().map(tidy).collect()
}

/// A model of rows, and a Bayesian one.
fn models(place: &Place) -> [(Model, Seen, &'static str); 2] {
    let mut plain = model(20, 17, 5);
    (plain.users, plain.items) = (tidy(&plain.users), tidy(&plain.items));
    let pairs = Seen::new(&seen(&plain), 20, 17).unwrap();
    plain.save_with(place.path("plain"), &pairs, None, false).unwrap();
    let (mut bayesian, samples) = bayes::bayes(&[]);
    (bayesian.users, bayesian.items) = (plain.users.clone(), plain.items.clone());
    bayes::save(&bayesian, &samples, &place.path("bayesian"));
    [(plain, pairs.clone(), "plain"), (bayesian, pairs, "bayesian")]
}

#[test]
fn the_users_for_an_item_are_those_to_whom_it_is_predicted_highest() {
    let place = Place::new();
    for (model, seen, name) in models(&place) {
        // Every pair's prediction, by the command that predicts pairs.
        let mut pairs = csv::Writer::from_path(place.path("pairs.csv")).unwrap();
        pairs.write_record(["user", "item"]).unwrap();
        for user in model.users.iter() {
            for item in model.items.iter() {
                pairs.write_record([user, item]).unwrap();
            }
        }
        pairs.flush().unwrap();
        let predicted = place.ok(&format!("predict {name} pairs.csv --delimiter ,"));
        let mut predictions = BTreeMap::new();
        for row in csv::Reader::from_reader(predicted.as_bytes()).records() {
            let row = row.unwrap();
            predictions
                .insert((row[0].to_owned(), row[1].to_owned()), row[2].parse::<f64>().unwrap());
        }
        let gpu = format!("--adapter {}", adapter());
        let backends = ["--backend cpu", &gpu];
        for (flags, backends) in [
            ("", &backends[..]),
            ("--include-seen", &backends[..1]),
            ("--only few.txt", &backends[..1]),
        ] {
            place.write("few.txt", "u15\nu16\nu17\nu18\nu19\n");
            let mut all = Vec::new();
            for backend in backends {
                all.push(
                    place.ok(&format!("recommend {name} --for-all-items -n 6 {flags} {backend}")),
                );
            }
            assert!(all.iter().all(|lists| lists == &all[0]), "{flags}");
            let got = lists(&all[0]);
            for (row, item) in model.items.iter().enumerate() {
                let open = |user: &(usize, &str)| {
                    let seen = seen.items_of(user.0 as u32).contains(&(row as u32));
                    (flags == "--include-seen" || !seen)
                        && (!flags.contains("only") || user.0 >= 15)
                };
                let mut want: Vec<(String, f64)> = model
                    .users
                    .iter()
                    .enumerate()
                    .filter(open)
                    .map(|(_, user)| {
                        let pair = (user.to_owned(), item.to_owned());
                        (user.to_owned(), predictions[&pair])
                    })
                    .collect();
                want.sort_by(|a, b| b.1.total_cmp(&a.1));
                want.truncate(6);
                let got = got.get(item).cloned().unwrap_or_default();
                assert_eq!(got.len(), want.len(), "{item}");
                for (got, want) in got.iter().zip(&want) {
                    assert_eq!(got.0, want.0, "{item}");
                    assert!((got.1 - want.1).abs() <= 1e-5, "{item}: {} and {}", got.1, want.1);
                }
            }
        }
    }
    // One item, by its id and from a file.
    let one = place.ok("recommend plain --for-items i15 -n 3");
    assert!(one.starts_with("item,rank,user,score\ni15,1,"), "{one}");
    place.write("items.txt", "i15\n");
    assert_eq!(place.ok("recommend plain --for-items-file items.txt -n 3"), one);
    let json = place.ok("recommend plain --for-items i15 -n 1 --format jsonl");
    assert!(json.starts_with("{\"item\":\"i15\",\"rank\":1,\"user\":\""), "{json}");
    for by in ["lower 0.2", "upper"] {
        assert_eq!(
            lists(&place.ok(&format!("recommend bayesian --for-all-items --by {by}"))).len(),
            17
        );
    }
}

#[test]
fn pairs_that_are_allowed_and_no_others_are_listed() {
    let place = Place::new();
    models(&place);
    place.write("allow.csv", "user,item\nu19,i16\nu19,i15\nu18,i14\nu19,i14\nnobody,i14\n");
    for name in ["plain", "bayesian"] {
        let all = lists(&place.ok(&format!("recommend {name} --all -n 17 --include-seen")));
        let kept = |user: &str, items: &[&str]| -> Vec<(String, f64)> {
            let list = all[user].iter().filter(|entry| items.contains(&&*entry.0));
            list.cloned().collect()
        };
        for flags in ["", &*format!("--adapter {}", adapter()), "--users u18,u19"] {
            let got =
                place.ok(&format!("recommend {name} --allow allow.csv --include-seen {flags}"));
            let want = [("u19", &["i14", "i15", "i16"][..]), ("u18", &["i14"])];
            let want = want.map(|(user, items)| (user.to_owned(), kept(user, items)));
            assert_eq!(lists(&got), Lists::from(want), "{flags}");
        }
        place.write("only.txt", "i15\ni14\n");
        let got =
            place.ok(&format!("recommend {name} --allow allow.csv --only only.txt --include-seen"));
        assert_eq!(lists(&got)["u19"], kept("u19", &["i14", "i15"]));
        let got = lists(
            &place
                .ok(&format!("recommend {name} --for-items i14 --allow allow.csv --include-seen")),
        );
        let users: Vec<&str> = got["i14"].iter().map(|entry| &*entry.0).collect();
        assert!(users == ["u18", "u19"] || users == ["u19", "u18"], "{users:?}");
    }
    // Who has no allowed item is told of.
    let output = place.run("recommend plain --allow allow.csv --users u17 --include-seen");
    assert!(stderr(&output).contains("1 of 1 users have no item left"), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 of 5 pairs of --allow"), "{}", stderr(&output));
}

#[test]
fn an_id_may_hold_a_comma_wherever_ids_are_given() {
    let place = Place::new();
    models(&place);
    let of = |arguments: &[&str]| -> Vec<String> {
        let output = place.command("").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        lists(&place::stdout(&output)).into_keys().collect()
    };
    for (texts, want) in [
        (&["with, comma"][..], &["with, comma"][..]),
        (&["plain,with, comma,a_b"], &["a_b", "plain", "with, comma"]),
        (&["plain,007"], &["007", "plain"]),
        (&["plain", "with, comma"], &["plain", "with, comma"]),
    ] {
        for (command, flag) in [
            ("similar", "--items"),
            ("similar", "--users"),
            ("recommend", "--users"),
            ("recommend", "--for-items"),
        ] {
            let mut arguments = vec![command, "plain"];
            texts.iter().for_each(|text| arguments.extend([flag, text]));
            assert_eq!(of(&arguments), want, "{arguments:?}");
        }
    }
    place.write("ids.txt", "\"with, comma\"\nplain\n");
    for flag in ["--items-file", "--users-file"] {
        assert_eq!(of(&["similar", "plain", flag, "ids.txt"]), ["plain", "with, comma"]);
    }
}

#[test]
fn likenesses_are_listed_among_those_that_may() {
    let place = Place::new();
    models(&place);
    place.write("few.txt", "i15\ni16\nplain\n");
    place.write("not.txt", "i16\n");
    for name in ["plain", "bayesian"] {
        for metric in ["cosine", "inner"] {
            let all = lists(&place.ok(&format!("similar {name} --all -n 16 --metric {metric}")));
            let among = |keep: fn(&str) -> bool| -> Lists {
                let list = |(id, list): (&String, &Vec<(String, f64)>)| {
                    let kept: Vec<_> = list.iter().filter(|e| keep(&e.0)).cloned().collect();
                    (id.clone(), kept)
                };
                all.iter().map(list).filter(|(_, list)| !list.is_empty()).collect()
            };
            let run = |flags: &str| {
                lists(&place.ok(&format!("similar {name} --all -n 16 --metric {metric} {flags}")))
            };
            assert_eq!(run("--only few.txt"), among(|id| ["i15", "i16", "plain"].contains(&id)));
            assert_eq!(run("--exclude not.txt"), among(|id| id != "i16"));
            assert_eq!(
                run("--only few.txt --exclude not.txt"),
                among(|id| ["i15", "plain"].contains(&id))
            );
        }
    }
}

#[test]
fn models_that_were_trained_have_users_for_items_too() {
    let place = Place::new();
    let rows = (0..90).map(|i| format!("u{},i{},{}\n", i % 10, i * i % 7, 1 + i * 7 % 5));
    place.write("r.csv", format!("user,item,rating\n{}", rows.collect::<String>()));
    for (solver, flags) in [
        ("als", "--epochs 2"),
        ("sgd", "--epochs 1"),
        ("ials", "--epochs 1"),
        ("bayes", "--samples 4 --burn-in 1"),
    ] {
        place.ok(&format!(
            "train r.csv --model m --force --solver {solver} --factors 3 {flags} --backend cpu -q"
        ));
        let got =
            lists(&place.ok("recommend m --for-all-items --include-seen -n 10 --backend cpu"));
        assert_eq!(got.values().map(Vec::len).sum::<usize>(), 10 * got.len(), "{solver}");
        let pairs =
            got.iter().flat_map(|(item, list)| list.iter().map(move |entry| (&entry.0, item)));
        let pairs: Vec<String> = pairs.map(|(user, item)| format!("{user},{item}\n")).collect();
        place.write("pairs.csv", format!("user,item\n{}", pairs.concat()));
        let predicted = place.ok("predict m pairs.csv");
        let predicted = csv::Reader::from_reader(predicted.as_bytes()).into_records();
        let predicted: Vec<f64> = predicted.map(|row| row.unwrap()[2].parse().unwrap()).collect();
        for (entry, want) in got.values().flatten().zip(predicted) {
            assert!((entry.1 - want).abs() <= 1e-5, "{solver}: {} and {want}", entry.1);
        }
    }
}
