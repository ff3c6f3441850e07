//! Tests of products with cooperative matrices.

use super::*;
use crate::gpu::shader::Define;
use crate::gpu::{empty, translate};

/// Matrices of both sizes in plain WGSL, also with subgroups half as wide as they might be, and the adapter's own, if any.
fn cooperative_matrix(array: &CubeTensor) -> Vec<CooperativeMatrix> {
    let emulated = |size, narrowest, takes_fours| CooperativeMatrix {
        size,
        subgroups: [narrowest, 32],
        takes_fours,
        most_lanes: 128,
        workgroup_bytes: 32 << 10,
        is_emulated: true,
    };
    let emulated = [emulated(16, 32, true), emulated(8, 32, false), emulated(16, 16, false)];
    emulated.into_iter().chain(adapter::of(array).cooperative_matrix).collect()
}

/// Values that f16 holds, so that the product of them is exact.
fn halves(seed: u64, length: usize) -> Vec<f64> {
    random(seed, length).into_iter().map(|x| half::f16::from_f64(x).to_f64()).collect()
}

fn run(
    cooperative_matrix: CooperativeMatrix,
    parts: usize,
    mode: Mode,
    a: &CubeTensor,
    b: &CubeTensor,
    epilogue: Epilogue<'_>,
) -> CubeTensor {
    // The larger tiles by their own tests: each variant takes a second to compile.
    let shares = Shares::SMALL;
    with_precision(Precision::F16, || {
        product_in(Form::Matrix { cooperative_matrix, shares, parts }, mode, a, b, epilogue)
    })
}

#[test]
fn every_mode_is_the_product_at_awkward_sizes() {
    let Some(device) = device() else { return };
    for [m, n, k] in
        [[1, 1, 1], [7, 5, 3], [9, 65, 17], [64, 64, 64], [65, 37, 100], [130, 1, 36], [12, 132, 128], [3, 68, 900]]
    {
        for mode in [Mode::TransposedB, Mode::Plain, Mode::TransposedA] {
            let [of_a, of_b] = shapes(mode, [m, n, k]);
            let (a, b) = (halves(1, m * k), halves(2, n * k));
            let expected = exact(mode, &a, &b, [m, n, k]);
            let (a, b) = (upload(&device, &a, of_a), upload(&device, &b, of_b));
            for cooperative_matrix in cooperative_matrix(&a) {
                // Every variant takes a second to compile: k is cut where it is long.
                for parts in if k > 128 { vec![1, 3] } else { vec![1] } {
                    let what = format!("{cooperative_matrix:?} in {parts} {mode:?} {m} x {n} x {k}");
                    let error =
                        error(&download(run(cooperative_matrix, parts, mode, &a, &b, Epilogue::default())), &expected);
                    assert!(error < 2e-6, "{what}: {error}");
                    assert_canaries(&what);
                }
            }
        }
    }
}

#[test]
fn operands_are_rounded_as_the_portable_form_rounds_them() {
    let Some(device) = device() else { return };
    for [m, n, k] in [[7, 5, 3], [9, 68, 16], [65, 37, 100]] {
        for mode in [Mode::TransposedB, Mode::Plain, Mode::TransposedA] {
            let [of_a, of_b] = shapes(mode, [m, n, k]);
            let (a, b) = (upload(&device, &random(1, m * k), of_a), upload(&device, &random(2, n * k), of_b));
            let portable =
                with_precision(Precision::F16, || product_in(Form::staged(1), mode, &a, &b, Epilogue::default()));
            let expected = download(portable);
            for cooperative_matrix in cooperative_matrix(&a) {
                let error = error(&download(run(cooperative_matrix, 1, mode, &a, &b, Epilogue::default())), &expected);
                assert!(error < 1e-6, "{cooperative_matrix:?} {mode:?} {m} x {n} x {k}: {error}");
            }
        }
    }
    let (huge, one) = (upload(&device, &[7e4, 1.0], [1, 2]), upload(&device, &[1.0, 1.0], [1, 2]));
    for cooperative_matrix in cooperative_matrix(&huge) {
        let found = download(run(cooperative_matrix, 1, Mode::TransposedB, &huge, &one, Epilogue::default()));
        assert_eq!(found, [f64::INFINITY], "{cooperative_matrix:?}");
    }
    assert_canaries("rounding");
}

