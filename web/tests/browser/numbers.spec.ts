// The engine in a browser computes the golden numbers, on the CPU.
import { EngineInPage } from "./engine";
import { expect, test } from "./support";

for (const name of ["tiny_proj", "tiny_noproj"] as const)
  test(`a discriminator's logits are PyTorch's, ${name}`, async ({ page }) => {
    const engine = new EngineInPage(page, "cpu");
    expect(await engine.open()).toMatchObject({ backend: "cpu", why: { key: "askedFor" } });
    expect(await engine.tinyDifference(name)).toBeLessThan(1e-4);
  });

test("a discriminator's logits are PyTorch's, ELECTRA-Small", async ({ page }) => {
  const engine = new EngineInPage(page, "cpu");
  await engine.open();
  expect(await engine.smallDifference()).toBeLessThan(1e-4);
});

test("without a graphics card the engine says so and computes on the processor", async ({ page }) => {
  expect(await new EngineInPage(page, "auto").open()).toMatchObject({ backend: "cpu", why: { key: "noWebGpu" } });
});
