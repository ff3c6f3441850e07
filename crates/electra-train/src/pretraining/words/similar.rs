//! Which words may stand in for which: those that stand among the same little words, and about as often.

use electra_kernels::vectors::dot;
use electra_model::objective::SimilarWords;

use super::LITTLE_WORDS;

/// Words that may stand in for one: a quarter of those that are looked at, so that they are of its kind,
const CHOICE_SHARE: usize = 4;
/// but so many that none is known by its fakes, and no more than it takes for most of them to mean something else: of synonyms a
/// network learns nothing (docs/LOG.md, 2026-11-27).
const CHOICE: std::ops::RangeInclusive<usize> = 24..=96;
/// Words that are looked at lie within this factor of the frequency,
const FREQUENCY_FACTOR: f64 = 1.6;
/// or, where few do, within so many ranks; and at most so many to either side.
const RANKS: std::ops::Range<usize> = 50..2_000;
/// Rounds of balancing. After 100 of them on books the words' share of the fakes is theirs of the text to within a hundredth.
const ROUNDS: usize = 100;

/// Of the text `ids` the similar words of each entry that is no little word; `by_frequency` has all that may be drawn.
///
/// A word's neighbours among the little words tell its part of speech: two words are alike as the roots of their neighbours' shares
/// are (Hellinger). If each of a word's likes were drawn as often, a word that is like many would be a fake so often that it
/// could be told from that alone (an AUC of .72 on books, and the first thing a network learns). The weights are therefore balanced
/// until every word is a fake as often as it is not (Sinkhorn and Knopp 1967).
pub(super) fn similar_words(ids: &[u32], counts: &[u64], by_frequency: &[u32]) -> SimilarWords {
    let profiles = profiles(ids, counts.len(), by_frequency);
    let profile = |rank: usize| &profiles[by_frequency[rank] as usize * 2 * LITTLE_WORDS..][..2 * LITTLE_WORDS];
    let count = |rank: usize| counts[by_frequency[rank] as usize] as f64;
    let mut choices = vec![Vec::new(); counts.len()];
    for rank in LITTLE_WORDS..by_frequency.len() {
        let near = |other: usize| {
            let ratio = count(rank) / count(other);
            rank.abs_diff(other) <= RANKS.start || (1.0 / FREQUENCY_FACTOR..=FREQUENCY_FACTOR).contains(&ratio)
        };
        let (first, last) =
            (rank.saturating_sub(RANKS.end).max(LITTLE_WORDS), (rank + RANKS.end).min(by_frequency.len() - 1));
        let others = (first..=last).filter(|other| *other != rank && near(*other));
        let mut alike: Vec<(usize, f32)> = others.map(|other| (other, dot(profile(rank), profile(other)))).collect();
        alike.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let most = (alike.len() / CHOICE_SHARE).clamp(*CHOICE.start(), *CHOICE.end());
        let chosen = alike.into_iter().take(most).map(|(other, _)| (by_frequency[other], 1.0));
        choices[by_frequency[rank] as usize] = chosen.collect();
    }
    balance(&mut choices, counts);
    SimilarWords::new(&choices)
}

/// For each entry the roots of the shares of the little words before it and behind it, `[vocab, 2 * LITTLE_WORDS]`.
fn profiles(ids: &[u32], vocab: usize, by_frequency: &[u32]) -> Vec<f32> {
    let mut little = vec![None; vocab];
    for (rank, id) in by_frequency.iter().take(LITTLE_WORDS).enumerate() {
        little[*id as usize] = Some(rank);
    }
    let mut profiles = vec![0f32; vocab * 2 * LITTLE_WORDS];
    for pair in ids.windows(2) {
        let [before, behind] = [pair[0] as usize, pair[1] as usize];
        if let Some(rank) = little[before] {
            profiles[behind * 2 * LITTLE_WORDS + rank] += 1.0;
        }
        if let Some(rank) = little[behind] {
            profiles[before * 2 * LITTLE_WORDS + LITTLE_WORDS + rank] += 1.0;
        }
    }
    for side in profiles.chunks_exact_mut(LITTLE_WORDS) {
        let sum = side.iter().sum::<f32>().max(1.0);
        side.iter_mut().for_each(|share| *share = (*share / sum).sqrt());
    }
    profiles
}

/// Weighs `choices` so that, if every word is replaced as often as it stands in the text, every word is a replacement as often.
fn balance(choices: &mut [Vec<(u32, f64)>], counts: &[u64]) {
    /// The most that a round changes a weight: a word that hardly any other is like cannot be balanced at all.
    const STEP: f64 = 10.0;
    let mut drawn = vec![0.0; counts.len()];
    for _ in 0..ROUNDS {
        drawn.fill(0.0);
        for (choice, count) in choices.iter_mut().zip(counts) {
            let sum: f64 = choice.iter().map(|(_, weight)| weight).sum();
            for (id, weight) in choice {
                *weight /= sum;
                drawn[*id as usize] += *count as f64 * *weight;
            }
        }
        for (id, weight) in choices.iter_mut().flatten() {
            let id = *id as usize;
            *weight *= (counts[id] as f64 / drawn[id].max(f64::MIN_POSITIVE)).clamp(1.0 / STEP, STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use electra_kernels::noise::NoiseKey;

    use super::*;

    /// Little words 0..256, then two kinds of thirty words each: one kind stands behind even little words, the other behind odd ones. Words
    /// of each kind get rarer.
    fn two_kinds() -> (Vec<u32>, Vec<u64>, Vec<u32>) {
        let key = NoiseKey::new(1);
        let mut ids = Vec::new();
        for at in 0..60_000u64 {
            let kind = (key.uniform_f64(at, 0) * 2.0) as u32;
            let little = (key.uniform_f64(at, 1) * 128.0) as u32 * 2 + kind;
            let word = (key.uniform_f64(at, 2).powi(2) * 30.0) as u32;
            ids.extend([little, 256 + 2 * word + kind]);
        }
        let mut counts = vec![0u64; 320];
        ids.iter().for_each(|id| counts[*id as usize] += 1);
        (ids, counts, (0..316).collect())
    }

    #[test]
    fn words_are_replaced_by_their_own_kind_and_little_ones_stay() {
        let (ids, counts, by_frequency) = two_kinds();
        let similar = similar_words(&ids, &counts, &by_frequency);
        let drawn = |id: u32| {
            (0..50).map(move |place| (id, place)).map(|(id, place)| similar.draw(id, NoiseKey::new(2), place))
        };
        assert!(drawn(3).all(|word| word.is_none()));
        for id in 256..316 {
            for word in drawn(id) {
                let word = word.expect("a word like it");
                assert!(word != id && word >= 256 && word % 2 == id % 2, "{word} for {id}");
            }
        }
    }

    #[test]
    fn every_word_is_a_replacement_as_often_as_it_is_replaced() {
        let (ids, counts, by_frequency) = two_kinds();
        let similar = similar_words(&ids, &counts, &by_frequency);
        let mut drawn = vec![0u64; counts.len()];
        for (at, id) in ids.iter().enumerate() {
            similar.draw(*id, NoiseKey::new(3), at as u64).inspect(|word| drawn[*word as usize] += 1);
        }
        // One or the other word that is among nobody's likes is no replacement at all.
        let unbalanced: u64 = (256..316).map(|id| drawn[id].abs_diff(counts[id])).sum();
        let share = unbalanced as f64 / counts[256..316].iter().sum::<u64>() as f64;
        assert!(share < 0.1, "{share}: {drawn:?} and {counts:?}");
    }
}
