// What the page and its worker say to each other. One request has one id, any number of `progress` messages, and one `done` or `failed`.
// Positions in a text count UTF-16 units, as JavaScript's strings do. All numbers are plain; large arrays are Float32Array.

/** What computes: WebGPU by the project's WGSL kernels, or the CPU by the same WebAssembly. */
export type Backend = "webgpu" | "cpu";

/** What the page asks for; `auto` is WebGPU where there is a real adapter that passes the verification, else the CPU. */
export type BackendChoice = "auto" | Backend;

export interface Status {
  backend: Backend;
  /** The adapter's name, or the number of threads, in words. */
  device: string;
  /** Why it is not WebGPU, where it is not: a key of the string tables, with what fills its gaps. */
  why: { key: "noWebGpu" | "fallbackAdapter" | "verificationFailed" | "deviceLost" | "askedFor"; detail: string } | null;
  /** Bytes of WebAssembly memory now. */
  memory: number;
}

/** A network that is loaded: `model` is what later requests call it. */
export interface Loaded {
  model: number;
  kind: "discriminator" | "generator" | "classifier";
  parameters: number;
  layers: number;
  heads: number;
  hidden: number;
  vocabulary: number;
  /** Tokens of a text at most, [CLS] and [SEP] not counted. */
  maxTokens: number;
  /** Of a classifier. */
  labels: string[];
}

/** A folder as files: config.json, model.safetensors, tokenizer.json (or vocab.txt), and what else there is. */
export type Files = Record<string, Uint8Array>;

export interface Token {
  token: string;
  id: number;
  start: number;
  end: number;
}

export interface ScoredToken extends Token {
  /** 0 to 1. */
  replaced: number;
}

export interface Proposal {
  token: string;
  id: number;
  probability: number;
}

/** One text as every chapter of "How it works" wants it, of one pass through both networks. */
export interface Walk {
  /** [CLS] first and [SEP] last. */
  tokens: Token[];
  /** Positions that are masked, ascending. */
  masked: number[];
  /** For each masked position the generator's likeliest tokens at the temperature, and the one that was drawn. */
  proposals: { position: number; top: Proposal[]; drawn: Proposal; drawnLoss: number }[];
  /** Ids after replacement. */
  corrupted: Token[];
  /** For each token whether it was replaced (a sample that is the original is not). */
  replaced: boolean[];
  /** The discriminator's probability for each token. */
  probabilities: number[];
  /** Cross-entropy of the original token at each masked position, in nats. (All of them hold [MASK]: none keeps its token, as some do in training.) */
  mlmLosses: number[];
  /** Binary cross-entropy of each token but [CLS] and [SEP] (0 there), in nats. */
  rtdLosses: number[];
  /** Attention of the discriminator: [layer][head][query][key], row-major. */
  attention: Float32Array;
  layers: number;
  heads: number;
  /**
   * Norm of the gradient of MLM alone and of RTD alone with respect to the last hidden state of each position: whom a loss speaks to
   * itself. MLM's is 0 but at masked positions.
   */
  gradients: { mlm: number[]; rtd: number[] };
  /** The same with respect to the embedding of each position: what reaches it through attention, too. */
  inputGradients: { mlm: number[]; rtd: number[] };
}

/** A table that was read, before anything is trained on it. */
export interface TableReport {
  columns: string[];
  rows: number;
  /** The columns and the kind of label that were found by themselves. */
  text: string;
  pair: string | null;
  label: string;
  kind: "classification" | "regression" | "multilabel";
  labels: { label: string; count: number }[];
  /** Sentences of the reader: damaged rows, cut fields, what was decided and why. */
  notes: string[];
  /** The first rows, cells as text. */
  preview: string[][];
}

export interface FineTuneOptions {
  /** A name ending tells the format; at most 5 MB and 20,000 rows. */
  table: { name: string; bytes: Uint8Array };
  text?: string;
  pair?: string;
  label?: string;
  kind?: TableReport["kind"];
  epochs: number;
  batchSize: number;
  learningRate: number;
  maxLength: number;
  seed: number;
  /** Random weights in place of the model's, to compare. */
  fromScratch: boolean;
  /** At most so many steps; 0: as many as the epochs have. */
  steps: number;
}

