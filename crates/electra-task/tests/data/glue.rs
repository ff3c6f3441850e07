use electra_task::table::Trouble;
use electra_task::task::{LoadOptions, Source, TASKS, Task, TaskData, find, in_both_orders, submission};
use electra_task::{Example, Files, Input, Kind, Prediction, Target};

fn files(root: &str, files: &[(&str, &str)]) -> Files {
    Files::memory(root, files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())))
}

fn load(task: &str, given: &[(&str, &str)]) -> TaskData {
    Task::named(task).expect("a task").load(&files("glue", given), &LoadOptions::default()).expect("loaded")
}

fn first(data: &TaskData) -> &Example {
    &data.train.as_ref().expect("train").examples[0]
}

fn pair(first: &str, second: &str) -> Input {
    Input::Pair(first.into(), second.into())
}

#[test]
fn official_columns_are_those_of_each_task() {
    let cola = load(
        "cola",
        &[
            ("train.tsv", "gj04\t0\t*\t\"A b.\ngj04\t1\t\tC d.\n"),
            ("dev.tsv", "x\t1\t\tE.\n"),
            ("test.tsv", "index\tsentence\n7\tF.\n"),
        ],
    );
    assert_eq!(
        first(&cola),
        &Example { id: "0".into(), input: Input::Text("\"A b.".into()), target: Target::Class(0) }
    );
    assert_eq!(
        cola.test[0].examples[0],
        Example { id: "7".into(), input: Input::Text("F.".into()), target: Target::Unknown }
    );
    assert_eq!(cola.train.as_ref().expect("train").examples.len(), 2, "the first line is an example");

    let sst = load(
        "SST-2",
        &[("SST-2/train.tsv", "sentence\tlabel\nit 's \t1\n"), ("SST-2/dev.tsv", "sentence\tlabel\nbad \t0\n")],
    );
    assert_eq!((&first(&sst).input, &first(&sst).target), (&Input::Text("it 's ".into()), &Target::Class(1)));
    assert!(sst.notes.iter().any(|note| note.contains("blanks around its tokens")));

    let header = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    let mrpc = format!("{header}1\t70\t71\tA said \"b.\tB said a.\n");
    let mrpc =
        load("mrpc", &[("msr_paraphrase_train.txt", &mrpc), ("dev.tsv", &mrpc), ("msr_paraphrase_test.txt", &mrpc)]);
    assert_eq!(first(&mrpc).input, pair("A said \"b.", "B said a."));
    assert_eq!(mrpc.test[0].examples[0].target, Target::Class(1), "Microsoft's test file has labels");

    let sts = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tm\tM\t2012\t1\tnone\tnone\tA.\tB.\t3.800\n";
    let sts = load("stsb", &[("train.tsv", sts), ("dev.tsv", sts)]);
    assert_eq!((&first(&sts).input, &first(&sts).target), (&pair("A.", "B."), &Target::Value(3.8)));
    assert_eq!(sts.kind, Kind::Regression { scale: 5.0 });

    let qqp = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n133273\t1\t2\tA?\tB?\t1\nbroken\tline\n";
    let qqp =
        load("qqp", &[("train.tsv", qqp), ("dev.tsv", qqp), ("test.tsv", "id\tquestion1\tquestion2\n5\tC?\tD?\n")]);
    assert_eq!(first(&qqp), &Example { id: "133273".into(), input: pair("A?", "B?"), target: Target::Class(1) });
    assert_eq!(qqp.train.as_ref().expect("train").report.count(Trouble::Malformed), 1);
    assert_eq!(qqp.test[0].examples[0].input, pair("C?", "D?"));

    let row = "0\tp\tq\tg\tb1\tb2\tp1\tp2\tA.\tB.";
    let names = "index\tpromptID\tpairID\tgenre\tb1\tb2\tp1\tp2\tsentence1\tsentence2";
    let train = format!("{names}\tlabel1\tgold_label\n{row}\tneutral\tcontradiction\n");
    let dev =
        format!("{names}\tl1\tl2\tl3\tl4\tl5\tgold_label\n{row}\ta\tb\tc\td\te\tneutral\n{row}\ta\tb\tc\td\te\t-\n");
    let test = format!("{names}\n{row}\n");
    let mnli = load(
        "mnli",
        &[
            ("MNLI/train.tsv", &train),
            ("MNLI/dev_matched.tsv", &dev),
            ("MNLI/dev_mismatched.tsv", &dev),
            ("MNLI/test_matched.tsv", &test),
            ("MNLI/test_mismatched.tsv", &test),
            ("diagnostic/diagnostic.tsv", "index\tsentence1\tsentence2\n9\tC.\tD.\n"),
        ],
    );
    assert_eq!((&first(&mnli).input, &first(&mnli).target), (&pair("A.", "B."), &Target::Class(2)));
    assert_eq!(mnli.dev.iter().map(|split| split.name.as_str()).collect::<Vec<_>>(), ["dev_matched", "dev_mismatched"]);
    assert_eq!(mnli.dev[0].examples[0].target, Target::Class(1));
    assert_eq!(mnli.dev[0].report.count(Trouble::BadLabel), 1, "\"-\" is no label, and is counted");
    let submissions: Vec<_> = mnli.test.iter().map(|split| split.submission.expect("a file")).collect();
    assert_eq!(submissions, ["MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"]);
    assert_eq!(mnli.test[2].examples[0].input, pair("C.", "D."));

    for (task, names, written, class) in [
        ("qnli", "index\tquestion\tsentence\tlabel", "not_entailment", 1),
        ("rte", "index\tsentence1\tsentence2\tlabel", "entailment", 0),
        ("wnli", "index\tsentence1\tsentence2\tlabel", "1", 1),
    ] {
        let text = format!("{names}\n4\tA.\tB.\t{written}\n");
        let data = load(task, &[("train.tsv", &text), ("dev.tsv", &text)]);
        assert_eq!(
            first(&data),
            &Example { id: "4".into(), input: pair("A.", "B."), target: Target::Class(class) },
            "{task}"
        );
    }
}

