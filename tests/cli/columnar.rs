//! Parquet by the command: what is trained on it, and what is asked of the model, is as with CSV.

use crate::place::{Place, stderr};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow_ipc::reader::FileReader;
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use wgmf::core::Side;

/// Some ratings: in CSV, in Parquet under the same names, and in a folder of two files.
fn with_both() -> Place {
    let place = Place::new();
    let rows: Vec<(String, String, f32)> = (0..600_u32)
        .map(|row| (format!("u{}", row * 7 % 40), format!("i{}", row * 31 % 53), (row % 5) as f32))
        .collect();
    let mut text = "user,item,rating\n".to_owned();
    rows.iter().for_each(|(user, item, value)| text += &format!("{user},{item},{value}\n"));
    place.write("plays.csv", text);
    let users: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0)));
    let items: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1)));
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.2)));
    let columns = [("user", users), ("item", items), ("rating", values)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    fs::create_dir(place.path("plays")).unwrap();
    for (name, start, length) in [
        ("plays.parquet", 0, 600),
        ("plays/part-0.parquet", 0, 250),
        ("plays/part-1.parquet", 250, 350),
    ] {
        let file = File::create(place.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch.slice(start, length)).unwrap();
        writer.close().unwrap();
    }
    place
}

#[test]
fn models_and_answers_are_those_of_csv() {
    let place = with_both();
    for (input, model) in [("plays.csv", "csv"), ("plays.parquet", "parquet"), ("plays", "folder")]
    {
        place.ok(&format!("train {input} --solver als --factors 4 --epochs 2 --model {model}"));
        assert!(place.tensors(model) == place.tensors("csv"), "{model}");
    }
    for (command, options) in [
        ("evaluate csv", "--json"),
        ("evaluate parquet", "--json"),
        ("recommend csv -n 3 --new-users", "--format csv"),
        ("recommend csv -n 3 --all --allow", "--format csv"),
        ("predict csv", ""),
        ("predict parquet", ""),
    ] {
        let [text, columns] = ["csv", "parquet"].map(|ending| {
            let output = place.run(&format!("{command} plays.{ending} {options}"));
            let told = stderr(&output);
            assert!(output.status.success(), "{told}");
            // The same table in another form is read as in training, without a word.
            assert!(!told.contains("in training"), "{told}");
            String::from_utf8(output.stdout).unwrap().replace(&format!("plays.{ending}"), "plays")
        });
        assert_eq!(text, columns, "{command}");
    }
    place.ok("fold-in csv plays.parquet --update --output grown");
    place.ok("cross-validate plays.parquet --folds 2 --solver als --factors 2 --epochs 1");
    let told = place.run("inspect plays.parquet --json");
    let seen: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(seen["files"][0]["format"], "parquet");
    assert_eq!(seen["rows"][0]["line"], 1);
    let shown = place.ok("inspect plays.parquet");
    assert!(shown.contains("Parquet, columns user,item,rating; 600 ratings"), "{shown}");
    // The options that it names are options.
    let by = shown.lines().find_map(|line| line.trim().strip_prefix("the same by ")).unwrap();
    place.ok(&format!("inspect plays.parquet {by}"));
}

#[test]
fn pipes_and_compressed_files_are_refused_with_what_to_do() {
    let place = with_both();
    let parquet = place.read("plays.parquet");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &parquet).unwrap();
    place.write("packed.parquet.gz", packed.finish().unwrap());
    let output = place.run("inspect packed.parquet.gz");
    assert!(stderr(&output).contains("is a Parquet file, and"), "{}", stderr(&output));
}

/// The one batch of a file.
fn only(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut batches = reader.with_batch_size(1 << 16).build().unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch
}

/// A table in the form that CSV has it in.
fn as_csv(batch: &RecordBatch) -> String {
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..batch.num_rows() {
        let cell = |column: &ArrayRef| match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
            DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).to_string(),
            _ => format!("{:?}", column.as_primitive::<Float32Type>().value(row)),
        };
        text += &(batch.columns().iter().map(cell).collect::<Vec<_>>().join(",") + "\n");
    }
    text
}

