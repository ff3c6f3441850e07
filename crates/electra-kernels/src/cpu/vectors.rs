//! Products and sums of two rows of numbers, for what is computed row by row on the host.

use super::math::{LANES, vectorised};

vectorised! {
    /// The sum of the products of two equally long rows. Of the values alone: the same bits on every machine.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0f32; LANES];
        let (a, rest_a) = a.as_chunks::<LANES>();
        let (b, rest_b) = b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                sums[lane] += a[lane] * b[lane];
            }
        }
        let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
        sums.iter().sum::<f32>() + rest
    }
}

vectorised! {
    /// Adds `scale` times `x` to `target`, an equally long row.
    pub fn add_scaled(target: &mut [f32], scale: f32, x: &[f32]) {
        for (target, x) in target.iter_mut().zip(x) {
            *target += scale * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_length_have_their_product_and_sum() {
        for length in [0, 1, 15, 16, 17, 110] {
            let a: Vec<f32> = (0..length).map(|i| i as f32 - 7.0).collect();
            let b: Vec<f32> = (0..length).map(|i| 0.5 * i as f32).collect();
            let expected: f32 = (0..length).map(|i| (i as f32 - 7.0) * 0.5 * i as f32).sum();
            assert_eq!(dot(&a, &b), expected, "whole halves are exact");
            let mut sum = a.clone();
            add_scaled(&mut sum, 2.0, &b);
            assert!(sum.iter().enumerate().all(|(i, sum)| *sum == 2.0 * i as f32 - 7.0), "{sum:?}");
        }
    }
}
