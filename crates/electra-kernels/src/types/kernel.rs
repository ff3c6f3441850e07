//! The kernels by the names of their switches.

/// What can be switched off by itself, since it has a reference body, or another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Updates of the optimizer.
    Adam,
    /// Attention, whatever its pattern.
    Attention,
    /// Dropout alone.
    Dropout,
    /// The losses of both networks.
    ElectraLoss,
    /// Look-ups, and what goes by positions: gathering and corrupting.
    Embedding,
    /// A layer as one node of the graph; without it, its operations one after another.
    EncoderLayer,
    /// Layer normalization, alone or after a residual connection.
    LayerNorm,
    /// Dense layers, with GELU or without.
    Linear,
    /// Products in half precision on cooperative matrices; without it, those that run everywhere.
    #[serde(rename = "matrix_units")]
    CooperativeMatrix,
}

impl Kernel {
    /// Each of them once.
    pub const ALL: [Self; 9] = [
        Self::Adam,
        Self::Attention,
        Self::Dropout,
        Self::ElectraLoss,
        Self::Embedding,
        Self::EncoderLayer,
        Self::LayerNorm,
        Self::Linear,
        Self::CooperativeMatrix,
    ];
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Adam => "adam",
            Self::Attention => "attention",
            Self::Dropout => "dropout",
            Self::ElectraLoss => "electra_loss",
            Self::Embedding => "embedding",
            Self::EncoderLayer => "encoder_layer",
            Self::LayerNorm => "layer_norm",
            Self::Linear => "linear",
            Self::CooperativeMatrix => "matrix_units",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_written_to_files_as_it_is_shown() {
        for kernel in Kernel::ALL {
            assert_eq!(serde_json::to_string(&kernel).unwrap(), format!("\"{kernel}\""));
        }
    }
}
