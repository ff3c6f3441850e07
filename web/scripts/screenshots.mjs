// Pictures of every section: node scripts/screenshots.mjs FOLDER [URL] [SHOT]. Widths 390 and 1280, light and dark, English and Chinese.
// node scripts/screenshots.mjs --readme [URL] makes those that the README shows, in docs/images.
import { chromium } from "@playwright/test";
import { mkdirSync } from "node:fs";
import { chromiumWith } from "../tests/chromium.mjs";

const [where, url = "http://127.0.0.1:4173/a/path/", only] = process.argv.slice(2);
const forReadme = where === "--readme";
const folder = forReadme ? new URL("../../docs/images", import.meta.url).pathname : where;
if (!folder) {
  console.error("usage: node scripts/screenshots.mjs FOLDER [URL] [SHOT]; serve the page first: node tests/serve.mjs dist 4173");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch(chromiumWith());
const CHAPTERS = ["tokens", "mask", "generator", "replace", "discriminator", "loss", "all-tokens", "generator-size", "training", "race", "paper"];
const SHOTS = forReadme ? ["try", "learn/discriminator", "finetune", "pretrain", "about"] : ["try", ...CHAPTERS.map((chapter) => `learn/${chapter}`), "finetune", "pretrain", "about"];
const LOOKS = forReadme ? [[1000, "light"]] : [[1280, "light"], [390, "dark"], [1280, "dark"], [390, "light"]];

for (const [language, locale] of [["en", "en-GB"], ["zh", "zh-CN"]])
  for (const [width, colorScheme] of LOOKS) {
    const page = await browser.newPage({ viewport: { width, height: 844 }, colorScheme, locale });
    for (const shot of SHOTS.filter((name) => !only || name.includes(only))) {
      await page.goto(`${url}#${shot}`);
      await page.reload();
      await page.locator('.chip[data-stage="ready"]').waitFor({ timeout: 60_000 });
      if (shot === "try") await page.locator(".word").filter({ hasText: /\p{L}/u }).last().click();
      if (shot.startsWith("learn/")) {
        await page.locator(".choices button").nth(1).click();
        await page.waitForTimeout(400);
      }
      if (shot === "learn/race") {
        await page.locator(".controls button.primary").click();
        await page.waitForTimeout(6000);
      }
      if (shot === "finetune") {
        await page.locator(".drop button").click();
        await page.locator("#main button.primary").click();
        await page.locator(".try-box input").first().waitFor({ timeout: 300_000 });
        await page.locator(".buttons button.primary:enabled").last().waitFor({ timeout: 300_000 });
        await page.locator(".try-box input").first().fill("a warm and wonderful film");
        await page.waitForTimeout(1200);
      }
      if (shot === "pretrain") {
        await page.locator(".buttons button").first().click();
        await page.locator("input[type=number]").fill("120");
        await page.locator("input[type=number]").blur();
        await page.locator("#main button.primary").click();
        await page.locator(".sample").first().waitFor({ timeout: 300_000 });
        await page.waitForTimeout(900);
      }
      const name = forReadme ? `${shot.split("/")[0]}-${language}` : `${shot.replace("/", "-")}-${language}-${width}-${colorScheme}`;
      await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
    }
    await page.close();
  }
await browser.close();
