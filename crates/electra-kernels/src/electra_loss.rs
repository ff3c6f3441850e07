//! The two losses of ELECTRA, with the generator's sample taken on the way.
//!
//!   MLM: z = x E^T + b at the masked rows;  loss = sum w (logsumexp z - z[target]) / (W + 1e-6)
//!        sample = argmax(z / T + Gumbel), never a gradient; disallow_correct: z[target] - 1000 before it
//!   RTD: l = max(d, 0) - d y + log1p(exp(-|d|)) over all tokens, padding excluded;  sum l m / (M + 1e-6)
//! W and M count the *whole* batch, known from the masks beforehand, so that micro-batches add up exactly.
//! One function owns the vocabulary: a kernel need never hold all logits. ELECTRA paper, section 3.1.

use burn::tensor::{Int, Tensor, TensorData, activation};

use crate::{
    Table, cpu,
    gpu::{self, Kernel},
    noise::{NoiseKey, gumbel},
    shape::expect,
};

/// What keeps a division by an empty count finite. Reference: `1e-6` in `_get_masked_lm_output`.
const COUNT_EPSILON: f64 = 1e-6;

/// How the generator's replacements are drawn.
#[derive(Debug, Clone)]
pub struct Sampling<'a> {
    pub temperature: f64,
    /// Never sample the original token.
    pub disallow_correct: bool,
    /// (seed, step, network, site).
    pub key: NoiseKey,
    /// Number of each row's example in the global batch, `[batch]`; rows divide evenly among them.
    pub examples: &'a [u32],
}

impl Sampling<'_> {
    /// A key per row: an index within the row stays below 2^32 whatever the vocabulary.
    fn row_keys(&self, rows: usize) -> Vec<NoiseKey> {
        let rows_per_example = rows / self.examples.len();
        assert!(rows_per_example * self.examples.len() == rows, "rows do not divide among the examples");
        let key = |row: usize| {
            self.key.child(u64::from(self.examples[row / rows_per_example])).child((row % rows_per_example) as u64)
        };
        (0..rows).map(key).collect()
    }
}

/// What the masked rows give. A row of weight 0 gives numbers of no meaning: the CPU does not look at it.
#[derive(Debug, Clone)]
pub struct MlmOutput {
    /// `[1]`
    pub loss: Tensor<1>,
    /// Negative log-likelihood of the original token, `[rows]`, without gradient.
    pub negative_log_likelihood: Tensor<1>,
    /// Most probable id, `[rows]`.
    pub predicted_ids: Tensor<1, Int>,
    /// Drawn id, `[rows]`; `None` where no sampling was asked for.
    pub sampled_ids: Option<Tensor<1, Int>>,
}

/// Logits over the vocabulary. `hidden`: `[rows, embedding]`; `table`: `[vocab, embedding]`; `bias`: `[vocab]`.
pub fn mlm_logits(hidden: Tensor<2>, table: impl Into<Table>, bias: Tensor<1>) -> Tensor<2> {
    logits_by(crate::linear, &hidden, &table.into(), bias)
}

/// Logits by `linear`, piece by piece of the table.
fn logits_by(
    linear: impl Fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>,
    hidden: &Tensor<2>,
    table: &Table,
    bias: Tensor<1>,
) -> Tensor<2> {
    if let [whole] = table.pieces() {
        return linear(hidden.clone(), whole.clone(), bias);
    }
    let of_piece = |(first, piece): (usize, &Tensor<2>)| {
        let bias = bias.clone().slice(first..first + piece.dims()[0]);
        linear(hidden.clone(), piece.clone(), bias)
    };
    Tensor::cat(table.numbered().map(of_piece).collect(), 1)
}

