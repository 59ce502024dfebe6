//! Exact fractions: made of decimals in text, printed as fractions in lowest terms or as truncated
//! decimals.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// An exact fraction in lowest terms.
pub type Exact = BigRational;

pub fn whole(n: impl Into<BigInt>) -> Exact {
    Exact::from_integer(n.into())
}

/// `part / all`; nothing when `all` is zero.
pub fn share(part: u64, all: u64) -> Option<Exact> {
    (all > 0).then(|| Exact::new(part.into(), all.into()))
}

/// Reads a plain decimal such as `99.999`; nothing else (no sign, no exponent, at most 30 digits).
pub fn decimal(text: &str) -> Option<Exact> {
    let (whole_digits, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole_digits}{fraction}");
    let is_plain = !whole_digits.is_empty()
        && digits.len() <= 30
        && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_plain || text.ends_with('.') {
        return None;
    }
    let numerator: BigInt = digits.parse().ok()?;
    Some(Exact::new(
        numerator,
        num_traits::pow(BigInt::from(10), fraction.len()),
    ))
}

/// `n/d` in lowest terms, with the denominator also where it is 1.
pub fn fraction(value: &Exact) -> String {
    format!("{}/{}", value.numer(), value.denom())
}

/// Decimal digits, truncated towards zero: what is printed never reads as more than it is.
pub fn truncated(value: &Exact, digits: usize) -> String {
    let scale = num_traits::pow(BigInt::from(10), digits);
    let scaled = (value.numer().abs() * scale) / value.denom();
    let sign = if value.is_negative() && !scaled.is_zero() {
        "-"
    } else {
        ""
    };
    let text = format!("{:0>width$}", scaled.to_string(), width = digits + 1);
    let (whole_part, part) = text.split_at(text.len() - digits);
    if digits == 0 {
        format!("{sign}{whole_part}")
    } else {
        format!("{sign}{whole_part}.{part}")
    }
}

/// Money: rounded once, half up, to the currency's digits.
pub fn money(value: &Exact, digits: usize) -> String {
    let scale = whole(num_traits::pow(BigInt::from(10), digits));
    let half = Exact::new(BigInt::one(), BigInt::from(2));
    let rounded = (value * &scale + half).floor() / scale;
    truncated(&rounded, digits)
}

/// Digits after the point of an amount in a currency (ISO 4217); two unless it is one of the
/// others.
pub fn currency_digits(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// A decimal without superfluous digits, for a value that was read from one.
pub fn plain(value: &Exact) -> String {
    let text = truncated(value, 30);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_printed_exactly() {
        let objective = decimal("99.999").expect("a decimal");
        assert_eq!(fraction(&objective), "99999/1000");
        assert_eq!(plain(&objective), "99.999");
        assert_eq!(
            truncated(&Exact::new(43199.into(), 432.into()), 10),
            "99.9976851851"
        );
        assert_eq!(
            truncated(&Exact::new(71.into(), 5400.into()), 8),
            "0.01314814"
        );
        for wrong in ["", ".5", "5.", "1e3", "-1", "+1", "1,5", " 1", "0x1"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn money_is_rounded_half_up() {
        let amount = |n: i64, d: i64| money(&Exact::new(n.into(), d.into()), 2);
        assert_eq!(amount(1, 200), "0.01");
        assert_eq!(amount(4999, 1_000_000), "0.00");
        assert_eq!(amount(133_228, 10_000), "13.32");
        assert_eq!(money(&Exact::new(5.into(), 2.into()), 0), "3");
    }
}
