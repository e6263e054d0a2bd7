//! Model directories from elsewhere: changed by hand, put together from several models, made to harm. Each is
//! refused in one line that names the file, at once, whatever it claims to need; and one that is replaced
//! while it is read is read again.

use crate::fixture;
use fixture::{bayes, model, saved, seen};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wgmf::core::Side;
use wgmf::model::{Model, Seen};

const GIB: u64 = 1 << 30;

/// What is done to a directory.
type Harm = Box<dyn Fn(&Path)>;

/// A case: its name, whether the directory is one of version 0.1.0, which bound nothing together, what is
/// done to it and a part of the message.
struct Case(String, bool, Harm, &'static str);

/// Opens all there is.
fn open(dir: &Path) -> Result<(), String> {
    Model::open_whole(dir).map(drop).map_err(|e| e.to_string())
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let before: Value = Clone::clone(&document);
    change(&mut document);
    assert_ne!(document, before, "the edit did nothing");
    fs::write(path, serde_json::to_vec(&document).unwrap()).unwrap();
}

/// Makes it a directory as version 0.1.0 wrote it.
fn unbind(dir: &Path) {
    edit(&dir.join("run.json"), |run| drop(run.as_object_mut().unwrap().remove("parts")));
}

/// A tensor of a hostile file: name, type, shape and bytes, which may be fewer than the shape tells of;
/// zeros that take no place on the disk stand for the others.
type Raw<'a> = (&'a str, &'a str, &'a [u64], u64, &'a [u8]);

fn write_raw(path: &Path, tensors: &[Raw]) {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    let mut places = Vec::new();
    for (name, dtype, shape, width, bytes) in tensors {
        let start = end;
        end += shape.iter().product::<u64>() * width;
        let info = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        header.insert((*name).to_owned(), info);
        places.push((start, *bytes));
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    let begin = 8 + header.len() as u64;
    file.set_len(begin + end).unwrap();
    for (start, bytes) in places {
        use std::io::{Seek, SeekFrom};
        file.seek(SeekFrom::Start(begin + start)).unwrap();
        file.write_all(bytes).unwrap();
    }
}

fn factors(path: &Path, users: u64, items: u64, [k, l]: [u64; 2]) {
    write_raw(
        path,
        &[
            ("user_factors", "F32", &[users, k], 4, &[]),
            ("item_factors", "F32", &[items, l], 4, &[]),
            ("user_bias", "F32", &[users], 4, &[]),
            ("item_bias", "F32", &[items], 4, &[]),
            ("global_mean", "F32", &[1], 4, &[]),
        ],
    );
}

fn pairs(path: &Path, shape: [i64; 2], indptr: &[i64], indices: &[u32], length: u64) {
    write_raw(
        path,
        &[
            ("indptr", "I64", &[indptr.len() as u64], 8, bytemuck::cast_slice(indptr)),
            ("shape", "I64", &[2], 8, bytemuck::cast_slice(&shape)),
            ("indices", "U32", &[length], 4, bytemuck::cast_slice(indices)),
        ],
    );
}

/// Changes the bytes of a tensor, from its first.
fn overwrite(path: &Path, tensor: &str, with: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..start]).unwrap();
    let at = start + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    assert_ne!(&bytes[at..at + with.len()], with, "the edit did nothing");
    bytes[at..at + with.len()].copy_from_slice(with);
    fs::write(path, bytes).unwrap();
}

fn stretch(path: &Path, to: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(to).unwrap();
}

/// Puts the rows of an id table into the contrary order, numbered as before.
fn reverse(path: &Path) {
    let mut rows: Vec<csv::StringRecord> =
        csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).collect();
    rows.reverse();
    let mut out = csv::Writer::from_path(path).unwrap();
    out.write_record(["index", "id", "ratings"]).unwrap();
    for (at, row) in rows.iter().enumerate() {
        out.write_record([&at.to_string(), &row[1], &row[2]]).unwrap();
    }
    out.flush().unwrap();
}

