// "About": what computes here, what is stored, what leaves the tab (nothing), and the same commands for the terminal.
import type { Status } from "../engine/protocol";
import { clear, stored } from "../files/storage";
import { bytes, t } from "../strings";
import { chip, engine, networks, onChange } from "../view/app";
import { button, h, replace } from "../view/dom";

const COMMANDS = `electra detect --model FOLDER "the old man put on his hat and walked down to the kettle."
electra fill --model FOLDER "the old man put on his [MASK]."
electra finetune --model FOLDER --task csv --data reviews.csv --out tuned
electra pretrain --preset nano --data shards --out runs/nano`;

export function about(): HTMLElement {
  const facts = h("dl", { class: "facts" });
  const size = h("p", { role: "status" }, "…");
  let memory: number | null = null;

  const fact = (name: string, value: string | number | undefined) => [h("dt", {}, name), h("dd", {}, value ?? t().about.none)];
  function draw(): void {
    const status: Status | null = chip.status;
    const model = networks.discriminator;
    const grouped = (value: number) => value.toLocaleString(document.documentElement.lang);
    replace(
      facts,
      ...fact(t().about.backend, status ? t().status[status.backend] : t().status[chip.stage === "failed" ? "failed" : "starting"]),
      ...fact(t().about.device, status?.device),
      ...(status?.why ? fact(t().about.reason, [t().why[status.why.key], status.why.detail].filter(Boolean).join(" ")) : []),
      ...fact(t().about.memory, memory !== null ? bytes(memory) : status ? bytes(status.memory) : undefined),
      ...fact(t().about.parameters, model ? grouped(model.parameters) : undefined),
      ...(model ? [...fact(t().about.layers, model.layers), ...fact(t().about.vocabulary, grouped(model.vocabulary)), ...fact(t().about.maxTokens, model.maxTokens)] : []),
    );
  }
  async function count(): Promise<void> {
    const usage = await stored();
    size.textContent = usage === null ? t().errors.storage : t().about.size(bytes(usage));
  }
  draw();
  onChange(draw);
  void count();
  engine.status().then(
    (status) => {
      memory = status.memory;
      draw();
    },
    () => undefined,
  );
  return h(
    "div",
    {},
    h("h1", {}, t().about.title),
    h("p", { class: "lead" }, t().about.lead),
    h("h2", {}, t().about.engine),
    facts,
    h("h2", {}, t().about.storage),
    size,
    button(t().about.clear, () => void clear().then(count)),
    h("h2", {}, t().about.privacy),
    h("p", {}, t().about.privacyText),
    h("h2", {}, t().about.limits),
    h("p", {}, t().about.limitsText),
    h("h2", {}, t().about.terminal),
    h("pre", { tabindex: 0, "aria-label": t().about.terminal, lang: "en" }, h("code", {}, COMMANDS)),
  );
}
