//! Files of ratings in every format, packed or not, alone or as a set, with options or without.

use super::{Target, finite, head, home, taken, write};
use std::io::Write;
use std::path::{Path, PathBuf};
use wgmf::Dataset;
use wgmf::core::Side;
use wgmf::data::{
    BadRows, Decimal, Duplicates, Format, Header, Inspection, Quotes, ReadOptions, SplitOptions,
    Table, read, read_pairs, split,
};

pub const TARGET: Target =
    Target { name: "reader", run: reader, seeds, head: HEAD, words: &WORDS, share: 500 };

const HEAD: usize = 12;

/// Between files of a set.
const NEXT: u8 = 0x1e;

const WORDS: [&str; 64] = [
    "\"",
    "\"\"",
    "\",\"",
    ",",
    "::",
    ";",
    "|",
    "\t",
    " ",
    "  ",
    "\r",
    "\r\n",
    "\n",
    "\n\n",
    "\0",
    "\u{feff}",
    "#",
    "% ",
    "sep=;\n",
    "sep=,\r\n",
    "%%MatrixMarket matrix coordinate real general\n",
    "%%MatrixMarket matrix coordinate pattern general\n",
    "{",
    "}",
    "[",
    "]",
    "{\"user\":",
    "[\"a\",\"x\",1]\n",
    "null",
    "true",
    "false",
    "\\u0000",
    "\\ud800",
    "\\",
    "user,item,rating\n",
    "user\titem\n",
    "user_id:token\titem_id:token\trating:float\n",
    "timestamp",
    "2021-03-03",
    "2021-03-03T10:00:00+25:00",
    "-0001-01-01",
    "9999999999999999999",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "-1e-999",
    "1e38",
    "3.5e38",
    "0x10",
    "١٢",
    "4,5",
    "1:1",
    "(0,5)",
    "1:1 2:2",
    "é",
    "\u{1f3b5}",
    "\u{85}",
    "<html>",
    "PAR1",
    "version https://git-lfs",
    "PK\u{3}\u{4}",
    "-",
    "\u{1e}",
];

pub fn reader(data: &[u8]) {
    let (head, body) = head::<HEAD>(data);
    let home = home();
    let parts: Vec<&[u8]> = match head[0] & 1 {
        0 => vec![body],
        _ => body.split(|&byte| byte == NEXT).take(6).collect(),
    };
    let inputs = home.path().join("in");
    std::fs::create_dir(&inputs).expect("a directory");
    let mut paths: Vec<PathBuf> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        paths.push(write(inputs.join(format!("f{at}.csv")), &packed(part, head[1])));
    }
    if head[0] & 2 != 0 {
        paths = vec![inputs];
    } else if head[0] & 4 != 0 {
        paths = vec![inputs.join("f*.csv")];
    }
    let options = options(&head);
    let pairs = read_pairs(&paths, &options, &());
    if let Ok(pairs) = &pairs {
        holds(pairs);
    }
    let Ok(table) = read(&paths, &options, &()) else { return };
    taken();
    holds(&table);
    if let Ok(inspection) = Inspection::new(&table, 3) {
        let text = serde_json::to_string(&inspection).expect("an inspection can be written");
        assert!(!text.is_empty());
        super::finite_text("inspect", &format!("{:?}", inspection.values));
    }
    round_trip(&table, home.path().join("again.csv"));
    if data.len().is_multiple_of(8) {
        splits(&paths, &options, table.ratings.len(), &home.path().join("parts"));
    }
    let policy = match head[11] % 4 {
        0 => Duplicates::Last,
        1 => Duplicates::Mean,
        2 => Duplicates::Sum,
        _ => Duplicates::Error,
    };
    let Ok(dataset) = Dataset::from_table(table, policy) else { return };
    finite("ratings of a dataset", dataset.ratings().values.iter().copied().map(f64::from));
    if let Ok(prepared) = dataset.prepare(None) {
        finite("prepared ratings", prepared.train.values.iter().copied().map(f64::from));
    }
}

/// What is true of every table that was read.
fn holds(table: &Table) {
    let ratings = &table.ratings;
    assert!(!ratings.is_empty(), "a table without ratings");
    finite("ratings", ratings.values.iter().copied().map(f64::from));
    for side in Side::BOTH {
        let (ids, rows) = match side {
            Side::User => (&table.users, &ratings.users),
            Side::Item => (&table.items, &ratings.items),
        };
        assert_eq!(rows.len(), ratings.len());
        assert!(rows.iter().all(|&row| (row as usize) < ids.len()), "a row without an id");
        assert!(ids.iter().all(|id| (1..=65536).contains(&id.len())), "an id of no or much text");
    }
    assert!(matches!(ratings.timestamps.len(), 0) || ratings.timestamps.len() == ratings.len());
    assert_eq!(table.forms.len(), table.recognised.len());
    assert_eq!(table.forms.iter().map(|form| form.ratings).sum::<usize>(), ratings.len());
    let (file, line) = table.origin(ratings.len() - 1);
    assert!(line >= 1 && !file.is_empty());
}