#[test]
fn rows_may_lie_apart() {
    let Some(device) = device() else { return };
    let on = |values: &[f64], shape| upload(&device, values, shape);
    for ([m, n, k], wide) in [([9, 64, 64], 192), ([70, 64, 12], 193), ([5, 64, 7], 192)] {
        // A among other columns.
        for mode in [Mode::Plain, Mode::TransposedA] {
            let [[rows, own], of_b] = shapes(mode, [m, n, k]);
            let (all, b) = (halves(1, rows * wide), halves(2, n * k));
            let a: Vec<f64> = (0..rows * own).map(|i| all[i / own * wide + 64 + i % own]).collect();
            let expected = exact(mode, &a, &b, [m, n, k]);
            let (all, b) = (on(&all, [rows, wide]), on(&b, of_b));
            for cooperative_matrix in cooperative_matrix(&all) {
                let found = run(cooperative_matrix, 1, mode, &columns(&all, 64, own), &b, Epilogue::default());
                let error = error(&download(found), &expected);
                assert!(error < 2e-6, "{cooperative_matrix:?} {mode:?} {m} x {n} x {k} of {wide}: {error}");
            }
        }
        // The result among other columns, which stay as they are.
        let (a, b, before) = (halves(1, m * k), halves(2, n * k), random(3, m * wide));
        let mut expected = before.clone();
        for (i, value) in exact(Mode::TransposedB, &a, &b, [m, n, k]).into_iter().enumerate() {
            expected[i / n * wide + 64 + i % n] = value;
        }
        let (a, b) = (on(&a, [m, k]), on(&b, [n, k]));
        for cooperative_matrix in cooperative_matrix(&a) {
            let all = on(&before, [m, wide]);
            let epilogue = Epilogue { into: Some(columns(&all, 64, n)), ..Epilogue::default() };
            run(cooperative_matrix, 1, Mode::TransposedB, &a, &b, epilogue);
            let error = error(&download(all), &expected);
            assert!(error < 2e-6, "{cooperative_matrix:?} into columns {m} x {n} x {k} of {wide}: {error}");
        }
    }
    assert_canaries("rows apart");
}

