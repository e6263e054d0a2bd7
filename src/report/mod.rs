//! A report of a model as one page of HTML that needs nothing else: what it was trained on, how training went, how
//! far it errs and for whom, how it ranks beside what knows no tastes, a map of its items, sample lists, and what
//! made it. Figures are drawn here; a script of the page's own serves the map alone.

mod activity;
mod comparison;
mod data;
mod errors;
mod facts;
mod figure;
mod html;
mod items;
mod map;
mod page;
mod parts;
mod ranking;
mod training;

use crate::backend::Backend;
use crate::core::{Ratings, Side, UNKNOWN};
use crate::evaluate::Relevance;
use crate::model::{Model, Samples, Seen};
use crate::predict::{Predictive, Unit};
use crate::recommend::{Catalogue, Criterion, Recommender};
use crate::{Error, Result};

use html::{Text, push};

pub use comparison::{Compared, compare_page};
pub use facts::flags;
pub use map::{Map, map};

/// What a report is of.
pub struct Subject<'a> {
    /// What the model is called, such as its directory.
    pub name: &'a str,
    /// The model.
    pub model: &'a Model,
    /// Its samples, if and only if it is Bayesian.
    pub samples: Option<&'a Samples>,
    /// Its training pairs.
    pub seen: &'a Seen,
    /// Where the test ratings are from, such as their files; empty where nobody knows.
    pub tested: &'a str,
    /// Test ratings: indices of the model or [`UNKNOWN`], values in the user's unit.
    pub test: Option<&'a Ratings>,
    /// Which of them count as relevant where lists are measured; without it lists are not.
    pub relevance: Option<Relevance>,
    /// What items are called, by index; empty of those that have no other name than their id.
    pub titles: &'a dyn Fn(u32) -> String,
}

impl Subject<'_> {
    /// An item's title, or else its id.
    fn called(&self, item: u32) -> String {
        let title = (self.titles)(item);
        if title.is_empty() { self.model.items.name(item).to_owned() } else { title }
    }

    /// Where the test ratings are from, in a sentence of HTML.
    fn tested_on(&self) -> String {
        let mut text = String::new();
        if !self.tested.is_empty() {
            push!(text, "Measured on {}. ", Text(self.tested));
        }
        text
    }

    fn check(&self) -> Result<()> {
        let (model, f) = (self.model, &self.model.factors);
        model.check()?;
        if (self.seen.users(), self.seen.items()) != (f.users(), f.items()) {
            return Err(Error::data("the training pairs are another model's"));
        }
        if model.is_bayesian() != self.samples.is_some() {
            return Err(Error::data("a model of `solver` bayes has samples, and no other has"));
        }
        match self.test {
            Some(test) if test.is_empty() => Err(Error::data("there are no test ratings")),
            Some(test) => test.check(f.users(), f.items(), true),
            None => Ok(()),
        }
    }
}

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    /// HTML.
    body: String,
}

/// The page. Lists and ranks are computed on `backend`. The same model, data and device give the same bytes.
///
/// # Errors
/// Parts that are of different models; what [`rating_metrics`](crate::evaluate::rating_metrics) and
/// [`ranking_metrics`](crate::evaluate::ranking_metrics) say of the test ratings; a lost device.
pub fn report(subject: &Subject, backend: &dyn Backend) -> Result<String> {
    subject.check()?;
    let model = subject.model;
    let predictive = subject.samples.map(|samples| Predictive::new(model, samples)).transpose()?;
    let mut sections = vec![data::section(subject), training::section(model)];
    if let Some(test) = subject.test {
        if matches!(model.unit(), Unit::Rating | Unit::Probability) {
            sections.push(errors::section(subject, predictive.as_ref(), test)?);
        }
        if let Some(relevance) = subject.relevance {
            sections.push(ranking::section(
                subject,
                predictive.as_ref(),
                test,
                relevance,
                backend,
            )?);
        }
    }
    let catalogue = match &predictive {
        Some(predictive) => Catalogue::by_samples(predictive, Criterion::Mean, |_| true)?,
        None => Catalogue::all(model),
    };
    let recommender = Recommender::new(backend, catalogue)?.leaving_out(subject.seen)?;
    let (found, embedded) = items::section(subject, predictive.as_ref(), backend)?;
    sections.extend(found);
    sections.push(items::lists(subject, &recommender)?);
    sections.push(facts::section(model));
    sections.retain(|section| !section.body.is_empty());
    Ok(page::page(subject, &sections, embedded.as_deref()))
}

/// The training ratings of a row; none of one that the model does not know.
fn ratings_of(model: &Model, side: Side, row: u32) -> u32 {
    let counts = match side {
        Side::User => &model.user_ratings,
        Side::Item => &model.item_ratings,
    };
    if row == UNKNOWN { 0 } else { counts[row as usize] }
}