/// What was read, written by another's writer of CSV, is read again as it was. Behind another column: byte
/// order marks at the beginning of a line are none of an id.
fn round_trip(table: &Table, path: PathBuf) {
    let mut out = csv::Writer::from_path(&path).expect("a file for a case");
    out.write_record(["row", "user", "item", "rating"]).expect("a line");
    for (user, item, value) in table.ratings.iter() {
        let record = ["", table.users.name(user), table.items.name(item), &value.to_string()];
        out.write_record(record).expect("a line");
    }
    out.flush().expect("a file");
    let options = ReadOptions {
        columns: Some("2,3,4".into()),
        delimiter: Some("comma".parse().expect("a delimiter")),
        header: Header::Yes,
        format: Format::Triples,
        quotes: Quotes::Yes,
        encoding: Some("utf-8".parse().expect("an encoding")),
        ..ReadOptions::default()
    };
    let again = read(&[path], &options, &()).expect("what was written can be read");
    assert_eq!(again.ratings.values, table.ratings.values, "other ratings");
    for (at, (user, item, _)) in table.ratings.iter().enumerate() {
        let (users, items) = (again.ratings.users[at], again.ratings.items[at]);
        assert_eq!(again.users.name(users), table.users.name(user), "another user");
        assert_eq!(again.items.name(items), table.items.name(item), "another item");
    }
}

/// A split's parts hold all lines, each once.
fn splits(paths: &[PathBuf], options: &ReadOptions, ratings: usize, out: &Path) {
    let options = SplitOptions { read: options.clone(), holdout: Some(0.5), ..Default::default() };
    let Ok(facts) = split(paths, &options, out, false, &()) else { return };
    assert_eq!(facts.ratings, ratings, "a split reads otherwise");
    for part in &facts.parts {
        assert_eq!(part.train_ratings + part.test_ratings, ratings, "a split loses lines");
        assert!(part.train.is_file() && part.test.is_file());
    }
}

