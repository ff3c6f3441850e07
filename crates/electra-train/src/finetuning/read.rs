//! What a network says of features: batch after batch, the longest first.

use burn::tensor::Device;
use electra_data::SpecialTokens;
use electra_kernels::DeviceFailure;
use electra_kernels::side_by_side::{self, side_by_side};
use electra_model::{ElectraConfig, Parameters};
use electra_task::batch::{TaskBatch, reading_order};
use electra_task::encode::{Encoded, Feature};
use electra_task::output::{Output, predictions};
use electra_task::{Example, Kind, Prediction};

use super::head::{Said, TaskHead, fetch};

/// Starts, and ends of each, that the joint head's beam looks at (the reference's).
const BEAM: usize = 20;

/// Tokens of a batch, padding included, where batches are read side by side: few enough for a layer to stay in a core's cache.
const BATCH_TOKENS_OF_A_THREAD: usize = 1024;
/// The same where one batch is read at a time: enough for a card.
const BATCH_TOKENS: usize = 16_384;
/// Batches that each thread reads before what they said is looked at: none waits long for another.
const BATCHES_OF_A_THREAD: usize = 16;

/// What is read of texts of these lengths in which batches, and how many of them are read side by side.
pub(crate) fn reading(lengths: &[usize], device: &Device) -> (Vec<Vec<usize>>, usize) {
    match side_by_side::width(device) {
        0 | 1 => (reading_order(lengths, BATCH_TOKENS), 1),
        threads => (reading_order(lengths, BATCH_TOKENS_OF_A_THREAD), threads * BATCHES_OF_A_THREAD),
    }
}

/// A network with a head, ready to read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) head: &'a TaskHead,
    pub(crate) config: &'a ElectraConfig,
    pub(crate) parameters: &'a Parameters,
    pub(crate) special: SpecialTokens,
    pub(crate) device: &'a Device,
}

impl Reader<'_> {
    /// One output for each of `features`; `progress` is told how many are done.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn outputs(
        &self,
        features: &[Feature],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Output>, DeviceFailure> {
        let mut outputs: Vec<Option<Output>> = vec![None; features.len()];
        let lengths: Vec<usize> = features.iter().map(|feature| feature.ids.len()).collect();
        let (order, at_a_time) = reading(&lengths, self.device);
        let mut done = 0;
        for wave in order.chunks(at_a_time) {
            let batch = |numbers: &Vec<usize>| TaskBatch::new(features, numbers, &self.head.kind, &[], self.special);
            let batches: Vec<TaskBatch> = wave.iter().map(batch).collect();
            let forward = |batch: &TaskBatch| self.head.forward(self.config, self.parameters, batch, self.device);
            for (said, batch) in side_by_side(&batches, forward).into_iter().zip(&batches) {
                let of_rows = self.outputs_of(said, batch, features).await?;
                for (number, output) in batch.features.iter().zip(of_rows) {
                    outputs[*number] = Some(output);
                }
                done += batch.rows;
                progress(done);
            }
        }
        Ok(outputs.into_iter().map(|output| output.expect("every feature stands in one batch")).collect())
    }

    /// One prediction for each of `examples`.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn predictions(
        &self,
        examples: &[Example],
        encoded: &Encoded,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Prediction>, DeviceFailure> {
        let outputs = self.outputs(&encoded.features, progress).await?;
        Ok(predictions(&self.head.kind, examples, encoded, &outputs))
    }

    async fn outputs_of(
        &self,
        said: Said,
        batch: &TaskBatch,
        features: &[Feature],
    ) -> Result<Vec<Output>, DeviceFailure> {
        let row = |values: &[f32], row: usize| values[row * batch.seq..(row + 1) * batch.seq].to_vec();
        match said {
            Said::Logits(logits) => {
                let [_, labels] = logits.dims();
                let values = fetch(&[&logits]).await?.swap_remove(0);
                let of_row = |at: usize| values[at * labels..(at + 1) * labels].to_vec();
                if !matches!(self.head.kind, Kind::Tagging { .. }) {
                    return Ok((0..batch.rows).map(|row| Output::Logits(of_row(row))).collect());
                }
                let words = |(row, number): (usize, &usize)| {
                    let words = features[*number].words.iter();
                    Output::Words(words.map(|position| of_row(row * batch.seq + position)).collect())
                };
                Ok(batch.features.iter().enumerate().map(words).collect())
            }
            Said::Spans(starts, ends) => {
                let found = fetch(&[&starts, &ends]).await?;
                let span = |number| Output::Span { starts: row(&found[0], number), ends: row(&found[1], number) };
                Ok((0..batch.rows).map(span).collect())
            }
            Said::Joint(joint) => {
                let wanted: Vec<_> = [Some(&joint.starts), joint.no_answer.as_ref()].into_iter().flatten().collect();
                let found = fetch(&wanted).await?;
                let beam = BEAM.min(batch.seq);
                let starts: Vec<Vec<usize>> =
                    (0..batch.rows).map(|number| most_probable(&row(&found[0], number), beam)).collect();
                let flat: Vec<i32> = starts.iter().flatten().map(|start| *start as i32).collect();
                let end_log_probs = fetch(&[&joint.ends(&flat, beam)]).await?.swap_remove(0);
                let of_row = |(number, starts): (usize, Vec<usize>)| {
                    let start_log_probs = starts.iter().map(|start| found[0][number * batch.seq + start]).collect();
                    let (mut ends, mut of_ends) = (Vec::new(), Vec::new());
                    for start in 0..beam {
                        let log_probs = row(&end_log_probs, number * beam + start);
                        let best = most_probable(&log_probs, beam);
                        of_ends.extend(best.iter().map(|end| log_probs[*end]));
                        ends.extend(best);
                    }
                    let no_answer = found.get(1).map_or(f32::NEG_INFINITY, |logits| logits[number]);
                    Output::Beam { starts, start_log_probs, ends, end_log_probs: of_ends, no_answer }
                };
                Ok(starts.into_iter().enumerate().map(of_row).collect())
            }
        }
    }
}

/// Positions of the `count` greatest values, the greatest first, of equal ones the first.
fn most_probable(values: &[f32], count: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..values.len()).collect();
    positions.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    positions.truncate(count);
    positions
}
