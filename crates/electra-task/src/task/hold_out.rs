//! Holds out a part of the training examples where there is no file to compare checkpoints on.
//!
//! An example's place depends on the seed and its own text alone, so that equal texts stay on one side and the order of rows means
//! nothing; each class gives its share.

use electra_data::random::Draws;

use super::{LoadOptions, Split};
use crate::{Example, Input, Kind, Result, Target, TaskError};

/// Sequences of draws for this purpose.
const PURPOSE: u64 = 0x686f_6c64; // "hold"

/// The examples to train on, and about `share` of them held out: of each class as near to its share as whole examples allow, and no class
/// loses its last example. At least one is held out.
///
/// # Errors
/// Fewer than two texts, or a share that is none.
pub fn hold_out(examples: Vec<Example>, kind: &Kind, share: f64, seed: u64) -> Result<(Vec<Example>, Vec<Example>)> {
    if !(share > 0.0 && share < 1.0) {
        let reason = format!("a share of {share} cannot be held out");
        return Err(TaskError::unsuitable("--dev-share", reason, "give a number between 0 and 1, such as 0.1"));
    }
    let class = |example: &Example| match (&example.target, kind) {
        (Target::Class(label), _) => *label,
        _ => 0,
    };
    let classes = kind.labels().len().max(1);
    let mut by_class: Vec<Vec<(u64, usize)>> = vec![Vec::new(); classes];
    for (number, example) in examples.iter().enumerate() {
        by_class[class(example)].push((draw(seed, &example.input), number));
    }
    let mut is_held_out = vec![false; examples.len()];
    // What rounding left over in one class is asked of the next.
    let mut owed = 0.0;
    for members in &mut by_class {
        members.sort_unstable();
        owed += share * members.len() as f64;
        let wanted = (owed.round().max(0.0) as usize).min(members.len().saturating_sub(1));
        // Equal texts have equal draws, and go together.
        let mut taken = wanted;
        while taken > 0 && taken < members.len() && members[taken].0 == members[taken - 1].0 {
            taken -= 1;
        }
        owed -= taken as f64;
        members[..taken].iter().for_each(|(_, number)| is_held_out[*number] = true);
    }
    if !is_held_out.contains(&true) {
        // A handful of examples: the first of the largest class that has two texts.
        by_class.sort_by_key(|members| std::cmp::Reverse(members.len()));
        let two_texts = by_class.iter().find(|members| members.first().map(|m| m.0) != members.last().map(|m| m.0));
        let Some(members) = two_texts else {
            let reason = format!("{} examples, of which none can be held out", examples.len());
            return Err(TaskError::unsuitable("the training set", reason, "give more examples, or a file with --dev"));
        };
        let first = members[0].0;
        members.iter().filter(|(draw, _)| *draw == first).for_each(|(_, number)| is_held_out[*number] = true);
    }
    let mut held_out = Vec::new();
    let mut kept = Vec::new();
    for (example, is_held_out) in examples.into_iter().zip(is_held_out) {
        if is_held_out { held_out.push(example) } else { kept.push(example) }
    }
    Ok((kept, held_out))
}

/// Moves a part of `train` to `dev` and says so.
pub(super) fn from_train(
    train: &mut Split,
    dev: &mut Vec<Split>,
    kind: &Kind,
    options: &LoadOptions,
) -> Result<String> {
    let (kept, held_out) = hold_out(std::mem::take(&mut train.examples), kind, options.dev_share, options.seed)?;
    let note = format!(
        "checkpoints are compared on {} examples held out of {} (seed {}), since there is no file for that",
        held_out.len(),
        kept.len() + held_out.len(),
        options.seed
    );
    train.examples = kept;
    dev.push(Split { name: "held_out".into(), files: train.files.clone(), examples: held_out, ..Split::default() });
    Ok(note)
}

/// What decides an example's side: a draw that belongs to the seed and its text.
fn draw(seed: u64, input: &Input) -> u64 {
    let texts: Vec<&String> = match input {
        Input::Text(text) => vec![text],
        Input::Pair(first, second) => vec![first, second],
        Input::Words(words) => words.iter().collect(),
    };
    let mut parts = vec![PURPOSE, seed];
    for text in texts {
        parts.push(text.len() as u64);
        parts.extend(
            text.as_bytes().chunks(8).map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        );
    }
    Draws::new(&parts).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(text: String, label: usize) -> Example {
        Example { id: String::new(), input: Input::Text(text), target: Target::Class(label) }
    }

    fn kind() -> Kind {
        Kind::Classification { labels: vec!["a".into(), "b".into(), "c".into()] }
    }

    fn examples() -> Vec<Example> {
        let label = |number: usize| if number == 7 { 2 } else { usize::from(number.is_multiple_of(10)) };
        (0..400).map(|number| example(format!("text {number}"), label(number))).collect()
    }

    #[test]
    fn every_class_gives_its_share_and_none_its_last_example() {
        let (kept, held_out) = hold_out(examples(), &kind(), 0.1, 3).expect("held out");
        let count = |examples: &[Example], label| {
            examples.iter().filter(|example| example.target == Target::Class(label)).count()
        };
        assert_eq!((kept.len(), held_out.len()), (360, 40));
        assert_eq!([0, 1, 2].map(|label| count(&held_out, label)), [36, 4, 0]);
        assert_eq!(count(&kept, 2), 1);
    }

    #[test]
    fn sides_depend_on_the_seed_and_the_text_and_not_on_the_order_of_rows() {
        let texts = |examples: Vec<Example>| {
            let mut texts: Vec<String> = examples.into_iter().map(|example| format!("{:?}", example.input)).collect();
            texts.sort();
            texts
        };
        let mut backwards = examples();
        backwards.reverse();
        let held_out = |examples, seed| texts(hold_out(examples, &kind(), 0.1, seed).expect("held out").1);
        assert_eq!(held_out(examples(), 3), held_out(backwards, 3));
        assert_ne!(held_out(examples(), 3), held_out(examples(), 4));
    }

    #[test]
    fn equal_texts_stay_on_one_side() {
        let examples: Vec<Example> = (0..400).map(|number| example(format!("text {}", number % 40), 0)).collect();
        let (kept, held_out) = hold_out(examples, &kind(), 0.2, 1).expect("held out");
        assert_eq!(kept.len() + held_out.len(), 400);
        assert_eq!(held_out.len(), 80);
        assert!(held_out.iter().all(|held| kept.iter().all(|kept| kept.input != held.input)));
    }

    #[test]
    fn a_handful_is_divided_and_a_single_text_is_not() {
        let few = (0..3).map(|number| example(format!("{number}"), number)).collect();
        assert!(hold_out(few, &kind(), 0.1, 1).is_err(), "no class loses its last example");
        let few = (0..3).map(|number| example(format!("{number}"), 0)).collect();
        assert_eq!(hold_out(few, &kind(), 0.1, 1).expect("held out").1.len(), 1);
        assert!(hold_out(vec![example("one".into(), 0)], &kind(), 0.1, 1).is_err());
        assert!(hold_out(examples(), &kind(), 1.0, 1).is_err());
    }

    #[test]
    fn is_pinned() {
        // Other sides here make results of earlier runs incomparable.
        let (_, held_out) = hold_out(examples(), &kind(), 0.01, 1).expect("held out");
        let expected = [77, 254, 347, 358].map(|number| Input::Text(format!("text {number}")));
        assert_eq!(held_out.into_iter().map(|example| example.input).collect::<Vec<_>>(), expected);
    }
}
