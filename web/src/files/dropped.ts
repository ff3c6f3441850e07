// What a reader drops: a table, or a model's folder (as files or as a zip). Checked before any of it reaches the engine.
import type { Files, Loaded } from "../engine/protocol";
import { bytes as inWords, t } from "../strings";
import { unzip } from "./zip";

export const TABLE_LIMIT = 5_000_000;
/** A folder of `small`, with room. */
const MODEL_LIMIT = 400_000_000;

export type Dropped = { kind: "table"; name: string; bytes: Uint8Array } | { kind: "model"; files: Files; network: Loaded["kind"] };

export async function sort(files: readonly { path: string; file: File }[]): Promise<Dropped> {
  const [first] = files;
  if (!first) throw new Error(t().errors.missingFile("config.json"));
  const isModel = files.length > 1 || /\.(zip|safetensors)$/i.test(first.file.name);
  if (!isModel) return table(first.file);
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  if (size > MODEL_LIMIT) throw new Error(t().finetune.tooLarge(first.file.name, inWords(size)));
  let found: Files = {};
  if (files.length === 1 && /\.zip$/i.test(first.file.name)) {
    const unpacked = await unzip(new Uint8Array(await first.file.arrayBuffer()), MODEL_LIMIT);
    if (!unpacked) throw new Error(t().errors.damagedZip(first.file.name));
    found = unpacked;
  } else for (const { path, file } of files) found[path] = new Uint8Array(await file.arrayBuffer());
  return model(found);
}

async function table(file: File): Promise<Dropped> {
  if (file.size > TABLE_LIMIT) throw new Error(t().finetune.tooLarge(file.name, inWords(file.size)));
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(t().errors.notUtf8(file.name));
  }
  return { kind: "table", name: file.name, bytes };
}

/** The folder that holds a network: of several, the discriminator's. */
export function model(files: Files): Dropped {
  const folders = Object.keys(files).filter((path) => /(^|\/)config\.json$/.test(path)).map((path) => path.slice(0, -"config.json".length));
  const folder = folders.find((path) => path.endsWith("discriminator/")) ?? folders[0];
  if (folder === undefined) throw new Error(t().errors.missingFile("config.json"));
  const own: Files = {};
  for (const [path, bytes] of Object.entries(files)) if (path.startsWith(folder) && !path.slice(folder.length).includes("/")) own[path.slice(folder.length)] = bytes;
  const weights = own["model.safetensors"];
  if (!weights) throw new Error(t().errors.missingFile("model.safetensors"));
  if (!own["tokenizer.json"] && !own["vocab.txt"]) throw new Error(t().errors.missingFile("tokenizer.json"));
  const wrong = faultOf(weights);
  if (wrong) throw new Error(t().errors.badSafetensors("model.safetensors", wrong));
  return { kind: "model", files: own, network: networkOf(own["config.json"]) };
}

function networkOf(config: Uint8Array | undefined): Loaded["kind"] {
  try {
    const { architectures } = JSON.parse(new TextDecoder().decode(config)) as { architectures?: string[] };
    const name = architectures?.[0] ?? "";
    return /Classification/.test(name) ? "classifier" : /MaskedLM/.test(name) ? "generator" : "discriminator";
  } catch {
    return "discriminator";
  }
}

/** Bytes of a header: `small` has 20 kB. */
const MOST_HEADER = 10_000_000;
/** Bytes of a number, by the types that the engine reads. */
const WIDTHS: Record<string, number> = { F32: 4, F16: 2, BF16: 2, F64: 8, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 };

/** What is wrong with a safetensors file, or null: its header, types and offsets, before memory is taken for any of them. */
export function faultOf(bytes: Uint8Array): string | null {
  const words = t().errors.faults;
  if (bytes.length < 8) return words.short(bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const room = bytes.length - 8 - length;
  if (room < 0 || length > MOST_HEADER) return words.headerLength(String(length), bytes.length);
  let header: Record<string, { dtype?: unknown; shape?: unknown; data_offsets?: unknown } | null>;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length))) as typeof header;
  } catch {
    return words.header;
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) return words.header;
  for (const [name, tensor] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: offsets } = tensor ?? {};
    const width = WIDTHS[String(dtype)];
    if (!width) return words.dtype(name, String(dtype));
    const [from, to] = Array.isArray(offsets) ? (offsets as number[]) : [];
    const count = Array.isArray(shape) ? (shape as number[]).reduce((product, side) => product * side, 1) : NaN;
    if (from === undefined || to === undefined || to - from !== count * width) return words.shape(name);
    if (!(from >= 0 && to <= room)) return words.offsets(name, to - room);
  }
  return null;
}

/** The files of a drop, folders opened. */
export async function filesOf(transfer: DataTransfer): Promise<{ path: string; file: File }[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const found: { path: string; file: File }[] = [];
  const open = async (entry: FileSystemEntry): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      found.push({ path: entry.fullPath.replace(/^\//, ""), file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      // A folder is read in parts of a hundred.
      const part = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (part.length === 0) break;
      for (const inner of part) await open(inner);
    }
  };
  for (const entry of entries) await open(entry);
  return found;
}

/** Hands a file to the reader's downloads. */
export function save(name: string, blob: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
