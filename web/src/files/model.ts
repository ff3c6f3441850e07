// The page's networks: files named by a manifest, gzipped, held against their SHA-256, and kept by the browser under that hash.
import type { Files } from "../engine/protocol";
import { t } from "../strings";
import { type Entry, type Manifest, packedSize } from "./manifest";
import { cacheOf } from "./storage";

export const CACHE = "electra-model";

/** Browsers hash for secure pages alone. Elsewhere gzip's own checksum has to do. */
export async function isWhole(bytes: Uint8Array<ArrayBuffer>, sha256: string): Promise<boolean> {
  const subtle = (globalThis.crypto as Partial<Crypto> | undefined)?.subtle;
  if (!subtle) return true;
  return [...new Uint8Array(await subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}

async function fetched(url: URL): Promise<Response> {
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok) throw new Error(t().errors.modelMissing);
  return response;
}

export async function gunzip(bytes: Uint8Array<ArrayBuffer>, format: CompressionFormat = "gzip"): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format))).arrayBuffer());
}

/** `progress` hears the share of bytes that has arrived. */
export async function fetchModel(progress: (share: number) => void): Promise<{ discriminator: Files; generator: Files }> {
  const base = new URL("./models/", document.baseURI);
  const response = await fetched(new URL("manifest.json", base));
  // Some hosts answer with a page of their own where they have no such file.
  if (!response.headers.get("content-type")?.includes("json")) throw new Error(t().errors.modelMissing);
  const manifest = (await response.json()) as Manifest;
  const cache = await cacheOf(CACHE);
  const all = packedSize(manifest);
  let arrived = 0;
  const add = (bytes: number) => progress(Math.min(1, (arrived += bytes) / all));

  const fetchOne = async (name: string, entry: Entry): Promise<Uint8Array> => {
    // With the hash in its address, so that no cache on the way answers with the file of another model.
    const key = new URL(`${entry.path}?sha256=${entry.sha256}`, base);
    const kept = await cache?.match(key).catch(() => undefined);
    if (kept) {
      const bytes = new Uint8Array(await kept.arrayBuffer());
      if (await isWhole(bytes, entry.sha256)) {
        add(entry.size);
        return bytes;
      }
    }
    const packed = await read(await fetched(key), add);
    // Some hosts send .gz with Content-Encoding, so that the browser has unpacked it already.
    const bytes = packed[0] === 0x1f && packed[1] === 0x8b ? await gunzip(packed).catch(() => undefined) : packed;
    if (!bytes || !(await isWhole(bytes, entry.sha256))) throw new Error(t().errors.hash(name));
    await cache?.put(key, new Response(bytes)).catch(() => undefined);
    return bytes;
  };
  const arriving = new Map<string, Promise<Uint8Array>>();
  const one = (name: string, entry: Entry): Promise<Uint8Array> => {
    const bytes = arriving.get(entry.path) ?? fetchOne(name, entry);
    arriving.set(entry.path, bytes);
    return bytes;
  };
  const folder = async (entries: Record<string, Entry>): Promise<Files> =>
    Object.fromEntries(await Promise.all(Object.entries(entries).map(async ([name, entry]) => [name, await one(name, entry)] as const)));
  const [discriminator, generator] = await Promise.all([folder(manifest.discriminator), folder(manifest.generator)]);
  return { discriminator, generator };
}

async function read(response: Response, add: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  if (!response.body) throw new Error(t().errors.modelMissing);
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
