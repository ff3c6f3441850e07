//! What an update says of itself, at once or when the device gets there.

use burn::tensor::{Tensor, TensorData};
use electra_kernels::DeviceFailure;
use electra_kernels::read::{self, Reads};

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Global norm before clipping.
    pub gradient_norm: f64,
    /// False where the norm was not finite: nothing changed then, the moments included.
    pub applied: bool,
    /// What the loss had been multiplied by: 1 unless the optimizer scales it.
    pub loss_factor: f64,
}

/// What a step did, or will have done when the device gets there.
#[derive(Debug, Clone)]
pub enum PendingReport {
    /// It is known.
    Ready(StepReport),
    /// `[3]`: norm, 1 where the update was made, the loss's factor.
    OnDevice(Box<Tensor<1>>),
}

impl PendingReport {
    /// Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn resolve(self) -> Result<StepReport, DeviceFailure> {
        let mut reads = Reads::default();
        let number = self.ask(&mut reads);
        Ok(self.told(number, &reads.read()?))
    }

    /// As [`PendingReport::resolve`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// The device failed.
    pub async fn resolve_async(self) -> Result<StepReport, DeviceFailure> {
        let mut reads = Reads::default();
        let number = self.ask(&mut reads);
        Ok(self.told(number, &reads.read_async().await?))
    }

    /// Its number among what is read, where there is something to read.
    pub(crate) fn ask(&self, reads: &mut Reads) -> Option<usize> {
        match self {
            Self::Ready(_) => None,
            Self::OnDevice(report) => Some(reads.floats(&**report)),
        }
    }

    pub(crate) fn told(self, number: Option<usize>, found: &[TensorData]) -> StepReport {
        match (self, number) {
            (Self::Ready(report), _) => report,
            (Self::OnDevice(_), Some(number)) => Self::read(&read::floats_of(&found[number])),
            (Self::OnDevice(_), None) => unreachable!("it was asked for"),
        }
    }

    fn read(report: &[f32]) -> StepReport {
        let &[norm, applied, loss_factor] = report else { panic!("a report holds three values") };
        StepReport { gradient_norm: f64::from(norm), applied: applied > 0.0, loss_factor: f64::from(loss_factor) }
    }
}
