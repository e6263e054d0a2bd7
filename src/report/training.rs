//! How training went.

use super::Section;
use super::figure::{Frame, Series, lines};
use crate::core::Loss;
use crate::model::{EpochRecord, Model};

type Column = fn(&EpochRecord) -> Option<f64>;

pub(super) fn section(model: &Model) -> Section {
    let squared = model.objective.loss == Loss::Squared;
    let shown = |x: f64| if squared { x.sqrt() } else { x };
    let name = if squared { "RMSE" } else { "loss" };
    let epoch = if model.run.posterior.is_some() { "sweep" } else { "epoch" };
    let curve = |name: &str, column: Column, shown: &dyn Fn(f64) -> f64| Series {
        name: name.to_owned(),
        points: model
            .run
            .history
            .iter()
            .filter_map(|of| Some((of.epoch as f64, shown(column(of)?))))
            .collect(),
    };
    let best = model.run.best_epoch.map(|best| (best as f64, "kept"));
    let after = format!("After each {epoch}.");
    let in_unit = format!("After each {epoch}, in the unit of training.");
    let draw = |id: &str, title: &str, (y, note): (&str, &str), series: Vec<Series>| {
        let frame = Frame { id, title: title.to_owned(), note: note.to_owned(), x: epoch, y };
        let some: Vec<Series> = series.into_iter().filter(|s| !s.points.is_empty()).collect();
        lines(&frame, &some, (false, false, false), best)
    };
    let errors = vec![
        curve("training ratings", |of| of.train_error, &shown),
        curve("held-out ratings", |of| of.test_error, &shown),
        curve("held-out ratings, one sample", |of| of.sample_error, &shown),
    ];
    let lists =
        vec![curve("recall@20", |of| of.recall, &|x| x), curve("NDCG@20", |of| of.ndcg, &|x| x)];
    let objective = vec![curve("objective", |of| of.objective, &|x| x)];
    let mut body = draw("errors-by-epoch", "Error while training", (name, &in_unit), errors);
    body += &draw(
        "lists-by-epoch",
        "Held-out items in lists of 20",
        ("mean over users", &after),
        lists,
    );
    body += &draw("objective", "What is minimized", ("objective", &after), objective);
    Section { id: "training", title: "Training", body }
}
