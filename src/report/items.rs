//! The items as the model has them: a map, which are most alike, and lists of some users.

use super::figure::text_table;
use super::html::{Text, push, script_json};
use super::map::{MOST, Map, map};
use super::{Section, Subject};
use crate::backend::Backend;
use crate::core::{Side, figure, plural, thousands};
use crate::predict::Predictive;
use crate::recommend::{Metric, Neighbours, Recommender};
use crate::{Error, Result};
use serde::Serialize;

/// Items whose nearest are shown, those with the most ratings.
const SHOWN: usize = 12;
/// Entries of a list.
const LENGTH: usize = 5;
/// Users whose lists are shown.
const USERS: usize = 6;

/// The map as the page's script reads it.
#[derive(Serialize)]
struct Embedded {
    /// x, y of each item, 0 to 65,535 over the range of both axes.
    places: Vec<u16>,
    /// Training ratings of each item.
    ratings: Vec<u32>,
    names: Vec<String>,
}

/// The map and the nearest, and what the script needs.
pub(super) fn section(
    subject: &Subject,
    predictive: Option<&Predictive>,
    backend: &dyn Backend,
) -> Result<(Vec<Section>, Option<String>)> {
    let model = subject.model;
    let Some(map) = map(model) else { return Ok((Vec::new(), None)) };
    let mut body = String::new();
    let of = match model.factors.items() > map.items.len() {
        true => format!("the {} items with the most ratings", thousands(map.items.len() as u64)),
        false => format!("all {} items", thousands(map.items.len() as u64)),
    };
    push!(
        body,
        "<p>Of {} the two directions in which their factors differ most, which hold {} % of the \
         variance. Items that the same people like lie near each other; larger dots have more ratings.</p>\
         <div class=map><label>Find an item <input id=find type=search autocomplete=off \
         placeholder=\"part of its name\"></label><output id=told aria-live=polite></output>\
         <div class=zoom><button id=closer aria-label=\"closer\">+</button><button id=farther \
         aria-label=\"farther\">−</button><button id=whole>all</button></div>\
         <canvas id=map tabindex=0 role=img aria-label=\"Map of {}; arrow keys move, plus and minus zoom\">\
         </canvas><ul id=found></ul></div><noscript><p>The map needs JavaScript.</p></noscript>",
        Text(&of),
        figure(100.0 * map.share, 2),
        Text(&of)
    );
    let mut sections = vec![Section { id: "items", title: "Map of the items", body }];
    let embedded = embed(subject, &map)?;
    let first: Vec<u32> = map.items.iter().copied().take(SHOWN).collect();
    let neighbours = match predictive {
        Some(predictive) => {
            Neighbours::by_samples(backend, predictive, Side::Item, Metric::Cosine)?
        }
        None => Neighbours::new(backend, model, Side::Item, Metric::Cosine)?,
    };
    let mut rows =
        vec![["item", "most alike, by the cosine of the factors"].map(str::to_owned).to_vec()];
    neighbours.each(first, LENGTH, |item, list| {
        let alike: Vec<String> = list
            .iter()
            .map(|like| format!("{}, {}", subject.called(like.row), figure(like.score, 2)))
            .collect();
        rows.push(vec![subject.called(item), alike.join(" · ")]);
        Ok(())
    })?;
    let mut body = String::new();
    text_table(&mut body, &rows);
    sections.push(Section { id: "alike", title: "Most alike", body });
    Ok((sections, Some(embedded)))
}

fn embed(subject: &Subject, map: &Map) -> Result<String> {
    debug_assert!(map.items.len() <= MOST);
    let all = || map.places.iter().flatten();
    let (low, high) = all().fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
    let scale = if high > low { 65_535.0 / (high - low) } else { 0.0 };
    let embedded = Embedded {
        places: all().map(|&x| ((x - low) * scale).round() as u16).collect(),
        ratings: map.items.iter().map(|&i| subject.model.item_ratings[i as usize]).collect(),
        names: map.items.iter().map(|&item| subject.called(item)).collect(),
    };
    script_json(&embedded).map_err(|wrong| Error::data(format!("the map: {wrong}")))
}

/// Lists of some users, evenly chosen by how many ratings they have.
pub(super) fn lists(subject: &Subject, recommender: &Recommender) -> Result<Section> {
    let (model, seen) = (subject.model, subject.seen);
    let mut users: Vec<u32> = (0..model.factors.users() as u32).collect();
    users.retain(|&user| !seen.items_of(user).is_empty());
    users.sort_by_key(|&user| model.user_ratings[user as usize]);
    let some: Vec<u32> = match users.len() {
        0 => Vec::new(),
        n => {
            let mut some: Vec<u32> =
                (0..USERS).map(|at| users[(2 * at + 1) * n / (2 * USERS)]).collect();
            some.dedup();
            some
        }
    };
    let heads = ["user", "has, what is rated highest first", "is recommended"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    recommender.each(some, LENGTH, |user, list| {
        let items = seen.items_of(user);
        let mut had: Vec<usize> = (0..items.len()).collect();
        let value = |at: usize| seen.values_of(user).map_or(1.0, |values| values[at]);
        had.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
        let had = had.iter().take(LENGTH).map(|&at| subject.called(items[at]));
        let best = list
            .iter()
            .map(|best| format!("{}, {}", subject.called(best.item), figure(best.score, 3)));
        rows.push(vec![
            format!("{} ({})", model.users.name(user), plural(items.len(), "rating")),
            had.collect::<Vec<_>>().join(" · "),
            best.collect::<Vec<_>>().join(" · "),
        ]);
        Ok(())
    })?;
    let mut body = String::new();
    if rows.len() > 1 {
        text_table(&mut body, &rows);
    }
    Ok(Section { id: "lists", title: "Sample lists", body })
}
