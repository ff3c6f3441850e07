//! The factor of the loss in half precision.

use crate::precision::Precision;

/// The factor of a loss whose gradients pass through half precision, and how it adapts.
///
/// f16 has no value between 0 and 6e-8, and none beyond 65,504: gradients are those of the loss times a factor, which halves
/// where they overflow (that update is skipped) and doubles after 2,000 steps without. A power of two, it changes no digit
/// of a gradient. Micikevicius et al. 2018, "Mixed Precision Training", section 3.2; the numbers are those of PyTorch's
/// `GradScaler`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    /// What the loss is multiplied by, and gradients divided.
    pub factor: f64,
    /// Steps since the factor changed.
    pub good_steps: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: 65_536.0, good_steps: 0 }
    }
}

impl LossScale {
    /// Where a run in `precision` begins.
    pub fn of(precision: Precision) -> Option<Self> {
        (precision == Precision::F16).then(Self::default)
    }

    pub(crate) const STEPS_TO_GROW: u64 = 2000;
    /// Beyond this nothing is gained, and sums of squares in f32 come near their end.
    pub(crate) const LARGEST: f64 = 16_777_216.0;

    /// The factor of the next step. A loss that is NaN or infinite is not the gradients' overflow, and changes nothing.
    #[must_use]
    pub fn after(self, loss_is_finite: bool, gradient_is_finite: bool) -> Self {
        let Self { factor, good_steps } = self;
        match (loss_is_finite, gradient_is_finite) {
            (false, _) => self,
            (true, false) => Self { factor: (0.5 * factor).max(1.0), good_steps: 0 },
            (true, true) if good_steps + 1 >= Self::STEPS_TO_GROW => {
                Self { factor: (2.0 * factor).min(Self::LARGEST), good_steps: 0 }
            }
            (true, true) => Self { factor, good_steps: good_steps + 1 },
        }
    }
}
