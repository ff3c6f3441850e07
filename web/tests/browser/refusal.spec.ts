// Bad input and a browser that stores nothing: a message that says what is wrong and what to do, and the page goes on.
import type { Page } from "@playwright/test";
import { safetensors } from "../networks";
import { expect, isReal, open, test } from "./support";

const file = (name: string, body: string | Uint8Array) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(body as Uint8Array) });
const drop = (page: Page, ...files: ReturnType<typeof file>[]) => page.locator("#table-file").setInputFiles(files);
const alert = (page: Page) => page.getByRole("alert");

/** The page still takes what is good. */
async function goesOn(page: Page): Promise<void> {
  await page.getByRole("button", { name: /Use the sample|用示例/ }).click();
  await expect(alert(page)).toHaveCount(0);
  await expect(page.getByText(/200 rows by label|200 行/).first()).toBeVisible();
}

test("a table that cannot be read is refused by its name, with what to do", async ({ page }) => {
  await open(page, "#finetune");
  await drop(page, file("one.csv", "text\nonly one column\nand nothing else\n"));
  await expect(alert(page)).toContainText("one.csv");
  await expect(alert(page)).toContainText(/column/);
  await drop(page, file("latin.csv", new Uint8Array([0x74, 0x2c, 0x6c, 0x0a, 0xe9, 0x2c, 0x31, 0x0a])));
  await expect(alert(page)).toContainText("latin.csv is not UTF-8 text. Save it as");
  await drop(page, file("large.csv", `text,label\n${"a good film,good\na bad film,bad\n".repeat(170_000)}`));
  await expect(alert(page)).toContainText(/large\.csv has 5\.\d MB; at most 5 MB are read here\. Cut it/);
  await drop(page, file("long.csv", `text,label\n${"a,x\nb,y\n".repeat(10_001)}`));
  await expect(alert(page)).toContainText("long.csv: it has 20002 rows, and a page takes 20000");
  await drop(page, file("empty.csv", ""));
  await expect(alert(page)).toContainText("empty.csv");
  await goesOn(page);
});

test("a table of one label, or of very many, cannot be trained on, and says why", async ({ page }) => {
  await open(page, "#finetune");
  await drop(page, file("same.csv", `text,label\n${Array.from({ length: 120 }, (_, index) => `text number ${index},yes`).join("\n")}\n`));
  await expect(page.locator(".warning, .alarm").first()).toContainText(/label/);
  const train = page.getByRole("button", { name: "Train", exact: true });
  if ((await train.count()) > 0) await expect(train).toBeDisabled();
  await drop(page, file("many.csv", `text,label\n${Array.from({ length: 120 }, (_, index) => `text number ${index},kind ${"abcdefghijklmnopqrstuvwxyz"[index % 26]}`).join("\n")}\n`));
  await expect(page.locator(".warning, .alarm").first()).toContainText(/26|20/);
  if ((await train.count()) > 0) await expect(train).toBeDisabled();
  await goesOn(page);
});

test("a table that can be trained on gets its warnings first", async ({ page }) => {
  await open(page, "#finetune");
  const rows = Array.from({ length: 60 }, (_, index) => `text number ${index},${index < 55 ? "yes" : "no"}`).join("\n");
  await drop(page, file("uneven.csv", `text,label\n${rows}\n`));
  for (const words of [/92 % of the rows/, /only 5 rows/, /Only 60 rows/]) await expect(page.locator(".warning").filter({ hasText: words })).toBeVisible();
  await expect(alert(page)).toHaveCount(0);
});

test("an upload of 50 MB is refused at once, with its size and what to do", async ({ page }) => {
  await open(page, "#finetune");
  await page.evaluate(() => {
    const input = document.querySelector<HTMLInputElement>("#table-file")!;
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(50_000_000)], "big.csv"));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change"));
  });
  await expect(alert(page)).toContainText("big.csv has 50.0 MB; at most 5 MB");
  await goesOn(page);
});

const CONFIG = JSON.stringify({ architectures: ["ElectraForPreTraining"], model_type: "electra", vocab_size: 8, embedding_size: 4, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 8, max_position_embeddings: 16, type_vocab_size: 2 });
const folder = (weights: Uint8Array, config = CONFIG) => [file("config.json", config), file("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n"), file("model.safetensors", weights)];

