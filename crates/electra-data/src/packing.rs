//! Cuts documents of token lines into examples: which tokens are segment A and B of example i in an epoch.
//!
//! The cut list of an epoch is a pure function of (seed, epoch, sequence length, line lengths), made in one pass over the
//! line lengths in document order, so that afterwards an example is a look-up and training can resume anywhere. Documents never
//! mix in an example. Two rules (docs/electra-semantics.md, "Data building"; google-research/electra build_pretraining_dataset.py):
//!
//! - the default carries on: every example is the document's next tokens, exactly as many as its target allows; what a line
//!   has left over starts the next example. Every token of a corpus stands in exactly one example of an epoch.
//! - `paper_exact` does as the reference: whole lines are gathered until they reach the target, distributed over A and B, and
//!   what exceeds the longest sequence is dropped. A short line may return to A after B has begun, which
//!   is why an example is a list of [`Run`]s and not just two numbers.

use crate::blocks::Side;
use crate::error::Result;
use crate::random::Draws;

/// Share of examples with one segment, as in single-sentence tasks.
const SINGLE_SEGMENT: f64 = 0.1;
/// Share of examples with a target drawn from `SHORTEST..=seq` instead of `seq`.
const RANDOM_TARGET: f64 = 0.05;
const SHORTEST: usize = 5;
/// Chance that the line which would overflow segment A stays in it.
const OVERFLOWING_LINE_IN_A: f64 = 0.5;
/// Shortest sequence length: [CLS] A [SEP] B [SEP] with a token in each.
pub const MIN_SEQUENCE: usize = 5;
/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x6375_7473; // "cuts"

/// Where a document's lines lie among the corpus's tokens: line n is `line_offsets[n]..line_offsets[n + 1]` after `base`.
#[derive(Debug, Clone, Copy)]
pub struct DocumentLines<'a> {
    /// The corpus's token that offsets count from.
    pub base: u64,
    /// Lines + 1, ascending, in tokens.
    pub line_offsets: &'a [u64],
}

impl DocumentLines<'_> {
    fn lines(&self) -> usize {
        self.line_offsets.len().saturating_sub(1)
    }

    /// First token of a line; of one past the last, the document's end.
    fn start(&self, line: usize) -> u64 {
        self.base + self.line_offsets[line]
    }
}

/// Token lines grouped into documents: shards on disk, or a text in memory.
pub trait Corpus: Send + Sync {
    /// All tokens.
    fn token_count(&self) -> u64;
    /// Calls `visit` with each document in order.
    fn for_each_document(&self, visit: &mut dyn FnMut(DocumentLines));
    /// Appends tokens `start..start + length` to `tokens`. They must exist.
    fn append_tokens(&self, start: u64, length: usize, tokens: &mut Vec<i32>);

    /// Calls `visit` with the tokens of each line in order, to the end of the line with which there are `max_tokens`.
    fn for_each_line(&self, max_tokens: u64, visit: &mut dyn FnMut(&[i32])) {
        let (mut seen, mut tokens) = (0, Vec::new());
        self.for_each_document(&mut |document| {
            for bounds in document.line_offsets.windows(2) {
                if seen >= max_tokens {
                    return;
                }
                tokens.clear();
                self.append_tokens(document.base + bounds[0], (bounds[1] - bounds[0]) as usize, &mut tokens);
                seen += tokens.len() as u64;
                visit(&tokens);
            }
        });
    }
}

/// A corpus in memory: for tests, for the browser, for a few sentences.
#[derive(Debug, Clone)]
pub struct MemoryCorpus {
    tokens: Vec<u32>,
    line_offsets: Vec<u64>,
    /// In lines.
    document_offsets: Vec<u64>,
}

impl Default for MemoryCorpus {
    fn default() -> Self {
        Self { tokens: Vec::new(), line_offsets: vec![0], document_offsets: vec![0] }
    }
}

impl MemoryCorpus {
    /// From documents of lines of ids; empty lines and documents are left out.
    pub fn new<'a>(documents: impl IntoIterator<Item = &'a [Vec<u32>]>) -> Self {
        let mut corpus = Self::default();
        for document in documents {
            document.iter().filter(|line| !line.is_empty()).for_each(|line| corpus.push_line(line));
            corpus.end_document();
        }
        corpus
    }

    fn push_line(&mut self, tokens: &[u32]) {
        self.tokens.extend(tokens);
        self.line_offsets.push(self.tokens.len() as u64);
    }
}

impl Side for MemoryCorpus {
    fn line(&mut self, tokens: &[u32]) -> Result<()> {
        self.push_line(tokens);
        Ok(())
    }

