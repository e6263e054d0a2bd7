//! How good lists are, beside lists that know no tastes.

use super::activity::by_activity;
use super::figure::{Frame, table};
use super::{Section, Subject, ratings_of};
use crate::Result;
use crate::backend::Backend;
use crate::core::{Ratings, Side, figure, thousands};
use crate::evaluate::{
    ByUser, Estimate, RankBy, RankingMetrics, RankingOptions, Relevance, ranking_by_user,
};
use crate::predict::Predictive;
use crate::recommend::Criterion;

/// The lengths of the lists.
const AT: [usize; 3] = [5, 10, 20];

/// The metrics that everybody asks for; the others are folded away.
const FIRST: [&str; 7] =
    ["recall@10", "ndcg@10", "hit_rate@10", "recall@20", "ndcg@20", "coverage@20", "popularity@20"];

/// The metric that is shown by activity.
const SHOWN: &str = "recall@20";

pub(super) fn section(
    subject: &Subject,
    predictive: Option<&Predictive>,
    test: &Ratings,
    relevance: Relevance,
    backend: &dyn Backend,
) -> Result<Section> {
    let model = subject.model;
    let by_model = match predictive {
        Some(predictive) => RankBy::Samples(predictive, Criterion::Mean),
        None => RankBy::Model,
    };
    let mut rankings = vec![("this model", by_model), ("popularity", RankBy::Popularity)];
    if model.factors[Side::Item].bias.iter().any(|&bias| bias != 0.0) {
        rankings.push(("item biases", RankBy::ItemBias));
    }
    let options =
        RankingOptions { at: AT.to_vec(), relevance, candidates: None, include_seen: false };
    let mut measured: Vec<(&str, RankingMetrics, ByUser)> = Vec::new();
    for (name, by) in rankings {
        let (metrics, by_user) = ranking_by_user(backend, model, subject.seen, test, by, &options)?;
        measured.push((name, metrics, by_user));
    }
    let mut body = String::new();
    let own = &measured[0].1;
    body += &format!(
        "<p>{}Relevant are {}: {} users have {} of them; {} items ranked, those of a user's training pairs left \
         out. In brackets 95 % intervals by the bootstrap over users.</p>",
        subject.tested_on(),
        relevance.describe(),
        thousands(own.users),
        thousands(own.relevant),
        thousands(own.candidates)
    );
    let mut all = cells(&measured);
    let first: Vec<Vec<String>> =
        all.extract_if(.., |row| row[0].is_empty() || FIRST.contains(&row[0].as_str())).collect();
    all.insert(0, first[0].clone());
    table(&mut body, &first);
    body.push_str("<details><summary>All metrics</summary>");
    table(&mut body, &all);
    body.push_str("</details>");
    let frame = Frame {
        id: "recall-by-activity",
        title: "Lists by activity".to_owned(),
        note: format!("Mean {SHOWN} of users by how many training ratings they have."),
        x: "training ratings of the user",
        y: SHOWN,
    };
    let tables: Vec<(&str, &ByUser)> = measured.iter().map(|of| (of.0, &of.2)).collect();
    body += &by_activity(&frame, &tables, &|user| ratings_of(model, Side::User, user));
    Ok(Section { id: "ranking", title: "Lists", body })
}

fn cells(measured: &[(&str, RankingMetrics, ByUser)]) -> Vec<Vec<String>> {
    let estimate = |Estimate { mean, low, high }: Estimate| {
        format!("{} [{}, {}]", figure(mean, 3), figure(low, 3), figure(high, 3))
    };
    let heads = measured.iter().map(|of| of.0.to_owned());
    let mut rows = vec![std::iter::once(String::new()).chain(heads).collect::<Vec<_>>()];
    for (at, own) in measured[0].1.at.iter().enumerate() {
        for (metric, (name, _)) in own.means().iter().enumerate() {
            let of = measured.iter().map(|of| estimate(of.1.at[at].means()[metric].1));
            rows.push(std::iter::once(format!("{name}@{}", own.n)).chain(of).collect());
        }
        for (metric, (name, _)) in own.wholes().iter().enumerate() {
            let of = measured.iter().map(|of| figure(of.1.at[at].wholes()[metric].1, 3));
            rows.push(std::iter::once(format!("{name}@{}", own.n)).chain(of).collect());
        }
    }
    if measured[0].1.auc.is_some() {
        let of = measured.iter().map(|of| of.1.auc.map_or(String::new(), estimate));
        rows.push(std::iter::once("auc".to_owned()).chain(of).collect());
    }
    rows
}
