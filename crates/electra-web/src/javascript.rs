//! What JavaScript sees: it converts and delegates. Structures go as JSON text, files as objects of `Uint8Array`s, and errors as
//! `Error`s whose name is the protocol's kind.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::Device;
use electra_data::FilesInMemory;
use electra_kernels::device::{self, BrowserDevice, NoWebGpu};
use electra_kernels::verify::{Extent, kernels_of, verify_async};
use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasm_bindgen::prelude::{JsCast, JsValue, wasm_bindgen};

use crate::error::EngineError;
use crate::finetune::{FineTuneOptions, FineTuned, FineTuner};
use crate::model::{self, Model};
use crate::pretrain::{PretrainOptions, Pretrained, Pretrainer};
use crate::protocol::Progress;
use crate::table::{self, Columns};
use crate::walk::{WalkOptions, walk};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// Where a panic leaves its message: it settles no promise, so that the worker looks here when it hears of an error.
const PANIC: &str = "electraPanic";

#[wasm_bindgen(start)]
fn start() {
    device::run_constructors();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        error(&message);
        // There is nothing to be done where it cannot be left.
        let _ = Reflect::set(&js_sys::global(), &PANIC.into(), &message.into());
    }));
}

fn seconds() -> f64 {
    now() / 1000.0
}

type Models = Rc<RefCell<Numbered>>;

/// Networks by their numbers.
#[derive(Default)]
struct Numbered {
    models: BTreeMap<u32, Model>,
    next: u32,
}

impl Numbered {
    /// Keeps `model`, and says what the page is told of it.
    fn add(&mut self, model: Model) -> crate::protocol::Loaded {
        self.next += 1;
        let loaded = model.loaded(self.next);
        self.models.insert(self.next, model);
        loaded
    }

    fn get(&self, number: u32) -> Result<Model, JsValue> {
        let found = self.models.get(&number).cloned();
        found.ok_or_else(|| thrown(&EngineError::input(format!("there is no network number {number}: load it again"))))
    }
}

/// The device of a worker, and the networks on it.
#[wasm_bindgen]
pub struct Engine {
    device: Device,
    description: String,
    is_webgpu: bool,
    why: Value,
    models: Models,
}

#[wasm_bindgen]
impl Engine {
    /// Opens `webgpu`, `cpu`, or by `auto` WebGPU where there is a real adapter. An adapter is trusted when its kernels have been
    /// compared with the CPU's, unless `is_verified` says that they have been; else the CPU computes, and the status says why.
    pub async fn open(backend: String, is_verified: bool) -> Engine {
        if backend == "cpu" {
            return Self::on_cpu("askedFor", "");
        }
        let opened = match device::open_in_browser().await {
            Ok(opened) => opened,
            // That there is none says it all; wgpu's words for it list every interface that a page does not have.
            Err(NoWebGpu::NoAdapter(_)) => return Self::on_cpu("noWebGpu", ""),
            Err(NoWebGpu::DoesNotOpen(reason)) => return Self::on_cpu("noWebGpu", &reason),
        };
        if backend == "auto" && opened.is_fallback {
            return Self::on_cpu("fallbackAdapter", &opened.description);
        }
        if !is_verified && let Err(failed) = verified(&opened).await {
            return Self::on_cpu("verificationFailed", &failed);
        }
        let BrowserDevice { device, description, .. } = opened;
        Self { device, description, is_webgpu: true, why: Value::Null, models: Models::default() }
    }

    fn on_cpu(key: &str, detail: &str) -> Self {
        let why = json!({ "key": key, "detail": detail });
        let description = "1 thread".to_owned();
        Self { device: Device::flex(), description, is_webgpu: false, why, models: Models::default() }
    }

    /// JSON of the protocol's `Status`.
    pub fn status(&self) -> String {
        let memory = wasm_bindgen::memory().unchecked_into::<js_sys::WebAssembly::Memory>();
        let bytes = memory.buffer().unchecked_into::<js_sys::ArrayBuffer>().byte_length();
        let backend = if self.is_webgpu { "webgpu" } else { "cpu" };
        text(&json!({ "backend": backend, "device": self.description, "why": self.why, "memory": bytes }))
    }

    /// Loads the network of a folder's files; JSON of `Loaded`.
    pub fn load(&self, files: &Object, kind: &str) -> Result<String, JsValue> {
        let kind = parsed(&json!(kind).to_string())?;
        let model = Model::load(&files_of(files), kind, &self.device).map_err(|error| thrown(&error))?;
        Ok(text(&self.models.borrow_mut().add(model)))
    }