/// A directory of the same shapes, of another run: other factors, ids and pairs.
fn other(dir: &Path) {
    if dir.exists() {
        return;
    }
    let mut model = model(20, 17, 5);
    for side in Side::BOTH {
        model.factors[side].factors.reverse();
    }
    model.users = (0..20).map(|i| format!("other {i}")).collect();
    model.items = (0..17).map(|i| format!("another {i}")).collect();
    let mut ratings = seen(&model);
    ratings.users.iter_mut().for_each(|user| *user = 19 - *user);
    model.user_ratings.reverse();
    model.objective.reg = 0.5;
    model.save(dir, &ratings, false).unwrap();
}

fn of_files(cases: &mut Vec<Case>) {
    let mut add = |name: &str, old: bool, harm: Harm, says: &'static str| {
        cases.push(Case(name.to_owned(), old, harm, says));
    };
    for name in ["users.csv", "items.csv", "model.safetensors", "seen.safetensors", "run.json"] {
        let exchange = move |dir: &Path| {
            let another = dir.parent().unwrap().join("another");
            other(&another);
            fs::copy(another.join(name), dir.join(name)).unwrap();
        };
        let says = match name {
            "run.json" => "is not the file that the model was saved with",
            _ => "by its digest in run.json",
        };
        // A record of pairs that no user has says so itself.
        let says = if name == "seen.safetensors" { "training pairs of" } else { says };
        add(&format!("{name} of another run"), false, Box::new(exchange), says);
        add(
            &format!("{name} is empty"),
            true,
            Box::new(move |dir| fs::write(dir.join(name), "").unwrap()),
            name,
        );
        add(
            &format!("{name} is a directory"),
            false,
            Box::new(move |dir| {
                fs::remove_file(dir.join(name)).unwrap();
                fs::create_dir(dir.join(name)).unwrap();
            }),
            name,
        );
        add(
            &format!("{name} of 20 GiB"),
            false,
            Box::new(move |dir| stretch(&dir.join(name), 20 * GIB)),
            name,
        );
        add(
            &format!("{name} of 20 GiB, old"),
            true,
            Box::new(move |dir| stretch(&dir.join(name), 20 * GIB)),
            name,
        );
        for part in 0..5 {
            let flip = move |dir: &Path| {
                let path = dir.join(name);
                let mut bytes = fs::read(&path).unwrap();
                let at = (bytes.len() - 2) * part / 4;
                bytes[at] ^= 1;
                fs::write(&path, bytes).unwrap();
            };
            add(&format!("a bit of {name} at {part}/4"), false, Box::new(flip), name);
        }
    }
    for name in ["users.csv", "items.csv"] {
        add(
            &format!("{name} reversed"),
            false,
            Box::new(move |dir| reverse(&dir.join(name))),
            "is not the file that the model was saved with",
        );
        for (what, from, to, says) in [
            ("another id", "9,NA,", "9,NB,", "is not the file"),
            ("another count", "10,naïve 電影 🎬,2", "10,naïve 電影 🎬,3", "is not the file"),
        ] {
            let swap = move |dir: &Path| {
                let text = fs::read_to_string(dir.join(name)).unwrap();
                assert!(text.contains(from), "{text}");
                fs::write(dir.join(name), text.replace(from, to)).unwrap();
            };
            if name == "users.csv" {
                add(&format!("{what} in {name}"), false, Box::new(swap), says);
            }
        }
        add(
            &format!("{name} of one long line"),
            true,
            Box::new(move |dir| {
                let mut text = b"index,id,ratings\n0,".to_vec();
                text.resize(40 << 20, b'x');
                fs::write(dir.join(name), text).unwrap();
            }),
            "a line of more than",
        );
    }
    add(
        "users.csv reversed, old",
        true,
        Box::new(|dir| reverse(&dir.join("users.csv"))),
        "training pairs of user",
    );
    let old_pairs = |dir: &Path| {
        let another = dir.parent().unwrap().join("another");
        other(&another);
        fs::copy(another.join("seen.safetensors"), dir.join("seen.safetensors")).unwrap();
    };
    add("pairs of another run, old", true, Box::new(old_pairs), "training pairs of user");
    #[cfg(unix)]
    add(
        "a link to nothing",
        false,
        Box::new(|dir| {
            fs::remove_file(dir.join("items.csv")).unwrap();
            std::os::unix::fs::symlink("nowhere", dir.join("items.csv")).unwrap();
        }),
        "items.csv is no file",
    );
}

