// What breaks inside is replaced: a worker that panics, a device that is lost, a run that was under way.
import { LOSS, PANIC, breakable } from "./breaking";
import { expect, isReal, open, test } from "./support";

const go = (page: import("@playwright/test").Page, section: string) => page.evaluate((hash) => (location.hash = hash), `#${section}`);

test("a panic in the worker is told, and the next sentence is scored by a new one", async ({ page }) => {
  await breakable(page);
  await open(page);
  const field = page.getByLabel("Your sentence");
  await field.fill(PANIC);
  await expect(page.getByRole("alert")).toContainText("starts again by itself");
  await field.fill("the cat sat on the umbrella");
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "true");
  await expect(page.locator(".reading .word")).toHaveCount(6);
  await expect(page.locator(".verdict").first()).toContainText("Most suspicious");
  await expect(page.getByRole("alert")).toHaveCount(0);
  await expect(page.locator(".chip")).toContainText("started again");
});

test("a device that is lost twice gives way to the processor, and no sentence goes without its scores @stand-in", async ({ page }) => {
  await page.goto("./?backend=webgpu");
  await expect(page.locator(".chip")).toContainText("Runs on your graphics card");
  const field = page.getByLabel("Your sentence");
  await field.fill(LOSS);
  await expect(page.locator(".chip")).toContainText(/Runs on your processor\s*The graphics card was lost twice\./);
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "true");
  await expect(page.getByRole("alert")).toHaveCount(0);
  await page.locator(".reading .word").last().click();
  await expect(page.locator(".proposals li")).toHaveCount(5);
});

test("a pre-training goes on from its last checkpoint when the worker breaks", async ({ page }) => {
  test.slow();
  await breakable(page);
  await open(page, "#pretrain");
  await page.getByRole("button", { name: "Use this project's handbook" }).click();
  await page.getByLabel("Steps", { exact: true }).fill(isReal ? "40" : "300");
  await page.getByLabel("Steps", { exact: true }).blur();
  await page.getByRole("button", { name: "Pre-train", exact: true }).click();
  await expect(page.locator(".sample").first()).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  const saved = page.getByText(/Saved in this browser at step \d+/);
  await expect(saved).toBeVisible();
  const at = /step (\d+)/.exec(await saved.innerText())![1]!;
  await page.getByRole("button", { name: "Go on" }).click();
  // A step more, so that there is something to lose.
  await expect.poll(async () => Number(/step (\d+) of/.exec(await page.locator(".step-of").innerText())?.[1])).toBeGreaterThan(Number(at));
  await go(page, "try");
  await page.getByLabel("Your sentence").fill(PANIC);
  await expect(page.getByRole("alert")).toContainText("starts again by itself");
  await go(page, "pretrain");
  const resumed = page.getByText(/the run went on from step \d+\./);
  await expect(resumed).toBeVisible();
  // It may have stored a later one by itself.
  expect(Number(/step (\d+)\./.exec(await resumed.innerText())![1])).toBeGreaterThanOrEqual(Number(at));
  await expect(page.getByRole("heading", { name: "Done." })).toBeVisible();
  await page.getByRole("button", { name: "Fine-tune this network" }).click();
  await page.getByRole("button", { name: "Use the sample" }).click();
  await expect(page.getByText("Fine-tuned will be: your own network")).toBeVisible();
});

test("a run that always breaks at the same step is given up with a word, and not tried for ever @stand-in", async ({ page }) => {
  await open(page, "#pretrain");
  await page.getByLabel("Your text").fill(`breaks at step 30. ${"The boat came into the harbour, slowly. ".repeat(600)}`);
  await page.getByRole("button", { name: "Pre-train", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("panicked at step 30");
  await expect(page.getByRole("button", { name: "Pre-train", exact: true })).toBeEnabled();
});

test("a fine-tuning that a lost device took with it is begun again @stand-in", async ({ page }) => {
  await page.goto("./?backend=webgpu#finetune");
  await page.getByRole("button", { name: "Use the sample" }).click();
  await page.getByLabel("Also train one from scratch").uncheck();
  // Few steps, which are slow here: the device is lost while it trains, however busy the machine is.
  await page.getByLabel("Epochs").fill("4");
  await page.getByRole("button", { name: "Train", exact: true }).click();
  await expect(page.getByText(/step \d+ of \d+/)).toBeVisible();
  await go(page, "try");
  await page.getByLabel("Your sentence").fill(LOSS);
  await expect(page.locator(".chip")).toContainText("started again");
  await go(page, "finetune");
  await expect(page.getByText("so was this training")).toBeVisible();
  await expect(page.getByRole("heading", { name: "How good it is" })).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("an engine that cannot even begin says so, is not begun over and over, and leaves the page readable", async ({ page }) => {
  let begun = 0;
  await page.context().route("**/assets/worker-*.js", (route) => {
    begun += 1;
    return route.fulfill({ status: 404, body: "not here" });
  });
  await page.goto("./");
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "failed");
  await expect(page.locator(".chip")).toContainText("could not be loaded");
  await page.waitForTimeout(1000);
  expect(begun).toBeLessThanOrEqual(2);
  await expect(page.locator(".reading .word").first()).toBeVisible();
  await go(page, "learn/paper");
  await page.getByRole("button", { name: "Just show me" }).click();
  await expect(page.locator(".stage-of figure").first()).toBeVisible();
});
