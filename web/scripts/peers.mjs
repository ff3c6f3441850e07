// Installs web/peers where that has not been done: onnxruntime-web, which the page is measured beside, and puppeteer, which drives Firefox.
// They are 170 MB that nobody needs who builds the page.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

const folder = new URL("../peers/", import.meta.url);

/** Resolves names of packages to files in web/peers. */
export function peers() {
  if (!existsSync(new URL("node_modules/.package-lock.json", folder))) {
    console.error("installing web/peers ...");
    execFileSync(process.platform === "win32" ? "npm.cmd" : "npm", ["ci", "--ignore-scripts"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"], shell: process.platform === "win32" });
  }
  return createRequire(new URL("package.json", folder));
}
