//! Model directories of every solver, one file of which is from elsewhere: as it is (what binds the files
//! together then says so), with nothing that binds them, or bound anew, so that whatever reads the file
//! has to judge it by itself.

use super::{Target, cpu, finite, finite_text, head, home, taken, write};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use wgmf::core::{Loss, Options, Side, Solver, TransformKind};
use wgmf::data::{ReadOptions, read};
use wgmf::model::{Format, Model, Samples, Seen, export};
use wgmf::recommend::Explainer;
use wgmf::{Dataset, Trained, fit};

pub const TARGET: Target =
    Target { name: "model", run: model, seeds, head: HEAD, words: &WORDS, share: 200 };

const HEAD: usize = 3;

const WORDS: [&str; 40] = [
    "\"F32\"",
    "\"F64\"",
    "\"F16\"",
    "\"I64\"",
    "\"U32\"",
    "\"BF16\"",
    "\"shape\":[",
    "\"data_offsets\":[",
    "user_factors",
    "item_factors",
    "user_bias",
    "global_mean",
    "user_typical",
    "indptr",
    "indices",
    "values",
    "shape",
    "0,a,1\n",
    "index,id,ratings\n",
    "\"",
    "\"\"",
    "\r\n",
    "\n",
    ",",
    "\0",
    "null",
    "true",
    "-1",
    "1e999",
    "NaN",
    "{}",
    "[]",
    "\"als\"",
    "\"bayes\"",
    "\"ials\"",
    "\"log1p\"",
    "\"zscore\"",
    "\"parts\":{},",
    "\"kind\":",
    "\"probit\"",
];

/// Files that may be read as that of training was.
const LIKE: [&str; 3] = [
    "user,item,rating,time\nu0,i 0,4,100\nu1,i 1,2,200\n",
    "i 0\tu0\t3\ni 1\tu1\t2.5\n",
    "{\"user\":\"u0\",\"item\":\"i 0\",\"rating\":2}\n",
];

/// The files of a directory.
type Files = BTreeMap<String, Vec<u8>>;

pub fn dataset() -> Dataset {
    let rows: Vec<u32> = (0..48).collect();
    let users: Vec<String> = rows.iter().map(|j| format!("u{}", j % 7)).collect();
    let items: Vec<String> = rows.iter().map(|j| format!("i {}", j / 7)).collect();
    let values: Vec<f32> = rows.iter().map(|j| ((j * j + j) % 5 + 1) as f32).collect();
    Dataset::from_triples(&users, &items, &values).expect("a dataset")
}

/// Directories as training leaves them.
fn bases() -> &'static [Files] {
    static BASES: OnceLock<Vec<Files>> = OnceLock::new();
    BASES.get_or_init(|| {
        let bayes = Options::of(Solver::Bayes).factors(2).samples(3).burn_in(1);
        let ordinal =
            Options { likelihood: Some(wgmf::core::Likelihood::Ordinal), ..bayes.clone() };
        let short = |solver| Options::of(solver).factors(2).epochs(1);
        let logistic = Options { loss: Some(Loss::Logistic), ..short(Solver::Sgd) };
        let scaled = [TransformKind::Log1p, TransformKind::ZScore];
        let binary = dataset().transformed(&[TransformKind::Binary]).with_threshold(3.0);
        let cases = [
            (dataset(), short(Solver::Als)),
            (dataset(), bayes),
            (dataset().transformed(&scaled), Options { clip: true, ..short(Solver::Adam) }),
            (dataset(), short(Solver::Ials)),
            (binary.expect("a dataset"), logistic),
            (dataset(), ordinal),
            (dataset().transformed(&[TransformKind::MinMax]), short(Solver::Adagrad)),
        ];
        cases.iter().map(|(ratings, options)| saved(ratings, options)).collect()
    })
}

