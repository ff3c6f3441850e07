// Functions that need no page.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ANSWERS } from "../../src/chapters/answers";
import { found, swaps } from "../../src/chapters/judge";
import { terms } from "../../src/chapters/learning";
import { faultOf, model } from "../../src/files/dropped";
import { crc32, unzip, zip } from "../../src/files/zip";
import { warningsOf } from "../../src/sections/finetune/table";
import { levelOf, wordsOf } from "../../src/sections/try";
import { preferred } from "../../src/strings";
import { en } from "../../src/strings/en";
import { zh } from "../../src/strings/zh";
import { short, ticks } from "../../src/view/charts";
import { CHAPTERS, DEFAULTS, format, formatChosen, parse, parseChosen } from "../../src/view/router";

describe("addresses", () => {
  it("come back as they were written", () => {
    const route = { section: "learn", chapter: "loss", state: { ...DEFAULTS, text: "a & b = c?", lambda: 20, temperature: 0.5, chosen: "3.17,5.9" } } as const;
    expect(parse(format(route))).toEqual(route);
  });
  it("leave out what is as by default", () => {
    expect(format({ section: "learn", chapter: "mask", state: DEFAULTS })).toBe("#learn/mask");
    expect(format({ section: "try", chapter: "mask", state: DEFAULTS })).toBe("#try");
  });
  it("fall back where they say nonsense", () => {
    const { section, chapter, state } = parse("#nowhere/at-all?rate=900&seed=x&temperature=NaN&objective=evil&chosen=1.2,x&__proto__=1");
    expect([section, chapter]).toEqual(["try", "tokens"]);
    expect(state).toEqual({ ...DEFAULTS, rate: 50 });
  });
  it("hold draws by position", () => expect(parseChosen(formatChosen({ 3: 17, 12: 4 }))).toEqual({ 3: 17, 12: 4 }));
});

describe("strings", () => {
  const texts = (table: unknown, path = ""): [string, string][] =>
    typeof table === "string" ? [[path, table]] : table && typeof table === "object" ? Object.entries(table).flatMap(([key, value]) => texts(value, `${path}.${key}`)) : [];
  it("are nowhere empty, and have the same keys in both languages", () => {
    const [english, chinese] = [texts(en), texts(zh)];
    expect(chinese.map(([path]) => path)).toEqual(english.map(([path]) => path));
    for (const [path, text] of [...english, ...chinese]) expect(text.trim(), path).not.toBe("");
  });
  it("are translated: what is the same in both is a name", () => {
    const chinese = new Map(texts(zh));
    const same = texts(en).filter(([path, text]) => chinese.get(path) === text && text !== "");
    expect(same.map(([path]) => path).sort()).toEqual([".name"]);
  });
  it("take the reader's language", () => {
    expect(preferred(null, ["fr-FR", "zh-TW", "en"])).toBe("zh");
    expect(preferred(null, ["fr"])).toBe("en");
    expect(preferred("zh", ["en"])).toBe("zh");
  });
  it("explain each chapter in at most 80 words, with three choices of which one is right", () => {
    for (const chapter of CHAPTERS) {
      const { text, choices } = en.learn.steps[chapter];
      expect(text.split(/\s+/).length, chapter).toBeLessThanOrEqual(80);
      expect(zh.learn.steps[chapter].text.length, chapter).toBeLessThanOrEqual(160);
      expect(choices.length).toBe(3);
      expect(zh.learn.steps[chapter].choices.length).toBe(3);
      expect(choices[ANSWERS[chapter]]).toBeDefined();
    }
  });
});