#[test]
fn an_empty_text_is_kept_and_a_missing_label_left_out_and_both_are_counted() {
    let data = load(
        "sst2",
        &[("train.tsv", "sentence\tlabel\n \t1\ngood\t\nbad\t0\nodd\t7\n"), ("dev.tsv", "sentence\tlabel\na\t1\n")],
    );
    let train = data.train.expect("train");
    assert_eq!(train.examples.len(), 2);
    let counts = [Trouble::EmptyText, Trouble::NoLabel, Trouble::BadLabel].map(|trouble| train.report.count(trouble));
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn without_a_dev_file_a_part_is_held_out_and_shared_texts_are_said() {
    let rows: String = (0..100).map(|number| format!("text {number}\t{}\n", number % 2)).collect();
    let train = format!("sentence\tlabel\n{rows}");
    let data = load("sst2", &[("train.tsv", &train)]);
    assert_eq!((data.train.expect("train").examples.len(), data.dev[0].examples.len()), (90, 10));
    assert!(data.notes.iter().any(|note| note.contains("10 examples held out of 100")), "{:?}", data.notes);
    let data = load("sst2", &[("train.tsv", &train), ("dev.tsv", "sentence\tlabel\ntext 3\t1\nnew\t0\n")]);
    assert!(data.notes.iter().any(|note| note.contains("1 of 2 texts of dev stand in train")), "{:?}", data.notes);
}

#[test]
fn tasks_are_found_by_the_names_of_their_folders() {
    let found = |root: &str, names: &[&str]| {
        let given: Vec<(&str, &str)> = names.iter().map(|name| (*name, "")).collect();
        find(&files(root, &given)).iter().map(|task| task.name).collect::<Vec<_>>()
    };
    let names = [
        "RTE/dev.tsv",
        "CoLA/train.tsv.xz",
        "sst2/train-00000-of-00001.parquet",
        "MNLI/test_matched.tsv",
        "QQP/notes.txt",
        "mnli/x",
    ];
    assert_eq!(found("glue", &names), ["cola", "sst2", "rte"]);
    assert_eq!(found("data/STS-B", &["train.tsv", "dev.tsv"]), ["stsb"]);
    assert_eq!(found("data", &["train.tsv"]), Vec::<&str>::new());
}

#[test]
fn a_folder_without_the_task_is_an_error_that_names_its_files() {
    let task = Task::named("rte").expect("a task");
    let error = task.load(&files("here", &[("notes.txt", "")]), &LoadOptions::default()).expect_err("nothing there");
    for said in ["here", "train.tsv", "dev.tsv", "RTE"] {
        assert!(error.to_string().contains(said), "{error}");
    }
    let narrow = files("here", &[("train.tsv", "a\tb\n1\t2\n")]);
    let error = task.load(&narrow, &LoadOptions::default()).expect_err("too narrow").to_string();
    assert!(error.contains("too few for RTE"), "{error}");
}

#[test]
fn submissions_have_glues_names_numbers_and_words() {
    let class = |label| Prediction::Class { label, probabilities: Vec::new() };
    let written = |task: &str, header: &str, row: &str, prediction| {
        let data = load(task, &[("test.tsv", &format!("{header}\n{row}\n"))]);
        submission(Task::named(task).expect("a task"), &data.test[0], &[prediction]).map_err(|error| error.to_string())
    };
    let rte = "index\tsentence1\tsentence2";
    assert_eq!(written("rte", rte, "3\tA\tB", class(1)).expect("written"), "index\tprediction\n3\tnot_entailment\n");
    assert_eq!(written("wnli", rte, "3\tA\tB", class(1)).expect("written"), "index\tprediction\n3\t1\n");
    assert_eq!(written("cola", "index\tsentence", "0\tA", class(0)).expect("written"), "index\tprediction\n0\t0\n");
    let sts = "index\tsentence1\tsentence2";
    assert_eq!(
        written("stsb", sts, "0\tA\tB", Prediction::Value(5.3)).expect("written"),
        "index\tprediction\n0\t5.000\n"
    );
    assert_eq!(
        written("stsb", sts, "0\tA\tB", Prediction::Value(2.34567)).expect("written"),
        "index\tprediction\n0\t2.346\n"
    );
    assert!(
        written("rte", rte, "3\tA\tB", class(2)).is_err()
            && written("rte", rte, "3\tA\tB", Prediction::Value(1.0)).is_err()
    );
}

#[test]
fn both_orders_are_the_pairs_and_the_pairs_swapped() {
    let example = Example { id: "1".into(), input: pair("a", "b"), target: Target::Class(1) };
    let both = in_both_orders(std::slice::from_ref(&example));
    assert_eq!(both, [example.clone(), Example { input: pair("b", "a"), ..example }]);
    let asked: Vec<&str> = TASKS.iter().filter(|task| task.both_orders).map(|task| task.name).collect();
    assert_eq!(asked, ["mrpc", "stsb"]);
}

#[test]
fn glues_average_is_of_the_papers_scores() {
    let counted: Vec<_> =
        TASKS.iter().filter(|task| task.in_glue_average).map(|task| (task.name, task.metrics[0])).collect();
    let accuracy = |task| (task, "accuracy");
    let expected = [
        ("cola", "matthews"),
        accuracy("sst2"),
        accuracy("mrpc"),
        ("stsb", "spearman"),
        accuracy("qqp"),
        accuracy("mnli"),
        accuracy("qnli"),
        accuracy("rte"),
    ];
    assert_eq!(counted, expected);
    let long: Vec<&str> = TASKS.iter().filter(|task| task.epochs == 10.0).map(|task| task.name).collect();
    assert_eq!(long, ["stsb", "rte"]);
    assert_eq!(TASKS.iter().filter(|task| matches!(task.source, Source::Sentences(_))).count(), 9);
}

#[cfg(feature = "native")]
#[test]
fn hugging_faces_parquet_is_read_by_its_columns_whatever_their_order() {
    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, labels: &[i64]| {
        let schema = "message m { OPTIONAL INT64 label; OPTIONAL INT32 idx; OPTIONAL BINARY hypothesis (UTF8); OPTIONAL BINARY premise (UTF8); }";
        let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).expect("a schema"));
        std::fs::create_dir_all(folder.path().join("mnli")).expect("made");
        let file = std::fs::File::create(folder.path().join("mnli").join(name)).expect("created");
        let mut writer = SerializedFileWriter::new(file, schema, std::sync::Arc::default()).expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        let levels = vec![1; labels.len()];
        let mut column = group.next_column().expect("ok").expect("label");
        column.typed::<Int64Type>().write_batch(labels, Some(&levels), None).expect("ok");
        column.close().expect("ok");
        let mut column = group.next_column().expect("ok").expect("idx");
        column
            .typed::<Int32Type>()
            .write_batch(&(40..40 + labels.len() as i32).collect::<Vec<_>>(), Some(&levels), None)
            .expect("ok");
        column.close().expect("ok");
        for text in ["hypothesis", "premise"] {
            let mut column = group.next_column().expect("ok").expect("text");
            column
                .typed::<ByteArrayType>()
                .write_batch(&vec![ByteArray::from(text); labels.len()], Some(&levels), None)
                .expect("ok");
            column.close().expect("ok");
        }
        group.close().expect("ok");
        writer.close().expect("ok");
    };
    write("train-00000-of-00002.parquet", &[2, 0]);
    write("train-00001-of-00002.parquet", &[1, -1]);
    write("validation_matched-00000-of-00001.parquet", &[0]);
    write("test_matched-00000-of-00001.parquet", &[-1]);
    let files = Files::at(folder.path()).expect("listed");
    let data = Task::named("mnli").expect("a task").load(&files, &LoadOptions::default()).expect("loaded");
    let train = data.train.as_ref().expect("train");
    assert_eq!(
        train.examples.iter().map(|example| &example.target).collect::<Vec<_>>(),
        [&Target::Class(2), &Target::Class(0), &Target::Class(1)]
    );
    assert_eq!(train.report.count(Trouble::BadLabel), 1, "a training label of -1 is none");
    assert_eq!((train.examples[0].id.as_str(), &train.examples[0].input), ("40", &pair("premise", "hypothesis")));
    assert_eq!(data.test[0].examples[0].target, Target::Unknown);
    assert_eq!(find(&files).iter().map(|task| task.name).collect::<Vec<_>>(), ["mnli"]);
}
