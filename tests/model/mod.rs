//! Networks, losses and optimizer against numbers from elsewhere.

mod golden;
mod golden_objectives;
