// Runs the checks of crates/electra-checks one after another, each named and timed as it ends. The first that fails is the result:
// a panic ends the module.
import init, { Checks, Folder } from '/in_browser.js';

const FOLDERS = ['tiny_proj', 'tiny_noproj'];
const FILES = [
  ...['discriminator', 'generator'].flatMap((network) => [`${network}/config.json`, `${network}/model.safetensors`]),
  ...['forward.safetensors', 'joint_step.safetensors', 'train10.safetensors', 'train10.json'],
];
const post = (path, body) => fetch(path, { method: 'POST', body });
const bytes = async (path) => {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};

// What a panic says, and what the browser complains of.
const said = [];
console.error = (...words) => said.push(words.join(' '));
let doing = 'the module';
const failed = (error) => post('/result', [`${doing}: ${error}`, ...said].join('\n'));
// A panic in a task that JavaScript awaits settles nothing: it ends here.
addEventListener('error', (event) => failed(event.message));
addEventListener('unhandledrejection', (event) => failed(event.reason));
const timed = async (what, body) => {
  doing = what;
  const began = performance.now();
  const found = await body();
  await post('/progress', `  ${what}: ${found}, ${((performance.now() - began) / 1000).toFixed(2)} s`);
};

try {
  const memory = await (async () => {
    let module;
    await timed('the module', async () => ((module = await init()), 'compiled and started'));
    return module.memory;
  })();
  const native = await (await fetch('/native.json')).text();
  for (const backend of await (await fetch('/backends.json')).json()) {
    let checks;
    await timed(backend, async () => (checks = await Checks.open(backend)).description());
    for (const name of FOLDERS) {
      const folder = new Folder(name);
      for (const file of FILES) folder.add(file, await bytes(`/fixtures/${name}/${file}`));
      for (const check of ['forward', 'joint_step', 'ten_steps']) {
        await timed(`${backend}, ${check} of ${name}`, () => checks.golden(check, folder));
      }
    }
    await timed(`${backend}, 50 steps of nano, paused after 27`, () => checks.nano(native));
    if (backend === 'webgpu') await timed(`${backend}, a device that is lost`, () => checks.lost());
    if (said.length) throw new Error('complaints');
  }
  await post('/progress', `  ${(memory.buffer.byteLength / 1e6).toFixed(0)} MB of memory`);
  await post('/result', 'ok');
} catch (error) {
  await failed(error);
}