    fn end_document(&mut self) {
        let lines = self.line_offsets.len() as u64 - 1;
        if self.document_offsets.last() != Some(&lines) {
            self.document_offsets.push(lines);
        }
    }
}

impl Corpus for MemoryCorpus {
    fn token_count(&self) -> u64 {
        self.tokens.len() as u64
    }

    fn for_each_document(&self, visit: &mut dyn FnMut(DocumentLines)) {
        for bounds in self.document_offsets.windows(2) {
            let line_offsets = &self.line_offsets[bounds[0] as usize..=bounds[1] as usize];
            visit(DocumentLines { base: 0, line_offsets });
        }
    }

    fn append_tokens(&self, start: u64, length: usize, tokens: &mut Vec<i32>) {
        let start = start as usize;
        tokens.extend(self.tokens[start..start + length].iter().map(|&id| id as i32));
    }
}

/// Consecutive tokens of one segment of one example, packed into 8 bytes: start (40 bits), length (23), segment (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run(u64);

impl Run {
    const MAX_START: u64 = 1 << 40;
    const MAX_LENGTH: usize = 1 << 23;

    fn new(start: u64, length: usize, is_b: bool) -> Self {
        debug_assert!(start < Self::MAX_START && length < Self::MAX_LENGTH);
        Self(start << 24 | (length as u64) << 1 | u64::from(is_b))
    }

    /// Number of the first token in the corpus.
    pub fn start(self) -> u64 {
        self.0 >> 24
    }

    /// Tokens.
    pub fn length(self) -> usize {
        (self.0 >> 1) as usize & (Self::MAX_LENGTH - 1)
    }

    /// Whether the tokens belong to segment B.
    pub fn is_b(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The examples of an epoch, in document order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutList {
    /// `ends[i]`: one past the last run of example i.
    ends: Vec<u64>,
    runs: Vec<Run>,
}

impl CutList {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no example, which only a corpus without tokens has.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The runs of example `i`: those of A in order, and those of B in order.
    pub fn runs(&self, i: usize) -> &[Run] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.runs[start..self.ends[i] as usize]
    }

    /// Adds a run to the example under construction, joining what is contiguous.
    fn add(&mut self, start: u64, length: usize, is_b: bool) {
        if length == 0 {
            return;
        }
        let first = self.ends.last().map_or(0, |&end| end as usize);
        if let Some(last) = self.runs[first..].last_mut()
            && last.is_b() == is_b
            && last.start() + last.length() as u64 == start
        {
            *last = Run::new(last.start(), last.length() + length, is_b);
            return;
        }
        self.runs.push(Run::new(start, length, is_b));
    }

    fn finish_example(&mut self) {
        self.ends.push(self.runs.len() as u64);
    }

    #[cfg(feature = "native")]
    pub(crate) fn into_words(self) -> (Vec<u64>, Vec<u64>) {
        (self.ends, self.runs.into_iter().map(|run| run.0).collect())
    }

    /// Rebuilds a stored list; `None` if it is not one over `token_count` tokens.
    #[cfg(feature = "native")]
    pub(crate) fn from_words(ends: Vec<u64>, runs: Vec<u64>, token_count: u64, seq: usize) -> Option<Self> {
        let runs: Vec<Run> = runs.into_iter().map(Run).collect();
        let ascending = ends.windows(2).all(|pair| pair[0] < pair[1]) && ends.first().is_none_or(|&end| end > 0);
        let whole = ends.last().map_or(0, |&end| end) == runs.len() as u64;
        let inside = runs.iter().all(|run| run.length() > 0 && run.start() + run.length() as u64 <= token_count);
        let list = Self { ends, runs };
        let fits = |list: &Self| {
            (0..list.len()).all(|i| list.runs(i).iter().map(|run| run.length()).sum::<usize>() + 2 <= seq)
        };
        (ascending && whole && inside && fits(&list)).then_some(list)
    }
}

/// What decides the cut list of a corpus, and so names it in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutKey {
    /// The run's.
    pub seed: u64,
    /// From 0.
    pub epoch: u64,
    /// Tokens per example with [CLS] and [SEP], at least [`MIN_SEQUENCE`].
    pub seq: usize,
    /// Cut by the reference's rule, which drops what overflows.
    pub paper_exact: bool,
    /// No example has a segment B: for networks that know one segment (`type_vocab_size` = 1).
    pub single_segments: bool,
}

