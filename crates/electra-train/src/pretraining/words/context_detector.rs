//! Training of the detector that a discriminator can start as ([`ContextDetector`]).

use electra_kernels::noise::NoiseKey;
use electra_model::context_detector::{ContextDetector, ContextMemory, ContextPlace, ContextShape};
use electra_model::objective::SimilarWords;

/// Tokens that are read, all rounds together; text of less is read several times, but no more often than this.
const TOKENS: usize = 450_000_000;
const MOST_ROUNDS: usize = 8;
/// Learning rate at first; it falls to a fiftieth.
const RATE: f32 = 0.1;
const LAST_RATE: f32 = 0.02;
/// Share of the questions with a similar word in place of the true one; the others have a word of the text at random, so that the
/// grossest nonsense is seen, too.
const SIMILAR: f64 = 0.9;

/// How a detector fared on the last tenth of what it read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ContextLesson {
    /// How often the text was read.
    pub(crate) rounds: usize,
    /// Share of the questions in which the word of the text went better with its context than the one put in its place.
    pub(crate) right: f64,
}

/// What is drawn for a word; the number is part of the noise's key.
#[derive(Clone, Copy)]
enum Draw {
    IsSimilar = 0,
    Random = 1,
    IsWhole = 2,
    Before = 3,
    Behind = 4,
}

/// A detector that has been asked, of each word of `ids` that has similar ones, whether it or one of these stands there. The same of
/// equal text and keys, on every machine.
pub(super) fn learn(
    ids: &[u32],
    similar: &SimilarWords,
    vocab_size: usize,
    shape: ContextShape,
    key: NoiseKey,
) -> (ContextDetector, ContextLesson) {
    let mut context = vec![0.0; shape.width];
    let reach = shape.window.len() - 1;
    let [first, alike] = ["first values", "similar words"].map(|purpose| key.child_str(purpose));
    let mut detector = ContextDetector::new(shape, vocab_size, |at| first.uniform_f64(at, 0));
    let mut memory = ContextMemory::new(&detector);
    let rounds = (TOKENS / ids.len().max(1)).clamp(1, MOST_ROUNDS);
    let (mut asked, mut right) = (0u64, 0u64);
    for at in 0..rounds * ids.len() {
        let (step, done) = (at as u64, at as f32 / (rounds * ids.len()) as f32);
        let at = at % ids.len();
        let draw = |what: Draw| key.uniform_f64(step, what as u64);
        let id = ids[at];
        let Some(like) = similar.draw(id, alike, step) else { continue };
        let fake =
            if draw(Draw::IsSimilar) < SIMILAR { like } else { ids[(draw(Draw::Random) * ids.len() as f64) as usize] };
        if fake == id || similar.draw(fake, key, 0).is_none() {
            continue;
        }
        // Half of the words see their whole window. The others stand in a short text.
        let is_whole = draw(Draw::IsWhole) < 0.5;
        let side = |what: Draw| if is_whole { reach } else { (draw(what) * (reach + 1) as f64) as usize };
        let seen = at.saturating_sub(side(Draw::Before))..(at + side(Draw::Behind) + 1).min(ids.len());
        let total = detector.context(ids, at, seen.clone(), &mut context);
        let (id, fake) = (id as usize, fake as usize);
        let scores = [id, fake].map(|id| detector.score(id, &context));
        let [is_text, is_fake_text] = scores.map(|score| 1.0 / (1.0 + (-score).exp()));
        let errors = [(id, 1.0 - is_text), (fake, -is_fake_text)];
        let rate = RATE * (1.0 - done).max(LAST_RATE);
        detector.learn(ContextPlace { ids, at, seen, context: &context, total }, errors, rate, &mut memory);
        if done >= 0.9 {
            asked += 1;
            right += u64::from(scores[0] > scores[1]);
        }
    }
    (detector, ContextLesson { rounds, right: right as f64 / asked.max(1) as f64 })
}

#[cfg(test)]
mod tests {
    use electra_model::{ElectraConfig, context_detector::ContextShape};

    use super::super::tests::{two_subjects, words};
    use super::*;

    #[test]
    fn words_of_a_subject_go_with_others_of_it() {
        let config = ElectraConfig {
            embedding_size: 64,
            hidden_size: 64,
            num_attention_heads: 8,
            intermediate_size: 256,
            ..ElectraConfig::default()
        };
        let shape = ContextShape::of(&config).unwrap();
        let words = words(two_subjects(4_000), 500);
        let (detector, lesson) = words.context_detector(shape.clone(), NoiseKey::new(1));
        // Half of the words like one are of the other subject, and only those can be told.
        assert!(lesson.right > 0.65, "{lesson:?}");
        assert_eq!(words.context_detector(shape, NoiseKey::new(1)).0, detector, "the same again");
        let text = two_subjects(4_100).split_off(4_000 * 12);
        let mut context = vec![0.0; detector.shape.width];
        let mut higher = 0;
        for at in (5..text.len() - 6).filter(|at| text[*at] >= 300) {
            let (sentence, reach) = (at / 12 * 12, detector.shape.window.len() - 1);
            let seen = sentence.max(at.saturating_sub(reach))..(sentence + 12).min(at + reach + 1);
            detector.context(&text, at, seen, &mut context);
            let other = if text[at] < 400 { text[at] + 100 } else { text[at] - 100 };
            higher +=
                usize::from(detector.score(text[at] as usize, &context) > detector.score(other as usize, &context));
        }
        let asked = (5..text.len() - 6).filter(|at| text[*at] >= 300).count();
        assert!(higher as f64 > 0.85 * asked as f64, "{higher} of {asked}");
    }
}