fn packed(bytes: &[u8], how: u8) -> Vec<u8> {
    match how % 16 {
        1 => gzip(bytes),
        2 => zstd::encode_all(bytes, 1).expect("packed"),
        3 => {
            let mut packed = gzip(bytes);
            packed.truncate(packed.len() * usize::from(how / 16) / 16);
            packed
        }
        4 => {
            let mut packed = zstd::encode_all(bytes, 1).expect("packed");
            packed.truncate(packed.len() * usize::from(how / 16) / 16);
            packed
        }
        // A bit of the packed bytes, and two packed parts one after another.
        5 => {
            let mut packed = gzip(bytes);
            let at = packed.len() * usize::from(how / 16) / 16;
            packed[at] ^= 1;
            packed
        }
        6 => [gzip(bytes), gzip(bytes)].concat(),
        7 => bytes.iter().flat_map(|&byte| [byte, 0]).collect(),
        8 => [0xff, 0xfe].into_iter().chain(bytes.iter().flat_map(|&byte| [byte, 0])).collect(),
        9 => [0xfe, 0xff].into_iter().chain(bytes.iter().flat_map(|&byte| [0, byte])).collect(),
        10 => bytes.iter().map(|&byte| if byte == b'\n' { b'\r' } else { byte }).collect(),
        _ => bytes.to_owned(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("packed");
    packed.finish().expect("packed")
}

fn options(head: &[u8; HEAD]) -> ReadOptions {
    let delimiters = [",", ";", "::", "tab", "space", "|", "comma", "."];
    let encodings =
        ["utf-8", "latin1", "utf-16le", "utf-16be", "shift_jis", "gb18030", "replacement"];
    let columns = [
        "1,2",
        "2,1,3",
        "1,2,3,4",
        "1,3,-,2",
        "user,item,rating",
        "1,2,9",
        "0,1",
        "u,i",
        ",",
        "1,1,1",
    ];
    // 0 leaves it as it is.
    let pick = |byte: u8, from: &[&str]| -> Option<String> {
        (byte % 16).checked_sub(1).and_then(|at| from.get(usize::from(at))).map(|s| (*s).to_owned())
    };
    ReadOptions {
        columns: pick(head[2], &columns),
        delimiter: pick(head[3], &delimiters).and_then(|text| text.parse().ok()),
        header: [Header::Auto, Header::Yes, Header::No, Header::Auto][usize::from(head[4] % 4)],
        format: match head[5] % 8 {
            1 => Format::Triples,
            2 => Format::Grouped,
            3 => Format::Json,
            4 => Format::MatrixMarket,
            _ => Format::Auto,
        },
        quotes: [Quotes::Auto, Quotes::Yes, Quotes::No, Quotes::Auto][usize::from(head[6] % 4)],
        encoding: pick(head[7], &encodings).and_then(|text| text.parse().ok()),
        decimal: if head[8] % 4 == 1 { Decimal::Comma } else { Decimal::Point },
        bad_rows: if head[9] % 2 == 1 { BadRows::Skip } else { BadRows::Error },
        drop_value: if head[10] & 1 == 1 { vec![0.0, 5.0] } else { Vec::new() },
        min_rating: (head[10] & 2 != 0).then_some(-3.0),
        max_rating: (head[10] & 4 != 0).then_some(4.5),
        ..ReadOptions::default()
    }
}

/// Files as people have them.
pub fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<String> = Vec::new();
    let rows = [
        ("ann", "alpha", "5", "100"),
        ("ann", "the b", "3.5", "200"),
        ("bob", "alpha", "1", "150"),
        ("bob", "c d", "4", "300"),
        ("cid", "the b", "2", "120"),
        ("dee", "e", "4.5", "90"),
    ];
    for (between, header) in [
        (",", "user,item,rating,timestamp\n"),
        ("\t", ""),
        (";", "userId;movieId;rating;ts\n"),
        ("::", ""),
        ("|", "user|item|rating|time\n"),
        (", ", "user, item, rating, time\n"),
    ] {
        let lines = rows.map(|(u, i, r, t)| [u, i, r, t].join(between) + "\n").concat();
        texts.push(format!("{header}{lines}"));
    }
    texts.push((1..9).map(|j| format!("{} {} {}\n", j % 3, 10 + j, 1 + j % 5)).collect());
    texts.push((1..9).map(|j| format!("{} {}\n", j % 3, 10 + j)).collect());
    texts.push("user,item,rating\n\"ann\",\"a, b\",5\n\"bob\",\"say \"\"x\"\"\",2\n\"cid\",\"two\nlines\",3\n".into());
    texts.push("ann\t\"live one\t3\nbob\tplain\t2\ncid\tother\t4\ndee\t\"live two\t1\n".into());
    texts.push("{\"user\":\"ann\",\"item\":7,\"rating\":4.5}\n{\"user\":\"bob\",\"item\":8,\"rating\":1}\n".into());
    texts.push("[\"ann\",\"x\",4]\n[\"bob\",\"y\",2.5]\n".into());
    texts.push("%%MatrixMarket matrix coordinate real general\n% remark\n3 4 4\n1 1 5\n2 3 1.5\n3 4 2\n1 2 3\n".into());
    texts.push("%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 1\n2 2\n".into());
    texts.push("1 11 12 13 14 15\n2 11 14\n3 12 15 16\n4 11 16\n".into());
    texts.push("sep=;\nuser;item;rating\nann;x;4,5\nbob;y;3,0\n".into());
    texts.push("# a remark\n# user item rating\nann x 4\nbob y 3\n".into());
    texts.push("user,item,rating,date\nann,x,5,2021-03-03\nann,y,4,2021-03-02T10:00:00Z\nbob,x,3,1614700000\n".into());
    texts.push("user_id:token\titem_id:token\trating:float\n1\t2\t3\n2\t3\t4\n".into());
    texts.push("a,b,c,d,e,user,item,rating\n1,2,3,4,5,ann,x,4\n1,2,3,4,5,bob,y,5\n".into());
    texts.push(format!(
        "user,item,rating\nann,x,3\n{}user,item,rating\nbob,y,4\n",
        char::from(NEXT)
    ));
    let mut bytes: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    bytes.push(b"u,i,r\n1,Caf\xe9,3\n2,Th\xe9,4\n".to_vec());
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for text in texts() {
        let set = u8::from(text.contains(&NEXT));
        for pack in [0, 1, 2, 8] {
            let mut seed = vec![0; HEAD];
            (seed[0], seed[1]) = (set, pack);
            seed.extend_from_slice(&text);
            seeds.push(seed);
        }
    }
    seeds
}