/** The share of the table that is held out is a tenth, by seed. */
export interface FineTuneResult {
  /** The fine-tuned network, loaded. */
  loaded: Loaded;
  scores: Record<string, number>;
  /** majority, bag_of_words, mean, ... */
  baselines: Record<string, Record<string, number>>;
  confusion: { labels: string[]; counts: number[][] } | null;
  worst: { text: string; right: string; predicted: string; probability: number }[];
  /** The folder as `electra predict` and transformers load it. */
  files: Files;
}

export interface PretrainOptions {
  /** At least 20 kB. */
  text: string;
  vocabulary: number;
  steps: number;
  /** Objective by the names of `objective.name`: rtd, mlm, electra_15, ... */
  objective: string;
  layers: number;
  hidden: number;
  /** The generator's width as a share of the discriminator's, above 0, at most 1; left out: as the preset has it. */
  generatorSize?: number;
  batchSize: number;
  sequenceLength: number;
  learningRate: number;
  seed: number;
  /** Steps between samples and validations. */
  sampleEvery: number;
  /** A checkpoint that `pause` or `checkpoint` gave, to go on from. */
  resume?: Uint8Array;
}

/** Names of files begin with the network's folder: discriminator/config.json. */
export interface PretrainResult {
  discriminator: Loaded | null;
  generator: Loaded | null;
  files: Files;
  checkpoint: Uint8Array;
}

/** A step's numbers, by the names of metrics.jsonl; `split` is train, validation or probe. */
export type MetricsRow = { step: number; split: string } & Record<string, number | string | null>;

export type Progress =
  | { kind: "row"; row: MetricsRow }
  | { kind: "step"; step: number; steps: number; stepsPerSecond: number; secondsLeft: number }
  /** Of pre-training: held-out sentences, corrupted and judged as they are now. */
  | { kind: "sample"; step: number; tokens: { token: string; original: string; replaced: number }[] }
  | { kind: "checkpoint"; step: number; bytes: Uint8Array }
  | { kind: "note"; text: string };

export interface Requests {
  /** Opens the device; the first request of a worker. */
  probe: { ask: { backend: BackendChoice }; answer: Status };
  load: { ask: { files: Files; kind: Loaded["kind"] }; answer: Loaded };
  unload: { ask: { model: number }; answer: null };
  score: { ask: { model: number; text: string }; answer: { tokens: ScoredToken[] } };
  /** Candidates for the token at `position` (counted without [CLS]), which is masked. */
  propose: { ask: { model: number; text: string; position: number; top: number }; answer: { proposals: Proposal[] } };
  walk: {
    ask: {
      discriminator: number;
      generator: number;
      text: string;
      maskingRate: number;
      temperature: number;
      seed: number;
      /** Draws that the reader chose: position to id. */
      chosen: Record<number, number>;
    };
    answer: Walk;
  };
  classify: { ask: { model: number; text: string; pair?: string }; answer: { probabilities: Record<string, number>; value: number | null } };
  readTable: { ask: Pick<FineTuneOptions, "table" | "text" | "pair" | "label" | "kind">; answer: TableReport };
  /** Of a discriminator; `progress` as it goes. */
  finetune: { ask: { model: number; options: FineTuneOptions }; answer: FineTuneResult };
  pretrain: { ask: { options: PretrainOptions }; answer: PretrainResult };
  status: { ask: Record<string, never>; answer: Status };
}

export type RequestName = keyof Requests;

export type ToWorker =
  | { [Name in RequestName]: { id: number; name: Name; ask: Requests[Name]["ask"] } }[RequestName]
  /** Between two steps of the training with this id. A paused one answers with a checkpoint, and goes on when resumed. */
  | { id: number; name: "pause" | "resume" | "cancel" };

export type FromWorker =
  | { id: number; type: "progress"; progress: Progress }
  | { id: number; type: "done"; answer: unknown }
  | { id: number; type: "failed"; error: EngineError };

/** `kind` decides what the page does: `input` shows the text beside the field; `lost` and `panic` mean a new worker. */
export interface EngineError {
  kind: "input" | "cancelled" | "lost" | "panic" | "memory";
  message: string;
}
