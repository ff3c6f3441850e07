//! Fine-tuning on a reader's table, a step at a time: what `electra finetune --task csv` does, in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use electra_data::FilesInMemory;
use electra_model::ElectraConfig;
use electra_task::report::worst_misread;
use electra_task::task::TaskData;
use electra_task::task::custom::Decision;
use electra_task::{Example, Input, Kind, Prediction, Scores, Target};
use electra_train::exchange::hugging_face::{Architecture, TaskRecord, export_to_memory};
use electra_train::finetuning::{FineTuneConfig, FineTunePlan, FineTuning, FineTuningData};
use electra_train::inference::{Detector, TaskNetwork};
use electra_train::run::{Advance, MemorySink, Run};
use electra_train::{During, ModelCard, Network, data, host};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::model::Model;
use crate::protocol::{ModelKind, Progress};
use crate::table::{Columns, task_data};

/// Steps between two looks at the loss: each waits for the device.
const STEPS_BETWEEN_ROWS: u64 = 5;
/// Misread examples that are shown.
const WORST: usize = 10;

/// How a network is fine-tuned.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FineTuneOptions {
    #[serde(flatten)]
    pub columns: Columns,
    pub epochs: f64,
    pub batch_size: usize,
    pub learning_rate: f64,
    pub max_length: usize,
    pub seed: u64,
    pub from_scratch: bool,
    /// At most so many steps; 0: as many as the epochs have.
    pub steps: u64,
}

/// A count for each pair of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    pub labels: Vec<String>,
    /// `[right][predicted]`
    pub counts: Vec<Vec<u64>>,
}

/// An example whose label was misread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worst {
    pub text: String,
    pub right: String,
    pub predicted: String,
    /// That the network gave the right label.
    pub probability: f64,
}

/// What a fine-tuning came to, beside its network and its files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FineTuneResult {
    pub scores: Scores,
    pub baselines: BTreeMap<String, Scores>,
    pub confusion: Option<Confusion>,
    pub worst: Vec<Worst>,
}

/// A network that has been fine-tuned.
pub struct FineTuned {
    pub model: Model,
    /// As `electra predict` and `transformers` load it.
    pub files: FilesInMemory,
    pub result: FineTuneResult,
}

type TaskRun = Run<FineTuning, MemorySink<FineTuning>>;

/// A fine-tuning between two steps.
pub struct FineTuner {
    base: Rc<Detector>,
    run: TaskRun,
    task: TaskData,
    baselines: BTreeMap<String, Scores>,
    progress: Pace,
    rows: usize,
}

/// How far a training is, and how fast.
pub(crate) struct Pace {
    pub(crate) steps: u64,
    first_step: u64,
    began: f64,
    clock: fn() -> f64,
}

impl Pace {
    pub(crate) fn new(first_step: u64, steps: u64, clock: fn() -> f64) -> Self {
        Self { steps, first_step, began: clock(), clock }
    }

    pub(crate) fn at(&self, step: u64) -> Progress {
        let seconds = ((self.clock)() - self.began).max(1e-9);
        let steps_per_second = (step - self.first_step) as f64 / seconds;
        let seconds_left = (self.steps.saturating_sub(step)) as f64 / steps_per_second.max(1e-9);
        Progress::Step { step, steps: self.steps, steps_per_second, seconds_left }
    }
}

impl FineTuner {
    /// One that begins with `base`'s encoder, on the table `name`; and what is to be known of it.
    ///
    /// # Errors
    /// The table does not suit; an option is out of range; the device failed.
    pub async fn begin(
        base: Rc<Detector>,
        device: &str,
        (name, table): (&str, &[u8]),
        options: &FineTuneOptions,
        clock: fn() -> f64,
    ) -> Result<(Self, Vec<Progress>), EngineError> {
        let network = base.network().encoder.config().clone();
        let task = task_data(name, table, &options.columns, options.seed)?;
        let mut config = config_of(options, &network)?;
        let data = FineTuningData::prepare(&task, &config, base.tokenizer())?;
        if data.train.features.is_empty() {
            return Err(EngineError::input(format!("{name}: no row has a label to learn from")));
        }
        let steps_of_epoch = data.train.features.len().div_ceil(config.batch_size) as u64;
        if options.steps > 0 {
            config.epochs = config.epochs.min(options.steps as f64 / steps_of_epoch as f64);
        }
        let steps = ((config.epochs * steps_of_epoch as f64).round() as u64).max(1);
        config.log_every = STEPS_BETWEEN_ROWS.min(steps);
        let decided = task.decision.iter().flat_map(|decision| &decision.sentences);
        let reported = task.train.iter().flat_map(|train| train.report.sentences());
        let notes = decided.cloned().chain(reported).chain(task.notes.clone()).chain(data.notes.clone());
        let notes = notes.map(|text| Progress::Note { text }).collect();

        let baselines = data.baselines(options.seed);
        let specs = Architecture::Encoder.specs(&network);
        let encoder = host::network_to_host(base.parameters(), "", &specs).await?;
        let special = base.tokenizer().special();
        let plan = FineTunePlan::new(&config, &network, &task.kind, special, base.device(), device);
        let run = Run::begin(FineTuning::begin(plan, data, &encoder), MemorySink::new(clock))?;
        let progress = Pace::new(0, steps, clock);
        Ok((Self { base, run, task, baselines, progress, rows: 0 }, notes))
    }

