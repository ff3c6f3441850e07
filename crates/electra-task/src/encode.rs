//! Examples to what a network reads: [CLS] A [SEP] B [SEP], never longer than it can take.
//!
//! A text that is too long is cut at its end (of two the longer one loses its last tokens, one after the other, as in google-research/electra)
//! or read in windows, whose predictions are averaged. Sentences of words are read in as many windows as they need, and every word once.

use electra_data::Tokenizer;

use crate::squad::{Gold, Window, WindowLimits, squad_windows};
use crate::{Example, Input, Kind, Result, Target};

/// What happens to a text that is longer than a network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LongTexts {
    /// Its end is left out.
    #[default]
    Cut,
    /// It is read in parts that overlap by half.
    Windows,
}

/// How examples become features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncodeOptions {
    /// Tokens, [CLS] and [SEP] included.
    pub max_length: usize,
    /// What happens to longer texts; questions are always read in windows.
    pub long_texts: LongTexts,
    /// Of questions: tokens from the beginning of a window to the beginning of the next.
    pub stride: usize,
    /// Of questions: tokens of the question.
    pub max_query: usize,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { max_length: 128, long_texts: LongTexts::Cut, stride: 128, max_query: 64 }
    }
}

/// What is right, in terms of a feature's tokens.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Nobody has said.
    Unknown,
    /// Number of the label.
    Class(usize),
    /// The number as the network should say it: scaled.
    Value(f64),
    /// Numbers of the labels.
    Classes(Vec<usize>),
    /// Each word's position (that of its first token) and label.
    Tags(Vec<(usize, usize)>),
    /// First and last token of the answer; both 0 ([CLS]) where there is none here.
    Span {
        /// Position.
        start: usize,
        /// Position.
        end: usize,
        /// Whether the question has no answer at all.
        is_impossible: bool,
    },
}

/// What a network reads at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Number of its example. An example may have several features, one behind the other.
    pub example: usize,
    /// [CLS] A [SEP] B [SEP].
    pub ids: Vec<u32>,
    /// The first token of segment B; `ids.len()` where there is none.
    pub start_of_b: usize,
    /// What is right.
    pub wanted: Wanted,
    /// Of sentences of words: the position of each word's first token, from `first_word`.
    pub words: Vec<usize>,
    /// Of sentences of words: the number of the first word.
    pub first_word: usize,
}

/// Examples that were encoded.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// In the order of the examples.
    pub features: Vec<Feature>,
    /// Of questions: the windows, one for each feature.
    pub windows: Vec<Window>,
    /// Examples whose text lost its end.
    pub cut: u64,
    /// Examples that are read in several windows.
    pub windowed: u64,
    /// Numbers of examples whose answer stands nowhere in the context: they teach nothing.
    pub misplaced: Vec<usize>,
}

/// Encodes examples of `kind`.
///
/// # Errors
/// Limits that leave no room.
///
/// # Panics
/// If an example is not of the kind.
pub fn encode(examples: &[Example], kind: &Kind, tokenizer: &Tokenizer, options: &EncodeOptions) -> Result<Encoded> {
    if matches!(kind, Kind::QuestionAnswering { .. }) {
        return encode_questions(examples, tokenizer, options);
    }
    let mut encoded = Encoded::default();
    for (number, example) in examples.iter().enumerate() {
        let before = encoded.features.len();
        match &example.input {
            Input::Text(text) => {
                let tokens = tokenizer.encode(text);
                texts(number, &tokens, None, example, kind, tokenizer, options, &mut encoded);
            }
            Input::Pair(first, second) => {
                let (first, second) = (tokenizer.encode(first), tokenizer.encode(second));
                texts(number, &first, Some(&second), example, kind, tokenizer, options, &mut encoded);
            }
            Input::Words(words) => sentence(number, words, example, tokenizer, options, &mut encoded),
        }
        encoded.windowed += u64::from(encoded.features.len() > before + 1);
    }
    Ok(encoded)
}

