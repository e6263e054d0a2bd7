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
        let told: Vec<Vec<String>> = value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| pair(key, one_line(value)))
            .collect();
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

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
