// The page's tests in Debian's Chromium. By default they run against the stand-in's build, which needs no WebAssembly; with
// ELECTRA_ENGINE=1 against web/dist, as `cargo xtask web` made it, where those marked @stand-in are left out.
import { defineConfig } from "@playwright/test";

const isReal = process.env["ELECTRA_ENGINE"] === "1";
const port = isReal ? 4174 : 4173;

export default defineConfig({
  testDir: "tests/browser",
  outputDir: "node_modules/.playwright",
  // Runs beside other work on small machines.
  timeout: isReal ? 240_000 : 60_000,
  expect: { timeout: isReal ? 60_000 : 10_000 },
  workers: 1,
  ...(isReal ? { grepInvert: /@stand-in/ } : {}),
  reporter: [["list"]],
  use: {
    baseURL: `http://127.0.0.1:${port}/a/path/`,
    viewport: { width: 1280, height: 900 },
    locale: "en-GB",
    launchOptions: { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] },
  },
  webServer: { command: `node tests/serve.mjs ${isReal ? "dist" : "tests/dist"} ${port}`, url: `http://127.0.0.1:${port}/a/path/`, reuseExistingServer: false },
});