fn of_the_record(cases: &mut Vec<Case>) {
    type Change = fn(&mut Value);
    let changes: [(&str, Change, &str); 35] = [
        ("no settings", |r| drop(r.as_object_mut().unwrap().remove("settings")), "settings"),
        ("empty settings", |r| r["settings"] = json!({}), "settings: missing field"),
        ("settings that are a list", |r| r["settings"] = json!([1]), "settings"),
        ("no reg", |r| drop(r["settings"].as_object_mut().unwrap().remove("reg")), "`reg`"),
        ("no bias", |r| drop(r["settings"].as_object_mut().unwrap().remove("bias")), "`bias`"),
        ("reg below 0", |r| r["settings"]["reg"] = json!(-1), "reg is -1"),
        ("reg in words", |r| r["settings"]["reg"] = json!("much"), "settings"),
        ("reg_bias below 0", |r| r["settings"]["reg_bias"] = json!(-0.1), "reg_bias is -0.1"),
        ("reg_exponent 9", |r| r["settings"]["reg_exponent"] = json!(9), "reg_exponent is 9"),
        ("a likelihood", |r| r["settings"]["likelihood"] = json!("probit"), "a likelihood"),
        ("another likelihood", |r| r["settings"]["likelihood"] = json!("magic"), "settings"),
        ("nonnegative with biases", |r| r["settings"]["nonnegative"] = json!(true), "biases"),
        ("alpha", |r| r["settings"]["alpha"] = json!(3), "alpha with solver als"),
        ("unobserved", |r| r["settings"]["unobserved_weight"] = json!(1), "unobserved_weight"),
        ("solver magic", |r| r["solver"] = json!("magic"), "magic"),
        ("no solver", |r| drop(r.as_object_mut().unwrap().remove("solver")), "solver"),
        ("two solvers", |r| r["settings"]["solver"] = json!("ials"), "solver \"ials\""),
        ("two losses", |r| r["settings"]["loss"] = json!("logistic"), "loss \"logistic\""),
        ("loss magic", |r| r["loss"] = json!("magic"), "magic"),
        (
            "logistic als",
            |r| {
                (r["loss"], r["settings"]["loss"]) = (json!("logistic"), json!("logistic"));
            },
            "loss logistic with solver als",
        ),
        (
            "deviation 0",
            |r| {
                r["transform"] = json!([{ "kind": "zscore", "mean": 3, "std": 0 }]);
            },
            "zscore",
        ),
        (
            "deviation -1",
            |r| {
                r["transform"] = json!([{ "kind": "zscore", "mean": 3, "std": -1.0 }]);
            },
            "zscore",
        ),
        (
            "no deviation",
            |r| {
                r["transform"] = json!([{ "kind": "zscore", "mean": 3, "std": null }]);
            },
            "run.json",
        ),
        (
            "no range",
            |r| {
                r["transform"] = json!([{ "kind": "minmax", "min": 3, "max": 3 }]);
            },
            "minmax",
        ),
        ("a transform by magic", |r| r["transform"] = json!([{ "kind": "magic" }]), "magic"),
        ("a later format", |r| r["format"] = json!(2), "update wgmf"),
        ("no format", |r| drop(r.as_object_mut().unwrap().remove("format")), "format"),
        ("factors 9", |r| r["settings"]["factors"] = json!(9), "rows of 5 factors"),
        (
            "a range that ends before it begins",
            |r| {
                r["data"] = json!({ "min": 5, "max": 1 });
            },
            "range of the ratings",
        ),
        (
            "a column beyond any line",
            |r| {
                let form = json!({
                    "file": "plays.csv", "compression": null, "encoding": "utf-8", "format": "triples",
                    "delimiter": ",", "quotes": "auto", "header": null, "fields": 3,
                    "columns": [0, u64::MAX, 2, null], "ratings": 3, "doubts": []
                });
                r["data"] = json!({ "reading": { "form": form } });
            },
            "is one that no line has",
        ),
        ("a mean in words", |r| r["data"] = json!({ "mean": "x" }), "mean is \"x\""),
        ("fewer than no users", |r| r["data"]["folded_in_users"] = json!(-1), "folded_in_users"),
        ("a history of one", |r| r["history"] = json!(1), "run.json"),
        ("epochs below 0", |r| r["epochs"] = json!(-1), "run.json"),
        ("a seed in words", |r| r["seed"] = json!("x"), "run.json"),
    ];
    for (name, change, says) in changes {
        let harm = move |dir: &Path| edit(&dir.join("run.json"), change);
        cases.push(Case(format!("{name}, old"), true, Box::new(harm), says));
    }
    // What could be, but is not what was saved.
    let changes: [(&str, Change, &str); 11] = [
        ("another reg", |r| r["settings"]["reg"] = json!(0.5), "says something else"),
        ("another mean", |r| r["data"]["mean"] = json!(2.0), "says something else"),
        (
            "another solver",
            |r| {
                (r["solver"], r["settings"]["solver"]) = (json!("sgd"), json!("sgd"));
            },
            "says something else",
        ),
        ("another seed", |r| r["seed"] = json!(1), "says something else"),
        ("a transform", |r| r["transform"] = json!([{ "kind": "log1p" }]), "says something else"),
        ("no digests", |r| r["parts"] = json!({}), "says something else"),
        ("parts in a list", |r| r["parts"] = json!([1]), "run.json"),
        (
            "a part less",
            |r| {
                drop(r["parts"].as_object_mut().unwrap().remove("users.csv"));
            },
            "says something else",
        ),
        ("another length", |r| r["parts"]["users.csv"]["bytes"] = json!(7), "says something else"),
        (
            "no digest of its own",
            |r| {
                drop(r["parts"].as_object_mut().unwrap().remove("run.json"));
            },
            "says something else",
        ),
        ("a part of more", |r| r["parts"]["users.csv"]["x"] = json!(7), "run.json"),
    ];
    for (name, change, says) in changes {
        let harm = move |dir: &Path| edit(&dir.join("run.json"), change);
        cases.push(Case(name.to_owned(), false, Box::new(harm), says));
    }
    for (name, text) in [
        ("a list", "[1, 2]".to_owned()),
        ("not UTF-8 after all", "{\"format\": 1, \"\u{fffd}".to_owned()),
        ("a deep nest", "[".repeat(100_000)),
        ("a number too large", "{\"format\": 1e999}".to_owned()),
    ] {
        let harm = move |dir: &Path| fs::write(dir.join("run.json"), &text).unwrap();
        cases.push(Case(format!("{name} for a record"), false, Box::new(harm), "run.json"));
    }
}

