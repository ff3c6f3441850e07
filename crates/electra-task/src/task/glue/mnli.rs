//! MNLI (Williams et al., 2018): two sets of each kind, of the genres that are trained on and of others, and GLUE's diagnostics.

use super::{Answers, Label, Role, Sentences, Set, Source, Task, Tsv};

const OFFICIAL: Tsv = Tsv::labelled(&[8, 9], -1);
const TEST: Tsv = Tsv::unlabelled(&[8, 9]);

const fn set(
    name: &'static str,
    role: Role,
    files: &'static [(&'static str, Tsv)],
    parquet: &'static str,
    submission: Option<&'static str>,
) -> Set {
    Set { name, role, files, parquet, folders: &[], submission }
}

pub(in crate::task) const TASK: Task = Task {
    name: "mnli",
    title: "MNLI",
    about: "whether a sentence follows from another, contradicts it, or neither",
    metrics: &["accuracy"],
    in_glue_average: true,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "",
    source: Source::Sentences(Sentences {
        folders: &["MNLI"],
        answers: Answers::Labels(&[
            Label { name: "entailment", written: "entailment" },
            Label { name: "neutral", written: "neutral" },
            Label { name: "contradiction", written: "contradiction" },
        ]),
        columns: &["premise", "hypothesis"],
        sets: &[
            Set::train(&[("train.tsv", OFFICIAL)]),
            set("dev_matched", Role::Dev, &[("dev_matched.tsv", OFFICIAL)], "validation_matched", None),
            set("dev_mismatched", Role::Dev, &[("dev_mismatched.tsv", OFFICIAL)], "validation_mismatched", None),
            set("test_matched", Role::Test, &[("test_matched.tsv", TEST)], "test_matched", Some("MNLI-m.tsv")),
            set(
                "test_mismatched",
                Role::Test,
                &[("test_mismatched.tsv", TEST)],
                "test_mismatched",
                Some("MNLI-mm.tsv"),
            ),
            Set {
                folders: &["diagnostic", "diagnostics", "AX"],
                ..set(
                    "diagnostics",
                    Role::Test,
                    &[("diagnostic.tsv", Tsv::unlabelled(&[1, 2]))],
                    "test",
                    Some("AX.tsv"),
                )
            },
        ],
    }),
};
