//! The ledger's counts, by hand and beside one another.

use electra_model::ElectraConfig;

use super::*;

fn step(place: Place, recompute: bool) -> Step {
    Step { batch_size: 4, micro_batch: 2, sequence_length: 32, masked: 5, recompute, place, parameters: 1000.0 }
}

fn networks() -> Vec<NetworkPlan> {
    let config = |hidden| ElectraConfig {
        vocab_size: 100,
        embedding_size: 16,
        hidden_size: hidden,
        num_hidden_layers: 3,
        num_attention_heads: 2,
        intermediate_size: 4 * hidden,
        ..ElectraConfig::default()
    };
    let networks = electra_model::PretrainingConfig {
        discriminator: config(64),
        generator: config(16),
        sharing: Default::default(),
    };
    let objective = electra_model::objective::from_config(&Default::default(), &networks);
    objective.expect("the default").networks()
}

#[test]
fn published_numbers_are_the_references() {
    let expected = [1.294e18, 1.419e18, 6.425e19, 7.118e20, 3.114e21, 3.969e19, 3.187e21];
    for (published, expected) in published().iter().zip(expected) {
        assert_eq!(format!("{:.3e}", published.flops), format!("{expected:.3e}"), "{}", published.name);
    }
}

/// By hand: what a product, a backward pass of one and attention are.
#[test]
fn parts_are_what_a_step_runs() {
    let (networks, step) = (networks(), step(Place::Adapter, false));
    let rows = exact(&networks, &step);
    let of = |network, part| {
        rows.iter().find(|row| row.network == Some(network) && row.part == part).expect("a row").clone()
    };
    let tokens = 128.0;
    let products = of("discriminator", Part::Products);
    // 12 h^2 weights and 9 h biases a layer; the projection from 16.
    let weights = 3.0 * 12.0 * 64.0 * 64.0 + 16.0 * 64.0;
    let biases = 3.0 * 9.0 * 64.0 + 64.0;
    assert_eq!(products.forward.flops, tokens * (2.0 * weights + biases));
    assert_eq!(products.backward.flops, tokens * (4.0 * weights + biases));
    let attention = of("discriminator", Part::Attention);
    assert_eq!(attention.forward.flops, 3.0 * tokens * 32.0 * (4.0 * 64.0 + 6.0 * 2.0));
    // A generator as wide as its embeddings has no projection.
    assert_eq!(of("generator", Part::Products).forward.flops, tokens * 3.0 * (24.0 * 256.0 + 9.0 * 16.0));
    let head = of("generator", Part::Head).forward.flops;
    let slots = 20.0;
    let expected =
        slots * (2.0 * 16.0 * 16.0 + 16.0 + 17.0 * 16.0 + 8.0 * 16.0 + 2.0 * 16.0 * 100.0 + 100.0 + 13.0 * 100.0);
    assert_eq!(head, expected);
    assert_eq!(rows.iter().filter(|row| row.network.is_none()).count(), 1);
}

/// The networks of `name` in `phase`, with the generator as large as the discriminator.
fn networks_of(name: &str, phase: &str) -> Vec<NetworkPlan> {
    let sets = [
        format!("objective.name={name}"),
        "model.generator_size=1.0".to_owned(),
        "model.generator_depth=1.0".to_owned(),
    ];
    crate::config::resolve(Some("nano"), None, &sets).unwrap().make_objective().networks_in(phase)
}