fn of_tensors(cases: &mut Vec<Case>) {
    let mut add = |name: &str, harm: fn(&Path), says: &'static str| {
        cases.push(Case(name.to_owned(), true, Box::new(harm), says));
    };
    const MODEL: &str = "model.safetensors";
    const SEEN: &str = "seen.safetensors";
    add(
        "factors for 300 million users",
        |d| factors(&d.join(MODEL), 300 << 20, 17, [5; 2]),
        "users.csv: is cut short",
    );
    add(
        "factors for as many items",
        |d| factors(&d.join(MODEL), 20, 300 << 20, [5; 2]),
        "items.csv: is cut short",
    );
    add(
        "rows of 70 million factors",
        |d| factors(&d.join(MODEL), 20, 17, [70 << 20; 2]),
        "run.json tells of 5",
    );
    add(
        "rows of two lengths",
        |d| factors(&d.join(MODEL), 20, 17, [5, 70 << 20]),
        "\"item_factors\"",
    );
    add(
        "nobody told of so many factors",
        |d| {
            edit(&d.join("run.json"), |r| {
                drop(r["settings"].as_object_mut().unwrap().remove("factors"));
            });
            factors(&d.join(MODEL), 20, 17, [70 << 20; 2]);
        },
        "does not tell",
    );
    add(
        "a header of 90 MB",
        |d| {
            let mut file = File::create(d.join(MODEL)).unwrap();
            file.write_all(&(90_u64 << 20).to_le_bytes()).unwrap();
            file.set_len(100 << 20).unwrap();
        },
        "is not a safetensors file",
    );
    add(
        "a header without end",
        |d| {
            fs::write(d.join(MODEL), [0xff; 64]).unwrap();
        },
        "is not a safetensors file",
    );
    add(
        "offsets that wrap around",
        |d| {
            let header = r#"{"user_factors":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,16]}}"#;
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend([0; 16]);
            fs::write(d.join(MODEL), bytes).unwrap();
        },
        "is not a safetensors file",
    );
    add(
        "an infinite bias",
        |d| overwrite(&d.join(MODEL), "item_bias", &f32::INFINITY.to_le_bytes()),
        "item bias of \"plain\"",
    );
    add(
        "a mean that is none",
        |d| overwrite(&d.join(MODEL), "global_mean", &f32::NAN.to_le_bytes()),
        "mean is not finite",
    );
    add(
        "pairs of fewer than no users",
        |d| pairs(&d.join(SEEN), [-1, 17], &[0], &[], 0),
        "for -1 users",
    );
    add(
        "pairs of all users there could be",
        |d| pairs(&d.join(SEEN), [i64::MAX, 17], &[0], &[], 0),
        "for 9223372036854775807 users",
    );
    add(
        "a billion pairs",
        |d| {
            pairs(&d.join(SEEN), [20, 17], &[0; 21], &[], 1 << 30);
        },
        "holds 1073741824 training pairs",
    );
    add(
        "pairs of fewer users than told",
        |d| pairs(&d.join(SEEN), [20, 17], &[0; 5], &[], 0),
        "\"indptr\"",
    );
    add(
        "pairs that go back",
        |d| {
            let mut indptr = [2; 21];
            (indptr[0], indptr[1]) = (0, 3);
            pairs(&d.join(SEEN), [20, 17], &indptr, &[0, 1], 2);
        },
        "\"indptr\" is not in order",
    );
    add(
        "pairs of items that there are not",
        |d| {
            let mut indptr = [2; 21];
            indptr[0] = 0;
            pairs(&d.join(SEEN), [20, 17], &indptr, &[3, 17], 2);
        },
        "\"indices\" are not sorted",
    );
    add(
        "pairs in another order",
        |d| {
            let mut indptr = [2; 21];
            indptr[0] = 0;
            pairs(&d.join(SEEN), [20, 17], &indptr, &[3, 1], 2);
        },
        "\"indices\" are not sorted",
    );
    add(
        "too few pairs",
        |d| {
            let mut indptr = [1; 21];
            indptr[0] = 0;
            pairs(&d.join(SEEN), [20, 17], &indptr, &[3], 1);
        },
        "training pairs of user",
    );
    add(
        "a value that is none",
        |d| overwrite(&d.join(SEEN), "values", &f32::NAN.to_le_bytes()),
        "\"values\"",
    );
}

