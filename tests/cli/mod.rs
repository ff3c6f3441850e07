//! The program as a user meets it.

mod bench;
mod default_job;
mod detect;
mod devices;
mod doctor;
mod exchange;
mod faults;
mod finetune;
mod flops;
mod folders;
mod inputs;
mod plot;
mod pretrain;
mod read_only;
mod serve;
mod signals;
mod terminal;
mod tokenizer_and_data;
mod tokenizers;
