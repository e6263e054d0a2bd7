//! How far predictions lie from test ratings, and for whom.

use super::figure::{Frame, Series, bars, lines, table};
use super::parts::{GROUPS, Kept, group};
use super::{Section, Subject, ratings_of};
use crate::Result;
use crate::core::{Ratings, Side, figure};
use crate::evaluate::{
    Biases, PredictiveMetrics, predictive_metrics, rating_baselines, rating_metrics,
};
use crate::predict::{Predictive, Unit};

/// Groups of equally many predictions, by size, of which it is asked whether they hold on average.
const TENTHS: usize = 10;

pub(super) fn section(
    subject: &Subject,
    predictive: Option<&Predictive>,
    test: &Ratings,
) -> Result<Section> {
    let (model, seen) = (subject.model, subject.seen);
    let mut body = String::new();
    let honest = predictive.map(|predictive| predictive_metrics(predictive, test)).transpose()?;
    let own = match &honest {
        Some(honest) => honest.rating.clone(),
        None => rating_metrics(model, test)?,
    };
    let beside = rating_baselines(model, seen, test)?;
    let rows = [("this model", &own), ("biases alone", &beside.biases), ("the mean", &beside.mean)];
    let mut cells = vec![["", "RMSE", "MAE"].map(str::to_owned).to_vec()];
    for (name, of) in rows {
        cells.push(vec![name.to_owned(), figure(of.rmse, 4), figure(of.mae, 4)]);
    }
    table(&mut body, &cells);
    let said = predictions(subject, predictive, test)?;
    let truth = |at: usize| match model.unit() {
        Unit::Probability => f64::from(model.objective.transform.apply(test.values[at])),
        _ => f64::from(test.values[at]),
    };
    let errors: Vec<f64> = (0..test.len()).map(|at| (said[at] - truth(at)).powi(2)).collect();
    let alone = Biases::new(seen).map(|biases| -> Vec<f64> {
        let pairs = test.iter().enumerate();
        let error = |(at, (user, item, _)): (usize, (u32, u32, f32))| {
            (biases_in_unit(subject, biases.score(user, item)) - truth(at)).powi(2)
        };
        pairs.map(error).collect()
    });
    for (side, id, of) in [
        (Side::Item, "by-popularity", "popularity: training ratings of the item"),
        (Side::User, "by-activity", "activity: training ratings of the user"),
    ] {
        let row = |at: usize| match side {
            Side::User => test.users[at],
            Side::Item => test.items[at],
        };
        let groups: Vec<usize> =
            (0..test.len()).map(|at| group(ratings_of(model, side, row(at)))).collect();
        let (counts, roots) = roots(&groups, &errors);
        let kept = Kept::of(&counts);
        let mut series =
            vec![Series { name: "this model".to_owned(), points: kept.points(&roots) }];
        if let Some(alone) = &alone {
            let points = kept.points(&self::roots(&groups, alone).1);
            series.push(Series { name: "biases alone".to_owned(), points });
        }
        let frame = Frame {
            id,
            title: format!("Error by {}", of.split(':').next().unwrap_or(of)),
            note: format!(
                "Test ratings by how many training ratings their {} has; 0 is one that the model \
                 does not know.",
                side.name()
            ),
            x: of.split(": ").nth(1).unwrap_or(of),
            y: "RMSE",
        };
        body += &bars(&frame, &kept.names(), &series);
    }
    body += &on_average(&said, &truth);
    body += &honest.as_ref().map_or(String::new(), intervals);
    Ok(Section { id: "errors", title: "Predictions", body })
}

/// What is predicted of each test pair, in the user's unit.
fn predictions(
    subject: &Subject,
    predictive: Option<&Predictive>,
    test: &Ratings,
) -> Result<Vec<f64>> {
    Ok(match predictive {
        Some(predictive) => {
            let all = predictive.summaries(&test.users, &test.items, &Default::default())?;
            all.into_iter().map(|summary| summary.mean).collect()
        }
        None => test.iter().map(|(user, item, _)| subject.model.predict(user, item)).collect(),
    })
}

/// What biases alone say, which are those of the labels themselves where these are 0 and 1.
fn biases_in_unit(subject: &Subject, score: f64) -> f64 {
    match subject.model.unit() {
        Unit::Rating => subject.model.in_unit(score),
        _ => score.clamp(0.0, 1.0),
    }
}

/// Counts and roots of mean squares, by group.
fn roots(groups: &[usize], squares: &[f64]) -> ([f64; GROUPS], [f64; GROUPS]) {
    let (mut counts, mut sums) = ([0.0; GROUPS], [0.0; GROUPS]);
    for (&group, square) in groups.iter().zip(squares) {
        counts[group] += 1.0;
        sums[group] += square;
    }
    let mut roots = sums;
    roots
        .iter_mut()
        .zip(&counts)
        .for_each(|(sum, &n): (&mut f64, &f64)| *sum = (*sum / n.max(1.0)).sqrt());
    (counts, roots)
}

/// Whether predictions hold on average: tenths of them by size, and the mean truth of each.
fn on_average(said: &[f64], truth: &dyn Fn(usize) -> f64) -> String {
    let mut order: Vec<usize> = (0..said.len()).collect();
    order.sort_by(|&a, &b| said[a].total_cmp(&said[b]));
    let size = order.len().div_ceil(TENTHS).max(1);
    let mean = |of: &[usize], value: &dyn Fn(usize) -> f64| {
        of.iter().map(|&at| value(at)).sum::<f64>() / of.len() as f64
    };
    let points: Vec<(f64, f64)> =
        order.chunks(size).map(|of| (mean(of, &|at| said[at]), mean(of, truth))).collect();
    lines(
        &Frame {
            id: "on-average",
            title: "Do predictions hold on average?".to_owned(),
            note: "Test pairs in tenths by what is predicted: the mean prediction and the mean rating of \
                   each. On the dashed line both are equal."
                .to_owned(),
            x: "mean prediction",
            y: "mean test rating",
        },
        &[Series { name: "test ratings".to_owned(), points }],
        (false, false, true),
        None,
    )
}

/// Whether intervals have in them what they promise.
fn intervals(honest: &PredictiveMetrics) -> String {
    let points = vec![
        (0.5, honest.coverage_50),
        (0.8, honest.coverage_80),
        (0.9, honest.coverage_90),
        (0.95, honest.coverage_95),
    ];
    lines(
        &Frame {
            id: "intervals",
            title: "Do intervals hold?".to_owned(),
            note:
                "The share of the test ratings that lie within their prediction intervals, by the \
                   probability that these have. On the dashed line they are honest."
                    .to_owned(),
            x: "probability of the interval",
            y: "share within it",
        },
        &[Series { name: "test ratings".to_owned(), points }],
        (false, false, true),
        None,
    )
}
