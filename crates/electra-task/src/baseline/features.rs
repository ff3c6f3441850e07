//! Texts as sparse vectors: words and pairs of neighbours, by their hashes in a fixed number of buckets, weighted by how rare they are
//! (TF-IDF, as scikit-learn's with sublinear counts) and scaled to length 1. Of two texts each has words of its own, and what they share
//! counts by itself.

use electra_data::random::mix;

use crate::Input;

/// Words of other hashes share a weight where they meet here: 2^21 buckets keep that rare, and memory small.
const BUCKETS: usize = 1 << 21;
/// Weights of all outputs together.
const MAX_WEIGHTS: usize = 1 << 25;
/// A word of one text alone says nothing of others, unless there are few texts.
const FEW_TEXTS: u32 = 200;
/// Numbers about what two texts share.
const OVERLAPS: usize = 4;

/// What marks a word's place.
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xc2b2_ae3d_27d4_eb4f;
const BOTH: u64 = 0x1656_67b1_9e37_79f9;

/// The features that are kept.
#[derive(Debug, Clone)]
pub(super) struct Features {
    /// The number of each bucket's feature; `u32::MAX`: none.
    numbers: Vec<u32>,
    /// Each feature's inverse document frequency.
    idf: Vec<f32>,
}

/// Sparse rows, one behind the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    entries: Vec<(u32, f32)>,
    ends: Vec<usize>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn row(&self, number: usize) -> &[(u32, f32)] {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.entries[start..self.ends[number]]
    }

    /// Entries of all rows.
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }
}

impl Features {
    /// The features of `texts`: those of the most texts, if there are too many for so many outputs.
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t Input>, outputs: usize) -> Self {
        let mut texts_with = vec![0u32; BUCKETS];
        let mut count = 0u32;
        for text in texts {
            count += 1;
            let mut buckets = buckets(text);
            buckets.dedup();
            buckets.into_iter().for_each(|bucket| texts_with[bucket as usize] += 1);
        }
        let most = (MAX_WEIGHTS / outputs).saturating_sub(OVERLAPS);
        let mut least = if count < FEW_TEXTS { 1 } else { 2 };
        while texts_with.iter().filter(|texts| **texts >= least).count() > most {
            least += 1;
        }
        let mut numbers = vec![u32::MAX; BUCKETS];
        let mut idf = Vec::new();
        for (bucket, texts) in texts_with.into_iter().enumerate().filter(|(_, texts)| *texts >= least) {
            numbers[bucket] = idf.len() as u32;
            idf.push((f64::from(1 + count) / f64::from(1 + texts)).ln() as f32 + 1.0);
        }
        Self { numbers, idf }
    }

    /// Features of a row, overlaps included.
    pub(super) fn len(&self) -> usize {
        self.idf.len() + OVERLAPS
    }

    pub(super) fn rows<'t>(&self, texts: impl Iterator<Item = &'t Input>) -> Rows {
        let mut rows = Rows::default();
        for text in texts {
            rows.entries.extend(self.row(text));
            rows.ends.push(rows.entries.len());
        }
        rows
    }

    /// A text's features, ascending.
    pub(super) fn row(&self, text: &Input) -> Vec<(u32, f32)> {
        let buckets = buckets(text);
        let mut row: Vec<(u32, f32)> = buckets
            .chunk_by(|a, b| a == b)
            .filter_map(|equal| {
                let number = self.numbers[equal[0] as usize];
                let idf = self.idf.get(number as usize)?;
                Some((number, (1.0 + (equal.len() as f32).ln()) * idf))
            })
            .collect();
        let length = row.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(_, value)| *value /= length);
        if let Input::Pair(first, second) = text {
            let first_number = self.idf.len() as u32;
            row.extend(
                overlaps(first, second).into_iter().enumerate().map(|(at, value)| (first_number + at as u32, value)),
            );
        }
        row
    }
}

