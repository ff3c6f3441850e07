// "Try it" and "How it works".
import type { Page } from "@playwright/test";
import { expect, isAccessible, isReal, open, test } from "./support";

const CHAPTERS = ["tokens", "mask", "generator", "replace", "discriminator", "loss", "all-tokens", "generator-size", "training", "race", "paper"];

async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((selector) => document.activeElement?.closest(selector) !== null, selector)) return;
  }
  throw new Error(`no key leads to ${selector}`);
}

test("a sentence is readable before any model has come, with recorded scores that say so", async ({ page }) => {
  await page.route("**/models/**", () => undefined);
  await page.goto("./");
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "false");
  await expect(page.locator(".reading .word").first()).toBeVisible();
  await expect(page.getByText("recorded", { exact: true })).toBeVisible();
});

test("what is typed is scored, and the newest text wins", async ({ page }) => {
  await open(page);
  const field = page.getByLabel("Your sentence");
  await field.fill("the cat sat on the umbrella");
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "true");
  await field.fill("a small dog slept on the umbrella all day");
  await expect(page.locator(".reading .word")).toHaveCount(9);
  if (!isReal) await expect(page.locator(".verdict").first()).toContainText("“umbrella”, 93 %");
  await expect(page).toHaveURL(/#try\?text=a\+small\+dog/);
});

test("a word is masked, proposals are made, and a chosen one takes its place", async ({ page }) => {
  await open(page, "#try?text=the+cat+sat+on+the+umbrella");
  await page.locator(".reading .word").last().click();
  await expect(page.locator(".proposals li")).toHaveCount(5);
  const proposal = page.locator(".proposals button").nth(1);
  const word = await proposal.innerText();
  await proposal.click();
  await expect(page.getByLabel("Your sentence")).toHaveValue(`the cat sat on the ${word.replace(/^##/, "")}`);
  await expect(page.locator(".proposals li")).toHaveCount(0);
});

test("markup in a sentence stays text", async ({ page }) => {
  await open(page);
  await page.getByLabel("Your sentence").fill('<img src="x" onerror="alert(1)"> <b>bold</b>');
  await expect(page.getByRole("button", { name: /^bold: / })).toBeVisible();
  await expect(page.locator("main img, main b")).toHaveCount(0);
});

