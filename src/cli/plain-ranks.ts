/**
 * Launchers such as mpirun give processes a pseudo-terminal and pass the lines on, often with a prefix or to a file: nothing
 * is redrawn or colored there. Imported before anything that looks at the streams.
 */
import { detectLaunch } from '../collective/launch.ts';

if (detectLaunch(process.env) !== undefined)
  for (const stream of [process.stdout, process.stderr])
    Object.defineProperty(stream, 'isTTY', { value: false, configurable: true });
