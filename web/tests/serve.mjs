// Serves a built page below a path, as a static host does. node tests/serve.mjs FOLDER PORT [PREFIX]
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json", ".gz": "application/gzip" };

/** `others`: further folders, each by the path that it is served below. */
export async function serve(folder, port, prefix = "/a/path/", others = {}) {
  const roots = Object.entries({ ...others, [prefix]: folder }).map(([path, root]) => [path, resolve(root)]);
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    try {
      const [below, root] = roots.find(([below]) => path.startsWith(below)) ?? [];
      const file = root && normalize(join(root, path.slice(below.length) || "index.html"));
      if (!file?.startsWith(root)) throw new Error("outside");
      const body = await readFile(file);
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain; charset=utf-8" }).end(body);
    } catch {
      response.writeHead(404, { "content-type": "text/plain" }).end("not here");
    }
  });
  await new Promise((listening) => server.listen(Number(port), "127.0.0.1", listening));
  return server;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [folder = "dist", port = "4173", prefix] = process.argv.slice(2);
  await serve(folder, port, prefix);
}
