// The page in Firefox, on the processor: it loads, and scores a sentence. Playwright drives builds of its own alone, so this goes by WebDriver BiDi.
// node scripts/firefox.mjs     after `cargo xtask web`; FIREFOX names another program than firefox-esr or firefox.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { peers } from "./peers.mjs";
import { serve } from "../tests/serve.mjs";

function version(program) {
  try {
    return execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}

/** Where a program lies: puppeteer takes a path alone. */
function pathOf(program) {
  if (program.includes("/")) return program;
  return (process.env.PATH ?? "").split(":").map((folder) => `${folder}/${program}`).find((path) => existsSync(path)) ?? program;
}

const names = process.env.FIREFOX ? [process.env.FIREFOX] : ["firefox-esr", "firefox"];
const program = names.find((name) => version(name));
if (!program) {
  console.error(`no Firefox (${names.join(", ")}): install it (on Debian: sudo apt-get install firefox-esr), or name it in FIREFOX`);
  process.exit(1);
}
const dist = new URL("../dist/", import.meta.url);
if (!existsSync(new URL("index.html", dist))) {
  console.error("no page in web/dist: build it first (cargo xtask web)");
  process.exit(1);
}

const { default: puppeteer } = await import(pathToFileURL(peers().resolve("puppeteer-core")).href);
const server = await serve(dist.pathname, 0);
const url = `http://127.0.0.1:${server.address().port}/a/path/`;
const browser = await puppeteer.launch({ browser: "firefox", executablePath: pathOf(program), headless: true });
const problems = [];
const check = (is, what) => {
  console.log(`${is ? "ok  " : "FAIL"} ${what}`);
  if (!is) problems.push(what);
};
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  page.on("pageerror", (error) => problems.push(error.message));
  const begun = performance.now();
  await page.goto(`${url}?backend=cpu#try?text=the+cat+sat+on+the+umbrella`);
  check((await page.$$(".reading, .lead")).length > 0, "text is there at once");
  await page.waitForSelector('.chip[data-stage="ready"]', { timeout: 120_000 });
  check((await page.$eval(".chip", (chip) => chip.dataset.backend)) === "cpu", `the model is ready on the processor (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
  await page.waitForSelector('.reading[data-live="true"]', { timeout: 30_000 });
  const words = await page.$$eval(".reading .word .share", (shares) => shares.map((share) => Number(share.textContent)));
  check(words.length === 6 && words.every((share) => share >= 0 && share <= 100) && words.some((share) => share > 0), `six words are scored: ${words.join(" ")} %`);
  await (await page.$$(".reading .word")).at(-1).click();
  await page.waitForSelector(".proposals li", { timeout: 30_000 });
  check((await page.$$(".proposals li")).length === 5, "a hidden word gets five proposals");
} catch (error) {
  problems.push(error.message);
  console.error(error.message);
} finally {
  await browser.close();
  server.close();
}
console.log(`${version(program)}: ${problems.length === 0 ? "all is well" : problems.join("; ")}`);
process.exit(problems.length === 0 ? 0 : 1);
