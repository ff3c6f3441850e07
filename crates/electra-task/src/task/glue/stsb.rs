//! STS-B (Cer et al., 2017): the score is a number from 0 to 5.

use super::{Answers, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[-3, -2], -1);

pub(in crate::task) const TASK: Task = Task {
    name: "stsb",
    title: "STS-B",
    about: "how alike in meaning two sentences are",
    metrics: &["spearman", "pearson"],
    in_glue_average: true,
    epochs: 10.0,
    max_length: 128,
    both_orders: true,
    note: "",
    source: Source::Sentences(Sentences {
        folders: &["STS-B"],
        answers: Answers::Score { least: 0.0, most: 5.0 },
        columns: &["sentence1", "sentence2"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[-2, -1]))], "STS-B.tsv"),
        ],
    }),
};
