/**
 * Finds WebGPU: that of the JavaScript runtime if it has one (browsers, Deno), or else the npm package `webgpu` (Dawn), which is
 * not a dependency because of its 132 MB and is loaded only when a GPU is asked for.
 */
import { pathToFileURL } from 'node:url';
import { UserError } from '../errors.ts';
import { refusedToOpen } from './webgpu/failures.ts';
import type { Gpu, GpuAdapter } from './webgpu/gpu.ts';

/**
 * The package's GPU objects, with and without experimental features. They are kept because the process crashes if the result
 * of `create()` is garbage-collected.
 */
const created = new Map<boolean, Gpu>();

let packageFolder: string | undefined;
/** @param folder where the npm package is, if it is not installed next to this program */
export function setWebGpuFolder(folder: string | undefined): void {
  packageFolder = folder;
}

/** Undefined unless it was set. */
export const webGpuFolder = (): string | undefined => packageFolder;

interface DawnPackage {
  create(options: readonly string[]): Gpu;
}

/** Dawn's name for features that are drafts of WebGPU. */
const EXPERIMENTAL = 'enable-dawn-features=allow_unsafe_apis';

/** @throws Error if the package is not installed */
async function gpuOfRuntime(isExperimental = false): Promise<Gpu> {
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: Gpu } };
  if (navigator?.gpu !== undefined) return navigator.gpu;
  const name = packageFolder === undefined ? 'webgpu' : pathToFileURL(`${packageFolder}/index.js`).href;
  const dawn = (await import(name)) as DawnPackage;
  const gpu = created.get(isExperimental) ?? dawn.create(isExperimental ? [EXPERIMENTAL] : []);
  created.set(isExperimental, gpu);
  return gpu;
}

const isMissing = (error: unknown): boolean => (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';

/**
 * The fastest GPU.
 *
 * @param allowsExperimental whether to ask for draft features: subgroup matrices, which only the npm package offers
 * @throws UserError if WebGPU is not installed, fails, or has no adapter
 */
export async function findAdapter({ allowsExperimental = false } = {}): Promise<GpuAdapter> {
  let gpu: Gpu;
  try {
    gpu = await gpuOfRuntime(allowsExperimental);
  } catch (error) {
    throw new UserError('engine-unavailable', whyUnavailable(error), {
      hint: 'npm install webgpu, with -g if gpt was installed with -g',
      cause: error,
    });
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(refusedToOpen);
  if (adapter === null)
    throw new UserError('engine-unavailable', 'WebGPU finds no GPU here', {
      hint: 'is its driver installed, with Vulkan on Linux (vulkaninfo shows it)?',
    });
  return adapter;
}

function whyUnavailable(error: unknown): string {
  const { message } = error as Partial<Record<'message', string>>;
  if (!isMissing(error))
    return `the npm package 'webgpu' cannot be loaded: ${(message ?? String(error)).split('\n', 1)[0]}`;
  const where = packageFolder === undefined ? '' : ` in ${packageFolder}`;
  return `GPUs need the npm package 'webgpu' (132 MB), which is not installed${where}`;
}
