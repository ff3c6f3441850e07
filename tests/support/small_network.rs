//! The network of runs that are about something else than what is learnt: milliseconds a step. std alone, as the soak, which
//! includes it, is no part of these tests.

/// Settings of `electra pretrain` over the preset nano. A batch is two micro-batches of unequal size.
pub const SMALL_NETWORK: [&str; 11] = [
    "seed=7",
    "model.hidden_size=32",
    "model.embedding_size=16",
    "model.num_hidden_layers=1",
    "model.num_attention_heads=2",
    "model.intermediate_size=64",
    "model.max_position_embeddings=32",
    "train.sequence_length=32",
    "train.batch_size=4",
    "train.micro_batch=3",
    "train.warmup_steps=4",
];
