//! The user's word for a device, and what it may fail of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The user's word for a device: `auto`, `cpu`, `gpu` or `gpu:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The best hardware adapter, else the CPU.
    #[default]
    Auto,
    /// Burn's CPU backend.
    Cpu,
    /// The best adapter, a software one included.
    Gpu,
    /// The adapter with this number in [`adapters`].
    GpuIndex(usize),
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            _ => text
                .strip_prefix("gpu:")
                .and_then(|number| number.parse().ok())
                .map(Self::GpuIndex)
                .ok_or_else(|| DeviceError::UnknownChoice(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Gpu => formatter.write_str("gpu"),
            Self::GpuIndex(number) => write!(formatter, "gpu:{number}"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

/// Why no device could be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
// The text of each says what it and its fields are.
#[expect(missing_docs)]
pub enum DeviceError {
    #[error("device \"{0}\" is not known; write auto, cpu, gpu or gpu:N, where N is a number from `electra devices`")]
    UnknownChoice(String),
    #[error(
        "device \"{0}\": no graphics adapter was found (Vulkan, Metal and DirectX 12 were asked); \
         install the GPU's driver (on Linux its Vulkan one), or use --device cpu"
    )]
    NoAdapter(DeviceChoice),
    #[error(
        "device \"gpu:{number}\": there {} (gpu:0{}); `electra devices` lists them",
        if *count == 1 { "is one adapter only".to_owned() } else { format!("are {count} adapters") },
        if *count == 1 { String::new() } else { format!(" to gpu:{}", count - 1) }
    )]
    NoSuchAdapter { number: usize, count: usize },
    #[error("device \"gpu:{number}\" ({name}) does not open: {reason}; try another one of `electra devices`, or cpu")]
    DoesNotOpen { number: usize, name: String, reason: String },
}
