use electra_task::table::{Table, TableOptions, Trouble};
use electra_task::task::custom::{Decision, Flags, KindName, Need};
use electra_task::task::{LoadOptions, Task, TaskData};
use electra_task::{Files, Input, Kind, Result, Target};

fn load_files(given: &[(&str, &str)], flags: Flags) -> Result<TaskData> {
    let files = Files::memory("data", given.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())));
    Task::named("csv").expect("a task").load(&files, &LoadOptions { custom: flags, ..LoadOptions::default() })
}

fn load(text: &str) -> Result<TaskData> {
    load_files(&[("train.csv", text), ("dev.csv", text)], Flags::default())
}

fn message(result: Result<TaskData>) -> String {
    result.map(|data| format!("{:?}", data.kind)).expect_err("an error").to_string()
}

fn decide(text: &str, flags: Flags) -> Decision {
    let table = Table::from_bytes("a.csv", text.as_bytes(), &TableOptions::default()).expect("a table");
    Decision::of(&table, &flags).expect("a decision")
}

/// A CSV with this header and these rows over and over.
fn repeated(header: &str, rows: &[&str], times: usize) -> String {
    format!("{header}\n{}", format!("{}\n", rows.join("\n")).repeat(times))
}

fn labels(data: &TaskData) -> Vec<&str> {
    data.kind.labels().iter().map(String::as_str).collect()
}

#[test]
fn columns_are_found_by_name_or_content_and_said() {
    for (header, row, expected) in [
        ("id,review,sentiment", ["1,it was good,pos", "2,it was bad,neg"], ("review", None, "sentiment")),
        ("Label,Text", ["1,it was good", "0,it was bad"], ("Text", None, "Label")),
        ("premise,hypothesis,gold_label", ["a b,c d,yes", "e f,g h,no"], ("premise", Some("hypothesis"), "gold_label")),
        ("what,kind,note", ["quite a long text here,a,x y", "another long text there,b,z w"], ("what", None, "note")),
        ("a,b,words", ["u,1,some words stand here", "u,2,other words stand there"], ("words", None, "b")),
    ] {
        let decision = decide(&repeated(header, &row, 4), Flags::default());
        let found = (decision.text_column.as_str(), decision.pair_column.as_deref(), decision.label_column.as_str());
        assert_eq!(found, expected, "{header}");
        let said = decision.sentences.join(". ");
        assert!(said.contains(&format!("text is the column {:?}", expected.0)), "{said}");
        assert!(said.contains(&format!("labels are the column {:?}", expected.2)), "{said}");
    }
}

#[test]
fn flags_override_what_would_be_found() {
    let text =
        repeated("id,title,body,label,topic", &["1,short,a long text it is,0,x", "2,brief,and another one too,1,y"], 3);
    let found = decide(&text, Flags::default());
    assert_eq!((found.text_column.as_str(), found.label_column.as_str()), ("body", "label"));
    assert!(found.sentences.iter().any(|sentence| sentence == "left alone: \"id\", \"title\", \"topic\""), "{found:?}");
    let flags = Flags {
        text_column: Some("title".into()),
        pair_column: Some("body".into()),
        label_column: Some("topic".into()),
        ..Flags::default()
    };
    let asked = decide(&text, flags);
    assert_eq!(
        (asked.text_column.as_str(), asked.pair_column.as_deref(), asked.label_column.as_str()),
        ("title", Some("body"), "topic")
    );
    let numbers = decide(&text, Flags { kind: Some(KindName::Regression), ..Flags::default() });
    assert_eq!(numbers.kind, Kind::Regression { scale: 1.0 });
}

#[test]
fn a_missing_column_is_an_error_that_lists_those_there_are() {
    let text = repeated("text,label", &["a b,x", "c d,y"], 2);
    for flags in [
        Flags { text_column: Some("body".into()), ..Flags::default() },
        Flags { pair_column: Some("body".into()), ..Flags::default() },
        Flags { label_column: Some("body".into()), ..Flags::default() },
    ] {
        let said = message(load_files(&[("train.csv", &text)], flags));
        assert!(
            said.contains("no column \"body\"") && said.contains("text, label") && said.contains("-column"),
            "{said}"
        );
    }
    let said = message(load_files(&[("train.csv", &text), ("dev.csv", "text,topic\na,x\n")], Flags::default()));
    assert!(said.contains("dev.csv: there is no column \"label\"; its columns are text, topic"), "{said}");
    let said = message(load_files(&[("a.csv", "alpha,beta\na b c,d e f\ng h i,j k l\n")], Flags::default()));
    assert!(said.contains("no column looks like labels; its columns are alpha, beta"), "{said}");
}

