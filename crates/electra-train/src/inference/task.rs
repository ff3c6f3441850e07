//! A fine-tuned network, ready to predict.

use std::path::Path;

use burn::tensor::Device;
use electra_data::{ImportOptions, Imported, Tokenizer};
use electra_model::{Alias, ElectraConfig, Layout, Parameters};
use electra_task::encode::{EncodeOptions, Encoded, encode};
use electra_task::output::answered;
use electra_task::squad::Answered;
use electra_task::{Example, Input, Prediction, Target};

use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::{self, TaskRecord};
use crate::finetuning::TaskHead;
use crate::finetuning::read::Reader;
use crate::host::{self, wait_for};

/// A network with the head of a task, and its tokenizer.
pub struct TaskNetwork {
    /// The task.
    pub record: TaskRecord,
    /// What its user should know of the tokenizer.
    pub notices: Vec<String>,
    tokenizer: Tokenizer,
    head: TaskHead,
    config: ElectraConfig,
    parameters: Parameters,
    device: Device,
}

/// What a network said of examples.
#[derive(Debug, Clone)]
pub struct Predicted {
    /// One for each example.
    pub predictions: Vec<Prediction>,
    /// What the network read.
    pub encoded: Encoded,
}

impl TaskNetwork {
    /// Loads a folder that "electra finetune" wrote, or one of `transformers` with a class of a task.
    ///
    /// # Errors
    /// The folder is not such a network with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let network = hugging_face::import(folder)?;
        let Some(record) = network.task else {
            let problem =
                format!("{} is a pre-trained network, without the head of a task", network.architecture.class_name());
            return Err(Error::invalid(folder, problem, "fine-tune it first: \"electra finetune --model ...\""));
        };
        let Imported { tokenizer, notices } = Tokenizer::import(folder, &ImportOptions::default())?;
        hugging_face::check_tokenizer_fits(&tokenizer, &network.config, folder)?;
        let layout = Layout::new(network.architecture.specs(&network.config), Vec::<Alias>::new());
        let parameters = host::parameters_from_host(&layout, network.tensors, folder, device)?;
        let head = TaskHead { kind: record.kind.clone(), style: record.head, dropout: 0.0 };
        Ok(Self { record, notices, tokenizer, head, config: network.config, parameters, device: device.clone() })
    }

    /// Predictions for `examples`; `progress` is told how many features are done, of how many.
    ///
    /// # Errors
    /// The device failed.
    pub fn predict(&self, examples: &[Example], progress: &mut dyn FnMut(usize, usize)) -> Result<Predicted> {
        let encoded = encode(examples, &self.record.kind, &self.tokenizer, &self.options())?;
        let total = encoded.features.len();
        let (reader, mut watch) = (self.reader(), |done| progress(done, total));
        let read = reader.predictions(examples, &encoded, &mut watch);
        let predictions = wait_for(read).during("the predictions")?;
        Ok(Predicted { predictions, encoded })
    }

    /// Every answer to a question that the network thinks possible.
    ///
    /// # Errors
    /// The device failed.
    pub fn answer(&self, question: &str, context: &str) -> Result<Answered> {
        let example = Example {
            id: "0".to_owned(),
            input: Input::Pair(question.to_owned(), context.to_owned()),
            target: Target::Unknown,
        };
        let encoded = encode(std::slice::from_ref(&example), &self.record.kind, &self.tokenizer, &self.options())?;
        let (reader, mut ignored) = (self.reader(), |_| {});
        let read = reader.outputs(&encoded.features, &mut ignored);
        let outputs = wait_for(read).during("the answer")?;
        Ok(answered(&example, &encoded.windows, &outputs))
    }

    /// The tokenizer that lies beside the network.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn options(&self) -> EncodeOptions {
        let options = self.record.encode_options();
        EncodeOptions { max_length: options.max_length.min(self.config.max_position_embeddings), ..options }
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            head: &self.head,
            config: &self.config,
            parameters: &self.parameters,
            special: self.tokenizer.special(),
            device: &self.device,
        }
    }
}
