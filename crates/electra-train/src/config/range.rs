//! What each value of run.toml may be.

use std::fmt;

use electra_model::context_detector::ContextShape;
use electra_model::objective::PretrainedHead;
use electra_model::{ConfigError, ElectraConfig, Neighbours, Objective, ObjectiveError, Sharing, objective};
use electra_task::task::TASKS;

use crate::estimate::budget::{self, Budget};

use super::{MicroBatch, PositionInitializer, RunConfig, RunConfigError, WordInitializer};

/// What a number must be that is above 0 in 32 bits, too.
const POSITIVE: &str = "above 0 and finite (1e-38 to 3e38)";

impl RunConfig {
    /// The first key out of range, its value and what it must be.
    pub(super) fn out_of_range(&self) -> Option<(String, String, String)> {
        let Self { model, data, train, objective, probe, .. } = self;
        let mut found = None;
        let mut check = |ok: bool, key: &str, value: &dyn fmt::Display, expected: &str| {
            if !ok && found.is_none() {
                found = Some((key.to_owned(), value.to_string(), expected.to_owned()));
            }
        };
        let device = &self.device;
        let numbered = device.strip_prefix("gpu:").is_some_and(|n| n.parse::<u32>().is_ok());
        check(
            matches!(device.as_str(), "auto" | "cpu" | "gpu") || numbered,
            "device",
            &format!("{device:?}"),
            "\"auto\", \"cpu\", \"gpu\" or \"gpu:N\" with the number of an adapter (see \"electra devices\")",
        );
        match model.discriminator().validate() {
            Ok(()) => {}
            Err(ConfigError::Value { field, value, expected }) => {
                check(false, &format!("model.{field}"), &value, expected);
            }
            Err(error @ ConfigError::Heads { .. }) => check(
                false,
                "model.num_attention_heads",
                &model.num_attention_heads,
                &format!("a divisor of hidden_size ({error})"),
            ),
        }
        let fraction = |value: f64| value > 0.0 && value <= 1.0;
        check(fraction(model.generator_size), "model.generator_size", &model.generator_size, "above 0, at most 1");
        check(fraction(model.generator_depth), "model.generator_depth", &model.generator_depth, "above 0, at most 1");
        check(
            model.sharing != Sharing::All || (model.generator_size == 1.0 && model.generator_depth == 1.0),
            "model.sharing",
            &"\"all\"",
            "\"embeddings\" or \"none\", since a shared encoder needs generator_size = 1.0 and generator_depth = 1.0",
        );
        // Only of sizes that are in range can networks be made.
        let is_sound = model.discriminator().validate().is_ok() && fraction(model.generator_size);
        let generator = (is_sound && fraction(model.generator_depth)).then(|| model.networks().generator);
        let of_generator = |holds: fn(&ElectraConfig) -> bool| generator.as_ref().is_none_or(holds);
        check(
            of_generator(|generator| generator.hidden_size.is_multiple_of(generator.num_attention_heads)),
            "model.generator_heads",
            &model.generator_heads,
            "0, or a divisor of the generator's width",
        );
        check(
            !model.position_initializer.has_neighbours() || Neighbours::new(&model.discriminator()).is_some(),
            "model.position_initializer",
            &"\"neighbours\"",
            "\"normal\" or \"sinusoidal\" where embedding_size is not hidden_size or a head is one column wide",
        );
        check(
            model.word_initializer == WordInitializer::Normal
                || (model.position_initializer.has_neighbours() && ContextShape::of(&model.discriminator()).is_some()),
            "model.word_initializer",
            &"\"context_detector\"",
            "\"normal\" unless position_initializer is \"neighbours\" and the network holds a detector: eight heads, say, and an \
             intermediate_size of four times hidden_size",
        );
        let probability = data.masking_probability;
        check(probability > 0.0 && probability < 1.0, "data.masking_probability", &probability, "between 0 and 1");

        check(train.steps >= 1, "train.steps", &train.steps, "at least 1");
        let is_budget = train.budget.is_empty() || train.budget.parse::<Budget>().is_ok();
        check(is_budget, "train.budget", &format!("{:?}", train.budget), budget::EXPECTED);
        check(train.batch_size >= 1, "train.batch_size", &train.batch_size, "at least 1");
        if let MicroBatch::Size(size) = train.micro_batch {
            let expected = format!("\"auto\" or 1 to train.batch_size, which is {}", train.batch_size);
            check((1..=train.batch_size).contains(&size), "train.micro_batch", &size, &expected);
        }
        check(
            (8..=model.max_position_embeddings).contains(&train.sequence_length),
            "train.sequence_length",
            &train.sequence_length,
            &format!("8 to model.max_position_embeddings, which is {}", model.max_position_embeddings),
        );
        // As the kernels take it, in 32 bits.
        let positive = |value: f64| value as f32 > 0.0 && (value as f32).is_finite();
        check(positive(train.learning_rate), "train.learning_rate", &train.learning_rate, POSITIVE);
        check(
            train.warmup_steps <= train.steps,
            "train.warmup_steps",
            &train.warmup_steps,
            &format!("at most train.steps, which is {}", train.steps),
        );
        let below_one = |value: f64| (0.0..1.0).contains(&value);
        check(below_one(train.weight_decay), "train.weight_decay", &train.weight_decay, "at least 0 and below 1");
        check(below_one(train.beta1), "train.beta1", &train.beta1, "at least 0 and below 1");
        check(below_one(train.beta2), "train.beta2", &train.beta2, "at least 0 and below 1");
        check(positive(train.epsilon), "train.epsilon", &train.epsilon, POSITIVE);
        check(positive(train.clip_norm), "train.clip_norm", &train.clip_norm, POSITIVE);
        check(train.checkpoint_every >= 1, "train.checkpoint_every", &train.checkpoint_every, "at least 1");
        check(train.keep >= 1, "train.keep", &train.keep, "at least 1");
        check(train.validation_batches >= 1, "train.validation_batches", &train.validation_batches, "at least 1");
        check(train.log_every >= 1, "train.log_every", &train.log_every, "at least 1");
        let in_a_row = train.max_nonfinite_in_a_row;
        check(in_a_row >= 1, "train.max_nonfinite_in_a_row", &in_a_row, "at least 1");

        let tasks: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
        check(
            tasks.contains(&probe.task.as_str()) || (probe.task.is_empty() && probe.every == 0),
            "probe.task",
            &format!("{:?}", probe.task),
            &format!("one of {}", tasks.join(", ")),
        );
        let has_data = !probe.data.as_os_str().is_empty() || probe.every == 0;
        check(has_data, "probe.data", &"\"\"", "the task's folder or file");
        let epochs = probe.epochs;
        check(positive(epochs) && epochs <= 1e4, "probe.epochs", &epochs, "above 0, at most 10000");
        check(probe.batch_size >= 1, "probe.batch_size", &probe.batch_size, "at least 1");
        let rate = probe.learning_rate;
        check((0.0..=1.0).contains(&rate), "probe.learning_rate", &rate, "between 0 (the paper's) and 1");

        let name = &objective.name;
        let known = objective::names().join("\" or \"");
        check(
            objective::names().contains(&name.as_str()),
            "objective.name",
            &format!("{name:?}"),
            &format!("\"{known}\""),
        );
        objective.check(&mut |ok, key, value, expected| check(ok, &format!("objective.{key}"), value, expected));
        check(
            model.sharing != Sharing::Gdes || !model.position_initializer.has_neighbours(),
            "model.sharing",
            &"\"gdes\"",
            "another one with model.position_initializer = \"neighbours\"",
        );
        check(
            model.position_initializer != PositionInitializer::NeighboursInBoth
                || (model.sharing == Sharing::None && of_generator(|generator| Neighbours::new(generator).is_some())),
            "model.position_initializer",
            &"\"neighbours_in_both\"",
            "\"neighbours\" unless model.sharing = \"none\" and the generator's heads are of two columns or more",
        );
        let is_detector =
            |objective: Box<dyn Objective>| objective.networks()[0].head == PretrainedHead::ReplacedTokenDetection;
        if found.is_none()
            && model.word_initializer == WordInitializer::ContextDetector
            && !objective::from_config(objective, &model.networks()).is_ok_and(is_detector)
        {
            let expected = format!("\"normal\" with objective.name = {name:?}, whose network detects nothing");
            found = Some(("model.word_initializer".to_owned(), "\"context_detector\"".to_owned(), expected));
        }
        // Only of sizes that are in range can networks be made.
        if found.is_none()
            && let Err(ObjectiveError::Setting { key, value, expected, .. }) =
                objective::from_config(objective, &model.networks())
        {
            let expected = format!("{expected} with objective.name = {name:?}");
            found = Some((key.to_owned(), format!("{value:?}"), expected));
        }
        found
    }

    /// Checks the ranges again, for a value that code has changed.
    ///
    /// # Errors
    /// The first key out of range.
    pub fn validate(&self) -> Result<(), RunConfigError> {
        match self.out_of_range() {
            None => Ok(()),
            Some((key, value, expected)) => {
                Err(RunConfigError::Range { at: "run configuration".to_owned(), key, value, expected })
            }
        }
    }
}
