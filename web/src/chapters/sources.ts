// The code that does what a chapter shows: files of this repository, copied beside the page by the build, fetched when they are opened.
import corrupt from "../../../shaders/corrupt/corrupt.wgsl?url&no-inline";
import attention from "../../../shaders/attention/attention_fwd.wgsl?url&no-inline";
import mlmRows from "../../../shaders/mlm_loss/mlm_rows.wgsl?url&no-inline";
import rtdForward from "../../../shaders/rtd_loss/rtd_fwd.wgsl?url&no-inline";
import rtdBackward from "../../../shaders/rtd_loss/rtd_bwd.wgsl?url&no-inline";
import embeddings from "../../../shaders/embedding/embeddings_fwd.wgsl?url&no-inline";
import adam from "../../../shaders/adam/adam_update.wgsl?url&no-inline";
import words from "../../../crates/electra-data/src/tokenizer/words.rs?url&no-inline";
import masking from "../../../crates/electra-data/src/masking.rs?url&no-inline";
import corruption from "../../../crates/electra-model/src/objective/corruption.rs?url&no-inline";
import rtd from "../../../crates/electra-model/src/objective/rtd.rs?url&no-inline";
import electra15 from "../../../crates/electra-model/src/objective/electra_15.rs?url&no-inline";
import mlm from "../../../crates/electra-model/src/objective/mlm.rs?url&no-inline";
import adversarial from "../../../crates/electra-model/src/objective/adversarial.rs?url&no-inline";
import twoStage from "../../../crates/electra-model/src/objective/two_stage.rs?url&no-inline";
import encoder from "../../../crates/electra-model/src/encoder.rs?url&no-inline";
import config from "../../../crates/electra-model/src/config.rs?url&no-inline";
import flops from "../../../crates/electra-train/src/estimate/ledger/reference.rs?url&no-inline";
import { alarm } from "../view/app";
import { t } from "../strings";
import { h, replace } from "../view/dom";
import type { Chapter } from "../view/router";

interface Source {
  /** Where it stands in the repository. */
  path: string;
  url: string;
}
const source = (path: string, url: string): Source => ({ path, url });

export const SOURCES: Record<Chapter, Source[]> = {
  tokens: [source("crates/electra-data/src/tokenizer/words.rs", words), source("shaders/embedding/embeddings_fwd.wgsl", embeddings)],
  mask: [source("crates/electra-data/src/masking.rs", masking)],
  generator: [source("shaders/corrupt/corrupt.wgsl", corrupt), source("crates/electra-model/src/objective/corruption.rs", corruption)],
  replace: [source("crates/electra-model/src/objective/corruption.rs", corruption), source("shaders/corrupt/corrupt.wgsl", corrupt)],
  discriminator: [source("shaders/attention/attention_fwd.wgsl", attention), source("crates/electra-model/src/encoder.rs", encoder)],
  loss: [source("shaders/mlm_loss/mlm_rows.wgsl", mlmRows), source("shaders/rtd_loss/rtd_fwd.wgsl", rtdForward), source("crates/electra-model/src/objective/rtd.rs", rtd)],
  "all-tokens": [source("shaders/rtd_loss/rtd_bwd.wgsl", rtdBackward), source("crates/electra-model/src/objective/mlm.rs", mlm)],
  "generator-size": [source("crates/electra-model/src/config.rs", config)],
  training: [source("crates/electra-model/src/objective/rtd.rs", rtd), source("crates/electra-model/src/objective/two_stage.rs", twoStage), source("crates/electra-model/src/objective/adversarial.rs", adversarial)],
  race: [source("crates/electra-model/src/objective/electra_15.rs", electra15), source("shaders/adam/adam_update.wgsl", adam)],
  paper: [source("crates/electra-train/src/estimate/ledger/reference.rs", flops)],
};

export function sourcesOf(chapter: Chapter): HTMLElement {
  const one = ({ path, url }: Source) => {
    const code = h("div", {});
    const open = async (event: Event) => {
      if (!(event.currentTarget as HTMLDetailsElement).open || code.hasChildNodes()) return;
      try {
        const response = await fetch(url);
        if (!response.ok) throw new Error(`${path}: ${response.status}`);
        replace(code, h("pre", { tabindex: 0, "aria-label": path, lang: "en" }, h("code", {}, await response.text())));
      } catch (error) {
        replace(code, alarm(error));
      }
    };
    return h("details", { class: "file", toggle: (event: Event) => void open(event) }, h("summary", {}, h("code", {}, path), " ", h("span", { class: "quiet" }, path.endsWith(".wgsl") ? t().common.shader : t().common.rust)), code);
  };
  return h("section", { class: "sources" }, h("h3", {}, t().common.source), ...SOURCES[chapter].map(one));
}
