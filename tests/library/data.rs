//! Reading and preparing ratings: every form of input, every complaint, any number of threads.

use crate::common::shared;
use std::io::Write;
use std::path::PathBuf;
use wgmf::Result;
use wgmf::core::{NO_TIME, TransformKind, UNKNOWN};
use wgmf::data::{
    DataOptions, Duplicates, Format, Header, Prepared, ReadOptions, Table, align, prepare, read,
};

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Files { dir: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn read_bytes(bytes: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Table> {
    let files = Files::new();
    let path = files.write("plays.csv", bytes);
    read(&[path], options, &())
}

/// The message without the folder of the file.
fn complaint(bytes: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    let message = read_bytes(bytes, options).unwrap_err().to_string();
    match message.find("plays.csv") {
        Some(at) => message[at..].to_owned(),
        None => message,
    }
}

fn in_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// `user item value` of every rating, and the timestamps.
fn rows(table: &Table) -> Vec<String> {
    let ratings = &table.ratings;
    assert_eq!(ratings.users.len(), ratings.len());
    assert_eq!(ratings.items.len(), ratings.len());
    let triple = |(u, i, r)| format!("{}|{}|{r}", table.users.name(u), table.items.name(i));
    ratings.iter().map(triple).collect()
}

fn options(edit: impl FnOnce(&mut ReadOptions)) -> ReadOptions {
    let mut options = ReadOptions::default();
    edit(&mut options);
    options
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_form_gives_the_same_ratings() {
    let want = ["7|b a|4.5", "7|c|1", "9|b a|-2"];
    let plain = "user,item,rating\n7,b a,4.5\n7,c,1\n9,b a,-2\n";
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("commas and header", plain.into()),
        ("no line feed at the end", plain.trim_end().into()),
        ("CRLF", plain.replace('\n', "\r\n").into()),
        ("byte order mark", format!("\u{feff}{plain}").into()),
        ("no header", "7,b a,4.5\n7,c,1\n9,b a,-2\n".into()),
        ("byte order mark without header", "\u{feff}7,b a,4.5\n7,c,1\n9,b a,-2".into()),
        ("commas only", "7,b a,4.5,\n7,c,1,\n9,b a,-2,\n".into()),
        ("tabs", "7\tb a\t4.5\n7\tc\t1\n9\tb a\t-2\n".into()),
        (
            "tabs and even commas",
            "7\tb a\t4.5\tx,y,z,a,b\n7\tc\t1\tx,y,z,a,b\n9\tb a\t-2\tx,y,z,a,b\n".into(),
        ),
        ("semicolons", "7;b a;4.5\n7;c;1\n9;b a;-2\n".into()),
        ("bars", "7|b a|4.5\n7|c|1\n9|b a|-2\n".into()),
        ("double colons", "7::b a::4.5\n7::c::1\n9::b a::-2\n".into()),
        ("blank lines", "\n\nuser,item,rating\n\n7,b a,4.5\n \n7,c,1\n9,b a,-2\n\n\n".into()),
        ("blanks around numbers", "7,b a, 4.5\n7,c,1 \n9,b a,\t-2\n".into()),
        ("blanks after commas", "user, item, rating\n7, b a, 4.5\n7, c, 1\n9, b a, -2\n".into()),
        ("quotes", "\"user\",\"item\",\"rating\"\n\"7\",\"b a\",4.5\n7,c,\"1\"\n9,b a,-2\n".into()),
        (
            "quotes and CRLF",
            "user,item,rating\r\n7,\"b a\",4.5\r\n\r\n7,c,1\r\n9,b a,\"-2\"\r\n".into(),
        ),
        ("other order", "Rating;Item-ID;time;USER_ID\n4.5;b a;1;7\n1;c;2;7\n-2;b a;3;9\n".into()),
        ("known names", "listener,artist,plays\n7,b a,4.5\n7,c,1\n9,b a,-2\n".into()),
        (
            "other columns",
            "n,userId,name,movieId,stars,note\n1,7,x,b a,4.5,\n2,7,y,c,1,\n3,9,z,b a,-2,hi\n"
                .into(),
        ),
        ("unknown names", "who,what,how\n7,b a,4.5\n7,c,1\n9,b a,-2\n".into()),
        ("gzip", gzip(plain.as_bytes())),
        (
            "two gzip members",
            [gzip(&plain.as_bytes()[..20]), gzip(&plain.as_bytes()[20..])].concat(),
        ),
        ("zstd", zstd::encode_all(plain.as_bytes(), 1).unwrap()),
    ];
    for (form, bytes) in forms {
        for threads in [1, 3] {
            let table = in_threads(threads, || read_bytes(&bytes, &ReadOptions::default()));
            assert_eq!(rows(&table.unwrap()), want, "{form}");
        }
    }
}

#[test]
fn blanks_separate_where_nothing_else_does() {
    let table =
        read_bytes("  7   b 4.5 12\n7\tc  1 13\n9 b -2 14", &ReadOptions::default()).unwrap();
    assert_eq!(rows(&table), ["7|b|4.5", "7|c|1", "9|b|-2"]);
    assert_eq!(table.ratings.timestamps, [12, 13, 14]);
}

#[test]
fn settings_settle_what_content_leaves_open() {
    type Case<'a> = (&'a str, &'a str, ReadOptions, &'a [&'a str]);
    let named = |columns: &str| options(|o| o.columns = Some(columns.into()));
    let cases: [Case; 10] = [
        ("positions", "5,a,x\n4,b,y\n", named("3,2,1"), &["x|a|5", "y|b|4"]),
        ("positions under a header", "q,w,e\n5,a,x\n4,b,y\n", named("3,2,1"), &["x|a|5", "y|b|4"]),
        ("names", "a,b,c d\nx,1,u\n", named("C_D,a,b"), &["u|x|1"]),
        ("no rating", "user,item,rating\nu,x,3\n", named("user,item"), &["u|x|1"]),
        (
            "header no",
            "user,item\nu,x\n",
            options(|o| o.header = Header::No),
            &["user|item|1", "u|x|1"],
        ),
        ("header yes", "u,x\nv,y\n", options(|o| o.header = Header::Yes), &["v|y|1"]),
        (
            "two text columns have no header",
            "u,x\nv,y\n",
            ReadOptions::default(),
            &["u|x|1", "v|y|1"],
        ),
        ("two numeric columns under text", "a,b\n1,2\n", ReadOptions::default(), &["1|2|1"]),
        (
            "delimiter",
            "a,1;b;5\na,1;c;4\n",
            options(|o| o.delimiter = Some(";".parse().unwrap())),
            &["a,1|b|5", "a,1|c|4"],
        ),
        (
            "grouped",
            "u a b c \nempty\nalso \nv a\n",
            options(|o| o.format = Format::Grouped),
            &["u|a|1", "u|b|1", "u|c|1", "v|a|1"],
        ),
    ];
    for (form, text, options, want) in cases {
        let table = read_bytes(text, &options).unwrap_or_else(|e| panic!("{form}: {e}"));
        assert_eq!(rows(&table), want, "{form}");
    }
    let names: Vec<&str> = vec!["tab", "\\t", "space", "::", "|", ",", ";"];
    for name in names {
        let delimiter: wgmf::data::Delimiter = name.parse().unwrap();
        assert_eq!(delimiter.to_string().parse::<wgmf::data::Delimiter>().unwrap(), delimiter);
    }
}

#[test]
fn quoted_fields_keep_delimiters_quotes_and_line_feeds() {
    let text = "user,item,rating\n1,\"a, b\",3\n\"2\",\"say \"\"hi\"\"\",4\n3,\"two\nlines\",5\n4,6\" pipe,1\n";
    let table = read_bytes(text, &ReadOptions::default()).unwrap();
    let want = ["1|a, b|3", "2|say \"hi\"|4", "3|two\nlines|5", "4|6\" pipe|1"];
    assert_eq!(rows(&table), want);
    let lines: Vec<u64> = (0..4).map(|row| table.origin(row).1).collect();
    assert_eq!(lines, [2, 3, 4, 6]);
}

#[test]
fn timestamps_are_kept_in_order_where_they_can_be_read() {
    let default = ReadOptions::default();
    let table = read_bytes("1,2,3,12\n1,3,4,13.0\n", &default).unwrap();
    assert_eq!(table.ratings.timestamps, [12, 13]);
    let table = read_bytes("1,2,3,12.5\n1,3,4,13\n1,4,4,\n", &default).unwrap();
    assert_eq!(table.ratings.timestamps, [125, 130, NO_TIME]);
    assert!(
        table.recognised[0]
            .ends_with("; 1 of 3 timestamps cannot be read (line 3: \"\" in column 4 (timestamp))")
    );
    let dates = "user,item,rating,date\n1,2,3,2020-01-01\n1,3,3,2020-01-02 00:00:01\n";
    let table = read_bytes(dates, &default).unwrap();
    assert_eq!(table.ratings.timestamps, [1_577_836_800, 1_577_923_201]);
    let none = "user,item,rating,date\n1,2,3,Jan 1 2020\n";
    let table = read_bytes(none, &default).unwrap();
    assert_eq!(table.ratings.timestamps, [NO_TIME]);
    let asked = options(|o| o.columns = Some("user,item,rating,date".into()));
    let complaint = complaint(none, &asked);
    let want =
        "plays.csv:2: \"Jan 1 2020\" in column date is not a time (a number, or a date such as";
    assert!(complaint.starts_with(want), "{complaint}");
}

#[test]
fn complaints_say_where_what_and_what_next() {
    let default = ReadOptions::default();
    let h = "user,item,rating\n";
    let long = "x".repeat(70_000);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            format!("{h}1,2,3\n1,3,\"4,5\"\n").into(),
            "plays.csv:3: \"4,5\" is not a number in column rating (use `decimal` \",\"",
        ),
        (
            "user;item;rating\n1;2;3\n1;3;4,5\n".into(),
            "plays.csv:3: \"4,5\" is not a number in column rating (use `decimal` \",\"",
        ),
        ("1,2,3\n1,3,x\n".into(), "plays.csv:2: \"x\" is not a number in column 3 (rating)"),
        (format!("{h}1,2,3\n\n1,3,\n").into(), "plays.csv:4: the rating in column rating is empty"),
        (
            format!("{h}1,2,NaN\n").into(),
            "plays.csv:2: \"NaN\" is not a finite number in column rating",
        ),
        (format!("{h}1,2,-inf\n").into(), "plays.csv:2: \"-inf\" is not a finite number"),
        (format!("{h}1,2,1e39\n").into(), "plays.csv:2: \"1e39\" is too large for a rating"),
        (format!("{h}1,2,3\n,3,4\n").into(), "plays.csv:3: the user id in column user is empty"),
        ("1,2,3\n1,,4\n".into(), "plays.csv:2: the item id is empty"),
        (
            format!("{h}1,2,3\n1,2\n").into(),
            "plays.csv:3: 2 fields where 3 are needed (user, item, rating): \"1,2\"",
        ),
        (
            format!("{h}1,2,3\n1,a,b,4\n").into(),
            "plays.csv:3: more than the 3 fields of the first line (quote an id",
        ),
        (
            "0 1 2\n1 2 3 4 5\n".into(),
            "plays.csv:2: more than the 3 fields of the first line (use `format` grouped",
        ),
        (
            b"user,item,rating\n1,\xc3\xa9,2\n1,\xff\xfe,3\n".to_vec(),
            "plays.csv:3: the item id in column item \"\u{fffd}\u{fffd}\" is not UTF-8",
        ),
        (
            format!("{h}1,2,3\n{long},3,4\n").into(),
            "plays.csv:3: the user id in column user is longer than 64 KiB",
        ),
        (format!("{h}1,2,3\n1,\"3\n2,2,2\n").into(), "plays.csv:3: 2 fields where 3 are needed"),
        (Vec::new(), "plays.csv: holds no ratings (it is empty)"),
        ("\n \n".into(), "plays.csv: holds no ratings (it is empty)"),
        (h.into(), "plays.csv: holds no ratings (only a header)"),
        (
            "abc\ndef\n".into(),
            "plays.csv:1: cannot tell what separates the fields of \"abc\"; use `delimiter`",
        ),
        (
            "a,userId,b,c,rating\n1,2,3,4,5\n".into(),
            "plays.csv:1: cannot tell which column is the item (there are a, userId, b, c, rating); use `columns`",
        ),
        (
            {
                let g = gzip(&b"1,2,3\n".repeat(5000));
                g[..g.len() / 2].to_vec()
            },
            "plays.csv: the gzip data ends too early",
        ),
        (
            {
                let z = zstd::encode_all(&b"1,2,3\n".repeat(5000)[..], 1).unwrap();
                z[..z.len() / 2].to_vec()
            },
            "plays.csv: the zstd data ends too early",
        ),
        (b"\xff\xfeu\0,\0".to_vec(), "plays.csv:1: the item id is empty"),
    ];
    for (bytes, want) in cases {
        let got = complaint(&bytes, &default);
        assert!(got.starts_with(want), "\n got {got}\nwant {want}");
        if bytes.starts_with(b"user") || bytes.starts_with(b"1,") {
            // The same line number behind a compressor.
            assert!(complaint(gzip(&bytes), &default).starts_with(want), "{want}");
        }
    }
    let quoted = gzip(&b"\"a\",2,3\n".repeat(50_000));
    let cut = complaint(&quoted[..quoted.len() / 2], &default);
    assert_eq!(cut, "plays.csv: the gzip data ends too early; is the file complete?");
    let settings = [
        ("user", "`columns` \"user\" does not name two to four columns"),
        ("0,1", "`columns` \"0,1\" has position 0"),
        ("1,1", "`columns` \"1,1\" names a column twice"),
        ("1,9", "plays.csv:1: has 3 fields; `columns` asks for column 9"),
        ("user,thing", "plays.csv:1: no column is called \"thing\" (there are user, item, rating)"),
    ];
    for (columns, want) in settings {
        let got = complaint(format!("{h}1,2,3\n"), &options(|o| o.columns = Some(columns.into())));
        assert!(got.starts_with(want), "\n got {got}\nwant {want}");
    }
    let missing = read(&[PathBuf::from("no/such.csv")], &default, &()).unwrap_err().to_string();
    assert!(missing.starts_with("no/such.csv: "), "{missing}");
}

/// A text of several chunks with ids that turn up anywhere.
fn large(lines: u64) -> String {
    let mut text = String::from("user,item,rating\n");
    let mut state = 3_u64;
    for _ in 0..lines {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let (user, item) = ((state >> 33) % 30_000, (state >> 20) % 700);
        text += &format!("u{user},an item of number {item},{}.{}\n", state >> 62, state % 100);
    }
    text
}

#[test]
fn chunks_and_threads_change_nothing() {
    let text = large(400_000);
    assert!(text.len() > 3 * (4 << 20));
    let mut users = wgmf::core::Ids::new();
    let mut want = wgmf::core::Ratings::default();
    let mut items = wgmf::core::Ids::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        want.users.push(users.intern(fields[0]));
        want.items.push(items.intern(fields[1]));
        want.values.push(fields[2].parse().unwrap());
    }
    let files = Files::new();
    let plain = files.write("plain.csv", &text);
    let packed = files.write("packed", gzip(text.as_bytes()));
    // A quote far from the start: the rest goes another way.
    let late = format!("{}\"u0\",\"x, y\",3\nu1,z,4\n", text);
    let late = files.write("late.csv", late);
    for threads in 1..=4 {
        for path in [&plain, &packed, &late] {
            let one = std::slice::from_ref(path);
            let table = in_threads(threads, || read(one, &ReadOptions::default(), &())).unwrap();
            let rows = want.len();
            assert_eq!(table.ratings.users[..rows], want.users, "{threads} threads");
            assert_eq!(table.ratings.items[..rows], want.items, "{threads} threads");
            assert_eq!(table.ratings.values[..rows], want.values, "{threads} threads");
            assert!(table.users.iter().take(users.len()).eq(users.iter()));
            assert!(table.items.iter().take(items.len()).eq(items.iter()));
            assert_eq!(table.origin(rows - 1).1, rows as u64 + 1);
            if path == &late {
                assert_eq!(table.origin(rows + 1).1, rows as u64 + 3);
                assert_eq!(table.items.name(table.ratings.items[rows]), "x, y");
            } else {
                assert_eq!(table.ratings.len(), rows);
            }
        }
    }
    let broken = files.write("broken.csv", format!("{text}\n\nu1,a,b\n"));
    let message = read(&[broken], &ReadOptions::default(), &()).unwrap_err().to_string();
    assert!(message.contains("broken.csv:400004: \"b\" is not a number"), "{message}");
}

