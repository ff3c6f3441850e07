// Texts that break the engine, for the tests of what happens then. The stand-in knows them by itself; of the real worker's script a
// copy is served that hears them at the door of the module.
import type { Page } from "@playwright/test";
import { isReal } from "./support";

/** To be scored: the module panics, as Rust does: it traps in a task of its own, and no promise is ever settled. */
export const PANIC = "panic please";
/** To be scored: the device is lost, as when a driver resets its card, and then asked for the scores. */
export const LOSS = "lose the device";

const HOOK = `
const instantiate = WebAssembly.instantiateStreaming;
WebAssembly.instantiateStreaming = async (...all) => {
  const made = await instantiate(...all);
  const { exports } = made.instance;
  const score = (engine, model, at, length) => {
    const text = new TextDecoder().decode(new Uint8Array(exports.memory.buffer, at, length));
    if (text.includes(${JSON.stringify(LOSS)})) exports.engine_loseDevice(engine);
    if (!text.includes(${JSON.stringify(PANIC)})) return exports.engine_score(engine, model, at, length);
    // A module of one function, "f", of one instruction: unreachable.
    const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11];
    queueMicrotask(new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes))).exports.f);
    return new Promise(() => undefined);
  };
  return { module: made.module, instance: { exports: { ...exports, engine_score: score } } };
};
`;

/** Lets the texts above break the engine of a page that is opened next. */
export async function breakable(page: Page): Promise<void> {
  if (!isReal) return;
  await page.context().route("**/assets/worker-*.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: HOOK + (await response.text()) });
  });
}
