//! Networks, losses and optimizer against numbers from elsewhere.

mod golden;
mod golden_heads;
mod golden_objectives;
mod golden_small;
mod minilm;
