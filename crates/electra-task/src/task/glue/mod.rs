//! GLUE's tasks (Wang et al., 2019). Columns are those of the official TSVs and of Hugging Face's `nyu-mll/glue`, labels have the latter's
//! numbers. GLUE's average is that of the ELECTRA paper: each task's first score, of MNLI the matched set's, WNLI left out.

mod cola;
mod mnli;
mod mrpc;
mod qnli;
mod qqp;
mod rte;
mod sst2;
mod stsb;
mod wnli;

pub(super) use cola::TASK as COLA;
pub(super) use mnli::TASK as MNLI;
pub(super) use mrpc::TASK as MRPC;
pub(super) use qnli::TASK as QNLI;
pub(super) use qqp::TASK as QQP;
pub(super) use rte::TASK as RTE;
pub(super) use sst2::TASK as SST2;
pub(super) use stsb::TASK as STSB;
pub(super) use wnli::TASK as WNLI;

use super::sentences::{Answers, Label, Role, Sentences, Set, Tsv};
use super::{Source, Task};
