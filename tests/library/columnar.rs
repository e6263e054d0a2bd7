//! Parquet and Arrow: the same bits as the same table in CSV, and errors that say what and where.

use arrow_array::builder::{ListBuilder, StringDictionaryBuilder};
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray,
    NullArray, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wgmf::Result;
use wgmf::data::{
    BadRows, Duplicates, Format, Order, ReadOptions, SplitOptions, Table, read, read_pairs, split,
};

type Column = (&'static str, ArrayRef);

fn batch(columns: &[Column]) -> RecordBatch {
    let columns = columns.iter().map(|(name, array)| (*name, array.clone(), true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn parquet(path: &Path, batches: &[RecordBatch], compression: Compression, group: usize) {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

fn arrow(path: &Path, batches: &[RecordBatch], compression: Option<CompressionType>) {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let (file, schema) = (File::create(path).unwrap(), batches[0].schema());
    let mut writer = FileWriter::try_new_with_options(file, &schema, options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

fn stream(path: &Path, batches: &[RecordBatch]) {
    let file = File::create(path).unwrap();
    let mut writer = StreamWriter::try_new(file, &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

/// The table in every form in which it can be kept.
fn written(dir: &Path, batches: &[RecordBatch]) -> Vec<PathBuf> {
    let path = |name: &str| dir.join(name);
    for (name, compression, group) in [
        ("plain.parquet", Compression::UNCOMPRESSED, 1 << 20),
        ("snappy.parquet", Compression::SNAPPY, 3),
        ("zstd.parquet", Compression::ZSTD(ZstdLevel::default()), 2),
        ("gzip.parquet", Compression::GZIP(GzipLevel::default()), 1 << 20),
        ("lz4.parquet", Compression::LZ4_RAW, 1),
    ] {
        parquet(&path(name), batches, compression, group);
    }
    arrow(&path("plain.arrow"), batches, None);
    arrow(&path("lz4.feather"), batches, Some(CompressionType::LZ4_FRAME));
    arrow(&path("zstd.ipc"), batches, Some(CompressionType::ZSTD));
    stream(&path("stream.arrows"), batches);
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// All that a table holds once it is in order, to the bit.
fn bits(mut table: Table) -> (Vec<String>, Vec<[u32; 3]>, Vec<i64>, Vec<u32>) {
    table.settle(Duplicates::Last, Order::Canonical).unwrap();
    let ratings = &table.ratings;
    let ids = table.users.iter().chain(table.items.iter()).map(str::to_owned).collect();
    let rows = ratings.iter().map(|(user, item, value)| [user, item, value.to_bits()]).collect();
    let weights = ratings.weights.iter().map(|weight| weight.to_bits()).collect();
    (ids, rows, ratings.timestamps.clone(), weights)
}

fn same_as_csv(columns: &[Column], csv: &str, options: &ReadOptions) {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("table.csv");
    fs::write(&text, csv).unwrap();
    let want = bits(read(std::slice::from_ref(&text), options, &()).unwrap());
    fs::remove_file(text).unwrap();
    for path in written(dir.path(), &[batch(columns)]) {
        let table = read(std::slice::from_ref(&path), options, &()).unwrap();
        let form = &table.forms[0];
        let parquet = path.extension().is_some_and(|ending| ending == "parquet");
        assert_eq!(form.format, if parquet { Format::Parquet } else { Format::Arrow });
        assert_eq!(bits(table), want, "{}", path.display());
    }
}

fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

#[test]
fn ids_of_every_type_are_the_texts_that_csv_has() {
    let items = || ("item", texts(&["x, \"y\"", "b", "c", "d"]));
    let values = || ("rating", Arc::new(Float64Array::from(vec![1.5, 2.0, 0.1, 4.0])) as ArrayRef);
    let csv = |ids: [&str; 4]| {
        format!(
            "user,item,rating\n{},\"x, \"\"y\"\"\",1.5\n{},b,2\n{},c,0.1\n{},d,4\n",
            ids[0], ids[1], ids[2], ids[3]
        )
    };
    let small = ["7", "100", "7", "12"];
    let mut words = StringDictionaryBuilder::<Int8Type>::new();
    ["ann", "bob", "ann", "a name of many letters"]
        .into_iter()
        .for_each(|word| words.append_value(word));
    let numbers = DictionaryArray::<Int32Type>::new(
        Int32Array::from(vec![1, 0, 1, 2]),
        Arc::new(Int64Array::from(vec![100, 7, 12])),
    );
    let decimals = Decimal128Array::from(vec![700, 10_000, 700, 1_225]);
    let decimals = decimals.with_precision_and_scale(10, 2).unwrap();
    let days = vec![18_689, 0, 18_689, -1];
    let named = ["ann", "bob", "ann", "a name of many letters"];
    let cases: Vec<(ArrayRef, [&str; 4])> = vec![
        (Arc::new(Int8Array::from(vec![7, 100, 7, -12])), ["7", "100", "7", "-12"]),
        (Arc::new(Int16Array::from(vec![7, 100, 7, 12])), small),
        (Arc::new(Int32Array::from(vec![7, 100, 7, i32::MIN])), ["7", "100", "7", "-2147483648"]),
        (
            Arc::new(Int64Array::from(vec![7, i64::MAX, 7, i64::MIN])),
            ["7", "9223372036854775807", "7", "-9223372036854775808"],
        ),
        (Arc::new(UInt8Array::from(vec![7, 100, 7, 12])), small),
        (Arc::new(UInt16Array::from(vec![7, 100, 7, 12])), small),
        (Arc::new(UInt32Array::from(vec![7, 100, 7, 12])), small),
        (
            Arc::new(UInt64Array::from(vec![7, u64::MAX, 7, 12])),
            ["7", "18446744073709551615", "7", "12"],
        ),
        (Arc::new(numbers), small),
        (texts(&named), named),
        (Arc::new(LargeStringArray::from(named.to_vec())), named),
        (Arc::new(StringViewArray::from(named.to_vec())), named),
        (Arc::new(BinaryArray::from(named.map(str::as_bytes).to_vec())), named),
        (Arc::new(words.finish()), named),
        (Arc::new(decimals), ["7.00", "100.00", "7.00", "12.25"]),
        (Arc::new(BooleanArray::from(vec![true, false, true, false])), ["1", "0", "1", "0"]),
        (Arc::new(Float32Array::from(vec![7.0, 0.1, 7.0, -2.5])), ["7.0", "0.1", "7.0", "-2.5"]),
        (
            Arc::new(Date32Array::from(days)),
            ["2021-03-03", "1970-01-01", "2021-03-03", "1969-12-31"],
        ),
    ];
    for (ids, want) in cases {
        same_as_csv(&[("user", ids), items(), values()], &csv(want), &ReadOptions::default());
    }
}

#[test]
fn values_and_times_of_every_type_are_those_of_csv() {
    let (users, items) = (|| texts(&["a", "a", "b"]), || texts(&["x", "y", "x"]));
    // Half way between two numbers of single precision, next to that, and too small for a whole one.
    let half = 1.0 + 2.0_f64.powi(-24);
    let fine = [half, f64::from_bits(half.to_bits() - 1), 1.1e-42];
    let shown = fine.map(|value| format!("{value:?}"));
    let decimals = Decimal128Array::from(vec![450, -1, 16_777_217]);
    let decimals = decimals.with_precision_and_scale(20, 2).unwrap();
    let values: Vec<(ArrayRef, [&str; 3])> = vec![
        (Arc::new(Float64Array::from(fine.to_vec())), [&shown[0], &shown[1], &shown[2]]),
        (Arc::new(Float32Array::from(vec![0.1, -0.0, 3e38])), ["0.1", "-0.0", "3e38"]),
        (Arc::new(Int64Array::from(vec![16_777_217, 3, -4])), ["16777217", "3", "-4"]),
        (Arc::new(UInt8Array::from(vec![255, 0, 4])), ["255", "0", "4"]),
        (Arc::new(decimals), ["4.50", "-0.01", "167772.17"]),
        (texts(&["4.5", " 3", "1e1"]), ["4.5", " 3", "1e1"]),
        (Arc::new(BooleanArray::from(vec![true, false, true])), ["1", "0", "1"]),
    ];
    for (values, [a, b, c]) in values {
        let csv = format!("user,item,rating\na,x,{a}\na,y,{b}\nb,x,{c}\n");
        let columns = [("user", users()), ("item", items()), ("rating", values)];
        same_as_csv(&columns, &csv, &ReadOptions::default());
    }
    let march = 1_614_733_200;
    let seconds = vec![march, -1, 0];
    let times: Vec<(ArrayRef, [&str; 3])> = vec![
        (
            Arc::new(Date32Array::from(vec![18_689, -1, 0])),
            ["2021-03-03", "1969-12-31", "1970-01-01"],
        ),
        (
            Arc::new(TimestampSecondArray::from(seconds).with_timezone("Europe/Paris")),
            ["2021-03-03T01:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01"],
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![march * 1000 + 250, -1, 0])),
            ["2021-03-03 01:00:00.25", "1969-12-31 23:59:59.999", "1970-01-01"],
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![march * 1_000_000, -1, 0])),
            ["2021-03-03 01:00:00", "1969-12-31 23:59:59.999999", "1970-01-01"],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![march * 1_000_000_000 + 1, -1, 0])),
            ["2021-03-03 01:00:00.000000001", "1969-12-31 23:59:59.999999999", "1970-01-01"],
        ),
        (Arc::new(Int64Array::from(vec![march, 5, 7])), ["1614733200", "5", "7"]),
        (
            texts(&["2021-03-03", "2020-01-01", "2021-03-04"]),
            ["2021-03-03", "2020-01-01", "2021-03-04"],
        ),
    ];
    for (times, [a, b, c]) in times {
        let csv = format!("user,item,rating,timestamp\na,x,1,{a}\na,y,2,{b}\nb,x,3,{c}\n");
        let values = Arc::new(Int16Array::from(vec![1, 2, 3])) as ArrayRef;
        let columns =
            [("timestamp", times), ("user", users()), ("rating", values), ("item", items())];
        same_as_csv(&columns, &csv, &ReadOptions::default());
    }
}

#[test]
fn columns_are_found_as_in_csv() {
    let lists = {
        let mut lists = ListBuilder::new(arrow_array::builder::Int32Builder::new());
        (0..3).for_each(|at| lists.append_value((0..at).map(Some)));
        Arc::new(lists.finish()) as ArrayRef
    };
    let nothing = Arc::new(NullArray::new(3)) as ArrayRef;
    let numbers = Arc::new(Int32Array::from(vec![3, 4, 5])) as ArrayRef;
    let columns = [
        ("tags", lists),
        ("who", texts(&["a", "a", "b"])),
        ("nothing", nothing),
        ("what", texts(&["x", "y", "x"])),
        ("plays", numbers),
    ];
    let csv = "who,what,plays\na,x,3\na,y,4\nb,x,5\n";
    let by_name =
        |names: &str| ReadOptions { columns: Some(names.to_owned()), ..ReadOptions::default() };
    same_as_csv(&columns, csv, &by_name("who,what,plays"));
    same_as_csv(&columns, csv, &by_name("what,who"));
    let weighed = ReadOptions { weights: Some("plays".to_owned()), ..by_name("who,what,plays") };
    same_as_csv(&columns, csv, &weighed);
    let dropped = ReadOptions { drop_value: vec![4.0], ..by_name("who,what,plays") };
    same_as_csv(&columns, csv, &dropped);
    // By place, since no name is known.
    same_as_csv(
        &columns[1..].iter().filter(|column| column.0 != "nothing").cloned().collect::<Vec<_>>(),
        csv,
        &ReadOptions::default(),
    );
}

/// What is said of a table with these options, without the folder of its file.
fn complaint(columns: &[Column], options: &ReadOptions) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    for path in written(dir.path(), &[batch(columns)]) {
        let error = read(std::slice::from_ref(&path), options, &()).unwrap_err().to_string();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kind = if name.ends_with("parquet") { "Parquet" } else { "Arrow" };
        said.push(error.replace(&path.display().to_string(), "f").replace(kind, "KIND"));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

#[test]
fn what_cannot_be_read_is_told_with_its_row_and_column() {
    let users = || ("user", texts(&["a", "b", "c"]));
    let items = || ("item", texts(&["x", "y", "z"]));
    let some =
        |values: Vec<Option<f64>>| ("rating", Arc::new(Float64Array::from(values)) as ArrayRef);
    let lists = || {
        let mut lists = ListBuilder::new(arrow_array::builder::Int32Builder::new());
        (0..3).for_each(|at| lists.append_value([Some(at)]));
        Arc::new(lists.finish()) as ArrayRef
    };
    let free = ReadOptions::default;
    let with = |edit: fn(&mut ReadOptions)| {
        let mut options = ReadOptions::default();
        edit(&mut options);
        options
    };
    let good = || some(vec![Some(1.0); 3]);
    let cases: Vec<(Vec<Column>, ReadOptions, &[&str])> = vec![
        (
            vec![
                ("user", Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])) as ArrayRef),
                items(),
                good(),
            ],
            free(),
            &["f: row 2: the user id in column user is empty"],
        ),
        (
            vec![users(), items(), some(vec![Some(1.0), Some(2.0), None])],
            free(),
            &["f: row 3: the rating in column rating is empty"],
        ),
        (
            vec![users(), items(), some(vec![Some(1.0), Some(f64::NAN), None])],
            free(),
            &["f: row 2: \"NaN\" is not a finite number in column rating"],
        ),
        (
            vec![users(), items(), some(vec![Some(1e300), None, None])],
            free(),
            &["f: row 1: \"inf\" is not a finite number in column rating"],
        ),
        (
            vec![users(), items(), ("rating", texts(&["5", "five", "4"]))],
            free(),
            &["f: row 2: \"five\" is not a number in column rating", "`columns`"],
        ),
        (
            vec![users(), items(), ("rating", lists())],
            free(),
            &["column rating holds lists", "`columns`"],
        ),
        (
            vec![users(), ("item", lists()), good()],
            free(),
            &["column item holds lists", "user, item, rating"],
        ),
        (vec![users()], free(), &["f: has a single column, user"]),
        (
            vec![users(), items()],
            with(|o| o.columns = Some("user,film".into())),
            &["no column is called \"film\" (there are user, item)"],
        ),
        (
            vec![users(), items()],
            with(|o| o.delimiter = Some(",".parse().unwrap())),
            &["`delimiter` and `header` mean nothing with KIND"],
        ),
        (
            vec![users(), items()],
            with(|o| o.format = Format::Json),
            &["f: is KIND; leave `format` out"],
        ),
        (
            vec![users(), items(), ("timestamp", texts(&["1", "", "3"]))],
            with(|o| o.columns = Some("user,item,-,timestamp".into())),
            &["f: row 2: \"\" in column timestamp is not a time"],
        ),
        (
            vec![("user", texts(&[])), ("item", texts(&[])), some(vec![])],
            free(),
            &["f: holds no ratings (it has no row)"],
        ),
    ];
    for (columns, options, wanted) in cases {
        let said = complaint(&columns, &options);
        for want in wanted {
            assert!(said.contains(want), "{said:?} lacks {want:?}");
        }
    }
}

#[test]
fn rows_that_cannot_be_read_are_passed_over_where_that_was_asked_for() {
    let users = Arc::new(StringArray::from(vec![Some("a"), None, Some("c"), Some("")])) as ArrayRef;
    let values = Arc::new(Float32Array::from(vec![Some(1.0), Some(2.0), Some(3.0), Some(4.0)]));
    let columns = [("user", users), ("item", texts(&["x", "y", "z", "w"])), ("rating", values)];
    let options = ReadOptions { bad_rows: BadRows::Skip, ..ReadOptions::default() };
    same_as_csv(&columns, "user,item,rating\na,x,1\n,y,2\nc,z,3\n,w,4\n", &options);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    parquet(&path, &[batch(&columns)], Compression::UNCOMPRESSED, 1);
    let table = read(&[path], &options, &()).unwrap();
    assert!(table.recognised[0].contains("Parquet, columns user,item,rating; 2 ratings"));
    assert!(table.recognised[0].contains("2 lines passed over (line 2: the user id"));
    assert_eq!(table.origin(1).1, 3);
}

/// Many ratings, of ids of both kinds.
fn many(rows: i64) -> (RecordBatch, String) {
    let user = |row: i64| row * 7_919 % 5_003;
    let item = |row: i64| format!("item {}", row * 104_729 % 2_003);
    let value = |row: i64| (row % 10) as f32 / 2.0;
    let all = || 0..rows;
    let columns: [Column; 3] = [
        ("user", Arc::new(Int64Array::from_iter_values(all().map(user)))),
        ("item", Arc::new(StringArray::from_iter_values(all().map(item)))),
        ("rating", Arc::new(Float32Array::from_iter_values(all().map(value)))),
    ];
    let mut csv = "user,item,rating\n".to_owned();
    all().for_each(|row| csv += &format!("{},{},{}\n", user(row), item(row), value(row)));
    (batch(&columns), csv)
}

#[test]
fn many_row_groups_and_large_batches_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (all, csv) = many(300_000);
    fs::write(path("a.csv"), csv).unwrap();
    // Of few rows each, larger than what a thread takes at once, and in between.
    parquet(&path("few.parquet"), std::slice::from_ref(&all), Compression::SNAPPY, 7_001);
    parquet(&path("one.parquet"), std::slice::from_ref(&all), Compression::SNAPPY, 1 << 20);
    arrow(&path("one.arrow"), std::slice::from_ref(&all), None);
    stream(&path("one.arrows"), std::slice::from_ref(&all));
    let in_order = |name: &str, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let table = pool.install(|| read(&[path(name)], &ReadOptions::default(), &()).unwrap());
        let offset = u64::from(name.ends_with("csv"));
        assert_eq!(table.origin(299_999).1, 300_000 + offset, "{name}");
        let ids: Vec<String> =
            table.users.iter().chain(table.items.iter()).map(str::to_owned).collect();
        (ids, table.ratings)
    };
    let want = in_order("a.csv", 1);
    for name in ["few.parquet", "one.parquet", "one.arrow", "one.arrows"] {
        for threads in [1, 3] {
            assert!(in_order(name, threads) == want, "{name} with {threads} threads");
        }
    }
}

