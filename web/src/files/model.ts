// The page's networks: files named by a manifest, gzipped, held against their SHA-256, and kept by the browser under that hash.
import type { Files } from "../engine/protocol";
import { t } from "../strings";

interface Entry {
  /** Relative to the manifest. */
  path: string;
  /** Bytes to fetch. */
  size: number;
  /** Of the unpacked file. */
  sha256: string;
}

export interface Manifest {
  name: string;
  discriminator: Record<string, Entry>;
  generator: Record<string, Entry>;
}

export const CACHE = "electra-model";

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function gunzip(bytes: Uint8Array<ArrayBuffer>, format: CompressionFormat = "gzip"): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format))).arrayBuffer());
}

/** `progress` hears the share of bytes that has arrived. */
export async function fetchModel(progress: (share: number) => void): Promise<{ discriminator: Files; generator: Files }> {
  const base = new URL("./models/", document.baseURI);
  const response = await fetch(new URL("manifest.json", base));
  if (!response.ok || !response.headers.get("content-type")?.includes("json")) throw new Error(t().errors.modelMissing);
  const manifest = (await response.json()) as Manifest;
  // A browser that refuses to store serves the page all the same.
  const cache = await globalThis.caches?.open(CACHE).catch(() => undefined);
  const all = [...Object.values(manifest.discriminator), ...Object.values(manifest.generator)].reduce((sum, entry) => sum + entry.size, 0);
  let arrived = 0;
  const add = (bytes: number) => progress(Math.min(1, (arrived += bytes) / all));

  const one = async (name: string, entry: Entry): Promise<Uint8Array> => {
    const key = new URL(`${entry.path}?sha256=${entry.sha256}`, base).href;
    const kept = await cache?.match(key).catch(() => undefined);
    if (kept) {
      const bytes = new Uint8Array(await kept.arrayBuffer());
      if ((await sha256(bytes)) === entry.sha256) {
        add(entry.size);
        return bytes;
      }
    }
    const packed = await read(await fetch(new URL(entry.path, base)), add);
    // Some hosts send .gz with Content-Encoding, so that the browser has unpacked it already.
    const bytes = packed[0] === 0x1f && packed[1] === 0x8b ? await gunzip(packed) : packed;
    if ((await sha256(bytes)) !== entry.sha256) throw new Error(t().errors.hash(name));
    await cache?.put(key, new Response(bytes)).catch(() => undefined);
    return bytes;
  };
  const folder = async (entries: Record<string, Entry>): Promise<Files> =>
    Object.fromEntries(await Promise.all(Object.entries(entries).map(async ([name, entry]) => [name, await one(name, entry)] as const)));
  const [discriminator, generator] = await Promise.all([folder(manifest.discriminator), folder(manifest.generator)]);
  return { discriminator, generator };
}

async function read(response: Response, add: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  if (!response.ok || !response.body) throw new Error(t().errors.modelMissing);
  const parts: BlobPart[] = [];
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    add(value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
