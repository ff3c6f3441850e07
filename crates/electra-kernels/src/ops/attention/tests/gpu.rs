//! The shaders.

use burn::tensor::{DType, Tensor, TensorData};

use super::{Attention, Sight, Sizes, assert_no_leak, ranked, square};
use crate::check::testing::{Operands, assert_differentiates, assert_matches, device, operands, run};
use crate::gpu::instruments::assert_canaries;
use crate::ops::attention::{
    gpu::{FORCED, OnCard},
    reference,
};
use crate::{Dropout, noise::NoiseKey};

/// The public function and the reference body on the same values. `lengths`: tokens of the examples, in turns.
fn bodies(sizes: Sizes, lengths: &[usize], probability: f64) -> [Box<dyn Fn(Vec<Tensor<2>>) -> Tensor<2>>; 2] {
    let Sizes { batch, keys, heads, .. } = sizes;
    let is_token = |i: usize| i % keys < lengths[i / keys % lengths.len()];
    let mask: Vec<f32> = (0..batch * keys).map(|i| f32::from(u8::from(is_token(i)))).collect();
    let body = |attention: Attention| -> Box<dyn Fn(Vec<Tensor<2>>) -> Tensor<2>> {
        let mask = mask.clone();
        Box::new(move |operands: Vec<Tensor<2>>| {
            let [q, k, v] = operands.try_into().unwrap();
            let examples: Vec<u32> = (0..batch as u32).map(|i| i + 11).collect();
            let site = Dropout { probability, key: NoiseKey::new(9).child(2), examples: &examples };
            // In the operands' precision.
            let mask =
                Tensor::<2>::from_data(TensorData::new(mask.clone(), [batch, keys]), &q.device()).cast(q.dtype());
            attention(q, k, v, &sizes.visibility(mask), heads, Some(&site))
        })
    };
    [body(crate::attention), body(reference::attention)]
}

fn check_sizes(what: &str, sizes: Sizes, lengths: &[usize], probability: f64, differentiate: bool) {
    let mut operands: Operands = operands(&sizes.shapes());
    // Scores of some size, or softmax hardly matters.
    operands.iter_mut().for_each(|(values, _)| values.iter_mut().for_each(|x| *x *= 2.0));
    let what = format!("{what}: {sizes:?}, dropout {probability}");
    let [kernel, oracle] = bodies(sizes, lengths, probability);
    assert_matches(&what, &operands, 1e-5, &kernel, &oracle);
    if differentiate {
        assert_differentiates(&what, &operands, &oracle);
    }
}

fn check(what: &str, sizes: [usize; 4], lengths: &[usize], probability: f64, differentiate: bool) {
    check_sizes(what, square(Sight::All, sizes), lengths, probability, differentiate);
}

#[test]
fn awkward_lengths_match_the_reference() {
    for seq in [1, 2, 7, 8, 9, 63, 64, 65, 127, 128] {
        check("seq", [2, seq, 2, 8], &[seq, seq.div_ceil(2)], 0.0, false);
    }
    for seq in [511, 512] {
        check("seq", [1, seq, 1, 4], &[seq - 3], 0.1, false);
    }
}

/// With one key the score's gradient is zero in truth, and what rounding leaves with dropout's factor.
fn dropout_of(keys: usize) -> f64 {
    if keys == 1 { 0.0 } else { 0.1 }
}

#[test]
fn patterns_match_the_reference() {
    for seq in [1, 8, 9, 65] {
        for sight in [Sight::Backwards, Sight::Forwards, Sight::Ranks] {
            check_sizes("pattern", square(sight, [2, seq, 2, 8]), &[seq, seq.div_ceil(2)], dropout_of(seq), false);
        }
    }
    check_sizes("pattern", square(Sight::Backwards, [1, 512, 1, 4]), &[509], 0.1, false);
}

#[test]
fn queries_of_another_stream_match_the_reference() {
    for [queries, keys] in [[1, 1], [1, 65], [3, 130], [7, 8], [9, 5], [33, 1], [65, 64]] {
        check_sizes("queries", ranked([2, queries, keys, 2, 8]), &[keys, keys.div_ceil(2)], dropout_of(keys), false);
    }
}

