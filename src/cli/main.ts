import './plain-ranks.ts';
import { watchLauncher } from './launcher-watch.ts';
import { createProgram } from './program.ts';
import { run } from './run.ts';

watchLauncher(process.env);
await run(createProgram(), process.argv.slice(2));
