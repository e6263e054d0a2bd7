//! Figures as SVG, drawn here so that the page needs no script for them: every mark says its numbers when it is
//! pointed at, and a table below has them all.

use super::html::{Text, push};
use crate::core::figure;

/// The drawing's size in its own units; the page scales it.
const SIZE: [f64; 2] = [440.0, 260.0];
/// What the axes leave free: left, right, top, bottom.
const MARGIN: [f64; 4] = [52.0, 10.0, 10.0, 40.0];

/// How wide a letter of a group's name is, about.
const LETTER: f64 = 6.3;

/// A line, or the bars of one colour.
pub(super) struct Series {
    pub name: String,
    /// (x, y); of bars x is the number of the group.
    pub points: Vec<(f64, f64)>,
}

/// What a figure says of itself.
pub(super) struct Frame<'a> {
    /// A short id that no other figure of the page has.
    pub id: &'a str,
    pub title: String,
    /// One sentence on what is to be seen, for people who cannot see it or ask what it is.
    pub note: String,
    pub x: &'a str,
    pub y: &'a str,
}

/// A number as the tables have it: counts without a point.
fn digits(x: f64, significant: usize) -> String {
    match x.fract() == 0.0 && x.abs() < 1e15 {
        true => format!("{x:.0}"),
        false => figure(x, significant),
    }
}

/// How numbers of an axis lie on it.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Whether there is nothing between whole numbers.
    whole: bool,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, x: f64) -> f64 {
        let place = |x: f64| if self.log { x.ln() } else { x };
        let (low, high) = (place(self.low), place(self.high));
        let share = if high > low { (place(x) - low) / (high - low) } else { 0.5 };
        self.from + share * (self.to - self.from)
    }

    /// Round numbers within the axis, some five of them.
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
            let every = ((last - first) / 6 + 1).max(1);
            return (first..=last).step_by(every as usize).map(|e| 10_f64.powi(e)).collect();
        }
        let step = round_step((self.high - self.low) / 5.0);
        let step = if self.whole { step.max(1.0) } else { step };
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    if !(least > 0.0 && least.is_finite()) {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= least * 0.999);
    times.unwrap_or(10.0) * power
}