fn encode_questions(examples: &[Example], tokenizer: &Tokenizer, options: &EncodeOptions) -> Result<Encoded> {
    let EncodeOptions { max_length, stride, max_query, .. } = *options;
    let made = squad_windows(examples, tokenizer, &WindowLimits { max_length, stride, max_query })?;
    let feature = |window: &Window| {
        let wanted = match window.gold {
            Gold::Unknown => Wanted::Unknown,
            Gold::Here { start, end } => Wanted::Span { start, end, is_impossible: false },
            Gold::Elsewhere => Wanted::Span { start: 0, end: 0, is_impossible: false },
            Gold::Unanswerable => Wanted::Span { start: 0, end: 0, is_impossible: true },
        };
        Feature {
            example: window.example,
            ids: window.ids.clone(),
            start_of_b: window.context_position,
            wanted,
            words: Vec::new(),
            first_word: 0,
        }
    };
    Ok(Encoded {
        features: made.windows.iter().map(feature).collect(),
        windows: made.windows,
        cut: made.cut_questions,
        windowed: made.windowed,
        misplaced: made.misplaced,
    })
}

#[expect(clippy::too_many_arguments, reason = "one call, of the loop above")]
fn texts(
    number: usize,
    first: &[u32],
    second: Option<&[u32]>,
    example: &Example,
    kind: &Kind,
    tokenizer: &Tokenizer,
    options: &EncodeOptions,
    encoded: &mut Encoded,
) {
    let special = tokenizer.special();
    let wanted = match (&example.target, kind) {
        (Target::Unknown, _) => Wanted::Unknown,
        (Target::Class(label), _) => Wanted::Class(*label),
        (Target::Value(value), Kind::Regression { scale }) => Wanted::Value(value / scale),
        (Target::Classes(labels), _) => Wanted::Classes(labels.clone()),
        (target, kind) => panic!("{target:?} is no target of {kind:?}"),
    };
    let room = options.max_length.saturating_sub(if second.is_some() { 3 } else { 2 });
    let mut push = |first: &[u32], second: Option<&[u32]>| {
        let mut ids = vec![special.cls];
        ids.extend(first);
        ids.push(special.sep);
        let start_of_b = ids.len();
        if let Some(second) = second {
            ids.extend(second);
            ids.push(special.sep);
        }
        encoded.features.push(Feature {
            example: number,
            ids,
            start_of_b,
            wanted: wanted.clone(),
            words: Vec::new(),
            first_word: 0,
        });
    };
    let tokens = first.len() + second.map_or(0, <[u32]>::len);
    if tokens <= room {
        return push(first, second);
    }
    match options.long_texts {
        LongTexts::Cut => {
            let (left, right) = longest_first(first.len(), second.map_or(0, <[u32]>::len), room);
            push(&first[..left], second.map(|second| &second[..right]));
            encoded.cut += 1;
        }
        // What is before is kept whole where it can be: a question, a premise.
        LongTexts::Windows => match second {
            None => windows(first.len(), room).for_each(|part| push(&first[part], None)),
            Some(second) => {
                let first = &first[..first.len().min(room / 2)];
                windows(second.len(), room - first.len()).for_each(|part| push(first, Some(&second[part])));
            }
        },
    }
}

/// Lengths of both texts within `room`, the longer of both losing tokens until they fit; of equal ones the second.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    let half = room / 2;
    if first <= half {
        return (first, second.min(room - first));
    }
    if second <= half {
        return (first.min(room - second), second);
    }
    // Both are above their halves: the first keeps the odd one.
    (room - half, half)
}

/// Parts of at most `room` tokens, each half a part after the one before.
fn windows(tokens: usize, room: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let stride = (room / 2).max(1);
    let mut start = Some(0);
    std::iter::from_fn(move || {
        let from = start?;
        let end = (from + room.max(1)).min(tokens);
        start = (end < tokens).then_some(from + stride);
        Some(from..end)
    })
}

