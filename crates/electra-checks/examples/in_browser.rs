//! The checks as a page calls them: `cargo xtask test browser` builds this for WebAssembly and drives it (xtask/src/browser/).
#![cfg(target_family = "wasm")]

use std::collections::BTreeMap;
use std::future::Future;

use burn::tensor::{Device, Tensor};
use electra_checks::{golden, nano};
use electra_kernels::{device, launches, read::Reads};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

fn seconds() -> f64 {
    now() / 1000.0
}

/// A check that fails panics, and a panic ends the module: what it says goes to the page first.
#[wasm_bindgen(start)]
fn start() {
    device::run_constructors();
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

/// A folder of golden values on its way into the page.
#[wasm_bindgen]
pub struct Folder {
    name: String,
    files: BTreeMap<String, Vec<u8>>,
}

#[wasm_bindgen]
impl Folder {
    #[wasm_bindgen(constructor)]
    pub fn new(name: String) -> Folder {
        Self { name, files: BTreeMap::new() }
    }

    pub fn add(&mut self, path: String, bytes: Vec<u8>) {
        self.files.insert(path, bytes);
    }
}

/// A device of the page, and the checks on it.
#[wasm_bindgen]
pub struct Checks {
    device: Device,
    description: String,
    is_adapter: bool,
}

#[wasm_bindgen]
impl Checks {
    /// `webgpu` or `cpu`.
    pub async fn open(backend: String) -> Result<Checks, JsError> {
        if backend == "cpu" {
            return Ok(Self { device: Device::flex(), description: "CPU".to_owned(), is_adapter: false });
        }
        let opened = device::open_in_browser().await?;
        golden::set_slack(golden::ADAPTER_SLACK);
        Ok(Self { device: opened.device, description: opened.description, is_adapter: true })
    }

    pub fn description(&self) -> String {
        self.description.clone()
    }

    /// One of the golden checks by its name.
    pub async fn golden(&self, check: String, folder: &Folder) -> String {
        use golden::{ENCODER, ENCODER_BACKWARD, JOINT_STEP, UPDATE};
        let folder = golden::Folder::of_files(&folder.name, folder.files.clone());
        let step: [&[&str]; 3] = [&ENCODER, &ENCODER_BACKWARD, &JOINT_STEP];
        match check.as_str() {
            "forward" => self.watched(&step[..1], golden::forward(&folder, &self.device)).await,
            "joint_step" => self.watched(&step, golden::joint_step(&folder, &self.device)).await,
            "ten_steps" => {
                let shaders = [&step[..], &[&UPDATE]].concat();
                self.watched(&shaders, golden::ten_steps(&folder, &self.device)).await
            }
            other => panic!("there is no check {other}"),
        }
    }

    /// Fifty steps of `nano`, paused on the way, against the rows of the native CPU, which never paused; on the CPU also against
    /// a run here that does not, bit for bit. (An emulated adapter takes minutes for one.)
    pub async fn nano(&self, native: String) -> String {
        let began = seconds();
        let paused = nano::nano(&self.device, true, seconds).await;
        let took = seconds() - began;
        let off = nano::compare(&paused.rows, &native);
        if !self.is_adapter {
            let whole = nano::nano(&self.device, false, seconds).await;
            assert_eq!(nano::to_json(&paused.rows), nano::to_json(&whole.rows), "the pause shows");
        }
        let (bytes, limit) = (paused.checkpoint_bytes, nano::TOLERANCE);
        format!("{took:.1} s, off by {off:.1e} of {limit:.0e} at most, checkpoint of {bytes} bytes")
    }

    /// A device that goes away in the middle of things is an error, and the page can open another.
    pub async fn lost(&self) -> String {
        let floats = |device: &Device| {
            let mut reads = Reads::default();
            reads.floats(&(Tensor::<1>::from_floats([1.0, 2.0], device) * 3.0));
            reads
        };
        let reading = floats(&self.device);
        device::lose(&self.device);
        let failure = reading.read_async().await.expect_err("nothing comes from a device that is lost");
        assert!(failure.is_final(), "{failure}");
        let opened = device::open_in_browser().await.unwrap_or_else(|error| panic!("{error}"));
        let found = floats(&opened.device).read_async().await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(electra_kernels::read::floats_of(&found[0]), [3.0, 6.0]);
        failure.to_string()
    }
}

impl Checks {
    /// Runs `check`, which on an adapter must launch `shaders`; says how many launches there were.
    async fn watched(&self, shaders: &[&[&str]], check: impl Future<Output = ()>) -> String {
        golden::set_slack(if self.is_adapter { golden::ADAPTER_SLACK } else { 1.0 });
        let ((), launched) = launches::record_async(check).await;
        if self.is_adapter {
            golden::assert_launched(&launched, shaders);
        } else {
            assert!(launched.is_empty(), "the CPU launches nothing");
        }
        format!("{} launches", launched.len())
    }
}