/// Makes the cut list of an epoch.
pub fn cut_list(corpus: &dyn Corpus, key: CutKey) -> CutList {
    let CutKey { seed, epoch, seq, paper_exact, single_segments } = key;
    assert!((MIN_SEQUENCE..Run::MAX_LENGTH).contains(&seq), "seq = {seq} cannot hold two segments");
    assert!(corpus.token_count() < Run::MAX_START, "a corpus of 2^40 tokens and more");
    let mut cuts = CutList::default();
    let mut plans = Plans { seq, single_segments, key: [PURPOSE, seed, epoch, seq as u64, 0] };
    if paper_exact {
        // The reference's builder keeps its target across documents: it is drawn when an example ends.
        corpus.for_each_document(&mut |document| gather_lines(document, &mut plans, &mut cuts));
    } else {
        corpus.for_each_document(&mut |document| carry_on(document, &mut plans, &mut cuts));
    }
    cuts
}

/// What is drawn for an example. All draws depend on its number alone.
struct Plan {
    /// Tokens to reach, with [CLS] and [SEP].
    target: usize,
    single_segment: bool,
    overflowing_line_in_a: bool,
}

struct Plans {
    seq: usize,
    single_segments: bool,
    key: [u64; 5],
}

impl Plans {
    fn of(&mut self, example: usize) -> Plan {
        self.key[4] = example as u64;
        let mut draws = Draws::new(&self.key);
        let single_segment = draws.chance(SINGLE_SEGMENT) || self.single_segments;
        let overflowing_line_in_a = draws.chance(OVERFLOWING_LINE_IN_A);
        // The reference's very first example has the full length.
        let target = if example > 0 && draws.chance(RANDOM_TARGET) {
            SHORTEST + draws.below((self.seq - SHORTEST + 1) as u64) as usize
        } else {
            self.seq
        };
        Plan { target, single_segment, overflowing_line_in_a }
    }

    /// Tokens that segment A aims at.
    fn target_of_a(plan: &Plan) -> usize {
        if plan.single_segment { usize::MAX } else { (plan.target - 3) / 2 }
    }
}

/// The default rule: each example takes the next tokens, up to its target.
fn carry_on(document: DocumentLines, plans: &mut Plans, cuts: &mut CutList) {
    let end = document.start(document.lines());
    let mut position = document.start(0);
    // The line that `position` is in.
    let mut line = 0;
    while position < end {
        let plan = plans.of(cuts.len());
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        let target_of_a = Plans::target_of_a(&plan);
        let room = left.min(plan.target - 2);
        // Segment A ends with a line (its first may be the rest of a line), or fills the example.
        let mut length_a = 0;
        let mut last = line;
        while length_a < room && last < document.lines() {
            let line_end = usize::try_from(document.start(last + 1) - position).unwrap_or(usize::MAX);
            let overflows = line_end >= target_of_a;
            if length_a > 0 && overflows && !(length_a < target_of_a && plan.overflowing_line_in_a) {
                break;
            }
            length_a = line_end.min(room);
            last += 1;
        }
        // A second [SEP] needs room too.
        let length_b = (left - length_a).min((plan.target - 3).saturating_sub(length_a));
        cuts.add(position, length_a, false);
        cuts.add(position + length_a as u64, length_b, true);
        cuts.finish_example();
        position += (length_a + length_b) as u64;
        while line < document.lines() && document.start(line + 1) <= position {
            line += 1;
        }
    }
}

/// The reference's rule: whole lines until the target is reached, overflow dropped.
fn gather_lines(document: DocumentLines, plans: &mut Plans, cuts: &mut CutList) {
    let mut first = 0;
    while first < document.lines() {
        let plan = plans.of(cuts.len());
        // The reference compares the lines' tokens alone with the target.
        let mut end = first;
        let mut gathered = 0;
        while end < document.lines() && gathered < plan.target as u64 {
            gathered = document.start(end + 1) - document.start(first);
            end += 1;
        }
        let target_of_a = Plans::target_of_a(&plan) as u64;
        let (mut length_a, mut length_b) = (0u64, 0u64);
        let mut in_b = vec![false; end - first];
        for line in first..end {
            let length = document.start(line + 1) - document.start(line);
            let into_a = length_a == 0
                || length_a + length < target_of_a
                || (length_b == 0 && length_a < target_of_a && plan.overflowing_line_in_a);
            in_b[line - first] = !into_a;
            *(if into_a { &mut length_a } else { &mut length_b }) += length;
        }
        // Trimmed to the longest sequence and not to the target.
        let mut room_a = plans.seq - 2;
        let kept_a = (length_a as usize).min(room_a);
        let mut room_b = (plans.seq - 3).saturating_sub(kept_a);
        for line in first..end {
            let is_b = in_b[line - first];
            let room = if is_b { &mut room_b } else { &mut room_a };
            let length = (document.start(line + 1) - document.start(line)).min(*room as u64) as usize;
            *room -= length;
            cuts.add(document.start(line), length, is_b);
        }
        cuts.finish_example();
        first = end;
    }
}