describe("zip", () => {
  it("knows the check value of CRC-32", () => expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926));
  it("comes back as it went in, whatever the names and bytes", async () => {
    const files = { "a/config.json": new TextEncoder().encode("{}"), "a/模型.bin": Uint8Array.from({ length: 1000 }, (_, index) => index & 255), empty: new Uint8Array() };
    const back = await unzip(new Uint8Array(await zip(files).arrayBuffer()), 1e6);
    expect(back).not.toBeNull();
    for (const [path, bytes] of Object.entries(files)) expect([...back![path]!], path).toEqual([...bytes]);
  });
  it("is refused when a byte of a file was changed, when it is cut, and when it unpacks to too much", async () => {
    const whole = new Uint8Array(await zip({ name: new TextEncoder().encode("some text of a file") }).arrayBuffer());
    const changed = whole.slice();
    changed[40]! ^= 1;
    expect(await unzip(changed, 1e6)).toBeNull();
    expect(await unzip(whole.slice(0, whole.length - 10), 1e6)).toBeNull();
    expect(await unzip(whole, 5)).toBeNull();
    expect(await unzip(new Uint8Array(3), 5)).toBeNull();
  });
});

describe("safetensors", () => {
  const file = (header: unknown, data: number) => {
    const text = new TextEncoder().encode(JSON.stringify(header));
    const bytes = new Uint8Array(8 + text.length + data);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(text, 8);
    return bytes;
  };
  it("pass when every tensor lies in the file and is as long as its shape says", () => {
    expect(faultOf(file({ a: { dtype: "F16", shape: [2, 3], data_offsets: [0, 12] }, __metadata__: { format: "pt" } }, 12))).toBeNull();
  });
  it("are refused by the tensor that is wrong", () => {
    expect(faultOf(file({ a: { dtype: "F32", shape: [4], data_offsets: [0, 16] } }, 12))).toContain("“a” lies outside it (by 4 bytes)");
    expect(faultOf(file({ b: { dtype: "F32", shape: [1e9, 1e9], data_offsets: [0, 4] } }, 4))).toContain("“b” has another length");
    expect(faultOf(file({ c: { dtype: "Q4", shape: [1], data_offsets: [0, 4] } }, 4))).toContain("Q4");
    expect(faultOf(new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 0]))).toContain("header");
    expect(faultOf(new Uint8Array(2))).toContain("2 bytes");
    for (const header of [{ d: null }, [], { d: { dtype: "F32", shape: "x", data_offsets: [0, 4] } }, { d: { dtype: "F32", shape: [1], data_offsets: 4 } }]) expect(faultOf(file(header, 4))).not.toBeNull();
  });
  it("of two networks in one folder the discriminator is taken", () => {
    const good = file({}, 0);
    const config = (name: string) => new TextEncoder().encode(JSON.stringify({ architectures: [name] }));
    const dropped = model({ "run/generator/config.json": config("ElectraForMaskedLM"), "run/generator/model.safetensors": good, "run/generator/tokenizer.json": good, "run/discriminator/config.json": config("ElectraForPreTraining"), "run/discriminator/model.safetensors": good, "run/discriminator/tokenizer.json": good });
    expect(dropped).toMatchObject({ kind: "model", network: "discriminator" });
  });
});

describe("tables", () => {
  const labels = (...counts: number[]) => counts.map((count, index) => ({ label: `l${index}`, count }));
  it("with enough of each label pass in silence", () => expect(warningsOf({ kind: "classification", rows: 200, labels: labels(100, 100) })).toEqual([]));
  it("are warned of: few rows, rare labels, a label that is nearly all, too many labels", () => {
    expect(warningsOf({ kind: "classification", rows: 60, labels: labels(55, 5) })).toHaveLength(3);
    expect(warningsOf({ kind: "classification", rows: 500, labels: labels(...Array(21).fill(20)) })).toHaveLength(1);
    expect(warningsOf({ kind: "classification", rows: 500, labels: labels(500) })).toHaveLength(1);
  });
  it("of the sample: 100 reviews of each label, none twice", () => {
    const rows = readFileSync(new URL("../../src/samples/reviews.tsv", import.meta.url), "utf8").trim().split("\n").slice(1).map((line) => line.split("\t"));
    expect(rows.every((row) => row.length === 2)).toBe(true);
    expect(new Set(rows.map(([text]) => text)).size).toBe(200);
    for (const label of ["good", "bad"]) expect(rows.filter(([, has]) => has === label)).toHaveLength(100);
  });
});

