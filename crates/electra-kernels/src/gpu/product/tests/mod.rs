//! Tests of the products.

mod cooperative_matrix;

use super::*;
use crate::check::testing::{device, download, error, random, upload};
use crate::gpu::columns;
use crate::gpu::instruments::{assert_canaries, divided};
use crate::precision::with_precision;

/// Each lane by itself, as on software adapters with other subgroups, and as on llvmpipe.
const ALONE: Form = Form::Direct { shares: false };
const SHARED: Form = Form::Direct { shares: true };

/// `[m, n, k]`: 1, primes, one past a tile, multiples of 4 and not.
const SIZES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [7, 5, 3],
    [8, 64, 4],
    [9, 65, 17],
    [64, 64, 64],
    [65, 37, 100],
    [130, 1, 36],
    [12, 99, 128],
    [3, 256, 1100],
];

/// The product in f64, before the epilogue.
fn exact(mode: Mode, a: &[f64], b: &[f64], [m, n, k]: [usize; 3]) -> Vec<f64> {
    let mut result = vec![0.0; m * n];
    for row in 0..m {
        for column in 0..n {
            result[row * n + column] = (0..k)
                .map(|p| {
                    let a = if mode == Mode::TransposedA { a[p * m + row] } else { a[row * k + p] };
                    let b = if mode == Mode::TransposedB { b[column * k + p] } else { b[p * n + column] };
                    a * b
                })
                .sum();
        }
    }
    result
}

fn gelu(z: f64) -> f64 {
    z * 0.5 * libm::erfc(-z / 2f64.sqrt())
}

fn gelu_slope(z: f64) -> f64 {
    0.5 * libm::erfc(-z / 2f64.sqrt()) + z * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}

fn shapes(mode: Mode, [m, n, k]: [usize; 3]) -> [[usize; 2]; 2] {
    match mode {
        Mode::TransposedB => [[m, k], [n, k]],
        Mode::Plain => [[m, k], [k, n]],
        Mode::TransposedA => [[k, m], [k, n]],
    }
}

#[test]
fn every_form_and_mode_is_the_product_at_awkward_sizes() {
    let Some(device) = device() else { return };
    for [m, n, k] in SIZES {
        for mode in [Mode::TransposedB, Mode::Plain, Mode::TransposedA] {
            let [of_a, of_b] = shapes(mode, [m, n, k]);
            let (a, b) = (random(1, m * k), random(2, n * k));
            let expected = exact(mode, &a, &b, [m, n, k]);
            let (a, b) = (upload(&device, &a, of_a), upload(&device, &b, of_b));
            let large = Form::Staged { tile: Tile::LARGE, parts: 1 };
            for form in [ALONE, SHARED, Form::staged(1), Form::staged(3)].into_iter().chain([large]) {
                let what = format!("{form:?} {mode:?} {m} x {n} x {k}");
                let found = download(product_in(form, mode, &a, &b, Epilogue::default()));
                let error = error(&found, &expected);
                assert!(error < 2e-6, "{what}: {error}");
                assert_canaries(&what);
            }
        }
    }
}

#[test]
fn half_precision_rounds_what_it_reads_and_nothing_else() {
    let Some(device) = device() else { return };
    // A card's compiler may leave out a rounding whose result is widened at once, as the direct form's is: that one runs on
    // software adapters alone. What goes through workgroup memory is rounded.
    let direct = if is_software(&upload(&device, &[0.0], [1, 1])) { vec![ALONE, SHARED] } else { Vec::new() };
    let forms = |staged: &[Form]| direct.iter().chain(staged).copied().collect::<Vec<Form>>();
    let rounded = |values: &[f64]| -> Vec<f64> { values.iter().map(|&x| half::f16::from_f64(x).to_f64()).collect() };
    for [m, n, k] in [[7, 5, 3], [9, 68, 16], [65, 37, 100], [3, 256, 1100]] {
        for mode in [Mode::TransposedB, Mode::Plain, Mode::TransposedA] {
            let [of_a, of_b] = shapes(mode, [m, n, k]);
            let (a, b) = (random(1, m * k), random(2, n * k));
            let expected = exact(mode, &rounded(&a), &rounded(&b), [m, n, k]);
            let (a, b) = (upload(&device, &a, of_a), upload(&device, &b, of_b));
            for form in forms(&[Form::staged(1), Form::staged(3)]) {
                let run = || product_in(form, mode, &a, &b, Epilogue::default());
                let error = error(&download(with_precision(Precision::F16, run)), &expected);
                assert!(error < 2e-6, "{form:?} {mode:?} {m} x {n} x {k}: {error}");
            }
        }
    }
    // What f16 cannot hold becomes infinite, so that nobody takes it for a number.
    let (huge, one) = (upload(&device, &[7e4, 1.0], [1, 2]), upload(&device, &[1.0, 1.0], [1, 2]));
    for form in forms(&[Form::staged(1)]) {
        let run = || product_in(form, Mode::TransposedB, &huge, &one, Epilogue::default());
        assert_eq!(download(with_precision(Precision::F16, run)), [f64::INFINITY], "{form:?}");
    }
    assert_canaries("half precision");
}

