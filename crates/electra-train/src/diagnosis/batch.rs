//! Is there enough in a batch to learn from?

use super::Finding;
use super::record::Record;

/// Tokens of a step. The paper's Small reads 16,384, the smallest preset here 1,024.
const SMALL: u64 = 1024;
/// Less than a hundred masked tokens decide an update then.
const TINY: u64 = 512;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let train = &record.config.train;
    let tokens = record.tokens_per_step();
    let masked = tokens as f64 * record.config.data.masking_probability;
    let evidence = format!(
        "{} sequences of {} tokens: {tokens} a step, {masked:.0} of them masked; the paper's Small reads 16384",
        train.batch_size, train.sequence_length
    );
    let remedy = "raise train.batch_size (train.micro_batch keeps the memory as it is), or lower the learning rate with it";
    if tokens < TINY {
        vec![Finding::suspicious("the batch is tiny: its gradient is mostly noise", evidence, remedy)]
    } else if tokens < SMALL {
        vec![Finding::suspicious("the batch is small", evidence, remedy)]
    } else {
        vec![Finding::fine("the batch is large enough", evidence)]
    }
}
