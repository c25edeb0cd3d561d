import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseJsonObject } from '../../json.ts';
import { readTextFile } from '../../read-file.ts';
import { webGpuFolder } from '../webgpu-package.ts';

/** Bytes of a package.json. */
const LARGEST_FILE = 1 << 20;

/** The version of WebGPU: 'Deno/2.9.6' of a runtime that has it, or else that of the npm package; '' if unknown. */
export function webGpuVersion(): string {
  const { navigator } = globalThis as {
    readonly navigator?: { readonly gpu?: object; readonly userAgent?: string };
  };
  if (navigator?.gpu !== undefined) return navigator.userAgent ?? '';
  const folder = webGpuFolder();
  try {
    const file =
      folder === undefined
        ? createRequire(import.meta.url).resolve('webgpu/package.json')
        : join(folder, 'package.json');
    const { version } = parseJsonObject(readTextFile(file, LARGEST_FILE), (what) => {
      throw new Error(what);
    });
    return typeof version === 'string' ? version : '';
  } catch {
    return '';
  }
}
