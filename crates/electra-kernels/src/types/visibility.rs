//! Which tokens a query of attention sees.
//!
//! One rule for every pattern: each key has a rank and each query a limit, and a query sees the tokens whose rank is not above its
//! limit. From left to right rank and limit are the token's place; XLNet's content stream has its order of prediction for
//! both, and a query stream the rank before its own. What sees every token needs no ranks.

use burn::tensor::{Tensor, TensorData};

use super::shape::expect;

/// The rank of padding: above every limit.
pub(crate) const UNSEEN: f32 = 1e30;

/// What is known of who sees whom without looking at ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// All see the same: there are no ranks.
    All,
    /// Ranks and limits of any kind.
    Ranked,
    /// Ranks and limits are places: nobody sees what comes after it. Kernels leave that out, half of the scores.
    Backwards,
    /// Or what comes before it.
    Forwards,
}

/// Which tokens each query sees, the same for all heads and layers.
#[derive(Debug, Clone)]
pub struct Visibility {
    /// Without ranks the mask, `[batch, keys]`: 1 for a token, 0 for padding. With them `[batch, keys + queries]`: the ranks of
    /// an example's keys, [`UNSEEN`] for padding, and behind them its queries' limits. Joined here, once for all layers, so that
    /// a kernel binds one buffer whatever the pattern.
    pub(crate) pattern: Tensor<2>,
    queries: usize,
    keys: usize,
    pub(crate) order: Order,
}

impl Visibility {
    /// Every query sees every token. `mask`: `[batch, keys]`, 1 for a token, 0 for padding; there are as many queries as keys.
    pub fn all(mask: Tensor<2>) -> Self {
        let [_, keys] = mask.dims();
        Self { pattern: mask, queries: keys, keys, order: Order::All }
    }

    /// A query sees the tokens whose rank is not above its limit. `mask` and `key_ranks`: `[batch, keys]`; `limits`:
    /// `[batch, queries]`; whole numbers of less than 2^24, of either sign.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn ranked(mask: &Tensor<2>, key_ranks: Tensor<2>, limits: Tensor<2>) -> Self {
        let ([batch, keys], [_, queries]) = (mask.dims(), limits.dims());
        expect("visibility: key_ranks [batch, keys]", key_ranks.dims(), [batch, keys]);
        expect("visibility: limits [batch, queries]", limits.dims(), [batch, queries]);
        let padding = (mask.clone() - 1.0) * -UNSEEN;
        let pattern = Tensor::cat(vec![key_ranks + padding, limits], 1);
        Self { pattern, queries, keys, order: Order::Ranked }
    }

    /// A token sees itself and what comes before it: causal attention.
    pub fn backwards(mask: &Tensor<2>) -> Self {
        Self::by_place(mask, 1.0, Order::Backwards)
    }

    /// A token sees itself and what comes after it.
    pub fn forwards(mask: &Tensor<2>) -> Self {
        Self::by_place(mask, -1.0, Order::Forwards)
    }

    fn by_place(mask: &Tensor<2>, sign: f32, order: Order) -> Self {
        let [batch, seq] = mask.dims();
        let places: Vec<f32> = (0..batch * seq).map(|index| sign * (index % seq) as f32).collect();
        let data = TensorData::new(places, [batch, seq]);
        let places = Tensor::<2>::from_data(data, &mask.device()).cast(mask.dtype());
        Self { order, ..Self::ranked(mask, places.clone(), places) }
    }

    pub(crate) fn is_ranked(&self) -> bool {
        self.order != Order::All
    }

    /// Examples.
    pub fn batch(&self) -> usize {
        self.pattern.dims()[0]
    }

    /// Queries of an example.
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Keys of an example.
    pub fn keys(&self) -> usize {
        self.keys
    }
}