fn saved(ratings: &Dataset, options: &Options) -> Files {
    let home = home();
    let dir = home.path().join("m");
    let trained = fit(ratings, options, cpu()).expect("a model");
    let (mut model, samples, seen) = trained.into_parts();
    // As if it had been a file.
    let file = write(home.path().join("plays.csv"), LIKE[0].as_bytes());
    let table = read(&[file], &ReadOptions::default(), &()).expect("a table");
    model.run.data["reading"] = json!({ "form": table.forms[0], "asked": ReadOptions::default() });
    model.save_with(&dir, &seen, samples.as_ref(), false).expect("a directory");
    let entries = std::fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("a file"));
    let read = |path| std::fs::read(path).expect("a file");
    entries.map(|e| (e.file_name().to_string_lossy().into_owned(), read(e.path()))).collect()
}

pub fn model(data: &[u8]) {
    let (head, body) = head::<HEAD>(data);
    let mut files = bases()[usize::from(head[0]) % bases().len()].clone();
    let at = usize::from(head[1]) % files.len();
    let name = files.keys().nth(at).expect("a file").clone();
    files.insert(name.clone(), body.to_owned());
    match head[2] % 3 {
        0 => bind_anew(&mut files, &name),
        1 => unbind(&mut files),
        _ => {}
    }
    let home = home();
    let dir = home.path().join("m");
    std::fs::create_dir(&dir).expect("a directory");
    for (name, bytes) in &files {
        write(dir.join(name), bytes);
    }
    let Ok((model, samples, seen)) = Model::open_whole(&dir) else { return };
    taken();
    if let Some(reading) = model.run.reading() {
        let like = ReadOptions { like: Some(Box::new(reading)), ..ReadOptions::default() };
        for text in LIKE {
            let file = write(home.path().join("like.csv"), text.as_bytes());
            if let Ok(table) = read(&[file], &like, &()) {
                finite("ratings", table.ratings.values.iter().copied().map(f64::from));
            }
        }
    }
    // Not every time: what takes the most is to write files.
    if data.len().is_multiple_of(8) {
        let formats = [Format::Csv, Format::Tsv, Format::Npy, Format::Word2vec, Format::Projector];
        for format in formats {
            let _ = export(&model, format, home.path().join("out"), true, &());
        }
    }
    uses(model, samples, seen);
}

/// Everything that a command does with a model gives finite numbers, or an error.
pub fn uses(model: Model, samples: Option<Samples>, seen: Seen) {
    let users = [model.users.name(0).to_owned(), "nobody".to_owned()];
    let items = [model.items.name(0).to_owned(), "nothing".to_owned()];
    finite("facts", model.facts.range.into_iter().flatten());
    if let (Ok(explainer), Some(values)) = (Explainer::new(&model), seen.values_of(0))
        && let Ok(explained) = explainer.solve(0, seen.items_of(0), values, seen.weights_of(0))
    {
        let explanation = explained.score(0);
        finite("a score that is explained", [explanation.score, explanation.base]);
        finite("parts of a score", explanation.parts.iter().map(|part| part.1));
    }
    let rows = [model.users.len(), model.items.len()];
    let Ok(trained) = Trained::from_parts(model, samples, seen, cpu()) else { return };
    asks(&trained, &users, &items);
    // Strangers, by what they rated.
    let known = &items[0];
    let new = [("zoe", known), ("zoe", &items[1]), ("yan", known)];
    let (of, rated): (Vec<_>, Vec<_>) = new.into_iter().unzip();
    let Ok(new) = Dataset::from_triples(&of, &rated, &[3.0, 4.0, 1.0]) else { return };
    if let Ok(lists) = trained.recommend_for(&new, 3) {
        let scores = lists.iter().flat_map(|(_, list)| list).map(|listed| listed.score);
        finite("scores of new users", scores);
    }
    if let Ok(folded) = trained.fold_in(&new) {
        let model = folded.trained.model();
        let side = &model.factors[Side::User];
        let numbers = side.factors.iter().chain(&side.bias).copied().map(f64::from);
        finite("rows that were folded in", numbers);
        assert_eq!([model.users.len(), model.items.len()], [rows[0] + folded.new.len(), rows[1]]);
        asks(&folded.trained, &["zoe".to_owned(), "nobody".to_owned()], &items);
    }
    let own = [users[0].as_str(), "nobody"].map(str::to_owned);
    let Ok(test) = Dataset::from_triples(&own, &items, &[3.0, 1.0]) else { return };
    if let Ok(evaluation) = trained.evaluate(&test) {
        finite_text("evaluate", &evaluation.to_string());
    }
}