#[test]
fn folders_and_patterns_are_one_set() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("plays");
    fs::create_dir(&folder).unwrap();
    let part = |user: &str, value: i32| {
        let values = Arc::new(Int32Array::from(vec![value, value])) as ArrayRef;
        batch(&[("user", texts(&[user, user])), ("item", texts(&["x", "y"])), ("rating", values)])
    };
    parquet(&folder.join("part-1.parquet"), &[part("b", 2)], Compression::SNAPPY, 1);
    parquet(&folder.join("part-0.parquet"), &[part("a", 1)], Compression::SNAPPY, 9);
    fs::write(folder.join("_SUCCESS"), "").unwrap();
    fs::write(folder.join("_metadata"), "x").unwrap();
    fs::write(folder.join(".part-0.parquet.crc"), "crc").unwrap();
    let text = dir.path().join("both.csv");
    fs::write(&text, "user,item,rating\na,x,1\na,y,1\nb,x,2\nb,y,2\n").unwrap();
    let all = |path: PathBuf| read(&[path], &ReadOptions::default(), &());
    let want = bits(all(text).unwrap());
    assert_eq!(bits(all(folder.clone()).unwrap()), want);
    assert_eq!(bits(all(folder.join("part-*.parquet")).unwrap()), want);
    let named = [folder.join("part-0.parquet"), folder.join("part-1.parquet")];
    assert_eq!(bits(read(&named, &ReadOptions::default(), &()).unwrap()), want);
    // Another kind among them, and other columns.
    fs::write(folder.join("part-2.csv"), "user,item,rating\nc,x,1\n").unwrap();
    let said = all(folder.clone()).unwrap_err().to_string();
    assert!(
        said.contains("part-2.csv: is comma-separated")
            && said.contains("is Parquet, columns user"),
        "{said}"
    );
    fs::remove_file(folder.join("part-2.csv")).unwrap();
    let other = batch(&[
        ("user", texts(&["c"])),
        ("item", texts(&["x"])),
        ("rating", texts(&["1"])),
        ("timestamp", texts(&["3"])),
    ]);
    parquet(&folder.join("part-3.parquet"), &[other], Compression::SNAPPY, 9);
    let said = all(folder).unwrap_err().to_string();
    assert!(
        said.contains("part-3.parquet: is Parquet, columns user,item,rating,timestamp, but"),
        "{said}"
    );
}

