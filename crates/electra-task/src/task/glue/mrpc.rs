//! MRPC (Dolan and Brockett, 2005), under GLUE's names or Microsoft's own, whose test file has labels.

use super::{Answers, Label, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[3, 4], 0);

pub(in crate::task) const TASK: Task = Task {
    name: "mrpc",
    title: "MRPC",
    about: "whether two sentences say the same",
    metrics: &["accuracy", "f1"],
    in_glue_average: true,
    epochs: 3.0,
    max_length: 128,
    both_orders: true,
    note: "",
    source: Source::Sentences(Sentences {
        folders: &["MRPC"],
        answers: Answers::Labels(&[
            Label { name: "not_equivalent", written: "0" },
            Label { name: "equivalent", written: "1" },
        ]),
        columns: &["sentence1", "sentence2"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL), ("msr_paraphrase_train.txt", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[3, 4])), ("msr_paraphrase_test.txt", OFFICIAL)], "MRPC.tsv"),
        ],
    }),
};
