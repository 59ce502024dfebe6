//! Confidence intervals of a share of probes, and how many probes prove an objective.
//!
//! These assume that probes are independent, which outages violate: they are a sanity check beside
//! the bounds of time, never the verdict. Wilson score interval: E. B. Wilson, 1927. Exact
//! interval: C. Clopper and E. Pearson, 1934, through the regularized incomplete beta function
//! (continued fraction, W. Lentz) and bisection.

/// Two-sided 95 %: the 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Lower and upper end in percent.
pub fn wilson_95(failures: u64, probes: u64) -> (f64, f64) {
    let (n, q) = (probes as f64, failures as f64 / probes as f64);
    // Of the share of failures, which is small, so that no digits are lost.
    let z2 = Z * Z;
    let centre = (q + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (q * (1.0 - q) / n + z2 / (4.0 * n * n)).sqrt();
    (
        100.0 - 100.0 * (centre + half).min(1.0),
        100.0 - 100.0 * (centre - half).max(0.0),
    )
}

/// Lower and upper end in percent.
pub fn clopper_pearson_95(failures: u64, probes: u64) -> (f64, f64) {
    let upper_failures = if failures == probes {
        1.0
    } else {
        beta_quantile(0.975, failures as f64 + 1.0, (probes - failures) as f64)
    };
    let lower_failures = if failures == 0 {
        0.0
    } else {
        beta_quantile(0.025, failures as f64, (probes - failures) as f64 + 1.0)
    };
    (
        100.0 - 100.0 * upper_failures,
        100.0 - 100.0 * lower_failures,
    )
}

/// The lower end, in percent, that the availability exceeds with 95 % confidence.
pub fn one_sided_95_lower(failures: u64, probes: u64) -> f64 {
    if failures == probes {
        return 0.0;
    }
    100.0 - 100.0 * beta_quantile(0.95, failures as f64 + 1.0, (probes - failures) as f64)
}

/// The least number of probes that prove an objective (share of failures allowed) with 95 %
/// confidence when none fails.
pub fn probes_needed(allowed: f64) -> u64 {
    if allowed <= 0.0 {
        return u64::MAX;
    }
    // (1 - allowed)^n <= 0.05
    let n = (0.05_f64.ln() / (-allowed).ln_1p()).ceil();
    n as u64
}

/// The most failures among this many probes with which the objective is still proven; nothing when
/// even none is too few.
pub fn most_failures(allowed: f64, probes: u64) -> Option<u64> {
    let proves = |failures: u64| 1.0 - one_sided_95_lower(failures, probes) / 100.0 <= allowed;
    if probes == 0 || probes < probes_needed(allowed) {
        return None;
    }
    let (mut low, mut high) = (0, ((probes as f64 * allowed) as u64 + 1).min(probes));
    while low < high {
        let middle = (low + high).div_ceil(2);
        if proves(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Some(low)
}

/// The value below which the share `p` of a beta distribution lies.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if incomplete_beta(middle, a, b) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// The regularized incomplete beta function.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(x, a, b) / a
    } else {
        1.0 - front * continued_fraction(1.0 - x, b, a) / b
    }
}

fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for m in 1..500 {
        let m = f64::from(m);
        for term in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            value *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// Logarithm of the gamma function for positive arguments (Stirling's series after a shift to 15
/// and more).
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 15.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0
            - square
                * (1.0 / 360.0
                    - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}
