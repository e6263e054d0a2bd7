//! Figures as people read them.

/// Below this a figure is written with a power of ten.
const TINY: f64 = 1e-6;

/// A figure with so many significant digits, one more from 1 on, and all of those before the point: errors
/// of click rates tell as much as errors of stars. Below a millionth with a power of ten; 0 is `0`.
///
/// ```
/// use wgmf::core::figure;
///
/// let figures = [0.854_12, 1.0, 0.000_021_349, -302.966, 4_802_090.3, 0.0, 2.5e-9];
/// let shown = figures.map(|x| figure(x, 4));
/// assert_eq!(shown, ["0.8541", "1.0000", "0.00002135", "-302.97", "4802090", "0", "2.500e-9"]);
/// ```
pub fn figure(x: f64, digits: usize) -> String {
    let size = x.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if size < TINY {
        return format!("{x:.*e}", digits.saturating_sub(1));
    }
    // The place of the first digit: 0 for ones, −1 for tenths.
    let first = size.log10().floor() as i32;
    let decimals = digits as i32 - first - i32::from(size < 1.0);
    format!("{x:.*}", decimals.max(0) as usize)
}

/// A count and what is counted, as a message has them: `1 rating`, `2 ratings`.
///
/// ```
/// assert_eq!([1, 20_000].map(|n| wgmf::core::plural(n, "user")), ["1 user", "20000 users"]);
/// ```
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A count with commas: `20,000,263`.
///
/// ```
/// assert_eq!([7, 999, 20_000_263].map(wgmf::core::thousands), ["7", "999", "20,000,263"]);
/// ```
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_shows_its_digits() {
        for (x, digits, expected) in [
            (0.1, 4, "0.1000"),
            (0.099_999_9, 4, "0.10000"),
            (9.876_543, 4, "9.8765"),
            (12.345_67, 4, "12.346"),
            (99_999.0, 4, "99999"),
            (123_456.78, 4, "123457"),
            (0.5, 6, "0.500000"),
            (0.000_001_234, 4, "0.000001234"),
            (0.000_000_999_9, 3, "1.00e-6"),
            (-0.25, 4, "-0.2500"),
            (-0.0, 4, "0"),
            (1e300, 1, &format!("{:.0}", 1e300)),
            (f64::NAN, 4, "NaN"),
            (f64::INFINITY, 4, "inf"),
        ] {
            assert_eq!(figure(x, digits), expected, "{x}");
        }
    }
}
