//! The model directory: what goes in comes out, and damage is named.

use crate::fixture;
use wgmf::core::Side;
use wgmf::model::{Model, RunRecord, Seen, check_output};

use fixture::{NASTY, model, saved, seen};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const FILES: [&str; 5] =
    ["items.csv", "model.safetensors", "run.json", "seen.safetensors", "users.csv"];

#[test]
fn a_model_comes_back_bit_for_bit() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("deep/er/model");
    let model = saved(&dir);
    let back = Model::open(&dir).unwrap();
    assert_eq!(back.factors, model.factors);
    assert_eq!(back.users.iter().collect::<Vec<_>>(), model.users.iter().collect::<Vec<_>>());
    assert_eq!(back.items.iter().collect::<Vec<_>>(), model.items.iter().collect::<Vec<_>>());
    assert_eq!(back.users.name(4), NASTY[4]);
    assert_eq!(back.user_ratings, model.user_ratings);
    assert_eq!(back.item_ratings, model.item_ratings);
    assert_eq!(back.objective, model.objective);
    // Its report tells the objective too.
    let told = back.run.settings.as_object().unwrap();
    for (setting, value) in model.run.settings.as_object().unwrap() {
        assert_eq!(&told[setting], value);
    }
    assert_eq!(told["reg_exponent"], model.objective.reg_exponent);
    assert_eq!(
        RunRecord { settings: model.run.settings.clone(), parts: Default::default(), ..back.run },
        model.run
    );
    assert_eq!(names(&dir), FILES);
    assert_eq!(names(dir.parent().unwrap()), ["model"]);
}

#[test]
fn equal_models_make_equal_files() {
    let home = tempfile::tempdir().unwrap();
    let (a, b) = (home.path().join("a"), home.path().join("b"));
    saved(&a);
    saved(&b);
    for name in FILES {
        assert_eq!(fs::read(a.join(name)).unwrap(), fs::read(b.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn the_safetensors_crate_reads_the_factors() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = saved(&dir);
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 5);
    let tensor = file.tensor("item_factors").unwrap();
    assert_eq!(tensor.shape(), [17, 5]);
    assert_eq!(tensor.data(), bytemuck::cast_slice::<f32, u8>(&model.factors[Side::Item].factors));
    assert_eq!(file.tensor("global_mean").unwrap().data(), 3.25_f32.to_le_bytes());
}

#[test]
fn seen_pairs_come_back_sorted_and_once() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = saved(&dir);
    let back = model.open_seen(&dir).unwrap();
    for user in 0..20 {
        let mut want: Vec<u32> = seen(&model).iter().filter(|r| r.0 == user).map(|r| r.1).collect();
        want.sort();
        assert_eq!(back.items_of(user), want);
    }
    let mut twice = seen(&model);
    let once = Seen::new(&twice, 20, 17).unwrap();
    let again = twice.clone();
    twice.users.extend(again.users);
    twice.items.extend(again.items);
    twice.values.extend(again.values);
    assert_eq!(Seen::new(&twice, 20, 17).unwrap(), once);
    assert_eq!(once, back);
    assert!(Seen::new(&twice, 20, 3).is_err());
}

#[test]
fn a_model_without_factors_or_users_survives() {
    let home = tempfile::tempdir().unwrap();
    for (n, (users, items, k)) in [(0, 3, 2), (3, 4, 0), (1, 1, 1)].into_iter().enumerate() {
        let dir = home.path().join(n.to_string());
        let model = model(users, items, k);
        model.save(&dir, &seen(&model), false).unwrap();
        assert_eq!(Model::open(&dir).unwrap().factors, model.factors);
    }
}

#[test]
fn an_existing_model_is_replaced_only_when_told() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let old = saved(&dir);
    let new = model(3, 4, 2);
    for refused in [check_output(&dir, false), new.save(&dir, &seen(&new), false)] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("already holds a wgmf model"), "{message}");
        assert!(message.contains("`force`"), "{message}");
    }
    assert_eq!(Model::open(&dir).unwrap().factors, old.factors);
    check_output(&dir, true).unwrap();
    new.save(&dir, &seen(&new), true).unwrap();
    assert_eq!(Model::open(&dir).unwrap().factors, new.factors);
    assert_eq!(names(home.path()), ["m"]);
}

