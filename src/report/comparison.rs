//! Two models beside each other on one page.

use super::Section;
use super::activity::by_activity;
use super::figure::{Frame, differences, table};
use super::html::{Text, push};
use super::page::Page;
use crate::core::{figure, thousands};
use crate::evaluate::{ByUser, Comparison};

/// What two models were held against each other by.
pub struct Compared<'a> {
    /// What the models are called.
    pub names: [&'a str; 2],
    /// What they were measured on, and where lists were, which test pairs count as relevant.
    pub tested: &'a str,
    /// Their figures, the differences and how sure these are.
    pub comparison: &'a Comparison,
    /// The figures of each user of whom they are, numbered alike.
    pub by_user: [&'a ByUser; 2],
    /// How many ratings a user of these numbers has in the first model's training part.
    pub activity: &'a dyn Fn(u32) -> u32,
}

/// The page: every figure with its interval, where the differences lie, and for whom. The same figures give the
/// same bytes.
pub fn compare_page(compared: &Compared) -> String {
    let Compared { names, tested, comparison, .. } = compared;
    let [a, b] = names;
    let title = format!("{a} and {b}");
    let mut body = String::new();
    push!(
        body,
        "<p>{}. {} users with figures of both. Intervals are of 2000 paired bootstrap samples of the users; p is about \
         how often other users would have the models as far apart if neither was better. They say nothing of other \
         seeds.</p>",
        Text(tested),
        thousands(comparison.users)
    );
    let mut rows =
        vec![["", *a, *b, "difference", "95 % interval", "p"].map(str::to_owned).to_vec()];
    for of in &comparison.figures {
        rows.push(vec![
            of.name.clone(),
            figure(of.a, 4),
            figure(of.b, 4),
            figure(of.difference, 3),
            format!("[{}, {}]", figure(of.low, 3), figure(of.high, 3)),
            figure(of.p, 2),
        ]);
    }
    table(&mut body, &rows);
    // In parts of the first model's figure, so that all fit one axis.
    let share = |of: &crate::evaluate::Compared, x: f64| 100.0 * x / of.a.abs();
    let relative: Vec<(String, [f64; 3])> = comparison
        .figures
        .iter()
        .filter(|of| of.a != 0.0)
        .map(|of| (of.name.clone(), [of.low, of.difference, of.high].map(|x| share(of, x))))
        .collect();
    body += &differences(
        &Frame {
            id: "differences",
            title: format!("{b} against {a}"),
            note: format!(
                "The difference in per cent of the figure of {a}, with its 95 % interval; one that holds 0 \
                 decides nothing. Of errors less is better, of all else more."
            ),
            x: "per cent",
            y: "",
        },
        &relative,
    );
    body += &most_telling(compared);
    let sections = [Section { id: "comparison", title: "Comparison", body }];
    let page = Page {
        title: &title,
        headline: &format!("{} and {}, held against the same test ratings", names[0], names[1]),
        cards: &[("users", thousands(comparison.users))],
        sections: &sections,
        map: None,
    };
    page.html()
}

/// The figure that matters most of those that there are, of users by their training ratings.
fn most_telling(compared: &Compared) -> String {
    let Compared { names, by_user, activity, .. } = compared;
    let there = |name: &&str| by_user.iter().all(|of| of.names.iter().any(|own| own == name));
    let mut all = by_user[0].names.iter().map(String::as_str);
    let wanted = ["rmse", "ndcg@20", "ndcg@10"].into_iter().find(there);
    let Some(shown) = wanted.or_else(|| all.find(there)) else { return String::new() };
    let frame = Frame {
        id: "by-activity",
        title: format!("{shown} by activity"),
        note: format!("The mean {shown} of users by how many training ratings they have."),
        x: "training ratings of the user",
        y: shown,
    };
    let tables = [(names[0], by_user[0]), (names[1], by_user[1])];
    by_activity(&frame, &tables, activity)
}
