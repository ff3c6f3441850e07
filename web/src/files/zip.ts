// Zip archives of a few files: written without compression (weights hardly get smaller), read with or without.
// The format is APPNOTE.TXT of PKWARE; of it local headers, the central directory and its end, without zip64.
import type { Files } from "../engine/protocol";
import { gunzip } from "./model";

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// 1 January 1980, so that the same files give the same archive.
const DATE = 0x0021;
const UTF8 = 0x0800;

function header(size: number, fields: readonly (readonly [number, number, 2 | 4])[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [at, value, width] of fields) width === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
  return bytes;
}

export function zip(files: Files): Blob {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [path, bytes] of Object.entries(files)) {
    const name = new TextEncoder().encode(path);
    const common = (at: number): (readonly [number, number, 2 | 4])[] => [
      [at, 20, 2], [at + 2, UTF8, 2], [at + 4, 0, 2], [at + 6, 0, 2], [at + 8, DATE, 2],
      [at + 10, crc32(bytes), 4], [at + 14, bytes.length, 4], [at + 18, bytes.length, 4], [at + 22, name.length, 2],
    ];
    parts.push(header(30, [[0, 0x04034b50, 4], ...common(4)]), name, bytes);
    directory.push(header(46, [[0, 0x02014b50, 4], [4, 20, 2], ...common(6), [42, offset, 4]]), name);
    offset += 30 + name.length + bytes.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = Object.keys(files).length;
  const end = header(22, [[0, 0x06054b50, 4], [8, count, 2], [10, count, 2], [12, length, 4], [16, offset, 4]]);
  return new Blob([...parts, ...directory, end] as BlobPart[], { type: "application/zip" });
}

/** The files of an archive, or null if it is none that can be read here. Nothing is unpacked beyond `limit` bytes in all. */
export async function unzip(bytes: Uint8Array<ArrayBuffer>, limit: number): Promise<Files | null> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    let end = bytes.length - 22;
    // A comment of up to 64 kB may follow the end's record.
    while (end >= Math.max(0, bytes.length - 65_557) && view.getUint32(end, true) !== 0x06054b50) end -= 1;
    if (end < 0 || view.getUint32(end, true) !== 0x06054b50) return null;
    const files: Files = {};
    let at = view.getUint32(end + 16, true);
    let all = 0;
    for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
      if (view.getUint32(at, true) !== 0x02014b50) return null;
      const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
      const [crc, packed, size] = [view.getUint32(at + 16, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
      const nameLength = view.getUint16(at + 28, true);
      const path = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at + 46, at + 46 + nameLength));
      const local = view.getUint32(at + 42, true);
      at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
      if (path.endsWith("/")) continue;
      all += size;
      if (flags & 1 || (method !== 0 && method !== 8) || all > limit) return null;
      const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const content = bytes.slice(start, start + packed);
      const file = method === 8 ? await gunzip(content, "deflate-raw") : content;
      if (file.length !== size || crc32(file) !== crc) return null;
      files[path] = file;
    }
    return files;
  } catch {
    // Offsets beyond the end, names that are not UTF-8, streams that are damaged.
    return null;
  }
}
