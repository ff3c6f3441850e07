//! SST-2 (Socher et al., 2013), phrases of film reviews.

use super::{Answers, Label, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[0], 1);

pub(in crate::task) const TASK: Task = Task {
    name: "sst2",
    title: "SST-2",
    about: "whether a film review is positive",
    metrics: &["accuracy"],
    in_glue_average: true,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "SST-2's text has blanks around its tokens (\"it 's\"), which are left as they are: predict text written so, too",
    source: Source::Sentences(Sentences {
        folders: &["SST-2"],
        answers: Answers::Labels(&[Label { name: "negative", written: "0" }, Label { name: "positive", written: "1" }]),
        columns: &["sentence"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            Set::dev(&[("dev.tsv", OFFICIAL)]),
            Set::test(&[("test.tsv", Tsv::unlabelled(&[1]))], "SST-2.tsv"),
        ],
    }),
};