fn asks(trained: &Trained, users: &[String; 2], items: &[String; 2]) {
    for user in users {
        for item in items {
            if let Ok(prediction) = trained.predict(user, item) {
                finite(&format!("prediction of {user:?} and {item:?}"), [prediction]);
            }
        }
    }
    if let Ok(list) = trained.recommend(&users[0], 3) {
        finite("scores of a list", list.iter().map(|listed| listed.score));
    }
    let similar = [trained.similar_items(&items[0], 3), trained.similar_users(&users[0], 3)];
    for list in similar.into_iter().flatten() {
        finite("scores of what is similar", list.iter().map(|listed| listed.score));
    }
}

fn unbind(files: &mut Files) {
    if let Ok(Value::Object(mut run)) = serde_json::from_slice(&files["run.json"]) {
        run.remove("parts");
        files.insert("run.json".to_owned(), Value::Object(run).to_string().into_bytes());
    }
}

/// Gives `name` the length and the digest that it has, and the record its own, as README.md tells of them.
fn bind_anew(files: &mut Files, name: &str) {
    let Ok(mut run) = serde_json::from_slice::<Value>(&files["run.json"]) else { return };
    let hex = |bytes: &[u8]| format!("{:032x}", twox_hash::XxHash3_128::oneshot(bytes));
    let Some(parts) = run.get_mut("parts").and_then(Value::as_object_mut) else { return };
    if name != "run.json" {
        let bytes = &files[name];
        let part = json!({ "bytes": bytes.len(), "xxh128": hex(bytes) });
        parts.insert(name.to_owned(), part);
    }
    parts.remove("run.json");
    let own = hex(canonical(&run).as_bytes());
    run["parts"]["run.json"] = json!({ "xxh128": own });
    files.insert("run.json".to_owned(), run.to_string().into_bytes());
}

/// What a record says, in one way.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            let inner = sorted.iter().map(|(key, value)| format!("{key:?}:{},", canonical(value)));
            format!("{{{}}}", inner.collect::<String>())
        }
        Value::Array(list) => {
            let inner = list.iter().map(|value| canonical(value) + ",");
            format!("[{}]", inner.collect::<String>())
        }
        Value::String(text) => format!("{text:?}"),
        Value::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() && x.fract() == 0.0 && x.abs() < 1e15 => {
                (x as i64).to_string()
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (base, files) in (0..).zip(bases()) {
        for (at, bytes) in (0..).zip(files.values()) {
            seeds.push([&[base, at, 0], &bytes[..]].concat());
        }
    }
    seeds
}

/// Whether what this binds anew opens: else nothing behind the digests is reached.
pub fn binds() -> bool {
    bases().iter().all(|base| {
        // Another seed is told of, and what was said is sealed again; without that it is refused.
        let opens = |sealed: bool| {
            let mut files = base.clone();
            let mut run: Value = serde_json::from_slice(&files["run.json"]).expect("a record");
            run["seed"] = json!(17);
            files.insert("run.json".to_owned(), run.to_string().into_bytes());
            // A sign of a factor, in a model of which no samples tell.
            let bayesian = files.contains_key("samples.safetensors");
            if sealed && !bayesian {
                let factors = files.get_mut("model.safetensors").expect("a file");
                *factors.last_mut().expect("a byte") ^= 0x80;
                bind_anew(&mut files, "model.safetensors");
            } else if sealed {
                bind_anew(&mut files, "run.json");
            }
            let home = home();
            for (name, bytes) in &files {
                write(home.path().join(name), bytes);
            }
            Model::open_whole(home.path()).is_ok()
        };
        opens(true) && !opens(false)
    })
}