    pub fn unload(&self, model: u32) {
        self.models.borrow_mut().models.remove(&model);
    }

    /// JSON of an array of `ScoredToken`s.
    pub async fn score(&self, model: u32, content: String) -> Result<String, JsValue> {
        let model = self.models.borrow().get(model)?;
        answered(async { model::score(model.discriminator()?, &content).await }.await)
    }

    /// JSON of an array of `Proposal`s.
    pub async fn propose(&self, model: u32, content: String, position: usize, top: usize) -> Result<String, JsValue> {
        let model = self.models.borrow().get(model)?;
        answered(async { model::propose(model.generator()?, &content, position, top).await }.await)
    }

    /// `{ json, attention }`: JSON of the rest of a `Walk`, and its attention. `options`: JSON of the request.
    pub async fn walk(
        &self,
        discriminator: u32,
        generator: u32,
        content: String,
        options: String,
    ) -> Result<Object, JsValue> {
        let options: WalkOptions = parsed(&options)?;
        let discriminator = self.models.borrow().get(discriminator)?;
        let generator = self.models.borrow().get(generator)?;
        let walked =
            async { walk(discriminator.discriminator()?, generator.generator()?, &content, &options).await }.await;
        let walked = walked.map_err(|error| thrown(&error))?;
        let attention = Float32Array::from(walked.attention.as_slice());
        Ok(object([("json", text(&walked).into()), ("attention", attention.into())]))
    }

    /// JSON of what a fine-tuned network says.
    pub async fn classify(&self, model: u32, content: String, pair: Option<String>) -> Result<String, JsValue> {
        let model = self.models.borrow().get(model)?;
        answered(async { model::classify(model.classifier()?, &content, pair.as_deref()).await }.await)
    }

    /// JSON of a `TableReport`. `columns`: JSON of what the reader says of them.
    #[wasm_bindgen(js_name = readTable)]
    pub fn read_table(&self, name: &str, bytes: Vec<u8>, columns: &str) -> Result<String, JsValue> {
        let columns: Columns = parsed(columns)?;
        answered(table::report(name, &bytes, &columns))
    }

    /// A fine-tuning of the discriminator `model` that has not begun its first step. `options`: JSON of `FineTuneOptions`.
    pub async fn finetune(
        &self,
        model: u32,
        name: String,
        bytes: Vec<u8>,
        options: String,
    ) -> Result<FineTuning, JsValue> {
        let options: FineTuneOptions = parsed(&options)?;
        let model = self.models.borrow().get(model)?;
        let begun = async {
            let base = model.discriminator()?.clone();
            FineTuner::begin(base, &self.description, (&name, &bytes), &options, seconds).await
        };
        let (tuner, notes) = begun.await.map_err(|error| thrown(&error))?;
        Ok(FineTuning { tuner: Some(tuner), told: notes, models: self.models.clone() })
    }

    /// A pre-training that has not begun its first step. `options`: JSON of `PretrainOptions`.
    pub fn pretrain(&self, options: &str, resume: Option<Vec<u8>>) -> Result<Pretraining, JsValue> {
        let options: PretrainOptions = parsed(options)?;
        let begun = Pretrainer::begin(&options, resume.as_deref(), &self.device, &self.description, seconds);
        let (trainer, notes) = begun.map_err(|error| thrown(&error))?;
        Ok(Pretraining { trainer: Some(trainer), told: notes, models: self.models.clone() })
    }

    /// Loses the device, as a driver does that resets its card: for tests.
    #[wasm_bindgen(js_name = loseDevice)]
    pub fn lose_device(&self) {
        device::lose(&self.device);
    }
}

/// Whether the adapter computes what the CPU computes: the short form of `electra devices --verify`.
async fn verified(opened: &BrowserDevice) -> Result<(), String> {
    let checks = verify_async(&opened.device, Extent::Short, &seconds, &mut |_| {}).await;
    let checks = checks.map_err(|failure| failure.to_string())?;
    let failed = kernels_of(&checks, |check| !check.passed());
    let names: Vec<String> = failed.iter().map(ToString::to_string).collect();
    if names.is_empty() { Ok(()) } else { Err(format!("{}: {}", opened.description, names.join(", "))) }
}

/// A fine-tuning between two steps.
#[wasm_bindgen]
pub struct FineTuning {
    tuner: Option<FineTuner>,
    told: Vec<Progress>,
    models: Models,
}