fn of_samples(cases: &mut Vec<Case>) {
    const SAMPLES: &str = "samples.safetensors";
    let mut add = |name: &str, old: bool, harm: Harm, says: &'static str| {
        cases.push(Case(name.to_owned(), old, harm, says));
    };
    for (tensor, bytes, says) in [
        ("noise_precision", 1e-320_f64.to_le_bytes(), "\"noise_precision\" of sample 0"),
        ("noise_precision", 0.0_f64.to_le_bytes(), "\"noise_precision\" of sample 0"),
        ("noise_precision", f64::NAN.to_le_bytes(), "\"noise_precision\" of sample 0"),
        ("noise_shape", (-1.0_f64).to_le_bytes(), "\"noise_shape\" of sample 0"),
        ("popularity", f64::INFINITY.to_le_bytes(), "\"popularity\""),
        ("user_prior_precision", (-9.0_f64).to_le_bytes(), "not positive definite"),
        ("item_prior_mean", f64::NAN.to_le_bytes(), "\"item_prior_mean\""),
    ] {
        let harm = move |dir: &Path| overwrite(&dir.join(SAMPLES), tensor, &bytes);
        add(&format!("{tensor} {bytes:?}"), true, Box::new(harm), says);
    }
    let weight =
        |dir: &Path| overwrite(&dir.join(SAMPLES), "noise_weights", &(-1_f32).to_le_bytes());
    add("a weight below 0", true, Box::new(weight), "\"noise_weights\" of sample 0");
    let checksum = |dir: &Path| overwrite(&dir.join(SAMPLES), "model_checksum", &[1, 2, 3, 4]);
    add("samples of another model, old", true, Box::new(checksum), "samples of another model");
    let bit = |dir: &Path| overwrite(&dir.join(SAMPLES), "item_bias", &0.25_f32.to_le_bytes());
    add("samples of another run", false, Box::new(bit), "is not the file");
    let sparse = |dir: &Path| stretch(&dir.join(SAMPLES), 20 * GIB);
    add("samples of 20 GiB", false, Box::new(sparse), SAMPLES);
    add("samples of 20 GiB, old", true, Box::new(sparse), SAMPLES);
    add("no samples", false, Box::new(|dir| fs::remove_file(dir.join(SAMPLES)).unwrap()), SAMPLES);
}

