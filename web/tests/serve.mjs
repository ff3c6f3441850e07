// Serves a built page below a path, as a static host does. node tests/serve.mjs FOLDER PORT [PREFIX]
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize, resolve } from "node:path";

const [folder = "dist", port = "4173", prefix = "/a/path/"] = process.argv.slice(2);
const root = resolve(folder);
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json", ".gz": "application/gzip" };

createServer(async (request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  const file = normalize(join(root, path.slice(prefix.length) || "index.html"));
  try {
    if (!path.startsWith(prefix) || !file.startsWith(root)) throw new Error("outside");
    const body = await readFile(file);
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain; charset=utf-8" }).end(body);
  } catch {
    response.writeHead(404, { "content-type": "text/plain" }).end("not here");
  }
}).listen(Number(port), "127.0.0.1");