#[test]
fn several_files_share_their_ids() {
    let files = Files::new();
    let first = files.write("a.csv", "user,item,rating\nx,1,2\ny,2,3\n");
    let second = files.write("b.tsv", "3\tz\t1\n1\tx\t5\n");
    let named = options(|o| o.columns = None);
    let table = read(&[first.clone(), second.clone()], &named, &()).unwrap();
    assert_eq!(rows(&table), ["x|1|2", "y|2|3", "3|z|1", "1|x|5"]);
    assert_eq!(table.recognised.len(), 2);
    assert_eq!(table.origin(1), (first.display().to_string().as_str(), 3));
    assert_eq!(table.origin(2), (second.display().to_string().as_str(), 1));
}

fn prepared(text: &str, edit: impl FnOnce(&mut DataOptions)) -> Result<Prepared> {
    let files = Files::new();
    let path = files.write("plays.csv", text);
    let mut options = DataOptions::default();
    edit(&mut options);
    prepare(&[path], &options, 1, &())
}

fn triples(
    users: &wgmf::core::Ids,
    items: &wgmf::core::Ids,
    part: &wgmf::core::Ratings,
) -> Vec<String> {
    let name = |ids: &wgmf::core::Ids, i: u32| {
        if i == UNKNOWN { "?".into() } else { ids.name(i).to_owned() }
    };
    part.iter().map(|(u, i, r)| format!("{}|{}|{r}", name(users, u), name(items, i))).collect()
}

