// The page's tests in Debian's Chromium, of which each project is a way to run them. `interface` has the stand-in for an engine, and
// needs no WebAssembly. `cpu` and `webgpu` have web/dist, as `cargo xtask web` made it; tests marked @stand-in are left out there.
import { defineConfig } from "@playwright/test";
import { SWIFTSHADER, chromiumWith } from "./tests/chromium.mjs";

const isReal = process.env["ELECTRA_ENGINE"] === "1";
const port = isReal ? 4174 : 4173;
const WEBGPU = "webgpu.spec.ts";

const launched = (...flags: readonly string[]) => ({ launchOptions: chromiumWith(...flags) });

export default defineConfig({
  testDir: "tests/browser",
  outputDir: "node_modules/.playwright",
  // Runs beside other work on small machines.
  timeout: isReal ? 240_000 : 60_000,
  expect: { timeout: isReal ? 60_000 : 10_000 },
  workers: 1,
  reporter: [["list"]],
  use: { baseURL: `http://127.0.0.1:${port}/a/path/`, viewport: { width: 1280, height: 900 }, locale: "en-GB" },
  projects: isReal
    ? [
        { name: "cpu", testIgnore: WEBGPU, grepInvert: /@stand-in/, use: launched() },
        { name: "webgpu", testMatch: WEBGPU, use: launched(...SWIFTSHADER) },
      ]
    : [{ name: "interface", testIgnore: [WEBGPU, "numbers.spec.ts"], use: launched() }],
  webServer: { command: `node tests/serve.mjs ${isReal ? "dist" : "tests/dist"} ${port}`, url: `http://127.0.0.1:${port}/a/path/`, reuseExistingServer: false },
});