#[test]
fn kinds_are_told_by_labels() {
    let kind = |cells: Vec<String>, name: &str| {
        let rows: Vec<String> =
            cells.iter().enumerate().map(|(number, cell)| format!("some text {number},\"{cell}\"")).collect();
        decide(&format!("text,{name}\n{}\n", rows.join("\n")), Flags::default()).kind
    };
    let of = |cells: &[&str]| cells.iter().cycle().take(40).map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let classes =
        |labels: &[&str]| Kind::Classification { labels: labels.iter().map(|label| (*label).to_owned()).collect() };
    let any_of =
        |labels: &[&str]| Kind::MultiLabel { labels: labels.iter().map(|label| (*label).to_owned()).collect() };
    assert_eq!(kind(of(&["pos", "neg"]), "label"), classes(&["neg", "pos"]));
    assert_eq!(kind(of(&["10", "9", "1"]), "stars"), classes(&["1", "9", "10"]));
    assert_eq!(kind(of(&["01", "1.0", "2"]), "label"), classes(&["01", "1.0", "2"]));
    assert_eq!(kind(of(&["0.5", "1.5"]), "label"), classes(&["0.5", "1.5"]));
    assert_eq!(kind(of(&["0.5", "1.25", "-7.5", "2", "3.5"]), "score"), Kind::Regression { scale: 7.5 });
    let counting: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    assert_eq!(kind(counting.clone(), "score"), Kind::Regression { scale: 39.0 });
    assert_eq!(kind(counting.clone(), "label"), Kind::Regression { scale: 39.0 }, "values that do not repeat");
    assert_eq!(kind([counting.clone(), counting].concat(), "label").labels().len(), 40);
    assert_eq!(kind(of(&["a|b", "b", "", "c | a"]), "tags"), any_of(&["a", "b", "c"]));
    assert_eq!(kind(of(&["a;b", "b", "b;c"]), "genre"), any_of(&["a", "b", "c"]));
    assert_eq!(kind(of(&["[\"\"a\"\", \"\"b\"\"]", "[]", "['c, d']"]), "labels"), any_of(&["a", "b", "c, d"]));
}

#[test]
fn several_labels_a_row_are_read_and_none_is_an_answer() {
    let data = load("text,tags\none,a|b\ntwo,b\nthree,\nfour,b|a|b\n").expect("loaded");
    let targets: Vec<&Target> =
        data.train.as_ref().expect("train").examples.iter().map(|example| &example.target).collect();
    let classes = |labels: &[usize]| Target::Classes(labels.to_vec());
    assert_eq!(targets, [&classes(&[0, 1]), &classes(&[1]), &classes(&[]), &classes(&[0, 1])]);
    let said = data.decision.expect("a decision").sentences.join(". ");
    assert!(said.contains("1 rows have no label"), "{said}");
    let json = load_files(
        &[(
            "train.jsonl",
            "{\"text\": \"a\", \"labels\": [\"x\"]}\n{\"text\": \"b\", \"labels\": []}\n{\"text\": \"c\", \"labels\": [\"y\", \"x\"]}\n",
        )],
        Flags::default(),
    );
    assert_eq!(labels(&json.expect("loaded")), ["x", "y"]);
}

#[test]
fn a_label_that_only_dev_has_is_an_error_with_its_place() {
    let said = message(load_files(
        &[("train.csv", "text,label\na,x\nb,y\n"), ("dev.csv", "text,label\nc,x\nd,z\n")],
        Flags::default(),
    ));
    assert!(said.starts_with("dev.csv: line 3: the label \"z\" is none of the 2 that training has (x, y)"), "{said}");
}

#[test]
fn an_empty_file_and_one_class_are_errors() {
    let said = message(load(""));
    assert!(said.contains("train.csv: the file is empty"), "{said}");
    let said = message(load("text,label\na,x\nb,x\nc,x\n"));
    assert!(
        said.contains("all 3 labels in the column \"label\" are \"x\"") && said.contains("nothing to learn"),
        "{said}"
    );
    let said = message(load("text,label\na,\nb,\n"));
    assert!(said.contains("no label in any row"), "{said}");
}

#[test]
fn texts_in_place_of_labels_are_refused() {
    let rows: Vec<String> = (0..60).map(|number| format!("a text,title {number}")).collect();
    let said = message(load(&format!("text,label\n{}\n", rows.join("\n"))));
    assert!(said.contains("60 different values in 60 rows"), "{said}");
}

