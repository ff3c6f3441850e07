// The page as a visitor has it: how soon there is text, a model and an answer, what holds the main thread up, and what the tab takes.
import { readFileSync } from "node:fs";
import type { Browser, Page } from "@playwright/test";
import type { Row } from "./table";

interface Watched {
  longest: number;
  readable: number;
  ready: number;
}

/** Runs before the page's own scripts. Long tasks are those of 50 ms and more; shorter ones the browser does not tell of. */
function watch(): void {
  const watched: Watched = { longest: 0, readable: 0, ready: 0 };
  Object.assign(globalThis, { watched });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) watched.longest = Math.max(watched.longest, duration);
  }).observe({ type: "longtask", buffered: true });
  const look = () => {
    if (!watched.readable && document.querySelector(".reading .word")) requestAnimationFrame(() => (watched.readable ||= performance.now()));
    if (!watched.ready && document.querySelector('.chip[data-stage="ready"]')) watched.ready = performance.now();
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
}

const seen = (page: Page) => page.evaluate(() => (globalThis as unknown as { watched: Watched }).watched);

// Locators would put a script of their own into the page, which holds its main thread up longer than the page does: so questions are
// asked in the page's own words, and rarely.
async function until(page: Page, selector: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await page.evaluate((selector) => document.querySelector(selector) !== null, selector)) return;
    await page.waitForTimeout(200);
  }
  throw new Error(`the page does not show ${selector}`);
}
const ready = (page: Page) => until(page, '.chip[data-stage="ready"]');
const click = (page: Page, selector: string) => page.evaluate((selector) => document.querySelector<HTMLElement>(selector)?.click(), selector);
const go = (page: Page, hash: string) => page.evaluate((hash) => (location.hash = hash), hash);

/** Memory of the tab's process alone: what it shares with others counts in part. Linux tells, others do not. */
async function memory(browser: Browser): Promise<number> {
  try {
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = (await session.send("SystemInfo.getProcessInfo")) as { processInfo: { type: string; id: number }[] };
    await session.detach();
    const of = (id: number) => Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))?.[1] ?? 0) / 1000;
    return Math.max(...processInfo.filter(({ type }) => type === "renderer").map(({ id }) => of(id)));
  } catch {
    return NaN;
  }
}

export async function pageRows(browser: Browser, url: string): Promise<Row[]> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
  const page = await context.newPage();
  await page.addInitScript(watch);
  await page.goto(`${url}?backend=cpu`);
  await ready(page);
  const cold = await seen(page);
  await page.reload();
  await ready(page);
  const cached = await seen(page);

  await go(page, "#try?text=the+old+man+put+on+his+hat+and+walked+down+to+the+kettle.");
  await page.waitForTimeout(600);
  for (const chapter of ["tokens", "generator", "discriminator", "loss", "all-tokens", "generator-size", "paper"]) {
    await go(page, `#learn/${chapter}`);
    await click(page, ".choices button");
    await page.waitForTimeout(400);
  }
  const loaded = await memory(browser);
  await go(page, "#finetune");
  await click(page, ".drop button");
  await until(page, "#main button.primary");
  await click(page, '#main input[type="checkbox"]');
  await click(page, "#main button.primary");
  let peak = loaded;
  while (!(await page.evaluate(() => document.querySelector(".confusion") !== null))) {
    peak = Math.max(peak, await memory(browser));
    await page.waitForTimeout(300);
  }
  const { longest } = await seen(page);
  await context.close();
  return [
    { what: "text readable, first visit", value: cold.readable / 1000, unit: "s", most: 1 },
    { what: "ready, first visit (files from this machine)", value: cold.ready / 1000, unit: "s", most: 6 },
    { what: "ready, second visit", value: cached.ready / 1000, unit: "s", most: 1.5 },
    { what: "longest task of the main thread (loading, seven chapters, a fine-tuning)", value: Math.max(longest, cold.longest), unit: "ms", most: 50, ...(longest === 0 && cold.longest === 0 ? { note: "none of 50 ms or more" } : {}) },
    ...(Number.isNaN(peak) ? [] : [{ what: "memory of the tab, loaded", value: loaded, unit: "MB" as const, most: 500 }, { what: "memory of the tab, most while fine-tuning", value: peak, unit: "MB" as const, most: 500 }]),
  ];
}