/// Buckets of a text's words and pairs of neighbours, ascending; one that occurs twice stands there twice.
fn buckets(text: &Input) -> Vec<u32> {
    let mut found = Vec::new();
    let mut push = |words: &[u64], side: u64| {
        let pairs = words.windows(2).map(|pair| mix(pair[0].rotate_left(17) ^ pair[1]));
        let all = words.iter().copied().chain(pairs);
        found.extend(all.map(|term| (mix(term ^ side) % BUCKETS as u64) as u32));
    };
    match text {
        Input::Text(text) => push(&words(text), FIRST),
        Input::Words(given) => push(&words(&given.join(" ")), FIRST),
        Input::Pair(first, second) => {
            let (first, second) = (words(first), words(second));
            push(&first, FIRST);
            push(&second, SECOND);
            for word in shared(&first, &second) {
                push(&[word], BOTH);
            }
        }
    }
    found.sort_unstable();
    found
}

/// How much two texts share: of all their words, of the first's, of the second's; and how alike their lengths are.
fn overlaps(first: &str, second: &str) -> [f32; OVERLAPS] {
    let (first, second) = (words(first), words(second));
    let both = shared(&first, &second).len() as f32;
    let [a, b] = [&first, &second].map(|words| {
        let mut words = words.clone();
        words.sort_unstable();
        words.dedup();
        words.len() as f32
    });
    let share = |of: f32| if of > 0.0 { both / of } else { 0.0 };
    let (short, long) = (first.len().min(second.len()), first.len().max(second.len()));
    [share(a + b - both), share(a), share(b), if long > 0 { short as f32 / long as f32 } else { 0.0 }]
}

/// Different words that both have.
fn shared(first: &[u64], second: &[u64]) -> Vec<u64> {
    let mut second = second.to_vec();
    second.sort_unstable();
    let mut found: Vec<u64> = first.iter().copied().filter(|word| second.binary_search(word).is_ok()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Hashes of a text's words in lower case: letters and digits in a row, any other character by itself, and so is each sign of scripts that
/// put no blanks between words.
fn words(text: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut word = None;
    for character in text.chars().flat_map(char::to_lowercase) {
        let is_letter = character.is_alphanumeric() && !stands_alone(character);
        if is_letter {
            word = Some(mix(word.unwrap_or(FIRST).rotate_left(7) ^ u64::from(character)));
            continue;
        }
        found.extend(word.take());
        if !character.is_whitespace() {
            found.push(mix(u64::from(character)));
        }
    }
    found.extend(word);
    found
}

/// Kana, CJK ideographs, Thai.
fn stands_alone(character: char) -> bool {
    matches!(u32::from(character), 0x0e00..0x0e80 | 0x3040..0x3100 | 0x3400..0xa000 | 0xf900..0xfb00 | 0x2_0000..0x3_2000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_blanks_and_signs_whatever_their_case() {
        assert_eq!(words("The CAT's"), words("the cat ' s"));
        assert_eq!(words("日本 go").len(), 3);
        assert_ne!(words("ab"), words("ba"));
        assert!(words(" \n").is_empty());
    }

    #[test]
    fn rows_have_length_one_and_rare_words_weigh_more() {
        let texts: Vec<Input> =
            ["the cat", "the dog", "the bird", "the cat"].map(|text| Input::Text(text.into())).to_vec();
        let features = Features::of(texts.iter(), 2);
        let row = features.row(&texts[0]);
        let length: f32 = row.iter().map(|(_, value)| value * value).sum();
        assert!((length - 1.0).abs() < 1e-6);
        assert_eq!(row.len(), 3, "two words and a pair");
        let the = features.row(&Input::Text("the".into()));
        let of_the = row.iter().find(|(number, _)| *number == the[0].0).expect("known").1;
        assert!(row.iter().all(|(_, value)| *value >= of_the), "{row:?}");
        assert!(features.row(&Input::Text("zebra".into())).is_empty());
    }

    #[test]
    fn two_texts_have_words_of_their_own_and_what_they_share() {
        assert_eq!(overlaps("a b c", "b c d e"), [0.4, 2.0 / 3.0, 0.5, 0.75]);
        assert_eq!(overlaps("", ""), [0.0; 4]);
        let pair = |first: &str, second: &str| buckets(&Input::Pair(first.into(), second.into()));
        assert_ne!(pair("cat", "dog"), pair("dog", "cat"));
        assert_eq!(pair("cat", "cat").len(), 3);
    }
}