/// Masked-language-model loss, prediction and sample.
///
/// `hidden`, `table`, `bias` as in `mlm_logits`; `targets`, `weights`: `[rows]`, weight 0 for an unused slot;
/// `total_weight`: the sum of the weights over the whole batch.
///
/// # Panics
/// If the shapes do not fit.
pub fn mlm_loss(
    hidden: Tensor<2>,
    table: impl Into<Table>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let table = table.into();
    let [rows, _] = hidden.dims();
    expect("mlm_loss: targets [rows]", targets.dims(), [rows]);
    expect("mlm_loss: weights [rows]", weights.dims(), [rows]);
    expect("mlm_loss: hidden [rows, embedding]", hidden.dims(), [rows, table.width()]);
    expect("mlm_loss: bias [vocab]", bias.dims(), [table.rows()]);
    if let [whole] = table.pieces()
        && [cpu::is_cpu(&hidden), cpu::is_cpu(whole), cpu::is_cpu(&bias), cpu::is_cpu(&weights)] == [true; 4]
        && rows > 0
    {
        return on_cpu(hidden, whole.clone(), bias, targets, weights, total_weight, sampling);
    }
    let table_on_gpu = table.pieces().iter().all(gpu::is_gpu);
    let on_gpu = [gpu::is_gpu(&hidden), table_on_gpu, gpu::is_gpu(&bias), gpu::is_gpu(&weights)];
    if gpu::runs(Kernel::ElectraLoss, &hidden, on_gpu) && rows > 0 {
        return on_gpu_adapter(hidden, &table, bias, &targets, &weights, total_weight, sampling);
    }
    reference(hidden, table, bias, targets, weights, total_weight, sampling)
}

fn on_gpu_adapter(
    hidden: Tensor<2>,
    table: &Table,
    bias: Tensor<1>,
    targets: &Tensor<1, Int>,
    weights: &Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let ([rows, _], is_autodiff) = (hidden.dims(), hidden.is_autodiff());
    let draw = sampling.map(|sampling| {
        assert!(rows.is_multiple_of(sampling.examples.len()), "rows do not divide among the examples");
        gpu::mlm::Draw {
            key: sampling.key.words(),
            inv_temperature: (1.0 / sampling.temperature) as f32,
            penalty: if sampling.disallow_correct { -1000.0 } else { 0.0 },
            examples: sampling.examples.to_vec(),
        }
    });
    let (first, rest) = table.pieces().split_first().expect("a table has at least one piece");
    let operands = [gpu::operand(hidden), gpu::operand(first.clone()), gpu::operand(bias)];
    let (targets, weights) = (gpu::ids(targets), gpu::constant(weights));
    let denominator = total_weight + COUNT_EPSILON;
    let (loss, found) = gpu::mlm::loss(operands, rest, &targets, &weights, denominator, draw.as_ref());
    let ids = gpu::id_tensor::<2>(found.ids);
    let column = |row: usize| {
        let ids = ids.clone().slice([row..row + 1, 0..rows]).reshape([rows]);
        if is_autodiff { Tensor::from_inner(ids) } else { ids }
    };
    let losses = gpu::tensor(found.losses);
    MlmOutput {
        loss: loss.into_tensor(),
        negative_log_likelihood: if is_autodiff { Tensor::from_inner(losses) } else { losses },
        predicted_ids: column(0),
        sampled_ids: sampling.map(|_| column(1)),
    }
}

fn on_cpu(
    hidden: Tensor<2>,
    table: Tensor<2>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let ([rows, _], device) = (hidden.dims(), hidden.device());
    let targets = cpu::ids("mlm_loss: targets", targets, table.dims()[0]);
    let weights = cpu::values(&cpu::constant(&weights)).to_vec();
    let draw = sampling.map(|sampling| cpu::mlm::Draw {
        temperature: sampling.temperature,
        disallow_correct: sampling.disallow_correct,
        keys: sampling.row_keys(rows),
    });
    let operands = [cpu::operand(hidden), cpu::operand(table), cpu::operand(bias)];
    let (loss, rows) = cpu::mlm::loss(operands, targets, weights, total_weight + COUNT_EPSILON, draw.as_ref());
    MlmOutput {
        loss: loss.into_tensor(),
        negative_log_likelihood: Tensor::from_data(rows.losses.as_slice(), &device),
        predicted_ids: Tensor::from_data(rows.predicted.as_slice(), &device),
        sampled_ids: sampling.map(|_| Tensor::from_data(rows.sampled.as_slice(), &device)),
    }
}