#[test]
fn epilogues_do_what_they_say() {
    let Some(device) = device() else { return };
    let on = |values: &[f64], shape| upload(&device, values, shape);
    for [m, n, k] in [[9, 68, 16], [70, 37, 40]] {
        let (a, b, bias, z) = (halves(1, m * k), halves(2, n * k), random(3, n), random(4, m * n));
        let plain = exact(Mode::TransposedB, &a, &b, [m, n, k]);
        let with_bias: Vec<f64> = plain.iter().enumerate().map(|(i, x)| x + bias[i % n]).collect();
        let activated: Vec<f64> = with_bias.iter().map(|&z| gelu(z)).collect();
        let slopes: Vec<f64> = plain.iter().zip(&z).map(|(x, &z)| x * gelu_slope(z)).collect();
        let added: Vec<f64> = with_bias.iter().zip(&z).map(|(x, z)| x + z).collect();
        let (a_, b_, bias_, z_) = (on(&a, [m, k]), on(&b, [n, k]), on(&bias, [1, n]), on(&z, [m, n]));
        // A weight's gradient with its bias's, new and added to what was there.
        let (dy, x, before) = (halves(5, k * m), halves(6, k * n), random(7, m));
        let of_weight = exact(Mode::TransposedA, &dy, &x, [m, n, k]);
        let of_bias: Vec<f64> = (0..m).map(|row| (0..k).map(|p| dy[p * m + row]).sum()).collect();
        let more = |values: &[f64], to: &[f64]| -> Vec<f64> { values.iter().zip(to).map(|(x, y)| x + y).collect() };
        let (dy_, x_) = (on(&dy, [k, m]), on(&x, [k, n]));
        // Subgroups' width matters before, not here.
        for cooperative_matrix in cooperative_matrix(&a_)
            .into_iter()
            .filter(|cooperative_matrix| cooperative_matrix.subgroups[0] == cooperative_matrix.subgroups[1])
        {
            let close = |found: CubeTensor, expected: &[f64], what: &str| {
                let error = error(&download(found), expected);
                assert!(error < 2e-6, "{cooperative_matrix:?} {what} {m} x {n} x {k}: {error}");
            };
            let forward = |epilogue: Epilogue<'_>| run(cooperative_matrix, 1, Mode::TransposedB, &a_, &b_, epilogue);
            let (bias, kept) = (Some(&bias_), empty(&a_, [m, n]));
            let found = forward(Epilogue { bias, gelu: true, keep: Some(&kept), ..Epilogue::default() });
            close(found, &activated, "bias and GELU");
            close(kept, &with_bias, "kept");
            close(forward(Epilogue { slope: Some(&z_), ..Epilogue::default() }), &slopes, "slope");
            let into = Some(on(&z, [m, n]));
            let found = forward(Epilogue { bias, into, accumulate: true, ..Epilogue::default() });
            close(found, &added, "added");
            for parts in [1, 2] {
                let sums = empty(&a_, [m]);
                let epilogue = Epilogue { sums: Some(&sums), ..Epilogue::default() };
                close(run(cooperative_matrix, parts, Mode::TransposedA, &dy_, &x_, epilogue), &of_weight, "weight");
                close(sums, &of_bias, "sums");
                let (into, sums) = (Some(on(&z, [m, n])), on(&before, [1, m]));
                let epilogue = Epilogue { sums: Some(&sums), into, accumulate: true, ..Epilogue::default() };
                let found = run(cooperative_matrix, parts, Mode::TransposedA, &dy_, &x_, epilogue);
                close(found, &more(&of_weight, &z), "added weight");
                close(sums, &more(&of_bias, &before), "added sums");
            }
        }
        assert_canaries("epilogues");
    }
}

#[test]
fn two_runs_have_the_same_bits() {
    let Some(device) = device() else { return };
    let (a, b) = (upload(&device, &random(1, 70 * 96), [70, 96]), upload(&device, &random(2, 96 * 65), [96, 65]));
    for cooperative_matrix in cooperative_matrix(&a) {
        let bits = || {
            let found = download(run(cooperative_matrix, 2, Mode::Plain, &a, &b, Epilogue::default()));
            found.into_iter().map(f64::to_bits).collect::<Vec<u64>>()
        };
        let whole = bits();
        assert_eq!(whole, bits(), "{cooperative_matrix:?}");
        assert_eq!(whole, divided(u32::MAX, bits), "{cooperative_matrix:?}, in as many dispatches as can be");
    }
}

#[test]
fn only_what_the_shader_can_be_had_for_fits() {
    let fitting = |size, subgroups, most_lanes, kibibytes: usize| {
        let cooperative_matrix = CooperativeMatrix::new(size, subgroups, true, most_lanes, kibibytes << 10)?;
        Some(Shares::ALL.map(|shares| cooperative_matrix.have_room_for(&shares)))
    };
    // NVIDIA and Apple, within what every adapter promises, and within what they have.
    assert_eq!(fitting(16, [32, 32], 256, 16), Some([true, false, false]));
    assert_eq!(fitting(8, [32, 32], 256, 16), Some([true, false, false]));
    assert_eq!(fitting(16, [32, 32], 1024, 48), Some([true, true, true]));
    assert_eq!(fitting(8, [32, 32], 1024, 32), Some([true, true, true]));
    // AMD, where the driver chooses the width.
    assert_eq!(fitting(16, [32, 64], 1024, 64), Some([true, true, true]));
    assert_eq!(fitting(16, [32, 64], 256, 32), Some([true, false, false]));
    assert_eq!(fitting(16, [32, 64], 256, 16), None);
    assert_eq!(fitting(16, [32, 128], 256, 64), None, "more invocations than a workgroup has");
    assert_eq!(fitting(32, [32, 32], 1024, 64), None, "no such type");
    assert_eq!(fitting(16, [0, 0], 1024, 64), None, "no subgroups");
}

