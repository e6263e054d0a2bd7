//! The page around the sections.

use super::html::{Text, push};
use super::{Section, Subject};
use crate::core::{Loss, Side, thousands};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a page is made of.
pub(super) struct Page<'a> {
    pub title: &'a str,
    pub headline: &'a str,
    pub cards: &'a [(&'a str, String)],
    pub sections: &'a [Section],
    /// JSON for the script.
    pub map: Option<&'a str>,
}

impl Page<'_> {
    /// The whole page.
    pub(super) fn html(&self) -> String {
        let Page { title, headline, cards, sections, map } = self;
        let mut out = String::with_capacity(1 << 20);
        push!(
            out,
            "<!doctype html><html lang=en><head><meta charset=utf-8>\
             <meta name=viewport content=\"width=device-width, initial-scale=1\">\
             <meta name=color-scheme content=\"light dark\"><link rel=icon href=\"data:,\">\
             <title>{} – wgmf</title><style>{STYLE}</style></head><body>\
             <a class=skip href=\"#main\">to the report</a><header><h1>{}</h1><p>{}</p></header>",
            Text(title),
            Text(title),
            Text(headline)
        );
        out.push_str("<dl class=cards>");
        for (name, value) in *cards {
            push!(out, "<div><dt>{}</dt><dd>{}</dd></div>", Text(name), Text(value));
        }
        out.push_str("</dl><nav aria-label=sections><ul>");
        for Section { id, title, .. } in *sections {
            push!(out, "<li><a href=\"#{id}\">{}</a></li>", Text(title));
        }
        out.push_str("</ul></nav><main id=main>");
        for Section { id, title, body } in *sections {
            let title = Text(title);
            push!(
                out,
                "<section id=\"{id}\" aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{title}</h2>"
            );
            // Figures stand side by side where there is room.
            push!(out, "<div class=body>{body}</div></section>");
        }
        push!(out, "</main><footer>wgmf {}</footer>", env!("CARGO_PKG_VERSION"));
        if let Some(map) = map {
            push!(out, "<script type=\"application/json\" id=items-data>{map}</script>");
            push!(out, "<script>{SCRIPT}</script>");
        }
        out.push_str("</body></html>\n");
        out
    }
}

/// The page of a model.
pub(super) fn page(subject: &Subject, sections: &[Section], map: Option<&str>) -> String {
    let (headline, cards) = (headline(subject), cards(subject));
    Page { title: subject.name, headline: &headline, cards: &cards, sections, map }.html()
}

fn headline(subject: &Subject) -> String {
    let model = subject.model;
    let f = &model.factors;
    let biases = f[Side::User].bias.iter().chain(&f[Side::Item].bias).any(|&bias| bias != 0.0);
    let kind = if biases { "factors and biases" } else { "factors" };
    let loss = match model.objective.loss {
        Loss::Squared => String::new(),
        loss => format!(" with {} loss", loss.name()),
    };
    let solver = model.objective.solver.name();
    format!("{} {kind} by {solver}{loss}, on {}", f.factors, device(subject))
}

fn device<'a>(subject: &Subject<'a>) -> &'a str {
    let device = &subject.model.run.device;
    if device.is_empty() { "a device that is not recorded" } else { device }
}

fn cards(subject: &Subject) -> Vec<(&'static str, String)> {
    let model = subject.model;
    let [users, items] = [model.factors.users(), model.factors.items()];
    let ratings: u64 = model.user_ratings.iter().map(|&n| u64::from(n)).sum();
    let share = 100.0 * ratings as f64 / (users as f64 * items as f64).max(1.0);
    let mut cards = vec![
        ("users", thousands(users as u64)),
        ("items", thousands(items as u64)),
        ("training ratings", thousands(ratings)),
        ("of all pairs", format!("{} %", crate::core::figure(share, 2))),
        ("epochs", thousands(model.run.epochs as u64)),
        ("seconds of training", crate::core::figure(model.run.seconds, 3)),
    ];
    if let Some(test) = subject.test {
        cards.push(("test ratings", thousands(test.len() as u64)));
    }
    cards
}