fn sentence(
    number: usize,
    words: &[String],
    example: &Example,
    tokenizer: &Tokenizer,
    options: &EncodeOptions,
    encoded: &mut Encoded,
) {
    let special = tokenizer.special();
    let room = options.max_length.saturating_sub(2).max(1);
    let pieces = words.iter().map(|word| {
        let mut ids = tokenizer.encode(word);
        if ids.is_empty() {
            // A word of nothing but control characters still has a label.
            ids.push(special.unknown);
        }
        ids.truncate(room);
        ids
    });
    let begin = |first_word| Feature {
        example: number,
        ids: vec![special.cls],
        start_of_b: 0,
        wanted: Wanted::Unknown,
        words: Vec::new(),
        first_word,
    };
    let mut feature = begin(0);
    let mut finished = Vec::new();
    for (word, ids) in pieces.enumerate() {
        if feature.ids.len() - 1 + ids.len() > room {
            finished.push(std::mem::replace(&mut feature, begin(word)));
        }
        feature.words.push(feature.ids.len());
        feature.ids.extend(ids);
    }
    finished.push(feature);
    for mut feature in finished {
        feature.ids.push(special.sep);
        feature.start_of_b = feature.ids.len();
        if let Target::Tags(tags) = &example.target {
            let tags = &tags[feature.first_word..feature.first_word + feature.words.len()];
            feature.wanted = Wanted::Tags(feature.words.iter().copied().zip(tags.iter().copied()).collect());
        }
        encoded.features.push(feature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\n##f\n##g";
        Tokenizer::from_vocab_bytes(vocab.as_bytes(), true).unwrap()
    }

    fn example(input: Input, target: Target) -> Example {
        Example { id: "0".into(), input, target }
    }

    fn classes() -> Kind {
        Kind::Classification { labels: vec!["x".into(), "y".into()] }
    }

    #[test]
    fn the_longer_text_loses_tokens_until_both_fit() {
        // By the reference's loop: pop from the longer, of equal ones from the second.
        let by_loop = |mut first: usize, mut second: usize, room: usize| {
            while first + second > room {
                if first > second { first -= 1 } else { second -= 1 }
            }
            (first, second)
        };
        for first in 0..14 {
            for second in 0..14 {
                for room in 1..16 {
                    if first + second > room {
                        assert_eq!(
                            longest_first(first, second, room),
                            by_loop(first, second, room),
                            "{first} {second} {room}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_pair_has_two_segments_and_a_cut_is_counted() {
        let options = EncodeOptions { max_length: 7, ..EncodeOptions::default() };
        let pair = example(Input::Pair("a b".into(), "c d e".into()), Target::Class(1));
        let encoded = encode(&[pair], &classes(), &tokenizer(), &options).unwrap();
        let [feature] = &encoded.features[..] else { panic!("one feature") };
        assert_eq!((feature.ids.as_slice(), feature.start_of_b), (&[2, 5, 6, 3, 7, 8, 3][..], 4));
        assert_eq!((encoded.cut, &feature.wanted), (1, &Wanted::Class(1)));
    }

    #[test]
    fn windows_show_every_token_and_belong_to_their_example() {
        let options = EncodeOptions { max_length: 4, long_texts: LongTexts::Windows, ..EncodeOptions::default() };
        let long = example(Input::Text("a b c d e".into()), Target::Class(0));
        let encoded = encode(&[long], &classes(), &tokenizer(), &options).unwrap();
        let ids: Vec<&[u32]> = encoded.features.iter().map(|feature| &feature.ids[1..3]).collect();
        assert_eq!(ids, [[5, 6], [6, 7], [7, 8], [8, 9]]);
        assert_eq!((encoded.windowed, encoded.cut), (1, 0));
    }

    #[test]
    fn every_word_is_read_once_at_its_first_piece() {
        let words = ["af", "b", "", "cfg", "d"].map(String::from).to_vec();
        let options = EncodeOptions { max_length: 6, ..EncodeOptions::default() };
        let tagged = example(Input::Words(words), Target::Tags(vec![0, 1, 2, 3, 4]));
        let kind = Kind::Tagging { labels: ["O", "a", "b", "c", "d"].map(String::from).to_vec() };
        let encoded = encode(&[tagged], &kind, &tokenizer(), &options).unwrap();
        let [first, second] = &encoded.features[..] else { panic!("two windows") };
        assert_eq!(first.ids, [2, 5, 10, 6, 1, 3], "a word of nothing is unknown");
        assert_eq!(first.wanted, Wanted::Tags(vec![(1, 0), (3, 1), (4, 2)]));
        assert_eq!((second.first_word, second.ids.as_slice()), (3, &[2, 7, 10, 11, 8, 3][..]));
        assert_eq!(second.wanted, Wanted::Tags(vec![(1, 3), (4, 4)]));
    }
}
