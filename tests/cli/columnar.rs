//! Parquet by the command: what is trained on it, and what is asked of the model, is as with CSV.

use crate::place::{Place, stderr};
use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::sync::Arc;

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
