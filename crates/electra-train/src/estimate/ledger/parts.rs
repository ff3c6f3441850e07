//! The exact rule: what each part of a network costs, forward and backward.

use electra_model::ElectraConfig;
use electra_model::objective::{HeadWork, NetworkPlan, Positions};

use super::{Cost, Part, Place, Row, Step};

/// A dense layer over `rows`: forward, and the gradients of its input, weight and bias.
fn dense(rows: f64, inputs: f64, outputs: f64, micro_batches: f64) -> [Cost; 2] {
    let weight = inputs * outputs * micro_batches;
    let forward = Cost::new(rows * (2.0 * inputs * outputs + outputs), rows * (inputs + outputs) + weight);
    let to_input = Cost::new(rows * 2.0 * inputs * outputs, rows * (inputs + outputs) + weight);
    let to_weight = Cost::new(rows * (2.0 * inputs * outputs + outputs), rows * (inputs + outputs) + weight);
    [forward, to_input + to_weight]
}

/// Layer normalization of `rows`, alone: mean (1), variance (3), normalizing (2), scale and shift (2).
fn layer_norm(rows: f64, width: f64) -> [Cost; 2] {
    [Cost::new(8.0 * rows * width, 2.0 * rows * width), Cost::new(11.0 * rows * width, 3.0 * rows * width)]
}

/// GELU's polynomial, exponential and products, and its slope; on the way of a product, so that only the values before it are
/// kept beside.
fn gelu(rows: f64, width: f64) -> [Cost; 2] {
    [Cost::new(17.0 * rows * width, rows * width), Cost::new(20.0 * rows * width, rows * width)]
}

/// Rows that a head looks at.
fn rows_of(positions: Positions, step: &Step) -> f64 {
    match positions {
        Positions::All => step.tokens(),
        Positions::Masked => (step.batch_size * step.masked) as f64,
    }
}

fn both(costs: &[[Cost; 2]]) -> [Cost; 2] {
    [0, 1].map(|pass| costs.iter().map(|cost| cost[pass]).sum::<Cost>())
}

fn head(work: HeadWork, config: &ElectraConfig, step: &Step) -> [Cost; 2] {
    let [hidden, embedding, vocab] =
        [config.hidden_size, config.embedding_size, config.vocab_size].map(|size| size as f64);
    let times = step.micro_batches();
    match work {
        HeadWork::Vocabulary { positions, states, is_sampled, is_repeated } => {
            let rows = rows_of(positions, step);
            // Softmax's maximum, exponential and sum; the noise's two logarithms with what is around them, sum and maximum.
            let draw = if is_sampled { 8.0 } else { 0.0 };
            let logits = rows * vocab;
            let loss = [Cost::new((5.0 + draw) * logits, 2.0 * logits), Cost::new(3.0 * logits, 2.0 * logits)];
            let logits = both(&[dense(rows, embedding, vocab, times), loss]);
            if is_repeated {
                return [logits[0], Cost::default()];
            }
            both(&[
                dense(rows, states as f64 * hidden, embedding, times),
                gelu(rows, embedding),
                layer_norm(rows, embedding),
                logits,
            ])
        }
        HeadWork::Binary(positions) => {
            let rows = rows_of(positions, step);
            let loss = [Cost::new(8.0 * rows, 3.0 * rows), Cost::new(4.0 * rows, 3.0 * rows)];
            both(&[dense(rows, hidden, hidden, times), gelu(rows, hidden), dense(rows, hidden, 1.0, times), loss])
        }
    }
}