#[wasm_bindgen]
impl FineTuning {
    /// One step: whether there are more. What there is to tell is in `told`.
    pub async fn step(&mut self) -> Result<bool, JsValue> {
        let tuner = self.tuner.as_mut().ok_or_else(ended)?;
        let (goes_on, told) = tuner.step().await.map_err(|error| thrown(&error))?;
        self.told.extend(told);
        Ok(goes_on)
    }

    /// JSON of an array of `Progress`, which is forgotten.
    pub fn told(&mut self) -> String {
        text(&std::mem::take(&mut self.told))
    }

    /// `{ json, files }`: JSON of `FineTuneResult` without its files, and these.
    pub async fn finish(&mut self) -> Result<Object, JsValue> {
        let tuner = self.tuner.take().ok_or_else(ended)?;
        let FineTuned { model, files, result } = tuner.finish().await.map_err(|error| thrown(&error))?;
        let mut answer = json!(result);
        answer["loaded"] = json!(self.models.borrow_mut().add(model));
        Ok(object([("json", text(&answer).into()), ("files", object_of(&files).into())]))
    }
}

/// A pre-training between two steps.
#[wasm_bindgen]
pub struct Pretraining {
    trainer: Option<Pretrainer>,
    told: Vec<Progress>,
    models: Models,
}

#[wasm_bindgen]
impl Pretraining {
    /// As [`FineTuning::step`].
    pub async fn step(&mut self) -> Result<bool, JsValue> {
        let trainer = self.trainer.as_mut().ok_or_else(ended)?;
        let (goes_on, told) = trainer.step().await.map_err(|error| thrown(&error))?;
        self.told.extend(told);
        Ok(goes_on)
    }

    /// As [`FineTuning::told`].
    pub fn told(&mut self) -> String {
        text(&std::mem::take(&mut self.told))
    }

    /// `{ step, bytes }`
    pub async fn checkpoint(&mut self) -> Result<Object, JsValue> {
        let trainer = self.trainer.as_mut().ok_or_else(ended)?;
        let (step, bytes) = trainer.checkpoint().await.map_err(|error| thrown(&error))?;
        Ok(object([("step", (step as f64).into()), ("bytes", Uint8Array::from(bytes.as_slice()).into())]))
    }

    /// `{ json, files, checkpoint }`: JSON of `PretrainResult`'s networks, and the rest of it.
    pub async fn finish(&mut self) -> Result<Object, JsValue> {
        let trainer = self.trainer.take().ok_or_else(ended)?;
        let done = trainer.finish().await.map_err(|error| thrown(&error))?;
        let Pretrained { discriminator, generator, files, checkpoint } = done;
        let [discriminator, generator] =
            [discriminator, generator].map(|model| model.map(|model| self.models.borrow_mut().add(model)));
        let networks = json!({ "discriminator": discriminator, "generator": generator });
        let checkpoint = Uint8Array::from(checkpoint.as_slice());
        Ok(object([
            ("json", text(&networks).into()),
            ("files", object_of(&files).into()),
            ("checkpoint", checkpoint.into()),
        ]))
    }
}

fn ended() -> JsValue {
    thrown(&EngineError::input("this training has ended: begin another"))
}

fn thrown(error: &EngineError) -> JsValue {
    let thrown = js_sys::Error::new(&error.message);
    thrown.set_name(error.kind.name());
    thrown.into()
}

fn answered(answer: Result<impl Serialize, EngineError>) -> Result<String, JsValue> {
    answer.map(|answer| text(&answer)).map_err(|error| thrown(&error))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

fn parsed<T: DeserializeOwned>(json: &str) -> Result<T, JsValue> {
    serde_json::from_str(json).map_err(|error| thrown(&EngineError::input(format!("the request: {error}"))))
}

fn files_of(files: &Object) -> FilesInMemory {
    let file = |entry: JsValue| {
        let entry: Array = entry.unchecked_into();
        let bytes: Uint8Array = entry.get(1).unchecked_into();
        (entry.get(0).as_string().unwrap_or_default(), bytes.to_vec())
    };
    Object::entries(files).iter().map(file).collect()
}

fn object_of(files: &FilesInMemory) -> Object {
    let object = Object::new();
    for (name, bytes) in files {
        set(&object, name, &Uint8Array::from(bytes.as_slice()).into());
    }
    object
}

fn object<const N: usize>(fields: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    for (name, value) in fields {
        set(&object, name, &value);
    }
    object
}

fn set(object: &Object, name: &str, value: &JsValue) {
    Reflect::set(object, &name.into(), value).expect("an object that was made here takes fields");
}
