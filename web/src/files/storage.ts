// What the browser keeps for the page, if it keeps anything. A stopped pre-training lies in its file system: options with the text, and
// the checkpoint's bytes.
import type { PretrainOptions } from "../engine/protocol";

const CHECKPOINT = "pretraining.checkpoint";
const OPTIONS = "pretraining.json";

export interface Kept {
  step: number;
  options: PretrainOptions;
}

async function write(folder: FileSystemDirectoryHandle, name: string, content: Uint8Array<ArrayBuffer> | string): Promise<void> {
  // What a writable stream gets counts when it is closed, so that a page that goes away leaves the file of before.
  const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
  await stream.write(content);
  await stream.close();
}

/** Whether it is stored, or why not: the browser stores nothing for this page, or has no room. */
export async function keep(kept: Kept, checkpoint: Uint8Array): Promise<"kept" | "refused" | "full"> {
  try {
    const folder = await navigator.storage.getDirectory();
    // The options are what a run is found by: they come last.
    await write(folder, CHECKPOINT, checkpoint as Uint8Array<ArrayBuffer>);
    await write(folder, OPTIONS, JSON.stringify(kept));
    return "kept";
  } catch (error) {
    return error instanceof DOMException && error.name === "QuotaExceededError" ? "full" : "refused";
  }
}

export async function found(): Promise<Kept | null> {
  try {
    const folder = await navigator.storage.getDirectory();
    return JSON.parse(await (await (await folder.getFileHandle(OPTIONS)).getFile()).text()) as Kept;
  } catch {
    return null;
  }
}

export async function checkpoint(): Promise<Uint8Array> {
  const folder = await navigator.storage.getDirectory();
  return new Uint8Array(await (await (await folder.getFileHandle(CHECKPOINT)).getFile()).arrayBuffer());
}

export async function forget(): Promise<void> {
  try {
    const folder = await navigator.storage.getDirectory();
    for (const name of [OPTIONS, CHECKPOINT]) await folder.removeEntry(name).catch(() => undefined);
  } catch {
    // Nothing was stored, then.
  }
}

/** The browser's cache of that name, or nothing where it keeps none for this page, be it by throwing, rejecting or having no such thing. */
export async function cacheOf(name: string): Promise<Cache | undefined> {
  try {
    return await caches.open(name);
  } catch {
    return undefined;
  }
}

/** Bytes that the page has stored, or null where the browser does not say. */
export async function stored(): Promise<number | null> {
  try {
    return (await navigator.storage.estimate()).usage ?? null;
  } catch {
    return null;
  }
}

export async function clear(): Promise<void> {
  await forget();
  try {
    for (const name of await caches.keys()) await caches.delete(name);
  } catch {
    // No cache, no need.
  }
}