/// Products, attention and what is between them of one layer for a stream of `queries` positions an example, of which each sees
/// `step.sequence_length` keys. A stream that reads another one projects that one's keys and values as well.
fn layer(config: &ElectraConfig, step: &Step, queries: f64, reads_another: bool) -> [[Cost; 2]; 3] {
    let [hidden, inner, heads] =
        [config.hidden_size, config.intermediate_size, config.num_attention_heads].map(|size| size as f64);
    let (rows, keys, times) = (step.batch_size as f64 * queries, step.sequence_length as f64, step.micro_batches());
    let read = step.batch_size as f64 * keys;
    let dropped = |probability: f64| if probability > 0.0 { 1.0 } else { 0.0 };
    let drop = dropped(config.hidden_dropout_prob);

    // Queries, keys and values of a stream's own come of one product.
    let projections = if reads_another {
        both(&[dense(rows, hidden, hidden, times), dense(read, hidden, 2.0 * hidden, times)])
    } else {
        dense(rows, hidden, 3.0 * hidden, times)
    };
    let products = both(&[
        projections,
        dense(rows, hidden, hidden, times),
        dense(rows, hidden, inner, times),
        dense(rows, inner, hidden, times),
    ]);

    // A score and its query's value are `hidden / heads` multiply-adds each; scale, maximum, exponential, sum, and dropout are by score.
    let pairs = rows * keys;
    let drop_probability = dropped(config.attention_probs_dropout_prob);
    let (again, moved) = match step.place {
        Place::Cpu => (8.0, rows * hidden * 7.0 + 2.0 * pairs * heads),
        Place::Adapter => (14.0, rows * hidden * 12.0),
    };
    let kept = if step.place == Place::Cpu { pairs * heads } else { 0.0 };
    let attention = [
        Cost::new(pairs * (4.0 * hidden + (5.0 + drop_probability) * heads), 4.0 * rows * hidden + kept),
        Cost::new(pairs * (again * hidden + (5.0 + 2.0 * drop_probability) * heads) + 2.0 * rows * hidden, moved),
    ];

    let residual = [Cost::new(rows * hidden, 2.0 * rows * hidden), Cost::new(rows * hidden, rows * hidden)];
    let dropout = [Cost::new(drop * rows * hidden, 0.0), Cost::new(drop * rows * hidden, 0.0)];
    let half = both(&[residual, dropout, layer_norm(rows, hidden)]);
    [products, attention, both(&[half, half, gelu(rows, inner)])]
}

/// The rows of one network.
pub(super) fn of_network(network: &NetworkPlan, step: &Step) -> Vec<Row> {
    let (config, work) = (&network.config, &network.work);
    let [hidden, embedding, layers] =
        [config.hidden_size, config.embedding_size, config.num_hidden_layers].map(|size| size as f64);
    let (tokens, times) = (step.tokens(), step.micro_batches());
    let drop = if config.hidden_dropout_prob > 0.0 { 1.0 } else { 0.0 };

    // A query stream begins with embeddings of whole sequences, too.
    let embedded = (work.encoders + usize::from(work.has_query_stream)) as f64;
    let look_up = [
        Cost::new(2.0 * tokens * embedding, 4.0 * tokens * embedding),
        Cost::new(3.0 * tokens * embedding, 4.0 * tokens * embedding),
    ];
    let dropout = [Cost::new(drop * tokens * embedding, 0.0), Cost::new(drop * tokens * embedding, 0.0)];
    let embeddings = both(&[look_up, layer_norm(tokens, embedding), dropout]);
    let projection =
        if config.has_projection() { dense(tokens, embedding, hidden, times) } else { [Cost::default(); 2] };

    let encoders = work.encoders as f64;
    let content = layer(config, step, step.sequence_length as f64, false).map(|part| part.map(|cost| cost * encoders));
    let parts: [[Cost; 2]; 3] = if work.has_query_stream {
        let queries = layer(config, step, step.masked as f64, true);
        // Nobody reads the content behind the last layer.
        [0, 1, 2].map(|part| [0, 1].map(|pass| content[part][pass] * (layers - 1.0) + queries[part][pass] * layers))
    } else {
        content.map(|part| part.map(|cost| cost * layers))
    };
    let [products, attention, elementwise] = parts;
    let heads: Vec<[Cost; 2]> = work.heads.iter().map(|&work| head(work, config, step)).collect();

    let row = |part, [forward, backward]: [Cost; 2], again: Cost| Row {
        network: Some(network.role),
        part,
        forward,
        backward: if work.is_trained { backward } else { Cost::default() },
        recompute: if step.recompute && work.is_trained { again } else { Cost::default() },
    };
    let times = |costs: [Cost; 2], by: f64| costs.map(|cost| cost * by);
    vec![
        row(Part::Embeddings, times(embeddings, embedded), Cost::default()),
        row(Part::Products, both(&[products, times(projection, embedded)]), products[0]),
        row(Part::Attention, attention, attention[0]),
        row(Part::Elementwise, elementwise, elementwise[0]),
        row(Part::Head, both(&heads), Cost::default()),
    ]
}