/// `mlm_loss` in primitives.
#[doc(hidden)]
pub fn reference(
    hidden: Tensor<2>,
    table: impl Into<Table>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let [rows, _] = hidden.dims();
    let logits = logits_by(crate::linear::reference, &hidden, &table.into(), bias);
    let targets = targets.reshape([rows, 1]);

    let without_gradient = logits.clone().detach();
    let predicted_ids = without_gradient.clone().argmax(1).reshape([rows]);
    let sampled_ids = sampling.map(|sampling| sample(without_gradient, &targets, sampling));

    let negative_log_likelihood = activation::log_softmax(logits, 1).gather(1, targets).reshape([rows]).neg();
    let loss = (negative_log_likelihood.clone() * weights).sum().div_scalar(total_weight + COUNT_EPSILON);
    MlmOutput { loss, negative_log_likelihood: negative_log_likelihood.detach(), predicted_ids, sampled_ids }
}

fn sample(logits: Tensor<2>, targets: &Tensor<2, Int>, sampling: &Sampling<'_>) -> Tensor<1, Int> {
    let [rows, vocab] = logits.dims();
    let device = logits.device();
    let logits = if sampling.disallow_correct {
        let penalty = Tensor::full([rows, 1], -1000.0, &device);
        logits.scatter(1, targets.clone(), penalty, burn::tensor::IndexingUpdateOp::Add)
    } else {
        logits
    };
    let keys = sampling.row_keys(rows);
    let mut noise = vec![0.0; rows * vocab];
    crate::parallel_rows(&mut noise, vocab, |row, values| {
        let key = keys[row];
        for (id, value) in values.iter_mut().enumerate() {
            *value = gumbel(key.bits(id as u32));
        }
    });
    let noise = Tensor::from_data(TensorData::new(noise, [rows, vocab]), &device);
    (logits.div_scalar(sampling.temperature) + noise).argmax(1).reshape([rows])
}

/// Replaced-token-detection loss, `[1]`.
///
/// `logits`, `is_replaced` (0 or 1), `token_mask` (0 for padding): `[batch, seq]`; `total_tokens`: number of
/// tokens in the whole batch, [CLS] and [SEP] included.
///
/// # Panics
/// If the shapes do not fit.
pub fn rtd_loss(logits: Tensor<2>, is_replaced: Tensor<2>, token_mask: Tensor<2>, total_tokens: f64) -> Tensor<1> {
    expect("rtd_loss: is_replaced [batch, seq]", is_replaced.dims(), logits.dims());
    expect("rtd_loss: token_mask [batch, seq]", token_mask.dims(), logits.dims());
    let on_cpu = [cpu::is_cpu(&logits), cpu::is_cpu(&is_replaced), cpu::is_cpu(&token_mask)] == [true; 3];
    if on_cpu {
        let [is_replaced, token_mask] = [is_replaced, token_mask].map(|x| cpu::constant(&x));
        let denominator = total_tokens + COUNT_EPSILON;
        return cpu::rtd::loss(cpu::operand(logits), &is_replaced, &token_mask, denominator).into_tensor();
    }
    let on_gpu = [gpu::is_gpu(&logits), gpu::is_gpu(&is_replaced), gpu::is_gpu(&token_mask)];
    if gpu::runs(Kernel::ElectraLoss, &logits, on_gpu) {
        let [is_replaced, token_mask] = [is_replaced, token_mask].map(|x| gpu::constant(&x));
        let denominator = total_tokens + COUNT_EPSILON;
        return gpu::rtd::loss(gpu::operand(logits), is_replaced, token_mask, denominator).into_tensor();
    }
    rtd_reference(logits, is_replaced, token_mask, total_tokens)
}

/// `rtd_loss` in primitives.
#[doc(hidden)]
pub fn rtd_reference(logits: Tensor<2>, is_replaced: Tensor<2>, token_mask: Tensor<2>, total_tokens: f64) -> Tensor<1> {
    // -log_sigmoid(-d) = max(d, 0) + log1p(exp(-|d|)): overflows for no d, and has a true gradient at 0.
    let losses = activation::log_sigmoid(logits.clone().neg()).neg() - logits * is_replaced;
    (losses * token_mask).sum().div_scalar(total_tokens + COUNT_EPSILON)
}
