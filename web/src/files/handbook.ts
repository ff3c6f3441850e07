// A text that the page may give: this repository's own documents, which the build puts beside it.
import design from "../../../docs/DESIGN.md?url&no-inline";
import log from "../../../docs/LOG.md?url&no-inline";
import readme from "../../../README.md?url&no-inline";
import architecture from "../../../ARCHITECTURE.md?url&no-inline";

let text: Promise<string> | undefined;

export function handbook(): Promise<string> {
  text ??= Promise.all([readme, architecture, design, log].map(async (url) => (await fetch(url)).text())).then((parts) => parts.join("\n\n"));
  return text;
}