#[test]
fn pairs_and_splits_are_those_of_csv() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (all, csv) = many(500);
    fs::write(path("a.csv"), &csv).unwrap();
    parquet(&path("a.parquet"), std::slice::from_ref(&all), Compression::SNAPPY, 70);
    arrow(&path("a.arrow"), std::slice::from_ref(&all), None);
    let pairs = |name: &str| bits(read_pairs(&[path(name)], &ReadOptions::default(), &()).unwrap());
    let parts = |name: &str| -> Vec<String> {
        let (options, output) = (SplitOptions::default(), path(&format!("{name}-parts")));
        let facts = split(&[path(name)], &options, &output, false, &()).unwrap();
        let part = &facts.parts[0];
        assert!(part.train.ends_with("train.csv"));
        let text = |path: &Path| fs::read_to_string(path).unwrap().replace(".0\n", "\n");
        vec![text(&part.train), text(&part.test)]
    };
    for name in ["a.parquet", "a.arrow"] {
        assert_eq!(pairs(name), pairs("a.csv"));
        assert_eq!(parts(name), parts("a.csv").clone(), "{name}");
        fs::remove_dir_all(path("a.csv-parts")).unwrap();
    }
}

/// A file of which something is missing or wrong, wherever that is: read as what it says, or refused.
#[test]
fn damaged_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let (all, _) = many(2_000);
    let look = |bytes: &[u8], name: &str| -> Result<Table> {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let outcome = read(&[path], &ReadOptions::default(), &());
        if let Err(error) = &outcome {
            let text = error.to_string();
            assert!(text.contains(name) && !text.contains("\n"), "{text}");
        }
        outcome
    };
    let path = dir.path().join("good");
    let write: [(&str, &dyn Fn()); 3] = [
        ("f.parquet", &|| parquet(&path, std::slice::from_ref(&all), Compression::SNAPPY, 500)),
        ("f.arrow", &|| arrow(&path, std::slice::from_ref(&all), Some(CompressionType::LZ4_FRAME))),
        ("f.arrows", &|| stream(&path, std::slice::from_ref(&all))),
    ];
    for (name, write) in write {
        write();
        let whole = fs::read(&path).unwrap();
        assert_eq!(look(&whole, name).unwrap().ratings.len(), 2_000);
        for cut in (8..whole.len() - 16).step_by(whole.len() / 40) {
            let error = look(&whole[..cut], name).unwrap_err().to_string();
            let told = ["is the file complete?", "holds no ratings"];
            assert!(told.iter().any(|told| error.contains(told)), "{error}");
        }
        // Bytes of the head, the data and the footer.
        for at in (0..whole.len()).step_by(whole.len() / 150) {
            let mut other = whole.clone();
            other[at] ^= 0x55;
            let _ = look(&other, name);
        }
    }
    for (bytes, want) in [
        (&b"PAR1\0 and then text PAR1"[..], "the Parquet data is damaged"),
        (b"ARROW1\0\0 and then text", "the Arrow data is damaged"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", "the Arrow data is damaged"),
    ] {
        let said = look(bytes, "f").unwrap_err().to_string();
        assert!(said.contains(want), "{said}");
    }
    // A line of text may begin with that word.
    assert_eq!(look(b"PAR1,x,3\nb,y,4\n", "f").unwrap().ratings.len(), 2);
}