#[test]
fn what_is_no_whole_model_is_refused_at_once_in_one_line() {
    let home = tempfile::tempdir().unwrap();
    let (plain, bayesian) = (home.path().join("plain"), home.path().join("bayesian"));
    saved(&plain);
    let (model, samples) = bayes::bayes(&[]);
    bayes::save(&model, &samples, &bayesian);
    let (mut cases, mut of_bayes) = (Vec::new(), Vec::new());
    of_files(&mut cases);
    of_the_record(&mut cases);
    of_tensors(&mut cases);
    of_samples(&mut of_bayes);
    assert!(cases.len() + of_bayes.len() >= 110, "{} cases", cases.len() + of_bayes.len());
    for (good, cases) in [(&plain, cases), (&bayesian, of_bayes)] {
        open(good).unwrap();
        for Case(name, old, harm, says) in cases {
            let dir = home.path().join("bad");
            fs::create_dir(&dir).unwrap();
            for entry in fs::read_dir(good).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
            }
            if old {
                unbind(&dir);
                open(&dir).unwrap();
            }
            harm(&dir);
            let clock = Instant::now();
            let message = open(&dir).expect_err(&name);
            let took = clock.elapsed();
            assert!(message.contains(says), "{name}: {message}");
            assert!(message.contains("bad"), "{name}: {message}");
            assert!(!message.contains('\n') && message.len() < 400, "{name}: {message}");
            // A whole read of 20 GiB takes longer on any machine.
            assert!(took < Duration::from_secs(5), "{name}: {took:?}");
            fs::remove_dir_all(&dir).unwrap();
        }
    }
}

