// What a visitor downloads.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { type Manifest, packedSize } from "../../src/files/manifest";
import type { Row } from "./table";

const DIST = new URL("../../dist/", import.meta.url);

export function sizes(): Row[] {
  const assets = readdirSync(new URL("assets/", DIST));
  const zipped = (ending: RegExp) => assets.filter((name) => ending.test(name)).reduce((sum, name) => sum + gzipSync(readFileSync(new URL(`assets/${name}`, DIST)), { level: 9 }).length, 0);
  const manifest = JSON.parse(readFileSync(new URL("models/manifest.json", DIST), "utf8")) as Manifest;
  const wasm = zipped(/\.wasm$/) / 1e6;
  return [
    { what: "JS + CSS, with the worker and the module's glue, gzipped", value: zipped(/\.(js|css)$/) / 1e3, unit: "kB", most: 60 },
    { what: "WebAssembly, gzipped", value: wasm, unit: "MB", most: 5, note: wasm <= 3 ? "within the 3 MB wanted" : "3 MB are wanted" },
    { what: `the model (${manifest.name})`, value: packedSize(manifest) / 1e6, unit: "MB", most: 10 },
  ];
}
