//! One text through both networks.

use std::collections::BTreeMap;

use electra_train::host::wait_for;
use electra_web::EngineError;
use electra_web::protocol::ModelKind;
use electra_web::walk::{Walk, WalkOptions, walk};

use crate::load;

const TEXT: &str = "w77 w66 w46 w45 w85 w13 w70 w13 w54 w96 w74 w76 w72 w20";

fn options() -> WalkOptions {
    WalkOptions { masking_rate: 0.25, temperature: 1.0, seed: 3, chosen: BTreeMap::new() }
}

fn walked(text: &str, options: &WalkOptions) -> Result<Walk, EngineError> {
    let (discriminator, generator) =
        (load("discriminator", ModelKind::Discriminator), load("generator", ModelKind::Generator));
    wait_for(walk(discriminator.discriminator().unwrap(), generator.generator().unwrap(), text, options))
}

#[test]
fn a_walk_is_what_the_networks_say() {
    let found = walked(TEXT, &options()).unwrap();
    let seq = found.tokens.len();
    assert_eq!((seq, found.masked.len(), found.proposals.len()), (16, 4, 4));
    assert_eq!((found.tokens[0].token.as_str(), found.tokens[15].token.as_str()), ("[CLS]", "[SEP]"));
    assert_eq!((found.tokens[1].start, found.tokens[1].end), (0, 3));

    // The generator by itself, of the same masked text.
    let special = |id: usize| found.masked.contains(&id).then_some(4);
    let masked: Vec<u32> = (0..seq).map(|place| special(place).unwrap_or(found.tokens[place].id)).collect();
    let generator = load("generator", ModelKind::Generator);
    let guesses = wait_for(generator.generator().unwrap().fill_ids(&masked, 99)).unwrap();
    for ((proposed, guesses), loss) in found.proposals.iter().zip(&guesses).zip(&found.mlm_losses) {
        for (top, guess) in proposed.top.iter().zip(guesses) {
            assert_eq!(top.id, guess.id);
            assert!((top.probability - guess.probability).abs() < 1e-6);
        }
        let of = |id: u32| f64::from(guesses.iter().find(|guess| guess.id == id).unwrap().probability);
        assert!((loss + of(found.tokens[proposed.position].id).ln()).abs() < 1e-4);
        assert!((proposed.drawn_loss + of(proposed.drawn.id).ln()).abs() < 1e-4);
        assert_eq!(found.corrupted[proposed.position].id, proposed.drawn.id);
    }

    // The discriminator by itself, of the same corrupted text.
    let discriminator = load("discriminator", ModelKind::Discriminator);
    let inner: Vec<u32> = found.corrupted[1..seq - 1].iter().map(|token| token.id).collect();
    let logits = discriminator.discriminator().unwrap().logits(&inner).unwrap();
    for (place, logit) in logits.iter().enumerate() {
        let place = place + 1;
        let probability = 1.0 / (1.0 + (-logit).exp());
        assert!((found.probabilities[place] - probability).abs() < 1e-6);
        let replaced = found.tokens[place].id != found.corrupted[place].id;
        assert_eq!(found.replaced[place], replaced);
        let right = if replaced { probability } else { 1.0 - probability };
        assert!((found.rtd_losses[place] + f64::from(right).ln()).abs() < 1e-4);
    }
    assert_eq!((found.rtd_losses[0], found.rtd_losses[seq - 1]), (0.0, 0.0));
}

#[test]
fn attention_is_a_distribution_over_keys_for_each_layer_head_and_query() {
    let found = walked(TEXT, &options()).unwrap();
    let seq = found.tokens.len();
    assert_eq!(found.attention.len(), found.layers * found.heads * seq * seq);
    for row in found.attention.chunks(seq) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5 && row.iter().all(|weight| *weight >= 0.0));
    }
}

#[test]
fn one_loss_speaks_to_masked_positions_and_the_other_to_all() {
    let found = walked(TEXT, &options()).unwrap();
    for place in 0..found.tokens.len() {
        let is_masked = found.masked.contains(&place);
        assert_eq!(found.gradients.mlm[place] > 0.0, is_masked, "{place}: {:?}", found.gradients.mlm);
        assert!(found.gradients.rtd[place] > 0.0 && found.input_gradients.rtd[place] > 0.0);
        assert!(found.input_gradients.mlm[place] > 0.0, "attention passes it on");
    }
}

#[test]
fn draws_are_the_seeds_or_the_readers() {
    let found = walked(TEXT, &options()).unwrap();
    assert_eq!(found, walked(TEXT, &options()).unwrap());
    let position = found.masked[0];
    let original = found.tokens[position].id;
    let chosen = WalkOptions { chosen: BTreeMap::from([(position, original)]), ..options() };
    let found = walked(TEXT, &chosen).unwrap();
    assert_eq!((found.proposals[0].drawn.id, found.replaced[position]), (original, false));
    let masks = |seed| walked(TEXT, &WalkOptions { seed, ..options() }).unwrap().masked;
    assert!((4..9).any(|seed| masks(seed) != masks(3)));
    // Close to 0 the likeliest is drawn.
    let cold = walked(TEXT, &WalkOptions { temperature: 1e-3, ..options() }).unwrap();
    assert!(cold.proposals.iter().all(|proposed| proposed.drawn.id == proposed.top[0].id));
}

#[test]
fn what_cannot_be_walked_is_told() {
    let failure = |text: &str, options: &WalkOptions| walked(text, options).unwrap_err().message;
    assert!(failure("", &options()).contains("no word"));
    assert!(failure(&"w7 ".repeat(39), &options()).contains("39 tokens, but the networks read 38"));
    assert!(failure(TEXT, &WalkOptions { temperature: 0.0, ..options() }).contains("above 0"));
    assert!(failure(TEXT, &WalkOptions { masking_rate: 0.0, ..options() }).contains("masking probability"));
}