#[test]
fn lists_and_predictions_are_written_by_column() {
    let place = with_both();
    place.ok("train plays.csv --solver als --factors 4 --epochs 2 --model m");
    for command in [
        "recommend m --all -n 5",
        "recommend m --users u3 --explain -n 2",
        "similar m --items i1,i2 -n 3",
        "predict m plays.csv",
    ] {
        let want = place.ok(&format!("{command} --output text.csv --force"))
            + std::str::from_utf8(&place.read("text.csv")).unwrap();
        place.ok(&format!("{command} --output table.parquet --force"));
        assert_eq!(as_csv(&only(&place.path("table.parquet"))), want, "{command}");
        // What was there is kept, but for --force.
        assert_eq!(place.run(&format!("{command} --output table.parquet")).status.code(), Some(1));
    }
    place.ok("predict m plays.csv --output pairs.arrow");
    let file = File::open(place.path("pairs.arrow")).unwrap();
    let batches: Vec<_> = FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect();
    assert_eq!(as_csv(&batches[0]), as_csv(&only(&place.path("table.parquet"))));
    // They are tables of ratings to this command too.
    place.ok("inspect pairs.arrow --columns user,item,prediction");
    // Who names another form gets that.
    place.ok("similar m --items i1 -n 3 --output lines.parquet --format jsonl");
    assert!(place.read("lines.parquet").starts_with(b"{"));
}

#[test]
fn a_table_that_cannot_be_written_leaves_nothing_and_says_why() {
    let place = with_both();
    place.ok("train plays.csv --solver als --factors 4 --epochs 2 --model m");
    for command in ["recommend m --all", "similar m --all", "predict m plays.csv"] {
        let output = place.run(&format!("{command} --output out.parquet.gz"));
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains("out.parquet.gz: ") && said.contains("leave out the last"), "{said}");
        assert!(!place.path("out.parquet.gz").exists());
    }
    let output = place.run("predict m missing.csv --output out.parquet");
    assert_eq!(output.status.code(), Some(1));
    assert!(!place.path("out.parquet").exists());
    #[cfg(target_os = "linux")]
    for name in ["full.parquet", "full.arrow"] {
        std::os::unix::fs::symlink("/dev/full", place.path(name)).unwrap();
        for command in ["recommend m --all", "predict m plays.csv"] {
            let output = place.run(&format!("{command} --output {name}"));
            assert_eq!(output.status.code(), Some(1), "{command} {name}");
            let said = stderr(&output);
            assert!(said.contains(name) && said.contains("; make room, or"), "{said}");
        }
    }
}

#[test]
fn an_export_has_the_model_in_rows() {
    let place = with_both();
    place.ok("train plays.csv --solver als --factors 4 --epochs 2 --model m");
    place.ok("export m --format parquet --output out");
    let model = wgmf::model::Model::open(place.path("m")).unwrap();
    for (name, ids, side) in
        [("users", &model.users, Side::User), ("items", &model.items, Side::Item)]
    {
        let path = place.path(&format!("out/{name}.parquet"));
        let opened = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let mean = &opened.schema().metadata()["wgmf.global_mean"];
        assert_eq!(mean.parse::<f32>().unwrap(), model.factors.global_mean);
        let batch = only(&path);
        let texts: Vec<_> = batch["id"].as_string::<i32>().iter().map(Option::unwrap).collect();
        assert_eq!(texts, ids.iter().collect::<Vec<_>>());
        assert_eq!(
            batch["bias"].as_primitive::<Float32Type>().values(),
            &model.factors[side].bias[..ids.len()]
        );
        let factors = batch["factors"].as_fixed_size_list();
        assert_eq!(factors.value_length(), 4);
        let factors = factors.values().as_primitive::<Float32Type>().values();
        assert_eq!(factors, &model.factors[side].factors[..ids.len() * 4]);
    }
}