#[test]
fn what_is_no_model_is_never_replaced() {
    let home = tempfile::tempdir().unwrap();
    let model = model(3, 4, 2);
    let precious = home.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis.tex"), "words").unwrap();
    let file = home.path().join("file");
    fs::write(&file, "words").unwrap();
    for (place, says) in [(&precious, "thesis.tex"), (&file, "is a file")] {
        for overwrite in [false, true] {
            for refused in
                [check_output(place, overwrite), model.save(place, &seen(&model), overwrite)]
            {
                let message = refused.unwrap_err().to_string();
                assert!(message.contains(says), "{message}");
            }
        }
    }
    // Nor is a model that holds something else besides.
    let both = home.path().join("both");
    saved(&both);
    fs::write(both.join("notes.txt"), "words").unwrap();
    let message = check_output(&both, true).unwrap_err().to_string();
    assert!(message.contains("notes.txt"), "{message}");
    assert_eq!(names(home.path()), ["both", "file", "precious"]);
    assert_eq!(names(&precious), ["thesis.tex"]);
}

#[test]
fn checking_a_place_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    check_output(home.path().join("a/b/c"), false).unwrap();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    check_output(&empty, false).unwrap();
    assert_eq!(names(home.path()), ["empty"]);
    fs::write(home.path().join("file"), "").unwrap();
    let message = check_output(home.path().join("file/m"), false).unwrap_err().to_string();
    assert!(message.contains("file"), "{message}");
}

#[test]
#[cfg(unix)]
fn a_link_to_a_model_stays_a_link() {
    let home = tempfile::tempdir().unwrap();
    let (dir, link) = (home.path().join("m"), home.path().join("latest"));
    saved(&dir);
    std::os::unix::fs::symlink(&dir, &link).unwrap();
    let new = model(3, 4, 2);
    new.save(&link, &seen(&new), true).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Model::open(&dir).unwrap().factors, new.factors);
}

#[test]
fn a_model_with_a_nan_or_ragged_arrays_is_not_saved() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let good = saved(&dir);
    let refuse = |model: &Model, says: &str| {
        let message = model.save(&dir, &seen(&good), true).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
        assert_eq!(Model::open(&dir).unwrap().factors, good.factors);
        assert_eq!(names(home.path()), ["m"]);
    };
    let mut nan = good.clone();
    nan.factors[Side::Item].factors[5 * 2 + 1] = f32::NAN;
    refuse(&nan, "item factors of \"with \"quotes\"\"");
    let mut ragged = good.clone();
    ragged.user_ratings.pop();
    refuse(&ragged, "do not belong together");
}

/// Damages a copy of a saved model and returns what opening it says. Nothing binds its files together, so
/// that each has to show for itself what is wrong with it.
fn damaged(damage: impl FnOnce(&Path)) -> String {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = saved(&dir);
    let run = fs::read(dir.join("run.json")).unwrap();
    let mut run: serde_json::Value = serde_json::from_slice(&run).unwrap();
    run.as_object_mut().unwrap().remove("parts").unwrap();
    fs::write(dir.join("run.json"), serde_json::to_string_pretty(&run).unwrap() + "\n").unwrap();
    damage(&dir);
    let opened = Model::open(&dir).and_then(|_| model.open_seen(&dir).map(drop));
    opened.expect_err("damage was not noticed").to_string()
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "the edit did nothing");
    fs::write(path, changed).unwrap();
}

#[test]
fn every_missing_file_is_named() {
    for name in FILES {
        let message = damaged(|dir| fs::remove_file(dir.join(name)).unwrap());
        assert!(message.contains(name), "{message}");
        assert!(message.contains("train it again"), "{message}");
    }
}

#[test]
fn a_file_cut_short_anywhere_is_noticed() {
    for name in FILES {
        for keep in [0.0, 0.01, 0.3, 0.7, 0.99, 1.0] {
            let message = damaged(|dir| {
                let bytes = fs::read(dir.join(name)).unwrap();
                // run.json is whole without its last line end.
                let most = bytes.len() - if name == "run.json" { 2 } else { 1 };
                let cut = (bytes.len() as f64 * keep) as usize;
                let cut = cut.min(most);
                fs::write(dir.join(name), &bytes[..cut]).unwrap();
            });
            assert!(message.contains(name), "{name} at {keep}: {message}");
        }
    }
}

#[test]
fn random_damage_never_panics() {
    use rand::{RngExt, SeedableRng};
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = saved(&dir);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    for name in FILES {
        let good = fs::read(dir.join(name)).unwrap();
        for _ in 0..300 {
            let mut bad = good.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bad.len());
                bad[at] = random.random_range(0..=255);
            }
            fs::write(dir.join(name), &bad).unwrap();
            if let Ok(opened) = Model::open(&dir) {
                assert!(opened.factors[Side::User].factors.iter().all(|x| x.is_finite()));
                let _ = model.open_seen(&dir);
            }
        }
        fs::write(dir.join(name), &good).unwrap();
    }
}

