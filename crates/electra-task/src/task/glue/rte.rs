//! RTE (Dagan et al., 2006, and its successors).

use super::{Answers, Label, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[1, 2], 3);

pub(in crate::task) const TASK: Task = Task {
    name: "rte",
    title: "RTE",
    about: "whether a sentence follows from another",
    metrics: &["accuracy"],
    in_glue_average: true,
    epochs: 10.0,
    max_length: 128,
    both_orders: false,
    note: "",
    source: Source::Sentences(Sentences {
        folders: &["RTE"],
        answers: Answers::Labels(&[
            Label { name: "entailment", written: "entailment" },
            Label { name: "not_entailment", written: "not_entailment" },
        ]),
        columns: &["sentence1", "sentence2"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[1, 2]))], "RTE.tsv"),
        ],
    }),
};
