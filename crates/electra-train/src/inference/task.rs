//! A fine-tuned network, ready to predict.

use burn::tensor::Device;
use electra_data::{Folder, ImportOptions, Imported, Tokenizer};
use electra_model::{Alias, ElectraConfig, Layout, Parameters};
use electra_task::encode::{EncodeOptions, Encoded, encode};
#[cfg(feature = "native")]
use electra_task::output::answered;
#[cfg(feature = "native")]
use electra_task::squad::Answered;
use electra_task::{Example, Prediction};
#[cfg(feature = "native")]
use electra_task::{Input, Target};

use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::{self, TaskRecord};
use crate::finetuning::TaskHead;
use crate::finetuning::read::Reader;
use crate::host;
#[cfg(feature = "native")]
use crate::host::wait_for;

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
    pub fn load<'f>(folder: impl Into<Folder<'f>>, device: &Device) -> Result<Self> {
        let folder = folder.into();
        let place = &folder.place();
        let network = hugging_face::import(folder)?;
        let Some(record) = network.task else {
            let problem =
                format!("{} is a pre-trained network, without the head of a task", network.architecture.class_name());
            return Err(Error::invalid(place, problem, "fine-tune it first: \"electra finetune --model ...\""));
        };
        let Imported { tokenizer, notices } = Tokenizer::import_from(folder, &ImportOptions::default())?;
        hugging_face::check_tokenizer_fits(&tokenizer, &network.config, place)?;
        let layout = Layout::new(network.architecture.specs(&network.config), Vec::<Alias>::new());
        let parameters = host::parameters_from_host(&layout, network.tensors, place, device)?;
        let head = TaskHead { kind: record.kind.clone(), style: record.head, dropout: 0.0 };
        Ok(Self { record, notices, tokenizer, head, config: network.config, parameters, device: device.clone() })
    }

    /// Predictions for `examples`; `progress` is told how many features are done, of how many.
    ///
    /// # Errors
    /// The device failed.
    #[cfg(feature = "native")]
    pub fn predict(&self, examples: &[Example], progress: &mut dyn FnMut(usize, usize)) -> Result<Predicted> {
        wait_for(self.predict_async(examples, progress))
    }

    /// As [`TaskNetwork::predict`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// As [`TaskNetwork::predict`].
    pub async fn predict_async(
        &self,
        examples: &[Example],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Predicted> {
        let encoded = encode(examples, &self.record.kind, &self.tokenizer, &self.options())?;
        let total = encoded.features.len();
        let (reader, mut watch) = (self.reader(), |done| progress(done, total));
        let read = reader.predictions(examples, &encoded, &mut watch);
        let predictions = read.await.during("the predictions")?;
        Ok(Predicted { predictions, encoded })
    }

    /// Every answer to a question that the network thinks possible.
    ///
    /// # Errors
    /// The device failed.
    #[cfg(feature = "native")]
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

    /// The encoder's sizes.
    pub fn config(&self) -> &ElectraConfig {
        &self.config
    }

    /// Its weights, by the names of its class.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
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
