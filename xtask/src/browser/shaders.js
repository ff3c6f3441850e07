// Compiles every shader of the page, and makes pipelines of the first and last variant of each stem.
const lines = [];
try {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error('the browser offers no WebGPU adapter');
  const half = adapter.features.has('shader-f16');
  const device = await adapter.requestDevice({ requiredFeatures: half ? ['shader-f16'] : [] });
  const shaders = [...document.querySelectorAll('script[type="text/wgsl"]')];
  const stem = (shader) => shader?.id.replace(/_\d+\.wgsl$/, '');
  let compiled = 0;
  for (const [i, shader] of shaders.entries()) {
    const code = shader.textContent;
    if (code.includes('enable wgpu_') || (code.includes('enable f16;') && !half)) continue;
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    const wrong = messages.filter((m) => m.type !== 'info').map((m) => `line ${m.lineNum}: ${m.type}: ${m.message}`);
    const isEdge = stem(shaders[i - 1]) !== stem(shader) || stem(shaders[i + 1]) !== stem(shader);
    if (!wrong.length && isEdge) {
      const compute = { module, entryPoint: 'main' };
      await device.createComputePipelineAsync({ layout: 'auto', compute }).catch((e) => wrong.push(e.message));
    }
    if (wrong.length) lines.push(`${shader.id}: ${wrong.join('; ')}`);
    compiled += 1;
  }
  lines.unshift(`${compiled} of ${shaders.length} shaders compiled${half ? '' : ', none with f16, which the adapter lacks'}`);
} catch (error) {
  lines.unshift(`failed: ${error.message}`);
}
await fetch('/result', { method: 'POST', body: lines.join('\n') });