for (const [language, position, verdict] of [["en", (at: number, all: number) => `Step ${at} of ${all}`, /Yes\.|Not quite\./], ["zh", (at: number, all: number) => `第 ${at} 步，共 ${all} 步`, /对。/]] as const)
  test(`all chapters are walked by the keyboard alone, ${language}`, async ({ page }) => {
    await page.addInitScript((language) => localStorage.setItem("electra-language", language), language);
    await open(page, "#learn/tokens");
    for (const [index, chapter] of CHAPTERS.entries()) {
      await expect(page).toHaveURL(new RegExp(`#learn/${chapter}$`));
      await expect(page.locator(".count")).toHaveText(position(index + 1, CHAPTERS.length));
      // The question comes first: nothing is shown until it is answered.
      await expect(page.locator(".stage-of")).toBeEmpty();
      await tabTo(page, ".choices");
      await page.keyboard.press("Enter");
      await expect(page.locator(".question .verdict")).toContainText(verdict);
      await expect(page.locator(".stage-of figure, .stage-of button").first()).toBeVisible();
      await expect(page.locator(".alarm")).toHaveCount(0);
      await page.keyboard.press("ArrowRight");
      if (index < CHAPTERS.length - 1) await expect(page.locator(".chapter h2")).toBeFocused();
    }
    await page.keyboard.press("ArrowLeft");
    await expect(page).toHaveURL(/#learn\/race$/);
  });

test("a chapter's control is moved by the keyboard, and its arrows do not leave the chapter", async ({ page }) => {
  await open(page, "#learn/mask");
  await page.getByRole("button", { name: "Just show me" }).press("Enter");
  await expect(page.locator(".token.masked").first()).toBeVisible();
  await tabTo(page, ".stage-of input[type=range]");
  await page.keyboard.press("ArrowRight");
  await expect(page).toHaveURL(/#learn\/mask\?rate=20$/);
  await expect(page.getByLabel("Share of hidden tokens")).toBeFocused();
});

test("a chapter's state is in its address, and comes back from it", async ({ page }) => {
  await open(page, "#learn/mask?rate=50&seed=3&text=one+two+three+four+five+six+seven+eight");
  await page.getByRole("button", { name: "Just show me" }).click();
  // Of eight words or the pieces that a small vocabulary makes of them.
  const masked = page.locator(".token.masked");
  await expect.poll(() => masked.count()).toBeGreaterThanOrEqual(4);
  const half = await masked.count();
  await page.getByLabel("Share of hidden tokens").fill("25");
  await expect(page).toHaveURL(/rate=25/);
  await expect.poll(() => masked.count()).toBeLessThan(half);
  await page.getByRole("button", { name: "Draw again" }).click();
  await expect(page).toHaveURL(/seed=4/);
});

test("a draw that is the original is labelled real @stand-in", async ({ page }) => {
  await open(page, "#learn/replace?text=the+cat+sat+on+the+mat+today");
  await page.getByRole("button", { name: "Just show me" }).click();
  const select = page.locator(".pick select").first();
  await select.selectOption({ index: 1 });
  await expect(page.locator(".token.swapped")).toHaveCount(1);
  await select.selectOption({ index: 0 });
  await expect(page.locator(".pick").first()).toContainText("sampled the original, so labelled real");
  await expect(page.locator(".token.swapped")).toHaveCount(0);
});

test("filling gaps asks the hidden tokens alone, spotting fakes asks all", async ({ page }) => {
  await open(page, "#learn/all-tokens?text=one+two+three+four+five+six+seven+eight&rate=25");
  await page.getByRole("button", { name: "Just show me" }).click();
  await expect(page.locator(".formula")).toContainText(/ 2\d %/);
  await page.getByLabel("What is asked").selectOption("rtd");
  await expect(page.locator(".formula")).toContainText("100 %");
});

test("the code of a step is the repository's own", async ({ page }) => {
  await open(page, "#learn/loss");
  await page.getByText("shaders/rtd_loss/rtd_fwd.wgsl").click();
  await expect(page.locator(".sources pre").first()).toContainText("fn main");
});

for (const colorScheme of ["light", "dark"] as const)
  for (const width of [390, 1280])
    test(`every section passes axe, ${colorScheme}, ${width} px`, async ({ page }) => {
      test.slow();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 844 });
      await open(page);
      for (const hash of ["#try", ...CHAPTERS.map((chapter) => `#learn/${chapter}`), "#finetune", "#pretrain", "#about"]) {
        await page.evaluate((next) => (location.hash = next), hash);
        const choice = page.locator(".choices button").first();
        if (hash.startsWith("#learn")) await choice.click();
        await page.waitForTimeout(150);
        await isAccessible(page);
        // Nothing but what scrolls by itself is wider than the window.
        expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), hash).toBe(true);
      }
    });

test("both languages say everything, and the choice is remembered", async ({ page }) => {
  await open(page, "#learn/tokens");
  await page.getByLabel("Language").selectOption("zh");
  await expect(page.locator("html")).toHaveAttribute("lang", "zh-Hans");
  await expect(page.locator("h1")).toHaveText("原理");
  await page.reload();
  await expect(page.locator("h1")).toHaveText("原理");
  for (const [section, title] of [["try", "靠识别假词来学习的语言模型"], ["finetune", "微调：教它你的任务"], ["pretrain", "预训练：在这里从零开始"], ["about", "关于本页"]] as const) {
    await page.evaluate((next) => (location.hash = next), `#${section}`);
    await expect(page.locator("h1")).toHaveText(title);
  }
});

test("colours follow the system until the reader chooses", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await open(page);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paper();
  await page.getByLabel("Colours").selectOption("light");
  expect(await paper()).not.toBe(dark);
  await page.emulateMedia({ colorScheme: "light" });
  await page.getByLabel("Colours").selectOption("dark");
  expect(await paper()).toBe(dark);
});

test("a model that arrives damaged is refused, and the recorded scores stay", async ({ page }) => {
  await page.route("**/models/**/*.gz?*", (route) => route.fulfill({ body: "no model" }));
  await page.goto("./");
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "noModel");
  await expect(page.locator(".chip")).toContainText("SHA-256");
  await expect(page.locator(".reading .word").first()).toBeVisible();
});

test("the model comes from the browser's cache the second time", async ({ page }) => {
  await open(page);
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.reload();
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "ready");
  expect(asked.filter((url) => url.includes(".gz"))).toEqual([]);
});

test("about says what computes, and deletes what is stored", async ({ page }) => {
  await open(page, "#about");
  await expect(page.locator(".facts")).toContainText("Runs on your processor");
  await page.getByRole("button", { name: "Delete all of it" }).click();
  await expect.poll(() => page.evaluate(async () => (await caches.keys()).length)).toBe(0);
});
