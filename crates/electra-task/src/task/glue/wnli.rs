//! WNLI (Levesque et al., 2012). Its dev set has the training set's sentences with the other label, and GLUE's average leaves it out.

use super::{Answers, Label, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[1, 2], 3);

pub(in crate::task) const TASK: Task = Task {
    name: "wnli",
    title: "WNLI",
    about: "whether a sentence with its pronoun resolved follows from another",
    metrics: &["accuracy"],
    in_glue_average: false,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "WNLI's dev set repeats training sentences with the other label: the majority class is hard to beat",
    source: Source::Sentences(Sentences {
        folders: &["WNLI"],
        answers: Answers::Labels(&[
            Label { name: "not_entailment", written: "0" },
            Label { name: "entailment", written: "1" },
        ]),
        columns: &["sentence1", "sentence2"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[1, 2]))], "WNLI.tsv"),
        ],
    }),
};
