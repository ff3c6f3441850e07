//! QNLI (Rajpurkar et al., 2016): SQuAD's questions, each with a sentence of its paragraph.

use super::{Answers, Label, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[1, 2], 3);

pub(in crate::task) const TASK: Task = Task {
    name: "qnli",
    title: "QNLI",
    about: "whether a sentence answers a question",
    metrics: &["accuracy"],
    in_glue_average: true,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "",
    source: Source::Sentences(Sentences {
        folders: &["QNLI"],
        answers: Answers::Labels(&[
            Label { name: "entailment", written: "entailment" },
            Label { name: "not_entailment", written: "not_entailment" },
        ]),
        columns: &["question", "sentence"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[1, 2]))], "QNLI.tsv"),
        ],
    }),
};
