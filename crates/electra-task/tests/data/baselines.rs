use electra_data::random::Draws;
use electra_task::baseline::{Baseline, baselines};
use electra_task::{Example, Input, Kind, Prediction, Target};

fn example(text: impl Into<String>, target: Target) -> Example {
    Example { id: String::new(), input: Input::Text(text.into()), target }
}

fn classes(names: &[&str]) -> Kind {
    Kind::Classification { labels: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn named<'b>(baselines: &'b [Baseline], name: &str) -> &'b Baseline {
    baselines.iter().find(|baseline| baseline.name() == name).expect("a baseline")
}

fn label(prediction: &Prediction) -> usize {
    let Prediction::Class { label, probabilities } = prediction else { panic!("{prediction:?}") };
    assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    *label
}

/// Reviews of random words, one of which says what they are.
fn reviews(count: usize, seed: u64) -> Vec<Example> {
    let mut draws = Draws::new(&[seed]);
    let review = |_| {
        let mut words: Vec<String> = (0..8).map(|_| format!("w{}", draws.below(300))).collect();
        let is_good = draws.chance(0.7);
        words.push(if is_good { "splendid" } else { "dreadful" }.into());
        draws.shuffle(&mut words);
        example(words.join(" "), Target::Class(usize::from(is_good)))
    };
    (0..count).map(review).collect()
}

#[test]
fn the_majority_is_predicted_with_its_share() {
    let train = [0, 1, 1, 2].map(|label| example("text", Target::Class(label)));
    let found = baselines(&classes(&["a", "b", "c"]), &train, 1);
    let Prediction::Class { label, probabilities } = named(&found, "majority").predict(&Input::Text("x".into())) else {
        panic!()
    };
    assert_eq!((label, probabilities), (1, vec![0.25, 0.5, 0.25]));
}

#[test]
fn a_bag_of_words_finds_the_words_that_tell() {
    let found = baselines(&classes(&["bad", "good"]), &reviews(500, 1), 1);
    let words = named(&found, "bag_of_words");
    let right = reviews(200, 2)
        .iter()
        .filter(|review| Target::Class(label(&words.predict(&review.input))) == review.target)
        .count();
    assert!(right >= 198, "{right} of 200");
    let unknown = words.predict(&Input::Text("zebra".into()));
    assert_eq!(label(&unknown), 1, "a text of unknown words is of the majority");
}

#[test]
fn equal_seeds_give_equal_predictions() {
    let predictions = |seed| {
        let found = baselines(&classes(&["bad", "good"]), &reviews(100, 1), seed);
        reviews(20, 3).iter().map(|review| named(&found, "bag_of_words").predict(&review.input)).collect::<Vec<_>>()
    };
    assert_eq!(predictions(1), predictions(1));
    assert_ne!(predictions(1), predictions(2));
}

#[test]
fn what_two_texts_share_tells_paraphrases() {
    let mut draws = Draws::new(&[5]);
    let mut pairs = |count: usize| -> Vec<Example> {
        let mut text = || (0..6).map(|_| format!("w{}", draws.below(5_000))).collect::<Vec<_>>().join(" ");
        let pair = |number: usize| {
            let first = text();
            let second = if number.is_multiple_of(2) { first.clone() } else { text() };
            Example { id: String::new(), input: Input::Pair(first, second), target: Target::Class(number % 2) }
        };
        (0..count).map(pair).collect()
    };
    let found = baselines(&classes(&["same", "other"]), &pairs(400), 1);
    let words = named(&found, "bag_of_words");
    let right =
        pairs(100).iter().filter(|pair| Target::Class(label(&words.predict(&pair.input))) == pair.target).count();
    assert!(right >= 97, "{right} of 100");
}

#[test]
fn numbers_are_sums_of_what_words_are_worth() {
    let mut draws = Draws::new(&[6]);
    let mut texts = |count: usize| -> Vec<Example> {
        let text = |_| {
            let good = draws.below(5);
            let words: Vec<&str> = (0..4).map(|at| if at < good { "good" } else { "bad" }).collect();
            example(words.join(" "), Target::Value(10.0 + good as f64))
        };
        (0..count).map(text).collect()
    };
    let train = texts(300);
    let found = baselines(&Kind::Regression { scale: 14.0 }, &train, 1);
    let mean =
        train.iter().map(|example| if let Target::Value(value) = example.target { value } else { 0.0 }).sum::<f64>()
            / 300.0;
    assert_eq!(named(&found, "mean").predict(&Input::Text("x".into())), Prediction::Value(mean));
    for text in texts(20) {
        let (Prediction::Value(predicted), Target::Value(right)) =
            (named(&found, "bag_of_words").predict(&text.input), text.target)
        else {
            panic!()
        };
        assert!((predicted - right).abs() < 0.3, "{predicted} for {right}");
        assert!((10.0..=14.0).contains(&predicted));
    }
}

#[test]
fn several_labels_are_predicted_each_by_itself() {
    let mut draws = Draws::new(&[7]);
    let mut texts = |count: usize| -> Vec<Example> {
        let text = |_| {
            let labels: Vec<usize> = (0..3).filter(|_| draws.chance(0.4)).collect();
            let words: Vec<String> = labels.iter().map(|label| format!("topic{label}")).collect();
            example(format!("of {} and so on", words.join(" ")), Target::Classes(labels))
        };
        (0..count).map(text).collect()
    };
    let kind = Kind::MultiLabel { labels: ["a", "b", "c"].map(str::to_owned).to_vec() };
    let found = baselines(&kind, &texts(400), 1);
    let right = texts(100)
        .iter()
        .filter(|text| {
            let Prediction::Classes { labels, .. } = named(&found, "bag_of_words").predict(&text.input) else {
                panic!()
            };
            Target::Classes(labels) == text.target
        })
        .count();
    assert!(right >= 95, "{right} of 100");
    let Prediction::Classes { labels, .. } = named(&found, "majority").predict(&Input::Text("x".into())) else {
        panic!()
    };
    assert!(labels.is_empty(), "no label is in more than half of the texts");
}

#[test]
fn words_have_their_most_frequent_tag_and_others_the_most_frequent_of_all() {
    let sentence = |words: &str, tags: &[usize]| Example {
        id: String::new(),
        input: Input::Words(words.split(' ').map(str::to_owned).collect()),
        target: Target::Tags(tags.to_vec()),
    };
    let train = [sentence("Rome is old", &[1, 0, 0]), sentence("Rome fell", &[1, 0]), sentence("in Rome", &[0, 2])];
    let kind = Kind::Tagging { labels: ["O", "B-LOC", "B-ORG"].map(str::to_owned).to_vec() };
    let found = baselines(&kind, &train, 1);
    let tags = |name: &str| {
        let Prediction::Tags { labels, .. } =
            named(&found, name).predict(&Input::Words(vec!["Rome".into(), "burns".into()]))
        else {
            panic!()
        };
        labels
    };
    assert_eq!((tags("most_frequent_tag"), tags("tag_of_word")), (vec![0, 0], vec![1, 0]));
}

#[test]
fn a_hundred_thousand_rows_take_seconds() {
    let train = reviews(100_000, 8);
    let begun = std::time::Instant::now();
    let found = baselines(&classes(&["bad", "good"]), &train, 1);
    // About 3 s of one core; a slow machine under load is no failure.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert_eq!(found.len(), 2);
}
