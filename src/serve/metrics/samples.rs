//! Lines of samples in the two text formats.

use std::fmt::Display;
use std::io::{self, Write};

use crate::engine::board::escaped;
use crate::words::UtcMs;

/// Which text format is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// OpenMetrics where the client lists it, as Prometheus does.
    pub fn accepted(accept: &str) -> Self {
        if takes(accept, "application/openmetrics-text") {
            Format::OpenMetrics
        } else {
            Format::Text
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// An upper bound of a histogram in seconds. OpenMetrics wants `1.0` where the older format
    /// has `1`.
    pub fn bound(self, us: u64) -> String {
        let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
        let text = text.trim_end_matches('0');
        match (text.strip_suffix('.'), self) {
            (Some(whole), Format::Text) => whole.to_owned(),
            (Some(whole), Format::OpenMetrics) => format!("{whole}.0"),
            (None, _) => text.to_owned(),
        }
    }
}

/// Whether a list as in RFC 9110, section 12.5 names something with a weight above 0.
pub fn takes(list: &str, what: &str) -> bool {
    list.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_it = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(what));
        let weight = parts
            .find_map(|p| p.strip_prefix("q=").or(p.strip_prefix("Q=")))
            .and_then(|q| q.parse::<f32>().ok());
        is_it && weight.is_none_or(|q| q > 0.0)
    })
}

/// Seconds with three digits behind the point.
pub struct Millis(pub u64);

impl Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Writes the samples of one family that are few: of the daemon, of components and contracts.
pub struct Samples<'w> {
    out: &'w mut dyn Write,
    pub format: Format,
    name: &'static str,
}

impl<'w> Samples<'w> {
    pub fn new(out: &'w mut dyn Write, format: Format, name: &'static str) -> Self {
        Self { out, format, name }
    }

    /// `name{label="value",...} value`.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> io::Result<()> {
        self.suffixed("", labels, value)
    }

    /// `name<suffix>{label="value",...} value`.
    pub fn suffixed(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) -> io::Result<()> {
        write!(self.out, "{}{suffix}", self.name)?;
        for (k, (label, text)) in labels.iter().enumerate() {
            let before = if k == 0 { '{' } else { ',' };
            write!(self.out, "{before}{label}=\"{}\"", escaped(text))?;
        }
        let end = if labels.is_empty() { "" } else { "}" };
        writeln!(self.out, "{end} {value}")
    }
}

/// Writes the samples of one family for one endpoint, of which there may be a hundred thousand.
pub struct Line<'w> {
    pub out: &'w mut Vec<u8>,
    pub name: &'static str,
    /// `endpoint="..."`.
    pub label: &'w str,
    pub numbers: itoa::Buffer,
}

pub enum SampleValue {
    Count(u64),
    /// Printed in seconds.
    Millis(i64),
    Micros(u64),
}

impl SampleValue {
    pub fn ms(n: u64) -> Self {
        SampleValue::Millis(n as i64)
    }

    pub fn utc(at: UtcMs) -> Self {
        SampleValue::Millis(at)
    }
}

impl Line<'_> {
    /// `name{endpoint="..."<labels>} value`; labels begin with a comma.
    pub fn sample(&mut self, labels: &[&str], value: SampleValue) -> io::Result<()> {
        self.suffixed("", labels, value)
    }

    /// `name<suffix>{endpoint="..."<labels>} value`.
    pub fn suffixed(
        &mut self,
        suffix: &str,
        labels: &[&str],
        value: SampleValue,
    ) -> io::Result<()> {
        self.out.extend_from_slice(self.name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        self.out.push(b'{');
        self.out.extend_from_slice(self.label.as_bytes());
        for label in labels {
            self.out.extend_from_slice(label.as_bytes());
        }
        self.out.extend_from_slice(b"} ");
        self.value(value)
    }

    /// The samples of a histogram's buckets, which differ in one label and the value: what comes
    /// before is written once and copied. `bounds`: `,le="..."} `.
    pub fn buckets<'b>(
        &mut self,
        labels: &str,
        buckets: impl Iterator<Item = (&'b str, u64)>,
    ) -> io::Result<()> {
        let from = self.out.len();
        let name = [self.name, "_bucket{", self.label, labels];
        for part in name {
            self.out.extend_from_slice(part.as_bytes());
        }
        let before = from..self.out.len();
        let mut is_first = true;
        for (bound, count) in buckets {
            if !is_first {
                self.out.extend_from_within(before.clone());
            }
            is_first = false;
            self.out.extend_from_slice(bound.as_bytes());
            self.value(SampleValue::Count(count))?;
        }
        Ok(())
    }

    fn value(&mut self, value: SampleValue) -> io::Result<()> {
        let out = &mut *self.out;
        match value {
            SampleValue::Count(n) => {
                out.extend_from_slice(self.numbers.format(n).as_bytes());
            }
            SampleValue::Millis(ms) => {
                let (whole, part) = (ms.div_euclid(1000), ms.rem_euclid(1000));
                out.extend_from_slice(self.numbers.format(whole).as_bytes());
                if part != 0 {
                    out.extend_from_slice(&[
                        b'.',
                        digit(part / 100),
                        digit(part / 10),
                        digit(part),
                    ]);
                }
            }
            SampleValue::Micros(us) => {
                let (whole, part) = ((us / 1_000_000), (us % 1_000_000) as i64);
                out.extend_from_slice(self.numbers.format(whole).as_bytes());
                if part != 0 {
                    out.extend_from_slice(&[
                        b'.',
                        digit(part / 100_000),
                        digit(part / 10_000),
                        digit(part / 1000),
                        digit(part / 100),
                        digit(part / 10),
                        digit(part),
                    ]);
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

fn digit(n: i64) -> u8 {
    b'0' + (n % 10) as u8
}