#[test]
fn rows_may_lie_apart() {
    let Some(device) = device() else { return };
    let on = |values: &[f64], shape| upload(&device, values, shape);
    for [m, n, k] in [[9, 64, 64], [5, 64, 7], [70, 64, 12]] {
        for wide in [192, 193] {
            // A among other columns.
            for mode in [Mode::Plain, Mode::TransposedA] {
                let [[rows, own], of_b] = shapes(mode, [m, n, k]);
                let (all, b) = (random(1, rows * wide), random(2, n * k));
                let a: Vec<f64> = (0..rows * own).map(|i| all[i / own * wide + 64 + i % own]).collect();
                let (all, b_) = (on(&all, [rows, wide]), on(&b, of_b));
                for form in [ALONE, SHARED, Form::staged(1), Form::staged(2)] {
                    let found = product_in(form, mode, &columns(&all, 64, own), &b_, Epilogue::default());
                    let error = error(&download(found), &exact(mode, &a, &b, [m, n, k]));
                    assert!(error < 2e-6, "{form:?} {mode:?} {m} x {n} x {k} of {wide}: {error}");
                }
            }
            // The result among other columns, which stay as they are.
            let (a, b, before) = (random(1, m * k), random(2, n * k), random(3, m * wide));
            let mut expected = before.clone();
            for (i, value) in exact(Mode::TransposedB, &a, &b, [m, n, k]).into_iter().enumerate() {
                expected[i / n * wide + 64 + i % n] = value;
            }
            for form in [ALONE, SHARED, Form::staged(1)] {
                let all = on(&before, [m, wide]);
                let into = Some(columns(&all, 64, n));
                let epilogue = Epilogue { into, ..Epilogue::default() };
                product_in(form, Mode::TransposedB, &on(&a, [m, k]), &on(&b, [n, k]), epilogue);
                let error = error(&download(all), &expected);
                assert!(error < 2e-6, "{form:?} into columns {m} x {n} x {k} of {wide}: {error}");
            }
        }
    }
    assert_canaries("rows apart");
}

#[test]
fn sections_of_a_long_product_add_up() {
    let Some(device) = device() else { return };
    let [m, n, k] = [20, 33, 150];
    let (a, b, before) = (random(1, m * k), random(2, n * k), random(3, m * n + m));
    let product = exact(Mode::TransposedA, &a, &b, [m, n, k]);
    let sums = (0..m).map(|row| (0..k).map(|p| a[p * m + row]).sum());
    let after: Vec<f64> = product.into_iter().chain(sums).zip(&before).map(|(x, before)| x + before).collect();
    // A as columns of a wider matrix, as gradients of queries, keys and values lie.
    let wide: Vec<f64> = (0..k).flat_map(|p| [vec![9.0; 64], a[p * m..(p + 1) * m].to_vec()]).flatten().collect();
    let (a, b) = (columns(&upload(&device, &wide, [k, 64 + m]), 64, m), upload(&device, &b, [k, n]));
    for form in [Form::staged(1), Form::staged(2), ALONE] {
        let into = Some(upload(&device, &before[..m * n], [m, n]));
        let sums = upload(&device, &before[m * n..], [1, m]);
        let epilogue = Epilogue { sums: Some(&sums), into, accumulate: true, ..Epilogue::default() };
        let found = [in_sections(64, form, &a, &b, epilogue), sums].into_iter().flat_map(download);
        let error = error(&found.collect::<Vec<f64>>(), &after);
        assert!(error < 2e-6, "{form:?}: {error}");
    }
    assert_canaries("sections");
}