#[test]
fn duplicates_follow_the_policy() {
    let text = "user,item,rating\na,x,1\nb,x,2\na,x,4\na,y,5\na,x,7\n";
    let cases: [(Duplicates, &[&str]); 3] = [
        (Duplicates::Last, &["a|x|7", "a|y|5", "b|x|2"]),
        (Duplicates::Mean, &["a|x|4", "a|y|5", "b|x|2"]),
        (Duplicates::Sum, &["a|x|12", "a|y|5", "b|x|2"]),
    ];
    for (policy, want) in cases {
        let data = prepared(text, |o| o.duplicates = policy).unwrap();
        assert_eq!(triples(&data.users, &data.items, &data.train), want);
        assert_eq!((data.facts.ratings_read, data.facts.duplicates_merged), (5, 2));
    }
    let error = prepared(text, |o| o.duplicates = Duplicates::Error).unwrap_err().to_string();
    assert!(error.contains("plays.csv:4: user \"a\" rates item \"x\" again (first at"), "{error}");
    assert!(error.contains("plays.csv:2)"), "{error}");
    let huge = "a,x,3e38\na,x,3e38\n";
    let error = prepared(huge, |o| o.duplicates = Duplicates::Sum).unwrap_err().to_string();
    assert!(error.contains("their sum is too large"), "{error}");
}

