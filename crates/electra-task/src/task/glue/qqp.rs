//! QQP (Iyer et al., 2017), pairs of questions from Quora.

use super::{Answers, Label, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[3, 4], 5);

pub(in crate::task) const TASK: Task = Task {
    name: "qqp",
    title: "QQP",
    about: "whether two questions ask the same",
    metrics: &["accuracy", "f1"],
    in_glue_average: true,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "",
    source: Source::Sentences(Sentences {
        folders: &["QQP"],
        answers: Answers::Labels(&[
            Label { name: "not_duplicate", written: "0" },
            Label { name: "duplicate", written: "1" },
        ]),
        columns: &["question1", "question2"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[1, 2]))], "QQP.tsv"),
        ],
    }),
};