#[test]
fn towers_streams_and_frozen_networks_are_counted_as_they_run() {
    let step = step(Place::Adapter, false);
    let of = |name: &str, phase: &str, network: &str, part: Part| {
        let rows = exact(&networks_of(name, phase), &step);
        rows.into_iter().find(|row| row.network == Some(network) && row.part == part).expect("a row")
    };
    let one = of("rtd", "joint", "generator", Part::Attention);
    let towers = of("electric", "joint", "generator", Part::Attention);
    assert_eq!(towers.total().flops, 2.0 * one.total().flops);
    // Logits of every token where there were those of five masked ones in 32.
    let [few, all] = [("rtd", "generator"), ("causal", "discriminator")]
        .map(|(name, network)| of(name, "joint", network, Part::Head).backward.flops);
    assert!((all / few - 32.0 / 5.0).abs() < 1e-9, "{all} {few}");
    // Content is computed in all layers but the last, queries of the masked positions in all; nano has two.
    let plain = of("mlm", "joint", "generator", Part::Attention);
    let streams = of("permutation", "joint", "discriminator", Part::Attention);
    let expected = plain.forward.flops / 2.0 + plain.forward.flops * 5.0 / 32.0;
    assert!((streams.forward.flops / expected - 1.0).abs() < 1e-12);
    let frozen = of("two_stage", "discriminator", "generator", Part::Products);
    assert!(frozen.forward.flops > 0.0 && frozen.backward.flops == 0.0);
    assert_eq!(networks_of("two_stage", "generator").len(), 1);
}

#[test]
fn phases_are_found_with_their_number_of_steps() {
    let sets = ["objective.name=two_stage", "train.steps=1000", "objective.two_stage.generator_steps=317"];
    let config = crate::config::resolve(Some("nano"), None, &sets.map(String::from)).unwrap();
    let objective = config.make_objective();
    assert_eq!(phases(&*objective, 1000), [("generator", 317), ("discriminator", 683)]);
    assert_eq!(phases(&*objective, 317), [("generator", 317)]);
    let rtd = crate::config::resolve(Some("nano"), None, &[]).unwrap().make_objective();
    assert_eq!(phases(&*rtd, 1000), [("joint", 1000)]);
}

#[test]
fn recomputing_adds_the_layers_forward_pass_and_nothing_else() {
    let networks = networks();
    for place in [Place::Cpu, Place::Adapter] {
        let (once, twice) = (exact(&networks, &step(place, false)), exact(&networks, &step(place, true)));
        for (once, twice) in once.iter().zip(&twice) {
            assert_eq!((once.forward, once.backward), (twice.forward, twice.backward));
            let layers = [Part::Products, Part::Attention, Part::Elementwise].contains(&once.part);
            assert_eq!(twice.recompute.flops > 0.0, layers, "{:?}", once.part);
            assert!(twice.recompute.flops <= once.forward.flops);
        }
    }
}

#[test]
fn an_adapter_computes_attention_again_and_moves_less() {
    let networks = networks();
    let attention = |place| {
        let rows = exact(&networks, &step(place, false));
        let rows = rows.iter().filter(|row| row.part == Part::Attention);
        rows.map(Row::total).sum::<Cost>()
    };
    let (cpu, adapter) = (attention(Place::Cpu), attention(Place::Adapter));
    assert!(adapter.flops > cpu.flops);
}

#[test]
fn more_micro_batches_move_more_and_compute_the_same() {
    let networks = networks();
    let total = |micro_batch| {
        exact(&networks, &Step { micro_batch, ..step(Place::Cpu, false) }).iter().map(Row::total).sum::<Cost>()
    };
    let (whole, cut) = (total(4), total(1));
    assert_eq!(whole.flops, cut.flops);
    assert!(cut.bytes > whole.bytes);
}

#[test]
fn the_exact_count_of_small_is_below_the_references() {
    let config = crate::config::resolve(Some("small"), None, &[]).expect("a preset");
    let networks = config.trained_networks();
    let step = Step {
        batch_size: 128,
        micro_batch: 128,
        sequence_length: 128,
        masked: 19,
        recompute: false,
        place: Place::Cpu,
        parameters: 14e6,
    };
    let exact: f64 = exact(&networks, &step).iter().map(|row| row.total().flops).sum();
    let reference = reference(&networks, 128, 128);
    assert!((reference * 1e6 / 1.294e18 - 1.0).abs() < 1e-3, "{reference:e}");
    // The reference adds a product for every look-up and takes one off every backward pass.
    assert!((0.9..1.4).contains(&(exact / reference)), "{exact:e} {reference:e}");
}