#[test]
fn shapes_that_disagree_are_noticed() {
    let other = |name: &'static str| {
        damaged(|dir| {
            let other = dir.parent().unwrap().join("other");
            let model = model(19, 17, 5);
            model.save(&other, &seen(&model), false).unwrap();
            fs::copy(other.join(name), dir.join(name)).unwrap();
        })
    };
    assert!(other("model.safetensors").contains("users.csv"));
    assert!(other("users.csv").contains("19 ids for 20 rows"));
    assert!(other("seen.safetensors").contains("seen.safetensors"));
    let message = damaged(|dir| {
        let path = dir.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(9).position(|w| w == b"user_bias").unwrap();
        bytes[at..at + 9].copy_from_slice(b"user_xxxx");
        fs::write(&path, bytes).unwrap();
    });
    assert!(message.contains("no tensor \"user_bias\""), "{message}");
}

#[test]
fn numbers_that_are_not_finite_are_noticed() {
    let message = damaged(|dir| {
        let path = dir.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let end = bytes.len();
        // The last of the arrays, in order of their names, is user_factors.
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(&path, bytes).unwrap();
    });
    assert!(message.contains("user factors of \"u19\" not finite"), "{message}");
}

#[test]
fn factors_of_another_model_are_noticed() {
    let message = damaged(|dir| {
        edit(&dir.join("run.json"), |t| t.replace("\"factors\": 5", "\"factors\": 9"));
    });
    assert!(message.contains("rows of 5 factors, run.json tells of 9"), "{message}");
}

#[test]
fn damaged_ids_are_noticed_with_their_line() {
    let message = damaged(|dir| edit(&dir.join("users.csv"), |t| t.replace("14,u14,", "14,u15,")));
    assert!(message.contains("users.csv:19: id \"u15\" a second time"), "{message}");
    let message = damaged(|dir| edit(&dir.join("users.csv"), |t| t.replace("14,u14,", "15,u14,")));
    assert!(message.contains("users.csv:18: index \"15\" where 14 belongs"), "{message}");
    let message = damaged(|dir| edit(&dir.join("items.csv"), |t| t.replace("16,i16,", "16,")));
    assert!(message.contains("2 fields where index,id,ratings belong"), "{message}");
    let message = damaged(|dir| edit(&dir.join("items.csv"), |t| t.replace("index", "no")));
    assert!(message.contains("the header is index,id,ratings"), "{message}");
}

#[test]
fn a_later_format_asks_for_a_later_wgmf() {
    let message =
        damaged(|dir| edit(&dir.join("run.json"), |t| t.replace("\"format\": 1", "\"format\": 2")));
    assert!(message.contains("update wgmf"), "{message}");
}

#[test]
fn facts_of_the_training_data_come_back_and_are_checked() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let mut model = model(3, 4, 2);
    (model.facts.range, model.facts.mean) = (Some([0.5, 5.0]), Some(3.1));
    model.facts.joined[1].new = 2;
    model.save(&dir, &seen(&model), false).unwrap();
    let back = Model::open(&dir).unwrap();
    assert_eq!(back.facts, model.facts);
    assert_eq!(
        (&back.run.data["min"], &back.run.data["folded_in_items"]),
        (&0.5.into(), &2.into())
    );
    model.facts.range = Some([5.0, 0.5]);
    let message = model.save(&dir, &seen(&model), true).unwrap_err().to_string();
    assert!(message.contains("range of the ratings is 5 to 0.5"), "{message}");
    let message = damaged(|dir| {
        edit(&dir.join("run.json"), |t| t.replace("\"ratings\": 12", "\"min\": 9, \"max\": \"x\""));
    });
    assert!(message.contains("run.json") && message.contains("max is \"x\""), "{message}");
}

#[test]
fn what_is_no_model_is_said_so() {
    let home = tempfile::tempdir().unwrap();
    let message = Model::open(home.path()).unwrap_err().to_string();
    assert!(message.contains("is not a wgmf model"), "{message}");
    let file = home.path().join("ratings.csv");
    fs::write(&file, "1,2,3\n").unwrap();
    let message = Model::open(&file).unwrap_err().to_string();
    assert!(message.contains("is a file"), "{message}");
    let message = Model::open(home.path().join("nowhere")).unwrap_err().to_string();
    assert!(message.contains("nowhere"), "{message}");
}
