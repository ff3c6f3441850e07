// What the browser tests share: a page that has begun, no request beyond its origin, and no error that nobody looked at.
import { AxeBuilder } from "./axe";
import { test as base, expect, type Page } from "@playwright/test";

export const isReal = process.env["ELECTRA_ENGINE"] === "1";

/** Every test's page fails if it asks anybody but its own origin, or throws. */
export const test = base.extend<{ watched: void }>({
  watched: [
    async ({ page, context, baseURL }, use) => {
      const origin = new URL(baseURL ?? "").origin;
      const strangers: string[] = [];
      const errors: string[] = [];
      // Of the page and of its workers, both.
      context.on("request", (request) => {
        const url = request.url();
        if (!url.startsWith(origin) && !url.startsWith("data:") && !url.startsWith(`blob:${origin}`)) strangers.push(url);
      });
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => {
        if (/Content.Security.Policy|Refused to/i.test(message.text())) errors.push(message.text());
      });
      await use();
      expect(strangers, "requests beyond the page's origin").toEqual([]);
      expect(errors, "errors that nothing handled").toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Opens an address below the page's, and waits until the model is there. */
export async function open(page: Page, hash = ""): Promise<void> {
  await page.goto(`./${isReal ? "?backend=cpu" : ""}${hash}`);
  await expect(page.locator(".chip")).toHaveAttribute("data-stage", "ready");
}

export async function isAccessible(page: Page): Promise<void> {
  const found = await AxeBuilder(page);
  expect(found.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join("; ")}`)).toEqual([]);
}