/// A number at an axis: thousands and millions by letter.
pub(super) fn short(x: f64) -> String {
    let (scaled, letter) = match x.abs() {
        size if size >= 1e9 => (x / 1e9, "G"),
        size if size >= 1e6 => (x / 1e6, "M"),
        size if size >= 1e4 => (x / 1e3, "k"),
        _ => (x, ""),
    };
    let text = match scaled.abs() {
        0.0 => "0".to_owned(),
        size if size < 1e-4 => format!("{scaled:.1e}"),
        _ => {
            let text = format!("{scaled:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    format!("{text}{letter}")
}

fn range(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    values.filter(|x| x.is_finite()).fold(None, |range, x| match range {
        None => Some([x, x]),
        Some([low, high]) => Some([f64::min(low, x), f64::max(high, x)]),
    })
}

/// Lines over an axis of numbers. `diagonal` adds what would be perfect where both axes have one unit;
/// `mark` a place on the x axis with a word. Nothing where there are not two points.
pub(super) fn lines(
    frame: &Frame,
    series: &[Series],
    (log_x, from_zero, diagonal): (bool, bool, bool),
    mark: Option<(f64, &str)>,
) -> String {
    let all = || series.iter().flat_map(|series| &series.points);
    let (Some(xs), Some([mut low, mut high])) =
        (range(all().map(|p| p.0)), range(all().map(|p| p.1)))
    else {
        return String::new();
    };
    if xs[0] == xs[1] {
        return String::new();
    }
    if diagonal {
        (low, high) = (low.min(xs[0]), high.max(xs[1]));
    }
    let room = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1e-9) };
    low = if from_zero { 0.0 } else { low - room };
    high += room;
    let (mut x, y) = axes(xs, [low, high], log_x);
    x.whole = all().all(|point| point.0.fract() == 0.0);
    let mut body = String::new();
    grid(&mut body, frame, &x, &y, true);
    if diagonal {
        let [a, b] = [xs[0].max(low), xs[1].min(high)];
        push!(
            body,
            "<line class=perfect x1={:.1} y1={:.1} x2={:.1} y2={:.1} />",
            x.at(a),
            y.at(a),
            x.at(b),
            y.at(b)
        );
    }
    if let Some((at, word)) = mark {
        let [left, top] = [x.at(at), MARGIN[2]];
        push!(body, "<line class=mark x1={left:.1} y1={top} x2={left:.1} y2={:.1} />", y.from);
        push!(
            body,
            "<text class=tick x={:.1} y={:.1}>{}</text>",
            left + 4.0,
            top + 10.0,
            Text(word)
        );
    }
    for (at, Series { name, points }) in series.iter().enumerate() {
        let path: Vec<String> =
            points.iter().map(|&(a, b)| format!("{:.1},{:.1}", x.at(a), y.at(b))).collect();
        push!(body, "<polyline class=\"line s{at}\" points=\"{}\" />", path.join(" "));
        // So many points that marks would hide the line are told by the table.
        if points.len() <= 60 {
            for &(a, b) in points {
                push!(
                    body,
                    "<circle class=\"dot s{at}\" cx={:.1} cy={:.1} r=3><title>{}: {} {}, {} {}</title></circle>",
                    x.at(a),
                    y.at(b),
                    Text(name),
                    Text(frame.x),
                    short(a),
                    Text(frame.y),
                    digits(b, 4)
                );
            }
        }
    }
    let rows = table_of_lines(series);
    whole(frame, series, &body, &rows)
}

/// Bars side by side in groups that have names.
pub(super) fn bars(frame: &Frame, groups: &[String], series: &[Series]) -> String {
    let values = series.iter().flat_map(|series| &series.points).map(|p| p.1);
    let Some([low, high]) = range(values) else { return String::new() };
    let (low, high) = (low.min(0.0), high.max(0.0));
    let (_, y) = axes([0.0, 1.0], [low, if high > low { high * 1.06 } else { 1.0 }], false);
    let x = Axis {
        low: 0.0,
        high: groups.len() as f64,
        log: false,
        whole: false,
        from: MARGIN[0],
        to: SIZE[0] - MARGIN[1],
    };
    let mut body = String::new();
    grid(&mut body, frame, &x, &y, false);
    // Names that would touch are left out; the table has them.
    let wide = groups.iter().map(|group| group.chars().count() as f64 + 1.0).sum::<f64>() * LETTER;
    let every = ((wide / (x.to - x.from)).ceil() as usize).max(1);
    for (at, group) in groups.iter().enumerate().step_by(every) {
        push!(
            body,
            "<text class=\"tick mid\" x={:.1} y={:.1}>{}</text>",
            x.at(at as f64 + 0.5),
            y.from + 14.0,
            Text(group)
        );
    }
    let wide = 0.8 / series.len().max(1) as f64;
    for (at, Series { name, points }) in series.iter().enumerate() {
        for &(group, value) in points {
            let left = x.at(group + 0.1 + wide * at as f64);
            let [top, bottom] = [y.at(value.max(0.0)), y.at(value.min(0.0))];
            let label = groups.get(group as usize).map_or("", String::as_str);
            push!(
                body,
                "<rect class=\"bar s{at}\" x={left:.1} y={top:.1} width={:.1} height={:.1}><title>{}, {}: {}</title></rect>",
                (x.at(wide) - x.at(0.0)) * 0.94,
                (bottom - top).max(0.5),
                Text(name),
                Text(label),
                digits(value, 4)
            );
        }
    }
    let mut rows = vec![heads(frame.x, series)];
    for (at, group) in groups.iter().enumerate() {
        let of = |series: &Series| {
            let point = series.points.iter().find(|point| point.0 == at as f64);
            point.map_or(String::new(), |point| digits(point.1, 4))
        };
        rows.push(std::iter::once(group.clone()).chain(series.iter().map(of)).collect());
    }
    whole(frame, series, &body, &rows)
}

/// Rows of low, middle and high around a line at 0.
pub(super) fn differences(frame: &Frame, rows: &[(String, [f64; 3])]) -> String {
    let values = || rows.iter().flat_map(|(_, of)| *of).chain([0.0]);
    let Some([low, high]) = range(values()).filter(|_| !rows.is_empty()) else {
        return String::new();
    };
    let room = 0.05 * (high - low).max(1e-9);
    let left =
        MARGIN[0] + LETTER * rows.iter().map(|row| row.0.len()).max().unwrap_or(0) as f64 - 20.0;
    let x = Axis {
        low: low - room,
        high: high + room,
        log: false,
        whole: false,
        from: left.max(MARGIN[0]),
        to: SIZE[0] - MARGIN[1],
    };
    let bottom = SIZE[1] - MARGIN[3];
    let step = (bottom - MARGIN[2]) / rows.len() as f64;
    let mut body = String::new();
    for tick in x.ticks() {
        let at = x.at(tick);
        let class = if tick == 0.0 { "axis" } else { "grid" };
        push!(
            body,
            "<line class={class} x1={at:.1} y1={:.1} x2={at:.1} y2={bottom:.1} />",
            MARGIN[2]
        );
        push!(
            body,
            "<text class=\"tick mid\" x={at:.1} y={:.1}>{}</text>",
            bottom + 14.0,
            short(tick)
        );
    }
    let every = (13.0 / step).ceil().max(1.0) as usize;
    for (at, (name, of)) in rows.iter().enumerate() {
        let y = MARGIN[2] + (at as f64 + 0.5) * step;
        if at.is_multiple_of(every) {
            push!(
                body,
                "<text class=\"tick end\" x={:.1} y={:.1}>{}</text>",
                x.from - 5.0,
                y + 4.0,
                Text(name)
            );
        }
        let [low, middle, high] = of.map(|value| x.at(value));
        push!(body, "<line class=\"line s0\" x1={low:.1} y1={y:.1} x2={high:.1} y2={y:.1} />");
        push!(
            body,
            "<circle class=\"dot s0\" cx={middle:.1} cy={y:.1} r=3.5><title>{}: {} [{}, {}]</title></circle>",
            Text(name),
            digits(of[1], 3),
            digits(of[0], 3),
            digits(of[2], 3)
        );
    }
    let middle = (x.from + x.to) / 2.0;
    push!(
        body,
        "<text class=\"label mid\" x={middle:.1} y={:.1}>{}</text>",
        SIZE[1] - 6.0,
        Text(frame.x)
    );
    let mut told = vec![["", "low", "difference", "high"].map(str::to_owned).to_vec()];
    for (name, of) in rows {
        told.push(std::iter::once(name.clone()).chain(of.map(|x| digits(x, 3))).collect());
    }
    whole(frame, &[], &body, &told)
}

fn axes(xs: [f64; 2], ys: [f64; 2], log: bool) -> (Axis, Axis) {
    let [left, right, top, bottom] = MARGIN;
    let x = Axis { low: xs[0], high: xs[1], log, whole: false, from: left, to: SIZE[0] - right };
    let y =
        Axis { low: ys[0], high: ys[1], log: false, whole: false, from: SIZE[1] - bottom, to: top };
    (x, y)
}

fn grid(body: &mut String, frame: &Frame, x: &Axis, y: &Axis, numbers: bool) {
    for tick in y.ticks() {
        let at = y.at(tick);
        push!(body, "<line class=grid x1={:.1} y1={at:.1} x2={:.1} y2={at:.1} />", x.from, x.to);
        push!(
            body,
            "<text class=\"tick end\" x={:.1} y={:.1}>{}</text>",
            x.from - 5.0,
            at + 4.0,
            short(tick)
        );
    }
    if numbers {
        for tick in x.ticks() {
            let (at, under) = (x.at(tick), y.from + 14.0);
            push!(body, "<text class=\"tick mid\" x={at:.1} y={under:.1}>{}</text>", short(tick));
        }
    }
    let middle = [(x.from + x.to) / 2.0, (y.from + y.to) / 2.0];
    push!(
        body,
        "<line class=axis x1={:.1} y1={:.1} x2={:.1} y2={:.1} />",
        x.from,
        y.from,
        x.to,
        y.from
    );
    push!(
        body,
        "<text class=\"label mid\" x={:.1} y={:.1}>{}</text>",
        middle[0],
        SIZE[1] - 6.0,
        Text(frame.x)
    );
    push!(
        body,
        "<text class=\"label mid\" transform=\"rotate(-90)\" x={:.1} y=12>{}</text>",
        -middle[1],
        Text(frame.y)
    );
}

fn heads(x: &str, series: &[Series]) -> Vec<String> {
    std::iter::once(x.to_owned()).chain(series.iter().map(|series| series.name.clone())).collect()
}

/// A line a place on the x axis; empty cells where a series has nothing there.
fn table_of_lines(series: &[Series]) -> Vec<Vec<String>> {
    let mut places: Vec<f64> = series.iter().flat_map(|s| &s.points).map(|p| p.0).collect();
    places.sort_unstable_by(f64::total_cmp);
    places.dedup();
    let mut rows = vec![heads("", series)];
    for place in places {
        let of = |series: &Series| {
            let point = series.points.iter().find(|point| point.0 == place);
            point.map_or(String::new(), |point| digits(point.1, 4))
        };
        rows.push(std::iter::once(short(place)).chain(series.iter().map(of)).collect());
    }
    rows
}

fn whole(frame: &Frame, series: &[Series], body: &str, rows: &[Vec<String>]) -> String {
    let Frame { id, title, note, .. } = frame;
    let mut out = String::new();
    push!(
        out,
        "<figure id=\"{id}\"><figcaption>{}<span>{}</span></figcaption>",
        Text(title),
        Text(note)
    );
    if series.len() > 1 {
        out.push_str("<ul class=key>");
        for (at, series) in series.iter().enumerate() {
            push!(out, "<li class=s{at}>{}</li>", Text(&series.name));
        }
        out.push_str("</ul>");
    }
    push!(
        out,
        "<svg viewBox=\"0 0 {} {}\" role=img aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{body}</svg>",
        SIZE[0],
        SIZE[1],
        Text(title),
        Text(note)
    );
    out.push_str("<details><summary>Numbers</summary>");
    table(&mut out, rows);
    out.push_str("</details></figure>");
    out
}

/// A table of numbers whose first row has the heads, and whose first column names the rows.
pub(super) fn table(out: &mut String, rows: &[Vec<String>]) {
    any_table(out, "numbers", rows);
}

/// The same of text, whose lines may be broken.
pub(super) fn text_table(out: &mut String, rows: &[Vec<String>]) {
    any_table(out, "text", rows);
}

fn any_table(out: &mut String, kind: &str, rows: &[Vec<String>]) {
    let Some((heads, rows)) = rows.split_first() else { return };
    push!(out, "<div class=scroll><table class={kind}><thead><tr>");
    heads.iter().for_each(|head| push!(out, "<th scope=col>{}</th>", Text(head)));
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            match at {
                0 => push!(out, "<th scope=row>{}</th>", Text(cell)),
                _ => push!(out, "<td>{}</td>", Text(cell)),
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'static> =
        Frame { id: "f", title: String::new(), note: String::new(), x: "x", y: "y" };

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        for (low, high) in [(0.0, 1.0), (0.85, 0.93), (-3.0, 12.0), (1e5, 3.7e6), (2.0, 2.000_01)] {
            let (_, axis) = axes([0.0, 1.0], [low, high], false);
            let ticks = axis.ticks();
            assert!((3..=11).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
            let slack = 1e-6 * (high - low);
            assert!(ticks.iter().all(|&t| t >= low - slack && t <= high + slack), "{ticks:?}");
        }
        let (axis, _) = axes([1.0, 1e5], [0.0, 1.0], true);
        assert_eq!(axis.ticks(), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5].map(|x: f64| x));
    }

    #[test]
    fn numbers_at_axes_are_short() {
        let shown = [0.0, 0.25, 1.0, 1200.0, 45_000.0, 2.5e6, 1e-7, -0.5].map(short);
        assert_eq!(shown, ["0", "0.25", "1", "1200", "45k", "2.5M", "1.0e-7", "-0.5"]);
    }

    #[test]
    fn points_lie_where_their_numbers_say() {
        let (x, y) = axes([0.0, 10.0], [0.0, 2.0], false);
        assert_eq!([x.at(0.0), x.at(10.0)], [MARGIN[0], SIZE[0] - MARGIN[1]]);
        assert_eq!([y.at(0.0), y.at(2.0)], [SIZE[1] - MARGIN[3], MARGIN[2]]);
        assert_eq!(x.at(5.0), (MARGIN[0] + SIZE[0] - MARGIN[1]) / 2.0);
        let points = vec![(1.0, 0.5), (2.0, 0.25)];
        let drawn =
            lines(&FRAME, &[Series { name: "a <b>".into(), points }], (false, false, false), None);
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(drawn.contains("a &lt;b&gt;: x 2, y 0.2500"), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        for points in [vec![], vec![(1.0, 2.0)], vec![(1.0, f64::NAN), (2.0, f64::NAN)]] {
            let series = [Series { name: "a".into(), points }];
            assert_eq!(lines(&FRAME, &series, (false, false, false), None), "");
        }
        assert_eq!(bars(&FRAME, &[], &[]), "");
    }
}
