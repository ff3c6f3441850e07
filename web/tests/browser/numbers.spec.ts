// The engine in a browser computes the golden numbers, on the CPU.
import { EngineInPage } from "./engine";
import { asText, configOf, formulaTensor, shapesOf, type Config } from "../networks";
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

test("a text that is longer than the network reads at once is scored to its end", async ({ page }) => {
  const engine = new EngineInPage(page, "cpu");
  await engine.open();
  const config: Config = { vocab_size: 64, embedding_size: 32, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64, max_position_embeddings: 40 };
  const tensors = new Map(shapesOf(config).map(([name, shape]) => [name, { shape, values: formulaTensor(name, shape) }]));
  const { files } = asText(configOf(config), tensors, [10, 11, 12], []);
  const { model, maxTokens } = await engine.load(files, "discriminator");
  expect(maxTokens).toBe(38);
  const { tokens } = await engine.ask("score", { model, text: "w11 ".repeat(100) });
  expect(tokens.length).toBe(100);
  expect(tokens.at(-1)).toMatchObject({ token: "w11", start: 99 * 4, end: 99 * 4 + 3 });
  for (const { replaced } of tokens) expect(replaced).toBeGreaterThan(0);
});

test("without a graphics card the engine says so and computes on the processor", async ({ page }) => {
  expect(await new EngineInPage(page, "auto").open()).toMatchObject({ backend: "cpu", why: { key: "noWebGpu" } });
});
