//! `train.budget`: how much a run may cost, in operations or in time, in place of its number of steps.

use std::fmt;
use std::str::FromStr;

use electra_model::Objective;

use super::ledger::{Place, flops_of_phase, phases};
use crate::config::RunConfig;

/// What a run may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Floating-point operations, by the exact rule of the ledger.
    Flops(f64),
    /// Seconds on this device.
    Seconds(f64),
}

/// What a budget looks like.
pub const EXPECTED: &str = "operations or a time above 0, such as \"2e16 FLOPs\", \"90s\", \"10m\", \"2.5h\" or \"3d\"";

/// Text that is no budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{EXPECTED} is expected")]
pub struct NoBudget;

impl FromStr for Budget {
    type Err = NoBudget;

    fn from_str(text: &str) -> Result<Self, NoBudget> {
        let text = text.trim();
        let letters = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E').ok_or(NoBudget)?;
        let (number, unit) = text.split_at(letters);
        let number: f64 = number.trim().parse().map_err(|_| NoBudget)?;
        if !(number > 0.0 && number.is_finite()) {
            return Err(NoBudget);
        }
        match unit.trim().to_ascii_lowercase().as_str() {
            "flops" | "flop" => Ok(Self::Flops(number)),
            "s" => Ok(Self::Seconds(number)),
            "m" | "min" => Ok(Self::Seconds(60.0 * number)),
            "h" => Ok(Self::Seconds(3600.0 * number)),
            "d" => Ok(Self::Seconds(86_400.0 * number)),
            _ => Err(NoBudget),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flops(flops) => write!(formatter, "{flops:e} FLOPs"),
            Self::Seconds(seconds) => write!(formatter, "{seconds} s"),
        }
    }
}

/// Most steps of a run that a budget gives.
const MOST_STEPS: u64 = 1 << 40;

/// Operations of a run of `steps` steps.
pub fn flops_of_run(config: &RunConfig, objective: &dyn Objective, steps: u64, place: Place) -> f64 {
    let of_phase = |(phase, steps): (&str, u64)| steps as f64 * flops_of_phase(config, objective, phase, place);
    phases(objective, steps).into_iter().map(of_phase).sum()
}

/// The most steps, at least one, that cost no more than `budget`. `seconds_per_step` is asked for where it is a time.
///
/// # Errors
/// Those of `seconds_per_step`.
pub fn steps_within<E>(
    budget: Budget,
    config: &RunConfig,
    place: Place,
    seconds_per_step: impl FnOnce() -> Result<f64, E>,
) -> Result<u64, E> {
    if let Budget::Seconds(seconds) = budget {
        return Ok(((seconds / seconds_per_step()?) as u64).clamp(1, MOST_STEPS));
    }
    let Budget::Flops(flops) = budget else { unreachable!("the other kind has returned") };
    let costs = |steps: u64| {
        let mut config = config.clone();
        config.train.steps = steps;
        config.settle_phases();
        flops_of_run(&config, &*config.make_objective(), steps, place)
    };
    let (mut fits, mut too_many) = (1, MOST_STEPS);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        if costs(middle) <= flops { fits = middle } else { too_many = middle }
    }
    Ok(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve;

    #[test]
    fn operations_and_times_are_read() {
        for (text, budget) in [
            ("2e16 FLOPs", Budget::Flops(2e16)),
            ("1.5E9flops", Budget::Flops(1.5e9)),
            ("90s", Budget::Seconds(90.0)),
            ("10m", Budget::Seconds(600.0)),
            ("2.5 h", Budget::Seconds(9000.0)),
            ("3d", Budget::Seconds(259_200.0)),
        ] {
            assert_eq!(text.parse(), Ok(budget), "{text}");
        }
        for text in ["", "10", "10 weeks", "m", "-3m", "0h", "2e16", "inf s"] {
            assert_eq!(text.parse::<Budget>(), Err(NoBudget), "{text}");
        }
    }

    #[test]
    fn as_many_steps_are_found_as_the_operations_pay_for() {
        for objective in ["rtd", "two_stage", "electric"] {
            let config = resolve(Some("nano"), None, &[format!("objective.name={objective}")]).unwrap();
            let of = |steps: u64| {
                let mut config = config.clone();
                config.train.steps = steps;
                config.settle_phases();
                flops_of_run(&config, &*config.make_objective(), steps, Place::Cpu)
            };
            let budget = Budget::Flops(1.001 * of(777));
            let steps = steps_within::<()>(budget, &config, Place::Cpu, || panic!("no time is asked for")).unwrap();
            // Two stages halve their steps, of which one kind costs more.
            assert!(steps.abs_diff(777) <= 1 && of(steps) <= 1.001 * of(777), "{objective}: {steps}");
        }
        let config = resolve(Some("nano"), None, &[]).unwrap();
        assert_eq!(steps_within(Budget::Seconds(60.0), &config, Place::Cpu, || Ok::<_, ()>(0.5)), Ok(120));
        assert_eq!(steps_within(Budget::Flops(1.0), &config, Place::Cpu, || Err(())), Ok(1), "at least one");
    }
}
