// "Fine-tune" and "Pre-train".
import { readFileSync } from "node:fs";
import { expect, isAccessible, isReal, open, test } from "./support";

const drop = (page: import("@playwright/test").Page, name: string, body: Buffer) => page.locator("#table-file").setInputFiles({ name, mimeType: "application/octet-stream", buffer: body });

test("the sample is read, trained on and judged beside its baselines, and the model goes out and in again", async ({ page }, info) => {
  test.slow();
  await open(page, "#finetune");
  await page.getByRole("button", { name: "Use the sample" }).click();
  await expect(page.getByText("200 rows by label").first()).toBeVisible();
  await expect(page.getByLabel("Label", { exact: true })).toHaveValue("label");
  await page.getByRole("button", { name: "Train", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Training from scratch, to compare" })).toBeVisible();
  const scores = page.locator("figure", { hasText: "On a tenth of the rows" }).locator("tr");
  await expect(scores).toContainText(["Fine-tuned", "The same network from scratch", /Always|Linear/, /Always|Linear/]);
  const score = async (name: string) => Number(await scores.filter({ hasText: name }).locator(".value").innerText());
  expect(await score("Fine-tuned")).toBeGreaterThan(await score("Always the commonest label"));
  await expect(page.locator("table.confusion td")).not.toHaveCount(0);
  await isAccessible(page);

  const waiting = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download the model" }).click();
  const path = info.outputPath("fine-tuned.zip");
  await (await waiting).saveAs(path);

  await page.reload();
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "ready");
  await drop(page, "fine-tuned.zip", readFileSync(path));
  await expect(page.getByText("A fine-tuned model is loaded. Its labels: bad, good.")).toBeVisible();
  await page.getByLabel("Your text").fill("a warm and wonderful film");
  await expect(page.locator(".try-box .bars")).toContainText("good");
});

test("a misread text with markup in it stays text @stand-in", async ({ page }) => {
  await open(page, "#finetune");
  await page.getByRole("button", { name: "Use the sample" }).click();
  await page.getByLabel("Also train one from scratch").uncheck();
  await page.getByRole("button", { name: "Train", exact: true }).click();
  await expect(page.locator(".worst")).toContainText("<b>not bold</b>");
  await expect(page.locator(".worst b")).toHaveCount(0);
});

test("a training pauses, goes on, and stops when asked", async ({ page }) => {
  await open(page, "#finetune");
  await page.getByRole("button", { name: "Use the sample" }).click();
  await page.getByLabel("Epochs").fill("20");
  await page.getByRole("button", { name: "Train", exact: true }).click();
  const step = page.getByText(/step \d+ of \d+/);
  await expect(step).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.waitForTimeout(isReal ? 2000 : 200);
  const before = await step.innerText();
  await page.waitForTimeout(isReal ? 2000 : 300);
  expect(await step.innerText()).toBe(before);
  await page.getByRole("button", { name: "Go on" }).click();
  await expect.poll(() => step.innerText()).not.toBe(before);
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("Stopped. Nothing was kept.")).toBeVisible();
});

test("a pre-training is paused, outlives a reload, and goes on where it was", async ({ page }) => {
  test.slow();
  await open(page, "#pretrain");
  await expect(page.getByRole("button", { name: "Pre-train", exact: true })).toBeDisabled();
  await page.getByLabel("Your text").fill("far too short");
  await expect(page.getByText(/Too short by 20 kB/)).toBeVisible();
  await page.getByRole("button", { name: "Use this project's handbook" }).click();
  await page.getByLabel("Steps", { exact: true }).fill("200");
  await page.getByLabel("Steps", { exact: true }).blur();
  await page.getByRole("button", { name: "Pre-train", exact: true }).click();
  await expect(page.locator(".sample").first()).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  const saved = page.getByText(/Saved in this browser at step \d+/);
  await expect(saved).toBeVisible();
  await expect(page.getByText("Paused.")).toBeVisible();
  await isAccessible(page);
  const at = /step (\d+)/.exec(await saved.innerText())![1]!;

  await page.reload();
  await expect(page.getByText(`A run stopped at step ${at} of 200`)).toBeVisible();
  await page.getByRole("button", { name: "Go on with it" }).click();
  await expect(page.getByText(/step \d+ of 200/)).toBeVisible();
  await expect(page.getByRole("heading", { name: "Done." })).toBeVisible();
  await expect(page.locator("progress")).toBeHidden();

  await page.getByRole("button", { name: "Fine-tune this network" }).click();
  await expect(page).toHaveURL(/#finetune/);
  await page.getByRole("button", { name: "Use the sample" }).click();
  await expect(page.getByText("Fine-tuned will be: your own network")).toBeVisible();
});

test("a short run is paused, stopped, outlives a reload, and goes on to its end", async ({ page }) => {
  test.slow();
  await open(page, "#pretrain");
  await page.getByRole("button", { name: "Use this project's handbook" }).click();
  await page.getByLabel("Steps", { exact: true }).fill("20");
  await page.getByLabel("Steps", { exact: true }).blur();
  await page.getByRole("button", { name: "Pre-train", exact: true }).click();
  await expect(page.getByText(/step \d+ of 20/)).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  const saved = page.getByText(/Saved in this browser at step \d+/);
  await expect(saved).toBeVisible();
  const at = /step (\d+)/.exec(await saved.innerText())![1]!;
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("Stopped.")).toBeVisible();
  await page.reload();
  await expect(page.getByText(`A run stopped at step ${at} of 20`)).toBeVisible();
  await page.getByRole("button", { name: "Go on with it" }).click();
  await expect(page.getByRole("heading", { name: "Done." })).toBeVisible();
  await expect(page.getByText("After step 20").first()).toBeVisible();
  await page.reload();
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "ready");
  await expect(page.getByText("A run stopped at")).toHaveCount(0);
});

test("a race runs three networks side by side, pauses and stops", async ({ page }) => {
  test.slow();
  await open(page, "#learn/race");
  await page.getByRole("button", { name: "Just show me" }).click();
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(page.locator(".legend li")).toHaveCount(3);
  await expect(page.locator(".chart path.line").nth(1)).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeVisible();
  // And once more, to its end: all three are judged by one test.
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(page.locator("figure").filter({ has: page.locator("figcaption", { hasText: "At the end" }) }).locator("tr")).toHaveCount(3, { timeout: 400_000 });
});

test("generators of three widths train side by side, and stop", async ({ page }) => {
  await open(page, "#learn/generator-size");
  await page.getByRole("button", { name: "Just show me" }).click();
  await page.getByRole("button", { name: "Start", exact: true }).click();
  const live = page.locator("figure", { hasText: "by the generator's width" }).first();
  await expect(live.locator(".legend li")).toHaveCount(3);
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeVisible();
});
