// Networks and files for the tests of the page, made here, so that none are stored.

export interface Tensor {
  name: string;
  shape: readonly number[];
  values: Float32Array;
}

/** A file of tensors of four bytes a number. */
export function safetensors(tensors: readonly Tensor[], dtype = "F32"): Uint8Array {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const bytes = new Uint8Array(8 + text.length + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(new TextEncoder().encode(text), 8);
  let at = 8 + text.length;
  for (const { values } of tensors) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return bytes;
}

/** The tensors of a file, of four bytes a number: floats, or whole numbers of type I32. */
export function tensorsOf(bytes: Uint8Array): Map<string, { shape: number[]; values: Float32Array | Int32Array }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  const all = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return new Map(
    all.map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
      // Of a Buffer, which is what files are read to, `slice` would give no copy.
      const { buffer } = Uint8Array.prototype.slice.call(bytes, 8 + length + from, 8 + length + to);
      return [name, { shape, values: dtype === "I32" ? new Int32Array(buffer) : new Float32Array(buffer) }];
    }),
  );
}

/** a * b of 64 bits, each as its upper and lower half. */
function product(aHigh: number, aLow: number, bHigh: number, bLow: number): [number, number] {
  const [a1, a0, b1, b0] = [aLow >>> 16, aLow & 0xffff, bLow >>> 16, bLow & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const upper = a0 * b1 + (middle & 0xffff);
  const high = a1 * b1 + Math.floor(middle / 65536) + Math.floor(upper / 65536);
  return [(high + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0, Math.imul(aLow, bLow) >>> 0];
}

/** Weights that a formula gives (`formula_tensor` of tests/fixtures/make_fixtures.py): FNV-1a of the name, then SplitMix64. */
export function formulaTensor(name: string, shape: readonly number[]): Float32Array {
  let seed = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) seed = BigInt.asUintN(64, (seed ^ BigInt(byte)) * 0x100000001b3n);
  let [high, low] = [Number(seed >> 32n), Number(seed & 0xffffffffn)];
  const isNorm = name.includes("LayerNorm.weight");
  const scale = isNorm ? 0.1 : shape.length === 1 ? 0.02 : 0.035;
  const values = new Float32Array(shape.reduce((all, side) => all * side, 1));
  for (let index = 0; index < values.length; index += 1) {
    const sum = low + 0x7f4a7c15;
    low = sum >>> 0;
    high = (high + 0x9e3779b9 + (sum > 0xffffffff ? 1 : 0)) >>> 0;
    let [h, l] = [high ^ (high >>> 30), low ^ ((low >>> 30) | (high << 2))];
    [h, l] = product(h >>> 0, l >>> 0, 0xbf58476d, 0x1ce4e5b9);
    [h, l] = [h ^ (h >>> 27), l ^ ((l >>> 27) | (h << 5))];
    [h, l] = product(h >>> 0, l >>> 0, 0x94d049bb, 0x133111eb);
    h ^= h >>> 31;
    const r = 2 * ((h >>> 8) / 2 ** 24) - 1;
    values[index] = isNorm ? 1 + scale * r : scale * r;
  }
  return values;
}

export interface Config {
  vocab_size: number;
  embedding_size: number;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
  max_position_embeddings: number;
}

/** A config.json of a discriminator. */
export const configOf = (config: Config) =>
  JSON.stringify({ ...config, architectures: ["ElectraForPreTraining"], model_type: "electra", type_vocab_size: 2, hidden_act: "gelu", layer_norm_eps: 1e-12, pad_token_id: 0, attention_probs_dropout_prob: 0, hidden_dropout_prob: 0, initializer_range: 0.02 });

/** All tensors of a discriminator by name, with their shapes. */
export function shapesOf(config: Config): [string, number[]][] {
  const { vocab_size: vocabulary, embedding_size: embedding, hidden_size: hidden, intermediate_size: inner } = config;
  const norm = (name: string, size: number): [string, number[]][] => [[`${name}.weight`, [size]], [`${name}.bias`, [size]]];
  const dense = (name: string, to: number, from: number): [string, number[]][] => [[`${name}.weight`, [to, from]], [`${name}.bias`, [to]]];
  const layers = Array.from({ length: config.num_hidden_layers }, (_, at) => `electra.encoder.layer.${at}`).flatMap((layer) => [
    ...["query", "key", "value"].flatMap((name) => dense(`${layer}.attention.self.${name}`, hidden, hidden)),
    ...dense(`${layer}.attention.output.dense`, hidden, hidden),
    ...norm(`${layer}.attention.output.LayerNorm`, hidden),
    ...dense(`${layer}.intermediate.dense`, inner, hidden),
    ...dense(`${layer}.output.dense`, hidden, inner),
    ...norm(`${layer}.output.LayerNorm`, hidden),
  ]);
  return [
    ["electra.embeddings.word_embeddings.weight", [vocabulary, embedding]],
    ["electra.embeddings.position_embeddings.weight", [config.max_position_embeddings, embedding]],
    ["electra.embeddings.token_type_embeddings.weight", [2, embedding]],
    ...norm("electra.embeddings.LayerNorm", embedding),
    ...(embedding === hidden ? [] : dense("electra.embeddings_project", hidden, embedding)),
    ...layers,
    ...dense("discriminator_predictions.dense", hidden, hidden),
    ...dense("discriminator_predictions.dense_prediction", 1, hidden),
  ];
}

/** A folder that an engine loads: `config` is the text of config.json. */
const folderOf = (config: string, vocabulary: readonly string[], tensors: readonly Tensor[]) => ({
  "config.json": Buffer.from(config),
  "vocab.txt": Buffer.from(`${vocabulary.join("\n")}\n`),
  "model.safetensors": Buffer.from(safetensors(tensors)),
});

/** The folder of a discriminator whose weights the formula gives. */
export const formulaFolder = (config: Config, vocabulary: readonly string[]) =>
  folderOf(configOf(config), vocabulary, shapesOf(config).map(([name, shape]) => ({ name, shape, values: formulaTensor(name, shape) })));

export const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/**
 * A discriminator's folder and a text for it that is read as exactly the tokens `ids` of the types `types`, although an engine takes
 * text alone and has it begin with [CLS], end with [SEP] and be of type 0. So every id is a word, special tokens stand where `ids` has
 * none, with the embeddings of what they stand for, and types are added to the positions.
 */
export function asText(config: string, tensors: ReadonlyMap<string, { shape: number[]; values: Float32Array | Int32Array }>, ids: readonly number[], types: readonly number[]) {
  const table = (name: string) => {
    const { shape, values } = tensors.get(`electra.embeddings.${name}.weight`)!;
    return { shape, width: shape[1]!, values: Float32Array.from(values) };
  };
  const [words, positions, kinds] = [table("word_embeddings"), table("position_embeddings"), table("token_type_embeddings")];
  const free = Array.from({ length: words.shape[0]! }, (_, id) => id).filter((id) => !ids.includes(id));
  const vocabulary = Array.from({ length: words.shape[0]! }, (_, id) => `w${id}`);
  SPECIAL.forEach((token, index) => (vocabulary[free[index]!] = token));
  for (const [special, id] of [[free[2]!, ids[0]!], [free[3]!, ids.at(-1)!]] as const) words.values.copyWithin(special * words.width, id * words.width, (id + 1) * words.width);
  types.forEach((type, position) => {
    for (let index = 0; index < positions.width; index += 1) positions.values[position * positions.width + index]! += kinds.values[type * kinds.width + index]! - kinds.values[index]!;
  });
  const changed: Record<string, Float32Array> = { "electra.embeddings.word_embeddings.weight": words.values, "electra.embeddings.position_embeddings.weight": positions.values };
  const weights = [...tensors].map(([name, { shape, values }]) => ({ name, shape, values: changed[name] ?? (values as Float32Array) }));
  return {
    files: folderOf(config, vocabulary, weights),
    text: ids.slice(1, -1).map((id) => `w${id}`).join(" "),
  };
}
