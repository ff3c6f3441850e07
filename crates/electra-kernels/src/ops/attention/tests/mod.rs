//! The bodies against f64, the reference and each other.

mod cpu;
#[cfg(not(target_family = "wasm"))]
mod gpu;

use burn::tensor::{Tensor, TensorData};

use crate::{Dropout, Visibility};

/// The operation's form, for which the reference body has another.
type Attention = fn(Tensor<2>, Tensor<2>, Tensor<2>, &Visibility, usize, Option<&Dropout<'_>>) -> Tensor<2>;

/// Who sees whom.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sight {
    All,
    Backwards,
    Forwards,
    /// The same by ranks, of which nothing is known beforehand.
    RankedBackwards,
    RankedForwards,
    /// By [`rank`] and [`limit`].
    Ranks,
}

/// Queries and keys of an example, which need not be as many.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    head_dim: usize,
    sight: Sight,
}

/// As many queries as keys.
fn square(sight: Sight, [batch, seq, heads, head_dim]: [usize; 4]) -> Sizes {
    Sizes { batch, queries: seq, keys: seq, heads, head_dim, sight }
}

/// Queries of another stream.
fn ranked([batch, queries, keys, heads, head_dim]: [usize; 5]) -> Sizes {
    Sizes { batch, queries, keys, heads, head_dim, sight: Sight::Ranks }
}

/// With ties.
fn rank(key: usize) -> usize {
    1 + key * 5 % 7
}

/// The third query sees nothing.
fn limit(query: usize) -> usize {
    (query * 5 + 6) % 8
}

impl Sizes {
    fn hidden(self) -> usize {
        self.heads * self.head_dim
    }

    /// Shapes of queries, keys and values.
    fn shapes(self) -> [[usize; 2]; 3] {
        [self.queries, self.keys, self.keys].map(|each| [self.batch * each, self.hidden()])
    }

    /// What the pattern means, padding aside.
    fn sees(self, query: usize, key: usize) -> bool {
        match self.sight {
            Sight::All => true,
            Sight::Backwards | Sight::RankedBackwards => key <= query,
            Sight::Forwards | Sight::RankedForwards => key >= query,
            Sight::Ranks => rank(key) <= limit(query),
        }
    }

    fn visibility(self, mask: Tensor<2>) -> Visibility {
        let Self { batch, queries, keys, .. } = self;
        let all = |each: usize, value: fn(usize) -> usize| {
            let values: Vec<f32> = (0..batch * each).map(|index| value(index % each) as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [batch, each]), &mask.device()).cast(mask.dtype())
        };
        let places = |each: usize| all(each, |place| place);
        match self.sight {
            Sight::All => Visibility::all(mask),
            Sight::Backwards => Visibility::backwards(&mask),
            Sight::Forwards => Visibility::forwards(&mask),
            Sight::RankedBackwards => Visibility::ranked(&mask, places(keys), places(queries)),
            Sight::RankedForwards => Visibility::ranked(&mask, -places(keys), -places(queries)),
            Sight::Ranks => Visibility::ranked(&mask, all(keys, rank), all(queries, limit)),
        }
    }
}

/// Asserts that a token's key and value reach the queries that see it and no bit of the others. `run`: the result from queries,
/// keys and values.
fn assert_no_leak(sizes: Sizes, run: impl Fn([Vec<f32>; 3]) -> Vec<f32>) {
    let Sizes { batch, queries, keys, .. } = sizes;
    let shapes = sizes.shapes();
    let values =
        [0, 1, 2].map(|index: usize| crate::cpu::testing::random(index as u64 + 1, shapes[index].iter().product()));
    let before = run(values.clone());
    for changed in [0, keys / 2, keys - 1] {
        let mut values = values.clone();
        for of in &mut values[1..] {
            for example in of.chunks_exact_mut(keys * sizes.hidden()) {
                example[changed * sizes.hidden()..][..sizes.hidden()].iter_mut().for_each(|x| *x = 100.0 - *x);
            }
        }
        let after = run(values);
        let rows = before.chunks_exact(sizes.hidden()).zip(after.chunks_exact(sizes.hidden()));
        for (row, (before, after)) in rows.enumerate() {
            let is_equal = before.iter().zip(after).all(|(before, after)| before.to_bits() == after.to_bits());
            let query = row % queries;
            assert_eq!(
                is_equal,
                !sizes.sees(query, changed),
                "{sizes:?}: query {query}, of {batch} examples, key {changed}"
            );
        }
    }
}
