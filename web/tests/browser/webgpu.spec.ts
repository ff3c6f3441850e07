// The engine on WebGPU, SwiftShader's where there is no card: what it computes, and the page on it. Its kernels are verified once, which
// takes a minute or two in software, so that all tests share one page, whose browser remembers the outcome.
import type { BrowserContext, Page } from "@playwright/test";
import { LOSS, breakable } from "./breaking";
import { EngineInPage } from "./engine";
import { expect, test } from "./support";

test.describe.configure({ mode: "serial", timeout: 480_000 });

let context: BrowserContext;
let page: Page;
let engine: EngineInPage;

test.beforeAll(async ({ browser, baseURL }) => {
  context = await browser.newContext({ baseURL: baseURL ?? "", locale: "en-GB" });
  page = await context.newPage();
  await breakable(page);
});
test.afterAll(() => context.close());

test("an adapter that software imitates is not used unless asked for", async () => {
  await page.goto("./");
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "ready");
  await expect(page.locator(".chip")).toContainText(/Runs on your processor.*imitated by software/s);
});

test("the kernels pass their verification against the processor", async () => {
  engine = new EngineInPage(page, "webgpu");
  expect(await engine.open()).toMatchObject({ backend: "webgpu", why: null });
});

for (const name of ["tiny_proj", "tiny_noproj"] as const)
  test(`a discriminator's logits are PyTorch's on WebGPU, ${name}`, async () => {
    expect(await engine.tinyDifference(name)).toBeLessThan(1e-4);
  });

test("ten steps of fine-tuning have the processor's losses", async () => {
  const onWebGpu = await engine.microLosses();
  const processor = new EngineInPage(page, "cpu");
  await processor.open();
  const onCpu = await processor.microLosses();
  expect(onWebGpu.length).toBeGreaterThanOrEqual(2);
  expect(onWebGpu.length).toBe(onCpu.length);
  expect(Math.max(...onWebGpu.map((loss, index) => Math.abs(loss - onCpu[index]!)))).toBeLessThan(1e-3);
  // And they learn: equal constants would prove nothing.
  expect(onCpu.at(-1)).not.toBe(onCpu[0]);
});

test("a sentence is scored, a word hidden, and a proposal takes its place", async () => {
  await page.goto("./?backend=webgpu#try?text=the+cat+sat+on+the+umbrella");
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "ready", { timeout: 300_000 });
  await expect(page.locator(".chip")).toContainText("Runs on your graphics card");
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "true");
  await page.locator(".reading .word").last().click();
  await expect(page.locator(".proposals li")).toHaveCount(5, { timeout: 120_000 });
  await page.locator(".proposals button").nth(1).click();
  await expect(page.getByLabel("Your sentence")).toHaveValue(/^the cat sat on the /);
});

test("a pre-training outlives the loss of the device, and after two losses the processor computes", async () => {
  await page.evaluate(() => (location.hash = "#pretrain"));
  await page.getByRole("button", { name: "Use this project's handbook" }).click();
  await page.getByLabel("Steps", { exact: true }).fill("10");
  await page.getByLabel("Steps", { exact: true }).blur();
  await page.getByRole("button", { name: "Pre-train", exact: true }).click();
  await expect(page.getByText(/step [3-9] of 10/)).toBeVisible({ timeout: 240_000 });
  await page.evaluate(() => (location.hash = "#try"));
  // Asked again of the next worker, this text breaks that one, too.
  await page.getByLabel("Your sentence").fill(LOSS);
  await expect(page.locator(".chip")).toContainText(/Runs on your processor.*The graphics card was lost twice/s, { timeout: 240_000 });
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "true");
  await expect(page.getByRole("alert")).toHaveCount(0);
  await page.evaluate(() => (location.hash = "#pretrain"));
  await expect(page.getByText("the run went on from step 0.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Done." })).toBeVisible({ timeout: 240_000 });
});