#[test]
fn a_model_that_binds_nothing_opens_and_a_record_may_be_written_anew() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = saved(&dir);
    let run = dir.join("run.json");
    let text = fs::read_to_string(&run).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        document["parts"]["users.csv"]["bytes"],
        fs::metadata(dir.join("users.csv")).unwrap().len()
    );
    // Other blanks and another order say the same.
    let sorted: std::collections::BTreeMap<_, _> = document.as_object().unwrap().iter().collect();
    fs::write(&run, serde_json::to_string(&sorted).unwrap()).unwrap();
    open(&dir).unwrap();
    // What the refusal says to do, helps.
    edit(&run, |run| run["settings"]["reg"] = json!(0.125));
    assert!(open(&dir).unwrap_err().contains("take \"parts\" out of run.json"));
    unbind(&dir);
    open(&dir).unwrap();
    let changed = Model::open(&dir).unwrap();
    assert_eq!((changed.objective.reg, &changed.factors), (0.125, &model.factors));
    assert!(changed.run.parts.is_empty());
    // Nothing but the training pairs says then how many ratings there are.
    let items = fs::read_to_string(dir.join("items.csv")).unwrap();
    let (line, count) = items.lines().nth(1).unwrap().rsplit_once(',').unwrap();
    let more = format!("{line},{}", count.parse::<u32>().unwrap() + 1);
    fs::write(dir.join("items.csv"), items.replacen(&format!("{line},{count}"), &more, 1)).unwrap();
    let message = Model::open(&dir).unwrap_err().to_string();
    assert!(message.contains("training pairs of item"), "{message}");
    fs::write(dir.join("items.csv"), &items).unwrap();
    #[cfg(unix)]
    {
        fs::rename(dir.join("items.csv"), dir.join("i.csv")).unwrap();
        std::os::unix::fs::symlink("nowhere.csv", dir.join("items.csv")).unwrap();
        let message = Model::open(&dir).unwrap_err().to_string();
        assert!(message.contains("items.csv is no file (a link to nowhere"), "{message}");
        fs::remove_file(dir.join("items.csv")).unwrap();
        fs::rename(dir.join("i.csv"), dir.join("items.csv")).unwrap();
    }
    // Saved again, it is bound again.
    let seen = changed.open_seen(&dir).unwrap();
    changed.save_with(&dir, &seen, None, true).unwrap();
    assert_eq!(Model::open(&dir).unwrap().run.parts.len(), 5);
}

#[test]
fn a_model_is_saved_only_with_pairs_that_its_counts_allow() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let mut model = model(20, 17, 5);
    let pairs = Seen::new(&seen(&model), 20, 17).unwrap();
    model.item_ratings.fill(0);
    let message = model.save_with(&dir, &pairs, None, false).unwrap_err().to_string();
    assert!(message.contains("training pairs of item \"plain\""), "{message}");
    assert!(!dir.exists());
}

#[test]
fn who_opens_a_model_that_is_replaced_gets_one_or_the_other() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let one = saved(&dir);
    let mut two = model(20, 17, 5);
    two.factors[Side::User].factors.reverse();
    let mut ratings = seen(&two);
    ratings.values.iter_mut().for_each(|value| *value += 1.0);
    let done = AtomicBool::new(false);
    let opened = std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..40 {
                match turn % 2 {
                    0 => two.save(&dir, &ratings, true).unwrap(),
                    _ => one.save(&dir, &seen(&one), true).unwrap(),
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut opened = [0; 2];
        while !done.load(Ordering::Relaxed) {
            let (model, _, pairs) = Model::open_whole(&dir).unwrap();
            let is_two = model.factors == two.factors;
            assert!(is_two || model.factors == one.factors);
            let first = if is_two { ratings.values[0] } else { ratings.values[0] - 1.0 };
            let user = ratings.users[0];
            let at = pairs.items_of(user).binary_search(&ratings.items[0]).unwrap();
            assert_eq!(pairs.values_of(user).unwrap()[at], first);
            opened[usize::from(is_two)] += 1;
        }
        opened
    });
    assert!(opened[0] + opened[1] > 0);
}