#[test]
fn filters_repeat_until_they_hold() {
    // Dropping item z leaves user c with one rating; dropping c leaves y with two.
    let text = "a,x,1\na,y,1\nb,x,1\nb,y,1\nc,z,1\nc,y,1\n";
    let data = prepared(text, |o| (o.min_user_ratings, o.min_item_ratings) = (2, 2)).unwrap();
    assert_eq!(
        triples(&data.users, &data.items, &data.train),
        ["a|x|1", "a|y|1", "b|x|1", "b|y|1"]
    );
    assert_eq!((data.facts.dropped_by_filters, data.users.len(), data.items.len()), (2, 2, 2));
    let error = prepared(text, |o| o.min_item_ratings = 50).unwrap_err().to_string();
    assert_eq!(error, "no user has a rating after `min_item_ratings` 50; lower it");
}

#[test]
fn holdout_is_exact_seeded_and_leaves_no_empty_rows() {
    let text = large(2_000);
    let data = prepared(&text, |o| o.holdout = Some(0.25)).unwrap();
    let test = data.test.as_ref().unwrap();
    let total = data.facts.ratings_read - data.facts.duplicates_merged;
    assert_eq!(test.len(), (0.25 * total as f64).round() as usize);
    assert_eq!(test.len() + data.train.len(), total);
    for (side, count) in
        [(&data.train.users, data.users.len()), (&data.train.items, data.items.len())]
    {
        let mut seen = vec![false; count];
        side.iter().for_each(|&index| seen[index as usize] = true);
        assert!(seen.into_iter().all(|seen| seen));
    }
    let unknown = test.users.iter().filter(|&&u| u == UNKNOWN).count();
    assert!(unknown > 0, "the set is too dense to test what it should");
    assert_eq!(data.test_unknown_users, unknown);
    let again = in_threads(3, || prepared(&text, |o| o.holdout = Some(0.25))).unwrap();
    assert_eq!((again.test.as_ref(), &again.train), (Some(test), &data.train));
    let whole = prepared(&text, |_| {}).unwrap();
    let mut parts = triples(&data.users, &data.items, &data.train);
    parts.extend(triples(&data.users, &data.items, test).into_iter().filter(|t| !t.contains('?')));
    let all: std::collections::HashSet<_> =
        triples(&whole.users, &whole.items, &whole.train).into_iter().collect();
    assert!(parts.iter().all(|triple| all.contains(triple)));
    for (fraction, message) in [(1.5, "`holdout` 1.5 is not a fraction"), (1e-9, "leaves none for")]
    {
        let error = prepared(&text, |o| o.holdout = Some(fraction)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_test_file_is_mapped_to_the_ids_of_training() {
    let files = Files::new();
    let train = files.write("train.csv", "a,x,1\nb,y,3\n");
    let test = files.write("test.csv", "b,x,9\nc,x,2\nb,new,2\n");
    let options = DataOptions {
        test: Some(test),
        transform: vec![TransformKind::MinMax],
        ..DataOptions::default()
    };
    let data = prepare(std::slice::from_ref(&train), &options, 1, &()).unwrap();
    let part = data.test.as_ref().unwrap();
    assert_eq!(triples(&data.users, &data.items, part), ["b|?|0.5", "b|x|4", "?|x|0.5"]);
    assert_eq!(data.test_raw.as_deref(), Some(&[2.0, 9.0, 2.0][..]));
    assert_eq!((data.test_unknown_users, data.test_unknown_items), (1, 1));
    assert_eq!((data.train_raw_mean, data.facts.min, data.facts.max), (2.0, 1.0, 3.0));
    assert_eq!(data.train.values, [0.0, 1.0]);
    let strangers = files.write("strangers.csv", "q,x,1\nr,y,1\n");
    let options = DataOptions { test: Some(strangers.clone()), ..DataOptions::default() };
    let error = prepare(&[train], &options, 1, &()).unwrap_err().to_string();
    assert!(error.contains("strangers.csv: none of its users has a training rating"), "{error}");
    let table = read(&[strangers], &ReadOptions::default(), &()).unwrap();
    assert_eq!(
        triples(&data.users, &data.items, &align(&table, &data.users, &data.items)),
        ["?|x|1", "?|y|1"]
    );
}

#[test]
fn what_a_transform_cannot_take_is_named() {
    let log = |o: &mut DataOptions| o.transform = vec![TransformKind::Log1p];
    let error = prepared("a,x,1\nb,y,-3\n", log).unwrap_err().to_string();
    assert!(error.starts_with("rating -3 of user \"b\" and item \"y\" has no log1p"), "{error}");
}

#[test]
fn text_ids_need_no_header() {
    let text = "anna,The Owls,3\nbert,Low Stars,4\nanna,Low Stars,5\n";
    let table = read_bytes(text, &ReadOptions::default()).unwrap();
    assert_eq!(rows(&table), ["anna|The Owls|3", "bert|Low Stars|4", "anna|Low Stars|5"]);
    assert!(table.recognised[0].ends_with(
        "plays.csv: comma-separated, no header, columns 1=user,2=item,3=rating; 3 ratings"
    ));
    let form = &table.forms[0];
    assert_eq!(
        (form.columns, form.ratings, form.doubts.len()),
        ([Some(0), Some(1), Some(2), None], 3, 0)
    );
    let told = form.options(&ReadOptions::default());
    assert_eq!(rows(&read_bytes(text, &told).unwrap()), rows(&table));
    let unnamed = read_bytes("who,what\n7,8\n", &ReadOptions::default()).unwrap();
    let doubts: Vec<&str> = unnamed.forms[0].doubts.iter().map(|d| d.option.as_str()).collect();
    assert_eq!(doubts, ["columns", "columns"]);
    // One half-numeric column below text is no header either.
    let isbn = "7,034545104X,0\n8,0155061224,5\n8,0446520802,0\n";
    assert_eq!(read_bytes(isbn, &ReadOptions::default()).unwrap().ratings.len(), 3);
}

#[test]
fn the_command_line_and_the_library_share_their_settings() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        options: DataOptions,
    }
    let parse = |args: &[&str]| <Command as clap::Parser>::try_parse_from([&["x"], args].concat());
    assert_eq!(parse(&[]).ok().unwrap().options, DataOptions::default());
    let text =
        "--transform log1p,zscore --duplicates sum --holdout 0.1 --delimiter tab --header no";
    let options = parse(&text.split(' ').collect::<Vec<_>>()).ok().unwrap().options;
    assert_eq!(options.transform, [TransformKind::Log1p, TransformKind::ZScore]);
    assert_eq!((options.duplicates, options.holdout), (Duplicates::Sum, Some(0.1)));
    assert_eq!((options.read.delimiter, options.read.header), ("tab".parse().ok(), Header::No));
    assert!(parse(&["--holdout", "0.1", "--test", "file"]).is_err());
    assert!(parse(&["--delimiter", "word"]).is_err());
}

#[test]
fn options_survive_json() {
    let mut options = DataOptions { holdout: Some(0.1), ..DataOptions::default() };
    options.read.delimiter = Some("::".parse().unwrap());
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<DataOptions>(&text).unwrap(), options);
    assert_eq!(serde_json::from_str::<DataOptions>("{}").unwrap(), DataOptions::default());
}

#[test]
fn real_sets_have_their_known_sizes() {
    let grouped = options(|o| o.format = Format::Grouped);
    let default = ReadOptions::default();
    let cases = [
        ("lastfm-2k/user_artists.dat", &default, 92_834, 1_892, 17_632, false),
        ("ml-latest-small/ratings.csv", &default, 100_836, 610, 9_724, true),
        ("ml-100k/u.data", &default, 100_000, 943, 1_682, true),
        ("ml-1m/ratings.dat", &default, 1_000_209, 6_040, 3_706, false),
        ("gowalla/train.txt", &grouped, 810_128, 29_858, 40_981, false),
    ];
    for (file, options, ratings, users, items, times) in cases {
        let Some(path) = shared(&format!("data/{file}")) else { continue };
        let table = read(&[path], options, &()).unwrap();
        let sizes = (table.ratings.len(), table.users.len(), table.items.len());
        assert_eq!(sizes, (ratings, users, items), "{file}");
        assert_eq!(!table.ratings.timestamps.is_empty(), times, "{file}");
        println!("{}", table.recognised[0]);
    }
}