test("a model that is damaged is refused before the engine sees it", async ({ page }) => {
  await open(page, "#finetune");
  await drop(page, file("model.zip", "PK, but no archive"));
  await expect(alert(page)).toContainText("model.zip is no zip");
  await drop(page, file("model.safetensors", new Uint8Array(30)));
  await expect(alert(page)).toContainText("There is no config.json");
  await drop(page, ...folder(new Uint8Array(0)).slice(0, 2));
  await expect(alert(page)).toContainText("There is no model.safetensors");
  const whole = safetensors([{ name: "a", shape: [4, 8], values: new Float32Array(32) }]);
  for (const [weights, words] of [
    [whole.subarray(0, whole.length - 20), "cut short, or “a” lies outside it (by 20 bytes)"],
    [new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0, 123, 125]), "its header should have 4294967295 bytes, and the whole file has 10"],
    [safetensors([{ name: "a", shape: [4, 8], values: new Float32Array(32) }], "Q4"), "“a” holds numbers of the type Q4"],
    [safetensors([{ name: "a", shape: [4, 9], values: new Float32Array(32) }]), "“a” has another length than its shape says"],
    [new Uint8Array(5), "it has 5 bytes"],
  ] as const) {
    await drop(page, ...folder(weights));
    await expect(alert(page)).toContainText(`model.safetensors cannot be read: `);
    await expect(alert(page)).toContainText(words);
  }
  await goesOn(page);
});

test("a model whose weights have other names, types or settings is refused by the engine, and the page's own still scores", async ({ page }) => {
  test.skip(!isReal, "the stand-in reads no weights");
  await open(page, "#finetune");
  await drop(page, ...folder(safetensors([{ name: "some.other.weight", shape: [4, 8], values: new Float32Array(32) }])));
  await expect(alert(page)).toContainText(/model\.safetensors.*electra\./);
  await drop(page, ...folder(safetensors([{ name: "electra.embeddings.word_embeddings.weight", shape: [8, 4], values: new Float32Array(32) }], "I32")));
  await expect(alert(page)).toContainText("model.safetensors");
  await drop(page, ...folder(safetensors([]), "{"));
  await expect(alert(page)).toContainText("config.json");
  await drop(page, ...folder(safetensors([]), CONFIG.replace('"hidden_size":4', '"hidden_size":4000000000')));
  await expect(alert(page)).toContainText(/config\.json|model\.safetensors/);
  await goesOn(page);
  await page.evaluate(() => (location.hash = "#try?text=the+cat+sat+on+the+mat"));
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "true");
  await expect(page.locator(".chip")).not.toContainText("started again");
});

test("messages are in the reader's language", async ({ page }) => {
  await open(page, "#finetune");
  await page.getByLabel("Language").selectOption("zh");
  await drop(page, file("latin.csv", new Uint8Array([0x74, 0x2c, 0x6c, 0x0a, 0xe9, 0x2c, 0x31, 0x0a])));
  await expect(alert(page)).toContainText("latin.csv 不是 UTF-8 文本");
  await drop(page, ...folder(new Uint8Array(5)));
  await expect(alert(page)).toContainText("model.safetensors 无法读取：它只有 5 个字节");
  await drop(page, file("one.csv", "text\nonly one column\nand nothing else\n"));
  await expect(alert(page)).toContainText(/无法完成，原因如下（英文）：.*one\.csv/);
  await goesOn(page);
});

/** Pauses a run of pre-training, which is when its checkpoint is stored. */
async function paused(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Use this project's handbook" }).click();
  await page.getByLabel("Steps", { exact: true }).fill("200");
  await page.getByLabel("Steps", { exact: true }).blur();
  await page.getByRole("button", { name: "Pre-train", exact: true }).click();
  await expect(page.getByText(/step \d+ of 200/)).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
}

async function resumedAndStopped(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("Stopped.")).toBeVisible();
}

test("where files and caches are refused the page says so, scores and trains on", async ({ page }) => {
  await page.addInitScript(() => {
    const refuse = () => {
      throw new DOMException("no", "SecurityError");
    };
    navigator.storage.getDirectory = refuse;
    navigator.storage.estimate = refuse;
    Object.defineProperty(globalThis, "caches", { get: refuse });
    Object.defineProperty(globalThis, "localStorage", { get: refuse });
  });
  await open(page, "#pretrain");
  await paused(page);
  await expect(page.getByText("This browser refuses to store files")).toBeVisible();
  await resumedAndStopped(page);
  await page.evaluate(() => (location.hash = "#about"));
  await expect(page.getByText("This browser refuses to store anything for this page.")).toBeVisible();
  await page.getByRole("button", { name: "Delete all of it" }).click();
  await page.evaluate(() => (location.hash = "#try"));
  await expect(page.locator(".reading")).toHaveAttribute("data-live", "true");
});

test("where there is no room left the page says so, scores and trains on", async ({ page, context, baseURL }) => {
  const debuggers = await context.newCDPSession(page);
  await debuggers.send("Storage.overrideQuotaForOrigin", { origin: new URL(baseURL ?? "").origin, quotaSize: 1 });
  await open(page, "#pretrain");
  await paused(page);
  await expect(page.getByText("There is no room left for this page to store files")).toBeVisible();
  await resumedAndStopped(page);
});
