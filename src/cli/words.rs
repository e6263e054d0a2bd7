//! Numbers and names as people read them.

pub(super) use wgmf::core::thousands;

/// A count and what is counted: `1 user`, `20,000 users`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count as u64))
}

/// `there are only 3 items`, `there is only 1 item`.
pub(super) fn there_are_only(count: usize, noun: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("there {verb} only {}", counted(count, noun))
}

/// Factors are single precision, so more digits would say nothing; but there are numbers beyond it.
pub(super) fn number(x: f64) -> String {
    match x as f32 {
        single if single.is_finite() => format!("{single:?}"),
        _ => format!("{x:?}"),
    }
}

/// Text on one line.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text without characters that a terminal would obey, such as those that begin an escape sequence;
/// line feeds and tabs stay.
pub(super) fn printable(text: &str) -> String {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// `3 of 50 users are not in the model: "a", "b", "c"`, where `what` is `users are not in the
/// model`; the first few are named.
pub(super) fn some_of<S: AsRef<str>>(some: &[S], all: usize, what: &str) -> String {
    const NAMED: usize = 5;
    /// Characters of an id that are shown: a line that is no id may be of any length.
    const SHOWN: usize = 60;
    let shown = |id: &str| match id.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("\"{}...\"", &id[..end]),
        None => format!("\"{id}\""),
    };
    let names = some.iter().take(NAMED).map(|id| shown(id.as_ref()));
    let names = names.collect::<Vec<_>>().join(", ");
    let more = if some.len() > NAMED { ", ..." } else { "" };
    let (few, all) = (thousands(some.len() as u64), thousands(all as u64));
    format!("{few} of {all} {what}: {names}{more}")
}

/// A message of the library, which names settings as `` `reg_bias` ``, as the command line has them:
/// `--reg-bias`, where `is_flag` knows the name. Backticks of ids and of files have a backslash before them,
/// which goes.
pub(super) fn flags(message: &str, is_flag: impl Fn(&str) -> bool) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('`') {
        if let Some(before) = before.strip_suffix('\\') {
            text.push_str(before);
            text.push('`');
            rest = after;
            continue;
        }
        text.push_str(before);
        let name = after.split_once('`').map(|(name, behind)| (name.replace('_', "-"), behind));
        match name.filter(|(name, _)| is_flag(name)) {
            Some((name, behind)) => {
                text.push_str("--");
                text.push_str(&name);
                rest = behind;
            }
            None => {
                text.push('`');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_told_nothing() {
        assert_eq!(
            printable("a\x1b[31mb\tc\nd\x07\u{9b}é"),
            "a\u{fffd}[31mb\tc\nd\u{fffd}\u{fffd}é"
        );
    }

    #[test]
    fn numbers_are_single_where_they_can_be() {
        for (x, text) in [(0.1_f32.into(), "0.1"), (3.4e38, "3.4e38"), (-5.1e38, "-5.1e38")] {
            assert_eq!(number(x), text);
        }
    }

    #[test]
    fn a_few_are_named_and_long_ones_are_cut() {
        let long = "é".repeat(1000);
        let text = some_of(&["a", "b", "c", "d", &long, "f"], 2000, "users are not there");
        let cut = "é".repeat(60);
        let names = format!("\"a\", \"b\", \"c\", \"d\", \"{cut}...\", ...");
        assert_eq!(text, format!("6 of 2,000 users are not there: {names}"));
    }

    #[test]
    fn settings_become_flags_and_other_ticks_stay() {
        let known = |name: &str| ["reg-bias", "solver"].contains(&name);
        for (message, expected) in [
            ("`reg_bias` 0.1 belongs to `solver` als", "--reg-bias 0.1 belongs to --solver als"),
            ("item \"`odd`\" and `solver`", "item \"`odd`\" and --solver"),
            ("user \"\\`solver\\`\" and `solver`", "user \"`solver`\" and --solver"),
            ("\\\\` \\`reg_bias` `", "\\` `reg_bias` `"),
            ("a ` alone, then `solver", "a ` alone, then `solver"),
            ("``solver`", "`--solver"),
            ("", ""),
        ] {
            assert_eq!(flags(message, known), expected);
        }
    }
}
