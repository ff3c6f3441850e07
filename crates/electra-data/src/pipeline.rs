//! Runs lines of a corpus through worker threads and gives the results back in order.
//!
//! One thread reads and cuts the text into blocks, dealt round-robin to the workers; results are collected in the same
//! round. So the order needs no sorting, the result doesn't depend on the number of workers, and the short queues bound
//! what is in memory whatever the corpus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::error::{DataError, Result};
use crate::input::{LineSink, TextSource};

/// Text per block: large against the cost of passing it on, small against memory.
const BLOCK_BYTES: usize = 1 << 18;
/// Blocks waiting before and after each worker.
const QUEUE: usize = 4;

/// How far a job has come, for progress bars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes read, compressed where the input is.
    pub input_bytes: u64,
    /// All there are to read; unknown for standard input.
    pub input_total_bytes: Option<u64>,
    /// Bytes of text, decompressed.
    pub text_bytes: u64,
    /// Finished.
    pub documents: u64,
    /// Not empty.
    pub lines: u64,
    /// 0 while a vocabulary is made.
    pub tokens: u64,
}

/// What a job is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Reading text and working on it.
    #[default]
    Reading,
    /// Making a vocabulary of counted words.
    Merging,
    /// Writing the last files.
    Writing,
}

/// Called now and then with a job's progress; `Break` stops it with [`DataError::Stopped`].
pub type OnProgress<'a> = dyn FnMut(&Progress) -> std::ops::ControlFlow<()> + 'a;

/// Reports progress, and turns a wish to stop into an error.
pub(crate) fn report(on_progress: &mut OnProgress, progress: &Progress) -> Result<()> {
    if on_progress(progress).is_break() { Err(DataError::Stopped) } else { Ok(()) }
}

/// Some consecutive lines of a corpus.
#[derive(Debug)]
pub(crate) struct LineBlock {
    text: String,
    line_ends: Vec<u32>,
    /// Numbers of lines in this block after which a document ended.
    pub document_ends: Vec<u32>,
}

impl LineBlock {
    fn new() -> Self {
        // Growing by doubling would copy all text once more, into pages that must be cleared first. The rest is for the last line.
        let text = String::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 16);
        Self { text, line_ends: Vec::new(), document_ends: Vec::new() }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.line_ends.iter().copied());
        starts.zip(&self.line_ends).map(|(start, &end)| &self.text[start as usize..end as usize])
    }

    pub(crate) fn text_bytes(&self) -> u64 {
        (self.text.len() + self.line_ends.len()) as u64
    }
}

/// More threads than cores help nothing, but a few are harmless.
const MAX_WORKERS: usize = 64;

/// How many workers `jobs` asks for: 0 means one per core.
pub(crate) fn worker_count(jobs: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if jobs > 0 { jobs.min(cores.max(MAX_WORKERS)) } else { cores }
}

/// Reads `source`, maps its blocks on `workers` threads, and passes results to `consume` in order, on the calling thread,
/// with the bytes read so far.
///
/// # Errors
/// Those of reading and of `consume`, whichever stopped the work.
pub(crate) fn for_each_block<Output: Send, Worker: FnMut(LineBlock) -> Output>(
    source: &TextSource,
    workers: usize,
    make_worker: impl Fn() -> Worker + Sync,
    mut consume: impl FnMut(Output, u64) -> Result<()>,
) -> Result<()> {
    let bytes_read = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        let mut block_senders = Vec::new();
        let mut outputs: Vec<Receiver<Output>> = Vec::new();
        for _ in 0..workers {
            let (block_sender, blocks) = sync_channel::<LineBlock>(QUEUE);
            let (output_sender, output) = sync_channel(QUEUE);
            block_senders.push(block_sender);
            outputs.push(output);
            let make_worker = &make_worker;
            scope.spawn(move || {
                let mut worker = make_worker();
                for block in blocks {
                    // The collector left: so does the worker, and then the reader.
                    if output_sender.send(worker(block)).is_err() {
                        return;
                    }
                }
            });
        }
        let bytes = &bytes_read;
        let reader = scope.spawn(move || {
            let mut dealer = Dealer { block: LineBlock::new(), senders: block_senders, next: 0 };
            source.read(&mut dealer, bytes).and_then(|()| dealer.deal())
        });
        // The first worker whose turn it is and who has nothing more is behind the last block.
        let mut consumed = Ok(());
        for output in outputs.iter().cycle() {
            let Ok(result) = output.recv() else { break };
            consumed = consume(result, bytes_read.load(Ordering::Relaxed));
            if consumed.is_err() {
                break;
            }
        }
        drop(outputs);
        let read = match reader.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        consumed.and(read)
    })
}

/// Gathers lines into blocks and deals these to the workers.
struct Dealer {
    block: LineBlock,
    senders: Vec<SyncSender<LineBlock>>,
    next: usize,
}

impl Dealer {
    fn deal(&mut self) -> Result<()> {
        let block = std::mem::replace(&mut self.block, LineBlock::new());
        if block.line_ends.is_empty() && block.document_ends.is_empty() {
            return Ok(());
        }
        let worker = self.next;
        self.next = (self.next + 1) % self.senders.len();
        // A worker that left was told to: the error that counts is the collector's.
        self.senders[worker].send(block).map_err(|_| DataError::Stopped)
    }
}

impl LineSink for Dealer {
    fn line(&mut self, line: &str) -> Result<()> {
        self.block.text.push_str(line);
        self.block.line_ends.push(self.block.text.len() as u32);
        if self.block.text.len() >= BLOCK_BYTES { self.deal() } else { Ok(()) }
    }

    fn end_document(&mut self) -> Result<()> {
        let lines = self.block.line_ends.len() as u32;
        // Blank lines in a row end one document.
        if self.block.document_ends.last() != Some(&lines) {
            self.block.document_ends.push(lines);
        }
        Ok(())
    }
}
