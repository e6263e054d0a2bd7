//! Invented names of listeners and artists, every one different.

/// Three letters each, so that a name can be taken apart in one way only.
const STARTS: [&str; 40] = [
    "Ada", "Ale", "Ami", "Ari", "Ben", "Bri", "Cal", "Cor", "Dal", "Dor", "Eli", "Eri", "Fen",
    "Flo", "Gal", "Hal", "Hel", "Ila", "Ivo", "Jon", "Jul", "Kal", "Kir", "Leo", "Lin", "Lor",
    "Mar", "Mir", "Nel", "Nor", "Ori", "Pel", "Per", "Ren", "Ros", "Sel", "Tam", "Tor", "Val",
    "Wil",
];
const ENDS: [&str; 25] = [
    "a", "an", "ara", "by", "da", "do", "el", "en", "ey", "ia", "ian", "in", "ina", "io", "is",
    "la", "lo", "mo", "na", "ne", "o", "on", "ra", "ta", "yn",
];
const COLOURS: [&str; 50] = [
    "Amber", "Blue", "Calm", "Dawn", "Deep", "Dim", "Echo", "Fair", "Far", "Gold", "Gray", "High",
    "Iron", "Jade", "Kind", "Last", "Late", "Lone", "Lost", "Low", "Mild", "Mint", "Neon", "New",
    "Next", "Noon", "Odd", "Old", "Open", "Pale", "Pine", "Quiet", "Rare", "Red", "Ruby", "Rust",
    "Salt", "Sand", "Silk", "Slow", "Snow", "Soft", "Sun", "Tall", "Teal", "Tin", "True", "Warm",
    "West", "Wide",
];
const THINGS: [&str; 50] = [
    "Arrow", "Bells", "Birds", "Boats", "Books", "Cloud", "Coast", "Comet", "Crow", "Dunes",
    "Elms", "Ferns", "Fires", "Foxes", "Gate", "Glass", "Hills", "Hours", "Jars", "Kites", "Lake",
    "Lamps", "Larks", "Leaf", "Maps", "Mill", "Mist", "Moon", "Moths", "Oaks", "Owls", "Path",
    "Pines", "Pond", "Rain", "River", "Roads", "Sails", "Ship", "Stars", "Stone", "Storm", "Swans",
    "Tides", "Tower", "Trains", "Trees", "Wave", "Winds", "Wolves",
];

/// A first name from an index, with an initial from the thousandth on; different indices have
/// different names.
pub(super) fn listener(index: u64) -> String {
    let (name, round) = pick(index, &STARTS, "", &ENDS);
    match round {
        0 => name,
        1..=26 => format!("{name} {}", char::from(b'A' + (round - 1) as u8)),
        _ => format!("{name} {}", round + 1),
    }
}

/// Two words from an index, with a number from the 2,500th on.
pub(super) fn artist(index: u64) -> String {
    match pick(index, &COLOURS, " ", &THINGS) {
        (name, 0) => name,
        (name, round) => format!("{name} {}", round + 1),
    }
}

/// One of all pairs, and how often they have been through before. Neighbouring indices get unlike
/// pairs: the step has no factor in common with the number of pairs.
fn pick(index: u64, first: &[&str], between: &str, second: &[&str]) -> (String, u64) {
    let pairs = (first.len() * second.len()) as u64;
    let at = (index % pairs * 387 % pairs) as usize;
    let name = [first[at / second.len()], between, second[at % second.len()]].concat();
    (name, index / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_need_no_quotes() {
        for name in [listener, artist] {
            let names: HashSet<String> = (0..200_000).map(name).collect();
            assert_eq!(names.len(), 200_000);
            assert!(names.iter().all(|n| !n.contains([',', '"', '\t', ';', ':'])));
        }
    }
}
