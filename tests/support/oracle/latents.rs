//! Truncated normal draws in f64: the inverse of the distribution by bisection, tails by the series and
//! the continued fraction of the books (Abramowitz and Stegun 1964, 26.2.11 and 26.2.14).

/// `(1 − Φ(x)) / φ(x)` for `x ≥ 0`.
fn mills(x: f64) -> f64 {
    if x < 2.5 {
        // Φ(x) − ½ = φ(x) Σ xⁿ / (1·3·…·n) over odd n.
        let (mut term, mut sum) = (x, 0.0);
        for n in (3..120).step_by(2) {
            sum += term;
            term *= x * x / f64::from(n);
        }
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        return 0.5 / density - sum;
    }
    (1..100).rev().fold(x, |rest, n| x + f64::from(n) / rest).recip()
}

/// `1 − Φ(x)` over `1 − Φ(a)` where `a > 0`, else itself.
fn above(x: f64, a: f64) -> f64 {
    if a > 0.0 {
        return (-0.5 * (x - a) * (x + a)).exp() * mills(x) / mills(a);
    }
    let tail = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * mills(x.abs());
    if x < 0.0 { 1.0 - tail } else { tail }
}

/// The draw from `N(mean, 1)` between `low` and `high` that a random word stands for: the point that
/// parts the interval's chance as the word parts all words, counted from the end that is nearer to the
/// mean.
pub fn truncated(word: u32, mean: f64, low: f64, high: f64) -> f64 {
    let below = (low - mean) + (high - mean) < 0.0;
    let (a, b) = if below { (mean - high, mean - low) } else { (low - mean, high - mean) };
    // Beyond 40 deviations, or 40 lengths of a tail, nothing is left.
    let (mut from, mut to) = (a.max(-40.0), b.min(a.max(0.0) + 40.0));
    let share = (f64::from(word) + 0.5) / 4_294_967_296.0;
    let ends = [above(from, a), above(to, a)];
    let wanted = share * ends[1] + (1.0 - share) * ends[0];
    for _ in 0..60 {
        let middle = 0.5 * (from + to);
        if above(middle, a) > wanted { from = middle } else { to = middle }
    }
    if below { mean - from } else { mean + from }
}
