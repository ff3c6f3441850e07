// The policy holds: whatever asks for another origin, in the page or in a worker that is started as the engine's is, gets nowhere.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "@playwright/test";

test("neither page nor worker can reach another origin, and without the policy they could", async ({ page, browser }) => {
  const reached: string[] = [];
  const stranger = createServer((request, response) => {
    if (request.url === "/free") return void response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>free</title>");
    reached.push(request.url ?? "");
    response.writeHead(200, { "access-control-allow-origin": "*" }).end("reached");
  });
  await new Promise<void>((resolve) => stranger.listen(0, "localhost", resolve));
  const url = `http://localhost:${(stranger.address() as AddressInfo).port}`;
  const ask = async (url: string) => {
    const inPage = await fetch(`${url}/page`).then(() => "reached", () => "refused");
    const source = `fetch("${url}/worker").then(() => postMessage("reached"), () => postMessage("refused"))`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
    const inWorker = await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
    return [inPage, inWorker];
  };
  await page.goto("./");
  expect(await page.evaluate(ask, url)).toEqual(["refused", "refused"]);
  expect(reached).toEqual([]);

  // The same questions on a page without a policy, so that a refusal above means something.
  const free = await browser.newPage();
  await free.goto(`${url.replace("localhost", "127.0.0.1")}/free`);
  expect(await free.evaluate(ask, url)).toEqual(["reached", "reached"]);
  await free.close();
  stranger.close();
});
