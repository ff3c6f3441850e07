//! Golden numbers of fine-tuning: heads with their losses and gradients, and steps under layer-wise learning rates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_checks::golden::{PARAMETER_TOLERANCE, Tensors, UPDATE, input_of, slack};
use electra_model::{
    Alias, ElectraConfig, Layout, Parameters,
    head::{self, QuestionAnswering, SequenceClassifier, TokenClassifier},
};
use electra_train::exchange::hugging_face;
use electra_train::step::trainer::gradients_of;
use electra_train::{Adam, AdamConfig, Architecture, Network, lr_at};
use serde_json::Value;

use super::golden::{
    ENCODER, ENCODER_BACKWARD, LOSS_TOLERANCE, OUTPUT_TOLERANCE, assert_close, assert_gradient_close, flat, folders,
    json, on_adapter, on_both, values, with_part,
};

on_both! {
    golden_heads, golden_heads_on_adapter: heads launches [&ENCODER[..], &ENCODER_BACKWARD];
    golden_fine_tuning_steps, golden_fine_tuning_steps_on_adapter: fine_tuning_steps launches
        [&ENCODER[..], &ENCODER_BACKWARD, &UPDATE];
}

fn head_folders() -> Vec<PathBuf> {
    folders(|folder| {
        let Ok(config) = std::fs::read(folder.join("config.json")) else { return false };
        let config: Value = serde_json::from_slice(&config).unwrap();
        let class = config["architectures"][0].as_str().unwrap_or_default().to_owned();
        !(class.ends_with("ForPreTraining") || class.ends_with("ForMaskedLM"))
    })
}

struct Head {
    network: Network,
    parameters: Parameters,
}

impl Head {
    fn load(folder: &Path, device: &Device) -> Self {
        let network = hugging_face::import(folder).unwrap();
        let layout = Layout::new(network.architecture.specs(&network.config), Vec::<Alias>::new());
        let mut stored = network.tensors.iter();
        let parameters = Parameters::from_values(&layout, device, |spec| {
            let tensor = stored.next().unwrap();
            assert_eq!(tensor.name, spec.name);
            tensor.values.clone()
        });
        Self { network, parameters }
    }

    /// Outputs by the fixtures' names, and the loss.
    fn forward(&self, parameters: &Parameters, tensors: &Tensors, device: &Device) -> (Outputs, Tensor<1>) {
        let config: &ElectraConfig = &self.network.config;
        let input = input_of(tensors, device);
        let ints = |name: &str| {
            let values = tensors.ints_at(name, None);
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), device)
        };
        match self.network.architecture {
            Architecture::SequenceClassification { labels, style } => {
                let logits = SequenceClassifier::bind(config, 0.0, style, parameters, "").forward(&input, None);
                let loss = if labels == 1 {
                    head::regression_loss(logits.clone(), flat(tensors.floats_at("in.labels", None), device))
                } else if tensors.shape_at("in.labels", None).len() == 2 {
                    // Any of the labels a text.
                    let targets = flat(tensors.floats_at("in.labels", None), device).reshape(logits.dims());
                    head::binary_cross_entropy(logits.clone(), targets)
                } else {
                    head::cross_entropy(logits.clone(), ints("in.labels"))
                };
                (BTreeMap::from([("out.logits", logits)]), loss)
            }
            Architecture::TokenClassification { .. } => {
                let logits = TokenClassifier::bind(config, 0.0, parameters, "").forward(&input, None);
                let loss = head::cross_entropy(logits.clone(), ints("in.labels"));
                (BTreeMap::from([("out.logits", logits)]), loss)
            }
            Architecture::QuestionAnswering => {
                let (start, end) = QuestionAnswering::bind(config, parameters, "").forward(&input, None);
                let loss = head::question_answering_loss(
                    start.clone(),
                    end.clone(),
                    ints("in.start_positions"),
                    ints("in.end_positions"),
                );
                (BTreeMap::from([("out.start_logits", start), ("out.end_logits", end)]), loss)
            }
            other => panic!("{} is no head", other.class_name()),
        }
    }
}

type Outputs = BTreeMap<&'static str, Tensor<2>>;

fn heads(device: &Device) {
    let device = device.clone().autodiff();
    for folder in with_part("head", head_folders(), "golden.safetensors") {
        let tensors = Tensors::read(&folder.join("golden.safetensors"));
        let head = Head::load(&folder, &device);
        let parameters = head.parameters.map(|_, _, value| value.clone().require_grad());
        let (outputs, loss) = head.forward(&parameters, &tensors, &device);
        for (name, found) in outputs {
            let what = format!("{} {name}", folder.display());
            assert_close(&what, &values(found), &tensors.floats_at(name, None), OUTPUT_TOLERANCE, 1e-5);
        }
        assert_close("loss", &values(loss.clone()), &tensors.floats_at("out.loss", None), LOSS_TOLERANCE, 0.0);
        let gradients = gradients_of(&parameters, &loss);
        for (spec, gradient) in parameters.specs().iter().zip(gradients) {
            let name = format!("grad.{}", spec.name);
            let found = gradient.map_or_else(|| vec![0.0; spec.len()], values);
            assert_gradient_close(&format!("{} {name}", folder.display()), &found, &tensors.floats_at(&name, None));
        }
    }
}

fn fine_tuning_steps(device: &Device) {
    let base = device.clone();
    let device = base.clone().autodiff();
    for folder in with_part("fine-tuning with layer-wise learning rates", head_folders(), "finetune.safetensors") {
        let tensors = Tensors::read(&folder.join("golden.safetensors"));
        let finals = Tensors::read(&folder.join("finetune.safetensors"));
        let record = json(&folder.join("finetune.json"));
        let head = Head::load(&folder, &base);
        let mut parameters = head.parameters.clone();
        let (layers, decay) = (head.network.config.num_hidden_layers, record["layerwise_lr_decay"].as_f64().unwrap());
        let scale = |name: &str| {
            use electra_train::{LayerwiseExponent::Reference, layerwise_multiplier};
            let scale = layerwise_multiplier(name, layers, decay, Reference);
            let expected = record["lr_scale"][name].as_f64().unwrap();
            assert!((scale - expected).abs() < 1e-12, "{name}: {scale} instead of {expected}");
            scale
        };
        let mut adam =
            Adam::new(AdamConfig::default(), &parameters).with_learning_rate_scales(parameters.layout(), scale);
        for (i, expected) in record["steps"].as_array().unwrap().iter().enumerate() {
            let tracked = parameters.map(|_, _, value| Tensor::from_inner(value.clone()).require_grad());
            let (_, loss) = head.forward(&tracked, &tensors, &device);
            let found = f64::from(values(loss.clone())[0]);
            let golden = expected["loss"].as_f64().unwrap();
            assert!((found - golden).abs() <= LOSS_TOLERANCE * slack(), "step {i}: loss {found} instead of {golden}");
            let gradients = gradients_of(&tracked, &loss);
            let rate = lr_at(
                i as u64,
                record["peak_lr"].as_f64().unwrap(),
                record["warmup_steps"].as_u64().unwrap(),
                record["num_train_steps"].as_u64().unwrap(),
            );
            (parameters, _) = adam.step(parameters, gradients, rate).unwrap();
        }
        for (spec, value) in parameters.iter() {
            let name = format!("final.{}", spec.name);
            assert_close(&name, &values(value.clone()), &finals.floats_at(&name, None), PARAMETER_TOLERANCE, 0.0);
        }
    }
}