#[test]
fn heads_of_any_width_match_the_reference() {
    for head_dim in [1, 3, 4, 8, 16, 19, 32, 64, 128] {
        check("head_dim", [1, 10, 2, head_dim], &[10], 0.1, false);
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    check("tiny", [1, 5, 2, 3], &[4], 0.0, true);
    check("tiny", [2, 3, 1, 4], &[3, 2], 0.3, true);
    check_sizes("tiny", square(Sight::Backwards, [1, 5, 2, 3]), &[4], 0.0, true);
    check_sizes("tiny", ranked([2, 4, 3, 1, 4]), &[3, 2], 0.3, true);
}

#[test]
fn examples_without_any_token_give_zero() {
    check("padding", [3, 6, 2, 4], &[0, 6, 0], 0.2, false);
    check_sizes("padding", ranked([3, 5, 6, 2, 4]), &[0, 6, 0], 0.2, false);
}

#[test]
fn rows_shared_among_lanes_match_the_reference() {
    for (forced, head_dim) in [((8, 1, 2), 16), ((16, 1, 4), 32), ((16, 2, 4), 64), ((8, 2, 8), 64), ((16, 1, 2), 6)] {
        FORCED.set(Some(forced));
        check("lanes", [2, 21, 2, head_dim], &[21, 13], 0.1, false);
        FORCED.set(None);
    }
    for (forced, head_dim) in [((8, 1, 2), 16), ((16, 2, 4), 32)] {
        FORCED.set(Some(forced));
        check_sizes("lanes", ranked([2, 11, 21, 2, head_dim]), &[21, 13], 0.1, false);
        FORCED.set(None);
    }
}

#[test]
fn what_a_query_does_not_see_changes_no_bit_of_it() {
    let Some(device) = device() else { return };
    for sizes in [square(Sight::Backwards, [2, 21, 2, 8]), ranked([2, 12, 21, 2, 8])] {
        let [kernel, _] = bodies(sizes, &[21], 0.0);
        assert_no_leak(sizes, |values| {
            let leaves = values.into_iter().zip(sizes.shapes());
            let on = |(values, shape)| Tensor::<2>::from_data(TensorData::new(values, shape), &device);
            kernel(leaves.map(on).collect()).into_data().try_to_vec::<f32>().unwrap()
        });
        assert_canaries("leak");
    }
}

#[test]
fn leaving_out_what_nobody_sees_changes_no_bit() {
    let Some(device) = device() else { return };
    for sight in [Sight::Backwards, Sight::Forwards] {
        let sizes = square(sight, [2, 70, 2, 8]);
        let [skips, _] = bodies(sizes, &[70, 41], 0.1);
        let sight = if sight == Sight::Backwards { Sight::RankedBackwards } else { Sight::RankedForwards };
        let [looks, _] = bodies(Sizes { sight, ..sizes }, &[70, 41], 0.1);
        let operands = operands(&sizes.shapes());
        let [skipped, looked] = [skips, looks].map(|body| run(&device, DType::F32, &operands, &body));
        assert!(skipped == looked, "{sizes:?}");
    }
    assert_canaries("skipped");
}

#[test]
fn a_row_is_shared_among_as_few_lanes_as_hold_it() {
    use crate::ops::attention::gpu::{
        BACKWARD_KEY_ON_CARD as KEY, BACKWARD_QUERY_ON_CARD as QUERY, FORWARD_ON_CARD as FORWARD,
    };
    let of = |on_card: &OnCard, head_dim: usize, subgroup| {
        let width = if head_dim.is_multiple_of(4) { 4 } else { 1 };
        on_card.rows_and_lanes(head_dim / width, width, subgroup)
    };
    for subgroup in [Some(32), Some(64), Some(8)] {
        assert_eq!([&FORWARD, &QUERY, &KEY].map(|kernel| of(kernel, 64, subgroup)), [(2, 2), (2, 4), (1, 4)]);
        assert_eq!([&FORWARD, &QUERY, &KEY].map(|kernel| of(kernel, 128, subgroup)), [(2, 4), (2, 8), (1, 8)]);
    }
    assert_eq!(of(&FORWARD, 16, Some(32)), (2, 1));
    assert_eq!(of(&KEY, 19, Some(32)), (1, 1), "a prime number of values");
    assert_eq!(of(&FORWARD, 64, None), (1, 1), "no subgroups");
}