describe("figures", () => {
  it("show a word of several pieces as one, with its worst piece's number", () => {
    const token = (name: string, start: number, end: number, replaced: number) => ({ token: name, id: 1, start, end, replaced });
    const words = wordsOf("a turnip", [token("a", 0, 1, 0.1), token("turn", 2, 6, 0.2), token("##ip", 6, 8, 0.9)]);
    expect(words.map(({ text, replaced, position }) => [text, replaced, position])).toEqual([["a", 0.1, 0], ["turnip", 0.9, 1]]);
  });
  it("have five levels", () => expect([0, 0.19, 0.2, 0.5, 0.81, 1].map(levelOf)).toEqual([0, 0, 1, 2, 4, 4]));
  it("have terms that add up to the loss", () => {
    const walk = { tokens: Array(6).fill({ token: "x", id: 1, start: 0, end: 1 }), masked: [2, 3], mlmLosses: [4, 2], rtdLosses: [0, 0.1, 0.2, 0.3, 0.4, 0] };
    const { mlm, rtd, mlmMean, rtdMean } = terms(walk, 50);
    const sum = [...mlm, ...rtd].reduce((total, value) => total + value, 0);
    expect(sum).toBeCloseTo(mlmMean + 50 * rtdMean, 10);
    expect(mlm).toEqual([0, 2, 1, 0]);
  });
  it("have round numbers on their axes", () => {
    expect(ticks(0, 1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(0.43, 0.91)).toEqual([0.5, 0.6, 0.7, 0.8, 0.9]);
    expect(ticks(3, 3)).toEqual([3]);
    expect([0, 1500, 0.123456, 2e6].map(short)).toEqual(["0", "1.5k", "0.123", "2e6"]);
  });
});

describe("the race's test", () => {
  const text = Array.from({ length: 30 }, (_, index) => `the small boat number ${"abcdefghijklmnopqrstuvwxyz"[index % 26]} came slowly into the quiet harbour again.`).join("\n");
  it("swaps one word for another of about the same frequency, the same for a seed", () => {
    const made = swaps(text, text, 10, 1);
    expect(made).toHaveLength(10);
    expect(swaps(text, text, 10, 1)).toEqual(made);
    expect(swaps(text, text, 10, 2)).not.toEqual(made);
    const lines = text.split("\n").map((line) => line.split(" "));
    for (const { text: swapped } of made) {
      const words = swapped.split(" ");
      expect(Math.min(...lines.map((line) => (line.length === words.length ? line.filter((word, index) => word !== words[index]).length : 99)))).toBeLessThanOrEqual(1);
    }
  });
  it("counts the other words that look less swapped", () => {
    const words = [{ start: 0, replaced: 0.1 }, { start: 4, replaced: 0.6 }, { start: 8, replaced: 0.6 }, { start: 12, replaced: 0.9 }];
    expect(found(words, 4)).toBe(0.5);
    expect(found(words, 12)).toBe(1);
    expect(found(words, 5)).toBeNull();
  });
});

describe("the page", () => {
  const sources = (folder: URL): string[] => readdirSync(folder).flatMap((name) => (statSync(new URL(name, folder)).isDirectory() ? sources(new URL(`${name}/`, folder)) : name.endsWith(".ts") ? [readFileSync(new URL(name, folder), "utf8")] : []));
  it("makes no element of text anywhere", () => {
    for (const source of sources(new URL("../../src/", import.meta.url))) expect(source).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/);
  });
  it("has the policy that the design asks for", () => {
    const html = readFileSync(new URL("../../../index.html", import.meta.url), "utf8");
    expect(html).toContain("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; style-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'");
    expect(html).not.toMatch(/https?:\/\//);
  });
});