    /// One step: whether there are more, and what there is to tell.
    ///
    /// # Errors
    /// The device failed, or the loss is no number any more. The fine-tuning is of no use then.
    pub async fn step(&mut self) -> Result<(bool, Vec<Progress>), EngineError> {
        let goes_on = self.run.advance().await? == Advance::Stepped;
        let rows = &self.run.sink().rows;
        let new = rows[self.rows..].iter().map(|row| Progress::Row { row: serde_json::json!(row) });
        let mut told: Vec<Progress> = new.collect();
        self.rows = rows.len();
        told.push(self.progress.at(self.run.step()));
        Ok((goes_on, told))
    }

    /// Ends it: the best weights as a network, and how good it is.
    ///
    /// # Errors
    /// The device failed.
    pub async fn finish(self) -> Result<FineTuned, EngineError> {
        let Self { base, run, task, baselines, .. } = self;
        let ended = run.finish().await?;
        let (plan, data) = (ended.work.plan(), ended.work.data());
        let config = plan.config();
        let parameters = ended.work.parameters();
        let tensors = host::network_to_host(parameters, "", plan.layout().specs()).await.during("the export")?;
        let scores = ended.work.best_scores().first().cloned().unwrap_or_default();
        let record = TaskRecord {
            task: config.task.clone(),
            kind: task.kind.clone(),
            head: config.head,
            max_length: config.max_length,
            long_texts: config.long_texts,
            stride: config.stride,
            columns: task.decision.map(|decision| Decision { sentences: Vec::new(), ..decision }),
            no_answer_threshold: None,
        };
        let network = Network {
            architecture: record.architecture(),
            config: base.network().encoder.config().clone(),
            classifier_dropout: Some(config.dropout),
            task: Some(record),
            tensors,
        };
        let card = card(config, data, &base, &scores, &baselines);
        let files = export_to_memory(&network, base.tokenizer().clone(), &card, Path::new("the fine-tuned network"))?;
        // What is handed out is what is tried and judged.
        let model = Model::load(&files, ModelKind::Classifier, base.device())?;
        let (confusion, worst) = match data.dev.first() {
            Some(dev) => looked_at(model.classifier()?, &dev.examples).await?,
            None => (None, Vec::new()),
        };
        Ok(FineTuned { model, files, result: FineTuneResult { scores, baselines, confusion, worst } })
    }
}

fn config_of(options: &FineTuneOptions, network: &ElectraConfig) -> Result<FineTuneConfig, EngineError> {
    let range = |name: &str, value: f64, low: f64, high: f64| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(EngineError::input(format!("{name} is {value}: it must be between {low} and {high}")))
    };
    range("epochs", options.epochs, 1e-6, 1000.0)?;
    range("batchSize", options.batch_size as f64, 1.0, 256.0)?;
    range("learningRate", options.learning_rate, 0.0, 1.0)?;
    range("maxLength", options.max_length as f64, 4.0, 512.0)?;
    Ok(FineTuneConfig {
        task: "csv".to_owned(),
        epochs: options.epochs,
        batch_size: options.batch_size,
        learning_rate: options.learning_rate,
        max_length: options.max_length.min(network.max_position_embeddings),
        seed: options.seed,
        from_scratch: options.from_scratch,
        // A checkpoint of each evaluation that is the best is enough.
        checkpoint_every: 1_000_000,
        ..FineTuneConfig::default().for_network(network)
    })
}

fn card(
    config: &FineTuneConfig,
    data: &FineTuningData,
    base: &Detector,
    scores: &Scores,
    baselines: &BTreeMap<String, Scores>,
) -> ModelCard {
    let text = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
    let mut metrics: Vec<(String, f64)> = scores.iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (baseline, scores) in baselines {
        metrics.extend(scores.iter().map(|(name, value)| (format!("{baseline}: {name}"), value)));
    }
    ModelCard {
        name: "A network fine-tuned in a browser".to_owned(),
        corpus: Some(format!("fine-tuned on {} rows of a table", data.examples.len())),
        tokenizer: Some(data::describe(base.tokenizer())),
        training: vec![
            text("epochs", &config.epochs),
            text("batch size", &config.batch_size),
            text("peak learning rate", &config.learning_rate),
            text("longest text", &format_args!("{} tokens", config.max_length)),
        ],
        metrics,
        ..ModelCard::default()
    }
}

async fn looked_at(
    network: &TaskNetwork,
    examples: &[Example],
) -> Result<(Option<Confusion>, Vec<Worst>), EngineError> {
    let Kind::Classification { labels } = &network.record.kind else { return Ok((None, Vec::new())) };
    let predictions = network.predict_async(examples, &mut |_, _| {}).await?.predictions;
    let mut counts = vec![vec![0; labels.len()]; labels.len()];
    let (mut right, mut predicted, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for (example, prediction) in examples.iter().zip(&predictions) {
        let (Target::Class(wanted), Prediction::Class { label, probabilities: of_labels }) =
            (&example.target, prediction)
        else {
            continue;
        };
        counts[*wanted][*label] += 1;
        right.push(*wanted);
        predicted.push(*label);
        probabilities.push(f64::from(of_labels[*wanted]));
    }
    let shown = |example: &Example| match &example.input {
        Input::Text(text) => text.clone(),
        Input::Pair(first, second) => format!("{first} | {second}"),
        Input::Words(words) => words.join(" "),
    };
    let worst = worst_misread(&right, &predicted, &probabilities, WORST).into_iter().map(|misread| Worst {
        text: shown(&examples[misread.example]),
        right: labels[misread.right].clone(),
        predicted: labels[misread.predicted].clone(),
        probability: misread.probability,
    });
    Ok((Some(Confusion { labels: labels.clone(), counts }), worst.collect()))
}
