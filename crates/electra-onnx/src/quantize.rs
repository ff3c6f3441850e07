//! Rows of a matrix as integers of 8 bits and a scale each.

/// Integers go from minus this to this. Not 127: where a processor adds two products of 8 bits in 16 (x86 with AVX2 but without
/// VNNI), 2 * 255 * 127 overflows without notice, and onnxruntime's results would depend on the machine. 2 * 255 * 64 does not.
const LIMIT: f32 = 64.0;

/// `values` is `[rows, columns]`; value = integer * scale of its row, symmetric about 0.
pub(crate) fn rows(values: &[f32], columns: usize) -> (Vec<i8>, Vec<f32>) {
    let mut integers = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / columns);
    for row in values.chunks_exact(columns) {
        let largest = row.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        // A row of zeros is one whatever its scale.
        let scale = if largest > 0.0 { largest / LIMIT } else { 1.0 };
        scales.push(scale);
        integers.extend(row.iter().map(|value| (value / scale).round_ties_even() as i8));
    }
    (integers, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_own_scale_and_errs_by_half_a_step_at_most() {
        let values = [1.0, -0.3, 0.004, 100.0, -64.0, 33.0, 0.0, 0.0, 0.0];
        let (integers, scales) = rows(&values, 3);
        assert_eq!(scales, [1.0 / 64.0, 100.0 / 64.0, 1.0]);
        for (i, value) in values.iter().enumerate() {
            let scale = scales[i / 3];
            assert!((f32::from(integers[i]) * scale - value).abs() <= 0.5 * scale, "{value}");
        }
        assert_eq!((integers[0], integers[3], integers[8]), (64, 64, 0));
    }
}
