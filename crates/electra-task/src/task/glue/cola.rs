//! CoLA (Warstadt et al., 2019). Its own files have no header, and the test file has one.

use super::{Answers, Label, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv { header: false, texts: &[3], label: Some(1) };

pub(in crate::task) const TASK: Task = Task {
    name: "cola",
    title: "CoLA",
    about: "whether a sentence is acceptable English",
    metrics: &["matthews", "accuracy"],
    in_glue_average: true,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "",
    source: Source::Sentences(Sentences {
        folders: &["CoLA"],
        answers: Answers::Labels(&[
            Label { name: "unacceptable", written: "0" },
            Label { name: "acceptable", written: "1" },
        ]),
        columns: &["sentence"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[1]))], "CoLA.tsv"),
        ],
    }),
};
