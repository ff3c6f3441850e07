//! Axes: where a value lies, which ticks there are and what they are called.

/// Maps values of `low..=high` to lengths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub low: f64,
    pub high: f64,
    pub is_log: bool,
}

/// Room that a curve keeps to the frame, as a share of the axis.
const MARGIN: f64 = 0.04;
/// A linear axis tells values apart down to a part of its length; wider ones are logarithmic.
const WIDE: f64 = 30.0;

impl Scale {
    /// Holds all of `values`, with a margin where `is_padded`. Logarithmic as `log` says, if all are above 0.
    pub(crate) fn of(values: impl Iterator<Item = f64>, log: Log, is_padded: bool) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (mut low, mut high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let is_log = low > 0.0
            && match log {
                Log::Never => false,
                Log::Always => true,
                Log::IfWide => high / low > WIDE,
            };
        if low == high {
            // One value: something to stand in the middle of.
            let half = if low == 0.0 { 0.5 } else { 0.1 * low.abs() };
            (low, high) = (low - half, high + half);
        } else if is_padded {
            if is_log {
                let factor = (high / low).powf(MARGIN);
                (low, high) = (low / factor, high * factor);
            } else {
                let room = MARGIN * (high - low);
                (low, high) = (low - room, high + room);
            }
        }
        Self { low, high, is_log }
    }

    /// 0 at the low end, 1 at the high one.
    pub(crate) fn place(self, value: f64) -> f64 {
        if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// About `count` round values, with their names.
    pub(crate) fn ticks(self, count: usize) -> Vec<(f64, String)> {
        let log_ticks = if self.is_log { self.log_ticks(count) } else { Vec::new() };
        // Within less than the gap between two of them an axis is as good as linear.
        if log_ticks.len() >= 2 {
            return log_ticks.into_iter().map(|value| (value, short(value))).collect();
        }
        let (step, values) = self.linear_ticks(count);
        let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        values.into_iter().map(|value| (value, with_step(value, step, largest))).collect()
    }

    /// What they are apart, and where they are.
    fn linear_ticks(self, count: usize) -> (f64, Vec<f64>) {
        let step = round_step((self.high - self.low) / count as f64);
        // Counted in whole steps, so that 0.3 is not 0.30000000000000004.
        // A hair beyond an end is on it.
        let (first, last) = ((self.low / step - 1e-9).ceil() as i64, (self.high / step + 1e-9).floor() as i64);
        (step, (first..=last).map(|number| number as f64 * step).collect())
    }

    fn log_ticks(self, count: usize) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let of_decade: &[f64] = if decades < 1.0 {
            &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]
        } else if decades < 2.5 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let every = ((decades / count as f64).ceil() as i32).max(1);
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let exponents = (first..=last).filter(|exponent| exponent.rem_euclid(every) == 0);
        let all = exponents.flat_map(|exponent| of_decade.iter().map(move |mantissa| mantissa * 10f64.powi(exponent)));
        all.filter(|value| (self.low..=self.high).contains(value)).collect()
    }
}

/// When an axis is logarithmic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    Never,
    IfWide,
    Always,
}

/// The nearest of 1, 2 and 5 times a power of ten, by ratio.
fn round_step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.log10().floor());
    let round = match wanted / power {
        // Geometric means of neighbours.
        below if below < 2f64.sqrt() => 1.0,
        below if below < 10f64.sqrt() => 2.0,
        below if below < 50f64.sqrt() => 5.0,
        _ => 10.0,
    };
    // Powers below 1 are not exact; their reciprocals are.
    if power < 1.0 { round / (1.0 / power).round() } else { round * power }
}

