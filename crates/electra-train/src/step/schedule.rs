//! The learning rate: linear warmup times linear decay, and layer-wise decay for fine-tuning.
//!
//! Both are plain functions of the step or of a parameter's name, so there is no state to save.

/// The learning rate of `step`, counted from 0.
///
/// `peak * min(1, step / warmup_steps) * (1 - step / total_steps)`, zero from `total_steps` on. The first
/// update has rate 0, as in the reference (`optimization.py` of google-research/electra): the decay is
/// multiplied by the warmup, not started after it.
pub fn lr_at(step: u64, peak: f64, warmup_steps: u64, total_steps: u64) -> f64 {
    if step >= total_steps {
        return 0.0;
    }
    let decayed = peak * (1.0 - step as f64 / total_steps as f64);
    if step < warmup_steps { decayed * (step as f64 / warmup_steps as f64) } else { decayed }
}

/// Which exponent the layer-wise decay has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerwiseExponent {
    /// `layers + 2 - depth`, as the reference computes it: the last layer already gets `decay^2`.
    #[default]
    Reference,
    /// `layers + 1 - depth`, as meant (google-research/electra, issue 51): the last layer gets `decay^1`.
    Intended,
}

/// What the learning rate of parameter `name` is multiplied by in fine-tuning.
///
/// `name`: Hugging Face's key, with or without a network's prefix. Depth 0 is the embeddings and their
/// projection, 1 to `layers` the encoder's layers; everything else is the task's head, whose factor is 1.
pub fn layerwise_multiplier(name: &str, layers: usize, decay: f64, exponent: LayerwiseExponent) -> f64 {
    let Some(depth) = depth_of(name) else { return 1.0 };
    let top = match exponent {
        LayerwiseExponent::Reference => layers + 2,
        LayerwiseExponent::Intended => layers + 1,
    };
    // A layer beyond the declared number cannot get a rate above the head's.
    decay.powi(top.saturating_sub(depth) as i32)
}

/// Depth of an encoder parameter, `None` for a head's.
fn depth_of(name: &str) -> Option<usize> {
    let body = &name[name.find("electra.")? + "electra.".len()..];
    if body.starts_with("embeddings") {
        return Some(0);
    }
    let layer = body.strip_prefix("encoder.layer.")?.split('.').next()?;
    layer.parse::<usize>().ok().map(|layer| layer + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1e-9), "{found} != {expected}");
    }

    /// Values that the reference's TensorFlow code gave (tests/fixtures/schedules.json).
    #[test]
    fn rates_are_the_references() {
        for (step, rate) in [
            (0, 0.0),
            (1, 4.9999949999999995e-08),
            (5000, 0.00024875),
            (9999, 0.00049495099995),
            (10_000, 0.000495),
            (10_001, 0.0004949995),
            (500_000, 0.00025),
            (1_000_000, 0.0),
            (1_000_005, 0.0),
        ] {
            close(lr_at(step, 5e-4, 10_000, 1_000_000), rate);
        }
        close(lr_at(0, 1e-3, 0, 10), 1e-3);
    }

    #[test]
    fn multipliers_are_the_references() {
        let factor = |name: &str| layerwise_multiplier(name, 12, 0.8, LayerwiseExponent::Reference);
        close(factor("electra.embeddings.word_embeddings.weight"), 0.043980465111040035);
        close(factor("electra.embeddings_project.bias"), 0.043980465111040035);
        close(factor("discriminator.electra.encoder.layer.0.output.dense.weight"), 0.054975581388800036);
        close(factor("electra.encoder.layer.11.output.dense.weight"), 0.64);
        close(factor("classifier.dense.weight"), 1.0);
        close(factor("discriminator.discriminator_predictions.dense.weight"), 1.0);
        let last = "electra.encoder.layer.11.output.dense.weight";
        close(layerwise_multiplier(last, 12, 0.8, LayerwiseExponent::Intended), 0.8);
    }
}
