/** Files in memory, and the files that are served with the page. */
import { fs } from 'memfs';
import { Buffer } from './buffer.ts';

export const {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} = fs;
export const fstatSync = fs.fstatSync.bind(fs);
export const statSync = fs.statSync.bind(fs);

/** Matches a URL; a file name such as `http: notes.txt` is not one. */
const ADDRESS = /^(?:https?|file):\/\//;

/** Files of the program, such as kernels, are named by their address; all are served from one folder. */
export function readFileSync(path: string | URL, encoding?: 'utf8' | 'latin1'): Buffer | string {
  if (typeof path === 'string' && !ADDRESS.test(path))
    return fs.readFileSync(path, encoding) as Buffer | string;
  const name = String(path).split('/').at(-1)!;
  const request = new XMLHttpRequest();
  request.open('GET', new URL(`assets/${name}`, self.location.href), false); // synchronous, which a worker may be
  request.responseType = 'arraybuffer';
  request.send();
  if (request.status !== 200)
    throw new Error(`${name} is not served with the page (status ${request.status})`);
  const bytes = Buffer.from(request.response as ArrayBuffer);
  return encoding === undefined ? bytes : bytes.toString(encoding);
}