#[test]
fn epilogues_do_what_they_say() {
    let Some(device) = device() else { return };
    for [m, n, k] in [[7, 5, 3], [9, 68, 16], [70, 37, 8]] {
        let (a, b, bias, z) = (random(1, m * k), random(2, n * k), random(3, n), random(4, m * n));
        let plain = exact(Mode::TransposedB, &a, &b, [m, n, k]);
        let with_bias: Vec<f64> = plain.iter().enumerate().map(|(i, x)| x + bias[i % n]).collect();
        let on = |values: &[f64], shape| upload(&device, values, shape);
        let (a_, b_, bias_, z_) = (on(&a, [m, k]), on(&b, [n, k]), on(&bias, [1, n]), on(&z, [m, n]));
        for form in [ALONE, SHARED, Form::staged(1)] {
            let close = |found: CubeTensor, expected: &[f64], what: &str| {
                let error = error(&download(found), expected);
                assert!(error < 2e-6, "{form:?} {what} {m} x {n} x {k}: {error}");
            };
            let run = |epilogue: Epilogue<'_>| product_in(form, Mode::TransposedB, &a_, &b_, epilogue);
            let kept = empty(&a_, [m, n]);
            let found = run(Epilogue { bias: Some(&bias_), gelu: true, keep: Some(&kept), ..Epilogue::default() });
            close(found, &with_bias.iter().map(|&z| gelu(z)).collect::<Vec<_>>(), "bias and GELU");
            close(kept, &with_bias, "kept");
            let slopes: Vec<f64> = plain.iter().zip(&z).map(|(x, &z)| x * gelu_slope(z)).collect();
            close(run(Epilogue { slope: Some(&z_), ..Epilogue::default() }), &slopes, "slope");
            let into = on(&z, [m, n]);
            let sum: Vec<f64> = with_bias.iter().zip(&z).map(|(x, z)| x + z).collect();
            close(
                run(Epilogue { bias: Some(&bias_), into: Some(into), accumulate: true, ..Epilogue::default() }),
                &sum,
                "into",
            );
        }
        // A weight's gradient with its bias's.
        let (a, b) = (random(5, k * m), random(6, k * n));
        let (a_, b_) = (on(&a, [k, m]), on(&b, [k, n]));
        let expected: Vec<f64> = (0..m).map(|row| (0..k).map(|p| a[p * m + row]).sum()).collect();
        for form in [ALONE, SHARED, Form::staged(1), Form::staged(2)] {
            let sums = empty(&a_, [m]);
            let found =
                product_in(form, Mode::TransposedA, &a_, &b_, Epilogue { sums: Some(&sums), ..Epilogue::default() });
            assert!(error(&download(found), &exact(Mode::TransposedA, &a, &b, [m, n, k])) < 2e-6, "{form:?}");
            let error = error(&download(sums), &expected);
            assert!(error < 2e-6, "{form:?} sums: {error}");
        }
        assert_canaries("epilogues");
    }
}

#[test]
fn products_of_every_form_are_the_same_in_any_number_of_dispatches() {
    let Some(device) = device() else { return };
    // The mode whose workgroups do most: tiles, sums, and adding both to what is there.
    let [m, n, k] = [150, 200, 70];
    let (a, b) = (upload(&device, &random(1, m * k), [k, m]), upload(&device, &random(2, n * k), [k, n]));
    for form in [Form::Direct { shares: true }, Form::staged(1), Form::staged(3)] {
        let run = || {
            let sums = upload(&device, &random(4, m), [1, m]);
            let into = Some(upload(&device, &random(3, m * n), [m, n]));
            let epilogue = Epilogue { sums: Some(&sums), into, accumulate: true, ..Epilogue::default() };
            let result = product_in(form, Mode::TransposedA, &a, &b, epilogue);
            [result, sums].map(|array| download(array).into_iter().map(f64::to_bits).collect::<Vec<u64>>())
        };
        let whole = run();
        for pieces in [2, 5, u32::MAX] {
            assert!(whole == divided(pieces, run), "{form:?} in {pieces}");
        }
    }
    assert_canaries("products in dispatches");
}

#[test]
fn more_buffers_than_promised_are_refused() {
    let Some(device) = device() else { return };
    let array = upload(&device, &[1.0], [1, 1]);
    let launch = |count| {
        let launch = (0..count).fold(Launch::new(&SUM_PARTS), |launch, _| launch.buffer(&array));
        // None to run: only the count is looked at.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| launch.run(64, 0)))
    };
    assert!(launch(7).is_ok());
    let message = launch(8).expect_err("eight and the table are nine");
    let message = message.downcast_ref::<String>().expect("a message");
    assert!(message.contains("electra::sum_parts: 9 storage buffers"), "{message}");
}