#[test]
fn quoted_newlines_semicolons_and_a_mark_are_read() {
    let data = load("\u{feff}text;label\r\n\"two\r\nlines; here\";good\r\nb;bad\r\n").expect("loaded");
    assert_eq!(labels(&data), ["bad", "good"]);
    assert_eq!(data.train.expect("train").examples[0].input, Input::Text("two\r\nlines; here".into()));
}

#[test]
fn numbers_as_labels_keep_their_text_and_are_sorted_by_size() {
    let data = load("text,label\na,10\nb,9\nc,1\nd,10\n").expect("loaded");
    assert_eq!(labels(&data), ["1", "9", "10"]);
    assert_eq!(data.train.expect("train").examples[0].target, Target::Class(2));
}

#[test]
fn five_hundred_labels_and_a_hundred_thousand_rows_are_read_quickly() {
    let rows: String = (0..100_000)
        .map(|number| format!("this is text number {number} of many,class {:03}\n", number % 500))
        .collect();
    let begun = std::time::Instant::now();
    let data = load_files(&[("reviews.csv", &format!("text,label\n{rows}"))], Flags::default()).expect("loaded");
    // About 0.3 s here; a slow machine under load is no failure, a quadratic step would be.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert_eq!(data.kind.labels().len(), 500);
    assert_eq!((data.train.expect("train").examples.len(), data.dev[0].examples.len()), (90_000, 10_000));
    let mut of_labels = vec![0; 500];
    for example in &data.dev[0].examples {
        let Target::Class(label) = example.target else { panic!() };
        of_labels[label] += 1;
    }
    assert!(of_labels.iter().all(|count| *count == 20), "each label gives its share");
}

#[test]
fn empty_texts_and_missing_labels_are_counted() {
    let data = load("text,label\n ,x\nb,\nc,y\n").expect("loaded");
    let train = data.train.expect("train");
    assert_eq!(train.examples.len(), 2);
    assert_eq!([Trouble::EmptyText, Trouble::NoLabel].map(|trouble| train.report.count(trouble)), [1, 1]);
}

#[test]
fn a_table_to_predict_needs_no_labels() {
    let decision = decide("text,label\na b,x\nc d,y\n", Flags::default());
    let saved = serde_json::to_string(&decision).expect("written");
    let decision: Decision = serde_json::from_str(&saved).expect("read");
    for text in ["id,text\n1,e f\n", "text,label\ne f,never seen\n", "text\ne f\n"] {
        let table = Table::from_bytes("new.csv", text.as_bytes(), &TableOptions::default()).expect("a table");
        let split = decision.read(&table, "new", Need::TextsAlone).expect("read");
        assert_eq!(
            (&split.examples[0].input, &split.examples[0].target),
            (&Input::Text("e f".into()), &Target::Unknown)
        );
    }
    let table = Table::from_bytes("new.csv", b"body\nx\n", &TableOptions::default()).expect("a table");
    let said = decision.read(&table, "new", Need::TextsAlone).expect_err("no text").to_string();
    assert!(said.contains("no column \"text\"; its columns are body"), "{said}");
}

#[test]
fn a_test_file_without_labels_is_predicted_and_one_with_them_scored() {
    let train = ("train.csv", "text,label\na,x\nb,y\n");
    let test =
        |text| load_files(&[train, ("dev.csv", train.1), ("test.csv", text)], Flags::default()).expect("loaded").test;
    assert_eq!(test("text,label\nc,y\n")[0].examples[0].target, Target::Class(1));
    assert_eq!(test("text,label\nc,\n")[0].examples[0].target, Target::Unknown);
    assert_eq!(test("text\nc\n")[0].examples[0].target, Target::Unknown);
}

#[test]
fn numbers_that_are_none_are_counted_and_numbers_keep_their_size() {
    let rows: String = (0..10).map(|number| format!("text {number},{number}.5\n")).collect();
    let data = load_files(
        &[("train.csv", &format!("text,score\n{rows}")), ("dev.csv", "text,score\na,2.5\nb,much\n")],
        Flags::default(),
    );
    let data = data.expect("loaded");
    assert_eq!(data.kind, Kind::Regression { scale: 9.5 });
    assert_eq!((data.dev[0].examples.len(), data.dev[0].report.count(Trouble::BadLabel)), (1, 1));
    assert_eq!(data.dev[0].examples[0].target, Target::Value(2.5));
}