/// A value among ticks that are `step` apart and at most `largest`: all get as many decimals, and one unit.
fn with_step(value: f64, step: f64, largest: f64) -> String {
    let (unit, name) = match largest {
        _ if value == 0.0 => return "0".to_owned(),
        l if !(1e-3..1e15).contains(&l) => return scientific(value, step),
        l if l >= 1e12 => (1e12, "T"),
        l if l >= 1e9 => (1e9, "G"),
        l if l >= 1e6 => (1e6, "M"),
        l if l >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    // A step of .05 needs two.
    let decimals = (-(step / unit).log10().floor()).max(0.0) as usize;
    format!("{:.decimals$}{name}", value / unit)
}

/// As `2e-4`, `2.5e15`.
fn scientific(value: f64, step: f64) -> String {
    let exponent = value.abs().log10().floor();
    let power = 10f64.powf(exponent);
    let decimals = (-((step / power).log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
    format!("{:.decimals$}e{exponent}", value / power)
}

/// A value by itself, to `digits` digits, in the unit that suits it.
fn rounded(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let exponent = value.abs().log10().floor() as i32;
    let (unit, name) = match exponent {
        15.. | ..=-4 => {
            let text = format!("{:.*e}", (digits - 1) as usize, value);
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            return format!("{}e{exponent}", trimmed(mantissa));
        }
        12.. => (12, "T"),
        9.. => (9, "G"),
        6.. => (6, "M"),
        4.. => (3, "k"),
        _ => (0, ""),
    };
    let decimals = (digits - 1 - (exponent - unit)).max(0) as usize;
    format!("{}{name}", trimmed(&format!("{:.decimals$}", value / 10f64.powi(unit))))
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A value of a logarithmic axis.
fn short(value: f64) -> String {
    rounded(value, 2)
}

/// A value of a table.
pub(crate) fn exact(value: f64) -> String {
    rounded(value, 4)
}

/// Where a value of a table stands: a step to its last digit, what is larger or no whole number to three.
pub(crate) fn place_of(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e5 { format!("{value}") } else { rounded(value, 3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(low: f64, high: f64, log: Log, count: usize) -> Vec<String> {
        let scale = Scale::of([low, high].into_iter(), log, false);
        scale.ticks(count).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_named_alike() {
        assert_eq!(names(0.0, 15_000.0, Log::Never, 6), ["0", "2k", "4k", "6k", "8k", "10k", "12k", "14k"]);
        assert_eq!(names(0.0, 1200.0, Log::Never, 6), ["0", "200", "400", "600", "800", "1000", "1200"]);
        assert_eq!(names(0.481, 0.93, Log::Never, 5), ["0.5", "0.6", "0.7", "0.8", "0.9"]);
        assert_eq!(names(0.1, 0.3, Log::Never, 4), ["0.10", "0.15", "0.20", "0.25", "0.30"]);
        assert_eq!(names(0.0, 5e-4, Log::Never, 5), ["0", "1e-4", "2e-4", "3e-4", "4e-4", "5e-4"]);
        assert_eq!(names(0.0, 0.002, Log::Never, 4), ["0", "0.0005", "0.0010", "0.0015", "0.0020"]);
        assert_eq!(names(0.0, 2.4e6, Log::Never, 5), ["0", "0.5M", "1.0M", "1.5M", "2.0M"]);
        assert_eq!(names(0.0, 3e15, Log::Never, 6), ["0", "5e14", "1.0e15", "1.5e15", "2.0e15", "2.5e15", "3.0e15"]);
        assert_eq!(names(-3.0, 3.0, Log::Never, 3), ["-2", "0", "2"]);
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten_or_a_few_between() {
        assert_eq!(names(0.5, 80.0, Log::IfWide, 5), ["0.5", "1", "2", "5", "10", "20", "50"]);
        assert_eq!(names(1e-6, 1e3, Log::Always, 5), ["1e-6", "1e-4", "0.01", "1", "100"]);
        assert_eq!(names(20.0, 90.0, Log::Always, 5), ["20", "30", "40", "50", "60", "80"]);
        assert_eq!(names(21.0, 22.0, Log::Always, 4), ["21.0", "21.2", "21.4", "21.6", "21.8", "22.0"]);
    }

    #[test]
    fn an_axis_is_logarithmic_only_where_that_can_be_read() {
        let is_log = |low: f64, high: f64, log| Scale::of([low, high].into_iter(), log, true).is_log;
        assert!(is_log(1.0, 100.0, Log::IfWide) && !is_log(20.0, 40.0, Log::IfWide));
        assert!(!is_log(0.0, 100.0, Log::Always) && !is_log(-1.0, 100.0, Log::IfWide));
    }

    #[test]
    fn one_value_and_none_have_an_axis_too() {
        let one = Scale::of([7.0].into_iter(), Log::Never, true);
        assert!((one.place(7.0) - 0.5).abs() < 1e-12 && one.ticks(5).len() >= 2);
        let none = Scale::of([f64::NAN].into_iter(), Log::IfWide, true);
        assert!(none.ticks(5).len() >= 2 && !none.is_log);
    }

    #[test]
    fn values_of_a_table_have_four_digits() {
        let found = [0.93456, 26.1234, 15_000.0, 1.5e-5, 0.0, 3.4567e17, 12_345_678.0, 0.5].map(exact);
        assert_eq!([7341.0, 204_800.0, 0.123_456, 2.345e7].map(place_of), ["7341", "205k", "0.123", "23.4M"]);
        assert_eq!(found, ["0.9346", "26.12", "15k", "1.5e-5", "0", "3.457e17", "12.35M", "0.5"]);
    }
}
