use super::*;

const CONLL: &str = "-DOCSTART- -X- O O\n\nEU NNP B-NP I-ORG\nrejects VBZ B-VP O\nGerman JJ B-NP I-MISC\ncall NN I-NP O\n\n\nPeter NNP B-NP I-PER\r\nBlackburn NNP I-NP I-PER\r\n";

fn loaded(train: &str, dev: &str) -> Result<TaskData> {
    let files =
        [("train.txt", train), ("dev.txt", dev)].map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    let files = files.into_iter().filter(|(_, text)| !text.is_empty());
    Task::named("tagging").expect("a task").load(&Files::memory("ner", files), &LoadOptions::default())
}

fn tags(data: &TaskData, example: usize) -> Vec<&str> {
    let Target::Tags(tags) = &data.train.as_ref().expect("train").examples[example].target else { panic!() };
    tags.iter().map(|tag| data.kind.labels()[*tag].as_str()).collect()
}

#[test]
fn conll_of_2003_is_read_as_bio() {
    let data = loaded(CONLL, CONLL).expect("loaded");
    assert_eq!(data.kind.labels(), ["O", "B-MISC", "B-ORG", "B-PER", "I-PER"]);
    assert_eq!(tags(&data, 0), ["B-ORG", "O", "B-MISC", "O"]);
    assert_eq!(tags(&data, 1), ["B-PER", "I-PER"]);
    let train = data.train.as_ref().expect("train");
    assert_eq!(train.examples.len(), 2);
    assert_eq!(train.examples[1].input, Input::Words(vec!["Peter".into(), "Blackburn".into()]));
    assert!(data.notes.iter().any(|note| note.contains("IOB1")), "{:?}", data.notes);
}

#[test]
fn schemes_are_told_by_their_tags() {
    for (tags, scheme) in [
        ("B-A I-A O B-A", Scheme::Bio),
        ("I-A I-A O I-B", Scheme::Iob1),
        ("I-A B-A O I-B", Scheme::Iob1),
        ("B-A E-A O S-B", Scheme::Bioes),
        ("B-A L-A O U-B", Scheme::Bilou),
        ("DET NOUN O", Scheme::Plain),
        ("B-A noun-X", Scheme::Plain),
        ("O O", Scheme::Plain),
    ] {
        let tags: Vec<String> = tags.split(' ').map(str::to_owned).collect();
        assert_eq!(Scheme::of(&[Tagged { words: tags.clone(), tags: tags.clone(), line: 1 }]), scheme, "{tags:?}");
    }
}

#[test]
fn an_entity_that_follows_another_of_its_type_stays_two() {
    let data = loaded("a I-A\nb B-A\nc I-A\nd O\ne I-B\nf I-A\n", "a I-A\n").expect("loaded");
    assert_eq!(tags(&data, 0), ["B-A", "B-A", "I-A", "O", "B-B", "B-A"]);
    let data = loaded("a B-A\nb L-A\nc U-B\nd O\n", "a U-A\n").expect("loaded");
    assert_eq!(tags(&data, 0), ["B-A", "E-A", "S-B", "O"]);
}

#[test]
fn a_tag_that_only_dev_has_is_said_and_counts() {
    let data = loaded("a B-A\nb O\n", "a B-C\nb O\n").expect("loaded");
    assert_eq!(data.kind.labels(), ["O", "B-A", "B-C"]);
    assert!(data.notes.iter().any(|note| note.contains("B-C in dev.txt")), "{:?}", data.notes);
}

#[test]
fn a_broken_line_leaves_its_sentence_out_and_is_counted() {
    let data = loaded("# id = 1\na b\tB-A\nc\tO\n\nd\n\ne\tO\n\nf\t\n", "a\tO\n").expect("loaded");
    let train = data.train.expect("train");
    assert_eq!(train.examples.len(), 2);
    assert_eq!(train.examples[0].input, Input::Words(vec!["a b".into(), "c".into()]), "a word may hold a blank");
    assert_eq!(train.report.count(Trouble::Malformed), 2);
    assert_eq!(train.report.problems()[0].first[0].line, 5);
}

#[test]
fn files_without_sentences_or_with_one_tag_are_errors() {
    for (train, said) in [("\n\n", "empty"), ("a O\nb O\n", "nothing to learn"), ("a\nb\n", "no sentence can be used")]
    {
        let message = loaded(train, "a O\n").expect_err("unsuitable").to_string();
        assert!(message.contains(said) && message.contains("train.txt"), "{message}");
    }
}

#[test]
fn sentences_are_held_out_where_there_is_no_file_for_that() {
    let train: String = (0..50).map(|number| format!("w{number} B-A\nx O\n\n")).collect();
    let data = loaded(&train, "").expect("loaded");
    assert_eq!((data.train.expect("train").examples.len(), data.dev[0].examples.len()), (45, 5));
}