#[test]
fn larger_tiles_are_the_product_at_awkward_sizes() {
    let Some(device) = device() else { return };
    for [m, n, k] in [[130, 132, 72], [9, 65, 17]] {
        for mode in [Mode::TransposedB, Mode::Plain, Mode::TransposedA] {
            let [of_a, of_b] = shapes(mode, [m, n, k]);
            let (a, b) = (halves(1, m * k), halves(2, n * k));
            let expected = exact(mode, &a, &b, [m, n, k]);
            let (a, b) = (upload(&device, &a, of_a), upload(&device, &b, of_b));
            let own = adapter::of(&a).cooperative_matrix;
            let emulated = CooperativeMatrix {
                is_emulated: true,
                ..CooperativeMatrix::new(16, [32, 32], true, 256, 32 << 10).unwrap()
            };
            for cooperative_matrix in own.into_iter().chain([emulated]) {
                for shares in [Shares::NARROW, Shares::LARGE] {
                    let form = Form::Matrix { cooperative_matrix, shares, parts: 1 };
                    let run = || product_in(form, mode, &a, &b, Epilogue::default());
                    let error = error(&download(with_precision(Precision::F16, run)), &expected);
                    assert!(error < 2e-6, "{form:?} {mode:?} {m} x {n} x {k}: {error}");
                    assert_canaries("larger tiles");
                }
            }
        }
    }
}

/// Every variant, as text: nothing here runs it.
#[test]
fn every_variant_is_valid_and_translates() {
    // BIAS, KEEP, SLOPE, GELU, ACCUMULATE, SUMS, SPLIT, with the buffers that they come with.
    let epilogues: [([i64; 7], i64); 10] = [
        ([0, 0, 0, 0, 0, 0, 1], 3),
        ([1, 0, 0, 0, 0, 0, 1], 4),
        ([1, 0, 0, 1, 0, 0, 1], 4),
        ([1, 1, 0, 1, 0, 0, 1], 5),
        ([0, 0, 1, 0, 0, 0, 1], 4),
        ([0, 0, 0, 0, 1, 0, 1], 3),
        ([0, 0, 0, 0, 0, 1, 1], 4),
        ([0, 0, 0, 0, 1, 1, 1], 4),
        ([0, 0, 0, 0, 0, 0, 3], 3),
        ([0, 0, 0, 0, 0, 1, 3], 3),
    ];
    for mode in 0..3 {
        for ([bias, keep, slope, gelu, accumulate, sums, split], buffers) in epilogues {
            if sums == 1 && mode != 2 {
                continue;
            }
            for (size, lanes, strips, fours, shares) in [
                (16, 128, 4, 1, Shares::SMALL),
                (8, 128, 4, 0, Shares::SMALL),
                (16, 256, 8, 1, Shares::NARROW),
                (16, 256, 8, 0, Shares::LARGE),
            ] {
                for (vector_a, vector_b, vector_result) in [(0, 0, 0), (1, 0, 1), (0, 1, 0), (1, 1, 1)] {
                    let defines: Vec<Define> = vec![
                        ("BIAS", bias),
                        ("KEEP", keep),
                        ("SLOPE", slope),
                        ("SUMS", sums),
                        ("SPLIT", split),
                        ("HALF", 1),
                        ("MODE", mode),
                        ("GELU", gelu),
                        ("ACCUMULATE", accumulate),
                        ("VECTOR_A", vector_a),
                        ("VECTOR_B", vector_b),
                        ("VECTOR_RESULT", vector_result),
                        ("ROWS", shares.rows as i64),
                        ("COLUMNS", shares.columns as i64),
                        ("OWN_ROWS", shares.own[0] as i64),
                        ("OWN_COLUMNS", shares.own[1] as i64),
                        ("FOURS", fours),
                        ("SIZE", size),
                        ("STRIPS", strips),
                        ("EMULATED", 0),
                        ("WORKGROUP", lanes),
                        ("BUFFERS", buffers),
                    ];
                    translate::check(MATRIX.name, &MATRIX.expand(&defines));
                }
            }
        }
    }
}
