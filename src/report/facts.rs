//! What made the model: settings, data, device, digests.

use super::Section;
use super::figure::text_table;
use super::html::{Text, push};
use crate::model::Model;
use serde_json::Value;

pub(super) fn section(model: &Model) -> Section {
    let run = &model.run;
    let mut body = String::new();
    let pair = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![pair("", String::new())];
    rows.push(pair("solver", model.objective.solver.name().to_owned()));
    rows.push(pair("transform", model.objective.transform.describe()));
    rows.push(pair("device", format!("{} ({})", run.device, run.backend)));
    if let Some(failed) = &run.fallback {
        rows.push(pair(
            "failed before",
            format!("{} after epoch {}", failed.device, failed.epochs),
        ));
    }
    if let Some(signal) = &run.stopped_by {
        rows.push(pair("stopped by", signal.clone()));
    }
    rows.push(pair("epochs", run.epochs.to_string()));
    rows.push(pair("seconds", format!("{:.3}", run.seconds)));
    rows.push(pair("version", run.version.clone()));
    rows.push(pair("seed", run.seed.to_string()));
    text_table(&mut body, &rows);
    let digests: serde_json::Map<String, Value> =
        run.parts.iter().map(|(name, part)| (name.clone(), part.xxh128.clone().into())).collect();
    for (title, value) in [
        ("Settings", &run.settings),
        ("Data", &run.data),
        ("Digests (XXH3, 128 bits)", &digests.into()),
    ] {
        let told: Vec<Vec<String>> =
            flags(value).into_iter().map(|(key, value)| pair(&key, value)).collect();
        if !told.is_empty() {
            push!(body, "<details><summary>{}</summary>", Text(title));
            let rows: Vec<Vec<String>> =
                std::iter::once(pair("", String::new())).chain(told).collect();
            text_table(&mut body, &rows);
            body.push_str("</details>");
        }
    }
    Section { id: "facts", title: "How it was made", body }
}

/// What a record says, a name and a value each, as flags are named; what is not set is left out, and what lies in
/// another record stands under its own names.
pub fn flags(record: &Value) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for (key, value) in record.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Object(_) => told.extend(flags(value)),
            value => told.push((key.replace('_', "-"), one_line(value))),
        }
    }
    told
}

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(one_line).collect::<Vec<_>>().join(", "),
        Value::Object(_) => flags(value)
            .into_iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
